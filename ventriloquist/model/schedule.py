"""What a training does in which step: its windows, its learning rate, and when it saves and validates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ventriloquist.model.batches import Indices, all_steps, padding
from ventriloquist.model.tokenised import Tokenised
from ventriloquist.settings import TrainSettings

WARM_UP = 0.03
MOST_WARM_UP = 100
SAVES = 10
LOGGED = 400
"""A run's events tell the loss about this often."""
GPU_BATCH_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every step of a training, in order. Intervals are in steps; `batch_tokens` bounds what goes through the model
    at once, padding included."""

    steps: Sequence[Indices]
    learning_rate: float
    batch_tokens: int
    save_every: int
    validate_every: int
    log_every: int

    def rate(self, step: int) -> float:
        """The learning rate of step `step` (0 is the first): a linear rise, then half a cosine down to zero."""
        warm = min(max(round(len(self.steps) * WARM_UP), 1), MOST_WARM_UP)
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        gone = (step - warm) / max(len(self.steps) - warm, 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * gone))

    def tokens(self, data: Tokenised) -> int:
        """Tokens read in the whole training, padding left out."""
        lengths = data.lengths
        return int(sum(lengths[list(step)].sum() for step in self.steps))

    def targets(self, data: Tokenised) -> int:
        """Tokens learnt in the whole training."""
        targets = data.targets()
        return int(sum(targets[list(step)].sum() for step in self.steps))

    def padding(self, data: Tokenised) -> float:
        """The share of padding in what the model computes."""
        return padding(self.steps, data.lengths)


def schedule(data: Tokenised, settings: TrainSettings, *, on_gpu: bool, world: int = 1) -> Schedule:
    """The schedule of a training on these windows."""
    recipe = settings.recipe
    steps = all_steps(data.lengths, max(settings.windows_per_step, world), settings.seed, recipe.epochs)
    if settings.max_steps:
        steps = steps[: settings.max_steps]
    tenth = max(len(steps) // SAVES, 1)
    return Schedule(
        steps,
        recipe.learning_rate,
        settings.tokens_per_batch or (GPU_BATCH_TOKENS if on_gpu else int(np.max(data.lengths))),
        settings.save_steps or tenth,
        settings.validate_steps or tenth,
        max(len(steps) // LOGGED, 1),
    )
