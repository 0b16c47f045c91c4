"""Rows of chat.db that are more than text: tapbacks, replies, edits, links, apps and events."""

from __future__ import annotations

import plistlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collecting import dropped, read
from tests.messages_db import SCHEMA, START, ChatDbWriter, plain_body
from ventriloquist.demo.archives import app_balloon, edit_summary, link_preview, unsend_summary
from ventriloquist.demo.typedstream import Body
from ventriloquist.records import Kind

MAYA, THEO = "+12025550101", "theo@example.com"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ChatDbWriter]:
    writer = ChatDbWriter(tmp_path / "Messages")
    yield writer
    writer.db.close()


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
        "[added theo@example.com]",
        "[removed theo@example.com]",
        "[changed their number]",
        "[named the conversation Beach]",
        "[left the conversation]",
        "[started sharing location]",
        "[FaceTime or SharePlay]",
    ]
    assert {m.kind for m in messages} == {Kind.EVENT}
    assert [m.details for m in messages] == [{"other": THEO}, {"other": THEO}, None, None, None, {"other": THEO}, None]
    assert [m.is_from_me for m in messages] == [False] * 5 + [True, False]
    assert dropped(ledger) == {"empty": 1}


def test_all_other_things_that_happen(writer: ChatDbWriter) -> None:
    maya = writer.handle(MAYA)
    chat = writer.chat(maya)
    for action in (1, 2, 4, 6, 9):
        writer.message(chat, None, maya, item_type=3, group_action_type=action)
    writer.message(chat, None, maya, item_type=1, group_action_type=0, other_handle=0)
    writer.message(chat, None, maya, item_type=1, group_action_type=1, other_handle=99)
    writer.message(chat, None, maya, item_type=1, group_action_type=7, other_handle=maya)
    writer.message(chat, None, maya, item_type=2, group_title="")
    writer.message(chat, None, maya, item_type=4, share_status=1, share_direction=1, other_handle=maya)
    writer.message(chat, None, maya, item_type=4, share_status=5, share_direction=0, other_handle=0)
    writer.message(chat, "kept", maya, item_type=5, subject="S")
    messages, ledger, _ = read(writer.close())
    assert [m.text for m in messages] == [
        "[changed the group's photo]",
        "[removed the group's photo]",
        "[changed the background]",
        "[removed the background]",
        "[changed the group]",
        "[added someone]",
        "[removed someone]",
        "[changed the group]",
        "[took the name away]",
        "[stopped sharing location]",
        "[shared location]",
        "[kept an audio message]",
    ]
    assert {(m.kind, m.is_from_me, m.sender_handle) for m in messages} == {(Kind.EVENT, False, MAYA)}
    assert dropped(ledger) == {}


@pytest.mark.parametrize("kind", [{"item_type": 7}, {"item_type": -1}, {"associated_message_type": 9999}])
def test_kinds_of_rows_that_are_not_known_are_counted_and_no_text(writer: ChatDbWriter, kind: dict[str, int]) -> None:
    writer.message(writer.chat(writer.handle(MAYA)), "words", attributedBody=plain_body("words"), **kind)
    messages, ledger, _ = read(writer.close())
    assert (messages, dropped(ledger)) == ([], {"a kind of row that is not known yet": 1})


def test_ordinary_rows_with_an_associated_type(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    for number in (2, 3, None):
        writer.message(chat, "words", associated_message_type=number, associated_message_guid="M-9")
    assert [(m.kind, m.text, m.reaction) for m in read(writer.close())[0]] == [(Kind.TEXT, "words", None)] * 3


def test_one_person_has_one_tapback_whichever_service_it_came_by(writer: ChatDbWriter) -> None:
    maya, sms, theo = writer.handle(MAYA), writer.handle(MAYA, "SMS"), writer.handle(THEO)
    chat = writer.chat(maya, sms, theo)
    writer.message(chat, "x")  # M-1
    tap(writer, chat, 2000, "p:0/M-1", maya)
    tap(writer, chat, 2000, "p:0/M-1", theo)
    tap(writer, chat, 2001, "p:0/M-1", sms)
    tap(writer, chat, 3000, "p:0/M-1", theo)
    tap(writer, chat, 2003, "p:11/M-1", theo, thread_originator_guid="M-1", thread_originator_part="1:0:1")
    tap(writer, chat, 2006, "p:0/M-1", associated_message_emoji=None)
    tap(writer, chat, 2000, None)  # type: ignore[arg-type]
    messages, ledger, _ = read(writer.close())
    reactions = [(m.sender_handle, m.reaction.type, m.reaction.target, m.reaction.part) for m in messages if m.reaction]
    assert reactions == [
        (MAYA, "liked", "M-1", 0), (THEO, "laughed", "M-1", 11), (None, "emoji", "M-1", 0), (None, "loved", "", 0),
    ]  # fmt: skip
    assert all((m.text, m.details, m.reply_to) == (None, None, None) for m in messages if m.reaction)
    assert sum(dropped(ledger).values()) == 3


def test_an_emoji_is_taken_back_by_its_own_removal(writer: ChatDbWriter) -> None:
    maya = writer.handle(MAYA)
    chat = writer.chat(maya)
    for target, removed in (("M-1", "🎉"), ("M-2", "🔥"), ("M-3", None)):
        tap(writer, chat, 2006, target, maya, associated_message_emoji="🔥")
        tap(writer, chat, 3006, f"p:0/{target}", maya, associated_message_emoji=removed)
    messages, ledger, _ = read(writer.close())
    assert [m.reaction and (m.reaction.target, m.reaction.emoji) for m in messages] == [("M-1", "🔥")]
    assert dropped(ledger) == {"removal of a tapback": 3, "tapback that was taken back": 2}


def test_odd_values_keep_the_row_and_put_it_in_nobodys_mouth(writer: ChatDbWriter) -> None:
    maya, theo = writer.handle(MAYA), writer.handle(THEO)
    group = writer.chat(maya, theo, style=None, guid="any;+;chat1")
    writer.db.execute("UPDATE chat SET service_name = NULL")
    writer.message(group, "a", 99, is_from_me=0)
    writer.message(group, "b", 0, is_from_me=None)
    writer.message(group, "c", 0, service=None)
    row = writer.message(group, "d", maya)
    writer.db.execute("UPDATE message SET date = NULL WHERE ROWID = ?", [row])
    messages, _, _ = read(writer.close())
    assert [(m.text, m.is_from_me, m.sender_handle, m.service) for m in messages] == [
        ("a", False, None, "iMessage"),
        ("b", False, None, "iMessage"),
        ("c", True, None, None),
        ("d", False, MAYA, "iMessage"),
    ]
    assert messages[-1].sent_at == 0


def test_rows_without_a_guid_are_messages(tmp_path: Path) -> None:
    writer = ChatDbWriter(tmp_path / "Messages", SCHEMA.replace("guid TEXT UNIQUE NOT NULL, text", "guid TEXT, text"))
    chat = writer.chat(writer.handle(MAYA))
    for guid in (None, None, "", "same", "same"):
        writer.message(chat, "words", guid=guid)
    messages, ledger, _ = read(writer.close())
    assert [m.guid for m in messages] == ["imessage-1", "imessage-2", "imessage-3", "same"]
    assert dropped(ledger) == {"second copy of the same message": 1}


def test_a_property_list_that_asks_for_all_memory(writer: ChatDbWriter) -> None:
    evil = bytearray(plistlib.dumps({"rp": [0]}, fmt=plistlib.FMT_BINARY))
    evil[-24:-16] = (2**40).to_bytes(8, "big")
    writer.message(writer.chat(writer.handle(MAYA)), "x", message_summary_info=bytes(evil), date_edited=1)
    assert len(read(writer.close())[0]) == 1
