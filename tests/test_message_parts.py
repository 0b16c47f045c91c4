"""The parts of a message: slots and files in their order, mentions, effects, replies, voice messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collecting import dropped, read
from tests.messages_db import ChatDbWriter, plain_body
from ventriloquist.demo.typedstream import Body
from ventriloquist.records import Kind, Message
from ventriloquist.sources.imessage.attachments import type_of
from ventriloquist.sources.imessage.details import effect_name

MAYA = "+12025550101"
SLOT = "\ufffc"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ChatDbWriter]:
    writer = ChatDbWriter(tmp_path / "Messages")
    yield writer
    writer.db.close()


def only(writer: ChatDbWriter, body: Body, *files: str, **more: Any) -> Message:
    """The message of the one row that is written; `files` are the guids of its attachments."""
    row = writer.message(writer.chat(writer.handle(MAYA)), None, attributedBody=body.archive(), **more)
    for guid in files:
        writer.attach(row, guid, transfer_name=f"{guid}.jpg")
    (message,), _, _ = read(writer.close())
    return message


def guids(message: Message) -> list[str]:
    return [attachment.guid for attachment in message.attachments]


def test_texts_and_files_in_turn(writer: ChatDbWriter) -> None:
    body = Body().add("one ", part=0).add(SLOT, part=1, file="C").add("two ", part=2).add(SLOT, part=3, file="A")
    body.add(SLOT, part=4, file="B").add("three", part=5)
    message = only(writer, body, "A", "B", "C")
    assert (message.kind, message.text, guids(message)) == (Kind.TEXT, "one two three", ["C", "A", "B"])
    assert message.details is None


def test_a_slot_without_a_row_and_a_row_without_a_slot(writer: ChatDbWriter) -> None:
    body = Body().add(SLOT, part=0, file="GONE", file_name="g.heic").add(SLOT, part=1, file="A").add("hi", part=2)
    message = only(writer, body, "SPARE", "A")
    assert (message.text, guids(message)) == ("hi", ["GONE", "A", "SPARE"])
    assert (message.attachments[0].name, message.attachments[0].mime_type) == ("g.heic", "image/heic")


def test_files_that_have_other_names_than_their_slots(writer: ChatDbWriter) -> None:
    body = Body().add(SLOT, part=0, file="at_0_X").add(SLOT, part=1, file="at_1_X")
    assert guids(only(writer, body, "B", "A")) == ["B", "A"]


def test_a_slot_names_the_guid_that_a_file_had_first(writer: ChatDbWriter) -> None:
    writer.db.execute("ALTER TABLE attachment ADD COLUMN original_guid TEXT")
    body = Body().add(SLOT, part=0, file="at_0_X").add(SLOT, part=1, file="at_1_X")
    chat = writer.chat(writer.handle(MAYA))
    row = writer.message(chat, None, attributedBody=body.archive())
    writer.attach(row, "one", original_guid="at_1_X")
    writer.attach(row, "two", original_guid="at_0_X")
    (message,), _, _ = read(writer.close())
    assert guids(message) == ["two", "one"]


def test_a_slot_that_somebody_wrote_is_text(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, None, attributedBody=plain_body("odd \ufffc character"))
    both = Body().add("odd \ufffc", part=0).add(SLOT, part=1, file="A").add("!", part=2)
    writer.attach(writer.message(chat, None, attributedBody=both.archive()), "A")
    nameless = Body().add("look \ufffc", part=0)
    writer.attach(writer.message(chat, None, attributedBody=nameless.archive()), "B")
    writer.message(chat, "\ufffd")
    messages, _, _ = read(writer.close())
    assert [message.text for message in messages] == ["odd \ufffc character", "odd \ufffc!", "look ", "\ufffd"]
    assert [guids(message) for message in messages] == [[], ["A"], ["B"], []]


def test_two_rows_of_one_guid_are_two_files(writer: ChatDbWriter) -> None:
    writer.db.executescript("DROP TABLE attachment; CREATE TABLE attachment (guid TEXT, filename TEXT)")
    chat = writer.chat(writer.handle(MAYA))
    row = writer.message(chat, None, attributedBody=Body().add(SLOT, part=0, file="A").archive())
    writer.attach(row, "A", filename="~/Library/Messages/Attachments/a.jpg")
    writer.attach(row, "A", filename="~/Library/Messages/Attachments/b.jpg")
    (message,), _, _ = read(writer.close())
    assert [attachment.name for attachment in message.attachments] == ["a.jpg", "b.jpg"]


def test_a_sticker_within_words(writer: ChatDbWriter) -> None:
    body = Body().add("haha ", part=0).add(SLOT, part=0, file="S").add(" yes", part=0)
    chat = writer.chat(writer.handle(MAYA))
    row = writer.message(chat, None, attributedBody=body.archive())
    writer.attach(row, "S", is_sticker=1, uti="public.heic")
    (message,), _, _ = read(writer.close())
    assert (message.text, message.attachments[0].is_sticker) == ("haha  yes", True)


def test_a_sticker_that_an_app_sent(writer: ChatDbWriter) -> None:
    bundle = "com.apple.messages.MSMessageExtensionBalloonPlugin:TEAM:com.example.parrots.stickers"
    chat = writer.chat(writer.handle(MAYA))
    body = Body().add(SLOT, part=0, file="S").archive()
    row = writer.message(chat, None, attributedBody=body, balloon_bundle_id=bundle)
    writer.attach(row, "S", is_sticker=1, uti="public.png")
    (message,), _, _ = read(writer.close())
    assert (message.kind, message.text, guids(message)) == (Kind.ATTACHMENT, None, ["S"])
    assert (message.details or {})["app"]["name"] == "stickers"


def test_a_photo_and_a_space_are_a_photo(writer: ChatDbWriter) -> None:
    message = only(writer, Body().add(SLOT, part=0, file="A").add(" ", part=1), "A")
    assert (message.kind, message.text, guids(message)) == (Kind.ATTACHMENT, " ", ["A"])


def test_a_body_whose_runs_are_damaged_keeps_text_and_files(writer: ChatDbWriter) -> None:
    body = Body().add("one ", part=0).add(SLOT, part=1, file="B").add(SLOT, part=2, file="A").archive()
    chat = writer.chat(writer.handle(MAYA))
    row = writer.message(chat, None, attributedBody=body[: body.index(b"iI") + 4])
    writer.attach(row, "A")
    writer.attach(row, "B")
    (message,), _, _ = read(writer.close())
    assert (message.text, guids(message)) == ("one ", ["A", "B"])


def test_mentions(writer: ChatDbWriter) -> None:
    body = Body().add("hi ", part=0).add("@Ma", part=0, mention=MAYA).add("ya", part=0, mention=MAYA, detected=b"x")
    body.add(" and ", part=0).add("Theo", part=0, mention="theo@example.com")
    message = only(writer, body)
    assert message.text == "hi @Maya and Theo"
    assert message.details == {
        "mentions": [{"handle": MAYA, "text": "@Maya"}, {"handle": "theo@example.com", "text": "Theo"}]
    }


def test_the_name_of_the_mention_attribute_in_a_text_is_text(writer: ChatDbWriter) -> None:
    message = only(writer, Body.of("what is __kIMMentionConfirmedMention?"))
    assert (message.text, message.details) == ("what is __kIMMentionConfirmedMention?", None)


@pytest.mark.parametrize(
    ("style", "name"),
    [
        ("com.apple.MobileSMS.expressivesend.impact", "slam"),
        ("com.apple.MobileSMS.expressivesend.gentle", "gentle"),
        ("com.apple.MobileSMS.expressivesend.loud", "loud"),
        ("com.apple.MobileSMS.expressivesend.invisibleink", "invisible ink"),
        ("com.apple.messages.effect.CKConfettiEffect", "confetti"),
        ("com.apple.messages.effect.CKHappyBirthdayEffect", "balloons"),
        ("com.apple.messages.effect.CKShootingStarEffect", "shooting star"),
        ("com.apple.messages.effect.CKNewThingEffect", "new thing"),
        ("odd", "odd"),
        ("x.CKEffect", "ckeffect"),
    ],
)
def test_effects(style: str, name: str) -> None:
    assert effect_name(style) == name


def test_effect_subject_and_the_part_that_is_replied_to(writer: ChatDbWriter) -> None:
    message = only(
        writer,
        Body.of("boom"),
        subject="S",
        expressive_send_style_id="com.apple.messages.effect.CKLasersEffect",
        thread_originator_guid="M-9",
        thread_originator_part="2:0:4",
    )
    assert (message.text, message.reply_to) == ("S\nboom", "M-9")
    assert message.details == {"effect": "lasers", "subject": "S", "reply_part": 2}


@pytest.mark.parametrize("part", ["0:0:4", None, "", "x", "-1:0:0", ":::", "99999999999:0:1"])
def test_a_reply_to_the_first_part_says_no_part(writer: ChatDbWriter, part: str | None) -> None:
    message = only(writer, Body.of("yes"), thread_originator_guid="M-9", thread_originator_part=part)
    assert (message.reply_to, message.details) == ("M-9", None)


# --- voice messages ---------------------------------------------------------------------------------------------


def test_a_voice_message_that_expired(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    named = Body().add(SLOT, part=0, file="V", transcript="call me").archive()
    writer.message(chat, None, attributedBody=named, is_audio_message=1)
    writer.message(chat, SLOT, is_audio_message=1)
    row = writer.message(chat, None, attributedBody=Body().add(SLOT, part=0, file="W").archive(), is_audio_message=1)
    writer.attach(row, "W", filename=None)
    writer.message(chat, None, is_audio_message=1)
    messages, ledger, _ = read(writer.close())
    assert [message.kind for message in messages] == [Kind.ATTACHMENT] * 3
    files = [message.attachments[0] for message in messages]
    assert {file.mime_type for file in files} == {"audio/x-caf"}
    assert [(file.guid, file.path, file.transcript) for file in files] == [
        ("V", None, "call me"), ("M-2-audio", None, None), ("W", None, None),
    ]  # fmt: skip
    assert dropped(ledger) == {"empty": 1}


@pytest.mark.parametrize(
    ("uti", "names", "kind"),
    [
        ("com.apple.coreaudio-format", ["Audio Message"], "audio/x-caf"),
        (None, ["Audio Message.CAF"], "audio/x-caf"),
        (None, ["CL.loc.vcf"], "text/x-vlocation"),
        ("public.vlocation", ["x"], "text/x-vlocation"),
        (None, ["Maya.vcf"], "text/vcard"),
        ("dyn.ah62d4", ["IMG.HEIC"], "image/heic"),
        (None, ["no ending", "~/a/IMG.MOV"], "video/quicktime"),
        (None, [None, ""], None),
        (None, ["a.unknown"], None),
    ],
)
def test_types_of_files(uti: str | None, names: list[str | None], kind: str | None) -> None:
    assert type_of(uti, *names) == kind


def test_a_live_photo_is_both_of_its_files(writer: ChatDbWriter) -> None:
    body = Body().add(SLOT, part=0, file="P")
    chat = writer.chat(writer.handle(MAYA))
    row = writer.message(chat, None, attributedBody=body.archive())
    writer.attach(row, "M", filename="~/Library/Messages/Attachments/IMG_1.MOV")
    writer.attach(row, "P", filename="~/Library/Messages/Attachments/IMG_1.HEIC")
    (message,), _, _ = read(writer.close())
    assert [attachment.mime_type for attachment in message.attachments] == ["image/heic", "video/quicktime"]
