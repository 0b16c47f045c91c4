"""A run's events as a bar on a terminal, its notes above it."""

from __future__ import annotations

from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from ventriloquist.cli.paint import exchange_lines, held_out_words, measures, note_line, progress_words
from ventriloquist.runfold import RunState
from ventriloquist.runs import Event
from ventriloquist.text import one_line

WIDE, WIDE_BAR, NARROW_BAR = 100, 24, 10


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would end the process


class Bar:
    """Drawn from `start` to `stop`."""

    def __init__(self, stream: TextIO, stage: str) -> None:
        console = _Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(WIDE_BAR if console.width >= WIDE else NARROW_BAR),
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
        if event["kind"] == "exchange":
            for line in exchange_lines(event, self._progress.console.width):
                self._print(line)
            return
        self._state.add(event)
        match event["kind"]:
            case "note":
                self._print(note_line(event))
            case "metric" if measures(event):
                self._print(f"  step {event['step']:,}: {held_out_words(self._state)}")
        phase = "" if self._state.phase == self._stage else self._state.phase
        description = f"{self._stage}: {one_line(phase)}" if phase else self._stage
        self._progress.update(
            self._task,
            description=description,
            completed=self._state.done,
            total=self._state.total,
            said=self._fitting(progress_words(self._state), cell_len(description)),
        )

    def _print(self, line: str) -> None:
        self._progress.console.print(Text(line))

    def _fitting(self, words: list[str], before: int) -> str:
        """As many of the words as the line has room for, the first ones first."""
        width = self._progress.console.width
        room = width - before - (WIDE_BAR if width >= WIDE else NARROW_BAR) - 2
        while len(words) > 1 and cell_len(", ".join(words)) > room:
            words = words[:-1]
        return ", ".join(words)
