"""A run's events on the terminal: a bar where there is one, lines where there is none, JSON where asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

from ventriloquist.faults import from_os_error
from ventriloquist.runfold import RunState
from ventriloquist.runs import Event
from ventriloquist.text import one_line

Paint = Callable[[Event], None]
_MARKS = {"info": "  ", "warning": "! ", "error": "x "}


@contextmanager
def painting(stage: str, *, as_json: bool) -> Iterator[Paint]:
    """What to call with each event. Writes to copies of stdout and stderr, which a run takes for its log.

    Nobody listening is no reason for a run to fail: after the first event that cannot be written, no more are.
    """
    brush = _Brush()
    stream = os.fdopen(os.dup(1 if as_json else 2), "w", encoding="utf-8", errors="replace")
    with ExitStack() as at_end:
        at_end.callback(brush.attempt, stream.close)
        if as_json:
            brush.paint = lambda event: print(json.dumps(event), file=stream, flush=True)
        elif stream.isatty():
            from ventriloquist.cli.bar import Bar  # what only a terminal needs

            bar = Bar(stream, stage)
            brush.attempt(bar.start)
            at_end.callback(brush.attempt, bar.stop)
            brush.paint = bar.paint
        else:
            brush.paint = _Lines(stream, stage).paint
        yield brush
    if brush.broken and as_json and not isinstance(brush.broken, BrokenPipeError):
        raise from_os_error(brush.broken, "writing the events to standard output")


class _Brush:
    """Paints until the stream breaks."""

    def __init__(self) -> None:
        self.paint: Paint = lambda event: None
        self.broken: OSError | None = None

    def __call__(self, event: Event) -> None:
        if self.broken is None:
            self.attempt(lambda: self.paint(event))

    def attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            self.broken = self.broken or error


class _Lines:
    def __init__(self, stream: TextIO, stage: str) -> None:
        self.stream, self.stage = stream, stage
        self.state = RunState()

    def paint(self, event: Event) -> None:
        self.state.add(event)
        if event["kind"] == "phase":
            self._print(f"{self.stage}: {one_line(event['name'])}")
        elif event["kind"] == "note":
            self._print(note_line(event))

    def _print(self, line: str) -> None:
        print(line, file=self.stream, flush=True)


def note_line(event: Event) -> str:
    """A note with the mark of its level."""
    return _MARKS[event["level"]] + one_line(event["text"])


def progress_words(state: RunState) -> str:
    """Such as `1,200 of 8,000 messages, 12 s left, loss 2.31`."""
    words = []
    if state.unit:
        words.append(f"{state.done:,}" + (f" of {state.total:,}" if state.total else "") + f" {state.unit}")
    if state.eta is not None:
        words.append(f"{duration(state.eta)} left")
    losses = state.values("loss")
    if losses:
        words.append(f"loss {losses[-1]:.2f}")
    return ", ".join(words)


def duration(seconds: float) -> str:
    """Such as `8 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
