"""Opens Apple's chat.db so that it never changes, and asks it only for tables and columns that it has."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from ventriloquist.faults import Busy, Damaged, Fault, NoInput, from_os_error

if TYPE_CHECKING:
    from ventriloquist.sources.imessage.salvage import Salvaged

NEEDED_TABLES = frozenset({"message", "chat", "handle", "chat_message_join"})
BUSY_SECONDS = 5.0
_MAGIC = b"SQLite format 3\0"
_WAL_VERSION = b"\x02\x02"
_ERRORS = (sqlite3.Error, UnicodeDecodeError)  # the latter for an error that quotes a damaged schema
_NAME = re.compile(r"[A-Za-z][\w .-]{0,40}")
_MULTIPLEXERS = ("tmux", "screen")
_APPS = {
    "Apple_Terminal": "Terminal",
    "iTerm.app": "iTerm",
    "vscode": "Visual Studio Code",
    "WezTerm": "WezTerm",
    "ghostty": "Ghostty",
    "WarpTerminal": "Warp",
    "Hyper": "Hyper",
    "zed": "Zed",
}


class ChatDb:
    """One unchanging view of a chat.db. A context manager: errors of the database leave it as Faults.

    `lost` counts the messages that are known to have stood in damaged parts of a file opened to be salvaged.
    """

    def __init__(self, path: Path, *, log: Path | None = None, salvaging: bool = False) -> None:
        """Raises NoInput or another Fault when the file is not there, not readable, or no Messages history.

        `log` is its write-ahead log where that lies elsewhere than beside it, as in an iPhone backup.

        It is Damaged, here and from every query, for a file that has come to harm and may be worth `salvaging`: that
        reads what is left of it into a database of its own first.
        """
        self.path = path
        self.warning: str | None = None
        self.lost = 0
        self._log = log
        self._salvaging = salvaging
        self._at_rest: tuple[int, int, bool] | None = None
        self._columns: dict[str, set[str]] = {}
        self._cleanup = ExitStack()
        _check_file(path)
        try:
            self.connection = self._salvaged() if salvaging else self._open()
        except BaseException:
            self._cleanup.close()
            raise
        self._check_tables()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, _ERRORS):
            raise self._fault(error) from None

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Errors of the database leave the block as Faults."""
        try:
            yield
        except _ERRORS as error:
            raise self._fault(error) from None

    def close(self) -> None:
        """Let go of the file."""
        self._cleanup.close()

    def columns(self, table: str) -> set[str]:
        """The columns of a table, none where there is no such table."""
        if table not in self._columns:
            rows = self.connection.execute("SELECT name FROM pragma_table_info(?)", [table])
            self._columns[table] = {str(name) for (name,) in rows}
        return self._columns[table]

    def query(self, table: str, wanted: Sequence[str], alias: str = "") -> str:
        """A select list for `table`; an entry is `name:INTEGER`, `name:TEXT` or `name:BLOB`.

        Values come as that type whatever the row holds; a column that this macOS does not have comes as NULL.
        """
        present, prefix = self.columns(table), f"{alias}." if alias else ""
        parts = []
        for entry in wanted:
            name, _, kind = entry.partition(":")
            parts.append(f"CAST({prefix}{name} AS {kind})" if name in present or name == "ROWID" else "NULL")
        return ", ".join(parts)

    def rows(self, query: str, parameters: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Run a query of the snapshot."""
        return self.connection.execute(query, tuple(parameters))

    def _open(self) -> sqlite3.Connection:
        ways: list[Callable[[], sqlite3.Connection]] = [self._read_only, self._copied, self._immutable]
        if self._log:
            ways = [self._copied, self._immutable]
        elif _is_closed_wal(self.path):
            # Nobody has it open, and opening it the usual way would leave -wal and -shm files beside it.
            ways.insert(0, self._undisturbed)
        refused: sqlite3.OperationalError | None = None
        for way in ways:
            try:
                return way()
            except sqlite3.OperationalError as error:
                refused = error
            except _ERRORS as error:
                raise self._fault(error) from None
        raise self._fault(refused or sqlite3.OperationalError())

    def harmed(self) -> Fault:
        """The fault of a database whose rows contradict each other."""
        return self._fault(sqlite3.DatabaseError())

    def _fault(self, error: Exception) -> Fault:
        fault = fault_of(error, self.path)
        return NoInput(str(fault)) if self._salvaging and isinstance(fault, Damaged) else fault

    def _salvaged(self) -> sqlite3.Connection:
        from ventriloquist.sources.imessage.salvage import salvage  # rarely needed, and not small

        self._at_rest = _state(self.path)
        try:
            found = salvage(self.path, self._log)
        except sqlite3.Error as error:
            raise self._fault(error) from None
        except OSError as error:
            raise from_os_error(error, f"reading {self.path}") from error
        self._cleanup.callback(found.connection.close)
        if not found.messages:
            raise NoInput(_damaged(self.path))
        self.lost = found.lost or 0
        self.warning = _salvage_told(found, self.path)
        found.connection.text_factory = _text
        found.connection.execute("PRAGMA query_only = 1")
        return found.connection

    def changed_meanwhile(self) -> bool:
        """True if somebody began to write to a file that nobody had open."""
        return self._at_rest is not None and self._at_rest != _state(self.path)

    def _undisturbed(self) -> sqlite3.Connection:
        self._at_rest = _state(self.path)
        return self._connect(self.path, "immutable=1")

    def _read_only(self) -> sqlite3.Connection:
        return self._connect(self.path, "mode=ro")

    def _copied(self) -> sqlite3.Connection:
        """From a copy in a directory of our own, the write-ahead log with it, since the newest messages are there."""
        folder = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="ventriloquist-")))
        try:
            for suffix in ("", "-wal", "-shm"):
                part = self.path.with_name(self.path.name + suffix)
                part = self._log if self._log and suffix == "-wal" else part
                if part.exists():
                    shutil.copyfile(part, folder / f"{self.path.name}{suffix}")
        except OSError as error:
            if isinstance(error, PermissionError):
                raise no_permission(self.path) from error
            raise from_os_error(error, f"copying {self.path}") from error
        return self._connect(folder / self.path.name, "mode=ro")

    def _immutable(self) -> sqlite3.Connection:
        connection = self._connect(self.path, "immutable=1")
        self.warning = (
            f"{self.path} could only be read as it lies on the disk, without its write-ahead log: the newest "
            "messages may be missing. Quit Messages and collect again."
        )
        return connection

    def _connect(self, path: Path, mode: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(os.fspath(path.absolute()))}?{mode}", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
        try:
            connection.text_factory = _text
            connection.execute("PRAGMA query_only = 1")
            connection.execute("BEGIN")  # all tables from one snapshot
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
        self._cleanup.callback(connection.close)
        return connection

    def _check_tables(self) -> None:
        try:
            tables = {str(name) for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except _ERRORS as error:
            self.close()
            raise self._fault(error) from None
        if not tables >= NEEDED_TABLES:
            self.close()
            if self._salvaging:
                raise NoInput(_damaged(self.path))
            raise NoInput(f"{self.path} is a database, but not of Messages. Name Apple's chat.db with --db PATH.")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _check_file(path: Path) -> None:
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise NoInput(f"{path} is no file. Name Apple's chat.db with --db PATH.")
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except (FileNotFoundError, NotADirectoryError):
        raise NoInput(f"There is no Messages history at {path}. Name it with --db PATH.") from None
    except PermissionError:
        raise no_permission(path) from None
    except OSError as error:
        raise from_os_error(error, f"reading {path}") from error
    if start != _MAGIC:
        raise NoInput(f"{path} is no SQLite database. Name Apple's chat.db with --db PATH.")


def _is_closed_wal(path: Path) -> bool:
    """True for a database in WAL mode that has no write-ahead log: whoever writes to it keeps one beside it."""
    with path.open("rb") as file:
        header = file.read(20)
    return header[18:20] == _WAL_VERSION and not path.with_name(path.name + "-wal").exists()


def _state(path: Path) -> tuple[int, int, bool]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, path.with_name(path.name + "-wal").exists()


def no_permission(path: Path) -> NoInput:
    """macOS keeps programs from Messages' files until the terminal app has Full Disk Access."""
    return NoInput(
        f"macOS does not let this program read {path}. Open System Settings > Privacy & Security > Full Disk Access, "
        f"add {_terminal_app()}, then quit and reopen it."
    )


def _terminal_app() -> str:
    program = os.environ.get("TERM_PROGRAM", "")
    if program in _APPS or (_NAME.fullmatch(program) and program not in _MULTIPLEXERS):
        return _APPS.get(program, program)
    return "your terminal app (over ssh: sshd)"


def fault_of(error: Exception, path: Path) -> Fault:
    """What an error of the database means to the user."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    words = str(error) if isinstance(error, sqlite3.Error) else ""
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_PERM) or (
        "unable to open database file" in words or "authorization denied" in words
    ):
        return no_permission(path)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy(f"Another program holds {path}. Quit Messages and collect again.")
    if isinstance(error, sqlite3.ProgrammingError):
        return Fault(f"{path} could not be read.")
    if code == sqlite3.SQLITE_FULL:
        return from_os_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), f"reading {path}")
    return Damaged(_damaged(path))


def _damaged(path: Path) -> str:
    return (
        f'{path} is damaged and cannot be read to its end. Try: sqlite3 {path.name} ".recover" | sqlite3 recovered.db, '
        "then collect with --db recovered.db. What was collected before is unchanged."
    )


def _salvage_told(found: Salvaged, path: Path) -> str:
    """What became of a damaged file, with the counts."""
    if found.lost is None:
        lost = "how many more there were is not known"
    elif found.lost:
        lost = f"{'' if found.lost_is_all else 'at least '}{found.lost:,} more could not be read"
    else:
        lost = "none is known to be lost" if found.lost_is_all else "how many more there were is not known"
    log = " Its write-ahead log, where the newest are, could not be used." if found.log_is_lost else ""
    return (
        f"{path} is damaged: {found.messages:,} rows of messages were salvaged from its sound parts, and {lost}.{log} "
        "If you have an older copy that is whole, collect that one with --db."
    )
