"""Rows that are left out for what stands in other rows: tapbacks that ended, second copies of a message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from functools import cached_property
from itertools import groupby
from operator import itemgetter

from ventriloquist.records import Chat
from ventriloquist.sources.imessage import tapbacks
from ventriloquist.sources.imessage.bodies import raw_text
from ventriloquist.sources.imessage.chatdb import ChatDb
from ventriloquist.sources.imessage.chats import sender_in
from ventriloquist.sources.imessage.dates import sent_at
from ventriloquist.sources.imessage.joins import DELETED, JOINED
from ventriloquist.sources.imessage.rows import Row, Rows

SELF_COPY = "second copy in a chat with yourself"
REPEATED = "second copy of the same message"
_ASSOCIATED = "associated_message_guid"
_TAPBACKS = (tapbacks.FIRST_ADDED, tapbacks.POLL_VOTE - 1)
_IN_A_CHAT = "chat_id IN (SELECT ROWID FROM chat)"
_TARGET = (
    f"CASE WHEN {_ASSOCIATED} LIKE 'p:%/%' THEN substr({_ASSOCIATED}, instr({_ASSOCIATED}, '/') + 1) "
    f"WHEN {_ASSOCIATED} LIKE 'bp:%' THEN substr({_ASSOCIATED}, 4) ELSE {_ASSOCIATED} END"
)


def left_out(
    db: ChatDb,
    rows: Rows,
    chats: Mapping[int, Chat],
    handles: Mapping[int, str],
    to_myself: Set[int],
    *,
    include_deleted: bool,
) -> dict[int, str]:
    """The reason by the number of the row. `to_myself` are the chats with nobody but me in them.

    Rows that are left out themselves have no say in what becomes of others.
    """
    wanted = (JOINED, DELETED) if include_deleted else (JOINED,)
    tables = [table for table in wanted if {"chat_id", "message_id"} <= db.columns(table)]
    seen = " OR ".join(f"ROWID IN (SELECT message_id FROM {table} WHERE {_IN_A_CHAT})" for table in tables) or "0"  # noqa: S608
    found = _repeated(db, seen)
    for row in _second_copies(rows, to_myself, tables):
        found.setdefault(row, SELF_COPY)
    found.update(_Tapbacks(db, chats, handles, tables).ended(seen, set(found)))
    return found


class _Tapbacks:
    """Tapbacks that no longer stand; those of deleted chats have no say."""

    def __init__(self, db: ChatDb, chats: Mapping[int, Chat], handles: Mapping[int, str], tables: list[str]) -> None:
        self._db = db
        self._chats = chats
        self._handles = handles
        self._tables = tables

    def ended(self, seen: str, without: Set[int]) -> Iterator[tuple[int, str]]:
        """(row, reason) for the rows of which the condition `seen` holds; one target at a time is held."""
        if not {"associated_message_type", _ASSOCIATED} <= self._db.columns("message"):
            return
        wanted = ("ROWID:INTEGER", "associated_message_type:INTEGER", f"{_ASSOCIATED}:TEXT", "date:INTEGER",
                  "is_from_me:INTEGER", "handle_id:INTEGER", "associated_message_emoji:TEXT")  # fmt: skip
        query = (
            f"SELECT {_TARGET}, {self._db.query('message', wanted)} FROM message "  # noqa: S608 - our names
            f"WHERE {_ASSOCIATED} IS NOT NULL AND associated_message_type BETWEEN ? AND ? AND ({seen}) ORDER BY 1"
        )
        cursor = self._db.rows(query, _TAPBACKS)
        for _, group in groupby(cursor, key=itemgetter(0)):
            same = [row[1:] for row in group if row[1] not in without]
            if len(same) > 1:
                same.sort(key=lambda row: (sent_at(row[3]), row[0]))
                acts = [
                    (row, type_, target, emoji, "" if is_from_me else self._sender(row, handle))
                    for row, type_, target, _, is_from_me, handle, emoji in same
                ]
                yield from tapbacks.ended(acts).items()

    def _sender(self, row: int, handle: int | None) -> str:
        """Whose tapback it is: whom `sender_in` names, else somebody in that chat who stays unknown."""
        place = None if handle in self._handles else self._places.get(row)
        chat = self._chats.get(place or 0)
        return sender_in(chat, handle, self._handles) or f"#{handle} {place}"

    @cached_property
    def _places(self) -> dict[int, int]:
        """The chats of tapbacks that name nobody; seldom asked for."""
        found: dict[int, int] = {}
        for table in reversed(self._tables):  # the live one wins
            query = (
                f"SELECT message_id, min(chat_id) FROM {table} WHERE {_IN_A_CHAT} AND message_id IN "  # noqa: S608
                "(SELECT ROWID FROM message WHERE associated_message_type BETWEEN ? AND ? AND NOT is_from_me "
                "AND (handle_id IS NULL OR handle_id NOT IN (SELECT ROWID FROM handle))) GROUP BY 1"
            )
            found.update(self._db.rows(query, _TAPBACKS).fetchall())
        return found


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
        "(SELECT guid FROM message WHERE guid <> '' GROUP BY 1 HAVING count(*) > 1) ORDER BY 1, 2"
    )
    found: dict[int, str] = {}
    before = None
    for guid, row in db.rows(query):
        if guid == before:
            found[row] = REPEATED
        before = guid
    return found
