"""Tapbacks: what their numbers mean, what they stand on, and which of them still stand."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ventriloquist.records import Reaction

STICKER_ON_BUBBLE = 1000
FIRST_ADDED, FIRST_REMOVED, POLL_VOTE = 2000, 3000, 4000
TYPES = ("loved", "liked", "disliked", "laughed", "emphasized", "questioned", "emoji", "sticker")
TAKEN_BACK = "tapback that was taken back"
REPLACED = "tapback that a later one replaced"
REMOVAL = "removal of a tapback"

_QUOTE = re.compile('["“„«‹「『]')
_KEYCAP = "\u20e3"
_TARGET = re.compile(r"(?:p:(\d{1,6})/|bp:)?(.*)", re.DOTALL)


def target_of(associated_guid: str | None) -> tuple[str, int]:
    """The guid of the message and the index of its part: `p:1/GUID`, `bp:GUID` (a balloon) or a bare guid."""
    match = _TARGET.fullmatch(associated_guid or "")
    return (match[2], int(match[1] or 0)) if match else ("", 0)


def is_added(number: int) -> bool:
    return FIRST_ADDED <= number < FIRST_ADDED + len(TYPES)


def is_removed(number: int) -> bool:
    return FIRST_REMOVED <= number < FIRST_REMOVED + len(TYPES)


def reaction(number: int, associated_guid: str | None, emoji: str | None) -> Reaction:
    """The reaction that a row of type 2000 to 2007, or 1000, says."""
    target, part = target_of(associated_guid)
    type_ = "sticker" if number == STICKER_ON_BUBBLE else TYPES[number - FIRST_ADDED]
    return Reaction(type_, target, part, emoji or None if type_ == "emoji" else None)


def emoji_in(echo: str) -> str | None:
    """The emoji that the text of a tapback tells, in whatever language, as in `Reacted 🎉 to “…”`.

    Devices older than iOS 18 and macOS 15 have it nowhere else. What is quoted is not looked at.
    """
    for word in _QUOTE.split(echo, maxsplit=1)[0].split():
        if any(unicodedata.category(character) == "So" or character == _KEYCAP for character in word):
            return word
    return None


def ended(rows: Iterable[tuple[int, int, str | None, str | None, str]]) -> dict[int, str]:
    """The rows whose tapback no longer stands, each with the reason.

    `rows` are (row, type, associated guid, emoji, sender), oldest first. Each sender has one tapback on each part of
    a message: a new one replaces it, a removal of the same type and emoji takes it back. A removal without its
    addition is common, since Messages often keeps the latest row only.
    """
    standing: dict[tuple[str, int, str], tuple[int, int, str | None]] = {}
    gone: dict[int, str] = {}
    for row, number, associated_guid, emoji, sender in rows:
        place = (*target_of(associated_guid), sender)
        if is_added(number):
            if place in standing:
                gone[standing[place][0]] = REPLACED
            standing[place] = (row, number - FIRST_ADDED, emoji or None)
        elif place in standing and _is_undone(standing[place], number - FIRST_REMOVED, emoji):
            gone[standing.pop(place)[0]] = TAKEN_BACK
    return gone


def _is_undone(standing: tuple[int, int, str | None], type_: int, emoji: str | None) -> bool:
    """Whether the removal of a tapback of that type and emoji (None where it is not told) is of the one standing."""
    _, its_type, its_emoji = standing
    return its_type == type_ and (not emoji or not its_emoji or emoji == its_emoji)
