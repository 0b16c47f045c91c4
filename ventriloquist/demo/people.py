"""The people of the sample history. They are invented: samples, like their numbers and addresses.

Each has a file in `voices/`: a voice (words, habits of spelling, pace) and a life (`facts`: a pet, a job, tastes
that never change), so that a reader can tell who wrote a message, and a model can learn what each would answer.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Choices = tuple[str, ...]
VOICES = Path(__file__).with_name("voices")

# Words in which an "ing" at the end is no ending.
_NO_ENDING = r"(?<!\bth)(?<!\bbr)(?<!\bk)(?<!\bspr)(?<!\br)(?<!\bs)(?<!morn)(?<!even)"


@dataclass(frozen=True, slots=True)
class Contact:
    """A card of the address book."""

    first_name: str | None = None
    last_name: str | None = None
    organization: str | None = None
    phones: Choices = ()
    emails: Choices = ()
    is_me: bool = False


@dataclass(frozen=True, slots=True)
class Voice:
    """How someone writes.

    `openers` and `tails` are put before and after what is said, `emoji` at its end, each with its rate; `end` and
    `ask` close a sentence and a question. `breaks` is how often a message is cut in two where it can be, `joint`
    what stands there if not. `pace` is the usual wait before an answer in seconds. `taps` are the reactions given
    to others, `tap_rate` how often.
    """

    case: str
    end: str
    ask: Choices
    openers: Choices
    opener_rate: float
    tails: Choices
    tail_rate: float
    emoji: Choices
    emoji_rate: float
    stretch_rate: float
    typo_rate: float
    breaks: float
    joint: str
    pace: float
    tap_rate: float
    taps: Choices
    tap_emoji: str


@dataclass(frozen=True, slots=True)
class Person:
    """Someone in the sample: `words` fill the [slots] of templates, `facts` the {values}.

    `foods` and `colors` are rankings, the best first; `photos` are what they photograph, with words to it;
    `spelling` is applied in order.
    """

    name: str
    voice: Voice
    words: Mapping[str, Choices]
    facts: Mapping[str, Choices]
    photos: Mapping[str, Choices]
    spelling: tuple[tuple[re.Pattern[str], str], ...]
    foods: Choices
    colors: Choices
    contact: Contact
    phone: str
    email: str | None = None


def load(name: str) -> Person:
    """The person whose file in `voices/` is called `name`."""
    with (VOICES / f"{name}.toml").open("rb") as file:
        fields = tomllib.load(file)
    card = fields["card"]
    contact = Contact(
        fields["name"], phones=tuple(card["phones"]), emails=tuple(card["emails"]), is_me=card.get("is_me", False)
    )
    return Person(
        name=fields["name"],
        voice=Voice(**{key: _frozen(value) for key, value in fields["voice"].items()}),
        words={key: tuple(value) for key, value in fields["words"].items()},
        facts=_facts(fields),
        photos={key: tuple(value) for key, value in fields["photos"].items()},
        spelling=tuple((_word(pattern), spelling) for pattern, spelling in fields["spelling"].items()),
        foods=tuple(fields["foods"]),
        colors=tuple(fields["colors"]),
        contact=contact,
        phone=fields["phone"],
        email=fields.get("email"),
    )


def prefers(ranking: Choices, one: str, other: str) -> str:
    """Which of two someone likes better: the one that stands first in their ranking."""
    order = {thing: place for place, thing in enumerate(ranking)}
    return one if order.get(one, len(order)) <= order.get(other, len(order)) else other


def _facts(fields: dict[str, Any]) -> dict[str, Choices]:
    """The facts as they are told, and those that follow from the rankings."""
    foods, colors = fields["foods"], fields["colors"]
    ranked = {"favorite": foods[:1], "second": foods[1:2], "worst": foods[-1:], "color": colors[:1]}
    return {key: tuple(value) for key, value in {**fields["facts"], **ranked}.items()}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _word(pattern: str) -> re.Pattern[str]:
    """A whole word, or with a hyphen in front the end of one."""
    if pattern.startswith("-"):
        return re.compile(rf"(?<=\w){_NO_ENDING}{re.escape(pattern[1:])}\b")
    return re.compile(rf"\b{re.escape(pattern)}\b")
