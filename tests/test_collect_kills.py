"""kill -9 in the middle of collecting, again and again: no row is lost or doubled, and the source is never touched."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.collecting import run_collect
from tests.test_again import Phone, content
from ventriloquist.faults import Stopped
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

KILLS = int(os.environ.get("KILLS", "24"))
PER_HISTORY = 8


class Source:
    """A history that goes on between the kills, its newest rows in the log."""

    def __init__(self, folder: Path) -> None:
        self.phone = Phone(folder)
        self.path = self.phone.writer.path
        self.random = random.Random(11)
        for _ in range(8):
            self.phone.many(0, self.random.randrange(100))

    def go_on(self) -> None:
        """New rows, and old ones that change in every part of the table."""
        pick = self.random.randrange
        self.phone.many(0, pick(100))
        for act in (Phone.edit, Phone.unsend, Phone.tapback, Phone.attach, Phone.delete, Phone.redate):
            for _ in range(12):
                act(self.phone, pick(100_000), pick(1000))

    def digest(self) -> tuple[str, ...]:
        parts = (self.path, self.path.with_name("chat.db-wal"))
        return tuple(hashlib.sha256(part.read_bytes()).hexdigest() for part in parts)


def traced(monkeypatch: pytest.MonkeyPatch, tell: Callable[[str], None]) -> None:
    """Have every statement of every store told as it begins."""
    connect = sqlite3.connect

    def connect_traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.set_trace_callback(tell)
        return connection

    monkeypatch.setattr("ventriloquist.store.database.sqlite3.connect", connect_traced)
    monkeypatch.setattr("ventriloquist.store.database.CACHE_PAGES", 10)  # so that what is half done is on the disk


def in_child(act: Callable[[], object]) -> int:
    """Do it in a forked process; returns how that ended, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def statements_of(monkeypatch: pytest.MonkeyPatch, root: Path, path: Path) -> tuple[int, int]:
    """At which statement a collect from here begins to write, and at which it is about to commit; nothing is kept."""
    reader, writer = os.pipe()

    def measure() -> None:
        statements: list[str] = []

        def count(statement: str) -> None:
            statements.append(statement)
            if statement == "COMMIT":
                os.write(writer, f"{statements.index('BEGIN IMMEDIATE')} {len(statements)}".encode())
                os.kill(os.getpid(), signal.SIGKILL)

        with monkeypatch.context() as patch:
            traced(patch, count)
            run_collect(root, path)

    assert in_child(measure) == -signal.SIGKILL
    begin, commit = os.read(reader, 100).decode().split()
    os.close(reader)
    os.close(writer)
    return int(begin), int(commit)


def kill_at(monkeypatch: pytest.MonkeyPatch, root: Path, path: Path, point: int) -> None:
    """Collect, and die by SIGKILL as statement number `point` begins."""
    seen = 0

    def count(statement: str) -> None:
        nonlocal seen
        seen += 1
        if seen > point:
            os.kill(os.getpid(), signal.SIGKILL)

    def collect() -> None:
        with monkeypatch.context() as patch:
            traced(patch, count)
            run_collect(root, path)

    assert in_child(collect) == -signal.SIGKILL


def half_done(root: Path) -> bool:
    """True if the disk holds pages of a transaction that did not end."""
    log = root / "data" / "messages.db-wal"
    return log.exists() and log.stat().st_size > 50_000


@pytest.mark.parametrize("first", [True, False], ids=["the first collect", "collecting again"])
def test_kills_lose_and_double_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bool) -> None:
    source, root = Source(tmp_path / "phone"), tmp_path / "work"
    if not first:
        run_collect(root, source.path)
    struck = kills = 0
    for round_ in range(max(KILLS // 2 // PER_HISTORY, 1)):
        if first:
            root = tmp_path / f"work-{round_}"
            assert is_empty(root)
        source.go_on()
        before = None if first else content(root)
        begin, commit = statements_of(monkeypatch, root, source.path)
        untouched = source.digest()
        for _ in range(min(PER_HISTORY, KILLS // 2)):
            point = source.random.randrange(begin + (commit - begin) // 10, commit)
            kill_at(monkeypatch, root, source.path, point)
            kills, struck = kills + 1, struck + half_done(root)
            assert source.digest() == untouched
            assert (before is None and is_empty(root)) or content(root) == before
        run_collect(root, source.path)
        run_collect(tmp_path / f"once-{round_}", source.path)
        assert content(root) == content(tmp_path / f"once-{round_}")
    print(f"{struck} of {kills} kills struck in the middle of writing")
    assert kills >= min(KILLS // 2, 8) and struck >= 0.9 * kills


def is_empty(root: Path) -> bool:
    """True of a workspace into which nothing was collected; makes the store if there is none."""
    with Store.open(Workspace.at(root), create=True) as store:
        return store.collected_at() is None and not store.counts()["messages"] and not store.ledger().source_rows


def test_a_stop_keeps_the_old_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Phone(tmp_path / "old"), Phone(tmp_path / "new")
    for _ in range(10):
        new.many(0, 0)
    run_collect(tmp_path / "workspace", old.writer.path)
    before = content(tmp_path / "workspace")

    def stop_at(statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        traced(patch, stop_at)
        with pytest.raises(Stopped):
            run_collect(tmp_path / "workspace", new.writer.path)
    assert content(tmp_path / "workspace") == before
