"""Statistics: everyone and every group beside plots of whoever is chosen; enter gives one of them the whole screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import get_current_worker

from ventriloquist.faults import Fault
from ventriloquist.people.finding import folded
from ventriloquist.pipeline.portrait import Talk, Times, read_talk, read_times
from ventriloquist.pipeline.stats import EVERYONE, GROUP, Overview, Row, read_overview
from ventriloquist.store import Store
from ventriloquist.store.stats import stop_when
from ventriloquist.store.zones import Zone, find_zone
from ventriloquist.tui.paint import MUTED, put, row, spread
from ventriloquist.tui.screens.base import AppScreen
from ventriloquist.tui.widgets.portrait import Portrait
from ventriloquist.workspace import Workspace

SHOWN = 1000
"""Rows in the list; a search finds the others."""
PAUSE = 0.1
"""Seconds that the cursor rests on a row before its messages are read."""
BAR_TINT = "on $primary 22%"


class Rows(OptionList):
    """Names with their messages, each on a bar as long as its share of the most."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Open", key_display="enter"),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="rows")
        self.shown: Sequence[Row] = ()
        self.most = 0
        self._painted = 0

    @property
    def chosen(self) -> Row | None:
        """The row under the cursor."""
        return self.shown[self.highlighted] if self.highlighted is not None and self.shown else None

    def show(self, rows: Sequence[Row], most: int) -> None:
        """List these rows, the cursor on whoever it was on."""
        before = self.chosen
        self.shown, self.most = rows, most
        self._paint()
        if rows:
            self.highlighted = rows.index(before) if before in rows else 0

    def on_resize(self) -> None:
        if self.scrollable_content_region.width != self._painted:
            at = self.highlighted
            self._paint()
            self.highlighted = at

    def _paint(self) -> None:
        self._painted = self.scrollable_content_region.width
        width = max(self._painted - 2, 10)
        most = 0 if self.app.current_theme.ansi else self.most
        self.set_options([Option(_line(each, width, most)) for each in self.shown])


class StatsScreen(AppScreen):
    """A list and a page. Sums are made in a thread, and what was summed up once is kept while the screen is open."""

    HELP = """Who wrote how much, and when. Counted are texts, attachments and what apps sent; not tapbacks, and not \
what was taken back. Of a person you see what stands between the two of you, and what they wrote in groups.

Enter shows one alone; then left and right go to the one before and the next. The times are this machine's own."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("escape,q", "back", "Back", key_display="esc"),
    ]

    @dataclass
    class _Read(Message):
        """The sums of everyone were read."""

        overview: Overview | None
        zone: Zone
        fault: str = ""

    @dataclass
    class _ReadRow(Message):
        """The messages of one row were summed up; the texts may follow."""

        key: str
        times: Times
        talk: Talk | None

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.overview: Overview | None = None
        self.alone = False
        self._zone = Zone("UTC", lambda second: 0)
        self._known: dict[str, tuple[Times, Talk | None]] = {}
        self._resting: Timer | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="head"):
            yield Static(Content("statistics"), id="title")
            yield Static(id="where")
        yield Static(Content("Adding up the messages…"), id="none")
        with Horizontal(id="stats"):
            with Vertical(id="side"):
                yield Input(placeholder="/ to search", id="filter", compact=True)
                yield Rows()
            yield Portrait()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#stats").display = False
        self._read_store()

    @work(thread=True, exit_on_error=False, exclusive=True, group="everyone")
    def _read_store(self) -> None:
        zone, worker = find_zone(None), get_current_worker()
        try:
            with Store.open(self.workspace) as store:
                stop_when(store, lambda: worker.is_cancelled)
                self.post_message(self._Read(read_overview(store), zone))
        except Fault as fault:
            if not worker.is_cancelled:
                self.post_message(self._Read(None, zone, str(fault)))

    @on(_Read)
    def _show(self, event: _Read) -> None:
        self.overview, self._zone = event.overview, event.zone
        none = self.query_one("#none", Static)
        none.display = event.overview is None
        put(none, row(event.fault))
        self.query_one("#stats").display = event.overview is not None
        if event.overview:
            people = f"{len(event.overview.rows):,} people and groups"
            put(self.query_one("#where", Static), row(f"{people} · {event.zone.note or event.zone.name}", None, MUTED))
            self._list()
            self.query_one(Rows).focus()

    # --- the list

    def _list(self) -> None:
        if self.overview is None:
            return
        search = folded(self.query_one("#filter", Input).value)
        every = [self.overview.everyone, *self.overview.rows]
        fits = [each for each in every if search in folded(each.name)] if search else every
        self.query_one(Rows).show(fits[:SHOWN], max((each.messages for each in self.overview.rows), default=0))

    @on(Input.Changed, "#filter")
    def _filter(self) -> None:
        self._list()

    @on(Input.Submitted, "#filter")
    def _found(self) -> None:
        self.query_one(Rows).focus()

    @on(OptionList.OptionHighlighted)
    def _rest(self) -> None:
        if self._resting:
            self._resting.stop()
        chosen = self.query_one(Rows).chosen
        if chosen and chosen.key in self._known:
            self._paint()
        else:
            self._resting = self.set_timer(PAUSE, self._paint)

    @on(OptionList.OptionSelected)
    def _open(self) -> None:
        self._show_alone(True)

    # --- the page

    def _paint(self) -> None:
        """Show the chosen row with what is known of it; read what is not."""
        chosen = self.query_one(Rows).chosen
        if chosen is None or self.overview is None:
            return
        page = self.query_one(Portrait)
        page.show_row(chosen, self.overview.everyone.messages, self._zone)
        times, talk = self._known.get(chosen.key, (Times(), None))
        page.show_times(times)
        page.show_talk(chosen, times, talk, self._zone)
        if talk is None:
            self._read_row(chosen)

    @work(thread=True, exit_on_error=False, exclusive=True, group="one")
    def _read_row(self, chosen: Row) -> None:
        worker = get_current_worker()
        try:
            with Store.open(self.workspace) as store:
                stop_when(store, lambda: worker.is_cancelled)
                times = read_times(store, chosen, self._zone)
                self.post_message(self._ReadRow(chosen.key, times, None))
                self.post_message(self._ReadRow(chosen.key, times, read_talk(store, chosen)))
        except Fault:
            if not worker.is_cancelled:
                raise

    @on(_ReadRow)
    def _show_row(self, event: _ReadRow) -> None:
        self._known[event.key] = event.times, event.talk
        chosen = self.query_one(Rows).chosen
        if chosen and chosen.key == event.key:
            page = self.query_one(Portrait)
            page.show_times(event.times)
            page.show_talk(chosen, event.times, event.talk, self._zone)

    def _show_alone(self, alone: bool) -> None:
        self.alone = alone
        self.query_one("#side").display = not alone
        self.query_one(Portrait if alone else Rows).focus()
        self.call_after_refresh(self._paint)

    def action_move(self, step: int) -> None:
        """Go to the next one, or the one before."""
        listed = self.query_one(Rows)
        if listed.shown:
            listed.highlighted = ((listed.highlighted or 0) + step) % len(listed.shown)

    def action_search(self) -> None:
        """Type a part of a name."""
        self._show_alone(False)
        self.query_one("#filter", Input).focus()

    def action_back(self) -> None:
        """From one alone to the list; from a search to all; else leave."""
        search = self.query_one("#filter", Input)
        if self.alone:
            self._show_alone(False)
        elif search.value or search.has_focus:
            search.value = ""
            self.query_one(Rows).focus()
        else:
            self.dismiss()


def _line(shown: Row, width: int, most: int) -> Content:
    """A name and its messages, on a bar as long as its share of the most."""
    style = "bold" if shown.kind == EVERYONE else ""
    mark = "# " if shown.kind == GROUP else ""
    count = Content.styled(f"{shown.messages:,}", MUTED)
    line = spread(Content.assemble((mark, MUTED), row(shown.name, width, style)), count, width)
    if most and shown.kind != EVERYONE:
        line = line.stylize(BAR_TINT, 0, round(shown.messages / most * len(line)))
    return line
