"""A long answer to a command, on a sheet that scrolls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ventriloquist.text import plain
from ventriloquist.tui.paint import row
from ventriloquist.tui.widgets.blocks import columns
from ventriloquist.tui.widgets.rows import Rows


class Sheet(Rows, can_focus=True, inherit_bindings=False):
    """Lines in two columns, wrapped at whatever width there is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_down", "A line down", show=False),
        Binding("up,k", "scroll_up", "A line up", show=False),
        Binding("pagedown,space", "page_down", "A page down", show=False),
        Binding("pageup", "page_up", "A page up", show=False),
        Binding("home", "scroll_home", "The first line", show=False),
        Binding("end", "scroll_end", "The last line", show=False),
    ]

    def __init__(self, lines: Sequence[tuple[str, str]]) -> None:
        super().__init__(id="sheet")
        self.lines = lines
        self._width = 0

    def on_resize(self) -> None:
        width = self.scrollable_content_region.width
        if width != self._width:
            self._width = width
            self.put_rows(columns(self.lines, width - 1))


class ToldScreen(ModalScreen[None]):
    """Everything that a command answered; esc closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Close", key_display="esc"),
        Binding("c,y", "copy", "Copy"),
    ]

    def __init__(self, asked: str, lines: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.asked = asked
        self.lines = lines

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="told-sheet"):
            yield Static(row(self.asked, 60, "bold $primary"))
            yield Sheet(self.lines)
            yield Static(Content("↑ ↓ scroll · c copies all · esc closes"), classes="hint")

    def action_copy(self) -> None:
        """Copy every line, as it is."""
        self.app.copy_to_clipboard(plain("\n".join("  ".join(filter(None, line)) for line in self.lines)))
        self.notify("Copied.", timeout=2, markup=False)
