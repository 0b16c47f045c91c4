"""The line that a person types into: what was typed before, and completion of commands and names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from ventriloquist.chat.commands import COMMANDS, complete
from ventriloquist.text import one_line, plain


class Prompt(Input):
    """An input with history (up, down) and completion (tab, again for the next one)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Send", key_display="enter"),
        Binding("up", "history(-1)", "Typed before", show=False),
        Binding("down", "history(1)", "Typed after", show=False),
        Binding("tab", "complete", "Complete", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="prompt", placeholder="Say something, or / for commands", compact=True)
        self.known: Sequence[str] = ()
        self.typed: list[str] = []
        self._at = 0
        self._draft = ""
        self._cycle: list[str] = []

    def validate_value(self, value: str) -> str:
        """Whatever is pasted or given back, no control byte gets into the line."""
        return one_line_as_typed(value)

    def remember(self, typed: str) -> None:
        """Keep what was sent."""
        if typed and (not self.typed or self.typed[-1] != typed):
            self.typed.append(typed)
        self._at = len(self.typed)

    def action_history(self, step: int) -> None:
        """Go back and forth in what was typed; the unsent line waits at the end."""
        if self._at == len(self.typed):
            self._draft = self.value
        self._at = min(max(self._at + step, 0), len(self.typed))
        self.value = self.typed[self._at] if self._at < len(self.typed) else self._draft
        self.cursor_position = len(self.value)

    def candidates(self) -> list[str]:
        """Whole lines that this one could become."""
        return [one_line_as_typed(line) for line in complete(self.value, self.known)]

    def action_complete(self) -> None:
        """Take the first candidate; pressed again, the next one."""
        if self.value in self._cycle:
            chosen = self._cycle[(self._cycle.index(self.value) + 1) % len(self._cycle)]
        else:
            self._cycle = self.candidates()
            chosen = self._cycle[0] if self._cycle else self.value
        self.value = chosen
        self.cursor_position = len(self.value)


class Hints(Static):
    """One row above the prompt, there while a command is typed: what it could become, or what it takes."""

    def show(self, typed: str, candidates: Sequence[str]) -> None:
        """Fit the hints to what is typed."""
        self.display = typed.startswith("/") and not typed.startswith("//")
        if not self.display:
            return
        word, space, _ = typed[1:].partition(" ")
        fits = [
            command for command in COMMANDS if command.name == word or (not space and command.name.startswith(word))
        ]
        command = fits[0] if len(fits) == 1 else None
        if command and (not space or not candidates):
            told = Content.assemble((f"/{command.name} {command.takes}".rstrip(), "$primary"), f"  {command.help}")
        else:
            names = [one_line(line.removeprefix(f"/{word} ") if space else line, 40) for line in candidates[:40]]
            told = Content("  ".join(names) or "no such command; /help shows them all")
        self.update(told)


def one_line_as_typed(value: str) -> str:
    """`value` without control bytes and line breaks; spaces stay as they were typed."""
    return plain(value).replace("\n", " ").replace("\t", " ")
