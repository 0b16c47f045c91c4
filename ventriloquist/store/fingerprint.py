"""One number for everything that windows are made of."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import suppress

from ventriloquist.store import reading

BUSY_MILLISECONDS = 30_000
_MESSAGES = (
    "SELECT guid, kind, is_from_me, sender, sent_at, text, reply_to, reaction_type, reaction_target, reaction_part, "
    "reaction_emoji, edited, unsent FROM messages "
    "WHERE conversation = (SELECT number FROM conversations WHERE id = ?) ORDER BY sent_at, source_row"
)
_ATTACHMENTS = (
    "SELECT m.guid, a.position, a.guid, a.mime_type, a.name, a.transcript, a.is_sticker, d.text "
    "FROM messages AS m JOIN attachments AS a ON a.message = m.number "
    "LEFT JOIN descriptions AS d ON d.attachment = a.guid "
    "WHERE m.conversation = (SELECT number FROM conversations WHERE id = ?) "
    "ORDER BY m.sent_at, m.source_row, a.position"
)


def fingerprint(connection: sqlite3.Connection) -> str:
    """sha256 (hex) over people, conversations, messages and what is known of their attachments.

    Where files lie and when the history was collected is no part of it, so it is the same on every machine. It is
    kept until the next change, since a long history takes seconds.
    """
    connection.execute("BEGIN")
    try:
        revision, known = connection.execute("SELECT revision, fingerprint FROM revisions").fetchone()
        found = str(known or _computed(connection))
    finally:
        connection.execute("COMMIT")
    if not known:
        with suppress(sqlite3.OperationalError):  # somebody writes just now, or the disk is full: then the next one
            connection.execute("PRAGMA busy_timeout = 0")
            query = "UPDATE revisions SET fingerprint = ? WHERE revision = ?"
            connection.execute(query, [found, revision])
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS:d}")
    return found


def changed(connection: sqlite3.Connection) -> None:
    """Say, inside a transaction, that the content is no longer what it was."""
    connection.execute("UPDATE revisions SET revision = revision + 1, fingerprint = NULL")


def _computed(connection: sqlite3.Connection) -> str:
    digest = hashlib.sha256()

    def add(value: object) -> None:
        digest.update(repr(value).encode("utf-8", "surrogatepass") + b"\n")

    for person in reading.people(connection).values():
        add((person.key, person.name, person.handles, person.is_me))
    for conversation in reading.conversations(connection):
        add((conversation.id, conversation.kind.value, conversation.members, conversation.name))
        for query in (_MESSAGES, _ATTACHMENTS):
            for row in connection.execute(query, [conversation.id]):
                add(row)
    return digest.hexdigest()
