"""Rows that are left out for what stands in other rows: tapbacks that ended, second copies of a message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from itertools import groupby

from ventriloquist.sources.imessage import tapbacks
from ventriloquist.sources.imessage.bodies import raw_text
from ventriloquist.sources.imessage.chatdb import ChatDb
from ventriloquist.sources.imessage.dates import sent_at
from ventriloquist.sources.imessage.joins import DELETED, JOINED
from ventriloquist.sources.imessage.rows import Row, Rows

SELF_COPY = "second copy in a chat with yourself"
REPEATED = "second copy of the same message"
_ASSOCIATED = "associated_message_guid"
_TARGET = (
    f"CASE WHEN {_ASSOCIATED} LIKE 'p:%/%' THEN substr({_ASSOCIATED}, instr({_ASSOCIATED}, '/') + 1) "
    f"WHEN {_ASSOCIATED} LIKE 'bp:%' THEN substr({_ASSOCIATED}, 4) ELSE {_ASSOCIATED} END"
)


def left_out(
    db: ChatDb, rows: Rows, handles: Mapping[int, str], to_myself: Set[int], *, include_deleted: bool
) -> dict[int, str]:
    """The reason by the number of the row. `to_myself` are the chats with nobody but me in them."""
    wanted = (JOINED, DELETED) if include_deleted else (JOINED,)
    tables = [table for table in wanted if {"chat_id", "message_id"} <= db.columns(table)]
    seen = " OR ".join(f"ROWID IN (SELECT message_id FROM {table})" for table in tables) or "0"  # noqa: S608
    found = _repeated(db, seen)
    for row in _second_copies(rows, to_myself, tables):
        found.setdefault(row, SELF_COPY)
    for row, reason in _ended(db, handles, seen):
        found.setdefault(row, reason)
    return found


def _ended(db: ChatDb, handles: Mapping[int, str], seen: str) -> Iterator[tuple[int, str]]:
    """Tapbacks that no longer stand; those of deleted chats have no say. One target at a time is held."""
    if not {"associated_message_type", _ASSOCIATED} <= db.columns("message"):
        return
    wanted = ("ROWID:INTEGER", "associated_message_type:INTEGER", f"{_ASSOCIATED}:TEXT", "date:INTEGER",
              "is_from_me:INTEGER", "handle_id:INTEGER", "associated_message_emoji:TEXT")  # fmt: skip
    query = (
        f"SELECT {_TARGET}, {db.query('message', wanted)} FROM message "  # noqa: S608 - our names
        f"WHERE {_ASSOCIATED} IS NOT NULL AND associated_message_type BETWEEN ? AND ? AND ({seen}) ORDER BY 1"
    )
    cursor = db.rows(query, (tapbacks.FIRST_ADDED, tapbacks.POLL_VOTE - 1))
    for _, group in groupby(cursor, key=lambda row: row[0]):
        same = [row[1:] for row in group]
        if len(same) > 1:
            same.sort(key=lambda row: (sent_at(row[3]), row[0]))
            acts = [
                (row, type_, target, emoji, "" if is_from_me else handles.get(handle, f"#{handle}"))
                for row, type_, target, _, is_from_me, handle, emoji in same
            ]
            yield from tapbacks.ended(acts).items()


def _second_copies(rows: Rows, to_myself: Set[int], tables: list[str]) -> Iterator[int]:
    """In a chat with myself Messages keeps everything twice: sent and received. One of the two is left out."""
    for place in to_myself:
        for table in tables:
            condition = f"ROWID IN (SELECT message_id FROM {table} WHERE chat_id = ?)"  # noqa: S608 - our names
            both = [(row.number, bool(row.is_from_me), _content(row)) for row in rows.where(condition, [place])]
            sent = Counter(content for _, is_from_me, content in both if is_from_me)
            for number, is_from_me, content in both:
                if not is_from_me and sent[content] > 0:
                    sent[content] -= 1
                    yield number


def _content(row: Row) -> tuple[object, ...]:
    return raw_text(row)[0], row.associated_guid, row.associated_type, row.item_type


def _repeated(db: ChatDb, seen: str) -> dict[int, str]:
    """Rows whose guid an earlier one has, which a chat.db of Apple's own never holds."""
    for (index,) in db.rows("SELECT name FROM pragma_index_list('message') WHERE \"unique\"").fetchall():
        if db.rows("SELECT group_concat(name) FROM pragma_index_info(?)", [index]).fetchone() == ("guid",):
            return {}
    if "guid" not in db.columns("message"):
        return {}
    query = (
        f"SELECT CAST(guid AS TEXT), ROWID FROM message WHERE ({seen}) AND guid IN "  # noqa: S608 - our names
        "(SELECT guid FROM message WHERE guid IS NOT NULL GROUP BY 1 HAVING count(*) > 1) ORDER BY 1, 2"
    )
    found: dict[int, str] = {}
    before = None
    for guid, row in db.rows(query):
        if guid == before:
            found[row] = REPEATED
        before = guid
    return found
