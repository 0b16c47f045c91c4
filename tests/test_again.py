"""Collecting again and again: whatever happens in between, the store is the one that a single collect gives."""

from __future__ import annotations

import os
import plistlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collecting import run_collect
from tests.messages_db import NANOSECONDS, ChatDbWriter, plain_body
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

EXAMPLES = int(os.environ.get("INTERLEAVINGS", "60"))
START = 700_000_000


class Phone:
    """A chat.db in use: every act is one that Messages, iCloud or the person does. `pick` chooses among rows."""

    def __init__(self, folder: Path) -> None:
        self.writer = ChatDbWriter(folder)
        self.db = self.writer.db
        self.handles = [self.writer.handle(f"+1202555010{number}") for number in range(3)]
        self.chats = [self.writer.chat(handle) for handle in self.handles[:2]]
        self.chats.append(self.writer.chat(*self.handles))
        self.count = 0
        self.write(0, 0)

    def guid(self) -> str:
        self.count += 1
        return f"{self.count:08X}-0000-4000-8000-000000000000"

    def pick(self, choice: int, where: str = "1") -> Any:
        rows = self.db.execute(f"SELECT ROWID, guid FROM message WHERE {where} ORDER BY ROWID").fetchall()
        return rows[choice % len(rows)] if rows else None

    def write(self, choice: int, extra: int) -> int:
        """A message, now or back-filled with a date of long ago."""
        chat = choice % len(self.chats)
        sender = 0 if extra % 3 == 0 else self.handles[extra % len(self.handles)]
        text = f"message {self.count}"
        date = START + (self.count * 60 if extra % 4 else -extra * 3600)
        body: dict[str, Any] = {"text": text} if extra % 2 else {"attributedBody": plain_body(text)}
        return self.writer.message(self.chats[chat], sender=sender, guid=self.guid(), date=date, **body)

    def reply(self, choice: int, extra: int) -> None:
        _, guid = self.pick(extra)
        row = self.write(choice, extra)
        self.db.execute("UPDATE message SET thread_originator_guid = ? WHERE ROWID = ?", [guid, row])

    def edit(self, choice: int, extra: int) -> None:
        found = self.pick(choice, "associated_message_type = 0 AND item_type = 0")
        text = f"edited {extra}"
        history = [{"d": 1.0, "t": plain_body("before")}, {"d": 2.0, "t": plain_body(text)}]
        summary = {"otr": {"0": {"lo": 0, "le": 9}}, "ec": {"0": history}, "ep": [0]}
        values = [None, plain_body(text), plistlib.dumps(summary, fmt=plistlib.FMT_BINARY)]
        query = "UPDATE message SET text = ?, attributedBody = ?, message_summary_info = ?, date_edited = 1"
        self.db.execute(f"{query} WHERE ROWID = ?", [*values, found[0]])

    def unsend(self, choice: int, extra: int) -> None:
        found = self.pick(choice, "associated_message_type = 0 AND item_type = 0")
        summary = {"otr": {"0": {"lo": 0, "le": 9}}, "rp": [0]}
        query = "UPDATE message SET text = NULL, attributedBody = NULL, message_summary_info = ?, date_edited = 5"
        self.db.execute(f"{query} WHERE ROWID = ?", [plistlib.dumps(summary, fmt=plistlib.FMT_BINARY), found[0]])

    def tapback(self, choice: int, extra: int) -> None:
        """One that is added, replaces another, or takes one back; sometimes it comes late."""
        _, guid = self.pick(choice, "associated_message_type = 0")
        row = self.write(choice, extra)
        target = f"p:{extra % 2}/{guid}" if extra % 5 else f"bp:{guid}"
        type_ = (2000 if extra % 3 else 3000) + extra % 7
        self.db.execute(
            "UPDATE message SET associated_message_guid = ?, associated_message_type = ?, text = 'Loved', "
            "associated_message_emoji = ? WHERE ROWID = ?",
            [target, type_, "🎉" if type_ % 1000 == 6 else None, row],
        )

    def remove_tapback_row(self, choice: int, extra: int) -> None:
        if found := self.pick(choice, "associated_message_type >= 2000"):
            self.delete_row(found[0])

    def delete(self, choice: int, extra: int) -> None:
        """Into "recently deleted", or gone for good. The first one stays: a history of nothing is refused."""
        row, _ = self.pick(choice)
        if row == 1:
            return
        chats = self.db.execute("SELECT chat_id FROM chat_message_join WHERE message_id = ?", [row]).fetchall()
        if extra % 2 and chats:
            self.db.execute("DELETE FROM chat_message_join WHERE message_id = ?", [row])
            query = "INSERT OR IGNORE INTO chat_recoverable_message_join VALUES (?, ?, 1)"
            self.db.execute(query, [chats[0][0], row])
        else:
            self.delete_row(row)

    def delete_row(self, row: int) -> None:
        for query in ("message WHERE ROWID", "chat_message_join WHERE message_id"):
            self.db.execute(f"DELETE FROM {query} = ?", [row])

    def recover(self, choice: int, extra: int) -> None:
        found = self.db.execute("SELECT chat_id, message_id FROM chat_recoverable_message_join").fetchall()
        if found:
            chat, row = found[choice % len(found)]
            self.db.execute("DELETE FROM chat_recoverable_message_join WHERE message_id = ?", [row])
            self.db.execute("INSERT OR IGNORE INTO chat_message_join VALUES (?, ?, 0)", [chat, row])

    def join_two_chats(self, choice: int, extra: int) -> None:
        row, _ = self.pick(choice)
        chat = self.chats[extra % len(self.chats)]
        self.db.execute("INSERT OR IGNORE INTO chat_message_join VALUES (?, ?, 0)", [chat, row])

    def attach(self, choice: int, extra: int) -> None:
        row, guid = self.pick(choice)
        name = f"{self.count}-{guid[:8]}.jpg"
        self.count += 1
        path = f"~/Library/Messages/Attachments/aa/{name}"
        self.writer.attach(row, f"A-{self.count}", filename=path, mime_type="image/jpeg", transfer_name=name)

    def download(self, choice: int, extra: int) -> None:
        """A file arrives, or is moved to iCloud again."""
        rows = self.db.execute("SELECT filename FROM attachment WHERE filename IS NOT NULL").fetchall()
        if rows:
            name = Path(rows[choice % len(rows)][0]).name
            path = self.writer.folder / "Attachments" / "aa" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                path.unlink()
            else:
                path.write_bytes(b"jpeg")

    def new_person(self, choice: int, extra: int) -> None:
        """Somebody new writes, or joins a group, which then is another conversation."""
        handle = self.writer.handle(f"+12025551{self.count:03}")
        self.count += 1
        self.handles.append(handle)
        if extra % 2:
            self.chats.append(self.writer.chat(handle))
        else:
            self.writer.insert("chat_handle_join", chat_id=self.chats[2], handle_id=handle)

    def rename_group(self, choice: int, extra: int) -> None:
        self.db.execute("UPDATE chat SET display_name = ? WHERE ROWID = ?", [f"Group {extra}", self.chats[2]])

    def event(self, choice: int, extra: int) -> None:
        row = self.write(2, extra)
        values = [f"Name {extra}" if extra % 2 else None, row]
        self.db.execute("UPDATE message SET text = NULL, attributedBody = NULL, item_type = 2, group_title = ? "
                        "WHERE ROWID = ?", values)  # fmt: skip

    def redate(self, choice: int, extra: int) -> None:
        row, _ = self.pick(choice)
        self.db.execute("UPDATE message SET date = ? WHERE ROWID = ?", [(START + extra) * NANOSECONDS, row])

    def many(self, choice: int, extra: int) -> None:
        """Enough that there is more than one block."""
        for number in range(300):
            self.write(number, extra + number)


ACTS: list[Callable[[Phone, int, int], object]] = [
    Phone.write, Phone.reply, Phone.edit, Phone.unsend, Phone.tapback, Phone.tapback, Phone.tapback,
    Phone.remove_tapback_row, Phone.delete, Phone.recover, Phone.join_two_chats, Phone.attach, Phone.download,
    Phone.new_person, Phone.rename_group, Phone.event, Phone.redate, Phone.many,
]  # fmt: skip
COLLECT = len(ACTS)
steps = st.lists(
    st.one_of(
        st.just((COLLECT, 0, 0)), st.tuples(st.integers(0, len(ACTS) - 1), st.integers(0, 999), st.integers(0, 999))
    ),
    min_size=3,
    max_size=24,
)


def content(root: Path) -> dict[str, Any]:
    """Everything that a store holds, without the numbers that only say where."""
    with Store.open(Workspace.at(root)) as store:
        query = store.connection.execute
        details = query("SELECT source_row, details FROM messages WHERE details IS NOT NULL ORDER BY 1").fetchall()
        blocks = query("SELECT source, block, digest, messages, unreadable FROM blocks ORDER BY 1, 2").fetchall()
        files = query("SELECT guid, position, offloaded, total_bytes FROM attachments ORDER BY 1, 2").fetchall()
        return {
            "messages": list(store.export()),
            "people": store.people(),
            "conversations": store.conversations(),
            "chats": sorted(store.chats(), key=lambda chat: chat.guid),
            "ledger": store.ledger(),
            "fingerprint": store.fingerprint(),
            "book": store.book(),
            "counts": store.counts(),
            "details": details,
            "blocks": blocks,
            "files": files,
            "integrity": query("PRAGMA integrity_check").fetchall(),
        }


@given(steps=steps)
@settings(max_examples=EXAMPLES)
def test_any_interleaving_ends_in_the_store_that_one_collect_gives(steps: list[tuple[int, int, int]]) -> None:
    with tempfile.TemporaryDirectory(prefix="again-") as folder:
        phone = Phone(Path(folder) / "phone")
        for act, choice, extra in steps:
            if act == COLLECT:
                run_collect(Path(folder) / "many", phone.writer.path)
            else:
                ACTS[act](phone, choice, extra)
        makes = run_collect(Path(folder) / "many", phone.writer.path)
        once = run_collect(Path(folder) / "once", phone.writer.path)
        phone.db.close()
        many, single = content(Path(folder) / "many"), content(Path(folder) / "once")
        for what in single:
            assert many[what] == single[what], what
        rest = {"new", "changed", "gone"}
        assert {key: makes[key] for key in makes.keys() - rest} == {key: once[key] for key in once.keys() - rest}


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return Phone(tmp_path / "phone")


def test_what_is_new_changed_and_gone_is_counted(phone: Phone, tmp_path: Path) -> None:
    root, path = tmp_path / "work", phone.writer.path

    def counted() -> tuple[int, int, int]:
        makes = run_collect(root, path)
        return makes["new"], makes["changed"], makes["gone"]

    phone.many(0, 0)
    assert counted() == (301, 0, 0)
    assert counted() == (0, 0, 0)
    phone.write(0, 1)
    assert counted() == (1, 0, 0)
    phone.edit(3, 0)
    phone.unsend(200, 0)
    assert counted() == (0, 2, 0)
    phone.delete(5, 0)
    phone.delete(250, 1)
    assert counted() == (0, 0, 2)
    phone.recover(0, 0)
    assert counted() == (1, 0, 0)


def test_only_the_blocks_that_changed_are_written(phone: Phone, tmp_path: Path) -> None:
    root, path = tmp_path / "work", phone.writer.path
    for _ in range(4):
        phone.many(0, 0)
    run_collect(root, path)
    before = numbers(root)
    phone.edit(10, 1)
    run_collect(root, path)
    moved = {row for row, number in numbers(root).items() if before[row] != number}
    assert moved and len(before) == 1201 and all(row < 256 for row in moved)


def numbers(root: Path) -> dict[int, int]:
    with Store.open(Workspace.at(root)) as store:
        return dict(store.connection.execute("SELECT source_row, number FROM messages").fetchall())


def test_words_that_were_taken_back_are_in_no_file(phone: Phone, tmp_path: Path) -> None:
    root, path = tmp_path / "work", phone.writer.path
    chat = phone.chats[0]
    rows = [phone.writer.message(chat, f"canary-{number} " * 40, guid=phone.guid()) for number in range(40)]
    phone.many(0, 0)
    run_collect(root, path)
    assert canaries(root) >= 40
    choices = {
        row: number for number, row in enumerate(row for (row,) in phone.db.execute("SELECT ROWID FROM message"))
    }
    for row in rows:
        phone.unsend(choices[row], 0)
    assert run_collect(root, path)["changed"] == 40
    assert canaries(root) == 0


def canaries(root: Path) -> int:
    return sum(file.read_bytes().count(b"canary-") for file in root.rglob("*") if file.is_file())
