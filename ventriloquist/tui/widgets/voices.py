"""Held-out exchanges of a training: what was said before, what the model wrote, what was really said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from ventriloquist.runevents import Event
from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED, person_style
from ventriloquist.tui.widgets.bubble import body

LABEL, LONGEST_NAME, NARROWEST = 11, 16, 8


class Voices(Widget):
    """The newest exchange first, each with the step it was written at. What the model wrote says so."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: Sequence[Event] = ()
        self._painted: tuple[int, list[Content]] = (0, [])

    def show(self, exchanges: Sequence[Event]) -> None:
        """Take the exchanges, oldest first."""
        self.exchanges = tuple(reversed(exchanges))
        self._painted = (0, [])
        self.refresh(layout=True)

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def _lines(self, width: int) -> list[Content]:
        if self._painted[0] != width:
            lines = [line for exchange in self.exchanges for line in _exchange(exchange, width)][:-1]
            self._painted = width, lines
        return self._painted[1]


def _exchange(exchange: Event, width: int) -> Iterator[Content]:
    said = [*exchange["before"], *exchange["written"], exchange["real"]]
    names = min(max(len(one_line(line["name"], LONGEST_NAME)) for line in said), max(width // 5, NARROWEST))
    yield Content.styled(f"step {exchange['step']:,}", "bold")
    for line in exchange["before"]:
        yield from _line("", MUTED, line, names, width)
    for number, line in enumerate(exchange["written"]):
        yield from _line("" if number else "generated", "$foreground", line, names, width)
    if not exchange["written"]:
        yield Content.assemble(("generated".ljust(LABEL), "$primary"), ("nothing", MUTED))
    yield from _line("real", "$foreground", exchange["real"], names, width)
    yield Content("")


def _line(label: str, style: str, line: Mapping[str, str], names: int, width: int) -> Iterator[Content]:
    """A label, a name, and the words wrapped in a column of their own."""
    name_style = f"{person_style(line['name'])} 60%" if style == MUTED else f"bold {person_style(line['name'])}"
    name = Content.styled(one_line(line["name"], names) or "(no name)", name_style).truncate(names)
    label_style = "$primary" if label == "generated" else "$text-success"
    left = Content.assemble((label.ljust(LABEL), label_style), name)
    indent = LABEL + names + 2
    words = body(one_line(line["content_type"], 20), line["text"].expandtabs(4)).stylize_before(style)
    for number, row in enumerate(words.wrap(max(width - indent, NARROWEST))):
        yield Content.assemble(left.extend_right(indent - left.cell_length) if number == 0 else " " * indent, row)
