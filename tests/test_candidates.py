"""Several candidates at once: each as if it were written alone, and the cache afterwards as it was before."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.some_models import SAID, byte_tokenizer, model, whole_logits
from ventriloquist.model.draft import Draft
from ventriloquist.model.generate import Generator, Piece, Sampling, Written
from ventriloquist.windows.lines import read, write

CPU = torch.device("cpu")
HOT = Sampling(temperature=1.3, max_tokens=24)
NAMES, REPLIES = ["Ann", "Me"], ["hey there", "so (ok)! yes 😂"]
KINDS = ["qwen3", "llama", "gpt2", "gemma3", "qwen3_5"]


class Watched(Generator):
    """Remembers for each token that is drawn what the model said, and behind which ids."""

    seen: list[tuple[list[int], torch.Tensor]]

    def _draw(self, logits: torch.Tensor, draft: Draft, sampling: Sampling) -> int:
        self.seen.append((list(draft.ids), logits.clone()))
        return super()._draw(logits, draft, sampling)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return byte_tokenizer()


def watched(kind: str, tokenizer: Any, seed: int = 3) -> Watched:
    generator = Watched(model(kind, len(tokenizer)), tokenizer, CPU, 1024, seed)
    generator.seen = []
    return generator


def ids_of(generator: Generator, said: list[str]) -> list[int]:
    return [token for line in said for token in generator.lines.encode(line)]


@pytest.mark.parametrize("kind", KINDS)
def test_each_candidate_is_written_from_the_logits_of_its_own_reading(kind: str, tokenizer: Any) -> None:
    generator = watched(kind, tokenizer)
    context = ids_of(generator, SAID)
    found = generator.write_candidates(SAID, NAMES, REPLIES, HOT, 4)
    assert len(found) == 4 and len({written.raw for written in found}) > 1
    assert len(generator.seen) == sum(written.cost.sampled for written in found) > 20
    for ids, logits in generator.seen:
        assert (logits - whole_logits(generator.model, context + ids)).abs().max() < 1e-5
    for line, cost, raw in found:
        assert line.name in NAMES and line.reply_to in (None, *REPLIES) and read(write(line)) == line
        assert raw.startswith('{"name": ') and 0 < cost.sampled <= cost.tokens
        assert cost.forwards >= cost.sampled and cost.seconds >= cost.first_seconds > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_cache_is_back_at_the_context(kind: str, tokenizer: Any) -> None:
    generator = watched(kind, tokenizer)
    context = ids_of(generator, SAID)
    for count in (3, 1):
        generator.write_candidates(SAID, NAMES, REPLIES, HOT, count)
        assert generator.cache.ids == context[:-1], "nothing of it has to be read again"
    said = [*SAID, write(generator.write_candidates(SAID, NAMES, REPLIES, HOT, 2)[1].line)]
    assert generator.cache.ids == context[:-1]
    generator.seen.clear()
    list(generator.write_line(said, NAMES, REPLIES, HOT))
    ids, logits = generator.seen[-1]
    assert (logits - whole_logits(generator.model, ids_of(generator, said) + ids)).abs().max() < 1e-5


def test_rows_are_read_together(tokenizer: Any) -> None:
    together, alone = watched("qwen3", tokenizer), watched("qwen3", tokenizer)
    alone.cache.stacks = False
    shared = together.write_candidates(SAID, NAMES, REPLIES, HOT, 4)
    singly = alone.write_candidates(SAID, NAMES, REPLIES, HOT, 4)
    assert [written.raw for written in shared] == [written.raw for written in singly]
    assert together.cache.forwards == max(written.cost.forwards for written in shared)
    assert alone.cache.forwards == sum(written.cost.forwards for written in singly)


def test_the_first_candidate_is_the_line_that_would_have_been_written(tokenizer: Any) -> None:
    one, many = watched("qwen3", tokenizer), watched("qwen3", tokenizer)
    (alone,) = (piece.value for piece in one.write_line(SAID, NAMES, REPLIES, HOT) if piece.kind == "line")
    three = many.write_candidates(SAID, NAMES, REPLIES, HOT, 3)
    assert three[0].raw == alone.raw
    assert [w.raw for w in watched("qwen3", tokenizer).write_candidates(SAID, NAMES, REPLIES, HOT, 2)] == [
        written.raw for written in three[:2]
    ]


@pytest.mark.parametrize("kind", ["qwen3", "qwen3_5"])
@pytest.mark.parametrize("after", [0, 1, 5])
def test_cancelled_there_is_none_and_the_cache_is_sound(kind: str, after: int, tokenizer: Any) -> None:
    generator = watched(kind, tokenizer)
    asked = iter(range(10**6))
    assert generator.write_candidates(SAID, NAMES, REPLIES, HOT, 3, lambda: next(asked) >= after) == []
    generator.seen.clear()
    *_, last = generator.write_line(SAID, NAMES, REPLIES, HOT)
    assert isinstance(last, Piece) and isinstance(last.value, Written)
    ids, logits = generator.seen[-1]
    assert (logits - whole_logits(generator.model, ids_of(generator, SAID) + ids)).abs().max() < 1e-5


def test_one_candidate_and_one_that_ends_at_once(tokenizer: Any) -> None:
    generator = watched("qwen3", tokenizer)
    assert len(generator.write_candidates(SAID, ["Ann"], [], HOT, 1)) == 1
    for written in generator.write_candidates(SAID, ["Ann"], [], Sampling(temperature=1.3, max_tokens=1), 3):
        assert written.line.name == "Ann" and read(write(written.line)) == written.line
