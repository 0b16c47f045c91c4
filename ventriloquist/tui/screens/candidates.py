"""Several ways in which a reply could begin, in full, to take one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED
from ventriloquist.tui.widgets.bubble import GENERATED, body, name_line
from ventriloquist.windows.lines import Line


class CandidatesScreen(ModalScreen[int | None]):
    """Ends with the number of the line that was taken, counted from 1, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"take({number})", f"Take {number}", show=False) for number in range(1, 10)),
        Binding("j", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
        Binding("escape", "dismiss(None)", "Leave all as it was"),
    ]

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self.lines = lines

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="candidates"):
            yield Static(Content.styled("Ways to answer", "bold"))
            yield OptionList(id="candidates", compact=True, markup=False)
            keys = f"1-{min(len(self.lines), 9)} or enter takes one · esc takes none"
            yield Static(Content(keys), classes="hint")

    def on_mount(self) -> None:
        listed = self.query_one(OptionList)
        listed.add_options(Option(_painted(number, line)) for number, line in enumerate(self.lines, start=1))
        listed.highlighted = 0
        listed.focus()

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        listed = self.query_one(OptionList)
        (listed.action_cursor_down if step > 0 else listed.action_cursor_up)()

    def action_take(self, number: int) -> None:
        """Take the line of this number."""
        if number <= len(self.lines):
            self.dismiss(number)

    @on(OptionList.OptionSelected)
    def _taken(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index + 1)


def _painted(number: int, line: Line) -> Content:
    """Number, name and words; what it replies or reacts to stands before them."""
    sign = Content.assemble((f"{number}  " if number < 10 else f"{number} ", "bold $primary"))
    parts = [Content.assemble(sign, name_line(line.name, GENERATED.word))]
    if line.reply_to:
        parts.append(Content.styled(f"↪ {one_line(line.reply_to, 60)}", f"{MUTED} italic"))
    return Content("\n").join([*parts, body(line.content_type, line.text)])
