"""Reading `data/messages.db` back as records."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from ventriloquist.records import (
    ME,
    UNKNOWN,
    Attachment,
    ChatKind,
    Conversation,
    Kind,
    Ledger,
    Message,
    Person,
    Reaction,
    rfc3339,
)
from ventriloquist.store.values import to_text, to_value, to_word

BATCH, SPARE = 500, 50
_MESSAGES = (
    "SELECT m.number, m.guid, m.source, m.source_row, c.guid, m.kind, m.is_from_me, m.sent_at, m.sender, m.text, "
    "m.reply_to, m.reaction_type, m.reaction_target, m.reaction_part, m.reaction_emoji, m.attachments, m.edited, "
    "m.unsent, m.service, m.details FROM messages AS m JOIN chats AS c ON c.number = m.chat "
)
_ATTACHMENTS = (
    "SELECT a.message, a.guid, a.mime_type, a.name, a.path, a.transcript, d.text, a.is_sticker, a.total_bytes, "
    "a.offloaded FROM attachments AS a LEFT JOIN descriptions AS d ON d.attachment = a.guid "
)
_IN_CONVERSATION = (
    "WHERE m.conversation = (SELECT number FROM conversations WHERE id = ?) ORDER BY m.sent_at, m.source_row"
)
_LAST_IN_CONVERSATION = (
    "WHERE m.conversation = (SELECT number FROM conversations WHERE id = ?) "
    "ORDER BY m.sent_at DESC, m.source_row DESC LIMIT ?"
)
_TO_DESCRIBE = (
    "WHERE a.path IS NOT NULL AND d.text IS NULL AND (a.message, a.position) > (?, ?) AND NOT EXISTS ("
    "SELECT 1 FROM attachments AS e WHERE e.guid = a.guid AND e.path IS NOT NULL "
    "AND (e.message, e.position) < (a.message, a.position)) ORDER BY a.message, a.position LIMIT ?"
)
Row = Sequence[Any]
_KINDS: dict[str, Kind] = {kind.value: kind for kind in Kind}


def people(connection: sqlite3.Connection) -> dict[str, Person]:
    """Everyone, by key."""
    handles: dict[str, list[str]] = {}
    for handle, key in connection.execute("SELECT DISTINCT handle, person FROM handles ORDER BY handle"):
        handles.setdefault(to_word(key), []).append(to_word(handle))
    return {
        to_word(key): Person(to_word(key), to_word(name), tuple(sorted(handles.get(to_word(key), ()))), bool(is_me))
        for key, name, is_me in connection.execute("SELECT key, name, is_me FROM people ORDER BY key")
    }


def keys_by_handle(connection: sqlite3.Connection) -> dict[str, str]:
    """Whose handle it is, by handle."""
    return {to_word(h): to_word(key) for h, key in connection.execute("SELECT handle, person FROM handles")}


def conversations(connection: sqlite3.Connection) -> list[Conversation]:
    """All conversations in the order of their ids."""
    members: dict[int, list[str]] = {}
    for number, key in connection.execute("SELECT conversation, person FROM members ORDER BY conversation, position"):
        members.setdefault(number, []).append(to_word(key))
    rows = connection.execute("SELECT number, id, kind, name FROM conversations ORDER BY id")
    return [
        Conversation(id_, ChatKind(kind), tuple(members.get(number, ())), to_text(name))
        for number, id_, kind, name in rows
    ]


def messages(connection: sqlite3.Connection, conversation_id: str) -> Iterator[Message]:
    """The conversation's messages, oldest first."""
    return _records(connection, connection.execute(_MESSAGES + _IN_CONVERSATION, [conversation_id]))


def backwards(connection: sqlite3.Connection, conversation_id: str, batch: int) -> Iterator[Message]:
    """The conversation's messages, newest first, read so many at a time."""
    cursor = connection.execute(_MESSAGES + _LAST_IN_CONVERSATION, [conversation_id, -1])
    return chain.from_iterable(_batches(connection, cursor, batch))


def numbered(connection: sqlite3.Connection, numbers: list[int]) -> dict[int, Message]:
    """The messages of these numbers, a batch at most, by their number."""
    rows = _among(connection, _MESSAGES + "WHERE m.number IN ({marks})", numbers)
    attachments = _attachments_of(connection, [row[0] for row in rows if row[15]])
    return {row[0]: _message(row, tuple(attachments.get(row[0], ()))) for row in rows}


def all_numbered(connection: sqlite3.Connection, numbers: list[int]) -> dict[int, Message]:
    """The messages of these numbers, however many, by their number."""
    found: dict[int, Message] = {}
    for start in range(0, len(numbers), BATCH):
        found |= numbered(connection, numbers[start : start + BATCH])
    return found


def recent(connection: sqlite3.Connection, conversation_id: str, limit: int) -> list[Message]:
    """The conversation's last `limit` messages, oldest of them first."""
    query = _MESSAGES + _LAST_IN_CONVERSATION
    return list(_records(connection, connection.execute(query, [conversation_id, limit])))[::-1]


def everything(connection: sqlite3.Connection) -> Iterator[Message]:
    """The messages of all conversations, oldest first."""
    return _records(connection, connection.execute(_MESSAGES + "ORDER BY m.sent_at, m.source_row"))


def _records(connection: sqlite3.Connection, cursor: sqlite3.Cursor) -> Iterator[Message]:
    return chain.from_iterable(_batches(connection, cursor, BATCH))


def _batches(connection: sqlite3.Connection, cursor: sqlite3.Cursor, size: int) -> Iterator[list[Message]]:
    while rows := cursor.fetchmany(size):
        attachments = _attachments_of(connection, [row[0] for row in rows if row[15]])
        yield [_message(row, tuple(attachments.get(row[0], ())) if row[15] else ()) for row in rows]


def _message(row: Row, attachments: tuple[Attachment, ...]) -> Message:
    """The record of a row; by position, since there are millions of them."""
    if bytes in map(type, row):
        row = [to_text(value) if isinstance(value, bytes) else value for value in row]
    (_, guid, source, source_row, chat, kind, is_from_me, sent_at, sender, text, reply_to, reaction_type, target, part,
     emoji, _, edited, unsent, service, details) = row  # fmt: skip
    reaction = Reaction(reaction_type, target or "", part, emoji) if reaction_type else None
    return Message(
        guid or "", source, source_row, chat or "", _KINDS[kind], is_from_me != 0, sent_at, sender, text, reply_to,
        reaction, attachments, edited != 0, unsent != 0, service, json.loads(details) if details else None,
    )  # fmt: skip


def _attachments_of(connection: sqlite3.Connection, numbers: list[int]) -> dict[int, list[Attachment]]:
    found: dict[int, list[Attachment]] = {}
    for row in _among(connection, _ATTACHMENTS + "WHERE a.message IN ({marks}) ORDER BY 1, a.position", numbers):
        found.setdefault(row[0], []).append(_attachment(row))
    return found


def _among(connection: sqlite3.Connection, query: str, numbers: list[int]) -> list[Row]:
    """The rows of a query for these numbers, the last of them repeated, so that few different statements are made."""
    if not numbers:
        return []
    numbers = numbers + numbers[-1:] * (-len(numbers) % SPARE)
    return connection.execute(query.format(marks=",".join("?" * len(numbers))), numbers).fetchall()


def _attachment(row: Row) -> Attachment:
    return Attachment(
        guid=to_word(row[1]),
        mime_type=to_text(row[2]),
        name=to_text(row[3]),
        path=to_text(row[4]),
        transcript=to_text(row[5]),
        description=to_text(row[6]),
        is_sticker=bool(row[7]),
        total_bytes=row[8],
        is_offloaded=bool(row[9]),
    )


def attachments_to_describe(connection: sqlite3.Connection) -> Iterator[Attachment]:
    """Attachments that are on disk and have no description, each guid once, in the order of the source's rows.

    Read page by page, so that descriptions may be written meanwhile.
    """
    query = _ATTACHMENTS.replace("a.message,", "a.message, a.position,", 1) + _TO_DESCRIBE
    after = (-1, -1)
    while rows := connection.execute(query, [*after, BATCH]).fetchall():
        for row in rows:
            yield _attachment(row[1:])
        after = rows[-1][:2]


def ledger(connection: sqlite3.Connection) -> Ledger:
    """Every row of all sources, kept or dropped."""
    total = Ledger()
    for kept, what, year, rows in connection.execute("SELECT kept, what, year, sum(rows) FROM ledger GROUP BY 1, 2, 3"):
        (total.kept if kept else total.dropped)[what, year] += rows
    total.unreadable = connection.execute("SELECT coalesce(sum(unreadable), 0) FROM blocks").fetchone()[0]
    return total


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many messages, people, conversations, attachments, and attachments with a description."""
    described = "SELECT count(*) FROM attachments WHERE guid IN (SELECT attachment FROM descriptions)"
    queries = {
        "messages": "SELECT count(*) FROM messages",
        "people": "SELECT count(*) FROM people",
        "conversations": "SELECT count(*) FROM conversations",
        "attachments": "SELECT count(*) FROM attachments",
        "described": described,
    }
    return {what: int(connection.execute(query).fetchone()[0]) for what, query in queries.items()}


def person_of(keys: dict[str, str]) -> Callable[[Message], str]:
    """A function from a message to the key of who wrote it."""

    def key_of(message: Message) -> str:
        if message.is_from_me:
            return ME
        return keys.get(message.sender_handle, UNKNOWN) if message.sender_handle else UNKNOWN

    return key_of


def export(connection: sqlite3.Connection, *, details: bool = False) -> Iterator[dict[str, Any]]:
    """Every message as the object that `ventriloquist messages --jsonl` writes, oldest first; with `details`, which
    may be null, if asked for."""
    names = {key: person.name for key, person in people(connection).items()}
    key_of = person_of(keys_by_handle(connection))
    query = "SELECT c.source, c.guid, v.id FROM chats AS c JOIN conversations AS v ON v.number = c.conversation"
    conversation = {(source, to_word(guid)): id_ for source, guid, id_ in connection.execute(query)}
    for message in everything(connection):
        fields = {
            "guid": message.guid,
            "source": message.source,
            "conversation": conversation[message.source, message.chat],
            "chat": message.chat,
            "kind": message.kind.value,
            "sender": names[key_of(message)],
            "sender_handle": message.sender_handle,
            "is_from_me": message.is_from_me,
            "sent_at": rfc3339(message.sent_at),
            "text": message.text,
            "reply_to": message.reply_to,
            "reaction": _reaction_object(message.reaction),
            "attachments": [_attachment_object(attachment) for attachment in message.attachments],
            "edited": message.edited,
            "unsent": message.unsent,
            "service": message.service,
        }
        yield {**fields, "details": message.details} if details else fields


def _reaction_object(reaction: Reaction | None) -> dict[str, Any] | None:
    if reaction is None:
        return None
    return {"type": reaction.type, "emoji": reaction.emoji, "target": reaction.target, "part": reaction.part}


def _attachment_object(attachment: Attachment) -> dict[str, Any]:
    return {key: getattr(attachment, key) for key in ("guid", "mime_type", "name", "path", "description", "transcript")}


def described(connection: sqlite3.Connection, guid: str) -> str | None:
    """The description of an attachment, if it has one."""
    row = connection.execute("SELECT text FROM descriptions WHERE attachment = ?", [to_value(guid)]).fetchone()
    return to_text(row[0]) if row else None
