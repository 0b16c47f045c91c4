"""A question with a line to type the answer into."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from ventriloquist.text import plain
from ventriloquist.tui.paint import shown


class AskScreen(ModalScreen[str | None]):
    """Ends with what was typed, or with None. An empty line is no answer, unless it `may_be_empty`."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(
        self, question: str, yes: str, typed: str = "", example: str = "", *, may_be_empty: bool = False
    ) -> None:
        super().__init__()
        self.question = question
        self.yes = yes
        self.typed = plain(typed)
        self.example = plain(example)
        self.may_be_empty = may_be_empty

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="ask"):
            yield Static(shown(self.question))
            yield Input(self.typed, placeholder=self.example, compact=True)
            with Horizontal(id="buttons"):
                yield Button(Content(self.yes), variant="primary", id="yes", compact=True)
                yield Button("Cancel", id="cancel", compact=True)
                yield Static(Content("enter · esc"), classes="hint")

    @on(Button.Pressed, "#yes")
    @on(Input.Submitted)
    def answer(self) -> None:
        """Take the line, if there is something in it."""
        typed = self.query_one(Input).value.strip()
        if typed or self.may_be_empty:
            self.dismiss(typed)

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Answer nothing."""
        self.dismiss(None)
