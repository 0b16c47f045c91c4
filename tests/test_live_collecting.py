"""Collecting again before a chat goes on from the history: what is told, and that it never fails."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.backups import SMS, BackupWriter
from tests.commands import command, until, ventriloquist
from tests.conftest import do
from tests.test_again import Phone
from ventriloquist import demo
from ventriloquist.chat.live import collect_again, latest, real_conversations
from ventriloquist.locks import hold
from ventriloquist.runevents import Appended
from ventriloquist.runs import list_runs, read_events
from ventriloquist.workspace import Workspace


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return Phone(tmp_path / "phone")


def collect(workspace: Workspace, *words: object, **given: Any) -> None:
    done = ventriloquist(workspace, "collect", *words, "--region", "US", **given)
    assert done.returncode == 0, done.stderr


def sentences(told: Iterable[str]) -> list[str]:
    """What is told, without how far it is meanwhile."""
    return [each for each in told if " of " not in each or not each.startswith("Collecting")]


def test_what_is_new_comes(phone: Phone, workspace: Workspace) -> None:
    collect(workspace, "--db", phone.writer.path)
    (real,) = real_conversations(workspace)
    for _ in range(3):
        phone.write(0, 1)
    assert sentences(collect_again(workspace)) == ["Collecting new messages…", "3 new messages."]
    assert real_conversations(workspace)[0].messages == 4
    assert [entry.text for entry in latest(workspace, real, 2)[1]] == ["message 2", "message 3"]
    assert sentences(collect_again(workspace)) == ["Collecting new messages…", "No new messages."]
    phone.write(0, 1)
    phone.edit(1, 77)
    assert sentences(collect_again(workspace))[-1] == "1 new message; 1 changed."
    assert all(run.settings["watch"] is False and run.settings["region"] == "US" for run in list_runs(workspace))


def test_a_place_that_only_the_environment_named(phone: Phone, workspace: Workspace) -> None:
    collect(workspace, env={"VENTRILOQUIST_COLLECT_DB": str(phone.writer.path)})
    phone.write(0, 1)
    assert sentences(collect_again(workspace))[-1] == "1 new message."


def test_a_backup_is_read_again(tmp_path: Path, phone: Phone, workspace: Workspace) -> None:
    backup = BackupWriter(tmp_path / "Backup" / "00008030-001")
    for new, told in ((0, ""), (1, "1 new message.")):
        for _ in range(new):
            phone.write(0, 1)
        phone.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        backup.put(SMS, phone.writer.path)
        if told:
            assert sentences(collect_again(workspace))[-1] == told
        else:
            collect(workspace, "--backup", backup.folder)
    shutil.rmtree(tmp_path / "Backup")
    assert list(collect_again(workspace)) == []


def test_without_its_source_nothing_is_said(phone: Phone, workspace: Workspace) -> None:
    assert list(collect_again(workspace)) == []
    collect(workspace, "--db", phone.writer.path)
    runs = len(list_runs(workspace))
    phone.db.close()
    phone.writer.path.rename(phone.writer.path.with_name("elsewhere"))
    assert list(collect_again(workspace)) == []
    shutil.rmtree(phone.writer.folder)
    assert list(collect_again(workspace)) == []
    assert len(list_runs(workspace)) == runs


def test_one_that_is_held_by_another_run(phone: Phone, workspace: Workspace) -> None:
    collect(workspace, "--db", phone.writer.path)
    phone.write(0, 1)
    with hold(workspace.lock, "describe"):
        told = sentences(collect_again(workspace))
    assert len(told) == 2 and "Another run holds this workspace: describe" in told[1]
    assert "Going on with what was collected on 20" in told[1]
    assert real_conversations(workspace)[0].messages == 1


def test_one_that_fails_is_told_and_what_was_there_stays(phone: Phone, workspace: Workspace) -> None:
    collect(workspace, "--db", phone.writer.path)
    phone.db.close()
    phone.writer.path.write_bytes(b"no history at all " * 300)
    told = sentences(collect_again(workspace))
    assert len(told) == 2 and str(phone.writer.path) in told[1]
    assert told[1].count(". Going on with what was collected on 20") == 1
    assert real_conversations(workspace)[0].messages == 1


def test_one_that_is_killed_is_told(sample: demo.Sample, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    do("collect", workspace, db=sample.chat_db, region="US")
    telling = collect_again(workspace)
    assert next(telling) == "Collecting new messages…"
    started: list[Path] = []

    def start(space: Workspace, stage: str, argv: list[str]) -> str:
        folder = space.runs / "0101-000000-collect"
        folder.mkdir()
        (folder / "events.jsonl").write_text('{"t": "2026-01-01T00:00:00+00:00", "kind": "phase", "name": "open"}\n')
        started.append(folder)
        assert argv[0] == stage == "collect" and str(sample.chat_db) in argv
        return folder.name

    monkeypatch.setattr("ventriloquist.runs.start", start)
    (told,) = telling
    assert started and told.startswith("The collect ended without a word. Going on with")


def test_how_far_it_is(phone: Phone, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    collect(workspace, "--db", phone.writer.path)
    folder, at = workspace.runs / "1231-000000-collect", "2026-01-01T00:00:00+00:00"
    folder.mkdir()
    events = Appended.events(folder)
    monkeypatch.setattr("ventriloquist.runs.start", lambda *_: folder.name)
    monkeypatch.setattr("ventriloquist.chat.live.TELL_SECONDS", 0.0)
    with hold(folder / "lock", "collect"):
        telling = collect_again(workspace)
        next(telling)
        events.add({"t": at, "kind": "phase", "name": "read messages"})
        events.add({"t": at, "kind": "progress", "done": 5000, "total": 90_000, "unit": "rows"})
        assert next(telling) == "Collecting new messages… 5,000 of 90,000 rows"
        end = {"t": at, "kind": "end", "status": "stopped", "exit": 5, "error": "Stopped; see\x1b[2J", "makes": {}}
        events.add(end)
        (told,) = telling
    events.close()
    assert told.startswith("Stopped; see[2J. Going on with what was collected on 20")


def test_one_that_watches(phone: Phone, workspace: Workspace) -> None:
    words = ("collect", "--watch", "--db", phone.writer.path, "--region", "US")
    child = subprocess.Popen(command(workspace, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: any(event.get("name") == "watch" for run in list_runs(workspace)
                          for event in read_events(run.folder)), "the first collect")  # fmt: skip
        assert list(collect_again(workspace)) == [
            "A collect is watching the history, so new messages are here already."
        ]
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)
    phone.write(0, 1)
    assert sentences(collect_again(workspace))[-1] == "1 new message."
    last = list_runs(workspace)[-1]
    assert "--watch" not in last.argv and last.settings["watch"] is False


def test_who_stops_listening_stops_nothing(phone: Phone, workspace: Workspace) -> None:
    collect(workspace, "--db", phone.writer.path)
    telling = collect_again(workspace)
    next(telling)
    telling.close()  # type: ignore[attr-defined]
    assert len(list_runs(workspace)) == 1
