"""How messages become the entries of a window, and entries its text. Preprocess and chat both render here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from ventriloquist.records import MICROSECONDS, Attachment, Kind, Message, Reaction, moment
from ventriloquist.store.spoken import Batch, Spoken
from ventriloquist.text import is_blank
from ventriloquist.windows.lines import Header, delta_for, reply_quote, write, write_fields

REMEMBERED = 10_000
"""At least so many messages are kept for others to quote, about twice as many at most; older ones are asked for."""

_LINK = re.compile(r"https?://\S+", re.IGNORECASE)
_BREAK = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
_SHOWS = re.compile("[!-~]")
"""What is surely not blank."""
_REACTIONS = {
    "loved": "Loved",
    "liked": "Liked",
    "disliked": "Disliked",
    "laughed": "Laughed",
    "emphasized": "Emphasized",
    "questioned": "Questioned",
    "sticker": "Sticker",
}

Words = Callable[[Sequence[Attachment]], "list[Part]"]
"""What the attachments of a message show: of each its content type and the words that stand for it."""
Earlier = Callable[[str, int], Message | None]
"""Finds the message of a guid that stands before the one of a number; None where there is none."""
Part = tuple[str, str]
"""A content type and a text: what becomes one line."""
Shown = str | tuple[str, ...]
"""What a message showed: its one text, or those of its parts."""
Sender = tuple[bool, str | None]
"""Whether I sent it, and the handle it came from."""
Line = TypeVar("Line", str, bytes)


class Entry(NamedTuple):
    """A line without its delta, which depends on the line before. `sent_at` is microseconds since 1970, and `part` the
    line's place among those of its message, 0 for the first."""

    name: str
    sent_at: int
    content_type: str
    text: str
    reply_to: str | None = None
    guid: str = ""
    part: int = 0


def entries_of(messages: Iterable[Message], name_of: Callable[[Message], str], words: Words) -> list[Entry]:
    """The entries of a conversation's messages, in order."""
    whole = dict(enumerate(messages))
    names = {(each.is_from_me, each.sender_handle): name_of(each) for each in whole.values()}
    spoken: list[Spoken] = [(number, "", False, None, 0, None, None, None, 0, None, True) for number in whole]
    return Rendering(names, words).entries(Batch(spoken, whole))


class Rendering:
    """Makes entries of what was said in one conversation, given in order, in as many batches as there are.

    `names` are by (is_from_me, sender_handle). What a message replies or reacts to is quoted if it stands before it:
    the latest messages are remembered, and `earlier` is asked for older ones, which there also are unless the messages
    are given `from_the_start`.
    """

    def __init__(
        self,
        names: Mapping[Sender, str],
        words: Words,
        earlier: Earlier | None = None,
        *,
        from_the_start: bool = True,
    ) -> None:
        self._names = names
        self._words = words
        self._earlier = earlier
        self._latest: dict[str, Shown] = {}
        self._before: dict[str, Shown] = {}
        self._forgets = not from_the_start

    def entries(self, batch: Batch) -> list[Entry]:
        """The entries of these messages; one that shows nothing has none."""
        names, latest, found = self._names, self._latest, list[Entry]()
        entry = partial(tuple.__new__, Entry)  # in half the time of `Entry`, since there are millions
        for number, guid, is_from_me, handle, sent_at, text, reaction, target, part, emoji, is_whole in batch.spoken:
            if is_whole:
                found += self._entries(batch.whole[number], number)
            elif reaction:
                says, quoted = _reaction_text(reaction, emoji), self._quote(target, part, number)
                latest[guid] = ()  # nobody quotes a reaction
                found.append(entry((names[is_from_me, handle], sent_at, "reaction", says, quoted, guid, 0)))
            elif text and text.isprintable() and _SHOWS.search(text):  # one line, as nearly all are
                latest[guid] = text
                content_type = _content_type(text) if "://" in text else "text"
                found.append(entry((names[is_from_me, handle], sent_at, content_type, text, None, guid, 0)))
            else:
                parts = parts_of_text(text)
                latest[guid] = _texts(parts)
                name = names[is_from_me, handle]
                found += [Entry(name, sent_at, *each, None, guid, place) for place, each in enumerate(parts)]
        if len(latest) >= REMEMBERED:
            self._forgets |= bool(self._before)
            self._before, self._latest = latest, {}
        return found

    def _entries(self, message: Message, number: int) -> list[Entry]:
        """The entries of one message, whatever it is."""
        guid, sent_at, reaction = message.guid, message.sent_at, message.reaction
        if reaction:
            target, part = reaction.target, reaction.part
        else:
            target, part = message.reply_to or "", (message.details or {}).get("reply_part", 0)
        quoted = self._quote(target, part, number)
        parts = parts_of(message, self._words)
        self._latest[guid] = () if reaction else _texts(parts)
        name = self._names[message.is_from_me, message.sender_handle] if parts else ""
        return [Entry(name, sent_at, *each, quoted, guid, place) for place, each in enumerate(parts)]

    def _quote(self, target: str | None, part: int, number: int) -> str | None:
        """How a line names the part of a message that the one of this number replies or reacts to."""
        shown = self._shown_by(target, number) if target else ()
        if isinstance(shown, str):
            return reply_quote(shown)
        return reply_quote(shown[min(part, len(shown) - 1)]) if shown else None

    def _shown_by(self, target: str, number: int) -> Shown:
        for remembered in (self._latest, self._before):
            if target in remembered:
                return remembered[target]
        found = self._earlier(target, number) if self._forgets and self._earlier else None
        return _texts(parts_of(found, self._words)) if found and not found.reaction else ()


def _texts(parts: Iterable[Part]) -> tuple[str, ...]:
    return tuple(text for _, text in parts)


def parts_of(message: Message, words: Words) -> list[Part]:
    """What a message shows: one part for each attachment, then one for each line of its text.

    Events, unsent messages and those that show nothing have none.
    """
    kind = message.kind
    if kind is Kind.REACTION:
        return [("reaction", reaction_text(message.reaction))] if message.reaction else []
    if kind is Kind.EVENT or kind is Kind.UNSENT:
        return []
    parts = parts_of_text(message.text)
    if kind is Kind.APP:
        parts = [("app", line) for _, line in parts]
    return [*words(message.attachments), *parts] if message.attachments else parts


def parts_of_text(text: str | None) -> list[Part]:
    """What a text shows: one part for each of its lines."""
    return [(_content_type(line), line) for line in lines_in(text or "")]


def lines_in(text: str) -> list[str]:
    """The lines of a text as they are seen, without those that show nothing."""
    return [line for line in _BREAK.split(text) if not is_blank(line)]


def _content_type(line: str) -> str:
    return "link" if _LINK.fullmatch(line.strip()) else "text"


def reaction_text(reaction: Reaction) -> str:
    """What a reaction line says: Loved, Laughed, ... or the emoji itself."""
    return _reaction_text(reaction.type, reaction.emoji)


def _reaction_text(type_: str, emoji: str | None) -> str:
    return emoji or _REACTIONS.get(type_, "Reacted")


def written(entries: Sequence[Entry], before: int | None, write_as: Callable[..., Line]) -> list[Line]:
    """The entries as lines, after one that was sent at `before`. None makes the first of them the first line of a
    window, whose delta is always `<1m`. `write_as` makes a line of its five fields."""
    if not entries:
        return []
    names, _, content_types, texts, replies, _, _ = zip(*entries, strict=True)
    times: list[int] = [entry.sent_at for entry in entries]
    befores = [times[0] if before is None else before, *times[:-1]]
    deltas = [delta_for((at - earlier) / MICROSECONDS) for earlier, at in zip(befores, times, strict=True)]
    return list(map(write_as, names, deltas, replies, content_types, texts))


def names_in(members: Sequence[str], entries: Sequence[Entry]) -> tuple[str, ...]:
    """Whom a window's header names: the members, and who wrote in the window and has since left."""
    return tuple(dict.fromkeys([*members, *[entry.name for entry in entries]]))


def header_of(kind: str, members: Sequence[str], entries: Sequence[Entry]) -> Header:
    """The header of a window: its kind, everyone in it, and the UTC day of its first message."""
    return Header(kind, tuple(members), moment(entries[0].sent_at).strftime("%Y-%m-%d") if entries else "")


def render(kind: str, members: Sequence[str], entries: Sequence[Entry]) -> str:
    """A window's text: header line and message lines, each with its newline."""
    return write(header_of(kind, names_in(members, entries), entries)) + "".join(written(entries, None, write_fields))
