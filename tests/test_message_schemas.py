"""The message tables of every macOS, and of none: what a table does not have is as if it were unset."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import keyed
from tests.collecting import dropped, read
from tests.messages_db import SCHEMA, ChatDbWriter, plain_body
from ventriloquist.demo.typedstream import Body
from ventriloquist.records import Kind, Message
from ventriloquist.sources.imessage.rows import COLUMNS

MAYA, THEO = "+12025550101", "theo@example.com"
RELEASES = {
    # what came with each release, last first: a database of the one before has none of it
    "Sequoia": ["associated_message_emoji"],
    "Ventura": ["date_edited", "date_retracted"],
    "Big Sur": ["thread_originator_guid", "thread_originator_part"],
    "Catalina": ["reply_to_guid"],
    "High Sierra": [
        "associated_message_guid", "associated_message_type", "balloon_bundle_id", "payload_data",
        "expressive_send_style_id", "message_summary_info", "destination_caller_id", "is_audio_message",
    ],
}  # fmt: skip


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ChatDbWriter]:
    writer = ChatDbWriter(tmp_path / "Messages")
    yield writer
    writer.db.close()


def fill(writer: ChatDbWriter) -> None:
    """A row of every kind."""
    maya, theo = writer.handle(MAYA), writer.handle(THEO)
    chat = writer.chat(maya, theo)
    writer.message(chat, "hello", maya, reply_to_guid="M-9", destination_caller_id="+12025550199")
    writer.message(chat, "in reply", thread_originator_guid="M-1", thread_originator_part="1:0:5")
    writer.message(chat, None, maya, attributedBody=plain_body("now"), date_edited=5, subject="S",
                   message_summary_info=keyed.summary(edits={0: [(1.0, "then"), (2.0, "now")]}))  # fmt: skip
    writer.message(chat, "Loved “hello”", theo, associated_message_guid="p:0/M-1", associated_message_type=2006,
                   associated_message_emoji="🎉")  # fmt: skip
    writer.message(chat, None, theo, item_type=1, other_handle=maya)
    writer.message(chat, "https://example.com", balloon_bundle_id=keyed.LINK,
                   payload_data=keyed.link("https://example.com", "T"))  # fmt: skip
    row = writer.message(
        chat, None, attributedBody=Body().add("\ufffc", part=0, file="A").archive(), is_audio_message=1
    )
    writer.attach(row, "A", filename="~/Library/Messages/Attachments/a.jpg", mime_type="image/jpeg", total_bytes=3)


def drop(writer: ChatDbWriter, table: str, column: str) -> None:
    """Take a column away as if there had never been one."""
    if column == "guid":
        writer.db.execute(f"ALTER TABLE {table} RENAME COLUMN guid TO unknown")
    else:
        writer.db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


def column_names() -> list[str]:
    names = [column.partition(":")[0] for column in COLUMNS]
    return [*names[1:], "payload_data", "message_summary_info", "destination_caller_id"]


@pytest.mark.parametrize("column", column_names())
def test_every_column_may_be_missing(writer: ChatDbWriter, column: str) -> None:
    fill(writer)
    drop(writer, "message", column)
    messages, ledger, _ = read(writer.close())
    assert len(messages) + sum(dropped(ledger).values()) == 7
    texts = [message.text for message in messages]
    assert ("hello" in texts) == (column != "text")
    assert "now" in str(texts)  # without the body its history tells it


@pytest.mark.parametrize("release", list(RELEASES))
def test_the_tables_before_each_release(writer: ChatDbWriter, release: str) -> None:
    fill(writer)
    for name, columns in RELEASES.items():
        for column in columns:
            drop(writer, "message", column)
        if name == release:
            break
    messages, ledger, _ = read(writer.close())
    assert len(messages) == 7 and dropped(ledger) == {}
    by_guid = {message.guid: message for message in messages}
    assert by_guid["M-1"].text == "hello" and by_guid["M-5"].kind is Kind.EVENT
    assert by_guid["M-3"].text == "S\nnow"
    assert by_guid["M-3"].edited == (release != "High Sierra")
    assert by_guid["M-2"].reply_to == ("M-1" if release in ("Sequoia", "Ventura") else None)


@pytest.mark.parametrize(
    "table", ["attachment", "message_attachment_join", "chat_handle_join", "chat_recoverable_message_join"]
)
def test_tables_that_may_be_missing(writer: ChatDbWriter, table: str) -> None:
    fill(writer)
    writer.db.execute(f"DROP TABLE {table}")
    messages, _, _ = read(writer.close())
    assert len(messages) == 7


@pytest.mark.parametrize(
    "column", ["filename", "uti", "mime_type", "transfer_name", "total_bytes", "is_sticker", "guid"]
)
def test_columns_of_attachments_may_be_missing(writer: ChatDbWriter, column: str) -> None:
    fill(writer)
    drop(writer, "attachment", column)
    messages, _, _ = read(writer.close())
    assert len(messages[-1].attachments) == 1


ODD = [None, 0, -1, 2**62, -(2**62), 1.5, "", "x", "0", "\ufffc", b"", b"\xff\x00", b"bplist00", plain_body("x")]


@pytest.mark.parametrize("seed", range(12))
def test_rows_of_nonsense_are_counted(tmp_path: Path, seed: int) -> None:
    writer = ChatDbWriter(tmp_path / "Messages", SCHEMA.replace(" UNIQUE NOT NULL", ""))
    pick = random.Random(seed)
    chat = writer.chat(writer.handle(MAYA))
    names = [*column_names(), "cache_has_attachments"]
    for _ in range(150):
        row = writer.message(chat, "words")
        for name in pick.sample(names, pick.randrange(1, 6)):
            writer.db.execute(f"UPDATE message SET {name} = ? WHERE ROWID = ?", [pick.choice(ODD), row])
        if pick.random() < 0.3:
            writer.attach(
                row, pick.choice(["A", "B"]), **{pick.choice(["filename", "uti", "mime_type"]): pick.choice(ODD)}
            )
    messages, ledger, _ = read(writer.close())
    assert len(messages) + sum(dropped(ledger).values()) == 150
    assert all(_is_sound(message) for message in messages)


def _is_sound(message: Message) -> bool:
    """A kind goes with what it says."""
    match message.kind:
        case Kind.TEXT:
            return bool(message.text)
        case Kind.ATTACHMENT:
            return bool(message.attachments)
        case Kind.REACTION:
            return message.reaction is not None and message.text is None
        case Kind.UNSENT:
            return (message.text, message.attachments, message.details) == (None, (), None)
    return bool(message.text) and message.text.startswith("[")
