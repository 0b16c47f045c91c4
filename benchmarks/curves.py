"""Held-out loss over tokens processed: where a training is judged, and how two curves are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.ours import CPU
from ventriloquist.model.loss import TargetLoss
from ventriloquist.model.validate import HeldOut, validate

BATCH_TOKENS = 8192
LAST_POINTS = 3
"""How many of the recipe's last points are compared with."""


@dataclass(frozen=True, slots=True)
class Point:
    """A model's mean loss on held-out messages after so much training, in nats a token of the line and of its text."""

    tokens: int
    steps: int
    targets: int
    loss: float
    text: float


@dataclass(slots=True)
class Curve:
    """The points of one training, in order."""

    name: str
    points: list[Point] = field(default_factory=list)

    def tokens_to(self, loss: float, part: str = "loss") -> float | None:
        """Tokens processed when the held-out loss first fell to `loss`, interpolated in log tokens.

        None if it never did. Where the first point lies below already, its tokens: at most too many.
        """
        before: Point | None = None
        for point in self.points:
            here = getattr(point, part)
            if here <= loss:
                if before is None or here == getattr(before, part):
                    return float(point.tokens)
                share = (getattr(before, part) - loss) / (getattr(before, part) - here)
                return math.exp(math.log(before.tokens) + share * math.log(point.tokens / before.tokens))
            before = point
        return None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Meeting:
    """What each side had processed at one held-out loss of the recipe's."""

    loss: float
    ours: float | None
    theirs: int

    @property
    def ratio(self) -> float:
        """How many times as many tokens the recipe took; 0 if ours never got there."""
        return self.theirs / self.ours if self.ours else 0.0


def meetings(ours: Curve, theirs: Curve, part: str = "loss") -> list[Meeting]:
    """Ours at the losses of the recipe's last points."""
    found = []
    for point in theirs.points[-LAST_POINTS:]:
        loss = getattr(point, part)
        found.append(Meeting(loss, ours.tokens_to(loss, part), point.tokens))
    return found


class Judge:
    """Scores a model on held-out messages whenever it has processed the next of `counts` tokens."""

    def __init__(self, name: str, model: Any, held_out: HeldOut, counts: Sequence[int]) -> None:
        self.curve = Curve(name)
        self.model, self.held_out, self.left = model, held_out, sorted(counts)

    def __call__(self, tokens: int, steps: int, targets: int) -> bool:
        """Called after each step; True once nothing is left to judge."""
        if self.left and tokens >= self.left[0]:
            loss, text = judged(self.model, self.held_out)
            self.curve.points.append(Point(tokens, steps, targets, loss, text))
            self.left = [count for count in self.left if count > tokens]
        return not self.left


def judged(model: Any, held_out: HeldOut) -> tuple[float, float]:
    """The mean loss over all tokens of the held-out messages, and over those of their text."""
    found = validate(TargetLoss(model), held_out, BATCH_TOKENS, CPU)
    return found["validation_loss"], found["validation_text_loss"]


def spaced(first: int, last: int, factor: float) -> list[int]:
    """Token counts from `first` to `last`, both included, each about `factor` times the one before."""
    steps = max(round(math.log(last / first) / math.log(factor)), 1)
    return [round(first * (last / first) ** (step / steps)) for step in range(steps + 1)]
