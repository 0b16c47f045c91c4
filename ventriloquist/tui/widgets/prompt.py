"""The line that a person types into: what was typed before, and the suggestions that stand over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from ventriloquist.chat.commands import LONGEST, Completions
from ventriloquist.tui.widgets.clean_input import one_line_as_typed
from ventriloquist.tui.widgets.suggestions import Quoted, Suggestions, suggest


class Prompt(Input):
    """An input with history (up, down) and completion (tab, again for the next one)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", key_display="enter"),
        Binding("tab", "complete", "Choose", tooltip="Complete; on an empty line: choose a message"),
        Binding("up", "move(-1)", "Typed before, or up in the list", show=False),
        Binding("down", "move(1)", "Typed after, or down in the list", show=False),
        Binding("pageup", "screen.scroll(-1)", "Scroll up", show=False),
        Binding("pagedown", "screen.scroll(1)", "Scroll down", show=False),
    ]

    class TooLong(Message):
        """Something did not fit; the line holds its beginning."""

    class ChooseWanted(Message):
        """Tab on an empty line: the person wants to choose a message."""

    def __init__(self, suggestions: Suggestions, quoted: Quoted) -> None:
        super().__init__(
            id="prompt", placeholder="Say something, or / for commands", compact=True, select_on_focus=False
        )
        self.suggestions = suggestions
        self.quoted = quoted
        self.known = Completions()
        self.options: Mapping[str, Any] = {}
        self.typed: list[str] = []
        self._at = 0
        self._draft = ""
        self._quiet = ""
        self._taken = ""

    def validate_value(self, value: str) -> str:
        """Whatever is pasted or given back: no control byte, and no more than a message may have."""
        kept = one_line_as_typed(value[: 2 * LONGEST])
        if len(value) > 2 * LONGEST or len(kept) > LONGEST:
            self.post_message(self.TooLong())
        return kept[:LONGEST]

    def _on_paste(self, event: events.Paste) -> None:
        """All lines of what is pasted, as one; of a huge text only as much as a message may have."""
        event.prevent_default()
        event.stop()
        pasted = one_line_as_typed(event.text[: 2 * LONGEST].rstrip("\r\n"))
        self.replace(pasted, *sorted(self.selection))
        if len(event.text) > 2 * LONGEST:
            self.post_message(self.TooLong())

    def give_back(self, line: str) -> None:
        """Words that could not be sent: here again, before what was typed since."""
        behind = self.value
        self.put(f"{line} {behind}" if behind else line)

    # --- history

    def remember(self, typed: str) -> None:
        """Keep what was sent."""
        if typed and (not self.typed or self.typed[-1] != typed):
            self.typed.append(typed)
        self._at = len(self.typed)

    def put(self, line: str, *, quiet: bool = True) -> None:
        """Put words here for the person to go on with; if `quiet`, no list opens over them."""
        self._quiet = one_line_as_typed(line)[:LONGEST] if quiet else ""
        self.value = line
        self.cursor_position = len(self.value)

    def _history(self, step: int) -> None:
        """Go back and forth in what was typed; the unsent line waits at the end."""
        if self._at == len(self.typed):
            self._draft = self.value
        self._at = min(max(self._at + step, 0), len(self.typed))
        self.put(self.typed[self._at] if self._at < len(self.typed) else self._draft)

    # --- suggestions

    def offer(self) -> None:
        """Fit the list to what is typed. What was put here by a key opens none, until something is typed."""
        if self.value == self._taken and self.suggestions.display:
            return
        self._taken = ""
        if self.value == self._quiet:
            self.suggestions.show(())
            return
        self._quiet = ""
        self.suggestions.show(suggest(self.value, self.known, self.options, self.quoted))

    def take(self, line: str) -> None:
        """Take a suggestion. A list of several stays, for the next one; else what may follow is offered."""
        several = len(self.suggestions.offered) > 1
        self._taken = line if several else ""
        self._quiet = ""
        self.value = line
        self.cursor_position = len(self.value)

    def on_focus(self) -> None:
        self.offer()

    def on_blur(self) -> None:
        self.suggestions.show(())

    # --- keys

    def action_move(self, step: int) -> None:
        """Up and down: in the list while it is open, else in what was typed."""
        if self.suggestions.is_open:
            self.suggestions.move(step)
        else:
            self._history(step)

    def action_complete(self) -> None:
        """Take the suggestion under the cursor; pressed again, the next one."""
        if self.suggestions.is_open:
            if self.value == self._taken and self.suggestions.line == self.value:
                self.suggestions.move(1)
            self.take(self.suggestions.line)
        elif not self.value:
            self.post_message(self.ChooseWanted())

    async def _on_key(self, event: events.Key) -> None:
        """Enter is met here and now: as a binding it would come after the keys that were typed behind it."""
        if event.key == "enter":
            event.prevent_default()
            event.stop()
            self.action_send()
        else:
            await super()._on_key(event)

    def action_send(self) -> None:
        """Send the line, and leave it empty; if the cursor was moved in the list, take what it is on instead."""
        if self.suggestions.is_open and self.suggestions.moved and self.value != self.suggestions.line:
            self.take(self.suggestions.line)
            self.suggestions.moved = False
            return
        typed, self.value = self.value, ""
        self.post_message(self.Submitted(self, typed, None))

    def close_list(self) -> bool:
        """Close the list until something else is typed; returns False if there was nothing to take in it."""
        was_open = self.suggestions.is_open
        self._quiet, self._taken = self.value, ""
        self.suggestions.show(())
        return was_open
