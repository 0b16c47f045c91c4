"""Several processes train one model as one process would, whatever started them, and whatever ends them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.commands import WAIT, ventriloquist
from tests.conftest import do
from tests.trainings import LORA, PROOFS, TINY, Child, end_of, fork, make_base, report_of, with_windows
from ventriloquist.faults import Exit
from ventriloquist.locks import is_locked
from ventriloquist.model.checkpoint import damage
from ventriloquist.runfold import read_state
from ventriloquist.runs import list_runs
from ventriloquist.settings import STAGES
from ventriloquist.workspace import Workspace

GIVEN = {**TINY, "max_steps": 8, "limit": 0, "windows_per_step": 4, "learning_rate": 6e-3}
ADAPTER = {**LORA, "max_steps": 8, "limit": 0, "windows_per_step": 4, "learning_rate": 1e-2, "shard": False}
CLOSE = 1e-5
SHARD = [True, False] if PROOFS else [True]
proofs = pytest.mark.skipif(not PROOFS, reason="takes long; make proofs does it")


def log_of(workspace: Workspace) -> list[list[float]]:
    """The whole loss log of the finished training."""
    found: list[list[float]] = json.loads((workspace.checkpoints / "run/final/progress.json").read_text())["log"]
    return found


def same(workspace: Workspace, one_process: Workspace) -> float:
    """Check that two trainings told the same at every step; returns how far apart their losses were at most."""
    ours, theirs = log_of(workspace), log_of(one_process)
    assert len(ours) == len(theirs) == GIVEN["max_steps"]
    assert [row[3:] for row in ours] == [row[3:] for row in theirs], "the same windows"
    apart = max(abs(a[0] - b[0]) for a, b in zip(ours, theirs, strict=True))
    assert apart < CLOSE
    assert max(row[0] for row in theirs) - min(row[0] for row in theirs) > 1000 * CLOSE, "something was learnt"
    bests = [report_of(each.checkpoints / "run/final") for each in (workspace, one_process)]
    assert bests[0]["step"] == bests[1]["step"]
    for name, value in bests[0]["metrics"].items():
        assert abs(value - bests[1]["metrics"][name]) < CLOSE
    return apart


@pytest.fixture(scope="module")
def whole(learnt: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The tiny base, trained whole by one process."""
    workspace = with_windows(learnt, tmp_path_factory.mktemp("whole"))
    do("train", workspace, **GIVEN)
    return workspace


@pytest.fixture(scope="module")
def base(learnt: Workspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_base(learnt, tmp_path_factory.mktemp("base")))


@pytest.fixture(scope="module")
def adapter(learnt: Workspace, base: str, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """An adapter, trained by one process."""
    workspace = with_windows(learnt, tmp_path_factory.mktemp("adapter"))
    do("train", workspace, base=base, **ADAPTER)
    return workspace


# --- processes that a launcher starts ---------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def launched(launcher: str, workspace: Workspace, given: dict[str, Any]) -> list[str]:
    """The command line that trains with two processes."""
    bin_ = Path(sys.executable).parent
    port = str(free_port())
    accelerate = [str(bin_ / "accelerate"), "launch", "--num_processes", "2", "--main_process_port", port]
    start = {
        "multi_gpu": [*accelerate, "--multi_gpu"],
        "fsdp": [*accelerate, "--use_fsdp", "--fsdp_version", "2"],
        "torchrun": [str(bin_ / "torchrun"), "--nproc_per_node", "2", "--master_port", port],
    }[launcher]
    return [*start, "-m", "ventriloquist", "--workspace", str(workspace.root), *STAGES["train"].argv(**given)]


def launch(launcher: str, workspace: Workspace, given: dict[str, Any]) -> None:
    told = subprocess.run(
        launched(launcher, workspace, given), capture_output=True, encoding="utf-8", timeout=WAIT, check=False
    )
    assert told.returncode == 0, told.stderr[-3000:]
    assert told.stderr.count("train: save") == 1, "only the first process tells anything"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "shard"),
    [("multi_gpu", True), ("multi_gpu", False), ("fsdp", True), ("torchrun", True)][: None if PROOFS else 1],
)
def test_two_launched_processes_learn_as_one(
    learnt: Workspace, whole: Workspace, tmp_path: Path, launcher: str, shard: bool
) -> None:
    workspace = with_windows(learnt, tmp_path / "w")
    launch(launcher, workspace, {**GIVEN, "shard": shard})
    print(f"{launcher}, {'sharded' if shard else 'replicated'}: {same(workspace, whole):.1e} apart")
    assert len(list_runs(workspace)) == 1


@proofs
def test_two_launched_processes_learn_an_adapter_as_one(
    learnt: Workspace, base: str, adapter: Workspace, tmp_path: Path
) -> None:
    for launcher in ("multi_gpu", "torchrun"):
        workspace = with_windows(learnt, tmp_path / launcher)
        launch(launcher, workspace, {**ADAPTER, "base": base})
        print(f"an adapter, {launcher}: {same(workspace, adapter):.1e} apart")


@proofs
@pytest.mark.parametrize("how", ["runs stop", "the launcher"] if PROOFS else ["runs stop"])
def test_launched_processes_are_stopped_together(learnt: Workspace, whole: Workspace, tmp_path: Path, how: str) -> None:
    workspace = with_windows(learnt, tmp_path / "w")
    words = launched("multi_gpu", workspace, GIVEN)
    launcher = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_step(workspace, 2)
    if how == "runs stop":
        assert ventriloquist(workspace, "runs", "stop", list_runs(workspace)[-1].id).returncode == 0
    else:
        launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(WAIT) != 0
    assert read_state(list_runs(workspace)[-1])[1] == "stopped" and not is_locked(workspace.lock)
    assert not saved_is_damaged(workspace)
    launch("multi_gpu", workspace, {**GIVEN, "resume": True})
    same(workspace, whole)


def wait_for_step(workspace: Workspace, step: int) -> None:
    deadline = time.monotonic() + WAIT
    while not any(f'"step": {step}' in path.read_text() for path in workspace.runs.glob("*/events.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def saved_is_damaged(workspace: Workspace) -> Sequence[str]:
    """What is wrong with the checkpoints; there must be some."""
    found = list((workspace.checkpoints / "run").glob("checkpoint-*"))
    assert found
    return [problem for folder in found if (problem := damage(folder))]


# --- processes of this test's own, which begin faster -----------------------------------------------------------


def be(rank: int, port: int) -> None:
    """Be one of two processes, as a launcher would say."""
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in own.items()})


class Two:
    """A training by two processes."""

    def __init__(self, workspace: Workspace, given: dict[str, Any]) -> None:
        port = free_port()
        self.first = Child(workspace, given, be, 0, port)
        self.second = fork(workspace, given, be, 1, port)

    def reach(self, step: int) -> None:
        self.first.wait_for(lambda: self.first.step() >= step)
        assert self.first.alive

    def end(self) -> tuple[int, int]:
        return self.first.end(), end_of(self.second)

    def kill(self) -> None:
        self.second.kill()
        assert self.first.kill(), "it was at work"
        self.second.join()


def test_two_processes_learn_an_adapter_as_one(
    learnt: Workspace, base: str, adapter: Workspace, tmp_path: Path
) -> None:
    workspace = with_windows(learnt, tmp_path / "w")
    assert Two(workspace, {**ADAPTER, "base": base}).end() == (Exit.DONE, Exit.DONE)
    print(f"an adapter: {same(workspace, adapter):.1e} apart")


@pytest.mark.parametrize("shard", SHARD)
def test_two_killed_processes_go_on_as_one(learnt: Workspace, whole: Workspace, tmp_path: Path, shard: bool) -> None:
    workspace = with_windows(learnt, tmp_path / "w")
    two = Two(workspace, {**GIVEN, "shard": shard})
    two.reach(6)
    two.kill()
    assert not saved_is_damaged(workspace)
    assert Two(workspace, {**GIVEN, "shard": shard}).end() == (Exit.DONE, Exit.DONE)
    same(workspace, whole)


@proofs
@pytest.mark.parametrize("shard", SHARD)
def test_one_goes_on_where_two_were(learnt: Workspace, whole: Workspace, tmp_path: Path, shard: bool) -> None:
    workspace = with_windows(learnt, tmp_path / "w")
    two = Two(workspace, {**GIVEN, "shard": shard})
    two.reach(6)
    two.kill()
    do("train", workspace, resume=True, **{**GIVEN, "shard": shard})
    same(workspace, whole)


@proofs
@pytest.mark.parametrize("shard", SHARD)
def test_two_go_on_where_one_was(learnt: Workspace, whole: Workspace, tmp_path: Path, shard: bool) -> None:
    workspace = with_windows(learnt, tmp_path / "w")
    one = Child(workspace, GIVEN)
    one.wait_for(lambda: one.step() >= 6)
    assert one.kill()
    assert Two(workspace, {**GIVEN, "shard": shard, "resume": True}).end() == (Exit.DONE, Exit.DONE)
    same(workspace, whole)


@pytest.mark.parametrize("stopped", [1, 0] if PROOFS else [1])
def test_a_signal_to_one_process_stops_both(learnt: Workspace, whole: Workspace, tmp_path: Path, stopped: int) -> None:
    workspace = with_windows(learnt, tmp_path / "w")
    two = Two(workspace, GIVEN)
    two.reach(4)
    process = (two.first.process, two.second)[stopped]
    assert process.pid
    os.kill(process.pid, signal.SIGTERM)
    assert two.end() == (Exit.STOPPED, Exit.STOPPED)
    assert read_state(list_runs(workspace)[-1])[1] == "stopped"
    assert not saved_is_damaged(workspace)
    do("train", workspace, resume=True, **GIVEN)  # by one process
    same(workspace, whole)


@proofs
def test_one_that_is_left_alone_ends(learnt: Workspace, whole: Workspace, tmp_path: Path) -> None:
    workspace = with_windows(learnt, tmp_path / "w")
    two = Two(workspace, GIVEN)
    two.reach(6)
    two.second.kill()
    assert two.first.end() == Exit.FAILED
    error = read_state(list_runs(workspace)[-1])[0].error
    assert error and error.startswith("Another process of this training has ended. The checkpoints are kept;")
    assert not saved_is_damaged(workspace)
    do("train", workspace, resume=True, **GIVEN)
    same(workspace, whole)


@proofs
def test_a_step_has_a_window_for_each(learnt: Workspace, tmp_path: Path) -> None:
    workspace = with_windows(learnt, tmp_path / "w")
    given = {**GIVEN, "windows_per_step": 1, "max_steps": 3}
    assert Two(workspace, given).end() == (Exit.DONE, Exit.DONE)
    assert all(row[3] > 0 and row[4] > 0 for row in log_of(workspace))


def test_other_windows_on_another_machine_are_refused(learnt: Workspace, tmp_path: Path) -> None:
    one, other = with_windows(learnt, tmp_path / "one"), with_windows(learnt, tmp_path / "other")
    do("preprocess", other, size=10, stride=9)
    port = free_port()
    first = Child(one, GIVEN, be, 0, port)
    second = fork(other, GIVEN, be, 1, port)
    assert (first.end(), end_of(second)) == (Exit.FAILED, Exit.FAILED)
    error = read_state(list_runs(one)[-1])[0].error
    assert error and "differ in training windows or settings" in error and not list(one.checkpoints.glob("*/*"))
