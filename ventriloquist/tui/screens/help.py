"""Help: what a screen is for, and which keys work on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from ventriloquist.tui.paint import shown

TEXTUALS_OWN = ("tab", "shift+tab", "ctrl+c", "super+c")


def keys_of(screen: Screen[Any]) -> list[tuple[str, str]]:
    """The keys that work now on `screen` and in the whole app, each action once, with what they do."""
    keys: dict[str, list[str]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        ours = active.node in (screen, screen.focused, screen.app) and binding.key not in TEXTUALS_OWN
        if ours and binding.description and not binding.system:
            display = screen.app.get_key_display(binding)
            displays = keys.setdefault(binding.tooltip or binding.description, [])
            if display not in displays:
                displays.append(display)
    return [(" ".join(displays), description) for description, displays in keys.items()]


class HelpScreen(ModalScreen[None]):
    """Text and keys; any of the usual keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,f1,question_mark,enter", "dismiss", "Close", key_display="esc"),
    ]

    def __init__(self, about: str, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self.about = about
        self.keys = keys

    def compose(self) -> ComposeResult:
        width = max((len(key) for key, _ in self.keys), default=0) + 2
        lines = [Content.assemble((key.ljust(width), "$primary"), description) for key, description in self.keys]
        with VerticalScroll(id="dialog", classes="help"):
            yield Static(shown(self.about), classes="about")
            yield Static(Content("\n").join(lines), classes="keys")
            yield Static(Content("esc closes"), classes="hint")
