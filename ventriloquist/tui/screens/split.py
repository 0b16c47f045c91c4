"""Which addresses of someone are somebody else's, and who that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, SelectionList, Static
from textual.widgets.selection_list import Selection

from ventriloquist.records import Person
from ventriloquist.tui.paint import row, shown


@dataclass(frozen=True, slots=True)
class Parted:
    """The addresses that were chosen, and the name that was typed, if one was."""

    handles: tuple[str, ...]
    name: str | None


class SplitScreen(ModalScreen[Parted | None]):
    """Ends with the chosen addresses, or with None."""

    AUTO_FOCUS = "SelectionList"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, person: Person) -> None:
        super().__init__()
        self.person = person

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="split"):
            yield Static(shown(f"Which of these addresses are not {self.person.name}'s?"))
            yield SelectionList[int](
                *(Selection(row(handle, 60), number) for number, handle in enumerate(self.person.handles)),
                compact=True,
            )
            with Horizontal(classes="line"):
                yield Static(Content("Whose are they?"), classes="name")
                yield Input(placeholder="a name, or leave it empty", compact=True)
            yield Static(id="problem")
            with Horizontal(id="buttons"):
                yield Button("Split", variant="primary", id="yes", compact=True)
                yield Button("Cancel", id="cancel", compact=True)
                yield Static(Content("space choose · tab next · esc"), classes="hint")

    def on_mount(self) -> None:
        self.query_one("#problem").display = False

    @on(Button.Pressed, "#yes")
    @on(Input.Submitted)
    def answer(self) -> None:
        """Take what was chosen, or say what is missing."""
        chosen = sorted(self.query_one(SelectionList).selected)
        if not chosen or (len(chosen) == len(self.person.handles) and not self.person.is_me):
            problem = self.query_one("#problem", Static)
            problem.update(Content("Choose some of them with space, but not all."))
            problem.display = True
            return
        name = self.query_one(Input).value.strip() or None
        self.dismiss(Parted(tuple(self.person.handles[number] for number in chosen), name))

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Split nothing."""
        self.dismiss(None)
