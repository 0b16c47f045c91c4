"""Apple's Messages as a Source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ventriloquist.faults import NoInput
from ventriloquist.records import Chat, Contact, Ledger, Message, moment
from ventriloquist.settings import CollectSettings
from ventriloquist.sources import Block, Facts, Normalise
from ventriloquist.sources.imessage.addressbook import read_address_books
from ventriloquist.sources.imessage.blocks import Blocks
from ventriloquist.sources.imessage.chatdb import ChatDb
from ventriloquist.sources.imessage.chats import SOURCE, read_chats, read_people
from ventriloquist.sources.imessage.places import find_places

OLD_DAYS = 2
LOST = "in a damaged part of the file"


def open_source(settings: CollectSettings, normalise: Normalise, *, salvaging: bool = False) -> Messages:
    """The history that the settings name; raises NoInput where it is not there or may not be read, and Damaged where
    it may be worth `salvaging`."""
    return Messages(settings, normalise, salvaging=salvaging)


def is_there(settings: CollectSettings) -> bool:
    """False where there is no such file or backup."""
    try:
        find_places(settings).db.stat()
    except (NoInput, FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # macOS keeps it from this program
    return True


class Messages:
    """An open chat.db with its attachments and address book. A context manager."""

    name = SOURCE

    def __init__(self, settings: CollectSettings, normalise: Normalise, *, salvaging: bool) -> None:
        places = find_places(settings)
        self._files = places.files
        self._include_deleted = settings.include_deleted
        self._blocks: Blocks | None = None
        self._cards, self._problems = read_address_books(places.book) if places.book else ([], [])
        if settings.address_book and not self._cards and not self._problems:
            self._problems = [f"There is no address book with names in {places.book}."]
        self._db = ChatDb(places.db, log=places.log, salvaging=salvaging)
        with ExitStack() as on_error:
            on_error.push(self._db)
            self._people = read_people(self._db, normalise)
            self._chats = _Chats(self._db, read_chats(self._db, self._people, normalise))
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
        return self._rows_here() + self._db.lost

    def _rows_here(self) -> int:
        return int(self._db.rows("SELECT count(*) FROM message").fetchone()[0])

    def blocks(self, my_handles: set[str]) -> Iterator[Block]:
        with self._db.faults():
            self._blocks = Blocks(
                self._db,
                self._chats,
                self._people.handles,
                my_handles,
                self._files,
                include_deleted=self._include_deleted,
            )
            rows, before = 0, None
            for block in self._blocks:
                if before is not None and block.number <= before:
                    raise self._db.harmed()
                rows, before = rows + block.rows, block.number
                yield block
            if rows != self._rows_here():  # which counts the entries of an index
                raise self._db.harmed()
        if self._db.lost:
            yield LostRows(self._db.lost)

    def facts(self) -> Facts:
        newest = self._blocks.newest if self._blocks else 0
        path = self._db.path
        return Facts(str(path), newest, _last_change(path), (path, path.with_name(path.name + "-wal")))

    def warnings(self, ledger: Ledger, attachments: Mapping[str, int]) -> Sequence[str]:
        found = [*self._problems]
        if self._db.warning:
            found.append(self._db.warning)
        if self._db.changed_meanwhile():
            found.append(f"Messages wrote to {self._db.path} while it was read; collect again to be sure of all of it.")
        if ledger.unreadable:
            found.append(f"The text of {ledger.unreadable:,} messages could not be read.")
        return [*found, *_on_attachments(attachments), *_on_age(self.facts())]


class _Chats(dict[int, Chat]):
    """Chats by the number of their row. One that some join names and that is not here is a sign of damage."""

    def __init__(self, db: ChatDb, chats: Mapping[int, Chat]) -> None:
        super().__init__(chats)
        self._db = db

    def __missing__(self, number: int) -> Chat:
        raise self._db.harmed()


class LostRows:
    """The block of the rows that no page holds any more. Its number is that of no row's."""

    number = -(2**63)

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.digest = rows.to_bytes(8, "big")

    def messages(self, ledger: Ledger) -> list[Message]:
        """None; `ledger` counts the rows."""
        ledger.drop(LOST, 0, self.rows)
        return []


def _on_attachments(states: Mapping[str, int]) -> list[str]:
    absent = states["offloaded"] + states["missing"]
    if not absent:
        return []
    where = {"offloaded": "in iCloud and not downloaded", "missing": "missing (removed, or not copied along)"}
    parts = [f"{states[state]:,} {words}" for state, words in where.items() if states[state]]
    return [f"{absent:,} of {sum(states.values()):,} attachments are not on this disk: {', '.join(parts)}."]


def _on_age(facts: Facts) -> list[str]:
    if not facts.newest or not facts.changed or (facts.changed - moment(facts.newest)).days < OLD_DAYS:
        return []
    days = (facts.changed - moment(facts.newest)).days
    return [
        f"The newest message is from {moment(facts.newest):%Y-%m-%d}, {days:,} days before {Path(facts.path).name} was "
        "last written: later ones may not have reached this Mac yet (Messages > Settings > iMessage > Sync Now)."
    ]


def _last_change(path: Path) -> datetime | None:
    times = []
    for each in (path, path.with_name(path.name + "-wal")):
        with suppress(OSError):
            times.append(each.stat().st_mtime)
    return datetime.fromtimestamp(max(times), UTC) if times else None
