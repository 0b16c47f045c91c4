"""What a chat screen paints, copied in the thread in which the session changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ventriloquist.chat.commands import Completions
from ventriloquist.chat.conversation import Utterance
from ventriloquist.chat.session import Session


@dataclass(frozen=True, slots=True)
class Scene:
    """Who is there, what was said, and with which model and settings."""

    me: str = ""
    speaker: str = ""
    members: tuple[str, ...] = ()
    target: str | None = None
    kind: str = "dm"
    title: str = ""
    said: tuple[Utterance, ...] = ()
    start: int = 0
    size: int = 0
    checkpoint: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    known: Completions = field(default_factory=Completions)

    @property
    def others(self) -> list[str]:
        """Everyone but me."""
        return [name for name in self.members if name != self.me]

    @property
    def live(self) -> bool:
        """True if real messages are in it."""
        return bool(self.said) and self.said[0].origin == "real"


def scene_of(session: Session, known: Completions | None = None) -> Scene:
    """The session as it is now; `known` spares looking up again what words can be completed with."""
    talk = session.conversation
    return Scene(
        talk.me, talk.speaker, tuple(talk.members), talk.target, talk.kind, talk.title, tuple(talk.said),
        talk.start, talk.size, session.checkpoint, dict(session.options), dict(session.facts),
        known or session.completions(),
    )  # fmt: skip
