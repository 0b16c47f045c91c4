"""Rows of text that scroll: only those in sight are drawn, however many there are."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.visual import Visual


class Rows(ScrollView):
    """Rows that fit the width; the mouse can select in them."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[Content] = ()
        self._padding = 0

    def put_rows(self, rows: Sequence[Content], padding: int = 0) -> None:
        """Take other rows, under `padding` empty ones; what is in sight of them is drawn anew."""
        self._rows, self._padding = rows, padding
        self.virtual_size = Size(self.scrollable_content_region.width, len(rows) + padding)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        at = y + self.scroll_offset.y - self._padding
        row = self._rows[at] if 0 <= at < len(self._rows) else Content("")
        if (selection := self.text_selection) and (span := selection.get_span(at + self._padding)) and row:
            start, end = span
            row = row.stylize(self.screen.get_visual_style("screen--selection"), start, None if end < 0 else end)
        width = max(self.size.width, 1)
        strip = Visual.to_strips(self, row, width, 1, self.visual_style, pad=True, apply_selection=False)[0]
        return strip.apply_offsets(0, at + self._padding)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        lines = [""] * self._padding + [row.plain for row in self._rows]
        return selection.extract("\n".join(lines)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()
