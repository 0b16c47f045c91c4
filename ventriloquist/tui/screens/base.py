"""What all screens share: help on F1, and a failed background job that becomes a sentence."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from ventriloquist.faults import Fault
from ventriloquist.text import one_line
from ventriloquist.tui.screens.help import HelpScreen, keys_of


def sentence_of(error: BaseException | None) -> str:
    """A fault in its own words; of anything else only the kind, since its text may quote a message."""
    return str(error) if isinstance(error, Fault) else f"The app met an error here ({type(error).__name__})."


class AppScreen(Screen[None]):
    """A full screen. `HELP` is plain text, shown above the keys that work on it."""

    HELP = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,question_mark", "help", "Help", key_display="?"),
    ]

    def action_help(self) -> None:
        """Show what this screen is for, and its keys."""
        self.app.push_screen(HelpScreen(self.HELP or "", keys_of(self)))

    def problem(self, sentence: str) -> None:
        """Tell that something did not work."""
        self.notify(one_line(sentence, 400), severity="error", timeout=10, markup=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            self.problem(sentence_of(event.worker.error))
