"""The benchmark of describing: it runs, and says what it shall."""

from __future__ import annotations

import json

import pytest

from benchmarks import describing


def test_rows_have_the_shape_of_every_benchmark(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describing, "QUICK", 12)
    describing.main(["--json", "--quick"])
    requests, busy, memory = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    for row in (requests, busy, memory):
        assert list(row) == ["what", "ours", "theirs", "unit", "ratio", "goal", "rounds", "spread"]
    assert requests["theirs"] == 12 and requests["ours"] >= 12
    assert 0 < busy["ours"] <= busy["theirs"] == 8 and "too small to judge" in busy["what"]
    assert 0.02 < memory["ours"] < 1
