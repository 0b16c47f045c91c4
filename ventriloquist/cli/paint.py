"""A run's events on the terminal: a bar where there is one, lines where there is none, JSON where asked for."""

from __future__ import annotations

import json
import os
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TextIO

from ventriloquist.faults import from_os_error
from ventriloquist.runfold import HELD_OUT, RunState
from ventriloquist.runs import Event
from ventriloquist.text import dollars, one_line

Paint = Callable[[Event], None]
LINE_SECONDS = 10.0
"""How often lines tell how far the work is; each measurement on what was held out is told at once."""
CONTEXT_LINES = 4
TEXT_WIDTH = 300
WIDEST = 10_000
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
    """What is no terminal is likely to be kept as a log, where message text does not belong: no exchange is told."""

    def __init__(self, stream: TextIO, stage: str) -> None:
        self.stream, self.stage = stream, stage
        self.state = RunState()
        self._due = time.monotonic() + LINE_SECONDS

    def paint(self, event: Event) -> None:
        self.state.add(event)
        match event["kind"]:
            case "phase":
                self._print(f"{self.stage}: {one_line(event['name'])}")
                self._due = time.monotonic() + LINE_SECONDS
            case "note":
                self._print(note_line(event))
            case "progress" | "metric" if measures(event) or time.monotonic() >= self._due:
                self._print(f"{self.stage}: {', '.join(progress_words(self.state))}")
                self._due = time.monotonic() + LINE_SECONDS

    def _print(self, line: str) -> None:
        print(line, file=self.stream, flush=True)


def note_line(event: Event) -> str:
    """A note with the mark of its level."""
    return _MARKS[event["level"]] + one_line(event["text"])


def measures(event: Event) -> bool:
    """True for the metrics of what was held out."""
    return event["kind"] == "metric" and any(name in event["values"] for name in HELD_OUT)


def progress_words(state: RunState) -> list[str]:
    """Such as `1,200 of 8,000 steps`, `12 min left`, `loss 2.31`, `9,400 tokens/s`, `held-out text 2.40 (the best so
    far)`; what matters most comes first."""
    words = []
    if state.unit:
        words.append(f"{state.done:,}" + (f" of {state.total:,}" if state.total else "") + f" {one_line(state.unit)}")
    if state.eta:
        words.append(f"{duration(state.eta)} left")
    if "usd" in state.newest and state.newest["usd"][1]:
        words.append(f"{dollars(round(state.newest['usd'][1] * 1e6))} spent")
    if "loss" in state.newest:
        words.append(f"loss {state.newest['loss'][1]:.2f}")
    if "tokens_per_second" in state.newest:
        words.append(f"{state.newest['tokens_per_second'][1]:,.0f} tokens/s")
    if held_out := held_out_words(state):
        words.append(held_out)
    return words


def held_out_words(state: RunState) -> str:
    """Such as `held-out text 2.40 (best 2.38 at step 900)`; empty before anything was measured."""
    name = state.held_out
    if name is None:
        return ""
    step, value = state.newest[name]
    best, lowest = state.lowest.get(name, (step, value))
    told = f"best {lowest:.2f} at step {best:,}" if best != step else "the best so far"
    return f"{HELD_OUT[name]} {value:.2f} ({told})"


def exchange_lines(event: Event, width: int = WIDEST) -> Iterator[str]:
    """A held-out exchange: its last lines, what the model wrote there, and what was really said."""
    yield f"  step {event['step']:,}, a held-out exchange:"
    shown = [("before", line) for line in event["before"][-CONTEXT_LINES:]]
    shown += [("generated", line) for line in event["written"]] or [("generated", None)]
    shown.append(("real", event["real"]))
    before = ""
    for label, line in shown:
        words = f"{one_line(line['name'], 40)}: {said_words(line)}" if line else "(nothing)"
        mark = f"{label if label != before else '':>14}  "
        yield textwrap.fill(words, max(width, 40), initial_indent=mark, subsequent_indent=" " * (len(mark) + 2))
        before = label


def said_words(line: Mapping[str, str]) -> str:
    """A line's text; what is no text is named in front of it."""
    kind = "" if line["content_type"] in ("text", "link") else f"[{one_line(line['content_type'], 20)}] "
    return kind + one_line(line["text"], TEXT_WIDTH)


def duration(seconds: float) -> str:
    """Such as `8 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
