"""The tables of `data/messages.db` and how older ones become today's: numbered functions, run in their order."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ventriloquist.faults import Fault


def first_tables(connection: sqlite3.Connection) -> None:
    """1: people and their handles, chats merged into conversations, messages, attachments, descriptions, ledger."""
    create = _Creator(connection)
    create("people", {"key": str, "name": str, "is_me": int}, pk="key")
    create("handles", {"source": str, "handle": str, "person": str}, pk=("source", "handle"))
    create("conversations", {"number": int, "id": str, "kind": str, "name": str}, pk="number")
    create("members", {"conversation": int, "position": int, "person": str}, pk=("conversation", "position"))
    create(
        "chats",
        {"number": int, "source": str, "guid": str, "kind": str, "name": str, "service": str, "conversation": int},
        pk="number",
    )
    create("chat_handles", {"chat": int, "position": int, "handle": str}, pk=("chat", "position"))
    create("messages", MESSAGE_COLUMNS, pk="number")
    create("attachments", ATTACHMENT_COLUMNS, pk=("message", "position"))
    create("descriptions", {"attachment": str, "text": str, "by": str}, pk="attachment")
    create("ledger", {"source": str, "kept": int, "what": str, "year": int, "rows": int})
    create("collects", {"source": str, "at": str}, pk="source")
    connection.execute("CREATE UNIQUE INDEX conversation_ids ON conversations (id)")
    make_indexes(connection)


MESSAGE_COLUMNS: dict[str, Any] = {
    "number": int,
    "conversation": int,
    "sent_at": int,
    "source_row": int,
    "source": str,
    "guid": str,
    "chat": int,
    "kind": str,
    "is_from_me": int,
    "sender": str,
    "text": str,
    "reply_to": str,
    "reaction_type": str,
    "reaction_target": str,
    "reaction_part": int,
    "reaction_emoji": str,
    "edited": int,
    "unsent": int,
    "service": str,
    "attachments": int,
}
"""`sent_at` is microseconds since 1970 UTC; `attachments` says how many there are."""

ATTACHMENT_COLUMNS: dict[str, Any] = {
    "message": int,
    "position": int,
    "guid": str,
    "mime_type": str,
    "name": str,
    "path": str,
    "transcript": str,
    "is_sticker": int,
    "total_bytes": int,
}


def blocks_and_reports(connection: sqlite3.Connection) -> None:
    """2: what was read is kept block by block, so that collecting again reads what changed; details; reports."""
    connection.execute("ALTER TABLE messages ADD COLUMN details TEXT")
    connection.execute("ALTER TABLE attachments ADD COLUMN offloaded INTEGER NOT NULL DEFAULT 0")
    connection.execute("ALTER TABLE collects ADD COLUMN report TEXT")
    connection.execute("ALTER TABLE ledger RENAME TO first_ledger")
    create = _Creator(connection)
    create("ledger", {"source": str, "block": int, "kept": int, "what": str, "year": int, "rows": int}, LEDGER_KEY)
    connection.execute("INSERT INTO ledger SELECT source, 0, kept, what, year, rows FROM first_ledger")
    connection.execute("DROP TABLE first_ledger")
    create("blocks", BLOCK_COLUMNS, pk=("source", "block"))
    create("books", {"source": str, "book": str}, pk="source")
    create("revisions", {"revision": int, "fingerprint": str}, pk="revision")
    connection.execute("INSERT INTO revisions VALUES (0, NULL)")
    create("past_collects", {"number": int, "source": str, "at": str, "report": str}, pk="number")


LEDGER_KEY = ("source", "block", "kept", "what", "year")
BLOCK_COLUMNS: dict[str, Any] = {
    "source": str,
    "block": int,
    "digest": bytes,
    "first": int,
    "messages": int,
    "unreadable": int,
}
"""Block by block: a digest of all that its messages were made of, and the numbers of those messages."""


def captions_and_spending(connection: sqlite3.Connection) -> None:
    """3: the state of each description, what captioners answered by content, and what was spent on them."""
    for column in ("state TEXT NOT NULL DEFAULT 'local'", "reason TEXT", "hash TEXT", "at TEXT"):
        connection.execute(f"ALTER TABLE descriptions ADD COLUMN {column}")
    connection.execute(
        "UPDATE descriptions SET state = CASE "
        """WHEN "by" = 'local' THEN 'local' WHEN "by" LIKE '%: blocked' THEN 'blocked' """
        """WHEN "by" LIKE '%: declined' THEN 'failed' ELSE 'described' END"""
    )
    for word, state in ((": blocked", "blocked"), (": declined", "failed")):
        connection.execute(
            """UPDATE descriptions SET reason = ?, "by" = substr("by", 1, length("by") - ?) WHERE state = ?""",
            [word[2:], len(word), state],
        )
    create = _Creator(connection)
    create("captions", CAPTION_COLUMNS, pk=("hash", "medium", "provider", "model", "prompt"))
    create("spending", SPENDING_COLUMNS, pk="number")
    connection.execute("CREATE INDEX descriptions_by_time ON descriptions (at)")


CAPTION_COLUMNS: dict[str, Any] = {
    "hash": str,
    "medium": str,
    "provider": str,
    "model": str,
    "prompt": str,
    "text": str,
    "state": str,
    "reason": str,
    "requests": int,
    "input_tokens": int,
    "output_tokens": int,
    "micro_usd": int,
    "prices_as_of": str,
    "at": str,
}
"""`hash` is the sha256 of a file's bytes (with "/N": about its Nth part alone) and `prompt` tells one wording of the
question from another; `micro_usd` is null where no price is known."""

SPENDING_COLUMNS: dict[str, Any] = {
    "number": int,
    "run": str,
    "at": str,
    "provider": str,
    "model": str,
    "reserved_micro_usd": int,
    "settled_micro_usd": int,
    "closed": int,
}
"""One row for each request, written before it is sent; `closed` once the command that it was for has ended well."""

MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [first_tables, blocks_and_reports, captions_and_spending]
"""Migration N makes a database of version N out of one of version N - 1. Never change one that was released."""


def make_indexes(connection: sqlite3.Connection) -> None:
    """The indexes on messages and attachments; dropped while a whole history is written, since that is faster."""
    connection.execute("CREATE INDEX messages_in_order ON messages (conversation, sent_at, source_row)")
    connection.execute("CREATE INDEX attachment_guids ON attachments (guid)")


def drop_indexes(connection: sqlite3.Connection) -> None:
    """Take away what `make_indexes` made."""
    connection.execute("DROP INDEX messages_in_order")
    connection.execute("DROP INDEX attachment_guids")


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the database at `path` to today's version, keeping a copy of what it was; refuses newer ones."""
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise Fault(
            f"{path} was written by a newer Ventriloquist (version {version} of the database, "
            f"this one knows {len(MIGRATIONS)}). Update Ventriloquist."
        )
    if 0 < version < len(MIGRATIONS):
        _keep_copy(connection, path.with_name(f"{path.name}.version-{version}"))
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        if _version(connection) < number:  # another process may have been faster
            migration(connection)
            connection.execute(f"PRAGMA user_version = {number:d}")
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _keep_copy(connection: sqlite3.Connection, copy: Path) -> None:
    copy.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", [str(copy)])
    copy.chmod(0o600)


class _Creator:
    """Creates tables inside the transaction that is open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        from sqlite_utils import Database  # takes as long to load as a small history to read

        self._connection = connection
        self._describe = Database(connection).create_table_sql

    def __call__(self, name: str, columns: dict[str, Any], pk: str | tuple[str, ...] | None = None) -> None:
        self._connection.execute(self._describe(name, columns, pk=pk))
