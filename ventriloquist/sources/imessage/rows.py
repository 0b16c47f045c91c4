"""The columns of a row of the message table, as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ventriloquist.sources.imessage.chatdb import ChatDb

_CHUNK = 1000
_PLAIN = (
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


def read_rows(db: ChatDb, sent_in: int | None = None) -> Iterator[Row]:
    """Every row in the order of ROWID, or those that I sent in one chat.

    Payload and summary are large, so they are read only where they can matter.
    """
    columns = db.columns("message")
    payload = summary = "NULL"
    if {"payload_data", "balloon_bundle_id"} <= columns:
        payload = "CASE WHEN balloon_bundle_id IS NOT NULL THEN CAST(payload_data AS BLOB) END"
    if {"message_summary_info", "date_edited", "date_retracted"} <= columns:
        summary = (
            "CASE WHEN date_edited <> 0 OR date_retracted <> 0 OR (text IS NULL AND attributedBody IS NULL) "
            "THEN CAST(message_summary_info AS BLOB) END"
        )
    selected = f"{db.query('message', _PLAIN)}, {payload}, {summary}"
    where, parameters = "", list[int]()
    if sent_in is not None:
        where = "WHERE is_from_me AND ROWID IN (SELECT message_id FROM chat_message_join WHERE chat_id = ?)"
        parameters.append(sent_in)
    cursor = db.rows(f"SELECT {selected} FROM message {where} ORDER BY ROWID", parameters)  # noqa: S608 - our names
    while chunk := cursor.fetchmany(_CHUNK):
        yield from map(Row._make, chunk)
