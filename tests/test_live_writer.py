"""Messages writes while a history is collected: every collect sees one moment of it, and leaves the file alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collecting import exported, run_collect
from tests.commands import until, ventriloquist
from tests.messages_db import ChatDbWriter

RATE = 200
COLLECTS = 20 if os.environ.get("FUZZ") else 6
FIRST = 300

WRITER = f"""
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.execute("PRAGMA wal_autocheckpoint = 200")
number, due = {FIRST}, time.monotonic()
while True:
    number += 1
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO message (ROWID, guid, text, handle_id, service, date, is_from_me) VALUES (?, ?, ?, 1, "
               "'iMessage', ?, ?)",
               [number, f"M-{{number}}", f"number {{number}} " * 5, 700000000 * 10**9 + number, number % 2])
    db.execute("INSERT INTO chat_message_join (chat_id, message_id) VALUES (?, ?)", [number % 2 + 1, number])
    db.execute("UPDATE chat SET display_name = ? WHERE ROWID = 2", [f"up to {{number}}"])
    db.execute("COMMIT")
    if number % 50 == 0:
        print(number, flush=True)
    due += 1 / {RATE}
    time.sleep(max(due - time.monotonic(), 0))
"""


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Path]:
    """A chat.db to which another process adds RATE messages a second, half to each of two chats. Each comes in one
    transaction with its join and the name of the second chat, which says how many there are."""
    writer = ChatDbWriter(tmp_path / "Messages")
    maya, theo = writer.handle("+12025550101"), writer.handle("theo@example.com")
    chats = [writer.chat(maya), writer.chat(maya, theo, display_name="")]
    for number in range(1, FIRST + 1):
        writer.message(chats[number % 2], f"number {number} " * 5, maya * (1 - number % 2), date=700_000_000)
    path = writer.close()
    told = (tmp_path / "told").open("w")
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=told)
    until(lambda: (tmp_path / "told").read_text(), "the first messages")
    yield path
    assert process.poll() is None, "the writer ended by itself"
    process.kill()
    process.wait()
    told.close()


def written(path: Path) -> int:
    return int((path.parents[1] / "told").read_text().split()[-1])


@pytest.mark.fuzz
def test_every_collect_sees_one_moment(live: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    for number in range(COLLECTS):
        root = tmp_path / f"w{number % 3}"  # collected for the first time, and again
        before = written(live)
        if number % 5 == 4:
            told = ventriloquist(root, "collect", "--db", live, "--region", "US")
            assert told.returncode == 0, told.stderr
            rows = None
        else:
            made = run_collect(root, live)
            rows = made["source_rows"]
            assert not made["dropped"], made
        messages = exported(root)
        numbers = [int(message["guid"].removeprefix("M-")) for message in messages]
        assert sorted(numbers) == list(range(1, len(numbers) + 1)), "a message is missing or came without its chat"
        assert rows in (None, len(numbers)) and len(numbers) >= before
        assert {each["text"] for each in messages} == {f"number {each} " * 5 for each in numbers}
        seen.append(len(numbers))
    assert seen == sorted(seen) and seen[-1] > seen[0] > FIRST
    assert len(seen) == COLLECTS


def test_what_is_written_meanwhile_stays_as_it_was_written(live: Path, tmp_path: Path) -> None:
    """After the writer is killed, its database is whole and holds what it wrote: a collect is only ever a reader."""
    run_collect(tmp_path / "w", live)
    copy = tmp_path / "copy"
    shutil.copytree(live.parent, copy)
    connection = sqlite3.connect(live)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    rows = connection.execute("SELECT ROWID FROM message ORDER BY ROWID").fetchall()
    connection.close()
    assert [row for (row,) in rows] == list(range(1, len(rows) + 1))
    files = {each.name for each in live.parent.iterdir()}
    assert files == {"chat.db", "chat.db-wal", "chat.db-shm"}
