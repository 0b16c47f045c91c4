"""The losses of a training as shapes: one row for what it learns from, one for what was held out."""

from __future__ import annotations

import math

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Sparkline, Static

from ventriloquist.runfold import RunState
from ventriloquist.tui.words import amount

METRICS = {"loss": "train loss", "validation_text_loss": "held-out loss"}


def low_of(values: list[float]) -> float:
    """The smallest of a bar's values: a loss's shape is its floor, not its spikes."""
    return min(values)


class LossRow(Horizontal):
    """A metric's name, its shape and its latest value."""

    def __init__(self, metric: str, label: str) -> None:
        super().__init__()
        self.metric = metric
        self.label = label
        self._count = 0

    def compose(self) -> ComposeResult:
        yield Static(Content(self.label), classes="label")
        yield Sparkline(summary_function=low_of)  # type: ignore[arg-type]
        yield Static(classes="latest")
        yield Static(classes="step")

    def show(self, state: RunState) -> None:
        """Draw the values that have come, if there are new ones."""
        points = [(step, values[self.metric]) for step, values in state.metrics if self.metric in values]
        self.display = bool(points)
        if len(points) == self._count:
            return
        self._count = len(points)
        finite = [value for _, value in points if math.isfinite(value)]
        self.query_one(Sparkline).data = finite
        step, latest = points[-1]
        low = f" · lowest {amount(min(finite))}" if finite else ""
        self.query_one(".latest", Static).update(Content(f"{amount(latest)}{low}"))
        self.query_one(".step", Static).update(Content(f"step {step:,}"))


class Losses(Vertical):
    """Hidden until there is a loss."""

    def compose(self) -> ComposeResult:
        for metric, label in METRICS.items():
            yield LossRow(metric, label)

    def show(self, state: RunState) -> None:
        """Draw what is new in `state`."""
        for loss_row in self.query(LossRow):
            loss_row.show(state)
        self.display = bool(state.metrics)
