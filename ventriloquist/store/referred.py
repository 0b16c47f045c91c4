"""Finding the messages that others reply or react to, however long before them they were sent.

No index holds the guids of messages, since nothing else looks for them. So a temporary one is made, of those that are
referred to; SQLite keeps it in a file of its own, and it goes with the connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from ventriloquist.records import Message
from ventriloquist.store import reading
from ventriloquist.store.values import to_value, to_word

_TABLE = (
    "CREATE TEMP TABLE referred (guid, conversation INTEGER, sent_at INTEGER, source_row INTEGER, "
    "number INTEGER, PRIMARY KEY (guid, conversation, sent_at, source_row)) WITHOUT ROWID"
)
_FILL = (
    "INSERT OR IGNORE INTO referred "
    "SELECT guid, conversation, sent_at, source_row, number FROM messages WHERE guid IN ("
    "SELECT reply_to FROM messages WHERE reply_to IS NOT NULL "
    "UNION SELECT reaction_target FROM messages WHERE reaction_target IS NOT NULL)"
)
_FIND = (
    "SELECT r.number FROM messages AS m JOIN temp.referred AS r ON r.guid = ? AND r.conversation = m.conversation "
    "AND (r.sent_at, r.source_row) < (m.sent_at, m.source_row) WHERE m.number = ? "
    "ORDER BY r.sent_at DESC, r.source_row DESC LIMIT 1"
)
_BEFORE = (
    "SELECT number, guid FROM messages WHERE conversation = ? AND (sent_at, source_row, number) < (?, ?, ?) "
    "AND guid IN ({marks}) ORDER BY sent_at DESC, source_row DESC"
)
"""Goes back from there, message by message: those that others refer to mostly stand shortly before them."""


def prepare(connection: sqlite3.Connection) -> None:
    """Make the temporary index."""
    connection.execute(_TABLE)
    connection.execute(_FILL)


def earlier(connection: sqlite3.Connection, guid: str, number: int) -> Message | None:
    """The message of this guid that stands before the one of this number in their conversation, or None; once it is
    prepared."""
    found = connection.execute(_FIND, [to_value(guid), number]).fetchone()
    return reading.numbered(connection, list(found))[found[0]] if found else None


def all_earlier(connection: sqlite3.Connection, guids: Iterable[str], number: int) -> dict[str, Message]:
    """The last messages of these guids that stand before the one of this number in their conversation, by guid. Needs
    no index, and reads no further back than they lie, but to the beginning for one that is not there."""
    query = "SELECT conversation, sent_at, source_row, number FROM messages WHERE number = ?"
    place = connection.execute(query, [number]).fetchone()
    asked, numbers = sorted(guids), dict[str, int]()
    for start in range(0, len(asked), reading.BATCH):
        some = [to_value(guid) for guid in asked[start : start + reading.BATCH]]
        missing = set(asked[start : start + reading.BATCH])
        for found, guid in connection.execute(_BEFORE.format(marks=",".join("?" * len(some))), [*place, *some]):
            numbers.setdefault(to_word(guid), found)
            missing.discard(to_word(guid))
            if not missing:
                break
    messages = reading.all_numbered(connection, list(numbers.values()))
    return {guid: messages[found] for guid, found in numbers.items()}
