"""Everything that can still be read of a damaged chat.db, in a fresh database that is gone when it is closed.

Rows come from the leaves of each table's tree, and from leaves that no tree leads to any more if an index knows their
rows. What an index knows besides says which rows there were: of a message that is lost only its guid, so it is counted;
of a chat, a handle or a join all or most of what matters, so the row is made anew.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ventriloquist.sources.imessage.pages import Cell, Image
from ventriloquist.sources.imessage.tables import Table, read_tables

_BATCH = 500
_INDEXES_READ = 3
"""Of a table that has come to harm; of another, one tells if all of its rows are there."""
_LARGEST_NUMBER = 2**62
_SETTLED = 3
"""How often a file is copied that changes under the copying."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """`messages` rows were read and `lost` more are known to have been; None where nothing tells.

    `lost_is_all` is False where there may have been more than those.
    """

    connection: sqlite3.Connection
    messages: int
    lost: int | None
    lost_is_all: bool
    log_is_lost: bool


@dataclass(slots=True)
class _Missing:
    """Rows that some index names and no page holds: what is known of them, and how many indexes name them.

    `unread` are the numbers of cells that could not be read, some of which may be no cells at all.
    """

    known: dict[int, dict[str, Any]] = field(default_factory=dict)
    unread: set[int] = field(default_factory=set)
    named: dict[int, int] = field(default_factory=lambda: defaultdict(int))


def salvage(path: Path, log: Path | None = None) -> Salvaged:
    """Read what can be read; raises OSError, and sqlite3.Error where the disk has no room for it."""
    connection = sqlite3.connect("", isolation_level=None)  # a file without a name, for this user alone
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("BEGIN")
        with tempfile.TemporaryDirectory(prefix="ventriloquist-") as folder:
            copy, log_is_lost = _copy(path, log or path.with_name(path.name + "-wal"), Path(folder))
            with copy.open("rb") as file:
                work = _Salvage(Image(file), connection)
                lost = work.run()
        connection.execute("COMMIT")
        messages = 0
        with suppress(sqlite3.OperationalError):  # where there is no such table
            messages = connection.execute("SELECT count(*) FROM message").fetchone()[0]
    except BaseException:
        connection.close()
        raise
    return Salvaged(connection, messages, lost, work.lost_is_all, log_is_lost)


def _copy(path: Path, log: Path, folder: Path) -> tuple[Path, bool]:
    """The file to read: the source, or, where it has a write-ahead log, a copy with the log worked in.

    The second value is True if the log could not be used.
    """
    if not log.exists() or not log.stat().st_size:
        return path, False
    copy = folder / "chat.db"
    for _ in range(_SETTLED):
        before = [(each.stat().st_mtime_ns, each.stat().st_size) for each in (path, log)]
        shutil.copyfile(path, copy)
        shutil.copyfile(log, folder / "chat.db-wal")
        if before == [(each.stat().st_mtime_ns, each.stat().st_size) for each in (path, log)]:
            break
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as database:
            database.execute("PRAGMA writable_schema = ON")  # a damaged schema is no reason to refuse
            busy, frames, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except (sqlite3.Error, UnicodeDecodeError):
        return copy, True
    return copy, bool(busy) or frames < 0


class _Salvage:
    """One pass over the pages of a file, into an empty database."""

    def __init__(self, image: Image, into: sqlite3.Connection) -> None:
        self._image = image
        self._into = into
        self._inserts: dict[str, str] = {}
        self._tables: list[Table] = []
        for table in sorted(read_tables(image), key=lambda table: (table.name != "message", table.name)):
            with suppress(sqlite3.OperationalError, sqlite3.ProgrammingError, ValueError):  # names that cannot be
                self._inserts[table.name] = _create(into, table)
                self._tables.append(table)
        self._missing = {table.name: _Missing() for table in self._tables}
        self._broken: set[str] = set()
        self.lost_is_all = False

    def run(self) -> int | None:
        """Fill the database; returns how many messages are lost, None where nothing tells."""
        for table in self._tables:
            self._insert(table, self._sound(table))
        for table in self._tables:
            self._read_indexes(table)
        self._insert_strays()
        for table in self._tables:
            if table.name != "message":
                self._insert(table, self._made_anew(table))
            self._index(table)
        return self._lost()

    def _insert(self, table: Table, rows: Iterator[list[Any]]) -> None:
        batch: list[list[Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                self._into.executemany(self._inserts[table.name], batch)
                batch = []
        self._into.executemany(self._inserts[table.name], batch)

    def _sound(self, table: Table) -> Iterator[list[Any]]:
        """The rows of the table's tree."""
        tree = self._image.tree(table.root)
        if tree.broken:
            self._broken.add(table.name)
        for page in tree.pages:
            empty = True
            for cell in self._image.cells(page):
                empty = False
                if table.fits(cell.values):  # also without the end of what its overflow holds
                    yield _row(table, cell.number, cell.values)
                else:
                    self._broken.add(table.name)
                    if 0 < cell.number < _LARGEST_NUMBER:
                        self._missing[table.name].unread.add(cell.number)
            if empty:
                self._broken.add(table.name)

    def _read_indexes(self, table: Table) -> None:
        """Find out which rows there were, by the table's indexes."""
        here = {number for (number,) in self._into.execute(f"SELECT rowid FROM {_quoted(table.name)}")}  # noqa: S608
        missing = self._missing[table.name]
        telling = sorted(table.indexes, key=lambda index: ("guid" not in index.columns, len(index.columns)))
        for index in telling[: _INDEXES_READ if table.name in self._broken else 1]:
            tree = self._image.tree(index.root, index=True)
            if table.name == "message" and "guid" in index.columns:
                self.lost_is_all = not tree.broken
            for page in tree.pages:
                for cell in self._image.cells(page, here):
                    fits = len(cell.values) == len(index.columns) and 0 < cell.number < _LARGEST_NUMBER
                    if fits and cell.number not in here:
                        values = dict(zip(index.columns, cell.values, strict=True))
                        missing.known.setdefault(cell.number, {}).update(values)
                        missing.named[cell.number] += 1

    def _insert_strays(self) -> None:
        """Rows of pages that no tree leads to, each if an index of its table names it with the same values."""
        waiting = [table for table in self._tables if self._missing[table.name].known]
        unnamed = [table for table in self._tables if table.name in self._broken and not table.indexes]
        if not self._image.free_is_known:
            unnamed = []  # the page may hold rows that were deleted
        for page in self._image.strays() if waiting or unnamed else ():
            for cell in self._image.cells(page):
                for table in waiting:
                    known = self._missing[table.name].known.get(cell.number)
                    if known is not None and cell.whole and table.fits(cell.values) and _agrees(table, cell, known):
                        self._into.execute(self._inserts[table.name], _row(table, cell.number, cell.values))
                        self._forget(table, cell.number)
                        break
                else:
                    fitting = [each for each in unnamed if cell.whole and len(each.columns) == len(cell.values)]
                    if len(fitting) == 1 and fitting[0].fits(cell.values):
                        self._into.execute(self._inserts[fitting[0].name], _row(fitting[0], cell.number, cell.values))

    def _forget(self, table: Table, number: int) -> None:
        del self._missing[table.name].known[number]
        self._missing[table.name].named.pop(number, None)

    def _made_anew(self, table: Table) -> Iterator[list[Any]]:
        """Rows of which the indexes know what matters."""
        for number, known in self._missing[table.name].known.items():
            values = [known.get(name, default) for name, default in zip(table.columns, table.defaults, strict=True)]
            if table.fits(values):
                yield _row(table, number, values)

    def _index(self, table: Table) -> None:
        """What queries look for often."""
        for column in table.columns:
            if column in ("guid", "id") or (table.name.endswith("_join") and column.endswith("_id")):
                name = _quoted(f"by_{column}_of_{table.name}")
                self._into.execute(f"CREATE INDEX {name} ON {_quoted(table.name)} ({_quoted(column)})")

    def _lost(self) -> int | None:
        """How many messages there were that are not here.

        A damaged number in an index names a row that never was: its guid then belongs to a row that is here, or no
        other index, join or page names it.
        """
        table = next((each for each in self._tables if each.name == "message"), None)
        if table is None:
            return None
        missing = self._missing["message"]
        for number in missing.unread:
            if self._into.execute("SELECT 1 FROM message WHERE rowid = ?", [number]).fetchone() is None:
                missing.named[number] += 1
        with suppress(sqlite3.OperationalError):  # where there is no such table
            query = (
                "SELECT DISTINCT message_id FROM chat_message_join WHERE message_id NOT IN (SELECT rowid FROM message)"
            )
            for (number,) in self._into.execute(query):
                missing.named[number] += 1
        lost = sum(times > 1 or self._is_unmet(missing.known.get(number)) for number, times in missing.named.items())
        told = any("guid" in index.columns for index in table.indexes)
        return lost if lost or told or "message" not in self._broken else None

    def _is_unmet(self, known: dict[str, Any] | None) -> bool:
        guid = known.get("guid") if known else None
        query = "SELECT 1 FROM message WHERE guid = ?"
        return isinstance(guid, str) and self._into.execute(query, [guid]).fetchone() is None


def _create(into: sqlite3.Connection, table: Table) -> str:
    """Make the table, without its types and constraints; returns the statement that inserts a row."""
    name, columns = _quoted(table.name), [_quoted(column) for column in table.columns]
    parts = [f"{column} INTEGER PRIMARY KEY" if place == table.key else column for place, column in enumerate(columns)]
    into.execute(f"CREATE TABLE {name} ({', '.join(parts)})")
    names, marks = ", ".join(["rowid"] * (table.key < 0) + columns), ", ".join("?" * (len(columns) + (table.key < 0)))
    return f"INSERT OR IGNORE INTO {name} ({names}) VALUES ({marks})"  # noqa: S608 - quoted names


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _row(table: Table, number: int, values: list[Any]) -> list[Any]:
    """A row as it is inserted; columns that a table got after the row was written have their defaults."""
    row = values + table.defaults[len(values) :]
    if table.key < 0:
        return [number, *row]
    row[table.key] = number
    return row


def _agrees(table: Table, cell: Cell, known: dict[str, Any]) -> bool:
    values = dict(zip(table.columns, cell.values, strict=False))
    return all(name not in values or values[name] == value for name, value in known.items() if name != "ROWID")
