"""What the sample history says, before it becomes rows: chats, posts and what hangs on them."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

SECOND = 1_000_000_000
APPLE_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)

IMESSAGE = "iMessage"
SMS = "SMS"

REACTIONS = ("loved", "liked", "disliked", "laughed", "emphasized", "questioned", "emoji", "sticker")


def apple_time(moment: datetime) -> int:
    """Nanoseconds since 2001-01-01 UTC, as `message.date` counts."""
    passed = moment - APPLE_EPOCH
    return (passed.days * 86_400 + passed.seconds) * SECOND + passed.microseconds * 1000


def moment_of(at: int) -> datetime:
    """The UTC moment of an Apple time, to the second."""
    return datetime.fromtimestamp(at // SECOND + int(APPLE_EPOCH.timestamp()), UTC)


def new_guid(rng: random.Random) -> str:
    """A version 4 UUID in capitals, from `rng`."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4)).upper()


@dataclass(frozen=True, slots=True)
class File:
    """A file to send. `make` names how it is made (see `attachments`), `topic` what it shows.

    `on_disk` is False for one whose file is gone, `offloaded` for one that was never downloaded.
    """

    make: str
    topic: str
    name: str
    on_disk: bool = True
    offloaded: bool = False
    transcript: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A web page with its preview."""

    address: str
    title: str
    summary: str
    site: str


@dataclass(frozen=True, slots=True)
class App:
    """A message of an iMessage app."""

    name: str
    caption: str
    label: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a group. `whom` is the person added; `title` the new name."""

    what: str
    whom: str | None = None
    title: str | None = None


@dataclass(slots=True, eq=False)
class Tapback:
    """A reaction to a post. `undone` is "" while it stands, else how it ended: removed or replaced.

    `only_removal` means that the history kept the removal alone, as it often does.
    """

    who: str
    what: str
    at: int = 0
    emoji: str | None = None
    part: int = 0
    undone: str = ""
    only_removal: bool = False
    bare_target: bool = False


@dataclass(slots=True, eq=False)
class Post:
    """One message as someone sent it. `at` is an Apple time; 0 until it is known."""

    who: str
    text: str = ""
    at: int = 0
    guid: str = ""
    service: str = IMESSAGE
    reply_to: Post | None = None
    files: tuple[File, ...] = ()
    caption_first: bool = False
    link: Link | None = None
    app: App | None = None
    event: Event | None = None
    mention: str | None = None
    mention_handle: str = ""
    effect: str | None = None
    subject: str | None = None
    earlier: tuple[str, ...] = ()
    unsent: bool = False
    unsent_file: bool = False
    fate: str = ""
    tapbacks: list[Tapback] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """True for words and nothing else: what edits and replies may be put on."""
        return bool(self.text) and not (
            self.files
            or self.link
            or self.app
            or self.event
            or self.unsent
            or self.earlier
            or self.mention
            or self.fate
        )


@dataclass(slots=True)
class Script:
    """The posts of one conversation, in order. `members` are everyone but the owner; a group has a `title`."""

    key: str
    members: tuple[str, ...]
    title: str | None = None
    posts: list[Post] = field(default_factory=list)

    @property
    def is_group(self) -> bool:
        return self.title is not None
