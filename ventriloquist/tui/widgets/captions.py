"""Descriptions beside the names of their files."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from ventriloquist.pipeline.survey import Latest
from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED
from ventriloquist.tui.widgets.facts import beside

WIDEST_NAME, SHARE, GAP = 24, 0.32, 2
LINES = 3
"""Of one description on the screen."""


class Captions(Widget):
    """The newest descriptions on top, each cut to a few lines."""

    def __init__(self) -> None:
        super().__init__()
        self.latest: Sequence[Latest] = ()

    def show(self, latest: Sequence[Latest]) -> None:
        """Take the descriptions."""
        if latest != self.latest:
            self.latest = latest
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        if not self.latest:
            return [Content.styled("none yet", MUTED)]
        room = min(WIDEST_NAME, int(width * SHARE))
        lines: list[Content] = []
        for each in self.latest:
            name = Content(one_line(each.name)).truncate(room, ellipsis=True, pad=True)
            words = beside(one_line(each.text), width - room - GAP, LINES)
            lines.append(Content.assemble(name.stylize("$text-primary"), " " * GAP, words[0]))
            lines += [Content(" " * (room + GAP) + line) for line in words[1:]]
        return lines
