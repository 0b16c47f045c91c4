"""The sample history: the store is sound, true to the schema, and the same every time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import typedstream

from ventriloquist import demo


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> demo.Sample:
    return demo.write(tmp_path_factory.mktemp("sample") / "small", messages=300)


def rows(sample: demo.Sample, query: str) -> list[tuple]:
    with closing(sqlite3.connect(f"file:{sample.chat_db}?immutable=1", uri=True)) as connection:
        return connection.execute(query).fetchall()


def test_the_store_is_sound_and_counted(small: demo.Sample) -> None:
    assert rows(small, "PRAGMA integrity_check") == [("ok",)]
    assert rows(small, "PRAGMA foreign_key_check") == []
    assert rows(small, "SELECT count(*) FROM message") == [(small.message_rows,)]
    assert sum(small.rows.values()) == small.message_rows
    assert small.chat_db.read_bytes()[18:20] == b"\x02\x02"  # WAL, as on a Mac
    assert not small.chat_db.with_name("chat.db-wal").exists()


def test_an_independent_decoder_reads_every_body(small: demo.Sample) -> None:
    bodies = rows(small, "SELECT attributedBody, text FROM message WHERE attributedBody IS NOT NULL")
    assert len(bodies) > 200
    for body, text in bodies:
        decoded = typedstream.unarchive_from_data(body).contents[0].values[0].value
        assert decoded
        assert text in (None, decoded)


def test_the_same_seed_gives_the_same_bytes(small: demo.Sample, tmp_path: Path) -> None:
    again = demo.write(tmp_path / "again", messages=300)
    files = sorted(path.relative_to(small.folder) for path in small.folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again.folder) for path in again.folder.rglob("*") if path.is_file())
    for file in files:
        assert (small.folder / file).read_bytes() == (again.folder / file).read_bytes(), file
