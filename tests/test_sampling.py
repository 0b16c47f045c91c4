"""Drawing: only what is allowed, in the proportions that temperature, top-p and min-p leave, each line on its own."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ventriloquist.faults import Fault
from ventriloquist.model.sampling import SORTABLE, Sampling, Streams, draw

DRAWS = 4000


def logits_of(count: int, spread: float = 2.0, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed)) * spread


def expected(logits: torch.Tensor, allowed: np.ndarray, sampling: Sampling) -> np.ndarray:
    """The distribution by its definition: sorted, summed up, cut."""
    weights = np.exp(logits.numpy().astype(np.float64) / sampling.temperature) * allowed
    weights /= weights.sum()
    order = np.argsort(-weights, kind="stable")
    kept = np.zeros(len(weights), bool)
    before = np.cumsum(weights[order]) - weights[order]
    kept[order[before < max(sampling.top_p, 1e-9)]] = True
    kept &= weights >= sampling.min_p * weights.max()
    weights = weights * kept
    return np.asarray(weights / weights.sum())


def frequencies(logits: torch.Tensor, allowed: np.ndarray, sampling: Sampling) -> np.ndarray:
    stream = random.Random(3)
    counted = Counter(draw(logits, allowed, sampling, stream) for _ in range(DRAWS))
    return np.array([counted[token] / DRAWS for token in range(len(logits))])


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(1.0, 1.0),
        Sampling(0.7, 0.9),
        Sampling(1.5, 0.5),
        Sampling(0.8, 1.0, min_p=0.1),
        Sampling(1.2, 0.8, min_p=0.2),
        Sampling(1.0, 0.0),
        Sampling(1.0, 1.0, min_p=1.0),
    ],
)
@pytest.mark.parametrize("few", [False, True])
def test_tokens_come_in_the_proportions_of_the_definition(sampling: Sampling, few: bool) -> None:
    logits = logits_of(40)
    allowed = np.ones(40, bool)
    allowed[5:] = not few
    allowed[3] = allowed[11] = False
    wanted = expected(logits, allowed, sampling)
    found = frequencies(logits, allowed, sampling)
    assert not found[wanted == 0].any()
    assert np.abs(found - wanted).max() < 5 * np.sqrt(0.25 / DRAWS)


def test_a_flat_distribution_over_many_tokens_is_cut_as_a_steep_one() -> None:
    """Too many candidates to sort them: what is drawn lies within the same nucleus."""
    count = 3 * SORTABLE
    logits, allowed = logits_of(count, 0.5), np.ones(count, bool)
    allowed[::7] = False
    for sampling in (Sampling(1.0, 0.6), Sampling(1.0, 0.6, min_p=0.3), Sampling(1.0, 1.0), Sampling(1.0, 0.01)):
        wanted = expected(logits, allowed, sampling)
        stream = random.Random(1)
        drawn = np.array([draw(logits, allowed, sampling, stream) for _ in range(600)])
        assert (wanted[drawn] > 0).all()
        assert np.log(wanted[drawn]).mean() == pytest.approx((wanted * np.log(wanted + (wanted == 0))).sum(), abs=0.1)


def test_a_long_tail_belongs_to_top_p_as_far_as_it_is_needed() -> None:
    """One token far above two thousand that together have a twelfth of the probability."""
    logits, stream = torch.tensor([10.0, *[0.0] * 2000]), random.Random(2)
    drawn = [draw(logits, np.ones(2001, bool), Sampling(1.0, 0.99), stream) for _ in range(2000)]
    assert 0.05 < sum(token > 0 for token in drawn) / 2000 < 0.11
    assert not any(draw(logits, np.ones(2001, bool), Sampling(1.0, 0.9), stream) for _ in range(500))


@given(st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=50), st.data())
def test_whatever_the_numbers_an_allowed_token_is_drawn(values: list[float], data: st.DataObject) -> None:
    allowed = np.zeros(len(values), bool)
    allowed[data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1))] = True
    sampling = Sampling(
        data.draw(st.sampled_from([0.0, 1e-6, 0.7, 1.5, 100.0])),
        data.draw(st.sampled_from([0.0, 0.3, 0.95, 1.0])),
        data.draw(st.sampled_from([0.0, 0.1, 1.0])),
        data.draw(st.sampled_from([1.0, 1.3])),
    )
    logits = torch.tensor(values)
    token = draw(logits, allowed, sampling, random.Random(data.draw(st.integers(0, 99))), [0, len(values) - 1])
    assert allowed[token] and logits.tolist() == torch.tensor(values).tolist()
    if sampling.temperature == 0 and sampling.repetition_penalty == 1:
        assert values[token] == max(value for value, may in zip(values, allowed, strict=True) if may)


def test_the_penalty_falls_on_what_was_repeated_whatever_its_sign() -> None:
    allowed = np.ones(4, bool)
    sampling = Sampling(temperature=0, repetition_penalty=1.5)
    assert draw(torch.tensor([3.0, 2.9, 0.0, -5.0]), allowed, sampling, random.Random(1), [0, 0]) == 1
    assert draw(torch.tensor([-3.0, -3.1, -9.0, -9.0]), allowed, sampling, random.Random(1), [0]) == 1
    assert draw(torch.tensor([3.0, 1.9, 0.0, -5.0]), allowed, sampling, random.Random(1), [0]) == 0


def test_no_number_is_a_fault_and_no_token() -> None:
    for bad in (float("nan"), float("inf")):
        with pytest.raises(Fault, match="no number"):
            draw(torch.tensor([1.0, bad, 0.0]), np.ones(3, bool), Sampling(), random.Random(1))
    with pytest.raises(Fault, match="no number"):
        draw(torch.tensor([1.0, 2.0]), np.zeros(2, bool), Sampling(), random.Random(1))


def test_streams_depend_on_the_seed_and_the_line_and_on_nothing_that_was_drawn() -> None:
    def numbers(drawn: int) -> list[float]:
        streams, found = Streams(4), []
        for _ in range(3):
            (stream,) = streams.of_line()
            found.append(stream.random())
            for _ in range(drawn):
                stream.random()
        return found

    assert numbers(0) == numbers(9)
    assert len(set(numbers(0))) == 3
    three, two = Streams(4).of_line(3), Streams(4).of_line(2)
    assert [stream.random() for stream in three][:2] == [stream.random() for stream in two]
    assert Streams(None).of_line()[0].random() != Streams(None).of_line()[0].random()
    assert Streams(4).of_line()[0].random() != Streams(5).of_line()[0].random()
