"""collect --watch: what Messages writes is in the store soon after, and other stages work in the meantime."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collecting import exported
from tests.commands import command, until, ventriloquist
from tests.test_again import Phone
from ventriloquist.locks import hold
from ventriloquist.pipeline.status import status
from ventriloquist.pipeline.watch import LOOK_EVERY
from ventriloquist.runs import list_runs, read_events
from ventriloquist.workspace import Workspace


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return Phone(tmp_path / "phone")


@pytest.fixture
def watching(phone: Phone, workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    """A collect that watches, past its first two looks."""
    words = ("collect", "--watch", "--db", phone.writer.path, "--region", "US")
    child = subprocess.Popen(command(workspace, *words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until(lambda: events(workspace, "phase")[-1:] == ["watch"], "the first collect")
    yield child
    child.kill()
    child.wait()


def events(workspace: Workspace, kind: str) -> list[str]:
    runs = list_runs(workspace)
    found: list[dict[str, Any]] = read_events(runs[0].folder) if runs else []
    return [str(event.get("name") or event.get("text")) for event in found if event["kind"] == kind]


def texts(workspace: Workspace) -> list[str]:
    return [each["text"] for each in exported(workspace.root)]


def test_new_rows_edits_and_unsent_ones_arrive(
    phone: Phone, workspace: Workspace, watching: subprocess.Popen[str]
) -> None:
    row = phone.write(0, 1)
    until(lambda: len(texts(workspace)) == 2, "a new message")
    phone.edit(row - 1, 77)
    until(lambda: "edited 77" in texts(workspace), "an edit")
    phone.unsend(0, 0)
    until(lambda: None in texts(workspace), "an unsent message")
    assert "2 messages from 2 rows: 1 new." in events(workspace, "note")
    watching.send_signal(signal.SIGTERM)
    assert watching.wait(20) == 5


def test_other_stages_work_while_it_waits(phone: Phone, workspace: Workspace, watching: subprocess.Popen[str]) -> None:
    until(lambda: events(workspace, "phase").count("watch") >= 2, "the second look")
    done = ventriloquist(workspace, "describe")
    assert done.returncode == 0, done.stderr
    assert {stage["name"]: stage["state"] for stage in status(workspace)["stages"]}["collect"] == "done"
    with hold(workspace.lock, "a test"):  # another stage at work: what is new waits for it
        phone.write(0, 1)
        time.sleep(3 * LOOK_EVERY)
        assert len(texts(workspace)) == 1
    until(lambda: len(texts(workspace)) == 2, "the message that had to wait")
    assert watching.poll() is None


def test_trouble_is_told_once_and_tried_again(
    phone: Phone, workspace: Workspace, watching: subprocess.Popen[str]
) -> None:
    path = phone.writer.path
    aside = path.with_name("aside.db")
    phone.db.close()
    path.rename(aside)
    until(lambda: any("There is no Messages history" in note for note in events(workspace, "note")), "the trouble")
    aside.rename(path)
    phone.writer.db = phone.db = sqlite3.connect(path, isolation_level=None)
    phone.write(0, 1)
    until(lambda: len(texts(workspace)) == 2, "the message after the trouble")
    assert sum("There is no Messages history" in note for note in events(workspace, "note")) == 1


def test_a_watch_that_cannot_begin_says_why(workspace: Workspace, tmp_path: Path) -> None:
    done = ventriloquist(workspace, "collect", "--watch", "--db", tmp_path / "nothing.db", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "failed"
