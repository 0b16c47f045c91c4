"""Bringing a source's history up to date in one transaction: whoever reads sees the old one or the new one.

A source comes in blocks. A block's digest covers everything that its messages are made of, so one whose digest is
what it was stays as it is; any other is written anew, and one that no longer comes is taken out.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ventriloquist.records import Attachment, Book, Ledger, Message, Person
from ventriloquist.store import schema
from ventriloquist.store.placing import Places
from ventriloquist.store.values import to_value

Row = tuple[Any, ...]
Content = tuple[Row, list[Row]]
_MESSAGE = "INSERT INTO messages VALUES (" + ", ".join("?" * 21) + ")"  # noqa: S608
_ATTACHMENT = "INSERT INTO attachments VALUES (" + ", ".join("?" * 10) + ")"  # noqa: S608
_BATCH = 2000


class Updating:
    """One update under way, inside a transaction that is open. Made by `Store.updating`."""

    def __init__(self, connection: sqlite3.Connection, places: Places, people: Sequence[Person]) -> None:
        self.new = self.changed = self.gone = 0
        """Messages that the history did not have, has otherwise, and has no longer."""
        self._connection = connection
        self._source = places.source
        self._people = people
        self._places = places
        self._known: dict[int, bytes] = dict(
            connection.execute("SELECT block, digest FROM blocks WHERE source = ?", [places.source])
        )
        self._left = set(self._known)
        self._is_first = not self._known
        self._rows: list[Row] = []
        self._files: list[Row] = []
        if self._is_first:
            self._start_over()
        self._number = self._first_number = self._next_number()

    def digest(self, block: int) -> bytes | None:
        """The digest that the block had when it was written, or None; says that the source still has it."""
        self._left.discard(block)
        return self._known.get(block)

    def put(self, block: int, digest: bytes, messages: Sequence[Message], ledger: Ledger) -> None:
        """Write a block, in the place of what it was."""
        is_known = block in self._known
        before = self._take_out(block) if is_known else {}
        self._left.discard(block)
        first, place = self._number, self._places.of
        for number, message in enumerate(messages, first):
            row = _message_row(number, message, place(message.chat))
            files = [_attachment_row(number, at, file) for at, file in enumerate(message.attachments)]
            self._rows.append(row)
            self._files += files
            if is_known:
                self._compare(before.pop(message.source_row, None), _content(row, files))
        if not is_known:
            self.new += len(messages)
        self.gone += len(before)
        self._number += len(messages)
        self._write_block((self._source, block, digest, first, len(messages), ledger.unreadable), ledger)
        if len(self._rows) >= _BATCH:
            self._flush()

    def _compare(self, before: Content | None, now: Content) -> None:
        self.new += before is None
        self.changed += before is not None and before != now

    def _write_block(self, row: Row, ledger: Ledger) -> None:
        execute = self._connection.execute
        execute("INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?)", row)
        for kept, counter in ((1, ledger.kept), (0, ledger.dropped)):
            for (what, year), rows in counter.items():
                execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?)", (*row[:2], kept, what, year, rows))

    @property
    def is_empty(self) -> bool:
        """True if the source turned out to have no message at all."""
        if self._number > self._first_number:
            return False
        return all(not self._messages_in(block) for block in self._known if block not in self._left)

    def finish(self, book: Book) -> None:
        """Take out what the source no longer has, and write who is who."""
        for block in self._left:
            self.gone += len(self._take_out(block))
        self._flush()
        if self._is_first:
            schema.make_indexes(self._connection)
        self._places.write(self._people)
        self._connection.execute("INSERT OR REPLACE INTO books VALUES (?, ?)", [self._source, _book_value(book)])

    def report(self, report: dict[str, Any]) -> None:
        """Keep what the collect has to say of itself; the last thing to do."""
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        row = [self._source, now, json.dumps(report)]
        self._connection.execute("INSERT OR REPLACE INTO collects (source, at, report) VALUES (?, ?, ?)", row)
        self._connection.execute("INSERT INTO past_collects (source, at, report) VALUES (?, ?, ?)", row)

    def _start_over(self) -> None:
        """A first collect, or a history of a version that knew no blocks; indexes are faster made at the end."""
        mine = [self._source]
        execute = self._connection.execute
        schema.drop_indexes(self._connection)
        if execute("SELECT 1 FROM messages WHERE source <> ?", mine).fetchone():
            execute("DELETE FROM attachments WHERE message IN (SELECT number FROM messages WHERE source = ?)", mine)
            execute("DELETE FROM messages WHERE source = ?", mine)
        else:
            execute("DELETE FROM attachments")
            execute("DELETE FROM messages")
        execute("DELETE FROM ledger WHERE source = ?", mine)

    def _next_number(self) -> int:
        return int(self._connection.execute("SELECT coalesce(max(number), 0) + 1 FROM messages").fetchone()[0])

    def _messages_in(self, block: int) -> int:
        query = "SELECT messages FROM blocks WHERE source = ? AND block = ?"
        return int(self._connection.execute(query, [self._source, block]).fetchone()[0])

    def _take_out(self, block: int) -> dict[int, Content]:
        """Delete a block; returns what its messages were, by their rows in the source."""
        execute, key = self._connection.execute, [self._source, block]
        first, messages = execute("SELECT first, messages FROM blocks WHERE source = ? AND block = ?", key).fetchone()
        numbers = [first, first + messages]
        files: dict[int, list[Row]] = {}
        query = "SELECT * FROM attachments WHERE message >= ? AND message < ? ORDER BY message, position"
        for file in execute(query, numbers):
            files.setdefault(file[0], []).append(file)
        rows = execute("SELECT * FROM messages WHERE number >= ? AND number < ?", numbers).fetchall()
        execute("DELETE FROM attachments WHERE message >= ? AND message < ?", numbers)
        execute("DELETE FROM messages WHERE number >= ? AND number < ?", numbers)
        execute("DELETE FROM ledger WHERE source = ? AND block = ?", key)
        execute("DELETE FROM blocks WHERE source = ? AND block = ?", key)
        return {row[3]: _content(row, files.get(row[0], [])) for row in rows}

    def _flush(self) -> None:
        self._connection.executemany(_MESSAGE, self._rows)
        self._connection.executemany(_ATTACHMENT, self._files)
        self._rows.clear()
        self._files.clear()


def _content(row: Row, files: list[Row]) -> Content:
    """A message's row without its number and its conversation, which is not its own."""
    return row[2:], [file[1:] for file in files]


def _book_value(book: Book) -> str:
    cards = [[[card.name, list(card.handles), card.is_me] for card in cards] for cards in book.cards]
    fields = {"my_name": book.my_name, "region": book.region, "mine": book.mine, "handles": book.handles}
    return json.dumps({**fields, "cards": cards})


def _message_row(number: int, message: Message, place: tuple[int, int]) -> Row:
    (guid, source, source_row, _, kind, is_from_me, sent_at, sender, text, reply_to, reaction, attachments, edited,
     unsent, service, details) = message  # fmt: skip
    type_ = target = part = emoji = None
    if reaction:
        type_, target, part, emoji = reaction.type, to_value(reaction.target), reaction.part, to_value(reaction.emoji)
    return (
        number, place[1], sent_at, source_row, source, to_value(guid), place[0], kind._value_, int(is_from_me),
        to_value(sender), to_value(text), to_value(reply_to), type_, target, part, emoji, int(edited), int(unsent),
        to_value(service), len(attachments), json.dumps(details) if details else None,
    )  # fmt: skip


def _attachment_row(message: int, position: int, attachment: Attachment) -> Row:
    return (
        message,
        position,
        to_value(attachment.guid),
        to_value(attachment.mime_type),
        to_value(attachment.name),
        to_value(attachment.path),
        to_value(attachment.transcript),
        attachment.is_sticker,
        attachment.total_bytes,
        attachment.is_offloaded,
    )
