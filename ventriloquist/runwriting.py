"""The writing end of a run: what a stage gets to report to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ventriloquist.faults import Stopped
from ventriloquist.runevents import Appended, Event, Said, exchange_of, now
from ventriloquist.workspace import Workspace

PROGRESS_SECONDS = 0.2


class Run:
    """The writing end of a run: what a stage gets to report to."""

    def __init__(self, folder: Path, stage: str, paint: Callable[[Event], None] | None = None) -> None:
        self.folder = folder
        self.id = folder.name
        self.stage = stage
        self.stopping = False
        self._paint = paint
        self._events = Appended.events(folder)
        self._exchanges: Appended | None = None
        self._progress_due = 0.0
        self._pending: Event | None = None

    def phase(self, name: str) -> None:
        """A new part of the work begins."""
        self._flush_progress()
        self._progress_due = 0.0
        self._emit({"kind": "phase", "name": name})
        self.check()

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """How far the phase is; written a few times a second at most. Raises Stopped if a stop was asked for."""
        event: Event = {"kind": "progress", "done": done, "total": total, "unit": unit}
        now = time.monotonic()
        if now >= self._progress_due or done == total:
            self._pending = None
            self._progress_due = now + PROGRESS_SECONDS
            self._emit(event)
        else:
            self._pending = event
        self.check()

    def metric(self, step: int, **values: float) -> None:
        """Numbers of one step, such as the loss."""
        self._emit({"kind": "metric", "step": step, "values": values})

    def note(self, text: str, level: str = "info") -> None:
        """A sentence for the person who watches; `level` is info, warning or error. Never message text."""
        self._emit({"kind": "note", "level": level, "text": text})

    def exchange(self, step: int, before: Sequence[Said], written: Sequence[Said], real: Said) -> None:
        """A held-out exchange at a step: what was said before, what the model wrote, and what was really said.

        Lines are `{"name", "content_type", "text"}`: people's words, which go into a file of their own and to whoever
        watches here, never into the events.
        """
        told = exchange_of(step, before, written, real)
        self._exchanges = self._exchanges or Appended.exchanges(self.folder)
        self._exchanges.add(told)
        if self._paint:
            self._paint({**told, "kind": "exchange"})

    def check(self) -> None:
        """Raise Stopped if a stop was asked for."""
        if self.stopping:
            raise Stopped("Stopped; what was finished is kept. Start it again to go on.")

    def end(self, status: str, exit_code: int, error: str | None, makes: Mapping[str, Any]) -> None:
        """Write the last event."""
        self._flush_progress()
        self._emit({"kind": "end", "status": status, "exit": exit_code, "error": error, "makes": dict(makes)})
        self._events.sync()

    def close(self) -> None:
        self._events.close()
        if self._exchanges:
            self._exchanges.close()

    def _flush_progress(self) -> None:
        if self._pending is not None:
            event, self._pending = self._pending, None
            self._emit(event)

    def _emit(self, event: Event) -> None:
        event = {"t": now(), **event}
        self._events.add(event)
        if self._paint:
            self._paint(event)


class SilentRun(Run):
    """What the other processes of a stage report to: of several that do one stage together, the first is the run."""

    def __init__(self, workspace: Workspace, stage: str) -> None:
        self.folder = workspace.runs
        self.id = self.stage = stage
        self.stopping = False
        self._progress_due = 0.0
        self._pending: Event | None = None

    def exchange(self, step: int, before: Sequence[Said], written: Sequence[Said], real: Said) -> None:
        """Say nothing."""

    def _emit(self, event: Event) -> None:
        """Say nothing."""
