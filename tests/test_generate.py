"""Generation: every line valid, tokens as training would have them, the cache exact, the same seed the same words."""

from __future__ import annotations

import pytest
import torch

from tests.hostile import hostile_strings
from ventriloquist.model import checkpoint, tiny
from ventriloquist.model.generate import Generator, Sampling
from ventriloquist.model.load import load
from ventriloquist.windows.lines import Header, Line, read, reply_quote, write
from ventriloquist.workspace import Workspace

CPU = torch.device("cpu")


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
    ids = generator._context_ids(said)
    with torch.inference_mode():
        whole = generator.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
    from ventriloquist.model.generate import Cost

    assert (generator._forward(ids[-1:], Cost()) - whole).abs().max() < 1e-4
    del said[2:]
    generator.prefill(said)
    assert generator._ids == generator._context_ids(said)[:-1]
    assert generator._cache.get_seq_length() == len(generator._ids)


def test_the_same_seed_gives_the_same_conversation(generator: Generator) -> None:
    def conversation() -> list[Line]:
        generator.seed(5)
        said, lines = context("Maya", "Me"), []
        for _ in range(3):
            lines.append(written(generator, said, ["Maya", "Me"], Sampling(), ["hey"]))
            said.append(write(lines[-1]))
        return lines

    assert conversation() == conversation()


def test_cancelling_leaves_the_cache_sound(generator: Generator) -> None:
    said = context("Maya", "Me")
    count = iter(range(100))
    pieces = list(generator.write_line(said, ["Maya"], [], Sampling(), lambda: next(count) > 4))
    assert all(piece.kind != "line" for piece in pieces)
    assert generator._cache.get_seq_length() == len(generator._ids)
    written(generator, said, ["Maya"], Sampling(max_tokens=40), [])


def test_a_long_line_is_cut_and_closed() -> None:
    tokenizer = tiny.build_tokenizer(context("Ann", "Me"), 400)
    babbling = Generator(tiny.build_model(len(tokenizer), 32, 1, 3), tokenizer, CPU, 2048, seed=1)
    for limit in (10, 30, 60):
        line = written(babbling, context("Ann", "Me"), ["Ann"], Sampling(temperature=1.5, max_tokens=limit), [])
        assert line.name == "Ann" and read(write(line)) == line


def test_nothing_is_read_twice(generator: Generator) -> None:
    said = context("Maya", "Me", texts=("a", "b", "c", "d"))
    generator.prefill(said)
    assert generator.prefill(said) == 0
    said.append(write(Line("Me", "<1m", None, "text", "and then?")))
    assert generator.prefill(said) == len(generator.lines.encode(said[-1]))


def test_a_context_too_long_for_the_model_is_cut_from_the_left(generator: Generator) -> None:
    said = context("Maya", "Me", texts=("x " * 200_000, *("hello there " * 40 for _ in range(200))))
    line = written(generator, said, ["Maya"], Sampling(max_tokens=30), [])
    assert line.name == "Maya" and len(generator._ids) <= generator.max_tokens
    assert written(generator, context("Maya", "Me", texts=("y" * 500_000,)), ["Maya"], Sampling(max_tokens=30), [])


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
        assert 0 not in generator._ids
