"""What hangs on messages in other tables, asked for block after block in the order of their rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterator
from itertools import islice
from operator import itemgetter
from typing import Any

from ventriloquist.sources.imessage.chatdb import ChatDb

JOINED, DELETED = "chat_message_join", "chat_recoverable_message_join"
_CHUNK = 4096


class Chats:
    """The chat of each message by a join table: the lowest where there are several, none where it is gone."""

    def __init__(self, db: ChatDb, table: str, chats: Container[int]) -> None:
        rows: Iterator[tuple[int, int]] = iter(())
        if {"chat_id", "message_id"} <= db.columns(table):
            query = (
                f"SELECT message_id, chat_id FROM {table} "  # noqa: S608 - our names
                "WHERE typeof(message_id) = 'integer' ORDER BY message_id"
            )
            rows = iter(db.rows(query))
        self._stream = _Stream(rows)
        self._chats = chats

    def through(self, last: int) -> dict[int, int]:
        """Chats by message, for the messages up to `last` that were not asked for before."""
        rows = self._stream.through(last)
        found = dict(rows)
        if len(found) == len(rows) and all(map(self._chats.__contains__, set(found.values()))):
            return found
        found.clear()
        for message, chat in rows:
            if chat in self._chats and chat <= found.get(message, chat):
                found[message] = chat
        return found


class Files:
    """The rows of attachments by message, in the order of their own rows, hidden ones among them."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._stream = _Stream(rows)

    def through(self, last: int) -> dict[int, list[tuple[Any, ...]]]:
        """Rows by message, for the messages up to `last` that were not asked for before; each attachment once."""
        found: dict[int, list[tuple[Any, ...]]] = {}
        for row in self._stream.through(last):
            here = found.setdefault(row[0], [])
            if not here or here[-1][1] != row[1]:
                here.append(row)
        return found


class _Stream:
    """Rows that begin with the number of their message, in its order, handed out stretch by stretch."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self._chunk: list[tuple[Any, ...]] = []
        self._at = 0

    def through(self, last: int) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        while True:
            end = bisect_right(self._chunk, last, self._at, key=itemgetter(0))
            found += self._chunk[self._at : end]
            self._at = end
            if end < len(self._chunk):
                return found
            self._chunk, self._at = list(islice(self._rows, _CHUNK)), 0
            if not self._chunk:
                return found
