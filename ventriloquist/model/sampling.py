"""How a token is drawn: from the logits, what the grammar allows, and one random number."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ventriloquist.faults import Fault

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

REMEMBERED = 64
"""How many of the last text tokens the repetition penalty looks back on."""
FEW = 8
"""Where fewer than one in this many tokens is allowed, only these are looked at."""
FIRST_DEPTH = 8.0
"""Nats below the likeliest token down to which candidates for top-p are first looked for."""
SORTABLE = 4096
"""Candidates that are sorted; more of them take longer than a try or two without sorting."""
TRIED = 0.5
"""What a try must at least be worth: with this chance it lies within top-p."""
BLOCK = 512


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn.

    `temperature` 0 takes the likeliest. `top_p` keeps the likeliest tokens that together have this probability,
    `min_p` those with at least this share of the likeliest one's; both are measured after the temperature.
    `repetition_penalty` divides the positive and multiplies the negative logits of the last 64 text tokens, of this
    message and of those before it; only within a text, and never for a token with a quote, which may end it.
    `max_tokens` bounds the text; a longer one is cut and closed.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_tokens: int = 160


class Streams:
    """Random numbers from one seed: a stream for each line, so that what one line took changes no other."""

    def __init__(self, seed: int | None) -> None:
        self._seeds = random.Random(seed if seed is not None and seed >= 0 else None)

    def of_line(self, count: int = 1) -> list[random.Random]:
        """The streams for the next line, one for each candidate; the first is that of a line without others."""
        seed = self._seeds.getrandbits(64)
        return [random.Random(f"{seed}/{number}") for number in range(count)]


def draw(
    logits: torch.Tensor, allowed: Bools, sampling: Sampling, stream: random.Random, repeated: Sequence[int] = ()
) -> int:
    """A token that is allowed. `logits`, (vocabulary,), float32 on the CPU, stay as they are; `repeated` are those that
    the penalty falls on."""
    values, tokens = _allowed_values(logits.numpy(), allowed, sampling.repetition_penalty, repeated)
    best = int(values.argmax()) if len(values) else -1
    if best < 0 or not math.isfinite(values[best]):
        raise Fault("The model's output is no number. Try another precision, or a lower repetition penalty.")
    if sampling.temperature > 0:
        values -= values[best]
        values /= np.float32(sampling.temperature)
        best = _drawn(torch.softmax(torch.from_numpy(values), 0).numpy(), sampling, stream)
    return best if tokens is None else int(tokens[best])


def _allowed_values(
    logits: Floats, allowed: Bools, penalty: float, repeated: Sequence[int]
) -> tuple[Floats, npt.NDArray[Any] | None]:
    """A copy of the logits that count, and the tokens they belong to; None: all, what is not allowed at -inf."""
    if repeated and penalty != 1:
        logits = logits.copy()
        chosen = np.unique(np.array(repeated))
        marked = logits[chosen]
        logits[chosen] = np.where(marked > 0, marked / np.float32(penalty), marked * np.float32(penalty))
    logits, allowed = logits[: len(allowed)], allowed[: len(logits)]
    if np.count_nonzero(allowed) * FEW < len(logits):
        tokens = np.flatnonzero(allowed)
        return logits[tokens], tokens
    values = logits.copy()
    np.copyto(values, -np.inf, where=~allowed)
    return values, None


def _drawn(weights: Floats, sampling: Sampling, stream: random.Random) -> int:
    """The place of a token among what top-p and min-p leave, drawn in proportion to its weight."""
    floor = weights.max() * np.float32(min(sampling.min_p, 1))
    if sampling.top_p >= 1:
        return _at(weights if floor == 0 else np.where(weights >= floor, weights, 0), stream.random())
    places = _nucleus(weights, sampling.top_p)
    if places is None:
        return _tried(weights, floor, sampling.top_p, stream)
    places = places[: max(int(np.count_nonzero(weights[places] >= floor)), 1)]
    return int(places[_at(weights[places], stream.random())])


def _nucleus(weights: Floats, top_p: float) -> npt.NDArray[Any] | None:
    """The places of the likeliest tokens that together reach `top_p`, the likeliest first; None where they are many.

    Sorts only those that come near the likeliest, and more only where these do not reach it.
    """
    depth = FIRST_DEPTH
    peak = float(weights.max())
    while True:
        floor = peak * math.exp(-depth)
        places = np.flatnonzero(weights > floor)
        if len(places) > SORTABLE and top_p > TRIED:
            return None
        found = weights[places]
        if floor == 0 or float(found.sum(dtype=np.float64)) >= top_p:
            break
        depth *= 2
    order = np.argsort(-found, kind="stable")
    ordered = found[order].astype(np.float64)
    before = np.cumsum(ordered) - ordered
    return places[order[: max(int(np.count_nonzero(before < top_p)), 1)]]


def _tried(weights: Floats, floor: np.float32, top_p: float, stream: random.Random) -> int:
    """A place drawn from all until one lies within `top_p`: what is likelier than it weighs less than that."""
    while True:
        place = _at(weights, stream.random())
        weight = weights[place]
        if weight >= floor and float((weights * (weights > weight)).sum(dtype=np.float64)) < max(top_p, 1e-9):
            return place


def _at(weights: Floats, point: float) -> int:
    """The place that holds `point`, in [0, 1), of the weights' sum; never one without weight."""
    if len(weights) <= BLOCK:
        return _reached(weights, point * float(weights.sum(dtype=np.float64)))[0]
    blocks = np.add.reduceat(weights, np.arange(0, len(weights), BLOCK), dtype=np.float64)
    block, before = _reached(blocks, point * float(blocks.sum()))
    start = block * BLOCK
    return start + _reached(weights[start : start + BLOCK], point * float(blocks.sum()) - before)[0]


def _reached(weights: npt.NDArray[Any], target: float) -> tuple[int, float]:
    """The first place where the running sum exceeds `target`, or the last with weight; and the sum before it."""
    sums = np.cumsum(weights, dtype=np.float64)
    place = int(np.searchsorted(sums, target, side="right"))
    place = min(place, int(np.searchsorted(sums, sums[-1])))
    return place, float(sums[place] - weights[place])
