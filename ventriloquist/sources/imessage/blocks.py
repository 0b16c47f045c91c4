"""Goes through the message table block by block, each with a digest of all that its messages are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from marshal import dumps
from operator import itemgetter
from typing import Any

from ventriloquist.records import Chat, ChatKind, Ledger, Message
from ventriloquist.sources.imessage.attachments import Attachments, Finder
from ventriloquist.sources.imessage.chatdb import ChatDb
from ventriloquist.sources.imessage.dates import sent_at
from ventriloquist.sources.imessage.joins import DELETED, JOINED, Chats, Files
from ventriloquist.sources.imessage.reading import Loaded, Reading
from ventriloquist.sources.imessage.rows import Row, Rows
from ventriloquist.sources.imessage.verdicts import left_out

READER = 3
"""Part of every digest: raise it when the same rows give other messages, and all of them are read again."""
BITS = 8
"""Rows whose ROWIDs are the same but for so many bits are a block."""
_sender, _other, _date = (itemgetter(Row._fields.index(name)) for name in ("handle", "other_handle", "date"))
_MARSHAL = 2
"""The last version whose bytes depend on the values alone, and not on who else holds them."""


class MessageBlock:
    """Up to 256 rows. Reading them is put off, since most blocks are what they were."""

    def __init__(self, number: int, digest: bytes, loaded: Loaded, reading: Reading) -> None:
        self.number = number
        self.digest = digest
        self.rows = len(loaded.rows)
        self._loaded = loaded
        self._reading = reading

    def messages(self, ledger: Ledger) -> list[Message]:
        """The messages in the order of their rows; `ledger` counts each row."""
        return self._reading.messages(self._loaded, ledger)


class Blocks:
    """One pass over the message table."""

    def __init__(
        self,
        db: ChatDb,
        chats: Mapping[int, Chat],
        handles: Mapping[int, str],
        my_handles: set[str],
        folder: Finder,
        *,
        include_deleted: bool,
    ) -> None:
        self.newest = 0
        """When the latest of the rows met so far was sent: microseconds since 1970 UTC."""
        self._db = db
        self._chats = chats
        self._handles = handles
        self._to_myself = {
            number
            for number, chat in chats.items()
            if chat.kind is ChatKind.DM and chat.handles and my_handles.issuperset(chat.handles)
        }
        self._reading = Reading(chats, handles, self._to_myself, include_deleted=include_deleted)
        self._files = Attachments(db, folder)
        self._include_deleted = include_deleted
        self._key = f"{READER} {include_deleted} ".encode()
        self._marks = {number: self._mark(number, chat) for number, chat in chats.items()}

    def __iter__(self) -> Iterator[MessageBlock]:
        """Every block in the order of the rows."""
        rows = Rows(self._db)
        joined, deleted = Chats(self._db, JOINED, self._chats), Chats(self._db, DELETED, self._chats)
        files = Files(self._files.rows())
        verdicts = left_out(
            self._db, rows, self._chats, self._handles, self._to_myself, include_deleted=self._include_deleted
        )
        for number, block in rows.blocks(BITS):
            last = block[-1][0]
            loaded = Loaded(
                block,
                joined.through(last),
                deleted.through(last),
                {
                    message: [(file, self._files.path(file)) for file in found]
                    for message, found in files.through(last).items()
                },
                {row[0]: verdicts[row[0]] for row in block if row[0] in verdicts},
            )
            self.newest = max(self.newest, sent_at(max(filter(None, map(_date, block)), default=0)))
            yield MessageBlock(number, self._digest_of(loaded), loaded, self._reading)

    def _digest_of(self, loaded: Loaded) -> bytes:
        places = {*loaded.chats.values(), *loaded.deleted_from.values()}
        named = {*map(_sender, loaded.rows), *map(_other, loaded.rows)} - {None}
        made_of = (
            loaded.rows,
            list(loaded.chats),
            list(loaded.chats.values()),
            list(loaded.deleted_from.items()),
            list(loaded.files.items()),
            list(loaded.verdicts.items()),
            [self._marks[number] for number in sorted(places)],
            [self._handles.get(number) for number in sorted(named)],
        )
        return _digest(self._key, made_of)

    def _mark(self, number: int, chat: Chat) -> bytes:
        """What a chat contributes to the messages in it, in a few bytes."""
        made_of = (number, number in self._to_myself, chat.guid, chat.kind.value, chat.handles)
        return _digest(b"chat", made_of)


def _digest(key: bytes, made_of: tuple[Any, ...]) -> bytes:
    """16 bytes of sha256, which processors of our days do in hardware."""
    digest = hashlib.sha256(key)
    digest.update(dumps(made_of, _MARSHAL))
    return digest.digest()[:16]
