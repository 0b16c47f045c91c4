"""Records: messages, attachments, chats and people as they were, and the ledger that accounts for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from time import gmtime

MICROSECONDS = 1_000_000

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
    """A file that stands in a message. `path` is where it lies on this machine, or None if it does not."""

    guid: str
    mime_type: str | None = None
    name: str | None = None
    path: str | None = None
    transcript: str | None = None
    description: str | None = None
    is_sticker: bool = False
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Reaction:
    """A tapback that still stands. `type` is loved, liked, disliked, laughed, emphasized, questioned, emoji
    or sticker; `emoji` is set for `emoji`; `target` is a message's guid and `part` its part's index."""

    type: str
    target: str
    part: int = 0
    emoji: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `sent_at` is microseconds since 1970-01-01 UTC; `sender_handle` is normalised, None for me."""

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
    """Every row of a source, counted once: kept by kind or dropped by reason, for each year (UTC; 0 if undated)."""

    kept: Counter[tuple[str, int]] = field(default_factory=Counter)
    dropped: Counter[tuple[str, int]] = field(default_factory=Counter)

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


def year_of(sent_at: int) -> int:
    """The UTC year, or 0 when the date is unset."""
    return gmtime(sent_at // MICROSECONDS).tm_year if sent_at else 0
