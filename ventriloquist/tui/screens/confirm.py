"""A question before something that cannot be taken back."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from ventriloquist.tui.paint import shown


class ConfirmScreen(ModalScreen[bool]):
    """Ends with True for yes. The safe answer has the focus."""

    AUTO_FOCUS = "#no"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes"),
        Binding("n,escape", "dismiss(False)", "No"),
        Binding("left,up", "app.focus_previous", "Button before", show=False),
        Binding("right,down", "app.focus_next", "Next button", show=False),
    ]

    def __init__(self, question: str, yes: str, no: str = "Cancel") -> None:
        super().__init__()
        self.question = question
        self.yes = yes
        self.no = no

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="confirm"):
            yield Static(shown(self.question))
            with Horizontal(id="buttons"):
                yield Button(Content(self.yes), variant="primary", id="yes", compact=True)
                yield Button(Content(self.no), id="no", compact=True)
                yield Static(Content("y · n"), classes="hint")

    @on(Button.Pressed)
    def answer(self, event: Button.Pressed) -> None:
        """Take the pressed button as the answer."""
        self.dismiss(event.button.id == "yes")
