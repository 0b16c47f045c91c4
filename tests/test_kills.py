"""kill -9 at any moment: whoever looks sees the old or the new, and starting again gives what an unbroken run gives."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.commands import command, until, ventriloquist
from tests.conftest import do
from tests.messages_db import ChatDbWriter
from ventriloquist.locks import is_locked
from ventriloquist.runfold import read_state
from ventriloquist.runs import RunInfo, list_runs, read_events
from ventriloquist.store import Store
from ventriloquist.windows.file import read_report
from ventriloquist.workspace import Workspace

MESSAGES = 6000


@dataclass
class History:
    """A chat.db whose newest rows are in its log, and a shorter one of the same people."""

    path: Path
    shorter: Path

    def content(self) -> tuple[bytes, bytes]:
        return self.path.read_bytes(), self.path.with_name("chat.db-wal").read_bytes()


def write_history(folder: Path, messages: int) -> ChatDbWriter:
    writer = ChatDbWriter(folder)
    people = [writer.handle(f"+1202555{number:04}") for number in range(100, 112)]
    chats = [writer.chat(person) for person in people] + [writer.chat(*people[:4]), writer.chat(*people[4:9])]
    random_ = random.Random(7)
    writer.db.execute("BEGIN")
    for number in range(messages):
        chat = random_.randrange(len(chats))
        sender = random_.choice([0, people[chat] if chat < len(people) else people[chat - 10]])
        row = writer.message(chats[chat], f"number {number} " + "word " * random_.randrange(12), sender)
        if number % 4 == 0:
            writer.attach(row, f"A-{number}", mime_type="image/jpeg", transfer_name=f"IMG_{number}.jpeg")
    writer.db.execute("COMMIT")
    return writer


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("history")
    shorter = write_history(folder / "shorter", 400).close()
    writer = write_history(folder / "whole", MESSAGES)
    copy = folder / "as it lies"
    copy.mkdir()
    for part in ("chat.db", "chat.db-wal"):  # as the disk holds them while Messages runs
        shutil.copyfile(writer.folder / part, copy / part)
    writer.close()
    found = History(copy / "chat.db", shorter)
    assert len(found.content()[1]) > 100_000
    return found


class Killing:
    """Does a stage in forked processes of its own and kills them; counts how many were in their middle."""

    def __init__(self, workspace: Workspace, stage: str, **given: Any) -> None:
        self.workspace, self.stage, self.given = workspace, stage, given
        self.kills = self.struck = 0
        self.random = random.Random(f"{stage} 1")
        self.aim = 1.0
        """What part of the time it took before it takes now: less on a machine that was busier then."""

    def unbroken(self) -> None:
        """Do it to its end."""
        assert os.waitstatus_to_exitcode(os.waitpid(self._fork(), 0)[1]) == 0
        assert read_state(list_runs(self.workspace)[-1])[1] == "done"

    def kill(self, seconds: float) -> None:
        """Kill it at a moment of `seconds` that it takes after its first event."""
        before = {run.id for run in list_runs(self.workspace)}
        child = self._fork()
        until(lambda: self._began(before), "the first event")
        time.sleep(self.random.uniform(0, seconds * self.aim))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.kills += 1
        struck = read_state(list_runs(self.workspace)[-1])[1] == "lost"
        self.struck += struck
        self.aim *= 1.0 if struck else 0.5
        assert not is_locked(self.workspace.lock)

    def _began(self, before: set[str]) -> bool:
        return any(run.id not in before and read_events(run.folder) for run in list_runs(self.workspace))

    def _fork(self) -> int:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                do(self.stage, self.workspace, **self.given)
                code = 0
            finally:
                os._exit(code)
        return child

    def check(self) -> None:
        """A clear majority of the kills must have met the stage at work, or the test shows nothing."""
        print(f"{self.stage}: {self.struck} of {self.kills} kills struck in the middle")
        assert self.kills >= 10 and self.struck >= 0.75 * self.kills


def seconds_of(run: RunInfo) -> float:
    times = [datetime.fromisoformat(event["t"]).timestamp() for event in read_events(run.folder)]
    return times[-1] - times[0]


def exported(workspace: Workspace) -> list[dict[str, Any]]:
    with Store.open(workspace) as store:
        return list(store.export())


def nothing_left_over(workspace: Workspace) -> None:
    assert not [path for path in workspace.root.rglob("*") if path.name.endswith((".partial", ".staging"))]


def copied(workspace: Workspace, to: Path) -> Workspace:
    shutil.copytree(workspace.root, to)
    return Workspace(to)


@pytest.fixture(scope="module")
def collected(history: History, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("collected"))
    do("collect", workspace, db=history.path, region="US")
    return workspace


def test_collect(history: History, collected: Workspace, workspace: Workspace, tmp_path: Path) -> None:
    source = history.content()
    do("collect", workspace, db=history.shorter, region="US")
    old, new = exported(workspace), exported(collected)
    assert len(new) == MESSAGES
    killing = Killing(workspace, "collect", db=history.path, region="US")
    warm = copied(workspace, tmp_path / "warm")
    Killing(warm, "collect", db=history.path, region="US").unbroken()
    seconds = 0.8 * seconds_of(list_runs(warm)[-1])
    for _ in range(14):
        killing.kill(seconds)
        assert exported(workspace) in (old, new)
    killing.unbroken()
    assert exported(workspace) == new and history.content() == source
    with Store.open(workspace) as ours, Store.open(collected) as theirs:
        assert ours.ledger() == theirs.ledger() and ours.fingerprint() == theirs.fingerprint()
    nothing_left_over(workspace)
    killing.check()


def test_describe(collected: Workspace, tmp_path: Path) -> None:
    whole, broken = copied(collected, tmp_path / "whole"), copied(collected, tmp_path / "broken")
    do("describe", whole)
    killing = Killing(broken, "describe")
    seconds = seconds_of(list_runs(whole)[-1])
    known: set[str] = set()
    for _ in range(12):
        killing.kill(seconds / 3)  # what was described stays, so that each goes on a little
        now = {file["guid"] for each in exported(broken) for file in each["attachments"] if file["description"]}
        assert known <= now, "a description was lost"
        known = now
    killing.unbroken()
    assert exported(broken) == exported(whole)
    assert all(file["description"] for each in exported(broken) for file in each["attachments"])
    nothing_left_over(broken)
    killing.check()


def test_preprocess(collected: Workspace, tmp_path: Path) -> None:
    whole, broken = copied(collected, tmp_path / "whole"), copied(collected, tmp_path / "broken")
    given = {"size": 24, "stride": 3}
    do("preprocess", broken, size=12, stride=12)
    old = broken.windows.read_bytes()
    for _ in range(2):  # the first makes the store's fingerprint too, which takes as long again
        do("preprocess", whole, **given)
    new = whole.windows.read_bytes()
    killing = Killing(broken, "preprocess", **given)
    seconds, half_written = seconds_of(list_runs(whole)[-1]), 0
    for _ in range(12):
        killing.kill(seconds)
        assert broken.windows.read_bytes() in (old, new)
        half_written += any(path.stat().st_size for path in broken.data.glob(".*.partial"))
        report = read_report(broken)
        assert report and report["settings"]["size"] in (12, 24)
    killing.unbroken()
    assert broken.windows.read_bytes() == new
    assert broken.windows_report.read_bytes() == whole.windows_report.read_bytes()
    nothing_left_over(broken)
    assert half_written >= 3
    killing.check()


@pytest.mark.slow
def test_evaluate(learnt: Workspace, tmp_path: Path) -> None:
    whole, broken = copied(learnt, tmp_path / "whole"), copied(learnt, tmp_path / "broken")
    words = ("evaluate", "--limit", 6, "--threads", 1)
    assert ventriloquist(whole, *words).returncode == 0
    old = {path.name: path.read_bytes() for path in broken.evaluations.iterdir()}
    new = {path.name: path.read_bytes() for path in whole.evaluations.iterdir()}
    struck = 0
    for phase in ("the trained model", "the model before training"):
        child = subprocess.Popen(command(broken, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(reached(broken, phase), phase)
        child.kill()
        child.wait()
        struck += read_state(list_runs(broken)[-1])[1] == "lost"
        assert {path.name: path.read_bytes() for path in broken.evaluations.iterdir()} in (old, new)
    assert struck == 2, f"{struck} of 2 kills struck in the middle"
    assert ventriloquist(broken, *words).returncode == 0
    assert {path.name: path.read_bytes() for path in broken.evaluations.iterdir()} == new != old
    nothing_left_over(broken)


def reached(workspace: Workspace, phase: str) -> Callable[[], bool]:
    """A question: has a run begun after now that is in this phase?"""
    before = {run.id for run in list_runs(workspace)}

    def has() -> bool:
        new = [run for run in list_runs(workspace) if run.id not in before]
        return any(
            event["kind"] == "phase" and event["name"] == phase for run in new for event in read_events(run.folder)
        )

    return has
