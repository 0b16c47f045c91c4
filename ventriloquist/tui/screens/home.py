"""Home: where the workspace stands, stage by stage, and what to do next."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Static

from ventriloquist.settings import PIPELINE, STAGES
from ventriloquist.tui.follow import Follower
from ventriloquist.tui.overview import CHAT, Overview, advice, read_overview
from ventriloquist.tui.paint import put, row, shown
from ventriloquist.tui.screens.base import AppScreen
from ventriloquist.tui.widgets.stage_row import StageRow
from ventriloquist.tui.words import about, at_home
from ventriloquist.workspace import Workspace

TICK = 0.25
TICKS_PER_READING = 8
TALK_KEY = "l"
DESCRIBE = "describe"
"""The stage that has a screen of its own instead of a form."""


class HomeScreen(AppScreen):
    """The five stages and chat as rows. Reads the disk in a thread; while a run lives it tails the run's events."""

    HELP = """From messages to a conversation in five stages: collect reads your history, describe gives pictures \
words, preprocess cuts training windows, train teaches the model, evaluate measures it. Then you can chat.

A stage runs on its own: quitting the app or losing the connection stops nothing."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Next row", show=False),
        Binding("up,k", "move(-1)", "Row before", show=False),
        *(Binding(name[0], f"form('{name}')", name.capitalize(), show=False) for name in PIPELINE),
        Binding(TALK_KEY, "talk", "Talk", show=False),
        Binding("q", "app.quit", "Quit"),
        Binding("w", "people", "People"),
        Binding("s", "stats", "Stats", tooltip="Statistics: who wrote how much, and when"),
        Binding("g", "ledger", "Ledger", tooltip="What became of every row of the history"),
        Binding("v", "windows", "Windows", tooltip="What the model learns from, as it will read it"),
        Binding("r", "runs", "Runs"),
    ]

    @dataclass
    class FormWanted(Message):
        """Show the form that starts this stage."""

        stage: str

    @dataclass
    class RunWanted(Message):
        """Show this run."""

        run_id: str

    class ChatWanted(Message):
        """Talk with the model."""

    class StatsWanted(Message):
        """Show who wrote how much, and when."""

    class LedgerWanted(Message):
        """Show what became of every row."""

    class PeopleWanted(Message):
        """Show who is in the history."""

    class DescribeWanted(Message):
        """Show what there is to describe."""

    class WindowsWanted(Message):
        """Show what the model learns from."""

    class RunsWanted(Message):
        """Show all runs."""

    @dataclass
    class _Read(Message):
        """The disk was read."""

        overview: Overview
        followers: dict[str, Follower]

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.overview: Overview | None = None
        self._followers: dict[str, Follower] = {}
        self._reading = False
        self._ticks = 0

    def compose(self) -> ComposeResult:
        with Horizontal(id="head"):
            yield Static(Content("ventriloquist"), id="title")
            yield Static(row(at_home(self.workspace.root)), id="where")
        with Vertical(id="stages"):
            for name in (*PIPELINE, CHAT):
                yield StageRow(name, TALK_KEY if name == CHAT else name[0], about(STAGES[name]))
        yield Static(Content("Reading the workspace…"), id="next")
        yield Footer(compact=True)

    def on_mount(self) -> None:
        self.query_one(StageRow).focus()
        self.set_interval(TICK, self._tick)

    def on_screen_resume(self) -> None:
        self.read()

    def read(self) -> None:
        """Read the workspace again, unless that is being done."""
        if not self._reading:
            self._reading = True
            self._read_disk()

    @work(thread=True, exit_on_error=False, group="overview")
    def _read_disk(self) -> None:
        try:
            overview = read_overview(self.workspace)
            followers = {
                run.id: self._followers.get(run.id) or Follower(run.folder) for run in overview.running.values()
            }
            for run_id, follower in followers.items():
                if run_id not in self._followers:
                    follower.catch_up()
            self.post_message(self._Read(overview, followers))
        finally:
            self._reading = False

    @on(_Read)
    def _show(self, event: _Read) -> None:
        first, overview = self.overview is None, event.overview
        self.overview, self._followers = overview, event.followers
        for stage_row in self.query(StageRow):
            stage_row.show(overview.stages[stage_row.stage])
            self._show_progress(stage_row)
        sentence = advice(overview, on_mac=sys.platform == "darwin")
        head = Content.styled("! " if overview.fault else "→ ", "$text-error" if overview.fault else "$primary")
        put(self.query_one("#next", Static), Content.assemble(head, shown(sentence)))
        if first:
            self._focus_next_stage(overview)

    def _focus_next_stage(self, overview: Overview) -> None:
        order = ("running", "failed", "stopped", "lost", "stale", "ready")
        rows = [found for found in self.query(StageRow) if overview.stages[found.stage]["state"] in order]
        if rows:
            min(rows, key=lambda found: order.index(overview.stages[found.stage]["state"])).focus()

    def _tick(self) -> None:
        if not self.is_current or self.overview is None:
            return
        self._ticks += 1
        ended = False
        for follower in self._followers.values():
            if follower.look() and follower.status != "running":
                ended = True
        for stage_row in self.query(StageRow):
            self._show_progress(stage_row)
        due = self._ticks % TICKS_PER_READING == 0 and self.overview.unsettled(time.time())
        if ended or due:
            self.read()

    def _show_progress(self, stage_row: StageRow) -> None:
        run = self.overview.running.get(stage_row.stage) if self.overview else None
        follower = self._followers.get(run.id) if run else None
        if follower and follower.status == "running":
            stage_row.show_progress(follower.state)

    def action_move(self, step: int) -> None:
        """Move the focus by rows, around the ends."""
        rows = list(self.query(StageRow))
        here = next((number for number, stage_row in enumerate(rows) if stage_row.has_focus), -step)
        rows[(here + step) % len(rows)].focus()

    def action_form(self, stage: str) -> None:
        """Open the form of a stage, or its run if it is running; of describe, its screen."""
        if stage == DESCRIBE:
            self.post_message(self.DescribeWanted())
        elif self.overview and stage in self.overview.running:
            self.post_message(self.RunWanted(self.overview.running[stage].id))
        else:
            self.post_message(self.FormWanted(stage))

    def action_talk(self) -> None:
        """Open the chat, or tell why that cannot be yet."""
        if self.overview and self.overview.stages[CHAT]["state"] != "ready":
            self.notify("There is no trained model yet. Train one first (t).", title="Chat", markup=False)
        else:
            self.post_message(self.ChatWanted())

    def action_stats(self) -> None:
        """Show who wrote how much, and when."""
        self.post_message(self.StatsWanted())

    def action_ledger(self) -> None:
        """Show what became of every row."""
        self.post_message(self.LedgerWanted())

    def action_people(self) -> None:
        """Show who is in the history."""
        self.post_message(self.PeopleWanted())

    def action_windows(self) -> None:
        """Show what the model learns from."""
        self.post_message(self.WindowsWanted())

    def action_runs(self) -> None:
        """Show all runs."""
        self.post_message(self.RunsWanted())

    @on(StageRow.Opened)
    def _opened(self, event: StageRow.Opened) -> None:
        latest = self.overview.latest.get(event.stage) if self.overview else None
        state = self.overview.stages[event.stage]["state"] if self.overview else "unknown"
        if event.stage == CHAT:
            self.action_talk()
        elif state == "waiting" and self.overview:
            why = self.overview.stages[event.stage]["missing"]
            self.notify(f"{event.stage}: {why}.", markup=False)
        elif latest and state in ("running", "stopped", "lost") and event.stage != DESCRIBE:
            self.post_message(self.RunWanted(latest.id))
        else:
            self.action_form(event.stage)
