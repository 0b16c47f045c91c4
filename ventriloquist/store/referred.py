"""Finding the messages that others reply or react to, however long before them they were sent.

No index holds the guids of messages, since nothing else looks for them. So a temporary one is made, of those that are
referred to; SQLite keeps it in a file of its own, and it goes with the connection.
"""

from __future__ import annotations

import sqlite3

from ventriloquist.records import Message
from ventriloquist.store import reading
from ventriloquist.store.values import to_value

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


def prepare(connection: sqlite3.Connection) -> None:
    """Make the temporary index."""
    connection.execute(_TABLE)
    connection.execute(_FILL)


def earlier(connection: sqlite3.Connection, guid: str, number: int) -> Message | None:
    """The message of this guid that stands before the one of this number in their conversation, or None; once it is
    prepared."""
    found = connection.execute(_FIND, [to_value(guid), number]).fetchone()
    return reading.numbered(connection, list(found))[found[0]] if found else None
