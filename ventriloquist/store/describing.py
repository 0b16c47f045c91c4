"""Who described which attachment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ventriloquist.records import Attachment
from ventriloquist.store.values import to_text, to_word

BATCH = 500
_QUERY = (
    "SELECT a.message, a.position, a.guid, a.mime_type, a.name, a.path, a.transcript, a.is_sticker, a.total_bytes, "
    "a.offloaded, d.text FROM attachments AS a LEFT JOIN descriptions AS d ON d.attachment = a.guid "
    'WHERE d."by" IS ? AND (a.message, a.position) > (?, ?) '
    "AND a.rowid = (SELECT e.rowid FROM attachments AS e WHERE e.guid = a.guid "
    "ORDER BY e.path IS NULL, e.message, e.position LIMIT 1) ORDER BY a.message, a.position LIMIT ?"
)


def attachments_described_by(connection: sqlite3.Connection, by: str | None) -> Iterator[Attachment]:
    """Attachments, on disk or not, whose description is by `by`, or that have none (None); each guid once.

    Read page by page, so that descriptions may be written meanwhile.
    """
    after = (-1, -1)
    while rows := connection.execute(_QUERY, [by, *after, BATCH]).fetchall():
        for _, _, guid, mime_type, name, path, transcript, is_sticker, total_bytes, offloaded, text in rows:
            yield Attachment(
                guid=to_word(guid),
                mime_type=to_text(mime_type),
                name=to_text(name),
                path=to_text(path),
                transcript=to_text(transcript),
                description=to_text(text),
                is_sticker=bool(is_sticker),
                total_bytes=total_bytes,
                is_offloaded=bool(offloaded),
            )
        after = rows[-1][:2]


def descriptions_by(connection: sqlite3.Connection) -> dict[str, int]:
    """How many of the attachments in the history each one described, by who did."""
    query = (
        'SELECT "by", count(*) FROM descriptions WHERE attachment IN (SELECT guid FROM attachments) '
        'GROUP BY "by" ORDER BY "by"'
    )
    return {by: int(count) for by, count in connection.execute(query)}
