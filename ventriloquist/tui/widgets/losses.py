"""The losses of a training as shapes: one row for what it learns from, others for what was held out."""

from __future__ import annotations

import math

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Sparkline, Static

from ventriloquist.runfold import HELD_OUT, RunState
from ventriloquist.tui.paint import put
from ventriloquist.tui.words import amount

METRICS = {"loss": "train loss", "validation_loss": "held-out loss", "validation_text_loss": "held-out text"}


def low_of(values: list[float]) -> float:
    """The smallest of a bar's values: a loss's shape is its floor, not its spikes."""
    return min(values)


class LossRow(Horizontal):
    """A metric's name, its shape, its latest value, and the lowest one that was held out or the step it is at."""

    def __init__(self, metric: str, label: str) -> None:
        super().__init__()
        self.metric = metric
        self.label = label
        self._seen = -1

    def compose(self) -> ComposeResult:
        yield Static(Content(self.label), classes="label")
        yield Sparkline(summary_function=low_of)  # type: ignore[arg-type]
        yield Static(classes="latest")
        yield Static(classes="step")

    def show(self, state: RunState) -> None:
        """Draw the values that have come, if there are new ones."""
        self.display = self.metric in state.newest
        if not self.display or len(state.metrics) == self._seen:
            return
        self._seen = len(state.metrics)
        finite = [value for _, value in state.points(self.metric) if math.isfinite(value)]
        if finite != self.query_one(Sparkline).data:
            self.query_one(Sparkline).data = finite
        step, latest = state.newest[self.metric]
        put(self.query_one(".latest", Static), Content(amount(latest)))
        told = f"step {step:,}"
        if self.metric in HELD_OUT and self.metric in state.lowest:
            step, lowest = state.lowest[self.metric]
            told = f"best {amount(lowest)}, step {step:,}"
        put(self.query_one(".step", Static), Content(told))


class Losses(Vertical):
    """Hidden until there is a loss."""

    def compose(self) -> ComposeResult:
        for metric, label in METRICS.items():
            yield LossRow(metric, label)

    def show(self, state: RunState) -> None:
        """Draw what is new in `state`."""
        for loss_row in self.query(LossRow):
            loss_row.show(state)
        self.display = any(loss_row.display for loss_row in self.query(LossRow))
