"""A stage as two lines: its key, mark, name, state and when; below, what it made or how far it is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from ventriloquist.runfold import RunState
from ventriloquist.text import one_line
from ventriloquist.tui import words
from ventriloquist.tui.paint import MUTED, row, spread
from ventriloquist.tui.widgets.meter import bar

INDENT = 6
BAR = 24


class StageRow(Widget, can_focus=True):
    """One stage; enter or a click opens it."""

    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "open", "Open", key_display="↵")]

    @dataclass
    class Opened(Message):
        """The person chose this stage."""

        stage: str

    def __init__(self, stage: str, key: str, about: str) -> None:
        super().__init__()
        self.stage = stage
        self.key = key
        self.about = about
        self.facts: dict[str, Any] = {"state": "unknown", "makes": None, "when": None, "missing": None}
        self.progress: RunState | None = None
        self._painted = (0.0, 0)

    def show(self, facts: dict[str, Any]) -> None:
        """Take what `pipeline.status` says of the stage."""
        if facts["state"] != "running":
            self.progress = None
        self.facts = facts
        self.refresh()

    def show_progress(self, progress: RunState) -> None:
        """Take how far the stage's run is."""
        self.progress = progress
        if (progress.latest, progress.done) != self._painted:
            self._painted = (progress.latest, progress.done)
            self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        state = str(self.facts["state"])
        style = words.STATE_STYLES.get(state, MUTED)
        known = state != "unknown"
        head = Content.assemble(
            (self.key, "$primary"),
            "  ",
            (words.MARKS.get(state, words.UNKNOWN_MARK), style),
            "  ",
            (self.stage.ljust(12), "bold"),
            (state if known else "reading…", style),
        )
        when = Content.styled(words.ago(self.facts["when"], time.time()), MUTED)
        return Content.assemble(spread(head, when, width), "\n", " " * INDENT, self._detail(width - INDENT))

    def _detail(self, width: int) -> Content:
        if self.progress is not None and self.facts["state"] == "running":
            return progress_line(self.progress, width)
        parts = [str(self.facts[name]) for name in ("makes", "missing") if self.facts[name]]
        return row(" · ".join(parts) or self.about, max(width, 1), MUTED)

    def action_open(self) -> None:
        """Tell that this stage was chosen."""
        self.post_message(self.Opened(self.stage))

    def on_click(self, event: Click) -> None:
        event.stop()
        self.focus()
        self.action_open()


def progress_line(state: RunState, width: int) -> Content:
    """Bar, share and what is left, or the phase where no total is known."""
    fraction = state.fraction
    if fraction is None:
        return row(f"{state.phase or 'starting'}{'…' if not state.done else f' · {state.done:,} {state.unit}'}", width)
    told = f" {fraction:4.0%}  {words.left(state.eta) if state.eta is not None else ''}"
    phase = one_line(state.phase, 24)
    tail = Content.styled(f"  {phase}" if width >= BAR + len(told) + len(phase) + 2 else "", MUTED)
    return Content.assemble(bar(fraction, min(BAR, max(width - len(told), 4))), told.rstrip(), tail)
