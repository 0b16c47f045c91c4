"""Damaged chat.db files: what can be read is collected, what could not be is counted, and the file stays as it is."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.collecting import exported, notes, run_collect
from tests.commands import ventriloquist
from tests.messages_db import ChatDbWriter
from ventriloquist import demo
from ventriloquist.faults import Damaged, Exit, Fault, NoInput
from ventriloquist.sources.imessage.chatdb import ChatDb
from ventriloquist.sources.imessage.history import LOST
from ventriloquist.sources.imessage.salvage import salvage

FILES = 1000 if os.environ.get("FUZZ") else 60
MOST_SECONDS = 10.0
PAGE = 4096
MAYA = "+12025550101"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> demo.Sample:
    return demo.write(tmp_path_factory.mktemp("damage") / "history", messages=1000)


def query(path: Path, statement: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def pages_of(path: Path, name: str, kind: str) -> list[int]:
    """The pages of a table or an index: `leaf`, `internal` or `overflow`."""
    statement = f"SELECT pageno FROM dbstat WHERE name = '{name}' AND pagetype = '{kind}' ORDER BY path"
    return [page for (page,) in query(path, statement)]


def damaged_copy(source: Path, folder: Path, pages: list[int], fill: bytes = b"\xff") -> Path:
    """A copy whose pages of these numbers are filled with nonsense."""
    folder.mkdir()
    content = bytearray(source.read_bytes())
    for page in pages:
        content[(page - 1) * PAGE : page * PAGE] = fill * PAGE
    (folder / "chat.db").write_bytes(content)
    return folder / "chat.db"


def test_a_sound_file_comes_back_whole(history: demo.Sample) -> None:
    found = salvage(history.chat_db)
    tables = query(history.chat_db, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    assert len(tables) > 8 and (found.messages, found.lost, found.lost_is_all) == (history.message_rows, 0, True)
    for (table,) in tables:
        statement = f'SELECT rowid, * FROM "{table}" ORDER BY rowid'
        assert found.connection.execute(statement).fetchall() == query(history.chat_db, statement), table
    found.connection.close()


@pytest.mark.parametrize("size", [512, 1024, 8192, 65536])
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_pages_and_text_of_every_kind(tmp_path: Path, size: int, encoding: str) -> None:
    path = tmp_path / "chat.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        f"PRAGMA page_size = {size}; PRAGMA encoding = '{encoding}';"
        "CREATE TABLE message (ROWID INTEGER PRIMARY KEY, guid TEXT UNIQUE, text TEXT, date INTEGER);"
        "ALTER TABLE message ADD COLUMN later INTEGER DEFAULT 7;"
        "ALTER TABLE message ADD COLUMN word TEXT DEFAULT 'it''s';"
    )
    values: list[Any] = [None, 0, 1, -1, 127, -129, 2**23, -(2**31), 2**47, -(2**63), 1.5, -0.25, b"", b"\0" * 9]
    values += ["", "é😂" * 3, "x" * (size * 5)]
    rows = [(number, f"g{number}", value, number) for number, value in enumerate(values * 9, 1)]
    connection.executemany("INSERT INTO message (ROWID, guid, text, date) VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    expected = connection.execute("SELECT * FROM message ORDER BY ROWID").fetchall()
    connection.close()
    found = salvage(path)
    assert found.connection.execute("SELECT * FROM message ORDER BY ROWID").fetchall() == expected
    assert expected[0][4:] == (7, "it's")
    found.connection.close()


@pytest.mark.parametrize("lost_pages", [1, 3, 20])
def test_lost_leaves_are_counted_exactly(history: demo.Sample, tmp_path: Path, lost_pages: int) -> None:
    leaves = pages_of(history.chat_db, "message", "leaf")
    statement = "SELECT sum(ncell) FROM dbstat WHERE pageno IN ({})"
    gone = leaves[5 : 5 + lost_pages]
    ((lost,),) = query(history.chat_db, statement.format(",".join(map(str, gone))))
    path = damaged_copy(history.chat_db, tmp_path / "Messages", gone)
    before = path.read_bytes()
    made = run_collect(tmp_path / "w", path)
    assert made["dropped"][LOST] == lost > 0
    assert made["source_rows"] == history.message_rows
    assert sum(made["kept"].values()) + sum(made["dropped"].values()) == history.message_rows
    (told,) = [note for note in notes(tmp_path / "w") if "sound parts" in note]
    assert f"{history.message_rows - lost:,} rows of messages were salvaged" in told
    assert f"and {lost:,} more could not be read" in told and told.count("\n") == 0
    assert path.read_bytes() == before and {each.name for each in path.parent.iterdir()} == {"chat.db"}


@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\x0d"])
def test_leaves_are_found_where_the_pages_above_them_are_gone(
    history: demo.Sample, tmp_path: Path, fill: bytes
) -> None:
    inner = pages_of(history.chat_db, "message", "internal")
    assert inner
    path = damaged_copy(history.chat_db, tmp_path / "Messages", inner, fill)
    made = run_collect(tmp_path / "w", path, address_book=history.address_book)
    assert made["source_rows"] == history.message_rows and LOST not in made["dropped"]
    run_collect(tmp_path / "whole", history.chat_db)
    assert texts(tmp_path / "w") == texts(tmp_path / "whole")


def texts(root: Path) -> list[tuple[Any, ...]]:
    return [
        tuple(each[name] for name in ("guid", "sender", "conversation", "sent_at", "text")) for each in exported(root)
    ]


@pytest.mark.parametrize("table", ["handle", "chat", "chat_message_join", "chat_handle_join"])
def test_an_index_gives_back_what_its_table_lost(history: demo.Sample, tmp_path: Path, table: str) -> None:
    pages = [page for kind in ("leaf", "internal") for page in pages_of(history.chat_db, table, kind)]
    path = damaged_copy(history.chat_db, tmp_path / "Messages", pages)
    made = run_collect(tmp_path / "w", path)
    run_collect(tmp_path / "whole", history.chat_db)
    assert made["source_rows"] == history.message_rows
    told = [[each[name] for name in ("guid", "text", "sender_handle")] for each in exported(tmp_path / "w")]
    assert told == [[each[name] for name in ("guid", "text", "sender_handle")] for each in exported(tmp_path / "whole")]


def test_damaged_indexes_lose_nothing(history: demo.Sample, tmp_path: Path) -> None:
    names = query(history.chat_db, "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'message'")
    pages = [
        page for (name,) in names for kind in ("leaf", "internal") for page in pages_of(history.chat_db, name, kind)
    ]
    made = run_collect(tmp_path / "w", damaged_copy(history.chat_db, tmp_path / "Messages", pages))
    assert made["source_rows"] == history.message_rows and LOST not in made["dropped"]
    assert "how many more there were is not known" in " ".join(notes(tmp_path / "w"))


def test_deleted_rows_stay_deleted(tmp_path: Path) -> None:
    """Their pages are free, and still hold the words."""
    writer = ChatDbWriter(tmp_path / "Messages")
    writer.db.execute("PRAGMA secure_delete = OFF")
    chat = writer.chat(writer.handle(MAYA))
    for number in range(600):
        writer.message(chat, f"{'private' if 200 <= number < 400 else 'kept'} {number} " * 9, number % 2)
    writer.db.execute("DELETE FROM chat_message_join WHERE message_id BETWEEN 201 AND 400")
    writer.db.execute("DELETE FROM message WHERE ROWID BETWEEN 201 AND 400")
    path = writer.close()
    assert b"private 300" in path.read_bytes()
    leaves, inner = pages_of(path, "message", "leaf"), pages_of(path, "message", "internal")
    damaged = damaged_copy(path, tmp_path / "Damaged", [leaves[3], *inner])
    made = run_collect(tmp_path / "w", damaged)
    assert made["source_rows"] == 400 and 0 < made["dropped"][LOST] < 40
    assert not [each for each in exported(tmp_path / "w") if "private" in (each["text"] or "")]


def test_the_newest_messages_come_from_the_log(tmp_path: Path) -> None:
    writer = ChatDbWriter(tmp_path / "Messages")
    chat = writer.chat(writer.handle(MAYA))
    for number in range(400):
        writer.message(chat, f"in the database {number} " * 5)
    writer.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.db.execute("PRAGMA wal_autocheckpoint = 0")
    for number in range(100):
        writer.message(chat, f"in the log {number}")
    folder = tmp_path / "Damaged"
    folder.mkdir()
    for name in ("chat.db", "chat.db-wal"):
        shutil.copy(writer.path.with_name(name), folder)
    writer.close()
    content = bytearray((folder / "chat.db").read_bytes())
    leaves = [page for page in range(1, len(content) // PAGE) if content[page * PAGE] == 13 and b"database 9" in
              content[page * PAGE : page * PAGE + PAGE]]  # fmt: skip
    content[leaves[0] * PAGE : leaves[0] * PAGE + PAGE] = b"\xff" * PAGE
    (folder / "chat.db").write_bytes(content)
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    made = run_collect(tmp_path / "w", folder / "chat.db")
    assert made["source_rows"] == 500 and made["dropped"][LOST] < 60
    assert sum("in the log" in each["text"] for each in exported(tmp_path / "w")) == 100
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_nothing_left_is_one_sentence(history: demo.Sample, tmp_path: Path) -> None:
    pages = list(range(2, history.chat_db.stat().st_size // PAGE + 1))
    path = damaged_copy(history.chat_db, tmp_path / "Messages", pages)
    with pytest.raises(NoInput, match=r"is damaged .*\.recover") as refused:
        ChatDb(path, salvaging=True)
    assert not isinstance(refused.value, Damaged)
    told = ventriloquist(tmp_path / "w", "collect", "--db", path)
    assert told.returncode == Exit.NO_INPUT and ".recover" in told.stderr.splitlines()[-1]
    assert "Traceback" not in told.stderr


def test_a_hostile_schema_is_not_run(tmp_path: Path) -> None:
    """The list of tables is read as words, never as statements; a tree that leads to itself ends."""
    writer = ChatDbWriter(tmp_path / "Messages")
    writer.message(writer.chat(writer.handle(MAYA)), "hi")
    endless = "CREATE TABLE message AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x FROM r) SELECT x FROM r"
    writer.db.execute("PRAGMA writable_schema = ON")
    for name, sql in (("a", endless), ('b"; DROP TABLE message; --', 'CREATE TABLE "b""; DROP" (x, "y"" z", [\0])')):
        writer.db.execute("INSERT INTO sqlite_master VALUES ('table', ?, ?, 2, ?)", [name, name, sql])
    path = writer.close()
    started = time.monotonic()
    made = run_collect(tmp_path / "w", path)
    assert made["messages"] == 1 and time.monotonic() - started < MOST_SECONDS


def damage(good: bytes, number: int, random_: random.Random) -> bytes:
    """Every fourth is cut off somewhere; each has a byte, some, or hundreds that are not what they were."""
    content = bytearray(good)
    if number % 4 == 0:
        del content[random_.randrange(1, len(good)) :]
    for _ in range(random_.choice([1, 20, 400])):
        content[random_.randrange(len(content))] = random_.randrange(256)
    return bytes(content)


@pytest.mark.fuzz
def test_random_damage(history: demo.Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, random_ = history.chat_db.read_bytes(), random.Random(7)
    path = tmp_path / "Messages" / "chat.db"
    path.parent.mkdir()
    ended: Counter[str] = Counter()
    whole = slowest = 0.0
    for number in range(FILES):
        content = damage(good, number, random_)
        path.write_bytes(content)
        started = time.monotonic()
        outcome, rows = outcome_of(path, tmp_path / "w")
        slowest = max(slowest, time.monotonic() - started)
        ended[outcome] += 1
        if number % 4:
            whole += rows / history.message_rows
        assert path.read_bytes() == content and [each.name for each in path.parent.iterdir()] == ["chat.db"]
    with capsys.disabled():
        counts = ", ".join(f"{count} {how}" for how, count in ended.most_common())
        share = whole / (FILES - -(-FILES // 4))
        print(
            f"\n{FILES} damaged files: {counts}; {share:.1%} of the rows of those not cut off; slowest {slowest:.2f} s"
        )
    assert slowest < MOST_SECONDS
    assert ended["refused"] < FILES * 0.2 and ended["salvaged"] > FILES * 0.5 and share > 0.9


def outcome_of(path: Path, root: Path) -> tuple[str, int]:
    """How a collect ended, and how many rows of the source it read."""
    try:
        made = run_collect(root, path)
        lost = made["dropped"].get(LOST, 0)
        assert sum(made["kept"].values()) + sum(made["dropped"].values()) == made["source_rows"]
        is_salvaged = any("salvaged from its sound parts" in note for note in notes(root))
        assert is_salvaged or not lost
        return ("salvaged" if is_salvaged else "read as it is"), made["source_rows"] - lost
    except Fault as fault:
        assert str(fault).count("\n") == 0 and "run failed" not in str(fault), str(fault)
        return "refused", 0
    finally:
        shutil.rmtree(root)
