"""How messages become the entries of a window, and entries its text. Preprocess and chat both render here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ventriloquist.records import MICROSECONDS, Attachment, Kind, Message, Reaction, moment
from ventriloquist.text import is_blank
from ventriloquist.windows.lines import DELTAS, Header, Line, delta_for, reply_quote, write

_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
_REACTIONS = {
    "loved": "Loved",
    "liked": "Liked",
    "disliked": "Disliked",
    "laughed": "Laughed",
    "emphasized": "Emphasized",
    "questioned": "Questioned",
    "sticker": "Sticker",
}

Words = Callable[[Attachment], tuple[str, str]]
"""An attachment's content type and the words that stand for it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line without its delta, which depends on the line before. `sent_at` is microseconds since 1970."""

    name: str
    sent_at: int
    content_type: str
    text: str
    reply_to: str | None = None
    guid: str = ""


def entries_of(messages: Iterable[Message], name_of: Callable[[Message], str], words: Words) -> Iterator[Entry]:
    """The entries of one conversation's messages, in order.

    A message is one entry for each attachment and one for each line of its text; events, unsent messages and
    those that show nothing give none.
    """
    quoted: dict[str, tuple[str, ...]] = {}
    for message in messages:
        parts = list(_parts(message, words))
        if message.kind is not Kind.REACTION:
            quoted[message.guid] = tuple(text for _, text in parts)
        reply_to = _quote(message, quoted)
        for content_type, text in parts:
            yield Entry(name_of(message), message.sent_at, content_type, text, reply_to, message.guid)


def _parts(message: Message, words: Words) -> Iterator[tuple[str, str]]:
    if message.kind is Kind.REACTION and message.reaction:
        yield "reaction", reaction_text(message.reaction)
    if message.kind in (Kind.TEXT, Kind.ATTACHMENT, Kind.APP):
        for attachment in message.attachments:
            yield words(attachment)
        for line in (message.text or "").split("\n"):
            if not is_blank(line):
                yield _content_type(message.kind, line), line


def _content_type(kind: Kind, line: str) -> str:
    if kind is Kind.APP:
        return "app"
    return "link" if _LINK.fullmatch(line.strip()) else "text"


def reaction_text(reaction: Reaction) -> str:
    """What a reaction line says: Loved, Laughed, ... or the emoji itself."""
    return reaction.emoji or _REACTIONS.get(reaction.type, "Reacted")


def _quote(message: Message, quoted: dict[str, tuple[str, ...]]) -> str | None:
    reaction = message.reaction
    parts = quoted.get(reaction.target if reaction else message.reply_to or "", ())
    if not parts:
        return None
    return reply_quote(parts[min(reaction.part, len(parts) - 1) if reaction else 0])


def lines_of(entries: Sequence[Entry]) -> list[Line]:
    """The message lines of a window that holds `entries`; the first line's delta is always `<1m`."""
    lines = []
    before: int | None = None
    for entry in entries:
        delta = DELTAS[0] if before is None else delta_for((entry.sent_at - before) / MICROSECONDS)
        lines.append(Line(entry.name, delta, entry.reply_to, entry.content_type, entry.text))
        before = entry.sent_at
    return lines


def header_of(kind: str, members: Sequence[str], entries: Sequence[Entry]) -> Header:
    """The header of a window: its kind, everyone in it, and the UTC day of its first message."""
    return Header(kind, tuple(members), moment(entries[0].sent_at).strftime("%Y-%m-%d") if entries else "")


def render(kind: str, members: Sequence[str], entries: Sequence[Entry]) -> str:
    """A window's text: header line and message lines, each with its newline."""
    header = header_of(kind, members, entries)
    return write(header) + "".join(write(line) for line in lines_of(entries))
