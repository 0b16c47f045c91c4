"""Records: messages, attachments, chats and people as they were, and the ledger that accounts for them."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

MICROSECONDS = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

ME = "me"
"""The key of the person whose history it is."""
UNKNOWN = "unknown"
"""The key of whoever sent the messages that name no sender."""


class Kind(StrEnum):
    """What a message is."""

    TEXT = "text"
    ATTACHMENT = "attachment"
    REACTION = "reaction"
    APP = "app"
    EVENT = "event"
    UNSENT = "unsent"


class ChatKind(StrEnum):
    """A conversation of two, or of more."""

    DM = "dm"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that stands in a message. `path` is where it lies on this machine, or None if it does not;
    `is_offloaded` then says that the history itself knows it to be elsewhere (iCloud), and not lost."""

    guid: str
    mime_type: str | None = None
    name: str | None = None
    path: str | None = None
    transcript: str | None = None
    description: str | None = None
    is_sticker: bool = False
    total_bytes: int | None = None
    is_offloaded: bool = False


@dataclass(frozen=True, slots=True)
class Reaction:
    """A tapback that still stands. `type` is loved, liked, disliked, laughed, emphasized, questioned, emoji
    or sticker; `emoji` is set for `emoji`; `target` is a message's guid and `part` its part's index."""

    type: str
    target: str
    part: int = 0
    emoji: str | None = None


class Message(NamedTuple):
    """One message. `sent_at` is microseconds since 1970-01-01 UTC; `sender_handle` is normalised, None for me.

    `details` is what else the source says of it, as JSON values: see docs/formats.md. A tuple, since there are
    millions of them.
    """

    guid: str
    source: str
    source_row: int
    chat: str
    kind: Kind
    is_from_me: bool
    sent_at: int
    sender_handle: str | None = None
    text: str | None = None
    reply_to: str | None = None
    reaction: Reaction | None = None
    attachments: tuple[Attachment, ...] = ()
    edited: bool = False
    unsent: bool = False
    service: str | None = None
    details: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat of the source. `handles` are the normalised handles of everyone in it but me."""

    guid: str
    source: str
    kind: ChatKind
    handles: tuple[str, ...]
    name: str | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who writes. `key` is stable (the smallest of their handles, or "me")."""

    key: str
    name: str
    handles: tuple[str, ...] = ()
    is_me: bool = False


@dataclass(frozen=True, slots=True)
class Contact:
    """What an address book says: these handles are one person, of that name (empty: nobody said a name)."""

    name: str
    handles: tuple[str, ...]
    is_me: bool = False


@dataclass(frozen=True, slots=True)
class Book:
    """What a collect knew of people: my own addresses, everyone's (both normalised), and the address books as they
    are written, the one that wins first."""

    my_name: str
    region: str
    mine: tuple[str, ...]
    handles: tuple[str, ...]
    cards: tuple[tuple[Contact, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """The chats of the same people merged: `id` is stable for a set of people and a kind.

    `members` are the keys of everyone in it, me included, me last.
    """

    id: str
    kind: ChatKind
    members: tuple[str, ...]
    name: str | None = None


@dataclass(slots=True)
class Ledger:
    """Every row of a source, counted once: kept by kind or dropped by reason, for each year (UTC; 0 if undated).

    `unreadable` counts the rows, kept or dropped, whose text could not be decoded.
    """

    kept: Counter[tuple[str, int]] = field(default_factory=Counter)
    dropped: Counter[tuple[str, int]] = field(default_factory=Counter)
    unreadable: int = 0

    def keep(self, kind: Kind, sent_at: int) -> None:
        self.kept[kind.value, year_of(sent_at)] += 1

    def drop(self, reason: str, sent_at: int, rows: int = 1) -> None:
        self.dropped[reason, year_of(sent_at)] += rows

    @property
    def source_rows(self) -> int:
        return self.kept.total() + self.dropped.total()


def moment(sent_at: int) -> datetime:
    """Microseconds since 1970 as an aware UTC datetime."""
    return datetime.fromtimestamp(sent_at // MICROSECONDS, UTC).replace(microsecond=sent_at % MICROSECONDS)


def rfc3339(sent_at: int) -> str:
    """Microseconds since 1970 as RFC 3339 UTC with microseconds: 2024-03-15T09:30:00.000000Z."""
    return moment(sent_at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_YEARS = [(datetime(year, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) for year in range(1971, 2200)]


def year_of(sent_at: int) -> int:
    """The UTC year, or 0 when the date is unset."""
    if not sent_at:
        return 0
    return 1970 + bisect_right(_YEARS, sent_at) if 0 < sent_at < _YEARS[-1] else moment(sent_at).year
