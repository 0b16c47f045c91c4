"""`ventriloquist demo`, small: every stage really done, the table's figures, the exchange, and again without harm."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ventriloquist.workspace import Workspace

SMALL = ["--messages", "300", "--max-steps", "6"]


def demo(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ventriloquist", "--workspace", str(root), "demo", *SMALL, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "work"


@pytest.mark.slow
def test_the_demo_goes_through_every_stage_and_says_how_to_go_on(root: Path) -> None:
    done = demo(root)
    assert done.returncode == 0, done.stderr
    for words in ("rows read", "windows", "held-out text loss", "right name", "another's name", "Open the app on it"):
        assert words in done.stdout
    assert str(root.name) in done.stdout.splitlines()[-1]
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert [line for line in lines if line.startswith(("Maya: ", "Theo: "))], "two people answer"
    status = subprocess.run(
        [sys.executable, "-m", "ventriloquist", "--workspace", str(root), "status", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(status.stdout)
    assert {stage["state"] for stage in found["stages"]} == {"done"}
    ledger = found["ledger"]
    assert sum(ledger["kept"].values()) + sum(ledger["dropped"].values()) == ledger["source_rows"] > 290


@pytest.mark.slow
def test_the_demo_again_gives_the_same(root: Path) -> None:
    workspace = Workspace(root)
    before = workspace.windows.read_bytes()
    done = demo(root, "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    result = events[-1]
    assert set(result["makes"]) == {"collect", "describe", "preprocess", "train", "evaluate"}
    assert {line["name"] for line in result["exchange"]} >= {"Alex", "Maya", "Theo"}
    assert any("finished already" in event.get("text", "") for event in events)
    assert workspace.windows.read_bytes() == before


def test_the_demo_never_replaces_a_history_of_ones_own(copy_of_learnt: Workspace) -> None:
    before = copy_of_learnt.messages_db.read_bytes()
    refused = demo(copy_of_learnt.root)
    assert refused.returncode == 2 and "another workspace" in refused.stderr
    assert copy_of_learnt.messages_db.read_bytes() == before
