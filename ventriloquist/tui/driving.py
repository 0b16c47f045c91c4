"""A chat's session, driven in threads of its own; what happens comes back as messages.

Text that streams comes as none: it is added to a `Growth`, which the screen looks at a few times a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual.message import Message

from ventriloquist.chat import events
from ventriloquist.chat.commands import Completions
from ventriloquist.chat.session import Session
from ventriloquist.tui.scene import Scene, scene_of
from ventriloquist.tui.screens.base import sentence_of
from ventriloquist.tui.widgets.transcript import Growth


@dataclass
class Opened(Message):
    """The model is loaded, or (`scene` is None) could not be."""

    scene: Scene | None
    problem: str = ""
    kept: bool = False


@dataclass
class Happened(Message):
    """An event of the session, and the scene after it."""

    what: events.ChatEvent
    scene: Scene


@dataclass
class Began(Message):
    """Somebody writes."""

    growth: Growth


@dataclass
class Done(Message):
    """All that follows from a typed line has happened."""

    scene: Scene


class Driving:
    """Opens a session, submits to it and ends it. `open`, `submit` and `leave` block: each is called in a thread."""

    def __init__(self, session: Session, post: Callable[[Message], Any]) -> None:
        self.session = session
        self._post = post
        self._left = threading.Event()

    def open(self) -> None:
        """Load the model; whatever that meets is a sentence."""
        opened = Opened(None)
        try:
            self.session.open()
            opened.scene = scene_of(self.session)
            opened.kept = any(self.session.workspace.conversations.glob("*.jsonl"))
        except Exception as error:  # noqa: BLE001
            opened.problem = sentence_of(error)
        if self._left.is_set():
            self.session.close()
        else:
            self._post(opened)

    def submit(self, typed: str, known: Completions) -> None:
        """Hand over a typed line, and post what follows from it."""
        growth = Growth("")
        try:
            for event in self.session.submit(typed):
                match event:
                    case events.Text():
                        growth.pieces.append(event.text)
                    case events.Writing():
                        growth = Growth(event.name)
                        self._post(Began(growth))
                    case _:
                        self._post(Happened(event, scene_of(self.session, known)))
        except Exception as error:  # noqa: BLE001
            # Whatever a reply meets is told on the screen, and the typed words are given back.
            self._post(Happened(events.Failed(sentence_of(error), typed), scene_of(self.session, known)))
        finally:
            self._post(Done(scene_of(self.session, self._completions(known))))
            if self._left.is_set():
                self.session.close()

    def _completions(self, before: Completions) -> Completions:
        try:
            return self.session.completions()
        except OSError:  # a checkpoint went away while they were listed
            return before

    def cancel(self) -> None:
        """Stop the reply that is being written."""
        self.session.cancel()

    def leave(self) -> None:
        """End the model's process; it may take seconds."""
        self._left.set()
        self.session.cancel()
        self.session.close()
