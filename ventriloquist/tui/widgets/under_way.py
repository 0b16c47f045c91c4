"""How far a run of describe is and what it has cost so far; and what came of one that is over."""

from __future__ import annotations

import time

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from ventriloquist.pipeline.selection import several
from ventriloquist.runfold import RunState
from ventriloquist.text import dollars, one_line
from ventriloquist.tui import proposal, words
from ventriloquist.tui.describing import LastRun
from ventriloquist.tui.paint import MUTED, put, row
from ventriloquist.tui.widgets.meter import Meter

ROOMY = 70
"""On narrower screens the number of requests is left out."""
MOST = 1e9
"""A number of dollars or requests above this is none."""


class UnderWay(Vertical):
    """The phase, a bar, and the numbers."""

    def compose(self) -> ComposeResult:
        yield Static(id="describe-phase")
        yield Meter()
        yield Static(id="describe-pace")

    def show(self, state: RunState, *, stopping: bool) -> None:
        """Take where the run stands."""
        phase = "stopping…" if stopping else state.phase or "starting"
        put(self.query_one("#describe-phase", Static), row(phase, 80, "bold"))
        self.query_one(Meter).show(state.fraction)
        put(self.query_one("#describe-pace", Static), row(pace(state, self.app.size.width), None, MUTED))


def pace(state: RunState, width: int) -> str:
    """How many files, how long still, and what it has cost so far."""
    parts = [f"{state.done:,} of {state.total:,} {one_line(state.unit, 40)}"] if state.total else []
    if state.eta is not None:
        parts.append(words.left(state.eta))
    if (spent := state.newest.get("usd")) and 0 <= spent[1] < MOST:
        parts.append(f"{dollars(round(spent[1] * 1e6))} so far")
    if (requests := state.newest.get("requests")) and width >= ROOMY and 0 <= requests[1] < MOST:
        parts.append(several(int(requests[1]), "request"))
    return " · ".join(parts)


def outcome(last: LastRun) -> Content:
    """What came of a run that is over, and what can be done."""
    state = last.state
    sentences = {
        "done": proposal.came_of(state.makes),
        "failed": one_line(state.error or "It failed.", 400),
        "stopped": "What is described is kept; enter goes on.",
        "lost": "Killed, or the machine went down. What is described is kept; enter goes on.",
    }
    bounded = last.status == "done" and last.info.settings.get("budget") is not None and state.makes.get("left")
    warnings = [one_line(text, 200) for level, text in state.notes if level == "warning" and bounded]
    return Content.assemble(
        (f"{words.MARKS.get(last.status, '')} {last.status}", words.STATE_STYLES.get(last.status, MUTED)),
        (f"  {words.ago(last.info.started, time.time())}  ", MUTED),
        " ".join([sentences.get(last.status, ""), *warnings[-1:]]),
    )
