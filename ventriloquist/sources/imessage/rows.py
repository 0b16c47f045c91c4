"""The columns of a row of the message table, as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ventriloquist.sources.imessage.chatdb import ChatDb

_CHUNK = 1000
_LIGHT = (
    "ROWID:INTEGER",
    "guid:TEXT",
    "text:TEXT",
    "attributedBody:BLOB",
    "handle_id:INTEGER",
    "service:TEXT",
    "date:INTEGER",
    "is_from_me:INTEGER",
    "thread_originator_guid:TEXT",
)
_SET_IN_SPECIAL_ROWS = ("item_type", "associated_message_type", "date_edited", "date_retracted")
_THERE_IN_SPECIAL_ROWS = ("subject", "balloon_bundle_id")
_FULL = (
    "ROWID:INTEGER",
    "guid:TEXT",
    "text:TEXT",
    "attributedBody:BLOB",
    "subject:TEXT",
    "handle_id:INTEGER",
    "service:TEXT",
    "date:INTEGER",
    "is_from_me:INTEGER",
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
    "thread_originator_guid:TEXT",
    "date_edited:INTEGER",
    "date_retracted:INTEGER",
)


class Row(NamedTuple):
    """A row of the message table; what a macOS does not have is None."""

    number: int
    guid: str | None
    text: str | None
    body: bytes | None
    subject: str | None
    handle: int | None
    service: str | None
    date: int | None
    is_from_me: int | None
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
    thread: str | None
    date_edited: int | None
    date_retracted: int | None
    payload: bytes | None
    summary: bytes | None


class Light(NamedTuple):
    """The columns that matter for a message which is text and nothing else; `special` rows need all of them."""

    number: int
    guid: str | None
    text: str | None
    body: bytes | None
    handle: int | None
    service: str | None
    date: int | None
    is_from_me: int | None
    thread: str | None
    special: int


class Rows:
    """The rows of the message table: all of them lightly, or single ones in full."""

    def __init__(self, db: ChatDb) -> None:
        self._db = db
        self._full = _full_columns(db)

    def light(self) -> Iterator[Light]:
        """Every row in the order of ROWID."""
        columns = self._db.columns("message")
        tests = [f"coalesce({name}, 0) <> 0" for name in _SET_IN_SPECIAL_ROWS if name in columns]
        tests += [f"{name} IS NOT NULL" for name in _THERE_IN_SPECIAL_ROWS if name in columns]
        selected = f"{self._db.query('message', _LIGHT)}, {' OR '.join(tests) or '0'}"
        cursor = self._db.rows(f"SELECT {selected} FROM message ORDER BY ROWID")  # noqa: S608 - our names
        while chunk := cursor.fetchmany(_CHUNK):
            yield from map(Light._make, chunk)

    def full(self, number: int) -> Row:
        """The row of that ROWID."""
        query = f"SELECT {self._full} FROM message WHERE ROWID = ?"  # noqa: S608 - our names
        return Row._make(self._db.rows(query, [number]).fetchone())

    def sent_in(self, chat: int) -> Iterator[Row]:
        """What I sent in a chat."""
        where = "is_from_me AND ROWID IN (SELECT message_id FROM chat_message_join WHERE chat_id = ?)"
        query = f"SELECT {self._full} FROM message WHERE {where} ORDER BY ROWID"  # noqa: S608 - our names
        yield from map(Row._make, self._db.rows(query, [chat]))


def _full_columns(db: ChatDb) -> str:
    """Payload and summary are large, so they are read only where they can matter."""
    columns = db.columns("message")
    payload = summary = "NULL"
    if {"payload_data", "balloon_bundle_id"} <= columns:
        payload = "CASE WHEN balloon_bundle_id IS NOT NULL THEN CAST(payload_data AS BLOB) END"
    if {"message_summary_info", "date_edited", "date_retracted"} <= columns:
        summary = (
            "CASE WHEN date_edited <> 0 OR date_retracted <> 0 OR (text IS NULL AND attributedBody IS NULL) "
            "THEN CAST(message_summary_info AS BLOB) END"
        )
    return f"{db.query('message', _FULL)}, {payload}, {summary}"
