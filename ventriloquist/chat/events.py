"""What happens in a chat, in the order it happens; the line mode prints these and the app paints them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ventriloquist.windows.lines import Line
from ventriloquist.windows.render import Entry


@dataclass(frozen=True, slots=True)
class Said:
    """You said this (or put it into someone's mouth)."""

    entry: Entry


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
    """A whole message by the model, and what it cost (tokens, sampled, forwards, read, seconds)."""

    entry: Entry
    line: Line
    cost: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """It is your turn again."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer to a command: lines to show, each (left, right)."""

    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """The cast, the target or what was said has changed: paint it anew. `notice` says what."""

    notice: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not work, in one sentence; `typed` gives the person's words back."""

    sentence: str
    typed: str = ""


@dataclass(frozen=True, slots=True)
class Quit:
    """The person wants to leave."""


ChatEvent = Said | Writing | Text | Wrote | TurnEnded | Told | Changed | Failed | Quit
