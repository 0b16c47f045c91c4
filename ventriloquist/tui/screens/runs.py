"""All runs of the workspace, the newest first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from ventriloquist.runfold import RunState, status_of
from ventriloquist.runs import RunInfo, list_runs
from ventriloquist.text import one_line
from ventriloquist.tui import proposal, words
from ventriloquist.tui.follow import Follower
from ventriloquist.tui.paint import MUTED, row, spread
from ventriloquist.tui.screens.base import AppScreen
from ventriloquist.workspace import Workspace

SHOWN = 200
REFRESH = 2.0


@dataclass(frozen=True, slots=True)
class ReadRun:
    """A run and where it stands."""

    info: RunInfo
    state: RunState
    status: str


class RunList(OptionList):
    """The list, with its key told in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "Open", key_display="enter")]


class RunsScreen(AppScreen):
    """A list; enter opens a run."""

    HELP = """Every time a stage was started, the newest first. Enter opens a run: its notes, its output, how it \
ended, and resume."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "back", "Back", key_display="esc"),
    ]

    @dataclass
    class RunWanted(Message):
        """Show this run."""

        run_id: str

    @dataclass
    class _Read(Message):
        """The runs were read."""

        runs: list[ReadRun]

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.runs: list[ReadRun] = []
        self._ended: dict[str, ReadRun] = {}
        self._reading = False

    def compose(self) -> ComposeResult:
        yield Static(Content("runs"), id="head")
        yield Static(Content("Reading the runs…"), id="none")
        yield RunList(id="list")
        yield Footer()

    def on_mount(self) -> None:
        self.set_interval(REFRESH, self._refresh_living)

    def on_screen_resume(self) -> None:
        self.read()

    def on_resize(self) -> None:
        self._list()

    def read(self) -> None:
        """Read the runs again, unless that is being done."""
        if not self._reading:
            self._reading = True
            self._read_disk()

    def _refresh_living(self) -> None:
        if self.is_current and any(run.status == "running" for run in self.runs):
            self.read()

    @work(thread=True, exit_on_error=False)
    def _read_disk(self) -> None:
        try:
            found = []
            for info in reversed(list_runs(self.workspace)[-SHOWN:]):
                run = self._ended.get(info.id) or _read(info)
                if run.state.end:
                    self._ended[info.id] = run
                found.append(run)
            self.post_message(self._Read(found))
        finally:
            self._reading = False

    @on(_Read)
    def _show(self, event: _Read) -> None:
        self.runs = event.runs
        none = self.query_one("#none", Static)
        none.update(Content("No stage has been started in this workspace yet. Go back and press c to collect."))
        none.display = not self.runs
        self._list()

    def _list(self) -> None:
        listed = self.query_one(RunList)
        chosen = listed.highlighted
        width = max(self.size.width - 5, 20)
        listed.set_options([Option(_line(run, width)) for run in self.runs])
        if self.runs:
            listed.highlighted = min(chosen or 0, len(self.runs) - 1)
            listed.focus()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.post_message(self.RunWanted(self.runs[event.option_index].info.id))

    def action_back(self) -> None:
        """Leave."""
        self.dismiss()


def _read(info: RunInfo) -> ReadRun:
    follower = Follower(info.folder)
    follower.catch_up()
    return ReadRun(info, follower.state, status_of(follower.state, info.alive))


def _line(run: ReadRun, width: int) -> Content:
    style = words.STATE_STYLES.get(run.status, MUTED)
    left = Content.assemble(
        (words.MARKS.get(run.status, words.UNKNOWN_MARK), style),
        "  ",
        (one_line(run.info.stage, 12).ljust(12), "bold"),
        (run.status.ljust(9), style),
    )
    when = row(words.ago(run.info.started, time.time()), None, MUTED)
    below = row(f"{one_line(run.info.id, 40)} · {_result(run)}", max(width - 3, 1), MUTED)
    return Content.assemble(spread(left, when, width), "\n   ", below)


def _result(run: ReadRun) -> str:
    if run.status == "running":
        share = f" {run.state.fraction:.0%}" if run.state.fraction is not None else ""
        return f"{run.state.phase or 'starting'}{share}"
    if run.status == "done":
        return proposal.made(run.info.stage, run.state.makes) or "done"
    return run.state.error or "ended without a word"
