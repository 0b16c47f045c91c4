"""One person, group or everyone as a page of plots, with the words below them."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from ventriloquist.pipeline.portrait import Talk, Times
from ventriloquist.pipeline.stats import EVERYONE, PERSON, Row
from ventriloquist.pipeline.telling import day_of, facts
from ventriloquist.store.zones import Zone
from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED, put, row, spread
from ventriloquist.tui.widgets.plots import Balance, Bars, Months, Week

LABEL, LONGEST_VALUE = 17, 200


class Who(Widget):
    """Name and number of messages; below, the first and the last day and the share of all."""

    def __init__(self) -> None:
        super().__init__()
        self.told = ("", "", "")

    def show(self, name: str, count: str, below: str) -> None:
        """Take the three parts."""
        self.told = (name, count, below)
        self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        name, count, below = self.told
        head = spread(row(name, width, "bold $primary"), Content.styled(count, "bold"), width)
        return Content.assemble(head, "\n", row(below, width, MUTED))


class Portrait(VerticalScroll):
    """Name, balance, months, the week; then the years and what else the numbers say."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "screen.move(-1)", "Before", key_display="←"),
        Binding("right", "screen.move(1)", "Next", key_display="→"),
    ]

    def compose(self) -> ComposeResult:
        yield Who()
        yield Balance()
        yield Months()
        yield Week()
        yield Bars()
        yield Static(id="facts")

    def show_row(self, shown: Row, total: int, zone: Zone) -> None:
        """Take whom it is about, from the top; the plots come when they are read."""
        self.scroll_home(animate=False)
        share = f"{shown.messages / total:.1%} of all" if total and shown.kind != EVERYONE else ""
        days = [day for day in (day_of(shown.first, zone), day_of(shown.last, zone)) if day]
        when = f"first {days[0]} · last {days[-1]}" if days else "nothing with a date"
        below = " · ".join(part for part in (when, share) if part)
        self.query_one(Who).show(shown.name, f"{shown.messages:,} messages", below)
        other = shown.name if shown.kind == PERSON and not shown.is_me else "others"
        self.query_one(Balance).show(other, shown.amounts)

    def show_times(self, times: Times) -> None:
        """Take when they wrote."""
        self.query_one(Months).show(times.months)
        self.query_one(Week).show(times.week)
        years = sorted(times.years.items())
        self.query_one(Bars).show([(str(year), to, from_ + in_groups) for year, (to, from_, in_groups) in years])

    def show_talk(self, shown: Row, times: Times, talk: Talk | None, zone: Zone) -> None:
        """Take how they wrote, or None while that is being read."""
        said = self.query_one("#facts", Static)
        if talk is None:
            put(said, Content.styled("Reading the texts…", MUTED))
            return
        lines = [
            Content.assemble((f"{label:<{LABEL}}", MUTED), one_line(value, LONGEST_VALUE))
            for label, value in facts(shown, times, talk, zone)
        ]
        put(said, Content("\n").join(lines) if lines else Content(""))
