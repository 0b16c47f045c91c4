"""Counted things, each with what it means: numbers in a column, words beside them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED

INDENT = 10
NARROWEST = 16


class Entries(Widget):
    """Lines of a count and a name, with a meaning that is wrapped under the name."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.entries: Sequence[tuple[int, str, str]] = ()

    def show(self, entries: Sequence[tuple[int, str, str]]) -> None:
        """Take counts, names and meanings (empty: none)."""
        self.entries = entries
        self.refresh(layout=True)

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def _lines(self, width: int) -> list[Content]:
        if not self.entries:
            return [Content.styled("nothing", MUTED)]
        lines = []
        for count, name, meaning in self.entries:
            shown = one_line(name)
            words = textwrap.wrap(f"{shown}: {meaning}" if meaning else shown, max(width - INDENT, NARROWEST))
            told = Content(("\n" + " " * INDENT).join(words)).stylize(MUTED, len(shown))
            lines += Content.assemble((f"{count:>{INDENT - 1},} ", "bold"), told).split("\n")
        return lines
