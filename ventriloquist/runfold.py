"""The state of a run, folded from its events. What a screen, a table or `runs list` shows comes from here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ventriloquist.runs import Event, RunInfo, read_events

HELD_OUT = {"validation_text_loss": "held-out text", "validation_loss": "held-out"}
"""Losses on held-out messages, with their names: of the texts alone, by which the best checkpoint is chosen, and of
whole lines, as the loss of training is."""


@dataclass(slots=True)
class RunState:
    """Where a run stands. Times are seconds since 1970, `rate` is units a second in this phase.

    `newest` holds each metric's latest (step, value), `lowest` its lowest finite one and the first step that had it.
    """

    phase: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    started: float = 0.0
    latest: float = 0.0
    phase_started: float = 0.0
    progress_started: float = 0.0
    progress_first: int = 0
    metrics: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    newest: dict[str, tuple[int, float]] = field(default_factory=dict)
    lowest: dict[str, tuple[int, float]] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    end: str | None = None
    exit: int | None = None
    error: str | None = None
    makes: dict[str, Any] = field(default_factory=dict)

    @property
    def fraction(self) -> float | None:
        """Share of the phase that is done, or None where the total is unknown."""
        return min(self.done / self.total, 1.0) if self.total else None

    @property
    def rate(self) -> float | None:
        elapsed = self.latest - self.progress_started
        return (self.done - self.progress_first) / elapsed if elapsed > 0 and self.done > self.progress_first else None

    @property
    def eta(self) -> float | None:
        """Seconds until the phase is done, at its pace so far."""
        if self.end or not self.rate or self.total is None:
            return None
        return max(self.total - self.done, 0) / self.rate

    @property
    def seconds(self) -> float:
        return max(self.latest - self.started, 0.0)

    @property
    def held_out(self) -> str | None:
        """The first of the held-out losses that this run reports."""
        return next((name for name in HELD_OUT if name in self.newest), None)

    def points(self, name: str) -> list[tuple[int, float]]:
        """One metric over the steps: (step, value)."""
        return [(step, values[name]) for step, values in self.metrics if name in values]

    def add(self, event: Event) -> None:
        """Fold one more event in; unknown kinds and fields are let pass, so that newer runs can be read."""
        self.latest = _seconds(event)
        self.started = self.started or self.latest
        match event.get("kind"):
            case "phase":
                self.phase, self.phase_started = str(event["name"]), self.latest
                self.done, self.total, self.unit, self.progress_started = 0, None, "", 0.0
            case "progress":
                if not self.progress_started:
                    self.progress_started, self.progress_first = self.latest, event["done"]
                self.done, self.total, self.unit = event["done"], event["total"], event["unit"]
            case "metric":
                self._add_metric(event["step"], event["values"])
            case "note":
                self.notes.append((event["level"], event["text"]))
            case "end":
                self.end, self.error = event["status"], event["error"]
                self.exit, self.makes = event.get("exit"), event["makes"]

    def _add_metric(self, step: int, given: dict[str, Any]) -> None:
        values = {str(name): float(value) for name, value in given.items() if _is_number(value)}
        self.metrics.append((step, values))
        for name, value in values.items():
            self.newest[name] = step, value
            if math.isfinite(value) and value < self.lowest.get(name, (0, math.inf))[1]:
                self.lowest[name] = step, value


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)


def _seconds(event: Event) -> float:
    return datetime.fromisoformat(event["t"]).timestamp()


def fold(events: Iterable[Event]) -> RunState:
    """The state after `events`."""
    state = RunState()
    for event in events:
        state.add(event)
    return state


def status_of(state: RunState, alive: bool) -> str:
    """running, done, stopped, failed, or lost (no end, and nobody holds the lock)."""
    return state.end or ("running" if alive else "lost")


def read_state(run: RunInfo) -> tuple[RunState, str]:
    """The state of a run on disk and its status."""
    state = fold(read_events(run.folder))
    return state, status_of(state, run.alive)
