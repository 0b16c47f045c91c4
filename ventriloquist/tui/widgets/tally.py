"""Attachments counted by type: how many there are, which have words, which would be sent, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from ventriloquist.pipeline.selection import HERE
from ventriloquist.pipeline.survey import Survey
from ventriloquist.store.describing import DESCRIBED, MISSING, OFFLOADED
from ventriloquist.tui.paint import MUTED

NAMES = (
    ("what there is", "files", "described", "to send", "on disk", "iCloud only", "missing"),
    ("what there is", "files", "words", "send", "disk", "iCloud", "gone"),
)
"""The columns' names, for a wide screen and for a narrow one."""
TOTAL = "all"

Row = tuple[str, Sequence[int]]


def rows_of(survey: Survey) -> list[Row]:
    """A row for each type, what is most first, and one for all together."""
    to_send = survey.kinds
    rows: list[Row] = []
    for noun, states in sorted(survey.states.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        places = survey.places.get(noun, {})
        where = [places.get(place, 0) for place in (HERE, OFFLOADED, MISSING)]
        rows.append((noun, [sum(states.values()), states.get(DESCRIBED, 0), to_send[noun], *where]))
    if len(rows) > 1:
        rows.append((TOTAL, [sum(column) for column in zip(*(counts for _, counts in rows), strict=True)]))
    return rows


class Tally(Widget):
    """The table; a count of nothing is a dot."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []

    def show(self, survey: Survey) -> None:
        """Take what was counted."""
        rows = rows_of(survey)
        if rows != self.rows:
            self.rows = rows
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.rows) + 1

    def render(self) -> Content:
        names, gap, widths = self._columns(self.content_size.width)
        first = max(len(names[0]), *(len(noun) for noun, _ in self.rows), 0) if self.rows else len(names[0])
        head = [(" " * gap + name.rjust(width), MUTED) for name, width in zip(names[1:], widths, strict=True)]
        lines = [Content.assemble((names[0].ljust(first), "bold $primary"), *head)]
        for noun, counts in self.rows:
            style = "bold" if noun == TOTAL else ""
            cells = [
                (" " * gap + (f"{count:,}" if count else "·").rjust(width), style if count else MUTED)
                for count, width in zip(counts, widths, strict=True)
            ]
            lines.append(Content.assemble((noun.ljust(first), style), *cells))
        return Content("\n").join(lines)

    def _columns(self, room: int) -> tuple[Sequence[str], int, list[int]]:
        """The names, the space between and the widths of the columns that fit."""
        first = max(len(NAMES[0][0]), max((len(noun) for noun, _ in self.rows), default=0))
        for names, gap in ((NAMES[0], 2), (NAMES[1], 2), (NAMES[1], 1)):
            widths = [
                max(len(name), *(len(f"{counts[column]:,}") for _, counts in self.rows), 1)
                for column, name in enumerate(names[1:])
            ]
            if first + sum(widths) + gap * len(widths) <= room:
                break
        return names, gap, widths
