"""A list to choose one from, with a line to search in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ventriloquist.people.finding import folded
from ventriloquist.tui.paint import MUTED, row, shown, spread
from ventriloquist.tui.widgets.clean_input import CleanInput

SHOWN = 500
WIDTH = 66


class PickScreen(ModalScreen[int | None]):
    """Ends with the number of what was chosen, or with None. Choices are a name and what is told beside it."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Down", show=False),
        Binding("up", "move(-1)", "Up", show=False),
        Binding("escape", "dismiss(None)", "Cancel"),
    ]

    def __init__(self, question: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.question = question
        self.choices = choices
        self._fits: list[int] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="pick"):
            yield Static(shown(self.question))
            yield CleanInput(placeholder="type to search", compact=True)
            yield OptionList(id="choices", compact=True)
            yield Static(Content("↑ ↓ enter · esc"), classes="hint")

    def on_mount(self) -> None:
        self._list()

    def on_resize(self) -> None:
        self._list()

    @on(Input.Changed)
    def _list(self) -> None:
        search = folded(self.query_one(Input).value)
        self._fits = [number for number, (name, _) in enumerate(self.choices) if search in folded(name)][:SHOWN]
        listed = self.query_one(OptionList)
        width = max(min(self.size.width * 96 // 100, WIDTH) - 8, 10)
        listed.set_options(
            Option(spread(row(name, width), Content.styled(told, MUTED), width))
            for name, told in (self.choices[number] for number in self._fits)
        )
        listed.highlighted = 0 if self._fits else None

    def action_move(self, step: int) -> None:
        """Move the cursor in the list while typing."""
        listed = self.query_one(OptionList)
        if self._fits:
            listed.highlighted = ((listed.highlighted or 0) + step) % len(self._fits)

    @on(Input.Submitted)
    def _take(self) -> None:
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self.dismiss(self._fits[at])

    @on(OptionList.OptionSelected)
    def _take_clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._fits[event.option_index])
