"""Reading Apple's chat.db: every kind of row, older schemas, and files that cannot or must not be touched."""

from __future__ import annotations

import hashlib
import os
import plistlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import hostile_strings
from tests.messages_db import EL_CAPITAN, NANOSECONDS, START, ChatDbWriter, plain_body
from ventriloquist.demo.archives import app_balloon, edit_summary, link_preview, unsend_summary
from ventriloquist.demo.typedstream import Body
from ventriloquist.faults import Fault, NoInput
from ventriloquist.people import normaliser
from ventriloquist.records import Kind, Ledger, Message
from ventriloquist.settings import CollectSettings
from ventriloquist.sources import open_source
from ventriloquist.sources.imessage.chatdb import ChatDb
from ventriloquist.workspace import Workspace

MAYA, THEO = "+12025550101", "theo@example.com"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ChatDbWriter]:
    writer = ChatDbWriter(tmp_path / "Messages")
    yield writer
    writer.db.close()


def read(path: Path, my_handles: set[str] | None = None, **settings: Any) -> tuple[list[Message], Ledger, list[str]]:
    """All messages, the ledger and the warnings; checks that the ledger accounts for every row."""
    loaded = CollectSettings.load(Workspace.at(path.parent / "workspace"), db=path, **settings)
    ledger = Ledger()
    with open_source(loaded, normaliser("US")) as source:
        messages = list(source.messages(ledger, my_handles or source.my_handles()))
        assert ledger.source_rows == source.rows()
        assert ledger.kept.total() == len(messages)
        return messages, ledger, list(source.warnings())


def dropped(ledger: Ledger) -> dict[str, int]:
    totals: dict[str, int] = {}
    for (reason, _), rows in ledger.dropped.items():
        totals[reason] = totals.get(reason, 0) + rows
    return totals


# --- the file ---------------------------------------------------------------------------------------------------


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


# --- text -------------------------------------------------------------------------------------------------------


def test_hostile_text_is_exactly_as_written(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    strings = [(name, text) for name, text in hostile_strings() if text]
    for _, text in strings:
        writer.message(chat, None, attributedBody=plain_body(text))
    messages, _, _ = read(writer.close())
    assert len(messages) == len(strings)
    for (name, text), message in zip(strings, messages, strict=True):
        assert message.text == text, name
        assert message.kind is Kind.TEXT


def test_the_body_counts_before_the_text_column(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "column", attributedBody=plain_body("body"))
    writer.message(chat, "column only")
    writer.message(chat, "column", attributedBody=plain_body(""))
    assert [message.text for message in read(writer.close())[0]] == ["body", "column only", "column"]


@pytest.mark.parametrize("body", [b"garbage", "text", 5, 1.5, b"\x04\x0bstreamtyped", plain_body("cut")[:70]])
def test_a_body_that_cannot_be_read_keeps_the_row(writer: ChatDbWriter, body: Any) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "the column", attributedBody=body)
    writer.message(chat, None, attributedBody=body)
    messages, ledger, warnings = read(writer.close())
    assert [message.text for message in messages] == ["the column"]
    assert dropped(ledger) == {"text that could not be read": 1}
    assert any("1 message" in warning for warning in warnings)


def test_values_of_the_wrong_type_keep_the_row(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    row = writer.message(chat, "odd")
    writer.db.execute("UPDATE message SET date = 'x', handle_id = 1.5, service = 7, item_type = NULL")
    writer.db.execute("UPDATE message SET text = CAST(? AS TEXT) WHERE ROWID = ?", [b"caf\xe9", row])
    (message,), ledger, _ = read(writer.close())
    assert (message.text, message.sent_at, message.service) == ("caf\ufffd", 0, "7")
    assert list(ledger.kept) == [("text", 0)]


def test_a_subject_is_part_of_the_text(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "come at six", subject="Dinner")
    writer.message(chat, None, subject="Only this")
    assert [message.text for message in read(writer.close())[0]] == ["Dinner\ncome at six", "Only this"]


def test_a_replacement_character_that_someone_wrote_stays(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, None, attributedBody=plain_body("what is \ufffd?"))
    writer.message(chat, "what is \ufffd?")
    assert [message.text for message in read(writer.close())[0]] == ["what is \ufffd?"] * 2


# --- dates ------------------------------------------------------------------------------------------------------


def test_dates_in_nanoseconds_and_seconds_side_by_side(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    numbers = [START * NANOSECONDS + 123_456_789, START, 0, None, 2**62, -5, 10**11 + 1]
    rows = [writer.message(chat, "x") for _ in numbers]
    for row, number in zip(rows, numbers, strict=True):
        writer.db.execute("UPDATE message SET date = ? WHERE ROWID = ?", [number, row])
    messages, ledger, _ = read(writer.close())
    unix = (START + 978_307_200) * 1_000_000
    assert [m.sent_at for m in messages[:4]] == [unix + 123_456, unix, 0, 0]
    assert all(m.sent_at >= 0 for m in messages)
    assert ledger.kept["text", 0] == 2


def test_an_el_capitan_schema(tmp_path: Path) -> None:
    writer = ChatDbWriter(tmp_path / "old", EL_CAPITAN, seconds=True)
    maya = writer.handle(MAYA)
    chat = writer.chat(maya)
    writer.message(chat, "hello", maya)
    writer.message(chat, None, attributedBody=plain_body("from me"))
    row = writer.message(chat, "\ufffc", maya)
    writer.attach(row, "A-1", filename="~/Library/Messages/Attachments/a.jpg", uti="public.jpeg")
    messages, _, _ = read(writer.close())
    assert [message.text for message in messages] == ["hello", "from me", None]
    assert messages[2].kind is Kind.ATTACHMENT
    assert messages[2].attachments[0].mime_type == "image/jpeg"
    assert {message.sent_at // 1_000_000 // 31_556_952 + 1970 for message in messages} == {2023}


# --- chats and senders ------------------------------------------------------------------------------------------


def test_orphans_two_chats_and_who_wrote(writer: ChatDbWriter) -> None:
    maya, theo = writer.handle(MAYA), writer.handle(THEO)
    one, two = writer.chat(maya), writer.chat(maya, theo)
    both = writer.message(two, "in two chats", theo)
    writer.insert("chat_message_join", chat_id=one, message_id=both)
    writer.message(None, "orphan", maya)
    writer.message(99, "in a chat that is gone", maya)
    writer.message(one, "mine, whatever the handle says", maya, is_from_me=1)
    writer.message(one, "handle lost in a chat of two", is_from_me=0)
    writer.message(two, "handle lost in a group", is_from_me=0)
    messages, ledger, _ = read(writer.close())
    assert dropped(ledger) == {"in no chat": 2}
    assert messages[0].chat == "iMessage;-;0"
    assert [m.sender_handle for m in messages] == [THEO, None, MAYA, None]
    assert [m.is_from_me for m in messages] == [False, True, False, False]


def test_recently_deleted_messages(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "live")
    row = writer.message(None, "deleted")
    writer.insert("chat_recoverable_message_join", chat_id=chat, message_id=row, delete_date=1)
    path = writer.close()
    messages, ledger, _ = read(path)
    assert ([m.text for m in messages], dropped(ledger)) == (["live"], {"recently deleted": 1})
    messages, ledger, _ = read(path, include_deleted=True)
    assert ([m.text for m in messages], dropped(ledger)) == (["live", "deleted"], {})


def test_a_chat_with_oneself_is_kept_once(writer: ChatDbWriter) -> None:
    me = writer.handle(MAYA)
    chat = writer.chat(me, last_addressed_handle=MAYA)
    for text in ("buy milk", "buy milk", "\ufffc"):
        writer.message(chat, text, destination_caller_id=MAYA, handle_id=me)
        writer.message(chat, text, me, destination_caller_id=MAYA)
    writer.message(chat, "only received", me, destination_caller_id=MAYA)
    messages, ledger, _ = read(writer.close())
    assert [m.text for m in messages] == ["buy milk", "buy milk", "only received"]
    assert dropped(ledger) == {"second copy in a chat with yourself": 3, "empty": 1}


def test_a_friend_named_once_as_my_address_is_not_me(writer: ChatDbWriter) -> None:
    maya = writer.handle(MAYA)
    chat = writer.chat(maya)
    for text in ("a", "b", "c"):
        writer.message(chat, text, maya, destination_caller_id="+12025550199")
    writer.message(chat, "d", destination_caller_id=MAYA)
    loaded = CollectSettings.load(Workspace.at(writer.folder), db=writer.close())
    with open_source(loaded, normaliser("US")) as source:
        assert source.my_handles() == {"+12025550199"}


def test_members_of_a_chat_that_lists_none(writer: ChatDbWriter) -> None:
    maya, theo = writer.handle(MAYA), writer.handle(THEO)
    dm = writer.chat(chat_identifier="(202) 555-0101", style=None, guid="any;-;+12025550101")
    group = writer.chat(style=None, guid="any;+;chat9")
    writer.message(dm, "hi", maya)
    writer.message(group, "one", theo)
    writer.message(group, "two", maya)
    loaded = CollectSettings.load(Workspace.at(writer.folder), db=writer.close())
    with open_source(loaded, normaliser("US")) as source:
        assert [(chat.kind.value, chat.handles) for chat in source.chats()] == [
            ("dm", (MAYA,)),
            ("group", (MAYA, THEO)),
        ]


# --- attachments ------------------------------------------------------------------------------------------------


def test_attachments_in_the_order_of_their_slots(writer: ChatDbWriter) -> None:
    folder = writer.folder / "Attachments" / "ab"
    folder.mkdir(parents=True)
    (folder / "one.jpg").write_bytes(b"jpeg")
    chat = writer.chat(writer.handle(MAYA))
    body = Body().add("\ufffc", part=0, file="G-2").add("look", part=1).add("\ufffc", part=2, file="G-1")
    row = writer.message(chat, None, attributedBody=body.archive())
    writer.attach(row, "G-1", filename="~/Library/Messages/Attachments/ab/one.jpg", mime_type="image/jpeg")
    writer.attach(row, "G-2", filename=None, transfer_name="two|||.HEIC", total_bytes=7)
    writer.attach(row, "G-3", filename="~/Library/Messages/Attachments/x.pluginPayloadAttachment")
    writer.attach(row, "G-4", filename="~/Library/Messages/Attachments/ab/one.jpg", hide_attachment=1)
    (message,), _, warnings = read(writer.close())
    assert (message.kind, message.text) == (Kind.TEXT, "look")
    two, one = message.attachments
    assert (two.guid, two.name, two.path, two.mime_type, two.total_bytes) == (
        "G-2",
        "two|||.HEIC",
        None,
        "image/heic",
        7,
    )
    assert (one.guid, one.name, one.path) == ("G-1", "one.jpg", str(folder / "one.jpg"))
    assert any("1 of 2 attachments" in warning for warning in warnings)


def test_a_voice_message_has_its_transcript(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    body = Body().add("\ufffc", part=0, file="V", transcript="call me back")
    row = writer.message(chat, None, attributedBody=body.archive(), is_audio_message=1)
    writer.attach(
        row, "V", filename="~/Library/Messages/Attachments/Audio Message.caf", uti="com.apple.coreaudio-format"
    )
    (message,), _, _ = read(writer.close())
    assert message.kind is Kind.ATTACHMENT
    assert (message.attachments[0].transcript, message.attachments[0].mime_type) == ("call me back", "audio/x-caf")


def test_files_outside_the_attachments_folder_are_never_seen(writer: ChatDbWriter, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    folder = writer.folder / "Attachments"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "file.txt").write_text("fine")
    (folder / "link.txt").symlink_to(secret)
    (folder / "out").symlink_to(tmp_path)
    (folder / "inside").symlink_to(folder / "in")
    os.mkfifo(folder / "pipe")
    chat = writer.chat(writer.handle(MAYA))
    home = "~/Library/Messages/Attachments/"
    names = [
        home + "link.txt", home + "out/secret.txt", home + "../../secret.txt", str(secret), home + "in", home + "pipe",
        home + "a\x00b", home, "~/secret.txt", "/Library/Messages/Attachments/../../secret.txt",
    ]  # fmt: skip
    fine = [home + "in/file.txt", home + "inside/file.txt", "/Users/x/Library/Messages/Attachments/in/file.txt"]
    for number, name in enumerate([*names, *fine, str(folder / "in" / "file.txt")]):
        writer.attach(writer.message(chat, "\ufffc"), f"G-{number}", filename=name)
    messages, _, _ = read(writer.close())
    paths = [message.attachments[0].path for message in messages]
    assert paths[: len(names)] == [None] * len(names)
    assert paths[len(names) :] == [str(folder / "in" / "file.txt")] * 4


def test_an_attachment_of_which_only_the_slot_is_left(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, None, attributedBody=Body().add("\ufffc", part=0, file="LOST", file_name="a.jpg").archive())
    (message,), _, _ = read(writer.close())
    assert message.kind is Kind.ATTACHMENT
    assert (message.attachments[0].guid, message.attachments[0].name) == ("LOST", "a.jpg")


# --- tapbacks, replies, edits, apps, events ----------------------------------------------------------------------


def tap(writer: ChatDbWriter, chat: int, number: int, target: str, sender: int = 0, **more: Any) -> int:
    return writer.message(
        chat, "Loved “x”", sender, associated_message_type=number, associated_message_guid=target, **more
    )


def test_tapbacks_are_replayed(writer: ChatDbWriter) -> None:
    maya, theo = writer.handle(MAYA), writer.handle(THEO)
    chat = writer.chat(maya, theo)
    writer.message(chat, "x", maya)  # M-1
    tap(writer, chat, 2000, "p:0/M-1", maya)  # replaced
    tap(writer, chat, 2003, "p:0/M-1", maya)
    tap(writer, chat, 2001, "p:1/M-1", maya)  # another part: taken back
    tap(writer, chat, 3001, "p:1/M-1", maya)
    tap(writer, chat, 2006, "bp:M-1", theo, associated_message_emoji="🎉")
    tap(writer, chat, 2005, "M-1")
    tap(writer, chat, 3000, "p:0/M-1")  # removes a love that is not there any more: nothing
    tap(writer, chat, 2002, "p:2/GONE", theo)
    tap(writer, chat, 2004, "p:0/M-2", theo, thread_originator_guid="M-1")
    sticker = tap(writer, chat, 2007, "p:3/M-1", theo)
    writer.attach(sticker, "S", filename="~/Library/Messages/Attachments/s.heic", is_sticker=1)
    tap(writer, chat, 1000, "p:0/M-1", theo)
    tap(writer, chat, 1000, "p:0/M-1", theo)
    tap(writer, chat, 2999, "p:0/M-1", theo)
    messages, ledger, _ = read(writer.close())
    found = [(m.reaction.type, m.reaction.emoji, m.reaction.target, m.reaction.part) for m in messages if m.reaction]
    assert found == [
        ("laughed", None, "M-1", 0),
        ("emoji", "🎉", "M-1", 0),
        ("questioned", None, "M-1", 0),
        ("disliked", None, "GONE", 2),
        ("emphasized", None, "M-2", 0),
        ("sticker", None, "M-1", 3),
        ("sticker", None, "M-1", 0),
        ("sticker", None, "M-1", 0),
    ]
    assert all(m.text is None and m.reply_to is None for m in messages if m.reaction)
    assert dropped(ledger) == {
        "tapback that a later one replaced": 1,
        "tapback that was taken back": 1,
        "removal of a tapback": 2,
        "a kind of row that is not known yet": 1,
    }


def test_tapbacks_follow_the_clock_not_the_rows(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "x")
    tap(writer, chat, 3000, "p:0/M-1", date=START + 500)
    tap(writer, chat, 2000, "p:0/M-1", date=START + 400)
    messages, ledger, _ = read(writer.close())
    assert len(messages) == 1
    assert dropped(ledger) == {"tapback that was taken back": 1, "removal of a tapback": 1}


def test_an_echo_from_another_phone_stays_text(writer: ChatDbWriter) -> None:
    writer.message(writer.chat(writer.handle(MAYA)), "Liked “x”", associated_message_type=0)
    (message,), _, _ = read(writer.close())
    assert (message.kind, message.text) == (Kind.TEXT, "Liked “x”")


def test_replies_are_by_thread_originator_only(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "x")
    writer.message(chat, "y", reply_to_guid="M-1")
    writer.message(chat, "z", reply_to_guid="M-2", thread_originator_guid="M-1", thread_originator_part="0:0:1")
    assert [message.reply_to for message in read(writer.close())[0]] == [None, None, "M-1"]


def test_edits_and_unsends(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    first, last = Body.of("teh"), Body.of("the")
    history = edit_summary(0, [(1.0, first), (2.0, last)])
    writer.message(chat, None, attributedBody=last.archive(), message_summary_info=history, date_edited=5)
    writer.message(chat, None, message_summary_info=history, date_edited=5)
    style = edit_summary(0, [(1.0, last), (2.0, last)])
    writer.message(chat, None, attributedBody=last.archive(), message_summary_info=style, date_edited=5)
    writer.message(chat, None, message_summary_info=unsend_summary(["gone"], [0]), date_edited=5)
    part = unsend_summary(["gone", "stays"], [0])
    rest = Body().add("stays", part=1)
    writer.message(chat, None, attributedBody=rest.archive(), message_summary_info=part, date_edited=5)
    both = Body().add("gone", part=0).add("stays", part=1)
    writer.message(chat, None, attributedBody=both.archive(), message_summary_info=part, date_edited=5)
    writer.message(chat, None, message_summary_info=b"bplist00 garbage" * 9, date_edited=5)
    messages, _, _ = read(writer.close())
    assert [(m.kind.value, m.text, m.edited, m.unsent) for m in messages] == [
        ("text", "the", True, False),
        ("text", "the", True, False),
        ("text", "the", False, False),
        ("unsent", None, False, True),
        ("text", "stays", False, True),
        ("text", "stays", False, True),
        ("unsent", None, False, True),
    ]


def test_links_and_apps(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    url = "https://example.com/a"
    link = {"balloon_bundle_id": "com.apple.messages.URLBalloonProvider"}
    preview = link_preview(url, "A title", "A summary", "Example")
    writer.message(chat, None, attributedBody=plain_body(f"see {url}"), payload_data=preview, **link)
    writer.message(chat, "\ufffd", payload_data=preview, **link)
    app = "com.apple.messages.MSMessageExtensionBalloonPlugin:0000000000:com.gamerdelights.gamepigeon.ext"
    game = app_balloon("GamePigeon", "Your move.", "a label", "data:?x")
    bogus = Body().add("\ufffd", part=0, file="BOGUS").archive()
    writer.message(chat, "\ufffc", attributedBody=bogus, balloon_bundle_id=app, payload_data=game)
    writer.message(chat, None, balloon_bundle_id=app, payload_data=b"garbage")
    writer.message(chat, None, balloon_bundle_id="com.apple.Handwriting.HandwritingProvider", payload_data=b"\x08\x01")
    row = writer.message(chat, "\ufffc", payload_data=None, **link)
    writer.attach(row, "P", filename="~/Library/Messages/Attachments/P.pluginPayloadAttachment")
    messages, _, _ = read(writer.close())
    assert [(m.kind.value, m.text) for m in messages] == [
        ("text", f"see {url}"),
        ("text", url),
        ("app", "[GamePigeon: Your move.]"),
        ("app", "[gamepigeon]"),
        ("app", "[Handwriting]"),
        ("app", "[link]"),
    ]
    assert not any(message.attachments for message in messages)


def test_what_happened_in_a_group(writer: ChatDbWriter) -> None:
    maya, theo = writer.handle(MAYA), writer.handle(THEO)
    chat = writer.chat(maya, theo)
    actions: list[dict[str, Any]] = [
        {"item_type": 1, "group_action_type": 0, "other_handle": theo},
        {"item_type": 1, "group_action_type": 1, "other_handle": theo},
        {"item_type": 1, "group_action_type": 0, "other_handle": maya},
        {"item_type": 2, "group_title": "Beach"},
        {"item_type": 3, "group_action_type": 0},
        {"item_type": 4, "other_handle": theo, "share_direction": 0, "share_status": 0},
        {"item_type": 6},
    ]
    for action in actions:
        writer.message(chat, None, maya, **action)
    writer.message(chat, None, maya)
    messages, ledger, _ = read(writer.close())
    assert [m.text for m in messages] == [
        "[added someone]",
        "[removed someone]",
        "[changed their number]",
        "[named the conversation Beach]",
        "[left the conversation]",
        "[started sharing location]",
        "[FaceTime]",
    ]
    assert {m.kind for m in messages} == {Kind.EVENT}
    assert [m.is_from_me for m in messages] == [False] * 5 + [True, False]
    assert dropped(ledger) == {"empty": 1}


def test_a_property_list_that_asks_for_all_memory(writer: ChatDbWriter) -> None:
    evil = bytearray(plistlib.dumps({"rp": [0]}, fmt=plistlib.FMT_BINARY))
    evil[-24:-16] = (2**40).to_bytes(8, "big")
    writer.message(writer.chat(writer.handle(MAYA)), "x", message_summary_info=bytes(evil), date_edited=1)
    assert len(read(writer.close())[0]) == 1


def test_an_old_newest_message_is_told(writer: ChatDbWriter) -> None:
    writer.message(writer.chat(writer.handle(MAYA)), "x")
    path = writer.close()
    newest = START + 978_307_200
    os.utime(path, (newest + 3600, newest + 3600))
    assert read(path)[2] == []
    os.utime(path, (newest + 10 * 86_400, newest + 10 * 86_400))
    assert "9 days before chat.db was last written" in read(path)[2][0]
