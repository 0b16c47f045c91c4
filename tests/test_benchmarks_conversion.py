"""The benchmark of making photos small: both sides make the same pictures, and it says what it shall."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import conversion


def test_rows_have_the_shape_of_every_benchmark(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "SIZE", (800, 600))
    assert conversion.main(["--json", "--quick"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(row) for row in rows] == [
        ["what", "ours", "theirs", "unit", "ratio", "goal", "rounds", "spread"] for _ in rows
    ]
    assert len(rows) == 6
    assert all(row["ours"] > 0 and row["theirs"] > 0 and "too small to judge" in row["what"] for row in rows)
    assert [row["unit"] for row in rows[:3]] == ["photos a CPU second", "photos a CPU second", "photos a second"]


def test_sides_that_make_different_pictures_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "SIZE", (800, 600))
    paths = conversion.photos(tmp_path, "JPEG", 2)
    monkeypatch.setattr(conversion, "THEIRS", conversion.THEIRS.replace("quality=85", "quality=84"))
    with pytest.raises(ValueError, match="same pictures"):
        conversion.measure(paths, 1)
