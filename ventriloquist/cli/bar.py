"""A run's events as a bar on a terminal, its notes above it."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from ventriloquist.cli.paint import note_line, progress_words
from ventriloquist.runfold import RunState
from ventriloquist.runs import Event


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would end the process


class Bar:
    """Drawn from `start` to `stop`."""

    def __init__(self, stream: TextIO, stage: str) -> None:
        console = _Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            TextColumn("{task.fields[said]}", markup=False),
        )
        self._progress = Progress(*columns, console=console, transient=True, refresh_per_second=4)
        self._stage = stage
        self._state = RunState()
        self._task = self._progress.add_task(stage, total=None, said="")
        self.start = self._progress.start
        self.stop = self._progress.stop

    def paint(self, event: Event) -> None:
        """Show an event."""
        self._state.add(event)
        if event["kind"] == "note":
            self._progress.console.print(Text(note_line(event)))
        description = f"{self._stage}: {self._state.phase}" if self._state.phase else self._stage
        self._progress.update(
            self._task,
            description=description,
            completed=self._state.done,
            total=self._state.total,
            said=progress_words(self._state),
        )
