"""What happens in a chat, in the order it happens; the line mode prints these and the app paints them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ventriloquist.chat.conversation import Utterance
from ventriloquist.windows.lines import Line


@dataclass(frozen=True, slots=True)
class Said:
    """You said this (or put it into someone's mouth)."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class Waiting:
    """`name` lets `seconds` pass before the next message, as the model says that they do."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Writing:
    """`name` begins to write."""

    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """More of what is being written."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Wrote:
    """A whole message by the model, and what it cost (see `model.generate.Cost`)."""

    utterance: Utterance
    line: Line
    cost: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """It is your turn again. `stopped` if you asked for it."""

    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """An answer to a command: lines to show, each (left, right)."""

    lines: tuple[tuple[str, str], ...]


class Choice(NamedTuple):
    """One of several: what it is called, what is told beside it, and the command that takes it."""

    label: str
    told: str
    typed: str


@dataclass(frozen=True, slots=True)
class Choose:
    """A command that needs one of these."""

    question: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Offered:
    """Several ways in which the reply could begin; `/pick N` takes the Nth, counted from 1."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Busy:
    """Something takes a while: what, in a few words."""

    doing: str


@dataclass(frozen=True, slots=True)
class Changed:
    """The cast, the settings or what was said has changed: paint it anew. `notice` says what."""

    notice: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not work, in one sentence; `typed` gives the person's words back."""

    sentence: str
    typed: str = ""


@dataclass(frozen=True, slots=True)
class Quit:
    """The person wants to leave."""


ChatEvent = (
    Said | Waiting | Writing | Text | Wrote | TurnEnded | Told | Choose | Offered | Busy | Changed | Failed | Quit
)
