"""The cache: whatever was read, taken back and read again, the logits are those of one reading without a cache."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from tests.some_models import VOCABULARY, WINDOW, model, whole_logits
from ventriloquist.model.cache import CHUNK, SlabLayer, SlidingSlabLayer, TokenCache

CPU = torch.device("cpu")
CUTTABLE = ["qwen3", "llama", "gpt2", "mistral", "gemma3"]
RECURRENT = ["qwen3_5", "lfm2", "mamba"]
STACKING = ["qwen3", "llama", "gpt2"]
EXACT = 1e-5


def some_ids(count: int, seed: int = 1) -> list[int]:
    return random.Random(seed).choices(range(VOCABULARY), k=count)


def off(cache: TokenCache, ids: list[int]) -> float:
    """Bring the cache to `ids`; how far its logits then are from those of one reading."""
    left = cache.keep(ids[:-1])
    logits = cache.read(ids[left:])
    assert cache.ids == ids
    return float((logits - whole_logits(cache.model, ids)).abs().max())


@pytest.mark.parametrize("kind", [*CUTTABLE, *RECURRENT])
def test_logits_are_those_of_one_reading_after_appends_and_cuts(kind: str) -> None:
    cache = TokenCache(model(kind), CPU, 1024)
    ids, others = some_ids(120), some_ids(30, 2)
    assert off(cache, ids[:50]) < EXACT
    cache.mark()
    for length in (51, 53, 100, 101, 70, 99):
        assert off(cache, ids[:length]) < EXACT
        cache.mark()
    assert off(cache, ids[:51] + others) < EXACT, "an edit in the middle"
    assert off(cache, ids[:10]) < EXACT, "a cut before every mark"
    assert off(cache, ids) < EXACT
    cache.clear()
    assert cache.ids == [] and off(cache, others) < EXACT


@pytest.mark.parametrize("kind", [*CUTTABLE, *RECURRENT])
def test_the_models_are_such_that_a_wrong_state_is_seen(kind: str) -> None:
    ids = some_ids(40)
    other = [*ids[:33], (ids[33] + 1) % VOCABULARY, *ids[34:]]
    made = model(kind)
    assert (whole_logits(made, ids) - whole_logits(made, other)).abs().max() > 100 * EXACT


@pytest.mark.parametrize("kind", [*CUTTABLE, *RECURRENT])
def test_any_walk_of_readings_and_cuts_is_exact(kind: str) -> None:
    cache = TokenCache(model(kind), CPU, 1024)
    chance = random.Random(5)
    ids: list[int] = []
    for step in range(14):
        ids = ids[: chance.randrange(len(ids) + 1)] if step % 3 == 2 else ids
        ids = ids + chance.choices(range(VOCABULARY), k=chance.choice([1, 2, 7, 2 * WINDOW]))
        assert off(cache, ids) < EXACT
        if chance.random() < 0.5:
            cache.mark()


@pytest.mark.parametrize("kind", CUTTABLE)
def test_a_cut_costs_nothing_where_there_is_only_attention(kind: str) -> None:
    cache = TokenCache(model(kind), CPU, 1024)
    ids = some_ids(100)
    cache.read(ids)
    forwards = cache.forwards
    assert cache.cuttable and cache.keep(ids[:40]) == 40 and cache.forwards == forwards


def test_recurrent_states_go_back_to_the_last_context() -> None:
    cache = TokenCache(model("qwen3_5"), CPU, 1024)
    ids = some_ids(100)
    cache.read(ids[:60])
    cache.mark()
    cache.read(ids[60:])
    assert not cache.cuttable and cache.keep(ids[:80]) == 60
    assert cache.keep(ids[:59]) == 0


def test_a_model_that_loses_its_state_in_a_chunk_is_read_token_by_token() -> None:
    cache = TokenCache(model("mamba"), CPU, 1024)
    cache.read(some_ids(20))
    before = cache.forwards
    cache.read(some_ids(5, 2))
    assert cache.forwards - before == 5


def test_a_model_without_a_cache_of_ours_is_read_anew() -> None:
    inner = model("qwen3")

    class Forgetful(torch.nn.Module):
        config = inner.config

        def forward(self, input_ids: torch.Tensor, past_key_values: Any = None, use_cache: bool = True) -> Any:
            return SimpleNamespace(logits=inner(input_ids=input_ids, use_cache=False).logits)

    cache = TokenCache(Forgetful(), CPU, 1024)
    ids = some_ids(40)
    cache.read(ids[:20])
    cache.read(ids[20:30])
    assert not cache.keeps and not cache.cuttable and not cache.stacks
    assert (cache.read(ids[30:]) - whole_logits(inner, ids)).abs().max() < EXACT
    assert cache.keep(ids[:25]) == 25
    assert (cache.read(ids[25:]) - whole_logits(inner, ids)).abs().max() < EXACT


def test_reading_is_cancelled_between_chunks_and_goes_on_from_there() -> None:
    cache = TokenCache(model("qwen3"), CPU, 2048)
    ids = some_ids(2 * CHUNK + 70)
    asked = iter([False, True])
    assert not cache.advance(ids, lambda: next(asked))
    assert cache.ids == ids[:CHUNK]
    assert cache.advance(ids[CHUNK:-1], lambda: False)
    assert off(cache, ids) < EXACT


@pytest.mark.parametrize("kind", ["qwen3", "qwen3_5"])
def test_a_reading_that_breaks_leaves_nothing_half_read(kind: str) -> None:
    cache = TokenCache(model(kind), CPU, 1024)
    ids = some_ids(60)
    cache.read(ids[:30])
    layer = cache.model.model.layers[1].mlp
    broken = layer.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        cache.read(ids[30:])
    broken.remove()
    assert cache.ids == [] and off(cache, ids) < EXACT


@pytest.mark.parametrize("kind", STACKING)
def test_rows_of_different_lengths_are_each_as_if_alone(kind: str) -> None:
    cache = TokenCache(model(kind), CPU, 1024)
    start = some_ids(40)
    cache.read(start)
    rows, texts, alive = cache.rows(3), [list(start) for _ in range(3)], [0, 1, 2]
    chance = random.Random(3)
    for step in range(9):
        chunks = [chance.choices(range(VOCABULARY), k=chance.randint(1, 9)) for _ in alive]
        logits = rows.read(chunks)
        for row, (number, chunk) in enumerate(zip(alive, chunks, strict=True)):
            texts[number] += chunk
            assert (logits[row] - whole_logits(cache.model, texts[number])).abs().max() < EXACT
        if step == 4:
            rows.keep([0, 2])
            alive = [0, 2]
    assert cache.ids == start and off(cache, start + some_ids(9, 4)) < EXACT


def test_models_whose_rows_would_be_wrong_are_not_stacked() -> None:
    for kind in ("mistral", "gemma3", "qwen3_5", "mamba"):
        assert not TokenCache(model(kind), CPU, 1024).stacks


def test_a_slab_is_written_in_place_and_cut_without_a_copy() -> None:
    layer, plain = SlabLayer(), DynamicLayer()
    layer.most = 1024
    places, chance = set(), torch.Generator().manual_seed(1)
    for length in (100, *[1] * 256, 60, 1, 1):
        keys, values = torch.randn((2, 1, 2, length, 4), generator=chance)
        ours, theirs = layer.update(keys, values), plain.update(keys, values)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        places.add(ours[0].data_ptr())
    assert len(places) == 2, "it grew once"
    layer.crop(-20)
    plain.crop(-20)
    assert torch.equal(layer.keys, plain.keys) and layer.keys.data_ptr() in places
    assert layer.get_seq_length() == 398
    keys = torch.ones((1, 2, 3, 4))
    assert torch.equal(layer.update(keys, keys)[0], plain.update(keys, keys)[0])
    layer.batch_select_indices(torch.tensor([0]))
    assert torch.equal(layer.update(keys, keys)[1], plain.update(keys, keys)[1])


def test_a_sliding_slab_shows_what_the_window_shows() -> None:
    ours, theirs = SlidingSlabLayer(WINDOW), DynamicSlidingWindowLayer(WINDOW)
    for length in (3, 1, 20, 1, 5):
        states = torch.randn((1, 2, length, 4))
        assert ours.get_mask_sizes(length) == theirs.get_mask_sizes(length)
        mine, its = ours.update(states, states)[0], theirs.update(states, states)[0]
        assert torch.equal(mine, its) and mine.shape[-2] <= WINDOW - 1 + length
    assert ours.get_seq_length() == theirs.get_seq_length() == 30
    ours.crop(-25)
    assert ours.get_seq_length() == 5 and ours.keys.shape[-2] == 5
