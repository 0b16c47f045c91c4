"""Generation: every line valid, tokens as training would have them, the cache exact, the same seed the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests import some_models
from tests.hostile import hostile_strings
from tests.some_models import SAID, whole_logits
from ventriloquist.faults import Fault
from ventriloquist.model import checkpoint, generate, tiny
from ventriloquist.model.cache import CHUNK
from ventriloquist.model.draft import Draft
from ventriloquist.model.generate import Generator, Sampling
from ventriloquist.model.load import load
from ventriloquist.model.sampling import draw
from ventriloquist.windows.lines import Header, Line, read, reply_quote, write
from ventriloquist.workspace import Workspace

CPU = torch.device("cpu")
HOT = Sampling(temperature=1.3, max_tokens=30)


class Scripted(Generator):
    """Writes what it is told to."""

    script: list[int]

    def _draw(self, logits: torch.Tensor, draft: Draft, sampling: Sampling) -> int:
        return self.script[len(draft.ids)]


@pytest.fixture(scope="module")
def generator(learnt: Workspace) -> Generator:
    loaded = load(checkpoint.find(learnt, ""), "cpu", 1)
    return Generator(loaded.model, loaded.tokenizer, loaded.device, loaded.description.max_tokens, seed=1)


def context(*names: str, texts: tuple[str, ...] = ("hey", "what are you up to tonight?")) -> list[str]:
    header = write(Header("dm", names, "2026-03-05"))
    return [header, *(write(Line(names[i % len(names)], "<5m", None, "text", text)) for i, text in enumerate(texts))]


def written(generator: Generator, said: list[str], names: list[str], sampling: Sampling, replies: list[str]) -> Line:
    pieces = list(generator.write_line(said, names, replies, sampling))
    line = pieces[-1].value[0]
    shown = "".join(piece.value for piece in pieces if piece.kind == "text")
    assert isinstance(line, Line) and shown == line.text
    assert [piece.value for piece in pieces if piece.kind == "name"] == [line.name]
    return line


def canonical(generator: Generator, said: list[str]) -> list[int]:
    """The ids that training would make of it."""
    return [*generator.lines.lead, *(token for line in said for token in generator.lines.encode(line))]


def assert_sound(generator: Generator, said: list[str]) -> None:
    """What the model says behind `said` is what it says on reading it for the first time."""
    generator.prefill(said)
    ids = [*generator.cache.ids, 5]
    assert (generator.cache.read([5]) - whole_logits(generator.model, ids)).abs().max() < 1e-5


def test_a_tokenizer_that_composes_accents_can_be_held_to_names_that_are_decomposed() -> None:
    generator = some_models.generator("qwen3", some_models.composing_tokenizer())
    for name, quoted in (
        ("Zoe\u0308", "a cafe\u0301?"),
        ("\u1112\u1161\u11ab", "\u0301 first"),
        ("A\u030a", "=\u0338"),
    ):
        said = context(name, "Me", texts=(quoted, "ok"))
        lines = [written(generator, said, [name], HOT, [quoted]) for _ in range(12)]
        assert {line.name for line in lines} == {name} and {line.reply_to for line in lines} == {None, quoted}
        assert_sound(generator, said)


def test_lines_are_valid_whatever_the_names_and_the_words(generator: Generator) -> None:
    hot = Sampling(temperature=1.5, top_p=1.0, max_tokens=90)
    strings = [(ident, text[:120]) for ident, text in hostile_strings() if text]
    for _, text in strings[:: max(len(strings) // 40, 1)]:
        said = context(text, "Me", texts=(text, "ok"))
        line = written(generator, said, [text], hot, [reply_quote(text)])
        assert line.name == text
        assert line.reply_to in (None, reply_quote(text))
        assert read(write(line)) == line
        ids = generator.lines.encode(write(line))
        assert not set(ids) & set(generator.tokenizer.all_special_ids)


def test_forced_tokens_are_those_of_training(generator: Generator) -> None:
    """Following a canonical line through the grammar, what is forced is what the tokenizer wrote."""
    lines = [
        Line("Maya", "<1m", None, "text", 'so (ok) "yes"!! 😂'),
        Line('Zoë "Z" O\'Neil', "1d+", "hey", "reaction", "Loved"),
        Line("+15550100", "<12h", None, "text", "日本語 \\ {x} : }"),
        *(Line("Maya", "<5m", None, "text", text[:80]) for _, text in hostile_strings() if text),
    ]
    forced = differing = 0
    for line in lines:
        ids = generator.lines.encode(write(line))
        constraint = generator.grammars.line([line.name, "Ben"], ["hey"])
        position = 0
        while position < len(ids):
            ahead = constraint.forced()
            differing += ahead != ids[position : position + len(ahead)]
            if not ahead:
                assert constraint.allowed()[ids[position]]
            step = ahead or [ids[position]]
            constraint.take(step)
            position += len(step)
            forced += len(ahead)
    assert forced > 10 and differing == 0


def test_the_cache_gives_the_same_logits_as_reading_everything(generator: Generator) -> None:
    said = context("Maya", "Me")
    cool = Sampling(temperature=0.7, max_tokens=60)
    for _ in range(4):
        said.append(write(written(generator, said, ["Maya"], cool, [])))
    generator.prefill(said)
    ids = canonical(generator, said)
    assert generator.cache.ids == ids[:-1]
    assert (generator.cache.read(ids[-1:]) - whole_logits(generator.model, ids)).abs().max() < 1e-5
    del said[2:]
    generator.prefill(said)
    assert generator.cache.ids == canonical(generator, said)[:-1]


def test_the_same_seed_gives_the_same_conversation(generator: Generator) -> None:
    def conversation(impatience: int) -> list[Line]:
        generator.seed(5)
        said, lines = context("Maya", "Me"), []
        for _ in range(3):
            if impatience:  # an attempt that is broken off, sooner or later, changes nothing of what follows
                asked = iter(range(10**6))
                attempt = generator.write_line(
                    said, ["Me"], [], Sampling(), lambda asked=asked: next(asked) > impatience
                )
                assert not any(piece.kind == "line" for piece in attempt)
            lines.append(written(generator, said, ["Maya", "Me"], Sampling(), ["hey"]))
            said.append(write(lines[-1]))
        return lines

    assert conversation(0) == conversation(0)
    assert conversation(1) == conversation(2)


@pytest.mark.parametrize("kind", ["qwen3", "gemma3", "qwen3_5"])
def test_cancelled_at_any_point_the_cache_is_sound(kind: str) -> None:
    writing = some_models.generator(kind)
    for after in range(0, 24, 3):
        asked = iter(range(10**6))
        pieces = list(writing.write_line(SAID, ["Ann", "Me"], [], HOT, lambda asked=asked, n=after: next(asked) >= n))
        assert all(piece.kind != "line" for piece in pieces) or after > 5
        assert_sound(writing, SAID)


def test_a_line_that_is_not_wanted_any_more_leaves_the_cache_sound() -> None:
    writing = some_models.generator()
    pieces = writing.write_line(SAID, ["Ann"], [], HOT)
    assert next(pieces).kind == "name"
    pieces.close()
    assert_sound(writing, SAID)


def test_a_long_line_is_cut_and_closed() -> None:
    tokenizer = tiny.build_tokenizer(context("Ann", "Me"), 400)
    babbling = Generator(tiny.build_model(len(tokenizer), 32, 1, 3), tokenizer, CPU, 2048, seed=1)
    for limit in (10, 30, 60):
        line = written(babbling, context("Ann", "Me"), ["Ann"], Sampling(temperature=1.5, max_tokens=limit), [])
        assert line.name == "Ann" and read(write(line)) == line


def test_nothing_is_read_twice(generator: Generator) -> None:
    said = context("Maya", "Me", texts=("a", "b", "c", "d"))
    generator.prefill(said)
    assert generator.prefill(said) == (0, 0)
    said.append(write(Line("Me", "<1m", None, "text", "and then?")))
    assert generator.prefill(said).tokens == len(generator.lines.encode(said[-1]))


def test_no_forward_without_a_drawn_token() -> None:
    """Forced tokens and the rest of the context are read with them, and nothing is read when nothing is chosen."""
    writing = some_models.generator()
    said = list(SAID)
    for _ in range(6):
        *_, last = writing.write_line(said, ["Ann", "Me"], ["hey there"], HOT)
        line, cost, _ = last.value
        assert cost.forwards <= cost.sampled < cost.tokens
        said += [write(line), write(Line("Me", "<1m", None, "text", "and then?"))]


class Stepping(Generator):
    """Reads nothing before it is drawn."""

    def _ahead(self, *_: Any) -> list[int]:
        return []


@pytest.mark.parametrize("kind", ["qwen3", "gemma3", "gpt2"])
def test_what_is_read_ahead_changes_nothing_but_the_forwards(kind: str) -> None:
    tokenizer = some_models.splitting_tokenizer()
    model = some_models.model(kind, len(tokenizer))
    ahead, stepping = (made(model, tokenizer, CPU, 1024, 7) for made in (Generator, Stepping))
    said, costs = list(SAID), []
    for number in range(12):
        names = [["Ann"], ["Ann", "Me"], ["Zoe", "Me", "Ann"]][number % 3]
        (*_, one), (*_, other) = (made.write_line(said, names, ["hey there"], HOT) for made in (ahead, stepping))
        assert one.value.line == other.value.line and one.value.raw == other.value.raw
        costs.append((one.value.cost.forwards, other.value.cost.forwards))
        said.append(write(one.value.line))
        assert_sound(ahead, said)
    assert all(one <= other for one, other in costs)
    assert sum(one for one, _ in costs) < sum(other for _, other in costs)


def test_whoever_stops_listening_while_something_was_read_ahead_leaves_the_cache_sound() -> None:
    writing = some_models.generator()
    for stop in range(1, 5):
        pieces = writing.write_line(SAID, ["Ann", "Me"], ["hey there"], HOT)
        for _ in range(stop):
            next(pieces, None)
        pieces.close()
        assert_sound(writing, list(SAID))


def test_a_line_of_forty_tokens_takes_sixteen_forwards() -> None:
    """On a tokenizer that splits as the usual bases' do."""
    tokenizer = some_models.splitting_tokenizer()
    lines = [
        Line("Ann", "<5m", None, "text", "what are you up to tonight?"),
        Line("Ann", "<1m", "hey there", "text", "so (ok)! yes 😂"),
        Line("Ann", "<1h", None, "text", "hey are you there tonight"),
    ]
    writing = Scripted(some_models.model("qwen3", len(tokenizer)), tokenizer, CPU, 1024, 1)
    tokens = forwards = 0
    for line in lines:
        writing.script = writing.lines.encode(write(line))
        *_, last = writing.write_line(SAID, ["Ann", "Me"], ["hey there"], Sampling())
        assert last.value.line == line and last.value.raw == write(line)
        tokens += last.value.cost.tokens
        forwards += last.value.cost.forwards
    assert tokens >= 36 * len(lines) and forwards <= 16 * len(lines)


def long_context(lines: int) -> list[str]:
    return context("Maya", "Me", texts=tuple(f"hello there number {number}" for number in range(lines)))


@pytest.mark.parametrize("follows", [True, False])
def test_a_context_too_long_is_cut_to_half_and_stays_there(follows: bool) -> None:
    """Whether the caller starts where it was cut or hands over everything, the next turns only append."""
    writing = some_models.generator(max_tokens=1024)
    said = long_context(120)
    first = writing.prefill(said)
    assert first.dropped > 0 and 300 < len(writing.cache.ids) < 420, "half of what is not kept free for a line"
    if follows:
        said = [said[0], said[1 + first.dropped].replace('"<5m"', '"<1m"'), *said[2 + first.dropped :]]
    cuts = 0
    for number in range(30):
        said.append(write(Line("Me", "<1m", None, "text", f"and then {number}?")))
        read = writing.prefill(said)
        if read.tokens > len(writing.lines.encode(said[-1])):
            cuts += 1
            assert read.dropped and len(writing.cache.ids) < 420
        elif not follows:
            assert read.dropped >= first.dropped
        assert len(writing.cache.ids) <= 1024 * 3 // 4
        if follows and read.dropped:
            said = [said[0], said[1 + read.dropped].replace('"<5m"', '"<1m"'), *said[2 + read.dropped :]]
    assert cuts <= 2


def test_what_was_left_out_is_told_and_the_line_fits() -> None:
    writing = some_models.generator(max_tokens=1024)
    *_, last = writing.write_line(long_context(120), ["Maya"], [], HOT)
    assert last.value.cost.dropped > 60 and len(writing.cache.ids) <= 1024
    *_, last = writing.write_line(long_context(10), ["Maya"], [], HOT)
    assert last.value.cost.dropped == 0


def test_huge_messages_are_cut_and_huge_headers_refused() -> None:
    writing = some_models.generator(max_tokens=1024)
    said = context("Maya", "Me", texts=("x " * 200_000, "y" * 5_000_000, "z"))
    *_, last = writing.write_line(said, ["Maya"], [], HOT)
    assert last.value.line.name == "Maya" and len(writing.cache.ids) <= 1024
    with pytest.raises(Fault, match="members"):
        writing.prefill(context(*(f"Member {number}" for number in range(400))))


def test_reading_ahead_can_be_cancelled_and_goes_on() -> None:
    writing = some_models.generator(max_tokens=4096)
    said = long_context(120)
    asked = iter([False, False, True])
    read = writing.prefill(said, lambda: next(asked))
    assert read.tokens == 2 * CHUNK == len(writing.cache.ids)
    assert writing.prefill(said).tokens == len(canonical(writing, said)) - 1 - 2 * CHUNK
    assert_sound(writing, said)


@pytest.mark.parametrize("make", [some_models.merging_tokenizer, some_models.sentence_tokenizer])
def test_a_tokenizer_that_does_not_keep_to_lines_is_said_and_served(make: Callable[[], Any]) -> None:
    writing = some_models.generator(tokenizer=make())
    assert not writing.lines.by_line and "tokenizer" in writing.notice
    said, waiting = list(SAID), 0
    for _ in range(6):
        said.append(write(written(writing, said, ["Ann", "Me"], HOT, ["hey there"])))
        writing.prefill(said)
        whole = writing.lines.lead + writing.lines.encode("".join(said) + '{"name": "')
        ids, _, owed = writing._contexts.fit(said)
        assert writing.cache.ids == ids[:-1] and ids == whole[: len(ids)]
        waiting += bool(owed)
        assert writing.grammars.written(ids[len(writing.lines.lead) :]).decode().lstrip() + owed == "".join(said)
        assert_sound(writing, said)
    assert waiting, "the end of the last line is read with the next"
    assert some_models.generator().notice == ""
    assert "cut back" in some_models.generator("qwen3_5").notice


def test_what_is_written_otherwise_than_training_would_is_read_again() -> None:
    writing = some_models.generator()
    said, differing = list(SAID), 0
    for _ in range(10):
        *_, last = writing.write_line(said, ["Ann", "Me"], ["hey there"], HOT)
        before = list(writing.cache.ids)
        said.append(write(last.value.line))
        writing.prefill(said)
        ids = canonical(writing, said)
        assert writing.cache.ids == ids[:-1]
        differing += before != ids[: len(before)]
    assert differing > 0, "random weights choose such splits"
    assert_sound(writing, said)


def test_the_penalty_looks_back_on_text_only_and_never_on_what_may_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, tuple[int, ...]]] = []

    class Watched(Generator):
        def _draw(self, logits: torch.Tensor, draft: Draft, sampling: Sampling) -> int:
            inside.append(draft.in_text)
            return super()._draw(logits, draft, sampling)

    def watched(logits: Any, allowed: Any, sampling: Any, stream: Any, repeated: tuple[int, ...]) -> int:
        seen.append((inside[-1], repeated))
        return draw(logits, allowed, sampling, stream, repeated)

    inside: list[bool] = []
    monkeypatch.setattr(generate, "draw", watched)
    tokenizer = some_models.byte_tokenizer()
    writing = Watched(some_models.model("qwen3", len(tokenizer)), tokenizer, CPU, 1024, 1)
    said = [*SAID, write(Line("Me", "<1m", None, "text", 'the "usual" place tonight'))]
    sampling = Sampling(temperature=1.0, repetition_penalty=1e6, max_tokens=40)
    *_, last = writing.write_line(said, ["Ann"], [], sampling)
    assert any(inside) and not all(inside)
    assert all(bool(repeated) == within for within, repeated in seen), "within the text, and nowhere else"
    assert all(b'"' not in writing.grammars.written([token]) for _, repeated in seen for token in repeated)
    first = next(repeated for within, repeated in seen if within)
    before = writing.grammars.written(first).decode()
    assert "tonight" in before and "usual" in before and "delta" not in before
    ids = [token for token in writing.lines.encode(last.value.line.text) if token not in first]
    assert len(set(ids)) > len(ids) * 0.8
    seen.clear()
    list(writing.write_line(SAID, ["Ann"], [], HOT))
    assert seen and all(not repeated for _, repeated in seen)


def test_a_cost_tells_when_the_text_began() -> None:
    *_, last = some_models.generator().write_line(SAID, ["Ann"], [], HOT)
    cost = last.value.cost
    assert 0 < cost.first_seconds <= cost.seconds and cost.read == len(canonical(some_models.generator(), SAID)) - 1


def test_a_tokenizer_learnt_from_endless_emoji_can_be_held_to_the_schema() -> None:
    said = context("Ann", "Me", texts=("💃" * 5000, "ha" * 3000))
    tokenizer = tiny.build_tokenizer(said * 3, 2000)
    dancing = Generator(tiny.build_model(len(tokenizer), 32, 1, 3), tokenizer, CPU, 2048, seed=1)
    assert written(dancing, said[:1], ["Ann"], Sampling(max_tokens=40), []).name == "Ann"


def test_names_and_replies_may_spell_special_tokens(generator: Generator) -> None:
    for text in ("<|endoftext|>", "a <|endoftext|><|endoftext|> b", "<|endoftext|>" * 4):
        line = written(
            generator, context(text, "Me", texts=(text,)), [text], Sampling(max_tokens=150), [reply_quote(text)]
        )
        assert line.name == text and line.reply_to in (None, reply_quote(text))
        assert 0 not in generator.cache.ids
