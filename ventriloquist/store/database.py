"""The door to `data/messages.db`."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ventriloquist.faults import Busy, DiskFull, Fault, NoInput, from_os_error
from ventriloquist.records import Attachment, Book, Chat, Conversation, Ledger, Message, Person
from ventriloquist.store import collected, describing, reading, referred, schema, spending, spoken
from ventriloquist.store.fingerprint import BUSY_MILLISECONDS, changed, fingerprint
from ventriloquist.store.placing import Places
from ventriloquist.store.updating import Updating
from ventriloquist.workspace import Workspace

NOTHING_YET = "Nothing is collected yet. Run: ventriloquist collect"
_ERRORS = (sqlite3.Error, UnicodeDecodeError)  # the latter for an error that quotes a damaged schema

CACHE_PAGES = -32_768
"""KiB where negative: the messages of one conversation lie all over the file."""


class Store:
    """The collected history. Use it as a context manager: errors of the database leave it as Faults."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        """For the queries of this package; nobody else asks it anything."""
        self._path = path
        self._person_of: Callable[[Message], str] | None = None
        self._finds_earlier = False

    @classmethod
    def open(cls, workspace: Workspace, *, create: bool = False) -> Store:
        """The store of a workspace; raises NoInput where nothing was collected, unless it is to be made."""
        path = workspace.messages_db
        if create:
            workspace.prepare()
        try:
            if create:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            elif not path.is_file():
                raise NoInput(NOTHING_YET)
        except OSError as error:
            raise from_os_error(error, "opening data/messages.db") from error
        store: Store | None = None
        try:
            store = cls(sqlite3.connect(path, timeout=BUSY_MILLISECONDS / 1000, isolation_level=None), path)
            store._prepare(create)
        except BaseException as error:
            if store:
                store.close()
            if isinstance(error, _ERRORS):
                raise fault_of(error, path) from None
            raise
        return store

    def _prepare(self, create: bool) -> None:
        execute = self.connection.execute
        if not create and execute("PRAGMA user_version").fetchone() == (0,):
            raise NoInput(NOTHING_YET)  # a first collect was killed before it made the tables
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute(f"PRAGMA cache_size = {CACHE_PAGES}")
        execute("PRAGMA secure_delete = ON")  # words that were taken back are not to stay in free pages
        schema.migrate(self.connection, self._path)
        if not create and self.collected_at() is None:
            raise NoInput(NOTHING_YET)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, _ERRORS):
            raise fault_of(error, self._path) from None

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    @contextmanager
    def updating(
        self, source: str, chats: Sequence[Chat], people: Sequence[Person], conversations: Sequence[Conversation]
    ) -> Iterator[Updating]:
        """Bring a source's history up to date, in one transaction; see `Updating`.

        Whatever ends the block early, a kill among it, leaves the history that was there. Descriptions stay, since
        they belong to the attachments' guids.
        """
        with self._transaction():
            places = Places(self.connection, source, chats, people, conversations)
            yield Updating(self.connection, places, people)
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def rearrange(self, people: Sequence[Person], conversations: Sequence[Conversation]) -> None:
        """Write anew who is who and which chats are one conversation; the messages stay as they are."""
        with self._transaction():
            for source in self.sources():
                chats = collected.chats(self.connection, source)
                Places(self.connection, source, chats, people, conversations).write(people)

    @contextmanager
    def _transaction(self, *, content: bool = True) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            if content:
                changed(self.connection)
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        finally:
            self._person_of = None

    @contextmanager
    def moment(self) -> Iterator[None]:
        """All that is read inside is of one moment, whatever is collected meanwhile."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def sources(self) -> list[str]:
        """The histories that were collected."""
        return [str(source) for (source,) in self.connection.execute("SELECT source FROM collects ORDER BY 1")]

    def chats(self) -> list[Chat]:
        """The chats that have messages, of all sources."""
        return [chat for source in self.sources() for chat in collected.chats(self.connection, source)]

    def book(self) -> Book | None:
        """What the latest collects knew of people, or None where they kept nothing of it."""
        return collected.book(self.connection)

    def report(self) -> dict[str, Any] | None:
        """What the latest collect had to say of itself, or None; see docs/formats.md."""
        return next((report for _, report in self.past_collects(1)), None)

    def past_collects(self, limit: int) -> list[tuple[str, dict[str, Any]]]:
        """When collects ended and their reports, the newest first."""
        return collected.past_collects(self.connection, limit)

    def attachment_states(self, source: str | None = None) -> dict[str, int]:
        """`{"present", "offloaded", "missing"}`: attachments by where their files are."""
        return collected.attachment_states(self.connection, source)

    def people(self) -> dict[str, Person]:
        """Everyone who wrote or is in a conversation, and me, by key."""
        return reading.people(self.connection)

    def conversations(self) -> list[Conversation]:
        """All conversations in the order of their ids."""
        return reading.conversations(self.connection)

    def messages(self, conversation_id: str) -> Iterator[Message]:
        """The conversation's messages in (sent_at, source_row) order, attachments with their descriptions."""
        return reading.messages(self.connection, conversation_id)

    def spoken_last(self, conversation_id: str, limit: int) -> spoken.Batch:
        """The conversation's last `limit` messages, in order, as it takes to render them."""
        return spoken.last(self.connection, conversation_id, limit)

    def spoken(self, conversation_id: str) -> Iterator[spoken.Batch]:
        """The same, some hundred at a time, as it takes to render them."""
        return spoken.batches(self.connection, conversation_id)

    def backwards(self, conversation_id: str, batch: int) -> Iterator[Message]:
        """The conversation's messages, newest first, read so many at a time."""
        return reading.backwards(self.connection, conversation_id, batch)

    def earlier(self, guid: str, number: int) -> Message | None:
        """The message of this guid that stands before the one of this number in their conversation, or None. What is
        collected while this store is open is not found."""
        if not self._finds_earlier:
            referred.prepare(self.connection)
            self._finds_earlier = True
        return referred.earlier(self.connection, guid, number)

    def all_earlier(self, guids: Iterable[str], number: int) -> dict[str, Message]:
        """The last messages of these guids before the one of this number in their conversation, by guid; for few
        messages, since `earlier` is prepared for all."""
        return referred.all_earlier(self.connection, guids, number)

    def recent(self, conversation_id: str, limit: int) -> list[Message]:
        """The conversation's last `limit` messages, in order."""
        return reading.recent(self.connection, conversation_id, limit)

    def person_of(self, message: Message) -> str:
        """The key of who wrote it: records.ME, a person's, or records.UNKNOWN."""
        if self._person_of is None:
            self._person_of = reading.person_of(reading.keys_by_handle(self.connection))
        return self._person_of(message)

    def counts(self) -> dict[str, int]:
        """`{"messages", "people", "conversations", "attachments", "described"}`."""
        return reading.counts(self.connection)

    def ledger(self) -> Ledger:
        """What became of every row of the source."""
        return reading.ledger(self.connection)

    def collected_at(self) -> str | None:
        """When the latest collect ended, RFC 3339 UTC, or None."""
        row = self.connection.execute("SELECT max(at) FROM collects").fetchone()
        return str(row[0]) if row[0] else None

    def attachments_to_describe(self) -> Iterator[Attachment]:
        """Attachments on disk without a description, each guid once, always in the same order."""
        return reading.attachments_to_describe(self.connection)

    def describe(self, guid: str, text: str, by: str) -> None:
        """Keep the description of an attachment, at once. `by` is local or the model that wrote it."""
        self.describe_all([(guid, text)], by)

    def describe_all(self, descriptions: Iterable[tuple[str, str]], by: str) -> None:
        """Keep many (guid, text) in one transaction."""
        state = describing.LOCAL if by == describing.LOCAL else describing.DESCRIBED
        self.keep_descriptions([describing.Description(guid, text, by, state) for guid, text in descriptions])

    def keep_descriptions(self, descriptions: Iterable[describing.Description], *, same_words: bool = False) -> None:
        """Keep what is known of attachments, in one transaction; `same_words` if no text of any has changed."""
        with self._transaction(content=not same_words):
            describing.write(self.connection, descriptions)

    def standings(self, *, described: bool = False) -> Iterator[describing.Standing]:
        """Every attachment, each guid once, and how it stands; those that a captioner described only if asked for.

        Read page by page, so that descriptions may be written meanwhile.
        """
        return describing.standings(self.connection, described=described)

    def attachments_together(self) -> Iterator[list[Attachment]]:
        """The attachments of each message that has more than one, in order."""
        return describing.together(self.connection)

    def answers(self, content_hash: str, medium: str) -> list[describing.Answer]:
        """What captioners, any of them, have answered about a file of this content."""
        return describing.answers(self.connection, content_hash, medium)

    def keep_answer(
        self,
        answer: describing.Answer | None,
        descriptions: Iterable[describing.Description],
        settled: Iterable[tuple[int, int]],
    ) -> None:
        """Keep what came of asking about one file, the descriptions it gives, and what its requests cost, (number,
        micro-dollars) each, in one transaction."""
        with self._transaction():
            if answer:
                describing.write_answer(self.connection, answer)
            describing.write(self.connection, descriptions)
            spending.settle(self.connection, settled)

    def reserve(self, request: spending.Request, settled: Iterable[tuple[int, int]]) -> int:
        """Note, for good, that a request is about to be sent, and what came of others; returns its number."""
        with self._transaction(content=False):
            spending.settle(self.connection, settled)
            return spending.reserve(self.connection, request)

    def settle(self, settled: Iterable[tuple[int, int]]) -> None:
        """Keep what requests cost, (number, micro-dollars) each."""
        with self._transaction(content=False):
            spending.settle(self.connection, settled)

    def close_spending(self) -> None:
        """What was spent until now no longer counts for the next budget."""
        with self._transaction(content=False):
            spending.close(self.connection)

    def open_spending(self) -> int:
        """Micro-dollars that count for the budget: spent since a command that sends last ended well."""
        return spending.open_sum(self.connection)

    def spent(self) -> list[spending.Spent]:
        """What each model has cost and answered so far."""
        return spending.by_model(self.connection)

    def mean_costs(self, provider: str, model: str, least: int) -> dict[str, int]:
        """Micro-dollars that a file of each medium has cost with a model, where it was asked about at least so many."""
        return spending.means(self.connection, provider, model, least)

    def latest_descriptions(self, count: int) -> list[describing.Standing]:
        """The attachments that a captioner described last, newest first."""
        return describing.latest(self.connection, count)

    def descriptions_by(self) -> dict[str, int]:
        """How many attachments each one described: `{"local": 120, "gemini-3.5-flash-lite": 30}`."""
        return describing.descriptions_by(self.connection)

    def export(self, *, details: bool = False) -> Iterator[dict[str, Any]]:
        """The objects of `ventriloquist messages --jsonl`, in (sent_at, source_row) order over everything, all of one
        moment: nothing else can be asked of this store until they are read."""
        with self.moment():
            yield from reading.export(self.connection, details=details)

    def fingerprint(self) -> str:
        """sha256 (hex) over the content that windows are made of; the same for the same source on any machine."""
        return fingerprint(self.connection)


def fault_of(error: Exception, path: Path) -> Fault:
    """What an error of the database file means to the user."""
    code = getattr(error, "sqlite_errorcode", 0)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE):
        full = from_os_error(OSError(errno.ENOSPC, ""), "writing data/messages.db")
        return DiskFull(str(full))
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy(f"Another program holds {path}; close it and start again.")
    if code & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return NoInput(f"Permission denied while opening {path}.")
    if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, UnicodeDecodeError):
        return Fault(f"{path} is damaged. Move it away and run: ventriloquist collect")
    return Fault(f"{path} could not be used ({getattr(error, 'sqlite_errorname', type(error).__name__)}).")
