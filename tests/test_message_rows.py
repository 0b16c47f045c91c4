"""Rows of chat.db: text, dates, chats, senders and attachments."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collecting import dropped, read
from tests.hostile import hostile_strings
from tests.messages_db import EL_CAPITAN, NANOSECONDS, START, ChatDbWriter, plain_body
from ventriloquist.demo.typedstream import Body
from ventriloquist.people import normaliser
from ventriloquist.records import Kind
from ventriloquist.settings import CollectSettings
from ventriloquist.sources import open_source
from ventriloquist.workspace import Workspace

MAYA, THEO = "+12025550101", "theo@example.com"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ChatDbWriter]:
    writer = ChatDbWriter(tmp_path / "Messages")
    yield writer
    writer.db.close()


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


def test_a_friend_whom_rows_name_as_my_address_is_not_me(writer: ChatDbWriter) -> None:
    maya, mail = writer.handle(MAYA), writer.handle("alex@example.com")
    chat = writer.chat(maya, last_addressed_handle=MAYA)
    for text in ("a", "b", "c"):
        writer.message(chat, text, maya, destination_caller_id="+12025550199")
        writer.message(chat, "sent", destination_caller_id=MAYA)
        writer.message(chat, "sent", destination_caller_id=MAYA)
    writer.message(chat, "d", maya, destination_caller_id=MAYA)
    writer.chat(mail, account_login="E:Alex@Example.com")
    writer.chat(maya, account_login="E:", last_addressed_handle="P:+12025550188")
    loaded = CollectSettings.load(Workspace.at(writer.folder), db=writer.close())
    with open_source(loaded, normaliser("US")) as source:
        assert source.my_handles() == {"+12025550199", "alex@example.com", "+12025550188"}


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
    assert any("1 of 2 attachments are not on this disk: 1 in iCloud" in warning for warning in warnings)


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
