"""What other rows decide about a row: copies, tapbacks that ended, chats with oneself; and who wrote it then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.collecting import dropped, read
from tests.messages_db import SCHEMA, ChatDbWriter
from ventriloquist.demo.typedstream import Body
from ventriloquist.records import Kind, Message

MAYA, THEO, ALEX = "+12025550101", "+12025550102", "+12025550199"
LOOSE = SCHEMA.replace("guid TEXT UNIQUE NOT NULL, text", "guid TEXT, text")
"""As after a recovery: nothing says that a message's guid is its own."""


@pytest.fixture
def writer(tmp_path: Path) -> ChatDbWriter:
    return ChatDbWriter(tmp_path)


@pytest.fixture
def loose(tmp_path: Path) -> ChatDbWriter:
    assert LOOSE != SCHEMA
    return ChatDbWriter(tmp_path, LOOSE)


def tapback(writer: ChatDbWriter, chat: int | None, type_: int, sender: int, **more: object) -> int:
    target = more.pop("target", "p:0/M-1")
    return writer.message(
        chat, "Loved “hello”", sender, associated_message_guid=target, associated_message_type=type_, **more
    )


def reactions(messages: list[Message]) -> list[tuple[str, str | None]]:
    return [(each.reaction.type, each.sender_handle) for each in messages if each.reaction]


def test_an_empty_guid_is_no_identity(loose: ChatDbWriter) -> None:
    chat = loose.chat(loose.handle(MAYA))
    for guid in ("", "", "", None, "same", "same"):
        loose.message(chat, "hello", guid=guid)
    messages, ledger, _ = read(loose.close())
    assert len(messages) == 5 and len({message.guid for message in messages}) == 5
    assert dropped(ledger) == {"second copy of the same message": 1}


def test_a_tapback_that_is_stored_twice_stands_once(loose: ChatDbWriter) -> None:
    maya = loose.handle(MAYA)
    chat = loose.chat(maya)
    loose.message(chat, "hello", guid="M-1")
    for _ in range(2):
        tapback(loose, chat, 2000, maya, guid="T")
    messages, ledger, _ = read(loose.close())
    assert reactions(messages) == [("loved", MAYA)]
    assert dropped(ledger) == {"second copy of the same message": 1}


def test_what_stands_in_a_chat_that_is_gone_decides_nothing(loose: ChatDbWriter) -> None:
    maya = loose.handle(MAYA)
    chat = loose.chat(maya)
    loose.message(chat, "hello", guid="M-1")
    lost = loose.message(None, "first copy", guid="twice")
    loose.insert("chat_message_join", chat_id=77, message_id=lost)
    loose.message(chat, "second copy", guid="twice")
    tapback(loose, chat, 2000, maya, guid="T")
    loose.insert("chat_message_join", chat_id=77, message_id=tapback(loose, None, 3000, maya, guid="R"))
    messages, ledger, _ = read(loose.close())
    assert [message.text for message in messages if message.text] == ["hello", "second copy"]
    assert reactions(messages) == [("loved", MAYA)]
    assert dropped(ledger) == {"in no chat": 2}


def test_a_tapback_without_a_handle_is_the_other_ones(writer: ChatDbWriter) -> None:
    maya, theo = writer.handle(MAYA), writer.handle(THEO)
    chat, other = writer.chat(maya), writer.chat(theo)
    writer.message(chat, "hello", guid="M-1")
    tapback(writer, chat, 2000, maya)
    tapback(writer, chat, 3000, 0, is_from_me=0)
    tapback(writer, chat, 2001, 0, is_from_me=0, target="bp:M-1")
    tapback(writer, other, 2003, 0, is_from_me=0)  # of the same number: nobody's, and in another chat
    messages, ledger, _ = read(writer.close())
    assert reactions(messages) == [("liked", MAYA), ("laughed", THEO)]
    assert dropped(ledger) == {"tapback that was taken back": 1, "removal of a tapback": 1}


def test_an_emoji_may_stand_in_the_echo_alone(writer: ChatDbWriter) -> None:
    maya = writer.handle(MAYA)
    chat = writer.chat(maya, writer.handle(THEO))
    for number, echo in enumerate(("Reacted 🎉 to “fun 🙃”", "Hat mit 👍🏽 auf „ok“ reagiert", "Reacted to “🎉”", "")):
        writer.message(chat, "hello")
        target = f"p:0/M-{number}"
        writer.message(chat, echo, maya, associated_message_guid=target, associated_message_type=2006)
    messages, _, _ = read(writer.close())
    assert [each.reaction.emoji for each in messages if each.reaction] == ["🎉", "👍🏽", None, None]


def test_all_that_stands_in_a_chat_with_myself_is_mine(writer: ChatDbWriter) -> None:
    me, maya = writer.handle(ALEX), writer.handle(MAYA)
    notes, chat = writer.chat(me), writer.chat(maya)
    writer.message(chat, "hi", maya, destination_caller_id=ALEX)
    for text in ("both", "received alone"):
        writer.message(notes, text, me, destination_caller_id=ALEX)
    writer.message(notes, "both", destination_caller_id=ALEX)
    writer.message(notes, None, me, subject="received", destination_caller_id=ALEX)
    messages, ledger, _ = read(writer.close())
    mine = {message.text: (message.is_from_me, message.sender_handle) for message in messages}
    assert mine == {"hi": (False, MAYA), "both": (True, None), "received alone": (True, None), "received": (True, None)}
    assert dropped(ledger) == {"second copy in a chat with yourself": 1}


def test_a_friend_whom_their_own_rows_name_as_the_receiver_is_not_me(writer: ChatDbWriter) -> None:
    for address in (MAYA, THEO):
        friend = writer.handle(address)
        chat = writer.chat(friend)
        for number in range(3):
            writer.message(chat, f"{address} {number}", friend, destination_caller_id=address)
            writer.message(chat, f"to {address} {number}", destination_caller_id=ALEX)
    messages, _, _ = read(writer.close())
    assert {message.sender_handle for message in messages} == {None, MAYA, THEO}
    assert sum(message.is_from_me for message in messages) == 6


def test_slots_whose_files_have_no_rows_are_no_text(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "hey \ufffc", cache_has_attachments=1)
    row = writer.message(chat, None, attributedBody=Body().add("\ufffd", part=0, file="A").archive())
    writer.attach(row, "A", mime_type="image/png")
    messages, _, _ = read(writer.close())
    assert [(message.kind, message.text) for message in messages] == [(Kind.TEXT, "hey "), (Kind.ATTACHMENT, None)]
