"""Apple's Messages as a Source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ventriloquist.records import Chat, Contact, Ledger, Message, moment
from ventriloquist.settings import CollectSettings
from ventriloquist.sources import Normalise
from ventriloquist.sources.imessage.addressbook import read_address_books
from ventriloquist.sources.imessage.chatdb import ChatDb
from ventriloquist.sources.imessage.chats import SOURCE, read_chats, read_people
from ventriloquist.sources.imessage.reading import Reading

MESSAGES_FOLDER = Path("~/Library/Messages")
ADDRESS_BOOK = Path("~/Library/Application Support/AddressBook")
OLD_DAYS = 2


def open_source(settings: CollectSettings, normalise: Normalise) -> Messages:
    """The history in chat.db; raises NoInput where it is not there or may not be read."""
    path = (settings.db or MESSAGES_FOLDER / "chat.db").expanduser()
    if _is_folder(path):
        path = path / "chat.db"
    attachments = (settings.attachments or path.parent / "Attachments").expanduser()
    if settings.address_book:
        book = settings.address_book.expanduser()
    elif settings.db is None or path.parent == MESSAGES_FOLDER.expanduser():
        book = ADDRESS_BOOK.expanduser()
    else:
        book = path.parent / "AddressBook"
    named, deleted = settings.address_book is not None, settings.include_deleted
    return Messages(path, attachments, book, normalise, book_is_named=named, include_deleted=deleted)


def _is_folder(path: Path) -> bool:
    with suppress(OSError):
        return path.is_dir()
    return False


class Messages:
    """An open chat.db with its attachments and address book. A context manager."""

    name = SOURCE

    def __init__(
        self,
        path: Path,
        attachments: Path,
        address_book: Path,
        normalise: Normalise,
        *,
        book_is_named: bool,
        include_deleted: bool,
    ) -> None:
        self._attachments = attachments
        self._include_deleted = include_deleted
        self._reading: Reading | None = None
        self._cards, self._problems = read_address_books(address_book)
        if book_is_named and not self._cards and not self._problems:
            self._problems = [f"There is no address book with names in {address_book}."]
        self._db = ChatDb(path)
        with ExitStack() as on_error:
            on_error.push(self._db)
            self._people = read_people(self._db, normalise)
            self._chats = read_chats(self._db, self._people, normalise)
            on_error.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._db.__exit__(kind, error, traceback)

    def chats(self) -> Sequence[Chat]:
        return list(self._chats.values())

    def handles(self) -> set[str]:
        return {*self._people.handles.values(), *(handle for chat in self._chats.values() for handle in chat.handles)}

    def my_handles(self) -> set[str]:
        return self._people.mine

    def contacts(self) -> Sequence[Sequence[Contact]]:
        return [self._cards, self._people.linked]

    def rows(self) -> int:
        return int(self._db.rows("SELECT count(*) FROM message").fetchone()[0])

    def messages(self, ledger: Ledger, my_handles: set[str]) -> Iterator[Message]:
        with self._db.faults():
            self._reading = Reading(
                self._db,
                self._chats,
                self._people.handles,
                my_handles,
                self._attachments,
                include_deleted=self._include_deleted,
            )
            yield from self._reading.messages(ledger)

    def warnings(self) -> Sequence[str]:
        found = [*self._problems]
        if self._db.warning:
            found.append(self._db.warning)
        if self._db.changed_meanwhile():
            found.append(f"Messages wrote to {self._db.path} while it was read; collect again to be sure of all of it.")
        if self._reading:
            found += _warnings_of(self._reading, self._db.path)
        return found


def _warnings_of(reading: Reading, path: Path) -> list[str]:
    found = []
    if reading.unreadable:
        found.append(f"The text of {reading.unreadable:,} messages could not be read.")
    if reading.files.missing:
        found.append(
            f"{reading.files.missing:,} of {reading.files.seen:,} attachments are not on this disk: they were never "
            "downloaded from iCloud, or have been removed."
        )
    changed = _last_change(path)
    days = (changed - moment(reading.newest)).days if reading.newest and changed else 0
    if days >= OLD_DAYS:
        found.append(
            f"The newest message is from {moment(reading.newest):%Y-%m-%d}, {days:,} days before {path.name} was last "
            "written: later ones may not have reached this Mac yet (Messages > Settings > iMessage > Sync Now)."
        )
    return found


def _last_change(path: Path) -> datetime | None:
    times = []
    for each in (path, path.with_name(path.name + "-wal")):
        with suppress(OSError):
            times.append(each.stat().st_mtime)
    return datetime.fromtimestamp(max(times), UTC) if times else None
