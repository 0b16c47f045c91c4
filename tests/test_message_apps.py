"""App balloons and links: rendered as what they are, in brackets, and never as words that anyone wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests import keyed
from tests.collecting import dropped, read
from tests.keyed import EXTENSION, LINK, Object
from tests.messages_db import ChatDbWriter, plain_body
from ventriloquist.demo.typedstream import Body
from ventriloquist.records import Kind, Message
from ventriloquist.sources.imessage.balloons import read_app, read_link
from ventriloquist.windows.render import entries_of

MAYA = "+12025550101"
URL = "https://example.com/a"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ChatDbWriter]:
    writer = ChatDbWriter(tmp_path / "Messages")
    yield writer
    writer.db.close()


def only(writer: ChatDbWriter, text: str | None, bundle: str | None, payload: Any, **more: Any) -> Message:
    row: dict[str, Any] = {"balloon_bundle_id": bundle, "payload_data": payload, **more}
    writer.message(writer.chat(writer.handle(MAYA)), text, **row)
    (message,), _, _ = read(writer.close())
    return message


def shown(message: Message) -> tuple[str, str | None]:
    return message.kind.value, message.text


@pytest.mark.parametrize(
    ("bundle", "payload", "text"),
    [
        ("PassbookUIService.PeerPaymentMessagesExtension", {"ldtext": "$5.00 Payment", "an": "Apple Cash",
         "userInfo": {"caption": "Apple Cash"}}, "[Apple Cash: $5.00 Payment]"),
        ("ActivityMessagesApp.MessagesExtension", {"ldtext": "All rings closed"}, "[Fitness: All rings closed]"),
        ("mobileslideshow.PhotosMessagesApp", {"userInfo": {"caption": "4 photos", "subcaption": "Beach"}},
         "[Photos: 4 photos · Beach]"),
        ("SafetyMonitorApp.SafetyMonitorMessages", {"ldtext": "Check In: Timer Started", "an": "Check In"},
         "[Check In: Check In: Timer Started]"),
        ("findmy.FindMyMessagesApp", {"ldtext": "Sharing location"}, "[Find My: Sharing location]"),
        ("icloud.apps.messages.business.extension", {"ldtext": "Pick a time"}, "[Business Chat: Pick a time]"),
    ],
)  # fmt: skip
def test_apps_of_apple(writer: ChatDbWriter, bundle: str, payload: dict[str, Any], text: str) -> None:
    name = f"{EXTENSION}com.apple.{bundle}"
    assert shown(only(writer, "\ufffd", name, keyed.archive(payload))) == ("app", text)


def test_apps_of_others(writer: ChatDbWriter) -> None:
    payload = keyed.app(
        "https://example.com/order?id=1",
        an="Pizza", ldtext="an order", appid=5,
        userInfo={"caption": "One pizza\nto go", "subcaption": "at six", "image-title": "One pizza to go", "x": "y"},
    )  # fmt: skip
    bundle = EXTENSION + "com.example.pizza.messages"
    message = only(writer, "\ufffd", bundle, payload, expressive_send_style_id="com.apple.messages.effect.CKEchoEffect")
    assert shown(message) == ("app", "[Pizza: One pizza to go · at six]")
    assert message.details == {
        "app": {
            "bundle": bundle,
            "name": "Pizza",
            "caption": "One pizza to go · at six",
            "url": "https://example.com/order?id=1",
        },
        "effect": "echo",
    }


@pytest.mark.parametrize(
    ("bundle", "text"),
    [
        (EXTENSION + "com.gamerdelights.gamepigeon.ext", "[gamepigeon]"),
        ("com.apple.Handwriting.HandwritingProvider", "[Handwriting]"),
        ("com.apple.DigitalTouchBalloonProvider", "[Digital Touch]"),
        (EXTENSION, "[app]"),
        ("com.apple.messages.MSMessageExtensionBalloonPlugin:", "[app]"),
        ("x", "[x]"),
    ],
)
def test_payloads_that_are_no_archive_leave_the_name(bundle: str, text: str) -> None:
    for payload in (None, b"", b"\x08\x01\x12", b"bplist00" + b"\x00" * 60, keyed.archive({})):
        assert read_app(bundle, payload).text == text


def test_words_in_the_body_of_an_app_stand_in_brackets(writer: ChatDbWriter) -> None:
    message = only(writer, "Sent with\nan app", EXTENSION + "com.example.pizza", None, subject="Dinner")
    assert shown(message) == ("app", "[pizza: Dinner Sent with an app]")
    lines = list(entries_of([message], lambda _: "Maya", lambda given: [("image", "photo") for _ in given]))
    assert [(line.content_type, line.text) for line in lines] == [("app", "[pizza: Dinner Sent with an app]")]


def test_an_empty_bundle_is_no_app(writer: ChatDbWriter) -> None:
    message = only(writer, "hi \ufffc", "", None, subject="S")
    assert shown(message) == ("text", "S\nhi \ufffc")


# --- polls ------------------------------------------------------------------------------------------------------

POLLS = EXTENSION + "com.apple.messages.Polls"
OPTIONS = [{"optionIdentifier": "A", "text": "Pizza"}, {"optionIdentifier": "B", "attributedText": "Sushi"}, 5]
POLL = {"title": "", "orderedPollOptions": OPTIONS}


def poll_payload(item: dict[str, Any], tail: str = "") -> bytes:
    return keyed.app(
        keyed.poll_address(item, tail), an="Polls", ldtext="Sent a poll", userInfo={"caption": "Sent a poll"}
    )


def test_polls_their_new_states_and_votes(writer: ChatDbWriter) -> None:
    maya = writer.handle(MAYA)
    chat = writer.chat(maya)
    poll = {"balloon_bundle_id": POLLS, "payload_data": poll_payload(POLL, "?src=p&c=2")}
    writer.message(chat, "\ufffd", **poll)  # M-1
    writer.message(chat, "\ufffd", **poll, associated_message_guid="M-2", associated_message_type=0)  # its own guid
    more = {"balloon_bundle_id": POLLS, "payload_data": poll_payload({**POLL, "title": "Where to?"})}
    writer.message(chat, "\ufffd", maya, **more, associated_message_guid="M-1", associated_message_type=2)
    for votes in ([{"voteOptionIdentifier": "B", "participantHandle": MAYA}], []):
        vote = {"balloon_bundle_id": POLLS, "payload_data": poll_payload({"votes": votes})}
        writer.message(chat, "voted", maya, **vote, associated_message_guid="p:0/M-1", associated_message_type=4000)
    writer.message(chat, "voted", maya, associated_message_guid="M-1", associated_message_type=4000)
    messages, ledger, _ = read(writer.close())
    assert [shown(message) for message in messages] == [
        ("app", "[Poll: Pizza · Sushi]"),
        ("app", "[Poll: Pizza · Sushi]"),
        ("app", "[Poll: new choices · Where to? · Pizza · Sushi]"),
        ("app", "[Poll: a vote]"),
        ("app", "[Poll: took a vote back]"),
        ("app", "[Poll: a vote]"),
    ]
    apps = [(message.details or {})["app"] for message in messages]
    assert [app.get("target") for app in apps] == [None, None, "M-1", "M-1", "M-1", "M-1"]
    assert apps[0]["options"] == [{"id": "A", "text": "Pizza"}, {"id": "B", "text": "Sushi"}]
    assert apps[3]["options"] == [{"id": "B", "text": ""}]
    assert [message.sender_handle for message in messages] == [None, None, MAYA, MAYA, MAYA, MAYA]
    assert dropped(ledger) == {}


@pytest.mark.parametrize(
    "address",
    [
        "data:," + quote(json.dumps({"item": POLL})),
        "data:application/json," + json.dumps({"item": POLL}) + "?src=p",
        *[keyed.poll_address({**POLL, "x": "?>" * length}, "?src=p").replace("=", "") for length in range(3)],
        keyed.poll_address({**POLL, "x": "?>" * 9}).replace("+", "-").replace("/", "_"),
    ],
)
def test_the_document_of_a_poll_may_be_written_in_other_ways(address: str) -> None:
    assert read_app(POLLS, keyed.app(address)).text == "[Poll: Pizza · Sushi]"


@pytest.mark.parametrize(
    "address", ["data:,", "data:,&&&", "data:,e30", "data:,{", "x", "data:,W10=", "data:," + "[" * 9999]
)
def test_a_poll_that_cannot_be_read_shows_its_caption(address: str) -> None:
    assert read_app(POLLS, keyed.app(address, ldtext="Sent a poll")).text == "[Poll: Sent a poll]"


# --- links ------------------------------------------------------------------------------------------------------


def test_a_link_is_its_address_and_its_title_a_detail(writer: ChatDbWriter) -> None:
    message = only(writer, URL, LINK, keyed.link(URL, "A title"), attributedBody=plain_body(URL))
    assert shown(message) == ("text", URL)
    assert message.details == {"link": {"url": URL, "title": "A title"}}


def test_a_link_whose_balloon_has_no_name(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, URL, payload_data=keyed.link(URL, "A title"))
    writer.message(chat, None, payload_data=keyed.link(URL, "A title"), attributedBody=plain_body("\ufffd"))
    writer.message(chat, "words", payload_data=b"garbage")
    writer.message(chat, None, payload_data=keyed.archive({"an": "Pizza", "ldtext": "an order"}))
    writer.message(chat, None, payload_data=b"garbage")
    messages, ledger, _ = read(writer.close())
    assert [shown(message) for message in messages] == [
        ("text", URL), ("text", URL), ("text", "words"), ("app", "[Pizza: an order]"),
    ]  # fmt: skip
    assert [message.details and message.details.get("link") for message in messages[:3]] == [
        {"url": URL, "title": "A title"}, {"url": URL, "title": "A title"}, None,
    ]  # fmt: skip
    assert dropped(ledger) == {"empty": 1}


@pytest.mark.parametrize(
    ("special", "name", "caption"),
    [
        (Object("LPiTunesMediaSongMetadata", name="Song", artist="Band", album="A"), "Apple Music", "Song · Band · A"),
        (Object("LPiTunesMediaSoftwareMetadata", name="App", subtitle="Does"), "App Store", "App · Does"),
        ({"name": "App", "genre": "Tools"}, "App Store", "App"),
        (Object("LPMapMetadata", name="Cafe", address="1 Main St"), "Maps", "Cafe · 1 Main St"),
        (Object("LPiCloudSharingMetadata", title="Plans"), "Collaboration", "Plans"),
        (Object("LPiTunesMediaMovieMetadata", name="Film"), "Apple TV", "Film"),
        ({"name": "Song", "album": "Album"}, "Apple Music", "Song · Album"),
        ({"name": "Cafe", "address": "1 Main St"}, "Maps", "Cafe · 1 Main St"),
    ],
)  # fmt: skip
def test_what_a_link_leads_to(writer: ChatDbWriter, special: dict[str, Any], name: str, caption: str) -> None:
    chat = writer.chat(writer.handle(MAYA))
    row = {"balloon_bundle_id": LINK}
    writer.message(chat, URL, payload_data=keyed.link(URL, None, specialization=special), **row)
    writer.message(chat, "\ufffd", payload_data=keyed.link(None, None, specialization=special), **row)
    addressed, bare = read(writer.close())[0]
    assert (shown(addressed), shown(bare)) == (("text", URL), ("app", f"[{name}: {caption}]"))
    assert addressed.details == {
        "link": {"url": URL, "title": caption},
        "app": {"bundle": LINK, "name": name, "caption": caption, "url": URL},
    }


def test_links_that_show_little(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    for payload in (keyed.link(None, "A title"), keyed.link(), None, b"garbage"):
        writer.message(chat, "\ufffd", balloon_bundle_id=LINK, payload_data=payload)
    collaboration = keyed.link(None, None, collaborationMetadata=Object("SWCollaborationMetadata", title="Plans"))
    assert (read_link(collaboration) or read_link(None)).text == "[Collaboration: Plans]"  # type: ignore[union-attr]
    messages, _, _ = read(writer.close())
    assert [shown(message) for message in messages] == [("app", "[link A title]"), *[("app", "[link]")] * 3]


def test_a_link_shows_no_preview_files_and_no_lost_ones(writer: ChatDbWriter) -> None:
    body = Body().add("\ufffd", part=0, file="BOGUS").archive()
    chat = writer.chat(writer.handle(MAYA))
    row = writer.message(chat, None, attributedBody=body, balloon_bundle_id=LINK, payload_data=keyed.link(URL))
    writer.attach(row, "P-1", filename="~/Library/Messages/Attachments/P.pluginPayloadAttachment")
    writer.attach(row, "P-2", filename="~/Library/Messages/Attachments/P.png", hide_attachment=1)
    (message,), _, _ = read(writer.close())
    assert (message.kind, message.text, message.attachments) == (Kind.TEXT, URL, ())


def test_a_poll_of_megabytes_is_none() -> None:
    for count, kept in ((100, 100), (100_000, 0)):
        options = [{"optionIdentifier": str(number), "text": "x"} for number in range(count)]
        address = keyed.poll_address({"orderedPollOptions": options})
        assert len(read_app(POLLS, keyed.app(address)).options) == kept
