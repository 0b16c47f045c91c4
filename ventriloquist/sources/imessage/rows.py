"""The columns of a row of the message table, as they are read."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator
from operator import itemgetter
from typing import Any, NamedTuple

from ventriloquist.sources.imessage.chatdb import ChatDb

_CHUNK = 512
COLUMNS = (
    "ROWID:INTEGER",
    "guid:TEXT",
    "text:TEXT",
    "attributedBody:BLOB",
    "handle_id:INTEGER",
    "service:TEXT",
    "date:INTEGER",
    "is_from_me:INTEGER",
    "thread_originator_guid:TEXT",
    # From here on a message that is text and nothing else has NULL, 0 or "".
    "subject:TEXT",
    "item_type:INTEGER",
    "group_action_type:INTEGER",
    "group_title:TEXT",
    "other_handle:INTEGER",
    "share_status:INTEGER",
    "share_direction:INTEGER",
    "associated_message_guid:TEXT",
    "associated_message_type:INTEGER",
    "associated_message_emoji:TEXT",
    "balloon_bundle_id:TEXT",
    "date_edited:INTEGER",
    "date_retracted:INTEGER",
    "expressive_send_style_id:TEXT",
    "thread_originator_part:TEXT",
    "is_audio_message:INTEGER",
    "cache_has_attachments:INTEGER",
)
RETRACTED_KEY, EDITED_KEY = b"\x52rp", b"\x52ec"
"""The keys of `message_summary_info` for parts that were unsent and edited, as a binary property list has them."""
PLAIN = 9
"""The first columns, which are all that a message of text alone has."""

AnyRow = tuple[Any, ...]


class Row(NamedTuple):
    """A row of the message table; what a macOS does not have is None."""

    number: int
    guid: str | None
    text: str | None
    body: bytes | None
    handle: int | None
    service: str | None
    date: int | None
    is_from_me: int | None
    thread: str | None
    subject: str | None
    item_type: int | None
    group_action_type: int | None
    group_title: str | None
    other_handle: int | None
    share_status: int | None
    share_direction: int | None
    associated_guid: str | None
    associated_type: int | None
    associated_emoji: str | None
    balloon: str | None
    date_edited: int | None
    date_retracted: int | None
    effect: str | None
    thread_part: str | None
    is_audio: int | None
    had_attachments: int | None
    payload: bytes | None
    summary: bytes | None


class Rows:
    """The rows of the message table, every one with all of its columns that can matter."""

    def __init__(self, db: ChatDb) -> None:
        self._db = db
        self._select = f"SELECT {_select_list(db)} FROM message"  # noqa: S608 - our names

    def blocks(self, bits: int) -> Iterator[tuple[int, list[AnyRow]]]:
        """All rows in the order of ROWID, in stretches whose ROWIDs are the same but for the last `bits`."""
        number, block = 0, list[AnyRow]()
        for chunk in self._chunks():
            start = 0
            while start < len(chunk):
                if chunk[start][0] >> bits != number:
                    if block:
                        yield number, block
                    number, block = chunk[start][0] >> bits, []
                end = bisect_left(chunk, (number + 1) << bits, start, key=itemgetter(0))
                block += chunk[start:end]
                start = end
        if block:
            yield number, block

    def _chunks(self) -> Iterator[list[AnyRow]]:
        """Every row. Text is decoded by SQLite's module itself, and where it is no UTF-8 the slow way."""
        cursor, last = self._db.rows(f"{self._select} ORDER BY ROWID"), None
        while True:
            chunk = self._fetched(cursor)
            if chunk is None:
                where = "" if last is None else "WHERE ROWID > ?"
                parameters: list[int] = [] if last is None else [last]
                cursor = self._db.rows(f"{self._select} {where} ORDER BY ROWID", parameters)
                chunk = cursor.fetchmany(_CHUNK)
            if not chunk:
                return
            last = chunk[-1][0]
            yield chunk

    def _fetched(self, cursor: sqlite3.Cursor) -> list[AnyRow] | None:
        """The next rows, or None if a text among them is no UTF-8."""
        connection = self._db.connection
        tolerant, connection.text_factory = connection.text_factory, str
        try:
            return cursor.fetchmany(_CHUNK)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) is not None:
                raise
            return None
        finally:
            connection.text_factory = tolerant

    def where(self, condition: str, parameters: list[Any]) -> Iterator[Row]:
        """The rows for which an SQL condition of ours holds, in the order of ROWID."""
        yield from map(Row._make, self._db.rows(f"{self._select} WHERE {condition} ORDER BY ROWID", parameters))


def _select_list(db: ChatDb) -> str:
    """The summary, which most rows of today have, is read only where it can tell of an edit or of something unsent."""
    columns = db.columns("message")
    payload = "CAST(payload_data AS BLOB)" if "payload_data" in columns else "NULL"
    summary = "NULL"
    if "message_summary_info" in columns:
        dated = "".join(f"{name} <> 0 OR " for name in ("date_edited", "date_retracted") if name in columns)
        wordless = " AND ".join(f"{name} IS NULL" for name in ("text", "attributedBody") if name in columns) or "1"
        blob = "CAST(message_summary_info AS BLOB)"
        told = (RETRACTED_KEY,) if "date_edited" in columns else (RETRACTED_KEY, EDITED_KEY)
        keys = " OR ".join(f"instr({blob}, X'{key.hex()}')" for key in told)
        summary = f"CASE WHEN {dated}({wordless}) OR {keys} THEN {blob} END"
    return f"{db.query('message', COLUMNS)}, {payload}, {summary}"
