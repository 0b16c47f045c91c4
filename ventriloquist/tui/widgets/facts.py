"""Facts as lines: the key that changes one, its name, and what it is, wrapped beside them."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED

KEY, NAME, NARROWEST = 3, 15, 12
LONGEST = 400

Fact = tuple[str, str, str]
"""A key (empty: none), a name and a value, which may be a stranger's words."""


class Facts(Widget):
    """Lines of facts under each other, their values in a column."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.facts: Sequence[Fact] = ()

    def show(self, facts: Sequence[Fact]) -> None:
        """Take the facts."""
        if facts != self.facts:
            self.facts = facts
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        indent = (KEY if any(key for key, _, _ in self.facts) else 0) + NAME
        lines: list[Content] = []
        for key, name, value in self.facts:
            head = Content.assemble((key.ljust(indent - NAME), "$primary"), (name.ljust(NAME), MUTED))
            words = beside(one_line(value, LONGEST), width - indent)
            lines.append(Content.assemble(head, words[0]))
            lines += [Content(" " * indent + line) for line in words[1:]]
        return lines


def beside(text: str, width: int, most: int = 0) -> list[str]:
    """One line of text in lines of at most `width` cells; at least one, and at most `most` of them (0: any number)."""
    width = max(width, NARROWEST)
    lines = [words for line in Content(text).wrap(width) if (words := line.plain.strip())]
    if most and len(lines) > most:
        lines = [*lines[: most - 1], Content(lines[most - 1]).truncate(width - 1).plain + "…"]
    return lines or [""]
