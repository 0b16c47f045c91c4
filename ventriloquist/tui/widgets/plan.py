"""All that is known of describing, on one page: what there is, what it would cost, what is sent, what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from ventriloquist.pipeline.survey import Latest
from ventriloquist.tui import proposal
from ventriloquist.tui.describing import Reading
from ventriloquist.tui.widgets.captions import Captions
from ventriloquist.tui.widgets.entries import Entries
from ventriloquist.tui.widgets.facts import Facts
from ventriloquist.tui.widgets.tally import Tally

WIDE = 110
"""Cells that two columns take; the app has the same bound."""


class Plan(VerticalScroll):
    """Two columns where there is room, else one."""

    def __init__(self) -> None:
        super().__init__()
        self._runs = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="describe-columns"):
            with Vertical(id="describe-there"):
                yield Tally()
                with Vertical(id="describe-choice"):
                    yield Static(Content("what it would cost"), classes="heading")
                    yield Facts(id="describe-costs")
                    yield Static(Content("what is sent"), classes="heading")
                    yield Facts(id="describe-choices")
            with Vertical(id="describe-came"):
                with Vertical(id="describe-why"):
                    yield Static(Content("without a description, and why"), classes="heading")
                    yield Entries(id="describe-failures")
                with Vertical(id="describe-latest"):
                    yield Static(Content("latest descriptions"), classes="heading")
                    yield Captions()

    def show(self, reading: Reading) -> None:
        """Take what was read, if there is a survey in it."""
        survey, settings = reading.survey, reading.settings
        if survey is None or settings is None:
            return
        self.query_one(Tally).show(survey)
        self.query_one("#describe-costs", Facts).show(proposal.costs(survey))
        self.query_one("#describe-choices", Facts).show(proposal.choices(settings, survey))
        self.query_one("#describe-failures", Entries).show(proposal.reasons(reading.failures))
        self.query_one("#describe-why").display = bool(reading.failures)
        self.show_latest(reading.latest)

    def show_latest(self, latest: Sequence[Latest]) -> None:
        """Take the newest descriptions."""
        self.query_one(Captions).show(latest)

    def show_running(self, runs: bool) -> None:
        """Take whether a run lives. While one does, what comes of it goes first: before the failures, and before what
        there is where there is room for one column only."""
        if runs != self._runs:
            self._runs = runs
            self.set_class(runs, "-describing")
            self.scroll_home(animate=False)
            self._arrange()

    def on_resize(self) -> None:
        self._arrange()

    def _arrange(self) -> None:
        came_first = self._runs and self.app.size.width < WIDE
        self._put_first("#describe-columns", "#describe-came" if came_first else "#describe-there")
        self._put_first("#describe-came", "#describe-latest" if self._runs else "#describe-why")

    def _put_first(self, box: str, part: str) -> None:
        parts, first = self.query_one(box), self.query_one(part)
        if parts.children[0] is not first:
            parts.move_child(first, before=0)
