"""The state of a run, folded from its events. What a screen, a table or `runs list` shows comes from here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ventriloquist.runs import Event, RunInfo, read_events


@dataclass(slots=True)
class RunState:
    """Where a run stands. Times are seconds since 1970, `rate` is units a second in this phase."""

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

    def values(self, name: str) -> list[float]:
        """One metric over the steps."""
        return [values[name] for _, values in self.metrics if name in values]

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
                self.metrics.append((event["step"], event["values"]))
            case "note":
                self.notes.append((event["level"], event["text"]))
            case "end":
                self.end, self.error = event["status"], event["error"]
                self.exit, self.makes = event.get("exit"), event["makes"]


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
