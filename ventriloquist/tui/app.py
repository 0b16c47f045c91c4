"""The app: which screen follows which. It starts stages as runs of their own and never does one itself."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from ventriloquist.chat.process import ModelProcess
from ventriloquist.chat.session import Session
from ventriloquist.faults import Fault
from ventriloquist.model import checkpoint
from ventriloquist.runs import find_run, list_runs, start
from ventriloquist.settings import PIPELINE, STAGES, ChatSettings
from ventriloquist.text import one_line
from ventriloquist.tui.screens.base import sentence_of
from ventriloquist.tui.screens.chat import ChatScreen
from ventriloquist.tui.screens.describe import DescribeScreen
from ventriloquist.tui.screens.form import FormScreen
from ventriloquist.tui.screens.home import HomeScreen
from ventriloquist.tui.screens.ledger import LedgerScreen
from ventriloquist.tui.screens.people import PeopleScreen
from ventriloquist.tui.screens.run import RunScreen
from ventriloquist.tui.screens.runs import RunsScreen
from ventriloquist.tui.screens.stats import StatsScreen
from ventriloquist.tui.screens.windows import WindowsScreen
from ventriloquist.tui.themes import DEFAULT_THEME, THEMES, save_theme, saved_theme
from ventriloquist.tui.words import about
from ventriloquist.workspace import Workspace


def run(workspace: Workspace) -> list[str]:
    """Open the app on this terminal until the person leaves; returns the ids of the runs that go on.

    Raises a Fault if the app itself broke.
    """
    app = VentriloquistApp(workspace)
    app.run()
    if app.return_code:
        raise Fault("The app met an error that it could not go on from. Runs are not touched; open it again.")
    return [info.id for info in list_runs(workspace) if info.alive]


class VentriloquistApp(App[None]):
    """Screens ask by message; here the answers are screens."""

    TITLE = "Ventriloquist"
    CSS_PATH = "app.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-normal"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (23, "-medium"), (32, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, tooltip="Quit; runs go on"),
    ]

    @dataclass
    class Started(Message):
        """A stage became a run."""

        run_id: str

    @dataclass
    class Found(Message):
        """A checkpoint to talk with, verified."""

        folder: Path
        settings: ChatSettings

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace

    def get_default_screen(self) -> Screen[Any]:
        return HomeScreen(self.workspace)

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        saved = saved_theme(self.workspace)
        self.theme = saved if saved in self.available_themes else DEFAULT_THEME
        self.theme_changed_signal.subscribe(self, self._keep_theme)

    def _keep_theme(self, theme: Any) -> None:
        if theme.name == saved_theme(self.workspace):
            return
        try:
            save_theme(self.workspace, theme.name)
        except Fault as fault:
            self._problem(str(fault))

    def _problem(self, sentence: str) -> None:
        self.notify(one_line(sentence, 400), severity="error", timeout=10, markup=False)

    # --- what screens ask for

    @on(HomeScreen.FormWanted)
    def _show_form(self, event: HomeScreen.FormWanted) -> None:
        self._open_form(event.stage)

    def _open_form(self, stage: str) -> None:
        self.push_screen(FormScreen(STAGES[stage], self.workspace), partial(self._start, stage))

    def _start(self, stage: str, values: Mapping[str, Any] | None) -> None:
        if values is not None:
            self.notify(f"Starting {stage}…", timeout=2, markup=False)
            self._start_run(stage, STAGES[stage].argv(**values))

    @work(thread=True, exit_on_error=False, group="start")
    def _start_run(self, stage: str, argv: Sequence[str]) -> None:
        self.post_message(self.Started(start(self.workspace, stage, argv)))

    @on(Started)
    def _show_started(self, event: Started) -> None:
        self._open_run(event.run_id)

    @on(HomeScreen.RunWanted)
    @on(RunsScreen.RunWanted)
    @on(DescribeScreen.RunWanted)
    def _show_run(self, event: HomeScreen.RunWanted | RunsScreen.RunWanted | DescribeScreen.RunWanted) -> None:
        self._open_run(event.run_id)

    @on(RunScreen.Resumed)
    def _show_resumed(self, event: RunScreen.Resumed) -> None:
        if isinstance(self.screen, RunScreen):
            self.pop_screen()
        self._open_run(event.run_id)

    def _open_run(self, run_id: str) -> None:
        try:
            self.push_screen(RunScreen(self.workspace, find_run(self.workspace, run_id)))
        except Fault as fault:
            self._problem(str(fault))

    @on(HomeScreen.RunsWanted)
    def _show_runs(self) -> None:
        self.push_screen(RunsScreen(self.workspace))

    @on(HomeScreen.StatsWanted)
    def _show_stats(self) -> None:
        self.push_screen(StatsScreen(self.workspace))

    @on(HomeScreen.LedgerWanted)
    def _show_ledger(self) -> None:
        self.push_screen(LedgerScreen(self.workspace))

    @on(HomeScreen.WindowsWanted)
    def _show_windows(self) -> None:
        self.push_screen(WindowsScreen(self.workspace))

    @on(HomeScreen.DescribeWanted)
    def _show_describe(self) -> None:
        self.push_screen(DescribeScreen(self.workspace))

    @on(HomeScreen.PeopleWanted)
    def _show_people(self) -> None:
        self.push_screen(PeopleScreen(self.workspace))

    @on(HomeScreen.ChatWanted)
    def _show_chat(self) -> None:
        self._find_checkpoint()

    @work(thread=True, exit_on_error=False, exclusive=True, group="checkpoint")
    def _find_checkpoint(self) -> None:
        settings = ChatSettings.load(self.workspace)
        self.post_message(self.Found(checkpoint.find(self.workspace, settings.checkpoint), settings))

    @on(Found)
    def _talk(self, event: Found) -> None:
        if any(isinstance(screen, ChatScreen) for screen in self.screen_stack):
            return  # asked for twice; one model in memory is enough
        session = Session(ModelProcess(event.folder, event.settings), event.settings, self.workspace)
        self.push_screen(ChatScreen(session))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            self._problem(sentence_of(event.worker.error))

    # --- palette, quitting, breaking

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        for stage in PIPELINE:
            show = self._show_describe if stage == "describe" else partial(self._open_form, stage)
            yield SystemCommand(stage.capitalize(), about(STAGES[stage]), show)
        yield SystemCommand("Chat", "Talk with the people in the history", self._show_chat)
        yield SystemCommand("Statistics", "Who wrote how much, and when", self._show_stats)
        yield SystemCommand("Ledger", "What became of every row of the history", self._show_ledger)
        yield SystemCommand("People", "Who is in the history: names, merge, split", self._show_people)
        yield SystemCommand("Windows", "What the model learns from, as it will read it", self._show_windows)
        yield SystemCommand("Runs", "Every time a stage was started", self._show_runs)
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)
        yield SystemCommand("Quit", "Leave the app; runs go on", self.action_quit)

    def _fatal_error(self) -> None:
        """Tell where the app broke; unlike Textual's own traceback without locals, which hold people's words."""
        error = sys.exc_info()[1] or self._exception
        frames = "".join(traceback.format_tb(error.__traceback__)) if error else ""
        self.panic(Text(f"{frames}{type(error).__name__}"))
