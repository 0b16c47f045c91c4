"""Our side of the benchmarks: the product's own training, one optimizer step at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ventriloquist.model.adapt import build_optimizer
from ventriloquist.model.loss import TargetLoss
from ventriloquist.model.schedule import Schedule, schedule
from ventriloquist.model.state import trained
from ventriloquist.model.tokenised import Tokenised
from ventriloquist.model.train import Training
from ventriloquist.settings import TrainSettings

CPU = torch.device("cpu")
WARM_STEPS = 3


@dataclass(frozen=True, slots=True)
class Level(Schedule):
    """A schedule whose learning rate stays where it is after three steps, so that no point of a curve depends on where
    the training would have ended."""

    def rate(self, step: int) -> float:
        return self.learning_rate * min((step + 1) / WARM_STEPS, 1.0)


class Ours:
    """A training of `model` on `data`; `step` does the next optimizer step as `train` does it.

    With `level` the learning rate is held after the warm-up; otherwise it follows the product's cosine.
    """

    def __init__(
        self, model: Any, tokenizer: Any, data: Tokenised, settings: TrainSettings, *, level: bool, on_gpu: bool = False
    ) -> None:
        plan = schedule(data, settings, on_gpu=on_gpu)
        if level:
            plan = Level(**{name: getattr(plan, name) for name in Schedule.__slots__})
        self.data, self.schedule, self.model = data, plan, model
        device = next(model.parameters()).device
        self.training = Training(
            model, tokenizer, build_optimizer(model, settings), data, plan, settings.seed, device,
            out=Path(), run=None, describe=None,  # nothing is saved and nobody is told
            autocast=torch.bfloat16 if on_gpu else None,
        )  # fmt: skip
        self.loss = TargetLoss(model)
        self.parameters = list(trained(model).values())
        self.steps = self.tokens = self.targets = 0
        model.train()

    def step(self) -> None:
        windows = self.schedule.steps[self.steps]
        self.training._step(self.steps, self.loss, self.parameters)
        lengths = self.data.lengths[list(windows)]
        self.tokens += int(lengths.max()) * len(windows)  # padding counts
        self.targets += int(self.data.lines[list(windows)].sum())
        self.steps += 1

    @property
    def left(self) -> int:
        """Steps that are left."""
        return len(self.schedule.steps) - self.steps

    def seconds_for(self, steps: int) -> float:
        """CPU seconds of so many steps."""
        before = time.process_time()
        for _ in range(steps):
            self.step()
        return time.process_time() - before
