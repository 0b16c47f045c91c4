"""Opening Apple's chat.db: nothing in it changes, and what cannot be read is told in a sentence."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collecting import read, run_collect
from tests.messages_db import START, ChatDbWriter, plain_body
from ventriloquist.faults import Fault, NoInput
from ventriloquist.sources.imessage.chatdb import ChatDb

MAYA, THEO = "+12025550101", "theo@example.com"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ChatDbWriter]:
    writer = ChatDbWriter(tmp_path / "Messages")
    yield writer
    writer.db.close()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_rows_in_the_write_ahead_log_are_read_and_nothing_changes(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "in the database")
    writer.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.db.execute("PRAGMA wal_autocheckpoint = 0")
    for number in range(150):
        writer.message(chat, f"in the log {number}")
    wal = writer.path.with_name("chat.db-wal")
    before = digest(writer.path), digest(wal)
    assert wal.stat().st_size > 10_000
    messages, _, _ = read(writer.path)
    assert len(messages) == 151
    assert (digest(writer.path), digest(wal)) == before


def test_a_closed_database_is_left_without_a_trace(writer: ChatDbWriter) -> None:
    writer.message(writer.chat(writer.handle(MAYA)), "hi")
    path = writer.close()
    before = {each.name: digest(each) for each in path.parent.iterdir()}
    assert set(before) == {"chat.db"}
    read(path)
    assert {each.name: digest(each) for each in path.parent.iterdir() if each.is_file()} == before


def test_a_log_left_by_a_crash_is_read(writer: ChatDbWriter, tmp_path: Path) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "hi")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(writer.path.with_name("chat.db" + suffix), crashed)
    before = {each.name: digest(each) for each in crashed.iterdir()}
    messages, _, _ = read(crashed / "chat.db")
    assert [message.text for message in messages] == ["hi"]
    assert {name: digest(crashed / name) for name in before} == before


def test_one_snapshot_while_messages_writes(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "first")
    with ChatDb(writer.path) as db:
        writer.message(chat, "second")
        assert db.rows("SELECT count(*) FROM message").fetchone() == (1,)
        assert db.rows("SELECT count(*) FROM chat_message_join").fetchone() == (1,)


def test_strange_paths_open(tmp_path: Path) -> None:
    writer = ChatDbWriter(tmp_path / "a b#c?d%41é")
    writer.message(writer.chat(writer.handle(MAYA)), "hi")
    assert len(read(writer.path)[0]) == 1
    writer.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody, whom a read-only folder refuses")
def test_a_copy_is_read_where_the_folder_refuses(writer: ChatDbWriter, tmp_path: Path) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "hi")
    locked = tmp_path / "locked"
    locked.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(writer.path.with_name("chat.db" + suffix), locked)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    locked.chmod(0o555)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setuid(65534)
            with ChatDb(locked / "chat.db") as db:
                rows = db.rows("SELECT count(*) FROM message").fetchone()
                status = 0 if rows == (1,) and db.warning is None else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert {each.name for each in locked.iterdir()} == {"chat.db", "chat.db-wal"}


# --- faults -----------------------------------------------------------------------------------------------------


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match=r"There is no Messages history at .*/gone/chat\.db\. Name it with --db PATH"):
        read(tmp_path / "gone" / "chat.db")


def test_a_folder_means_the_chat_db_in_it(writer: ChatDbWriter) -> None:
    writer.message(writer.chat(writer.handle(MAYA)), "hi")
    assert len(read(writer.close().parent)[0]) == 1


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 2\0" + bytes(5000), bytes(4096)])
def test_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "chat.db"
    path.write_bytes(content)
    with pytest.raises(NoInput, match="is no SQLite database"):
        read(path)


def test_a_database_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE notes (text)")
    connection.close()
    with pytest.raises(NoInput, match="not of Messages"):
        read(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="the file is made unreadable for another user")
@pytest.mark.parametrize(
    ("program", "app"),
    [
        ("Apple_Terminal", "add Terminal,"),
        ("iTerm.app", "add iTerm,"),
        ("tmux", r"your terminal app \(over ssh: sshd\)"),
    ],
)
def test_no_permission_names_the_setting_and_the_app(writer: ChatDbWriter, program: str, app: str) -> None:
    path = writer.close()
    path.chmod(0o600)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.environ["TERM_PROGRAM"] = program
        os.environ.pop("SSH_CONNECTION", None)
        for folder in [path.parent, *path.parent.parents][:-2]:
            folder.chmod(0o755)
        os.setuid(65534)
        try:
            ChatDb(path)
        except NoInput as fault:
            os.write(write_end, str(fault).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write_end)
    told = os.read(read_end, 10_000).decode()
    os.close(read_end)
    import re

    assert "System Settings > Privacy & Security > Full Disk Access" in told
    assert re.search(app, told)
    assert told.endswith("quit and reopen it.")


def test_a_file_that_changes_while_it_is_read_is_told(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "first")
    path = writer.close()
    with ChatDb(path) as db:
        assert not db.changed_meanwhile()
        again = sqlite3.connect(path)
        again.execute("UPDATE chat SET display_name = 'x'")
        again.commit()
        assert db.changed_meanwhile()
        again.close()


@pytest.mark.parametrize("words", ["unable to open database file", "authorization denied"])
def test_refusals_by_macos_are_told_from_damage(words: str) -> None:
    from ventriloquist.sources.imessage.chatdb import fault_of

    assert "Full Disk Access" in str(fault_of(sqlite3.OperationalError(words), Path("chat.db")))
    assert ".recover" in str(fault_of(sqlite3.DatabaseError("database disk image is malformed"), Path("chat.db")))


def test_damaged_files_end_in_one_sentence_or_well(writer: ChatDbWriter, tmp_path: Path) -> None:
    import random

    chat = writer.chat(writer.handle(MAYA))
    for number in range(300):
        row = writer.message(chat, None, attributedBody=plain_body(f"number {number} " * 9))
        if number % 10 == 0:
            writer.attach(row, f"A-{number}", filename=f"~/Library/Messages/Attachments/{number}.jpg")
    good = writer.close().read_bytes()
    random_ = random.Random(7)
    faults = 0
    for number in range(60):
        damaged = bytearray(good)
        if number % 4 == 0:
            del damaged[random_.randrange(1, len(good)) :]
        for _ in range(random_.choice([1, 20, 400])):
            if damaged:
                damaged[random_.randrange(len(damaged))] = random_.randrange(256)
        path = tmp_path / f"damaged-{number}.db"
        path.write_bytes(damaged)
        try:
            read(path)
        except Fault as fault:
            faults += 1
            assert str(fault).count("\n") == 0
        assert path.read_bytes() == bytes(damaged)
    assert 10 <= faults <= 58  # some damage is fatal and some is not


def test_an_old_newest_message_is_told(writer: ChatDbWriter) -> None:
    writer.message(writer.chat(writer.handle(MAYA)), "x")
    path = writer.close()
    newest = START + 978_307_200
    os.utime(path, (newest + 3600, newest + 3600))
    assert read(path)[2] == []
    os.utime(path, (newest + 10 * 86_400, newest + 10 * 86_400))
    assert "9 days before chat.db was last written" in read(path)[2][0]


def test_a_pipe_is_no_history(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NoInput, match="is no file"):
        run_collect(tmp_path / "w", tmp_path / "pipe")
