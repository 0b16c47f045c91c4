"""Plots in cells: months as columns, the hours of a week as a map, how two sides balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from ventriloquist.pipeline.telling import WEEKDAYS, shade
from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED, spread

YOU, THEM = "$primary", "$warning"
"""The two sides, in colours that stay apart for whoever sees colours otherwise."""
EIGHTHS = " ▁▂▃▄▅▆▇"
SHADES = " ░▒▓█"
LEVELS = 8
LEAST_TINT = 16
"""The first of LEVELS tints of a heat map, in percent; the last is 100."""
WIDEST_COLUMN = 5
WIDEST_CELL = 4
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Column(NamedTuple):
    """What was written in some months: the first of them, by the two sides."""

    year: int
    month: int
    to: int
    others: int

    @property
    def total(self) -> int:
        return self.to + self.others


def columns_of(months: Mapping[tuple[int, int], Sequence[int]], room: int) -> tuple[list[Column], int]:
    """All months from the first to the last in at most `room` columns, and how many months a column is."""
    if not months:
        return [], 1
    numbers = [year * 12 + month - 1 for year, month in months]
    first, last = min(numbers), max(numbers)
    each = -(-(last - first + 1) // max(room, 1))
    if each > 1:
        each = next((whole for whole in (2, 3, 4, 6, 12) if whole >= each), -(-each // 12) * 12)
        while last // each - first // each >= max(room, 1):
            each = each + 12 if each >= 12 else {2: 3, 3: 4, 4: 6, 6: 12}[each]
    sums = {at: [0, 0] for at in range(first // each, last // each + 1)}
    for (year, month), (to, from_, in_groups) in months.items():
        at = sums[(year * 12 + month - 1) // each]
        at[0] += to
        at[1] += from_ + in_groups
    return [Column(*divmod(at * each, 12), *amounts) for at, amounts in sums.items()], each


def stacked(columns: Sequence[Column], width: int, height: int) -> list[Content]:
    """The columns in `height` lines, the top one first: what is to them below, what is from them above it."""
    most = max((column.total for column in columns), default=0)
    if not most or height < 1:
        return [Content("")] * height
    cells = min(width // len(columns), WIDEST_COLUMN)
    gap = 1 if cells > 2 else 0
    eighths = height * 8
    ends = [_ends(column, most, eighths) for column in columns]
    lines = []
    for line in range(height - 1, -1, -1):
        parts = []
        for to, total in ends:
            letter, style = _cell(to - line * 8, total - line * 8)
            parts.append((letter * (cells - gap), style))
            parts.append((" " * gap, ""))
        lines.append(Content.assemble(*parts))
    return lines


def _ends(column: Column, most: int, eighths: int) -> tuple[int, int]:
    """Where the lower part and the whole column end, in eighths of a cell; what is there is seen."""
    total = max(round(column.total / most * eighths), int(column.total > 0))
    to = round(column.to / most * eighths)
    if column.to and column.others and total > 1:
        to = min(max(to, 1), total - 1)
    return (to if column.others else total), total


def _cell(to: int, total: int) -> tuple[str, str]:
    """One cell, of which `to` eighths are one colour and the rest up to `total` the other; it has room for two."""
    if total <= 0:
        return " ", ""
    if to <= 0:
        return (EIGHTHS[total], THEM) if total < 8 else (" ", f"on {THEM}")
    if to >= 8:
        return " ", f"on {YOU}"
    if to >= total:
        return EIGHTHS[to], YOU
    if total >= 8:
        return EIGHTHS[to], f"{YOU} on {THEM}"
    return EIGHTHS[total], THEM if total - to >= to else YOU


def years_below(columns: Sequence[Column], each: int, width: int) -> str:
    """The years under their first columns, as many as have room."""
    cells = min(width // max(len(columns), 1), WIDEST_COLUMN)
    line = ""
    for number, column in enumerate(columns):
        starts = number == 0 or column.month < each or column.year > columns[number - 1].year
        at = number * cells
        if starts and (not line or at > len(line)) and at + 4 <= width:
            later = next((n for n, c in enumerate(columns) if c.year > column.year), None)
            if number or later is None or later * cells > 4:
                line = f"{line:<{at}}{column.year}"
    return line


class Months(Widget):
    """Messages over time, a title above and the years below."""

    def __init__(self) -> None:
        super().__init__()
        self.months: Mapping[tuple[int, int], Sequence[int]] = {}

    def show(self, months: Mapping[tuple[int, int], Sequence[int]]) -> None:
        """Take messages to, from and in groups by (year, month)."""
        self.months = months
        self.refresh()

    def render(self) -> Content:
        width, height = self.content_size
        columns, each = columns_of(self.months, width)
        if not columns:
            return Content.styled("No message has a date.", MUTED)
        top = max(columns, key=lambda column: column.total)
        step = {1: "messages a month", 12: "messages a year"}.get(each, f"messages every {each} months")
        title = Content.styled(step, MUTED)
        most = Content.styled(f"most {top.total:,}, {MONTHS[top.month]} {top.year}", MUTED)
        below = Content.styled(years_below(columns, each, width), MUTED)
        return Content("\n").join([spread(title, most, width), *stacked(columns, width, height - 2), below])


class Week(Widget):
    """The hours of the week: seven rows of twenty-four cells, the darker the more."""

    def __init__(self) -> None:
        super().__init__()
        self.week: Sequence[int] = ()

    def show(self, week: Sequence[int]) -> None:
        """Take 168 counts, from Monday 0:00."""
        self.week = week
        self.refresh()

    def render(self) -> Content:
        if not self.week:
            return Content("")
        width = self.content_size.width
        cells = min(max((width - 4) // 24, 1), WIDEST_CELL)
        most = max(self.week)
        room = min(width, 4 + 24 * cells)
        every = 6 if cells == 1 else 3
        hours = "".join(f"{hour:<{every * cells}}" for hour in range(0, 24, every)).rstrip()
        lines = [spread(Content.styled("hours of the week" if room > 34 else "hours", MUTED), self._legend(most), room)]
        for day, name in enumerate(WEEKDAYS):
            row = self.week[day * 24 : day * 24 + 24]
            painted = [self._tint(shade(messages, most, LEVELS), cells) for messages in row]
            lines.append(Content.assemble((f"{name} ", MUTED), *painted))
        return Content("\n").join([*lines, Content.styled(f"    {hours}", MUTED)])

    def _legend(self, most: int) -> Content:
        scale = [self._tint(level, 1) for level in range(LEVELS + 1)]
        return Content.assemble(("0 ", MUTED), *scale, (f" {most:,}", MUTED))

    def _tint(self, level: int, cells: int) -> tuple[str, str]:
        """A cell's text and style; a theme of the terminal's own colours has no tints, but shades of letters."""
        if self.app.current_theme.ansi:
            return SHADES[-(-level * (len(SHADES) - 1) // LEVELS)] * cells, YOU
        if not level:
            return " " * cells, "on $foreground 6%"
        return " " * cells, f"on {YOU} {LEAST_TINT + (100 - LEAST_TINT) * (level - 1) // (LEVELS - 1)}%"


class Balance(Widget):
    """Who wrote how much of it, as one line with both sides' names and colours."""

    def __init__(self) -> None:
        super().__init__()
        self.other = ""
        self.amounts = (0, 0, 0)

    def show(self, other: str, amounts: tuple[int, int, int]) -> None:
        """Take the other side's name and the messages to, from and in groups."""
        self.other, self.amounts = other, amounts
        self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        to, from_, in_groups = self.amounts
        others = from_ + in_groups
        left = f"you {to:,} "
        where = f" ({in_groups:,} in groups)" if in_groups and width > 60 else ""
        right = f" {others:,} {one_line(self.other, max(width // 4, 8))}{where}"
        room = max(width - len(left) - cell_len(right), 4)
        mine = round(to / (to + others) * room) if to + others else 0
        mine = min(max(mine, int(to > 0)), room - int(others > 0))
        return Content.assemble(
            (left, f"bold {YOU}"), ("━" * mine, YOU), ("━" * (room - mine), THEM if others else MUTED),
            (right, f"bold {THEM}"),
        )  # fmt: skip


class Bars(Widget):
    """Lines of a label, a bar of two colours, and the number it stands for."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[tuple[str, int, int]] = ()

    def show(self, rows: Sequence[tuple[str, int, int]]) -> None:
        """Take lines of a label and the two parts of its bar."""
        self.rows = rows
        self.styles.height = len(rows)
        self.refresh(layout=True)

    def render(self) -> Content:
        width = self.content_size.width
        most = max((first + second for _, first, second in self.rows), default=0)
        if not most:
            return Content("")
        labels = max(cell_len(label) for label, _, _ in self.rows)
        numbers = max(len(f"{first + second:,}") for _, first, second in self.rows)
        room = max(width - labels - numbers - 2, 1)
        lines = []
        for label, first, second in self.rows:
            total = f"{first + second:>{numbers},}"
            bar = _bar(first, second, most, room)
            pad = " " * (labels - cell_len(label))
            lines.append(Content.assemble((label, MUTED), pad, f" {total} ", bar))
        return Content("\n").join(lines)


def _bar(first: int, second: int, most: int, room: int) -> Content:
    whole = max(round((first + second) / most * room), int(first + second > 0))
    mine = min(round(first / most * room), whole)
    if first and second and whole > 1:
        mine = min(max(mine, 1), whole - 1)
    return Content.assemble(("━" * mine, YOU), ("━" * (whole - mine), THEM))
