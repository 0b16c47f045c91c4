"""Edited and unsent messages: the last version is the text, the others are details, and what was unsent is gone."""

from __future__ import annotations

import datetime
import plistlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collecting import dropped, read
from tests.keyed import summary
from tests.messages_db import START, ChatDbWriter, plain_body
from ventriloquist.demo.typedstream import Body
from ventriloquist.records import Kind, Message
from ventriloquist.sources.imessage.edits import read_summary

MAYA = "+12025550101"
AT = START + 0.25
SHOWN_AT = "2023-03-08T20:26:40.250000Z"


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ChatDbWriter]:
    writer = ChatDbWriter(tmp_path / "Messages")
    yield writer
    writer.db.close()


def only(writer: ChatDbWriter, text: str | None = None, body: bytes | None = None, **more: Any) -> Message:
    """The message of the one row that is written."""
    row: dict[str, Any] = {"date_edited": 5, "attributedBody": body, **more}
    writer.message(writer.chat(writer.handle(MAYA)), text, **row)
    (message,), _, _ = read(writer.close())
    return message


def test_every_version_is_kept_and_the_last_is_the_text(writer: ChatDbWriter) -> None:
    info = summary(edits={0: [(AT, "teh"), (AT + 1, "the"), (AT + 2, "the!")]}, ranges={0: (0, 3)})
    message = only(writer, None, plain_body("the!"), message_summary_info=info)
    assert (message.kind, message.text, message.edited, message.unsent) == (Kind.TEXT, "the!", True, False)
    assert message.details == {
        "edits": [
            {"part": 0, "at": SHOWN_AT, "text": "teh"},
            {"part": 0, "at": SHOWN_AT.replace("40.25", "41.25"), "text": "the"},
            {"part": 0, "at": SHOWN_AT.replace("40.25", "42.25"), "text": "the!"},
        ]
    }


def test_an_edit_that_was_taken_back_is_an_edit(writer: ChatDbWriter) -> None:
    info = summary(edits={0: [(AT, "a"), (AT, "b"), (AT, "a")]}, ranges={0: (0, 1)})
    message = only(writer, None, plain_body("a"), message_summary_info=info)
    assert (message.text, message.edited) == ("a", True)


def test_an_edit_of_the_style_changes_no_words(writer: ChatDbWriter) -> None:
    info = summary(edits={0: [(AT, "a"), (AT, "a")]}, ranges={0: (0, 1)})
    message = only(writer, None, plain_body("a"), message_summary_info=info)
    assert (message.text, message.edited) == ("a", False)


@pytest.mark.parametrize(
    ("text", "body"), [(None, None), (None, plain_body("")), (None, b"garbage"), ("the first", None)]
)
def test_without_a_body_the_history_tells_the_text(writer: ChatDbWriter, text: str | None, body: bytes | None) -> None:
    info = summary(edits={0: [(AT, "the first"), (AT, "the last 😂")]}, ranges={0: (0, 9)})
    message = only(writer, text, body, message_summary_info=info)
    assert (message.kind, message.text, message.edited) == (Kind.TEXT, "the last 😂", True)


def test_without_a_body_the_other_parts_are_as_they_were_sent(writer: ChatDbWriter) -> None:
    edits = {2: [(AT, "two"), (AT, "second")], 0: [(AT, "😂one"), (AT, "first ")]}
    ranges = {0: (0, 5), 1: (5, 1), 2: (6, 3), 3: (9, 5)}
    message = only(writer, "😂one\ufffctwothree", None, message_summary_info=summary(edits=edits, ranges=ranges))
    assert message.text == "first secondthree"
    assert [(edit["part"], edit["text"]) for edit in (message.details or {})["edits"]] == [
        (0, "😂one"), (0, "first "), (2, "two"), (2, "second"),
    ]  # fmt: skip


def test_a_history_of_the_whole_message_is_cut_to_the_part() -> None:
    told = {1: [(AT, "one two three"), (AT, "one SECOND three")]}
    found = read_summary(summary(edits=told, ranges={0: (0, 4), 1: (4, 3), 2: (7, 6)}))
    assert found and [version.text for version in found.versions[1]] == ["two", "SECOND"]
    assert found.text_now(None) == "one SECOND three"
    found = read_summary(summary(edits=told, ranges={0: (0, 4), 1: (4, 3), 2: (7, 6)}, retracted=[2]))
    assert found and found.text_now(None) == "one SECOND"


def test_a_text_column_stands_for_parts_that_no_history_tells(writer: ChatDbWriter) -> None:
    info = summary(edits={1: [(AT, "b"), (AT, "B")]}, ranges={0: (0, 1), 1: (1, 1)})
    assert only(writer, "what it says now", None, message_summary_info=info).text == "what it says now"


@pytest.mark.parametrize("column", ["date_edited", None])
def test_a_message_unsent_as_a_whole_is_an_event_without_words(writer: ChatDbWriter, column: str | None) -> None:
    history = {0: [(AT, "secret"), (AT, "secret two")]}
    info = summary(edits=history, ranges={0: (0, 6)}, retracted=[0])
    more = {"date_edited": 5} if column else {"date_edited": 0, "date_retracted": 0}
    chat = writer.chat(writer.handle(MAYA))
    row = writer.message(chat, "secret", attributedBody=plain_body("secret two"), message_summary_info=info, **more)
    writer.attach(row, "A", filename="~/Library/Messages/Attachments/secret.jpg")
    writer.message(chat, None, message_summary_info=info, subject="secret", **more)
    messages, _, _ = read(writer.close())
    assert [(m.kind, m.unsent, m.text, m.details, m.attachments) for m in messages] == [
        (Kind.UNSENT, True, None, None, ())
    ] * 2
    assert "secret" not in str(messages)


def test_a_date_of_retraction_alone_says_that_all_was_unsent(writer: ChatDbWriter) -> None:
    message = only(writer, "secret", plain_body("secret"), date_retracted=5, date_edited=0)
    assert (message.kind, message.text, message.details) == (Kind.UNSENT, None, None)


def test_a_retraction_date_of_a_part_leaves_the_others(writer: ChatDbWriter) -> None:
    info = summary(ranges={0: (0, 4), 1: (4, 5)}, retracted=[0])
    body = Body().add("stays", part=1).archive()
    message = only(writer, None, body, message_summary_info=info, date_retracted=5)
    assert (message.kind, message.text, message.unsent) == (Kind.TEXT, "stays", True)


def test_what_an_unsent_part_said_is_nowhere(writer: ChatDbWriter) -> None:
    edits = {0: [(AT, "secret"), (AT, "secret!")], 2: [(AT, "stais"), (AT, "stays")]}
    info = summary(edits=edits, ranges={0: (0, 6), 1: (6, 1), 2: (7, 5)}, retracted=[0, 1])
    body = Body().add("secret!", part=0).add("\ufffc", part=1, file="G-1").add("stays", part=2)
    row: dict[str, Any] = {"attributedBody": body.archive(), "message_summary_info": info, "date_edited": 5}
    chat = writer.chat(writer.handle(MAYA))
    writer.attach(writer.message(chat, None, **row), "G-1", transfer_name="secret.jpg")
    row["attributedBody"] = Body().add("stays", part=2).archive()
    writer.attach(writer.message(chat, None, **row), "G-2", transfer_name="secret.jpg")
    messages, _, _ = read(writer.close())
    for message in messages:
        assert (message.text, message.attachments, message.edited, message.unsent) == ("stays", (), True, True)
        assert message.details and message.details["unsent_parts"] == [0, 1]
        assert [edit["text"] for edit in message.details["edits"]] == ["stais", "stays"]
    assert "secret" not in str(messages)


def test_an_unsent_part_is_cut_by_its_place_where_no_runs_tell_it(writer: ChatDbWriter) -> None:
    info = summary(ranges={0: (0, 8), 1: (8, 5)}, retracted=[0])
    assert only(writer, "secret😂stays", None, message_summary_info=info).text == "stays"


def test_a_property_list_may_be_written_as_xml_and_number_its_parts(writer: ChatDbWriter) -> None:
    info = summary(edits={0: [(datetime.datetime(2023, 3, 8, 20, 26, 40), "a"), (AT, "b")]}, xml=True)
    message = only(writer, None, plain_body("b"), message_summary_info=info)
    assert message.edited and [edit["at"] for edit in (message.details or {})["edits"]] == [
        "2023-03-08T20:26:40.000000Z", SHOWN_AT,
    ]  # fmt: skip


@pytest.mark.parametrize("date", ["x", True, float("nan"), float("inf"), -1e300, 0.0, None, 2**62])
def test_versions_without_a_date_are_versions(date: Any) -> None:
    entry = {"t": plain_body("a")} if date is None else {"t": plain_body("a"), "d": date}
    found = read_summary(plistlib.dumps({"ec": {"0": [entry]}}, fmt=plistlib.FMT_BINARY))
    assert found and [version.text for version in found.versions[0]] == ["a"]
    assert found.versions[0][0].at == 0 or date == 2**62


@pytest.mark.parametrize(
    "info",
    [
        {"ec": [], "otr": 5, "rp": {}},
        {"ec": {"0": {}}, "otr": {"0": []}, "rp": ["x", -1, 1.5]},
        {"ec": {"0": ["x", {}, {"t": "text"}, {"t": b"garbage"}]}, "otr": {"x": {"lo": -1}}},
        {"ec": {"-1": [], "9" * 40: []}},
    ],
)
def test_summaries_of_another_shape_are_summaries_of_nothing(writer: ChatDbWriter, info: dict[str, Any]) -> None:
    blob = plistlib.dumps(info, fmt=plistlib.FMT_BINARY)
    message = only(writer, None, plain_body("as it is"), message_summary_info=blob)
    assert (message.kind, message.text, message.unsent, message.details) == (Kind.TEXT, "as it is", False, None)


def test_an_older_phone_tells_an_edit_as_a_message(writer: ChatDbWriter) -> None:
    assert only(writer, "Edited to “the”", date_edited=0).text == "Edited to “the”"


def test_a_database_that_knows_edits_but_no_retractions(writer: ChatDbWriter) -> None:
    writer.db.execute("ALTER TABLE message DROP COLUMN date_retracted")
    info = summary(edits={0: [(AT, "a"), (AT, "b")]}, ranges={0: (0, 1)})
    assert only(writer, None, plain_body("b"), message_summary_info=info).edited


def test_garbage_beside_an_empty_body_is_counted(writer: ChatDbWriter) -> None:
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, None, message_summary_info=b"bplist00 garbage" * 9)
    messages, ledger, _ = read(writer.close())
    assert (messages, dropped(ledger)) == ([], {"empty": 1})
