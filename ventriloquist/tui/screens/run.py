"""A run: how far it is, its losses, its notes and its output; alive or ended, it is read the same way."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Log, Static, TabbedContent, TabPane

from ventriloquist.faults import Fault
from ventriloquist.runfold import RunState
from ventriloquist.runs import RunInfo, find_run, resume, stop
from ventriloquist.text import one_line
from ventriloquist.tui import proposal, words
from ventriloquist.tui.follow import Follower
from ventriloquist.tui.paint import MUTED, put, row, shown, spread
from ventriloquist.tui.screens.base import AppScreen
from ventriloquist.tui.screens.confirm import ConfirmScreen
from ventriloquist.tui.widgets.losses import Losses
from ventriloquist.tui.widgets.meter import Meter
from ventriloquist.tui.widgets.voices import Voices
from ventriloquist.workspace import Workspace

TICK = 0.25
NOTES = 200
WIDE_ENOUGH = 70
"""On narrower screens what is left matters more than the rate, and the tokens a second more than the time so far."""
NOTE_LENGTH = 1000
ENDED = ("done", "stopped", "failed", "lost")
NOTE_STYLES = {"warning": "$text-warning", "error": "$text-error"}


class RunScreen(AppScreen):
    """Tails one run's directory four times a second."""

    HELP = """A run goes on when you leave this screen, quit the app or lose the connection. Stop asks it to save \
and end; resume starts the same command again, and it goes on from what stands."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "Stop"),
        Binding("u", "resume", "Resume"),
        Binding("v", "voices", "Voices", tooltip="What the model writes where held-out messages were written"),
        Binding("l", "log", "Notes/log"),
        Binding("escape,q", "back", "Back", key_display="esc"),
    ]

    @dataclass
    class Resumed(Message):
        """The same command was started again, as a new run."""

        run_id: str

    class _CaughtUp(Message):
        """All that was there when the screen opened is read."""

    def __init__(self, workspace: Workspace, info: RunInfo) -> None:
        super().__init__()
        self.workspace = workspace
        self.info = info
        self.follower = Follower(info.folder)
        self._caught_up = False
        self._notes = 0
        self._stop_asked = False
        self._resume_asked = False
        self._keys_for = ("", False, False)

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Static(id="phase")
        yield Meter(id="meter")
        yield Static(id="numbers")
        yield Static(id="rates")
        yield Static(id="outcome")
        yield Losses()
        with TabbedContent(id="tabs"):
            with TabPane("Notes", id="notes-tab"), VerticalScroll(id="notes"):
                yield Static(id="note-lines")
            with TabPane("Voices", id="voices-tab"), VerticalScroll(id="voices"):
                yield Voices()
            with TabPane("Log", id="log-tab"):
                yield Log(id="log", max_lines=5000)
        yield Footer(compact=True)

    def on_mount(self) -> None:
        self.query_one(TabbedContent).hide_tab("voices-tab")
        self._paint()
        self._catch_up()
        self.set_interval(TICK, self._tick)

    @work(thread=True, exit_on_error=False)
    def _catch_up(self) -> None:
        self.follower.catch_up()
        self.post_message(self._CaughtUp())

    def on_run_screen__caught_up(self) -> None:
        self._caught_up = True
        self._paint()
        self._grow_log()
        self._hear()

    def _tick(self) -> None:
        if not self._caught_up or not self.is_current:
            return
        self._hear()
        if self.follower.status != "running":
            self._grow_log()
            if not self.follower.look():
                return
        elif self.follower.look():
            self._grow_log()
        self._paint()

    def _paint(self) -> None:
        state, status = self.follower.state, self.follower.status if self._caught_up else "reading…"
        put(self.query_one("#head", Static), self._head(status))
        running = status == "running"
        put(self.query_one("#phase", Static), row(state.phase or ("starting" if running else ""), 80, "bold"))
        self.query_one("#phase").display = running
        self.query_one(Meter).display = running
        self.query_one(Meter).show(state.fraction)
        put(self.query_one("#numbers", Static), row(self._numbers(state, running), self.size.width - 4, MUTED))
        rates = self.query_one("#rates", Static)
        rates.set_class(not running or not _rates(state), "-none")
        put(rates, row(_rates(state), self.size.width - 4, MUTED))
        self._paint_outcome(state, status)
        self.query_one(Losses).show(state)
        self._paint_notes(state)
        if (status, self._stop_asked, self._resume_asked) != self._keys_for:
            self._keys_for = (status, self._stop_asked, self._resume_asked)
            self.refresh_bindings()

    def _head(self, status: str) -> Content:
        style = words.STATE_STYLES.get(status, MUTED)
        mark = words.MARKS.get(status, "")
        told = "stopping…" if self._stop_asked and status == "running" else status
        left = Content.assemble((one_line(self.info.stage, 20), "bold $primary"), "  ", (f"{mark} {told}", style))
        return spread(left, row(self.info.id, 40, MUTED), max(self.size.width - 4, 20))

    def _numbers(self, state: RunState, running: bool) -> str:
        if not running:
            when = words.ago(self.info.started, time.time())
            return f"started {when} · took {words.span(state.seconds)}" if self._caught_up else ""
        parts = []
        if state.done or state.total:
            of = f" of {state.total:,}" if state.total else ""
            parts.append(f"{state.done:,}{of} {state.unit}")
        if "tokens_per_second" in state.newest:
            parts.append(f"{state.newest['tokens_per_second'][1]:,.0f} tokens/s")
        elif state.rate and self.size.width >= WIDE_ENOUGH:
            parts.append(f"{words.amount(state.rate)}/s")
        if state.eta is not None:
            parts.append(words.left(state.eta))
        if self.size.width >= WIDE_ENOUGH or "tokens_per_second" not in state.newest:
            parts.append(f"{words.span(time.time() - state.started) if state.started else '0 s'} so far")
        return " · ".join(parts)

    def _paint_outcome(self, state: RunState, status: str) -> None:
        made = proposal.made(self.info.stage, state.makes)
        sentences = {
            "done": f"Made: {made}" if made else "Done.",
            "failed": f"{state.error or 'It failed.'} Press u to try it again.",
            "stopped": "Stopped; what was finished is kept. Press u to go on.",
            "lost": "It ended without a word: killed, or the machine went down. Press u to go on.",
        }
        outcome = self.query_one("#outcome", Static)
        outcome.display = status in ENDED
        put(outcome, shown(sentences.get(status, ""), words.STATE_STYLES.get(status, "")))

    def _hear(self) -> None:
        """Show what the model wrote since."""
        if self.follower.look_for_exchanges():
            self.query_one(TabbedContent).show_tab("voices-tab")
            self.query_one(Voices).show(self.follower.exchanges)
            self.refresh_bindings()

    def _paint_notes(self, state: RunState) -> None:
        count = len(state.notes) + self.follower.unreadable
        if count == self._notes and count:
            return
        self._notes = count
        lines = [_note(str(level), str(text)) for level, text in state.notes[-NOTES:]]
        if self.follower.unreadable:
            lines.append(Content(f"{self.follower.unreadable} events of this run could not be read."))
        nothing = Content.styled("No notes yet." if not state.end else "No notes.", MUTED)
        self.query_one("#note-lines", Static).update(Content("\n").join(lines) if lines else nothing)

    def _grow_log(self) -> None:
        lines = self.follower.log_lines()
        if lines:
            self.query_one(Log).write("\n".join(lines) + "\n")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "voices":
            return bool(self.follower.exchanges)
        status = self.follower.status if self._caught_up else ""
        if action == "stop":
            return status == "running" and not self._stop_asked
        if action == "resume":
            return status in ("stopped", "failed", "lost") and not self._resume_asked
        return True

    def action_back(self) -> None:
        """Leave; the run goes on."""
        self.dismiss()

    def action_log(self) -> None:
        """Show the other of notes and log."""
        tabs = self.query_one(TabbedContent)
        tabs.active = "log-tab" if tabs.active == "notes-tab" else "notes-tab"

    def action_voices(self) -> None:
        """Show what the model writes."""
        self.query_one(TabbedContent).active = "voices-tab"
        self.call_after_refresh(self.query_one("#voices").focus)

    def action_stop(self) -> None:
        """Ask whether to stop, and do it."""
        question = f"Stop {self.info.stage}? It saves what it has and ends; you can resume it later."
        self.app.push_screen(ConfirmScreen(question, "Stop it", "Let it run"), self._stop)

    def _stop(self, sure: bool | None) -> None:
        if not sure:
            return
        try:
            stop(self.info)
        except Fault as fault:
            self.problem(str(fault))
            return
        self._stop_asked = True
        self._paint()

    def action_resume(self) -> None:
        """Start the same command again."""
        self.notify(f"Starting {self.info.stage} again…", markup=False, timeout=2)
        self._resume_asked = True
        self._resume()

    @work(thread=True, exit_on_error=False, exclusive=True, group="resume")
    def _resume(self) -> None:
        try:
            now = find_run(self.workspace, self.info.id)  # `self.info` says whether it lived when the screen opened
            self.post_message(self.Resumed(resume(self.workspace, now)))
        finally:
            self._resume_asked = False


def _rates(state: RunState) -> str:
    """The numbers of training's steps that are neither losses nor told elsewhere."""
    names = ("learning_rate", "gradient_norm")
    told = (f"{name.replace('_', ' ')} {words.amount(state.newest[name][1])}" for name in names if name in state.newest)
    return " · ".join(told)


def _note(level: str, text: str) -> Content:
    mark = (f"{level}: " if level in NOTE_STYLES else "", NOTE_STYLES.get(level, ""))
    return Content.assemble(mark, shown(text[:NOTE_LENGTH]))
