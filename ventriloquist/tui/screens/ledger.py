"""The ledger: what became of every row of the history, year by year, and what a person should know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Static

from ventriloquist.faults import Fault
from ventriloquist.pipeline.ledger import KINDS, REASONS, UNDATED, ledger_of, most_first
from ventriloquist.store import Store
from ventriloquist.tui.paint import MUTED, put, row, shown
from ventriloquist.tui.screens.base import AppScreen
from ventriloquist.tui.widgets.entries import Entries
from ventriloquist.tui.widgets.plots import Bars
from ventriloquist.tui.words import at_home
from ventriloquist.workspace import Workspace

COLLECTS = 10
"""Past collects on the screen; `status --ledger` tells of more."""
STATES = (("present", "on this disk"), ("offloaded", "in iCloud only"), ("missing", "missing"))


class LedgerScreen(AppScreen):
    """Sums in words; nothing here can be changed."""

    HELP = """Every row of your history is counted here once: kept as what it is, or left out for a reason. The sums \
are those of the source, so that nothing can be lost unseen.

A year is the one (in UTC) that a message was sent in. The same stands in: ventriloquist status --ledger"""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll(1)", "Down", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("escape,q", "back", "Back", key_display="esc"),
    ]

    @dataclass
    class _Read(Message):
        """The ledger was read."""

        ledger: dict[str, Any] | None
        fault: str = ""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace

    def compose(self) -> ComposeResult:
        with Horizontal(id="head"):
            yield Static(Content("ledger"), id="title")
            yield Static(id="where")
        yield Static(Content("Reading the ledger…"), id="none")
        with VerticalScroll(id="ledger"):
            yield Static(id="sum")
            with Horizontal(id="columns"):
                with Vertical():
                    yield Static(Content("by year"), classes="heading")
                    yield Bars()
                    yield Static(Content("kept"), classes="heading")
                    yield Entries(id="kept")
                    yield Static(Content("attachments"), classes="heading")
                    yield Entries(id="files")
                with Vertical():
                    yield Static(Content("left out, and why"), classes="heading")
                    yield Entries(id="dropped")
                    yield Static(Content("how new it is"), classes="heading")
                    yield Static(id="newest")
                    yield Static(Content("collected"), classes="heading")
                    yield Static(id="collects")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#ledger").display = False
        self._read_store()

    @work(thread=True, exit_on_error=False)
    def _read_store(self) -> None:
        try:
            with Store.open(self.workspace) as store:
                self.post_message(self._Read(ledger_of(store)))
        except Fault as fault:
            self.post_message(self._Read(None, str(fault)))

    @on(_Read)
    def _show(self, event: _Read) -> None:
        none = self.query_one("#none", Static)
        none.display = event.ledger is None
        put(none, row(event.fault))
        if event.ledger is None:
            return
        ledger = event.ledger
        self.query_one("#ledger").display = True
        self.query_one("#ledger").focus()
        latest = ledger["collects"][0]["path"] if ledger["collects"] else None
        put(self.query_one("#where", Static), row(at_home(Path(latest)) if latest else "", None, MUTED))
        put(self.query_one("#sum", Static), _sum(ledger))
        self.query_one(Bars).show([_year(year, of) for year, of in ledger["years"].items()])
        states = [(ledger["attachments"][state], words, "") for state, words in STATES]
        for name, entries in (
            ("#kept", [(count, kind, KINDS.get(kind, "")) for kind, count in most_first(ledger["kept"])]),
            ("#dropped", [(count, why, REASONS.get(why, "")) for why, count in most_first(ledger["dropped"])]),
            ("#files", states if any(ledger["attachments"].values()) else []),
        ):
            self.query_one(name, Entries).show(entries)
        for name, lines in (
            ("#newest", _newest(ledger)),
            ("#collects", [_collect(each) for each in ledger["collects"][:COLLECTS]]),
        ):
            put(self.query_one(name, Static), Content("\n").join(lines or [Content.styled("nothing known", MUTED)]))

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one("#ledger").scroll_relative(y=lines, animate=False)

    def action_back(self) -> None:
        """Leave."""
        self.dismiss()


def _sum(ledger: Mapping[str, Any]) -> Content:
    kept, dropped = (sum(ledger[verb].values()) for verb in ("kept", "dropped"))
    return Content.assemble(
        (f"{ledger['source_rows']:,}", "bold"), " rows in the source = ", (f"{kept:,} kept", "bold $primary"), " + ",
        (f"{dropped:,} left out", "bold $warning"),
    )  # fmt: skip


def _year(year: str, of: Mapping[str, Mapping[str, int]]) -> tuple[str, int, int]:
    return "no date" if year == UNDATED else year, sum(of["kept"].values()), sum(of["dropped"].values())


def _newest(ledger: Mapping[str, Any]) -> list[Content]:
    lines = []
    for name, words in (("newest_message", "newest message"), ("source_changed", "file last written")):
        if ledger[name]:
            lines.append(Content.assemble((f"{words:<18}", MUTED), _when(ledger[name])))
    return lines + [Content.assemble(("! ", "$text-warning"), shown(each)) for each in ledger["warnings"]]


def _collect(each: Mapping[str, Any]) -> Content:
    changes = ", ".join(f"{each[name]:,} {name}" for name in ("new", "changed", "gone") if each[name]) or "nothing new"
    return Content.assemble((f"{_when(each['at'])}  ", MUTED), f"{each['rows']:,} rows: {changes}")


def _when(time: str) -> str:
    """A time of the ledger as this machine's clock shows it."""
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M}"
