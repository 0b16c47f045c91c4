"""Random histories, read by the real reader and by a naive one written from the specification: row by row the same.

DIFFERENTIAL says how many seeds are tried; a failure names the seed, the row and the field.
"""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.collecting import exported, read, run_collect
from tests.naive_reader import Row, expected
from tests.random_history import random_history
from ventriloquist.records import Message, rfc3339

SEEDS = int(os.environ.get("DIFFERENTIAL", "40"))
BATCH = 10
COLLECTED = 8  # every so many seeds are collected into a store as well


def as_row(message: Message) -> Row:
    """What the real reader gave, with the keys of the naive one."""
    reaction = message.reaction
    return {
        "guid": message.guid,
        "chat": message.chat,
        "kind": message.kind.value,
        "sender_handle": message.sender_handle,
        "is_from_me": message.is_from_me,
        "sent_at": message.sent_at,
        "text": message.text,
        "reply_to": message.reply_to,
        "reaction": reaction
        and {"type": reaction.type, "emoji": reaction.emoji, "target": reaction.target, "part": reaction.part},
        "attachments": [(each.guid, each.mime_type) for each in message.attachments],
        "edited": message.edited,
        "unsent": message.unsent,
        "service": message.service,
    }


def first_difference(wanted: dict[int, Row | str], found: dict[int, Row]) -> str | None:
    """The first row and field in which they differ, in words."""
    for number, want in wanted.items():
        have = found.get(number)
        if isinstance(want, str) or have is None:
            if isinstance(want, str) != (have is None):
                return f"row {number}: expected {want!r}, found {have!r}"
            continue
        for field, value in want.items():
            if value != have[field]:
                return f"row {number}, {field}: expected {value!r}, found {have[field]!r}\n  of {have!r}"
    return None


def compare(folder: Path, seed: int) -> str | None:
    """The first difference of a seed's history; None if the two readers agree."""
    path = random_history(folder, seed)
    wanted = expected(path)
    messages, ledger, _ = read(path)
    found = {message.source_row: as_row(message) for message in messages}
    if len(found) != len(messages):
        return "a row is given twice"
    if ledger.source_rows != len(wanted):
        return f"the ledger counts {ledger.source_rows} rows of {len(wanted)}"
    difference = first_difference(wanted, found)
    return difference if difference or seed % COLLECTED else exported_difference(folder, path, wanted)


def exported_difference(folder: Path, path: Path, wanted: dict[int, Row | str]) -> str | None:
    """The same of what the store gives out, which is in order of date and row."""
    root = folder / "collected"
    makes = run_collect(root, path)
    kept = [(row["sent_at"], number) for number, row in wanted.items() if not isinstance(row, str)]
    given = exported(root)
    if len(given) != len(kept):
        return f"{len(given)} messages are exported of {len(kept)}: {makes}"
    found: dict[int, Row] = {}
    for (_, number), message in zip(sorted(kept), given, strict=True):
        files: list[Any] = [(each["guid"], each["mime_type"]) for each in message["attachments"]]
        found[number] = {**message, "attachments": files}
    told = {number: row if isinstance(row, str) else {**row, "sent_at": rfc3339(row["sent_at"])}
            for number, row in wanted.items()}  # fmt: skip
    difference = first_difference(told, found)
    return f"exported: {difference}" if difference else None


def change(path: Path, seed: int) -> None:
    """What may happen to a history between two collects, by other hands and by whoever it belongs to."""
    chance = random.Random(seed).random
    db = sqlite3.connect(path)
    rows = [row for (row,) in db.execute("SELECT ROWID FROM message WHERE ROWID > 6")]  # the first are notes to oneself
    for row in rows:
        if chance() < 0.1:
            db.execute("DELETE FROM chat_message_join WHERE message_id = ?", [row])
        if chance() < 0.1:
            db.execute("INSERT OR IGNORE INTO chat_message_join (chat_id, message_id) VALUES (1, ?)", [row])
        if chance() < 0.1:
            db.execute("UPDATE message SET date = date + 600 WHERE ROWID = ?", [row])
        if chance() < 0.1:
            db.execute("UPDATE message SET handle_id = ?, is_from_me = 0 WHERE ROWID = ?", [1 + int(chance() * 5), row])
        if chance() < 0.05:
            db.execute("DELETE FROM message WHERE ROWID = ?", [row])
    db.commit()
    db.close()


@pytest.mark.fuzz
def test_a_history_that_changed_is_collected_as_if_anew(tmp_path: Path) -> None:
    for seed in range(SEEDS // 10):
        path = random_history(tmp_path / str(seed), seed)
        run_collect(tmp_path / str(seed) / "collected", path)
        change(path, seed)
        difference = exported_difference(tmp_path / str(seed), path, expected(path))
        assert difference is None, f"seed {seed}, {difference}"


@pytest.mark.fuzz
@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_both_readers_say_the_same(tmp_path: Path, first: int) -> None:
    for seed in range(first, min(first + BATCH, SEEDS)):
        difference = compare(tmp_path / str(seed), seed)
        assert difference is None, f"seed {seed}, {difference}"
