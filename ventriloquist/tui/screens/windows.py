"""The training windows: any of them as the model will read it, its targets marked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Input, Static
from textual.worker import get_current_worker

from ventriloquist.faults import Fault
from ventriloquist.people.finding import folded
from ventriloquist.pipeline.tokens import TokensOf
from ventriloquist.pipeline.windows import (
    CutAnew,
    Index,
    Place,
    Whom,
    choose,
    conversations_of,
    count_tokens,
    find_words,
    people_of,
    read_index,
    read_window,
    tokens_by,
)
from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED, put, row, spread
from ventriloquist.tui.screens.ask import AskScreen
from ventriloquist.tui.screens.base import AppScreen
from ventriloquist.tui.screens.pick import PickScreen
from ventriloquist.tui.widgets.clean_input import CleanInput
from ventriloquist.tui.widgets.window_text import HIT, MARK_STYLES, MARKS, WindowText
from ventriloquist.windows.build import SPLITS, Window
from ventriloquist.windows.marking import Role, has_unlearnt_delta, mark
from ventriloquist.workspace import Workspace

TELL_SECONDS = 0.1


class WindowsScreen(AppScreen):
    """One window at a time. The file is gone through in a thread; what is shown is read from its place in it."""

    AUTO_FOCUS = ""
    HELP = """What the model learns from (train) and what it is measured on (validation, test), each stretch of a \
conversation as the model will read it. Lines with a bar are the targets; the others are only read.

r changes between people's form and the JSON lines that the model itself reads. Filters and a search leave only the \
windows that fit; esc takes them away again. The same stands in: ventriloquist windows"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "raw", "Raw", tooltip="The JSON lines that the model reads, or people's form"),
        Binding("s", "split", "Split", tooltip="Only train, validation or test"),
        Binding("w", "whom", "Who", tooltip="Only windows with someone"),
        Binding("slash", "search", "Search", key_display="/", tooltip="Only windows in which something was said"),
        Binding("g", "jump", "Go", tooltip="Go to a window by its number"),
        Binding("escape,q", "back", "Back", key_display="esc"),
    ]

    @dataclass
    class _Reading(Message):
        """A part of the file was gone through."""

        share: float

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, type(self))

    @dataclass
    class _Indexed(Message):
        """The file was gone through, or cannot be."""

        index: Index | None
        fault: str = ""

    @dataclass
    class _Found(Message):
        """The windows that fit."""

        places: Sequence[Place]

    @dataclass
    class _Opened(Message):
        """A window was read."""

        place: Place
        window: Window

    @dataclass
    class _Counted(Message):
        """A window's tokens were counted."""

        place: Place
        tokens: int

    @dataclass
    class _Recut(Message):
        """Other windows have taken the place of these."""

        sentence: str

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.index: Index | None = None
        self.places: Sequence[Place] = ()
        self.at = 0
        self.split = ""
        self.whom: Whom | None = None
        self.wanted = ""
        self._number = 0
        self._tokens: int | None = None
        self._tokens_of: TokensOf | None = None
        self._is_looked_for = False
        self._looking = Lock()

    def compose(self) -> ComposeResult:
        with Horizontal(id="head"):
            yield Static(Content("windows"), id="title")
            yield Static(id="where")
        yield CleanInput(placeholder="words that someone said, then enter", id="search", compact=True)
        yield Static(id="window-facts")
        yield Static(Content("Reading the windows…"), id="none")
        yield WindowText()
        yield Static(id="legend")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        for name in ("#search", "#window-facts", "#legend", "#window"):
            self.query_one(name).display = False
        self._read_index()

    def on_resize(self) -> None:
        if self.index:
            self._tell()

    # --- reading

    @work(thread=True, exit_on_error=False, exclusive=True, group="index")
    def _read_index(self) -> None:
        worker, due = get_current_worker(), time.monotonic() + TELL_SECONDS

        def told(done: int, total: int) -> None:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + TELL_SECONDS
                self.post_message(self._Reading(done / max(total, 1)))

        try:
            index = read_index(self.workspace, told, lambda: worker.is_cancelled)
            if not worker.is_cancelled:
                self.post_message(self._Indexed(index))
        except Fault as fault:
            self.post_message(self._Indexed(None, str(fault)))

    @on(_Reading)
    def _tell_reading(self, event: _Reading) -> None:
        put(self.query_one("#none", Static), Content(f"Reading the windows… {event.share:.0%}"))

    @on(_Indexed)
    def _take_index(self, event: _Indexed) -> None:
        self.index = event.index
        if event.index is None:
            self._show_nothing(event.fault)
            return
        if event.index.problem:
            self.problem(event.index.problem)
        told = self.whom.told if self.whom else ""
        self.whom = next((whom for whom in _everyone(event.index) if whom.told == told), None)
        self._choose()

    def _choose(self) -> None:
        """Find the windows that fit the filters and the words."""
        if self.index is None:
            return
        places = choose(self.index, self.split, self.whom)
        if self.wanted:
            put(self.query_one("#window-facts", Static), Content.styled("Searching…", MUTED))
            self._search(self.index, places, self.wanted)
        else:
            self.workers.cancel_group(self, "search")
            self._show_places(places)

    @work(thread=True, exit_on_error=False, exclusive=True, group="search")
    def _search(self, index: Index, places: Sequence[Place], words: str) -> None:
        worker = get_current_worker()
        try:
            found = list(find_words(index, places, words, lambda: worker.is_cancelled))
        except CutAnew as fault:
            self.post_message(self._Recut(str(fault)))
            return
        if not worker.is_cancelled:
            self.post_message(self._Found(found))

    @on(_Found)
    def _take_found(self, event: _Found) -> None:
        self._show_places(event.places)

    def _show_places(self, places: Sequence[Place]) -> None:
        self.places = places
        if not places:
            self._show_nothing("No window fits. Press esc to see others again.")
            return
        before = self._number
        self._open(next((at for at, place in enumerate(places) if place.number >= before), len(places) - 1))

    def _open(self, at: int) -> None:
        assert self.index
        self.at, self._number = at, self.places[at].number
        self._read(self.index, self.places[at])

    @work(thread=True, exit_on_error=False, exclusive=True, group="window")
    def _read(self, index: Index, place: Place) -> None:
        worker = get_current_worker()
        try:
            window = read_window(index, place)
        except CutAnew as fault:
            self.post_message(self._Recut(str(fault)))
            return
        if worker.is_cancelled:
            return
        self.post_message(self._Opened(place, window))
        with self._looking:  # a tokenizer takes a moment to read; one is enough
            if not self._is_looked_for:
                self._tokens_of, self._is_looked_for = tokens_by(self.workspace), True
        if self._tokens_of and not worker.is_cancelled:
            self.post_message(self._Counted(place, count_tokens(self._tokens_of, window)))

    @on(_Recut)
    def _read_anew(self, event: _Recut) -> None:
        self.notify(f"{event.sentence} These are the new ones.", markup=False)
        self._read_index()

    # --- showing

    @on(_Opened)
    def _show(self, event: _Opened) -> None:
        if not self.places or self.places[self.at] is not event.place:
            return  # read for a place that was left meanwhile
        text = self.query_one(WindowText)
        self._tokens = None
        self.query_one("#none").display = False
        for name in ("#window-facts", "#legend", "#window"):
            self.query_one(name).display = True
        text.show(mark(event.window.text, event.window.targets), self.wanted)
        self._tell()
        if not self.query_one("#search").has_focus:
            text.focus()

    @on(_Counted)
    def _show_tokens(self, event: _Counted) -> None:
        if self.places and self.places[self.at] is event.place:
            self._tokens = event.tokens
            self._tell()

    def _show_nothing(self, sentence: str) -> None:
        none = self.query_one("#none", Static)
        put(none, row(sentence))
        none.display = True
        for name in ("#legend", "#window"):
            self.query_one(name).display = False
        self._tell()

    def _tell(self) -> None:
        """The two lines above the window, and the one below."""
        width = max(self.size.width - 4, 10)
        place = self.places[self.at] if self.places else None
        of = self.index.conversations[place.conversation] if self.index and place else None
        title = f"window {self.at + 1:,} of {len(self.places):,}" if place else "windows"
        put(self.query_one("#title", Static), Content(title))
        filters = Content.styled(self._filters(), "$text-warning")
        facts = Content("")
        if place and of and self.index:
            told = f"{place.split} · {of.label(self.index.me)}"
            put(self.query_one("#where", Static), row(told, width - len(title) - 2))
            verb = "learnt" if place.split == SPLITS[0] else "measured"
            tokens = f" · {self._tokens:,} tokens" if self._tokens is not None else ""
            facts = row(f"{place.lines:,} lines, {place.targets:,} {verb}{tokens}", width, MUTED)
            put(self.query_one("#legend", Static), _legend(verb, self.query_one(WindowText), width))
        else:
            put(self.query_one("#where", Static), Content(""))
        put(self.query_one("#window-facts", Static), spread(facts, filters, width))

    def _filters(self) -> str:
        parts = [self.split, one_line(self.whom.told, 30) if self.whom else ""]
        parts.append(f"“{one_line(self.wanted, 20)}”" if self.wanted else "")
        told = ", ".join(filter(None, parts))
        return f"only {told}" if told else ""

    # --- keys

    def action_move(self, step: int) -> None:
        """Go to the next window, or the one before."""
        if self.places and 0 <= self.at + step < len(self.places):
            self._open(self.at + step)
        elif self.places:
            self.notify("This is the first one." if step < 0 else "This is the last one.", timeout=2, markup=False)

    def action_raw(self) -> None:
        """Change between the JSON and people's form."""
        text = self.query_one(WindowText)
        text.show_raw(not text.raw)
        self._tell()

    def action_split(self) -> None:
        """Go round: all, train, validation, test."""
        if self.index is None:
            return
        order = ("", *SPLITS)
        self.split = order[(order.index(self.split) + 1) % len(order)]
        self._choose()

    def action_whom(self) -> None:
        """Choose with whom."""
        if self.index is None:
            return
        everyone = _everyone(self.index)
        choices = [("Anyone", f"{len(self.index.places):,} windows")]
        choices += [(whom.label, f"{whom.windows:,}") for whom in everyone]

        def chosen(at: int | None) -> None:
            if at is not None:
                self.whom = everyone[at - 1] if at else None
                self._choose()

        self.app.push_screen(PickScreen("Whose windows?", choices), chosen)

    def action_jump(self) -> None:
        """Ask for a number, and go there."""
        if not self.places:
            return
        count = len(self.places)

        def go(typed: str | None) -> None:
            digits = (typed or "").replace(",", "").strip()
            if not typed or not self.places:
                return
            if digits.isdecimal() and 1 <= int(digits[:18]) <= len(self.places):
                self._open(int(digits) - 1)
            else:
                self.problem(f"There is no such window; they are 1 to {len(self.places):,}.")

        self.app.push_screen(AskScreen(f"Which window, from 1 to {count:,}?", "Go", str(self.at + 1)), go)

    def action_search(self) -> None:
        """Type what was said."""
        search = self.query_one("#search", Input)
        search.display = True
        search.focus()

    @on(Input.Submitted, "#search")
    def _searched(self, event: Input.Submitted) -> None:
        self.wanted = one_line(event.value) if folded(event.value) else ""
        self.query_one("#search").display = bool(self.wanted)
        self.query_one(WindowText).focus()
        self._choose()

    def action_back(self) -> None:
        """Leave the search, then the filters, then the screen."""
        search = self.query_one("#search", Input)
        if search.display:
            search.value, search.display = "", False
            self.query_one(WindowText).focus()
            if self.wanted:
                self.wanted = ""
                self._choose()
        elif self.split or self.whom:
            self.split, self.whom = "", None
            self._choose()
        else:
            self.dismiss()


def _everyone(index: Index) -> list[Whom]:
    return [*people_of(index).values(), *conversations_of(index).values()]


def _legend(verb: str, text: WindowText, width: int) -> Content:
    told = {Role.HEADER: "header", Role.CONTEXT: "read", Role.TARGET: verb}
    parts = [Content.assemble((MARKS[role], MARK_STYLES[role]), (f" {words}", MUTED)) for role, words in told.items()]
    if text.wanted:
        parts.append(Content.styled(f"{HIT} has the words", MUTED))
    if not text.raw and has_unlearnt_delta(text.marked):
        parts.append(Content.styled("(<1m) delta not learnt", MUTED))
    return Content("   ").join(parts).truncate(width, ellipsis=True)
