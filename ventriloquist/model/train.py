"""The training loop: the same weights whether it runs through or is killed and started again, bit for bit on a CPU.

A step's windows, learning rate and random numbers follow from the step's number alone, so going on needs nothing
but weights, the optimizer's state and that number.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ventriloquist.faults import Fault, Stopped
from ventriloquist.model import parallel
from ventriloquist.model.adapt import load_weights
from ventriloquist.model.batches import collate, split_step
from ventriloquist.model.checkpoint import BEST, Description, keep_newest, new_staging, seal
from ventriloquist.model.loss import TargetLoss
from ventriloquist.model.parallel import World
from ventriloquist.model.schedule import Schedule
from ventriloquist.model.state import Progress, collect_optimizer, collect_weights, restore, save_optimizer, trained
from ventriloquist.model.tokenised import Tokenised
from ventriloquist.runs import Run

KEPT_CHECKPOINTS = 2
MOST_NORM = 1.0

Sink = Callable[[int, dict[str, float]], None]
"""Takes the numbers of a step, as `--report-to` asks for."""


@dataclass(slots=True)
class Training:
    """One training, from its first step or from a checkpoint to its last."""

    model: Any
    tokenizer: Any
    optimizer: torch.optim.Optimizer
    data: Tokenised
    schedule: Schedule
    seed: int
    device: torch.device
    out: Path
    run: Run
    describe: Callable[[int, dict[str, float]], Description]
    validate: Callable[[TargetLoss], dict[str, float]] | None = None
    speak: Callable[[int], None] | None = None
    sink: Sink | None = None
    autocast: torch.dtype | None = None
    world: World = field(default_factory=World)
    progress: Progress = field(default_factory=Progress)

    def resume(self, folder: Path | None) -> None:
        """Go on from a checkpoint; only process 0 needs to know it."""
        first = self.world.first and folder is not None
        weights = load_weights(self.model, folder) if first and folder else {}
        restore(folder if first else None, weights, self.model, self.optimizer, self.world)
        self.progress = parallel.agree(Progress.read(folder) if first and folder else None, self.world)

    def fit(self) -> Progress:
        """All steps that are left; raises Stopped after saving when a stop was asked for, and Fault when the loss
        is no number any more."""
        loss = self._loss()
        parameters = list(trained(self.model).values())
        total = len(self.schedule.steps)
        self.model.train()
        if self.progress.validated < self.progress.step and self._is_due(self.progress.step):
            self._validate(loss)  # a stop came before it
            self._save()
        clock = _Clock()
        while self.progress.step < total:
            step = self.progress.step
            self._step(step, loss, parameters)
            done = self.progress.step = step + 1
            clock.add(self.progress.log[-1][3])
            last = done == total
            stopping = parallel.anyone(self._tell(done, total, clock), self.world, self.device)
            if not stopping and self._is_due(done):
                self._validate(loss)
            if stopping or done % self.schedule.save_every == 0 or last:
                self._save()
            clock.restart()
            if stopping:
                raise Stopped("Stopped; the checkpoint is saved. Start it again to go on.")
        return self.progress

    def _is_due(self, done: int) -> bool:
        """Whether the model is validated after so many steps."""
        at_end = done == len(self.schedule.steps)
        return self.validate is not None and (done % self.schedule.validate_every == 0 or at_end)

    def rehearse(self, step: int) -> None:
        """Do a step for the sake of knowing what it takes; nothing is told or saved."""
        self.model.train()
        self._step(step, self._loss(), list(trained(self.model).values()))

    def _step(self, step: int, loss: TargetLoss, parameters: list[torch.nn.Parameter]) -> None:
        number = (self.seed << 40) + (step << 8) + self.world.rank
        torch.manual_seed(number % (1 << 63))  # all that dropout draws from
        windows = self.schedule.steps[step]
        lengths = self.data.lengths
        batches = split_step(windows, lengths, self.schedule.batch_tokens, self.world.size)
        targets = sum(int(self.data.window(index)[1][1:].sum()) for index in windows)
        summed = torch.zeros((), dtype=torch.float64, device="cpu" if self.device.type == "mps" else self.device)
        scale = parallel.gradient_scale(self.world) / targets
        for indices in batches[self.world.rank :: self.world.size]:
            batch = collate(self.data, indices or windows[:1]).to(self.device)
            with self._precision():
                nats = loss.summed(batch)
            (nats * (scale if indices else 0.0)).backward()
            if indices:
                summed += nats.detach().to(summed.device)
        parallel.sum_gradients(parameters, self.world)
        norm = parallel.clip(parameters, MOST_NORM)
        mean = parallel.total(summed, self.world) / targets
        if not (math.isfinite(mean) and math.isfinite(norm)):
            raise _no_number(step + 1)
        rate = self.schedule.rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        tokens = int(lengths[list(windows)].sum())
        self.progress.tokens += tokens
        self.progress.log.append([mean, rate, norm, tokens, targets])

    def _loss(self) -> TargetLoss:
        with self._precision():
            return TargetLoss(self.model)

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if self.autocast is None:
            return contextlib.nullcontext()
        precision: contextlib.AbstractContextManager[Any] = torch.autocast(self.device.type, dtype=self.autocast)
        return precision

    def _tell(self, done: int, total: int, clock: _Clock) -> bool:
        """Tell the run how far it is; True if a stop was asked for."""
        if done % self.schedule.log_every == 0 or done == total:
            rows = self.progress.log[-self.schedule.log_every :]
            targets = sum(row[4] for row in rows)
            values = {
                "loss": sum(row[0] * row[4] for row in rows) / targets,
                "learning_rate": rows[-1][1],
                "gradient_norm": max(row[2] for row in rows),
                "tokens_per_second": clock.rate(),
            }
            self._report(done, values)
        try:
            self.run.progress(done, total, "steps")
        except Stopped:
            return True
        return False

    def _report(self, step: int, values: dict[str, float]) -> None:
        self.run.metric(step, **values)
        if self.sink:
            self.sink(step, values)

    def _validate(self, loss: TargetLoss) -> None:
        if self.validate is None:
            return
        step = self.progress.step
        with self._precision():
            values = parallel.agree(self.validate(loss), self.world)
        parallel.settle(self.model)
        self._report(step, values)
        self.progress.validated, self.progress.metrics = step, values
        least = math.inf if self.progress.best_loss is None else self.progress.best_loss
        if values["validation_text_loss"] < least:
            self.progress.best, self.progress.best_loss = step, values["validation_text_loss"]
            self._write(BEST)
        if self.speak:
            with self._precision():
                self.speak(step)

    def _save(self) -> None:
        tensors = collect_optimizer(self.model, self.optimizer)
        self._write(f"checkpoint-{self.progress.step}", tensors)
        if self.world.first:
            keep_newest(self.out, KEPT_CHECKPOINTS)

    def _write(self, name: str, optimizer: dict[str, torch.Tensor] | None = None) -> None:
        """Seal the weights as `out/name`, and with the optimizer's state all that it takes to go on."""
        step = self.progress.step
        weights = collect_weights(self.model)
        if not all(bool(weight.isfinite().all()) for weight in weights.values()):
            raise _no_number(step)
        if not self.world.first:
            return
        staging = new_staging(self.out)
        self.model.save_pretrained(staging, state_dict=weights, safe_serialization=True)
        self.tokenizer.save_pretrained(staging)
        if optimizer is not None:
            save_optimizer(staging, optimizer)
            self.progress.write(staging)
        metrics = self.progress.metrics if self.progress.validated == step else {}
        self.describe(step, metrics).write(staging)
        seal(staging, self.out / name)


def _no_number(step: int) -> Fault:
    return Fault(
        f"The loss is no longer a number at step {step}. The last checkpoint is kept; "
        "start again with a lower --learning-rate."
    )


class _Clock:
    """Tokens a second over the last while, without what saving and validating took."""

    def __init__(self) -> None:
        self.tokens, self.seconds, self.since = 0.0, 0.0, time.perf_counter()

    def add(self, tokens: float) -> None:
        now = time.perf_counter()
        self.tokens = self.tokens * 0.98 + tokens
        self.seconds = self.seconds * 0.98 + now - self.since
        self.since = now

    def restart(self) -> None:
        self.since = time.perf_counter()

    def rate(self) -> float:
        return round(self.tokens / self.seconds, 1) if self.seconds else 0.0
