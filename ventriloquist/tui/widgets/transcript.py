"""What was said so far, following its end; a reply grows in it while it is written."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from ventriloquist.text import one_line
from ventriloquist.tui.paint import shown
from ventriloquist.tui.widgets.bubble import Bubble, GrowingBubble, lone_reaction
from ventriloquist.windows.lines import reply_quote
from ventriloquist.windows.render import Entry

KEPT = 200
"""Messages on the screen; what is older stays in the conversation."""
NEAR = 8
"""A reaction goes under its message if that is among this many last ones, else on a line of its own."""
LONGEST_LINE = 1000
FRAME = 1 / 12


class Transcript(VerticalScroll, can_focus=False):
    """Bubbles in order. `me` is whose messages stand at the right."""

    def __init__(self) -> None:
        super().__init__(id="transcript")
        self.me = ""
        self._growing: GrowingBubble | None = None
        self._written = ""
        self._painted = ""

    def compose(self) -> ComposeResult:
        yield from ()

    def on_mount(self) -> None:
        self.anchor()
        self.set_interval(FRAME, self._paint_growing)

    def repaint(self, entries: Sequence[Entry], generated: Collection[int]) -> None:
        """Show exactly these entries; `generated` holds the id() of those that the model wrote."""
        self.drop_growing()
        self.remove_children()
        for entry in entries[-KEPT:]:
            self.add(entry, generated=id(entry) in generated)

    def add(self, entry: Entry, *, generated: bool) -> None:
        """A message that stands; it takes the place of the one that was growing."""
        self.drop_growing()
        if entry.content_type == "reaction":
            self._add_reaction(entry)
            return
        before = self._last_bubble()
        goes_on = before is not None and before.entry.name == entry.name and before.generated == generated
        self._append(Bubble(entry, mine=entry.name == self.me, generated=generated, goes_on=goes_on))

    def _add_reaction(self, entry: Entry) -> None:
        near = [bubble for bubble in self._standing() if isinstance(bubble, Bubble)][-NEAR:]
        for bubble in reversed(near):
            if entry.reply_to and reply_quote(bubble.entry.text) == entry.reply_to:
                bubble.react(entry)
                return
        self._append(Static(lone_reaction(entry), classes="told"))

    def begin(self, name: str) -> None:
        """`name` begins to write."""
        self.drop_growing()
        before = self._last_bubble()
        goes_on = before is not None and before.generated and before.entry.name == name
        self._written = self._painted = ""
        self._growing = GrowingBubble(name, goes_on=goes_on)
        self._append(self._growing)

    def grow(self, text: str) -> None:
        """More of what is being written; painted a few times a second, however fast it comes."""
        self._written += text

    def drop_growing(self) -> None:
        """Take away what was being written."""
        if self._growing is not None:
            self._growing.remove()
            self._growing = None

    def tell(self, lines: Sequence[tuple[str, str]]) -> None:
        """An answer to a command: lines of a left and a right part."""
        width = max((len(one_line(left, 200)) for left, right in lines if right), default=0)
        painted = [_table_line(left, right, width, self.size.width - 5) for left, right in lines]
        self._append(Static(Content("\n").join(painted), classes="told"))

    def notice(self, sentence: str, *, failed: bool = False) -> None:
        """A small sentence between the messages."""
        mark = ("! ", "$text-error") if failed else ""
        self._append(Static(Content.assemble(mark, shown(sentence)), classes="notice -failed" if failed else "notice"))

    def _append(self, widget: Widget) -> None:
        self.mount(widget)
        standing = self._standing()
        if len(standing) > KEPT + NEAR:
            for old in standing[: len(standing) - KEPT]:
                old.remove()

    def _standing(self) -> list[Widget]:
        return [child for child in self.children if not child._pruning]

    def _last_bubble(self) -> Bubble | None:
        standing = [child for child in self._standing() if child is not self._growing]
        return standing[-1] if standing and isinstance(standing[-1], Bubble) else None

    def _paint_growing(self) -> None:
        if self._growing is not None and self._written != self._painted:
            self._painted = self._written
            self._growing.grow(self._written)


def _table_line(left: str, right: str, column: int, width: int) -> Content:
    """`left` in a column and `right` beside it, going on under itself; a line without `right` fills the width."""
    if not right:
        return shown(one_line(left, LONGEST_LINE))
    beside = textwrap.wrap(one_line(right, 200), max(width - column - 2, 16)) or [""]
    return Content.assemble(
        (one_line(left, 200).ljust(column), "$primary"), "  ", f"\n{' ' * (column + 2)}".join(beside)
    )
