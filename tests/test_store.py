"""The store: what goes in comes out, replacing is all or nothing, and foreign or damaged files are told."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hostile import hostile_strings
from tests.storing import replace_history
from ventriloquist.faults import Busy, DiskFull, Fault, NoInput
from ventriloquist.people import find_conversations
from ventriloquist.records import (
    ME,
    UNKNOWN,
    Attachment,
    Chat,
    ChatKind,
    Conversation,
    Kind,
    Ledger,
    Message,
    Person,
    Reaction,
)
from ventriloquist.store import Store
from ventriloquist.store.database import fault_of
from ventriloquist.store.schema import MIGRATIONS, first_tables
from ventriloquist.workspace import Workspace

MAYA, THEO = "+12025550101", "theo@example.com"
PEOPLE = [
    Person(MAYA, "Maya", (MAYA, "maya@example.com")),
    Person(ME, "Alex", ("alex@example.com",), is_me=True),
    Person(THEO, "Theo", (THEO,)),
    Person(UNKNOWN, "Unknown"),
    Person("+12025550199", "Never wrote", ("+12025550199",)),
]
CHATS = [
    Chat("sms", "imessage", ChatKind.DM, (MAYA,), None, "SMS"),
    Chat("mail", "imessage", ChatKind.DM, ("maya@example.com",), None, "iMessage"),
    Chat("group", "imessage", ChatKind.GROUP, (MAYA, THEO), "Beach"),
    Chat("silent", "imessage", ChatKind.DM, (THEO,)),
]
CONVERSATIONS = [
    Conversation("dm-a", ChatKind.DM, (MAYA, ME)),
    Conversation("dm-b", ChatKind.DM, (THEO, ME)),
    Conversation("group-a", ChatKind.GROUP, (MAYA, THEO, ME), "Beach"),
]


def message(row: int, chat: str = "sms", **more: object) -> Message:
    sent_at = row * 1_000_000
    plain = Message(f"M-{row}", "imessage", row, chat, Kind.TEXT, True, sent_at, text=f"text {row}")
    return plain._replace(**more)


PHOTO = Attachment("A-1", "image/jpeg", "a.jpg", "/photos/a.jpg", None, None, False, 12)
VOICE = Attachment("A-2", "audio/x-caf", "Audio Message.caf", "/photos/v.caf", "call me")
GONE = Attachment("A-3", "image/heic", "c.heic")
MESSAGES = [
    message(5, "mail", is_from_me=False, sender_handle="maya@example.com", reply_to="M-2", edited=True),
    message(2, sent_at=9_000_000, service="SMS"),
    message(3, kind=Kind.ATTACHMENT, text=None, attachments=(VOICE, PHOTO)),
    message(4, kind=Kind.REACTION, text=None, reaction=Reaction("emoji", "M-3", 1, "🎉")),
    message(6, "group", is_from_me=False, sender_handle=THEO, attachments=(GONE, PHOTO)),
    message(7, "group", is_from_me=False, kind=Kind.UNSENT, text=None, unsent=True),
]


def fill(store: Store, messages: list[Message] = MESSAGES, people: list[Person] = PEOPLE) -> None:
    ledger = Ledger()

    def read() -> Iterator[Message]:
        for each in messages:
            ledger.keep(each.kind, each.sent_at)
            yield each
        ledger.drop("empty", 0, 2)

    replace_history(store, "imessage", CHATS, CONVERSATIONS, people, read(), ledger)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "workspace")


@pytest.fixture
def store(workspace: Workspace) -> Iterator[Store]:
    with Store.open(workspace, create=True) as store:
        fill(store)
        yield store


def test_what_goes_in_comes_out(store: Store) -> None:
    assert [c.id for c in store.conversations()] == ["dm-a", "group-a"]  # nobody wrote in dm-b
    assert store.conversations()[1] == CONVERSATIONS[2]
    by_row = {each.source_row: each for each in MESSAGES}
    assert list(store.messages("dm-a")) == [by_row[3], by_row[4], by_row[5], by_row[2]]
    assert list(store.messages("group-a")) == [by_row[6], by_row[7]]
    assert list(store.messages("dm-b")) == []
    assert store.recent("dm-a", 2) == [by_row[5], by_row[2]]
    assert store.recent("dm-a", 99) == list(store.messages("dm-a"))
    people = store.people()
    assert set(people) == {MAYA, THEO, ME, UNKNOWN}
    assert people[MAYA] == PEOPLE[0]
    assert people[ME].is_me
    assert [store.person_of(by_row[row]) for row in (5, 2, 6, 7)] == [MAYA, ME, THEO, UNKNOWN]
    assert store.counts() == {"messages": 6, "people": 4, "conversations": 2, "attachments": 4, "described": 0}
    assert store.ledger().source_rows == 8
    assert store.ledger().dropped == Counter({("empty", 0): 2})
    assert str(store.collected_at()).endswith("Z")


def test_the_export_is_the_contract(store: Store) -> None:
    objects = list(store.export())
    assert [each["guid"] for each in objects] == ["M-3", "M-4", "M-5", "M-6", "M-7", "M-2"]
    assert objects[2] == {
        "guid": "M-5", "source": "imessage", "conversation": "dm-a", "chat": "mail", "kind": "text", "sender": "Maya",
        "sender_handle": "maya@example.com", "is_from_me": False, "sent_at": "1970-01-01T00:00:05.000000Z",
        "text": "text 5", "reply_to": "M-2", "reaction": None, "attachments": [], "edited": True, "unsent": False,
        "service": None,
    }  # fmt: skip
    assert objects[1]["reaction"] == {"type": "emoji", "emoji": "🎉", "target": "M-3", "part": 1}
    assert objects[0]["attachments"][0] == {
        "guid": "A-2", "mime_type": "audio/x-caf", "name": "Audio Message.caf", "path": "/photos/v.caf",
        "description": None, "transcript": "call me",
    }  # fmt: skip
    assert objects[4]["sender"] == "Unknown"


def test_descriptions_come_with_attachments_and_survive_a_new_history(store: Store, workspace: Workspace) -> None:
    assert [each.guid for each in store.attachments_to_describe()] == ["A-2", "A-1"]
    for attachment in store.attachments_to_describe():
        store.describe(attachment.guid, f"words for {attachment.guid}", "name")
    with Store.open(workspace) as other:  # committed at once
        assert other.counts()["described"] == 3
    fill(store)
    assert list(store.attachments_to_describe()) == []
    described = next(each for each in store.messages("dm-a") if each.attachments)
    assert [each.description for each in described.attachments] == ["words for A-2", "words for A-1"]
    store.describe("A-1", "better words", "gemini-x")
    assert store.counts()["described"] == 3


def test_every_string_comes_back(store: Store) -> None:
    strings = [text for _, text in hostile_strings() if len(text) < 2_000_000]
    texts = [message(row, text=text, guid=f"{row}{text}"[:300]) for row, text in enumerate(strings, 10)]
    names = [replace(PEOPLE[0], name=text[:200]) for text in strings[:60]]
    fill(store, texts)
    found = list(store.messages("dm-a"))
    assert [(each.guid, each.text) for each in found] == [(each.guid, each.text) for each in texts]
    assert [each["text"] for each in store.export()] == strings
    store.fingerprint()
    for person in names:
        fill(store, people=[person, *PEOPLE[1:]])
        assert store.people()[MAYA].name == person.name
    chat = replace(CHATS[0], guid="\ud800\x00", name="\udfff", service="\x00")
    file = Attachment("\ud800g", "\x00", "\ud83d.jpg", "/p/\udcff.jpg", "\ud800", None)
    ledger = Ledger()
    one = message(1, chat.guid, attachments=(file,), reaction=Reaction("emoji", "\ud800", 0, "\udfff"))
    replace_history(store, "imessage", [chat], CONVERSATIONS, PEOPLE, iter([one]), ledger)
    assert list(store.messages("dm-a")) == [one]
    store.describe(file.guid, "d\ud800\x00", "name")
    assert next(iter(store.export()))["attachments"][0]["description"] == "d\ud800\x00"


def test_the_fingerprint_is_of_the_content(workspace: Workspace, tmp_path: Path) -> None:
    with Store.open(workspace, create=True) as store, Store.open(Workspace.at(tmp_path / "b"), create=True) as other:
        fill(store)
        first = store.fingerprint()
        fill(store)
        assert store.fingerprint() == first
        elsewhere = [
            each._replace(attachments=tuple(replace(file, path="/elsewhere") for file in each.attachments))
            for each in MESSAGES
        ]
        fill(other, elsewhere[:1])
        fill(other, elsewhere)
        assert other.fingerprint() == first
        fill(other, [*elsewhere[:-1], elsewhere[-1]._replace(text="x")])
        assert other.fingerprint() != first
        fill(other, elsewhere, [replace(PEOPLE[0], name="May"), *PEOPLE[1:]])
        assert other.fingerprint() != first
        store.describe("A-1", "words", "name")
        assert store.fingerprint() != first


def test_nothing_is_collected_yet(workspace: Workspace) -> None:
    with pytest.raises(NoInput, match=r"Nothing is collected yet\. Run: ventriloquist collect"):
        Store.open(workspace)
    with Store.open(workspace, create=True):
        pass
    with pytest.raises(NoInput, match="Nothing is collected yet"):
        Store.open(workspace)


def test_a_failing_history_leaves_the_old_one(store: Store) -> None:
    before = list(store.export()), store.fingerprint(), store.ledger()

    def broken() -> Iterator[Message]:
        yield from (message(row) for row in range(100, 5000))
        raise NoInput("no more")

    with pytest.raises(NoInput):
        replace_history(store, "imessage", CHATS, CONVERSATIONS, PEOPLE, broken(), Ledger())
    assert (list(store.export()), store.fingerprint(), store.ledger()) == before


def test_a_reader_sees_the_old_history_while_a_new_one_is_written(store: Store, workspace: Workspace) -> None:
    with Store.open(workspace) as reader:

        def slow() -> Iterator[Message]:
            yield from (message(row) for row in range(100, 5000))
            assert reader.counts()["messages"] == 6

        replace_history(store, "imessage", CHATS, CONVERSATIONS, PEOPLE, slow(), Ledger())
        assert reader.counts()["messages"] == 4900


def test_only_the_owner_may_read(store: Store, workspace: Workspace) -> None:
    for path in workspace.data.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name
    assert {path.name for path in workspace.data.glob("messages*")} >= {"messages.db", "messages.db-wal"}


def test_a_second_source_stands_beside_the_first(store: Store) -> None:
    chats = [Chat("other", "later", ChatKind.DM, (MAYA,))]
    people = [PEOPLE[0], PEOPLE[1]]
    one = message(1)._replace(source="later", chat="other")
    replace_history(store, "later", chats, CONVERSATIONS[:1], people, iter([one]), Ledger())
    assert [each.source for each in store.messages("dm-a")].count("later") == 1
    fill(store)
    assert store.counts()["messages"] == 7
    assert [each["source"] for each in store.export()].count("later") == 1
    assert set(store.people()) == {MAYA, THEO, ME, UNKNOWN}


def test_a_newer_database_is_refused_and_left_alone(store: Store, workspace: Workspace) -> None:
    store.close()
    with sqlite3.connect(workspace.messages_db) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(Fault, match="written by a newer Ventriloquist"):
        Store.open(workspace)


def test_an_older_database_is_kept_and_brought_up(
    store: Store, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(store.export())
    store.close()
    monkeypatch.setattr(
        "ventriloquist.store.schema.MIGRATIONS",
        [*MIGRATIONS, lambda connection: connection.execute("ALTER TABLE people ADD COLUMN note TEXT")],
    )
    with Store.open(workspace) as migrated:
        assert list(migrated.export()) == before
    kept = workspace.data / f"messages.db.version-{len(MIGRATIONS)}"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    monkeypatch.undo()
    shutil.copy(kept, workspace.messages_db)
    with Store.open(workspace) as old:
        assert list(old.export()) == before


@pytest.mark.parametrize("damage", ["header", "middle", "no database"])
def test_a_damaged_database_is_told_in_a_sentence(store: Store, workspace: Workspace, damage: str) -> None:
    fill(store, [message(row) for row in range(20_000)])
    store.close()
    content = bytearray(workspace.messages_db.read_bytes())
    if damage == "header":
        content[100:3000] = bytes(2900)
    elif damage == "middle":
        content[4096 * 8 :] = os.urandom(len(content) - 4096 * 8)
    else:
        content = bytearray(b"hello " * 1000)
    workspace.messages_db.write_bytes(content)
    with pytest.raises(Fault, match=r"messages\.db is damaged\. Move it away and run: ventriloquist collect"):  # noqa: SIM117
        with Store.open(workspace) as damaged:
            list(damaged.export())
            damaged.fingerprint()


def test_errors_of_the_database_are_told_apart() -> None:
    def error(code: int) -> sqlite3.Error:
        made = sqlite3.OperationalError("x")
        made.sqlite_errorcode = code
        return made

    assert isinstance(fault_of(error(sqlite3.SQLITE_FULL), Path("m")), DiskFull)
    assert isinstance(fault_of(error(sqlite3.SQLITE_BUSY), Path("m")), Busy)
    assert isinstance(fault_of(error(sqlite3.SQLITE_READONLY), Path("m")), NoInput)
    assert "could not be used" in str(fault_of(error(sqlite3.SQLITE_ERROR), Path("m")))


FULL = """
import signal, sys
from pathlib import Path
import resource
from tests.test_store import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = Path(sys.argv[1], "data", "messages.db").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    with Store.open(Workspace.at(sys.argv[1]), create=True) as store:
        fill(store, [message(row, text="x" * 500) for row in range(20_000)])
except DiskFull as fault:
    print(fault)
"""


@pytest.mark.parametrize("room", [0, 4096, 1_000_000])
def test_a_full_disk_leaves_the_old_history(store: Store, workspace: Workspace, room: int) -> None:
    before = list(store.export())
    store.close()
    command = [sys.executable, "-c", FULL, str(workspace.root), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], timeout=120)
    assert done.stdout.startswith("The disk is full"), done.stderr
    with Store.open(workspace) as after:
        assert list(after.export()) == before
        fill(after)
        assert list(after.export()) == before


def test_a_killed_writer_leaves_the_old_history(store: Store, workspace: Workspace) -> None:
    before = list(store.export())
    store.close()
    child = os.fork()
    if child == 0:
        with Store.open(workspace, create=True) as doomed:

            def until_killed() -> Iterator[Message]:
                yield from (message(row, text="x" * 2000) for row in range(20_000))
                os.kill(os.getpid(), signal.SIGKILL)

            replace_history(doomed, "imessage", CHATS, CONVERSATIONS, PEOPLE, until_killed(), Ledger())
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert workspace.messages_db.with_name("messages.db-wal").stat().st_size > 5_000_000  # it was half done
    with Store.open(workspace) as after:
        assert list(after.export()) == before


FIRST_VERSION = """
INSERT INTO people VALUES ('+12025550101', 'Maya', 0), ('me', 'Alex', 1);
INSERT INTO handles VALUES ('imessage', '+12025550101', '+12025550101');
INSERT INTO conversations VALUES (1, 'dm-a', 'dm', NULL);
INSERT INTO members VALUES (1, 0, '+12025550101'), (1, 1, 'me');
INSERT INTO chats VALUES (1, 'imessage', 'iMessage;-;+12025550101', 'dm', NULL, 'iMessage', 1);
INSERT INTO chat_handles VALUES (1, 0, '+12025550101');
INSERT INTO messages VALUES (1, 1, 5000000, 7, 'imessage', 'M-7', 1, 'text', 0, '+12025550101', 'hello', NULL, NULL,
  NULL, NULL, NULL, 0, 0, 'iMessage', 1);
INSERT INTO attachments VALUES (1, 0, 'A-1', 'image/jpeg', 'a.jpg', NULL, NULL, 0, 12);
INSERT INTO descriptions VALUES ('A-1', 'a photo', 'local');
INSERT INTO ledger VALUES ('imessage', 1, 'text', 1970, 1), ('imessage', 0, 'empty', 1970, 2);
INSERT INTO collects VALUES ('imessage', '2026-01-01T00:00:00Z');
PRAGMA user_version = 1;
"""


def test_a_database_of_the_first_version_is_brought_up(workspace: Workspace) -> None:
    workspace.prepare()
    with sqlite3.connect(workspace.messages_db, isolation_level=None) as connection:
        first_tables(connection)
        connection.executescript(FIRST_VERSION)
    connection.close()
    with Store.open(workspace) as store:
        (message_,) = store.messages("dm-a")
        assert (message_.text, message_.details, message_.attachments[0].description) == ("hello", None, "a photo")
        assert store.ledger().kept == Counter({("text", 1970): 1})
        assert store.ledger().dropped == Counter({("empty", 1970): 2})
        assert store.book() is None and store.report() is None
        fill(store)  # the first collect by blocks replaces what was there
        assert store.counts()["messages"] == 6 and store.ledger().source_rows == 8
        assert store.connection.execute("SELECT text FROM descriptions").fetchall() == [("a photo",)]


def test_rearranging_moves_messages_between_conversations(store: Store) -> None:
    apart = [
        Person(MAYA, "Maya", (MAYA,)),
        Person("maya@example.com", "Maya by mail", ("maya@example.com",)),
        *PEOPLE[1:],
    ]
    conversations = find_conversations(store.chats(), apart)
    store.rearrange(apart, conversations)
    by_members = {each.members: each.id for each in store.conversations()}
    assert set(by_members) == {(MAYA, ME), ("maya@example.com", ME), (MAYA, THEO, ME)}
    assert [each.source_row for each in store.messages(by_members["maya@example.com", ME])] == [5]
    assert {each.source_row for each in store.messages(by_members[MAYA, ME])} == {2, 3, 4}
    assert store.people()["maya@example.com"].name == "Maya by mail"
    store.rearrange(PEOPLE, find_conversations(store.chats(), PEOPLE))
    assert len(store.conversations()) == 2 and store.counts()["messages"] == 6
    assert set(store.people()) == {MAYA, THEO, ME, UNKNOWN}
