"""A training window, line by line, each marked in a gutter as header, context or target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from json import JSONDecoder
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from ventriloquist.people.finding import folded
from ventriloquist.pipeline.windows import holds_words
from ventriloquist.text import escape_controls, one_line, plain
from ventriloquist.tui.paint import MUTED, person_style
from ventriloquist.tui.widgets.bubble import body
from ventriloquist.windows.lines import Header, Line
from ventriloquist.windows.marking import MarkedLine, Role

MARKS = {Role.HEADER: "≡", Role.CONTEXT: "·", Role.TARGET: "┃"}
"""What stands in the gutter, so that the lines are told apart without colour too."""
HIT = "*"
STRUCTURE = "$foreground 40%"
MARK_STYLES = {Role.HEADER: "$text-secondary", Role.CONTEXT: MUTED, Role.TARGET: "bold $primary"}
GUTTER, DELTA, NARROWEST_NAME, INDENT = 3, 7, 8, 2
LONGEST = 20_000
"""Characters of one line that are shown; the model itself reads no more of so long a line."""
MOVES = Binding.Group("Move", compact=True)
NOT_LEARNT = "↑ its delta is not learnt: a window's first line has none of its own"


class WindowText(ScrollView, can_focus=True, inherit_bindings=False):
    """The lines of one window, either as people would read them or as the JSON that the model reads."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "screen.move(-1)", "Window before", key_display="←", group=MOVES),
        Binding("right", "screen.move(1)", "Next window", key_display="→", group=MOVES),
        Binding("p", "screen.move(-1)", "Window before", show=False),
        Binding("n", "screen.move(1)", "Next window", show=False),
        Binding("down,j", "scroll_down", "A line down", show=False),
        Binding("up,k", "scroll_up", "A line up", show=False),
        Binding("pagedown,space", "page_down", "A page down", show=False),
        Binding("pageup", "page_up", "A page up", show=False),
        Binding("home", "scroll_home", "The first line", show=False),
        Binding("end", "scroll_end", "The last line", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="window")
        self.marked: Sequence[MarkedLine] = ()
        self.raw = False
        self.wanted = ""
        self._hits: set[int] = set()
        self._rows: list[Content] = []
        self._line_of_row: list[int] = []
        self._width = 0
        self._at_start = True

    def show(self, marked: Sequence[MarkedLine], wanted: str) -> None:
        """Take another window, and the words that its lines were searched for; its first target is in sight."""
        self.marked, self.wanted = marked, folded(wanted)
        self._hits = {number for number, each in enumerate(marked) if holds_words(each.line, self.wanted)}
        self._at_start = False
        self._lay_out()

    def show_raw(self, raw: bool) -> None:
        """Change between the two forms; the same lines stay in sight."""
        self.raw = raw
        self._again()

    def on_resize(self) -> None:
        if self.scrollable_content_region.width != self._width:
            self._again()

    def _again(self) -> None:
        top = self._line_of_row[self.scroll_offset.y] if self.scroll_offset.y < len(self._line_of_row) else 0
        self._lay_out()
        if self._at_start and top in self._line_of_row:
            self.scroll_to(y=self._line_of_row.index(top), animate=False, force=True)

    def _lay_out(self) -> None:
        self._width = self.scrollable_content_region.width
        self._rows, self._line_of_row = [], []
        if self._width <= GUTTER + DELTA:
            return
        names = [cell_len(one_line(each.line.name)) for each in self.marked if isinstance(each.line, Line)]
        name_width = min(max(names, default=0), max(self._width // 6, NARROWEST_NAME))
        for number, each in enumerate(self.marked):
            lines = _raw(each, self._width) if self.raw else _readable(each, name_width, self._width)
            hit = HIT if number in self._hits else " "
            for row in lines:
                gutter = (f"{MARKS[each.role]}{hit} ", MARK_STYLES[each.role])
                self._rows.append(Content.assemble(gutter, row))
                self._line_of_row.append(number)
        self.virtual_size = Size(self._width, len(self._rows))
        self.refresh()
        if not self._at_start:
            self.call_after_refresh(self._find_start)

    def _find_start(self) -> None:
        """Scroll to the first line that was searched for, or to where the first target is in sight."""
        self._at_start = True
        lines = sorted(self._hits) or [number for number, each in enumerate(self.marked) if each.role is Role.TARGET]
        row = self._line_of_row.index(lines[0]) if lines and self._line_of_row else 0
        height = self.scrollable_content_region.height
        self.scroll_to(y=0 if row < height - 2 else row - height // 2, animate=False, force=True)

    def render_line(self, y: int) -> Strip:
        at = y + self.scroll_offset.y
        row = self._rows[at] if at < len(self._rows) else Content("")
        return Visual.to_strips(self, row, max(self.size.width, 1), 1, self.visual_style, pad=True)[0]


def _readable(marked: MarkedLine, name_width: int, width: int) -> Iterator[Content]:
    """Delta, name and words in columns."""
    line, style = marked.line, "" if marked.role is Role.TARGET else MUTED
    if isinstance(line, Header):
        members = ", ".join(one_line(name, 60) for name in line.members)
        told = Content.assemble((f"{line.type} ", MUTED), one_line(members), (f" from {one_line(line.start)}", MUTED))
        yield from told.wrap(width - GUTTER)
        return
    if line is None:
        yield from Content.assemble(("no line of the format: ", "$text-warning"), plain(marked.raw[:LONGEST])).wrap(
            width - GUTTER
        )
        return
    delta = Content.styled(f"({line.delta})" if marked.delta_unlearnt else line.delta, MUTED)
    name_style = f"bold {person_style(line.name)}" if marked.role is Role.TARGET else f"{person_style(line.name)} 60%"
    name = Content.styled(one_line(line.name, name_width) or "(no name)", name_style).truncate(name_width)
    left = Content.assemble(delta, " " * (DELTA - delta.cell_length), name)
    indent = DELTA + name_width + 2
    room = max(width - GUTTER - indent, 4)
    for number, row in enumerate(_words(line, style).wrap(room)):
        before = left.extend_right(indent - left.cell_length) if number == 0 else Content(" " * indent)
        yield Content.assemble(before, row)


def _words(line: Line, style: str) -> Content:
    words = body(line.content_type, line.text.expandtabs(4)).stylize_before(style)
    if line.reply_to is None:
        return words
    reply = Content.styled(f"↪ {one_line(line.reply_to, 60)}", f"{MUTED} italic")
    return Content("  " if line.content_type == "reaction" else "\n").join(
        [words, reply] if line.content_type == "reaction" else [reply, words]
    )


def _raw(marked: MarkedLine, width: int) -> Iterator[Content]:
    """The line itself; what would not be safe on a terminal stands as JSON escapes."""
    text = marked.raw.removesuffix("\n")
    shown = plain(escape_controls(text[:LONGEST]))
    for number, row in enumerate(_with_values(shown, marked).wrap(width - GUTTER - INDENT)):
        yield Content.assemble(" " * INDENT, row) if number else row
    if len(text) > LONGEST:
        yield Content.styled(f"… {len(text) - LONGEST:,} more characters", "$text-warning")
    if marked.delta_unlearnt:
        yield Content.styled(NOT_LEARNT, f"{MUTED} italic").truncate(width - GUTTER, ellipsis=True)


def _with_values(shown: str, marked: MarkedLine) -> Content:
    """JSON whose values stand out from what surrounds them."""
    content = Content.styled(shown, STRUCTURE)
    is_target = marked.role is Role.TARGET
    for key, start, end in _values(shown):
        style = "$foreground" if is_target else MUTED
        if key == "name" and isinstance(marked.line, Line):
            style = f"bold {person_style(marked.line.name)}" if is_target else f"{person_style(marked.line.name)} 60%"
        elif key == "delta" and marked.delta_unlearnt:
            style = f"{MUTED} strike"
        content = content.stylize(style, start, end)
    return content


def _values(shown: str) -> Iterator[tuple[str, int, int]]:
    """Where the values of a JSON object stand: (key, start, end). What is cut off belongs to the last one."""
    decoder, position = JSONDecoder(), 1
    while 0 < position < len(shown):
        try:
            key, position = decoder.raw_decode(shown, position)
        except (ValueError, RecursionError):
            return
        start = position + 2
        try:
            _, position = decoder.raw_decode(shown, start)
        except (ValueError, RecursionError):
            position = len(shown)
        yield str(key), start, position
        position += 2
