"""The messages of a conversation as they are rendered.

Most of what preprocess costs is reading, so of texts and reactions, which nearly all messages are, no column is read
that no window shows; of any other message the whole record is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from ventriloquist.records import Message
from ventriloquist.store import reading

Spoken = tuple[int, str, bool, str | None, int, str | None, str | None, str | None, int, str | None, bool]
"""`(number, guid, is_from_me, sender_handle, sent_at, text, reaction's type, target, part and emoji, is_whole)`: a
reaction, or a text that has no attachment and replies to nothing; if `is_whole`, the number alone counts."""


class Batch(NamedTuple):
    """Messages in their order, and by their numbers those that are neither text alone nor a reaction."""

    spoken: list[Spoken]
    whole: dict[int, Message]


_SELECT = (
    "SELECT number, guid, is_from_me, sender, sent_at, text, reaction_type, reaction_target, reaction_part, "
    "reaction_emoji, CASE WHEN guid < x'' AND coalesce(sender, '') < x'' AND ("  # less than a blob: it is a string
    "kind = 'text' AND attachments = 0 AND reply_to IS NULL AND text < x'' OR "
    "kind = 'reaction' AND reaction_type <> '' AND reaction_target < x'' AND coalesce(reaction_emoji, '') < x''"
    ") THEN 0 ELSE 1 END FROM messages WHERE conversation = (SELECT number FROM conversations WHERE id = ?) "
)
_IN_ORDER = "ORDER BY sent_at, source_row"
_LAST = "ORDER BY sent_at DESC, source_row DESC LIMIT ?"


def batches(connection: sqlite3.Connection, conversation_id: str) -> Iterator[Batch]:
    """Everything that was said in a conversation, oldest first, some hundred messages at a time."""
    cursor = connection.execute(_SELECT + _IN_ORDER, [conversation_id])
    while rows := cursor.fetchmany(reading.BATCH):
        yield Batch(rows, reading.numbered(connection, [row[0] for row in rows if row[10]]))


def last(connection: sqlite3.Connection, conversation_id: str, limit: int) -> Batch:
    """The last `limit` messages of a conversation, oldest of them first."""
    rows = connection.execute(_SELECT + _LAST, [conversation_id, limit]).fetchall()[::-1]
    return Batch(rows, reading.all_numbered(connection, [row[0] for row in rows if row[10]]))
