"""The columns of a row of the message table, as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ventriloquist.sources.imessage.chatdb import ChatDb

_CHUNK = 512
_COLUMNS = (
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
)
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
    payload: bytes | None
    summary: bytes | None


class Rows:
    """The rows of the message table, every one with all of its columns that can matter."""

    def __init__(self, db: ChatDb) -> None:
        self._db = db
        self._select = f"SELECT {_select_list(db)} FROM message"  # noqa: S608 - our names

    def blocks(self, bits: int) -> Iterator[tuple[int, list[AnyRow]]]:
        """All rows in the order of ROWID, in stretches whose ROWIDs are the same but for the last `bits`."""
        cursor = self._db.rows(f"{self._select} ORDER BY ROWID")
        number, block = 0, list[AnyRow]()
        while chunk := cursor.fetchmany(_CHUNK):
            for row in chunk:
                if row[0] >> bits != number:
                    if block:
                        yield number, block
                    number, block = row[0] >> bits, []
                block.append(row)
        if block:
            yield number, block

    def where(self, condition: str, parameters: list[Any]) -> Iterator[Row]:
        """The rows for which an SQL condition of ours holds, in the order of ROWID."""
        yield from map(Row._make, self._db.rows(f"{self._select} WHERE {condition} ORDER BY ROWID", parameters))


def _select_list(db: ChatDb) -> str:
    """Payload and summary are large, so they are read only where they can matter."""
    columns = db.columns("message")
    payload = summary = "NULL"
    wordless = " AND ".join(f"{name} IS NULL" for name in ("text", "attributedBody") if name in columns) or "1"
    if {"payload_data", "balloon_bundle_id"} <= columns:
        payload = f"CASE WHEN balloon_bundle_id IS NOT NULL OR ({wordless}) THEN CAST(payload_data AS BLOB) END"
    if {"message_summary_info", "date_edited", "date_retracted"} <= columns:
        summary = (
            f"CASE WHEN date_edited <> 0 OR date_retracted <> 0 OR ({wordless}) "
            "THEN CAST(message_summary_info AS BLOB) END"
        )
    return f"{db.query('message', _COLUMNS)}, {payload}, {summary}"
