"""Describe: what there is, what it would cost and whom it concerns; a yes; then how far it is and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Static
from textual.worker import get_current_worker

from ventriloquist.faults import Fault
from ventriloquist.pipeline.survey import Latest, latest
from ventriloquist.runs import RunInfo, find_run, start, stop
from ventriloquist.settings import DescribeSettings
from ventriloquist.tui import proposal
from ventriloquist.tui.describing import CHOICES, CONNECTION, LATEST, STAGE, Choices, Reading, command, read
from ventriloquist.tui.follow import Follower
from ventriloquist.tui.paint import MUTED, put, row, shown
from ventriloquist.tui.screens.ask import AskScreen
from ventriloquist.tui.screens.base import AppScreen
from ventriloquist.tui.screens.confirm import ConfirmScreen
from ventriloquist.tui.screens.form import FormScreen
from ventriloquist.tui.widgets.plan import Plan
from ventriloquist.tui.widgets.under_way import UnderWay, outcome
from ventriloquist.workspace import Workspace

TICK = 0.25
LATEST_SECONDS = 2.0
"""How often new descriptions are read while a run lives."""
SURVEY_SECONDS, SURVEY_SHARE = 5.0, 0.1
"""How often everything is counted again while a run lives: at most a tenth of the time goes into it."""
ASKED = {
    "budget": ("At most how many dollars may be spent? (nothing: no bound but your settings)", "1.50"),
    "limit": ("At most how many different files may be sent? (nothing: all)", "100"),
    "only": ("Whose conversations only? Names with commas between them; nothing: everyone's.", "Maya, Dad"),
    "without": ("Whom to leave out? Names with commas between them; nothing: nobody.", "Maya, Dad"),
}
EMPTY = {"limit": "0", "only": "", "without": ""}
"""What an empty answer means, where it does not mean the settings' own."""


class DescribeScreen(AppScreen):
    """Counts in a thread, starts a run of its own and tails it; nothing here waits for the disk."""

    HELP = """Attachments become words, so that the model knows what was talked about. Nothing is sent before you have \
read how much it is, to whom it goes and what it costs, and said yes.

Only conversations in which someone has a name are sent from. Identical files are sent once; what is described is \
never paid for again. A run goes on when you leave; stopped, it can be started again, and goes on."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "Describe", key_display="↵", tooltip="Describe; asks before anything is sent"),
        Binding("s", "stop", "Stop", tooltip="Stop the run; what is described is kept"),
        Binding("v", "run", "Run", tooltip="The run's notes and its log"),
        Binding("m", "connection", "Model", show=False, tooltip="Choose who describes"),
        Binding("b", "ask('budget')", "Budget", show=False, tooltip="Set how much may be spent"),
        Binding("l", "ask('limit')", "Limit", show=False, tooltip="Set how many files may be sent"),
        Binding("o", "ask('only')", "Only", show=False, tooltip="Choose whose conversations are sent from"),
        Binding("w", "ask('without')", "Without", show=False, tooltip="Choose who is left out"),
        Binding("t", "turn('strangers')", "Strangers", show=False, tooltip="Send from strangers' conversations too"),
        Binding("r", "turn('retry_failed')", "Retry", tooltip="Ask again about files that failed, or not"),
        Binding("e", "options", "Options", tooltip="All options"),
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("escape,q", "back", "Back", key_display="esc"),
    ]

    @dataclass
    class RunWanted(Message):
        """Show this run."""

        run_id: str

    @dataclass
    class _Read(Message):
        """Everything was read, at the `number`th asking, in so many seconds."""

        number: int
        reading: Reading
        follower: Follower | None
        seconds: float

    @dataclass
    class _ReadLatest(Message):
        """The newest descriptions were read."""

        latest: Sequence[Latest]

    @dataclass
    class _Began(Message):
        """The run that this screen started has begun."""

        info: RunInfo

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.reading: Reading | None = None
        self.running: RunInfo | None = None
        self._follower: Follower | None = None
        self._asked = 0
        self._answered = 0
        self._refused: Choices = {}
        """What was chosen last, if it made no sense: so that it can be mended and need not be typed again."""
        self._starting = self._stopping = False
        self._painted_done = -1
        self._latest_due = self._survey_due = 0.0
        self._keys_for: tuple[Any, ...] = ()

    def compose(self) -> ComposeResult:
        with Horizontal(id="head"):
            yield Static(Content(STAGE), id="title")
            yield Static(id="where")
        yield Static(Content("Counting the attachments…"), id="none")
        yield UnderWay()
        yield Static(id="describe-last")
        yield Plan()
        yield Static(id="describe-next")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        for part in (UnderWay, Plan):
            self.query_one(part).display = False
        for name in ("#describe-last", "#describe-next"):
            self.query_one(name).display = False
        self.set_interval(TICK, self._tick)

    def on_screen_resume(self) -> None:
        if self.reading is None:
            self.read(None)
        elif self._asked == self._answered and time.monotonic() >= self._survey_due:  # not after each question
            self.read(self.reading.choices)

    # --- reading

    def read(self, choices: Choices | None) -> None:
        """Read everything, with these choices; an earlier reading that is not done is given up."""
        self._asked += 1
        self._read_disk(self._asked, choices, self._follower)
        self._paint_next()

    @work(thread=True, exit_on_error=False, exclusive=True, group="read")
    def _read_disk(self, number: int, choices: Choices | None, follower: Follower | None) -> None:
        worker, began = get_current_worker(), time.monotonic()
        reading = read(self.workspace, choices, lambda: worker.is_cancelled)
        if reading.running and (follower is None or follower.folder != reading.running.folder):
            follower = Follower(reading.running.folder)
            follower.catch_up()
        if not worker.is_cancelled:
            self.post_message(self._Read(number, reading, follower, time.monotonic() - began))

    @on(_Read)
    def _show(self, event: _Read) -> None:
        if event.number != self._asked:
            return
        self._answered = event.number
        self._survey_due = time.monotonic() + max(SURVEY_SECONDS, event.seconds / SURVEY_SHARE)
        new, before = event.reading, self.reading
        if new.fault and before and before.survey and new.choices != before.choices:
            self._refused = new.choices
            self.problem(new.fault)  # what was chosen makes no sense; all stays as it was
        else:
            self.reading, self._refused = new, {}
            if new.running and not self.running:
                self.running, self._follower = new.running, event.follower
            self._paint()
        self._paint_run()

    @work(thread=True, exit_on_error=False, exclusive=True, group="latest")
    def _read_latest(self) -> None:
        self.post_message(self._ReadLatest(latest(self.workspace, LATEST)))

    @on(_ReadLatest)
    def _show_latest(self, event: _ReadLatest) -> None:
        self.query_one(Plan).show_latest(event.latest)

    def _tick(self) -> None:
        follower = self._follower
        if not self.is_current or follower is None or not self.running:
            return
        if follower.look():
            self._paint_run()
        if follower.status != "running":
            self.running = self._follower = None
            self._stopping = False
            self.read(self.reading.choices if self.reading else None)
            self._paint_run()
            return
        now = time.monotonic()
        if now >= self._latest_due and follower.state.done != self._painted_done:
            self._latest_due, self._painted_done = now + LATEST_SECONDS, follower.state.done
            self._read_latest()
        if now >= self._survey_due and self._asked == self._answered and self.reading:
            self.read(self.reading.choices)

    # --- painting

    def _paint(self) -> None:
        """Show what was read."""
        reading = self.reading
        if reading is None:
            return
        survey, settings = reading.survey, reading.settings
        none = self.query_one("#none", Static)
        none.display = survey is None
        put(none, shown(reading.fault))
        plan = self.query_one(Plan)
        plan.display = survey is not None
        if survey is None or settings is None:
            return
        put(self.query_one("#where", Static), row(proposal.where(survey), None, MUTED))
        plan.show(reading)
        if self.focused is None:
            plan.focus()

    def _paint_run(self) -> None:
        """Show how far the run is, or what came of the last one."""
        follower = self._follower
        progress, plan = self.query_one(UnderWay), self.query_one(Plan)
        progress.display = follower is not None
        plan.show_running(follower is not None)
        if follower:
            progress.show(follower.state, stopping=self._stopping)
        last = self.query_one("#describe-last", Static)
        last.display = bool(not follower and self.reading and self.reading.last)
        put(last, outcome(self.reading.last) if self.reading and self.reading.last else Content(""))
        self._paint_next()

    def _paint_next(self) -> None:
        """Say what enter does now."""
        reading, panel = self.reading, self.query_one("#describe-next", Static)
        panel.display = bool(reading and reading.survey and not self.running)
        if reading and reading.survey and reading.settings:
            sentence = proposal.invitation(reading.settings, reading.survey)
            if self._asked != self._answered:
                sentence = "Counting…"
            put(panel, Content.assemble(("→ ", "$primary"), "Starting…" if self._starting else sentence))
        keys = self.reading is None, self.reading and self.reading.survey is None, self.running, self._starting
        if (state := (*keys, self._stopping, self._asked == self._answered)) != self._keys_for:
            self._keys_for = state
            self.refresh_bindings()

    # --- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        is_counted = bool(self.reading and self.reading.survey)
        if action in ("start", "ask", "turn", "connection"):
            survey = self.reading.survey if self.reading else None
            if parameters == ("retry_failed",) and survey and not proposal.without_words(survey):
                return False
            ready = is_counted and not self.running and not self._starting
            return ready and (action != "start" or self._asked == self._answered)
        if action == "options":
            return self.reading is not None and not self.running and not self._starting
        if action == "stop":
            return self.running is not None and not self._stopping
        return self.running is not None if action == "run" else True

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one(Plan).scroll_relative(y=lines, animate=False)

    def action_back(self) -> None:
        """Leave; a run goes on."""
        self.dismiss()

    def action_run(self) -> None:
        """Show the run's notes and its log."""
        if self.running:
            self.post_message(self.RunWanted(self.running.id))

    def _choose(self, changed: Choices) -> None:
        """Count again with other choices; None takes one back."""
        if self.reading:
            all_of_them = {**self.reading.choices, **changed}
            self.read({name: value for name, value in all_of_them.items() if value is not None})

    def action_ask(self, option: str) -> None:
        """Ask for one option."""
        question, example = ASKED[option]
        if not self.reading:
            return
        now = self._refused.get(option) or getattr(self.reading.settings, option, None)

        def chosen(typed: str | None) -> None:
            if typed is not None:
                self._choose({option: typed or EMPTY.get(option)})

        self.app.push_screen(AskScreen(question, "Take it", str(now or ""), example, may_be_empty=True), chosen)

    def action_turn(self, option: str) -> None:
        """Turn an option on or off."""
        if self.reading and self.reading.settings:
            self._choose({option: not getattr(self.reading.settings, option)})

    def action_connection(self) -> None:
        """Ask who describes."""
        self._ask_for(CONNECTION)

    def action_options(self) -> None:
        """Ask for all options."""
        self._ask_for(CHOICES)

    def _ask_for(self, names: Sequence[str]) -> None:
        if not self.reading:
            return

        def chosen(values: dict[str, Any] | None) -> None:
            if values is not None:
                self._choose({**dict.fromkeys(names), **values})

        form = FormScreen(DescribeSettings, self.workspace, names, self.reading.choices, "Take")
        self.app.push_screen(form, chosen)

    # --- the run

    def action_start(self) -> None:
        """Describe: at once if nothing is to be sent, else after a yes."""
        reading = self.reading
        if not reading or not reading.survey or not reading.settings:
            return
        if reading.survey.missing or not reading.survey.rows:
            self._begin(yes=False)
            return
        yes = "Describe" if reading.survey.stays_here else "Send"
        question = proposal.question(reading.settings, reading.survey)
        self.app.push_screen(ConfirmScreen(question, yes), self._answer(reading))

    def _answer(self, reading: Reading) -> Callable[[bool | None], None]:
        def answer(sure: bool | None) -> None:
            if sure:
                self.reading = reading  # what was agreed to, whatever was counted meanwhile
                self._begin(yes=True)

        return answer

    def _begin(self, *, yes: bool) -> None:
        if self._starting or self.running or not self.reading:
            return
        self._starting = True
        self._paint_next()
        self._start_run(command(self.reading.choices, yes=yes))

    @work(thread=True, exit_on_error=False, group="start")
    def _start_run(self, argv: Sequence[str]) -> None:
        try:
            self.post_message(self._Began(find_run(self.workspace, start(self.workspace, STAGE, argv))))
        except Fault as fault:
            self.app.call_from_thread(self.problem, str(fault))
        finally:
            self.app.call_from_thread(self._started)

    def _started(self) -> None:
        self._starting = False
        self._paint_next()

    @on(_Began)
    def _follow(self, event: _Began) -> None:
        self.running, self._follower = event.info, Follower(event.info.folder)
        if self.reading:  # failures are asked about again once, and not whenever something is sent
            again = {name: value for name, value in self.reading.choices.items() if name != "retry_failed"}
            self.read(again)
        self._paint_run()

    def action_stop(self) -> None:
        """Ask whether to stop, and do it."""
        question = "Stop describing? What is described is kept; enter goes on with the rest later."
        self.app.push_screen(ConfirmScreen(question, "Stop it", "Let it run"), self._stop)

    def _stop(self, sure: bool | None) -> None:
        if not sure or not self.running:
            return
        try:
            stop(self.running)
        except Fault as fault:
            self.problem(str(fault))
            return
        self._stopping = True
        self._paint_run()
