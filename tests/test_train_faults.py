"""Trouble in the middle of a training: one sentence, an exit code, checkpoints that are sound, and a way to go on."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import do
from tests.test_faults import SmallDisk
from tests.trainings import LORA, PROOFS, STEPS, TINY, Child, make_base, notes, some, state_of, stop_at, with_windows
from ventriloquist.faults import DiskFull, Exit, Fault, Stopped
from ventriloquist.model import checkpoint, planning, train
from ventriloquist.model.schedule import Schedule
from ventriloquist.runfold import read_state
from ventriloquist.runs import list_runs, read_events
from ventriloquist.workspace import Workspace

WHOLE = {**TINY, "limit": 0, "epochs": 0.0, "validation_windows": 0}
Paint = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def end(learnt: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a training leaves that nothing disturbs."""
    workspace = with_windows(learnt, tmp_path_factory.mktemp("undisturbed"))
    do("train", workspace, **TINY)
    return state_of(workspace.checkpoints / "run")


@pytest.fixture
def own(learnt: Workspace, tmp_path: Path) -> Workspace:
    """Windows, and nothing learnt."""
    return with_windows(learnt, tmp_path / "w")


def kept(workspace: Workspace) -> list[str]:
    """The names of the checkpoints, which must all be sound and hold nothing but numbers."""
    folders = sorted((workspace.checkpoints / "run").glob("*"))
    for folder in folders:
        assert checkpoint.damage(folder) is None, folder
        for file in folder.glob("*.safetensors"):
            assert all(bool(tensor.isfinite().all()) for tensor in load_file(file).values()), file
    assert not list(workspace.checkpoints.rglob(".*"))
    return [folder.name for folder in folders]


def one_sentence(fault: Fault) -> str:
    told = str(fault)
    assert "\n" not in told and told.endswith(".") and "Error" not in told and len(told) < 300
    return told


def ends_as_if_nothing_had_happened(workspace: Workspace, end: dict[str, str]) -> None:
    do("train", workspace, **TINY)
    assert state_of(workspace.checkpoints / "run") == end


# --- a loss that is no number ------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(
    own: Workspace, end: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = Schedule.rate
    monkeypatch.setattr(Schedule, "rate", lambda self, step: 1e30 if step == 7 else rate(self, step))
    with pytest.raises(Fault) as told:
        do("train", own, **TINY)
    assert told.value.exit == Exit.FAILED
    assert "no longer a number at step 9" in one_sentence(told.value) and "--learning-rate" in str(told.value)
    assert kept(own) == ["best", "checkpoint-5"]
    assert read_state(list_runs(own)[-1])[1] == "failed"
    monkeypatch.undo()
    ends_as_if_nothing_had_happened(own, end)


@pytest.mark.parametrize("rate", [1e30, 3e38])
def test_a_checkpoint_holds_numbers_only(own: Workspace, rate: float) -> None:
    with pytest.raises(Fault, match="no longer a number") as told:
        do("train", own, **{**WHOLE, "learning_rate": rate, "save_steps": 1})
    assert told.value.exit == Exit.FAILED
    kept(own)


def test_a_base_with_a_weight_that_is_no_number(own: Workspace, tmp_path: Path) -> None:
    base = make_base(own, tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"][3, 5] = float("inf")
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(Fault, match="no longer a number at step 1") as told:
        do("train", own, base=str(base), **LORA)
    one_sentence(told.value)
    assert kept(own) == []


# --- too little memory -------------------------------------------------------------------------------------------


def flags_in(sentence: str) -> dict[str, Any]:
    """The settings that a sentence names, as they would be given."""
    found = re.findall(r"--([a-z0-9-]+) (\S+?)[.;]?(?= |$)", sentence)
    return {name.replace("-", "_"): int(value) if value.isdecimal() else value for name, value in found}


@pytest.mark.parametrize("kind", ["whole", "adapter"])
def test_what_cannot_fit_is_refused_with_what_would(
    own: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    given = {**WHOLE, "windows_per_step": 8, "tokens_per_batch": 50_000, "checkpointing": "off", "max_steps": 0}
    given["epochs"] = 0.5
    if kind == "adapter":
        base = str(make_base(own, tmp_path / "base"))
        given = {name: value for name, value in given.items() if not name.startswith("tiny")}
        given = {**given, "base": base, "lora_r": 64}
    free = [0]
    monkeypatch.setattr(planning, "free_memory", lambda device: free[0])
    free[0] = 1 << 40
    need = do("train", own, plan=True, **given)["plan"]["memory"]["total"]
    remedies: set[str] = set()
    while True:
        free[0] = int(need / planning.MARGIN) - 1_000_000
        with pytest.raises(Fault) as told:
            do("train", own, **given)
        sentence = one_sentence(told.value)
        assert told.value.exit == Exit.FAILED and "of memory" in sentence and not (own.checkpoints / "run").exists()
        if "It would fit with" not in sentence:
            assert "To make it fit, choose a smaller --" in sentence or "makes it fit: choose a smaller --" in sentence
            break
        named = flags_in(sentence.partition("fit with")[2])
        remedies |= named.keys()
        assert named and not any(given.get(name) == value for name, value in named.items())
        given = {**given, **named}
        need = do("train", own, plan=True, **given)["plan"]["memory"]["total"]  # it is accepted
    expected = {"checkpointing", "tokens_per_batch"}
    assert remedies == (expected if kind == "whole" else {*expected, "lora_r"})
    free[0] = 1 << 40
    assert do("train", own, **given)["steps"] > 1


def test_checkpointing_is_chosen_where_it_makes_it_fit(own: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {**WHOLE, "windows_per_step": 8, "tokens_per_batch": 50_000, "max_steps": 1}
    need = do("train", own, plan=True, checkpointing="off", **given)["plan"]["memory"]["total"]
    monkeypatch.setattr(planning, "free_memory", lambda device: int(need / planning.MARGIN) - 1000)
    assert do("train", own, plan=True, **given)["plan"]["checkpointing"] is True


def little_memory(room: int) -> None:
    """Let this process have hardly more memory than it has."""
    most = psutil.Process().memory_info().vms + room
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux holds a process to such a limit")
@pytest.mark.parametrize("checkpointing", ["off", "on"] if PROOFS else ["off"])
def test_memory_that_runs_out_ends_in_a_sentence(own: Workspace, checkpointing: str) -> None:
    do("preprocess", own, size=120, stride=100)
    given = {**WHOLE, "windows_per_step": 4, "tokens_per_batch": 100_000, "max_steps": 3, "tiny_layers": 6}
    given |= {"tiny_hidden": 128, "checkpointing": checkpointing}
    with pytest.raises(Stopped):
        do("train", own, paint=stop_at(1, signal.SIGTERM), **given)
    (saved,) = (own.checkpoints / "run").iterdir()
    before = [file.read_bytes() for file in sorted(saved.iterdir())]
    child = Child(own, given, little_memory, 60 << 20)
    assert child.end() == Exit.FAILED
    error = read_state(list_runs(own)[-1])[0].error or ""
    print(error)
    assert [event["name"] for event in read_events(child.run.folder) if event["kind"] == "phase"][-1] == "train"
    assert error.startswith("This machine ran out of memory. The checkpoints are kept; start it again with "), error
    assert ("--checkpointing on" in error) == (checkpointing == "off") and "--" in error
    assert kept(own) == ["checkpoint-1"] and [file.read_bytes() for file in sorted(saved.iterdir())] == before
    assert do("train", own, **{**given, **flags_in(error)})["steps"] == 3
    assert "Going on from checkpoint-1." in notes(own)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB"),
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_way_to_run_out_of_memory_is_known(error: Exception) -> None:
    wanted = planning.Wanted(batch=8192, longest=512, rank=32, bits=0, checkpointing=True)
    cpu = torch.device("cpu")
    with pytest.raises(Fault, match="again with --tokens-per-batch 512"), planning.enough_memory(wanted, cpu):
        raise error
    for other in (RuntimeError("mat1 and mat2 must have the same dtype"), OSError(28, "No space left on device")):
        with pytest.raises(type(other)), planning.enough_memory(wanted, cpu):
            raise other


# --- a disk that fills up ----------------------------------------------------------------------------------------


def at_step(step: int, act: Callable[[], object]) -> Paint:
    """For `paint`: does something once, as soon as the step is told."""
    done = []

    def look(event: dict[str, Any]) -> None:
        if event["kind"] == "metric" and event["step"] == step and not done:
            done.append(act())

    return look


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Limits the size of each file that this process writes, until the test's end."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_that_does_not_fit_on_the_disk(
    own: Workspace, end: dict[str, str], small_files: Callable[[int], None]
) -> None:
    sizes = {"tokenizer": 20_000, "weights": 300_000, "optimizer": 900_000}
    for step, cut_short in zip((7, 12, 17), some(list(sizes), 2), strict=False):
        with pytest.raises(DiskFull) as told:
            do("train", own, paint=at_step(step, lambda file=cut_short: small_files(sizes[file])), **TINY)
        small_files(resource.RLIM_INFINITY)
        print(cut_short)
        assert "Free some space" in one_sentence(told.value) and told.value.exit == Exit.FAILED
        assert f"checkpoint-{step // 5 * 5}" in kept(own) and "final" not in kept(own)
    ends_as_if_nothing_had_happened(own, end)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    small = SmallDisk(tmp_path / "disk", 160)
    if not small.mounted:
        pytest.skip("no file system can be mounted here")
    yield small
    small.close()


def test_a_disk_that_fills_up_while_it_trains(disk: SmallDisk, learnt: Workspace, end: dict[str, str]) -> None:
    with_windows(learnt, disk.workspace.root / "w")
    workspace = Workspace(disk.workspace.root / "w")
    for step, leave in ((7, 700_000), (12, 1_500_000)):
        with pytest.raises(DiskFull) as told:
            do("train", workspace, paint=at_step(step, lambda leave=leave: disk.fill(leave)), **TINY)
        one_sentence(told.value)
        assert f"checkpoint-{step // 5 * 5}" in kept(workspace)
        disk.free()
    ends_as_if_nothing_had_happened(workspace, end)


def test_a_disk_that_is_too_small_is_told_beforehand(disk: SmallDisk, learnt: Workspace) -> None:
    workspace = with_windows(learnt, disk.workspace.root / "w")
    disk.fill(30_000_000)
    with pytest.raises(Fault, match=r"checkpoints of this training take up to .* are free on the disk\. Free some"):
        do("train", workspace, **TINY)
    assert not list(workspace.checkpoints.iterdir())


# --- signals -----------------------------------------------------------------------------------------------------


def test_signals_save_and_stop(own: Workspace, end: dict[str, str]) -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number, step in zip(numbers, sorted(random.sample(range(1, STEPS + 1), 3)), strict=True):
        print(number.name, "at step", step)
        with pytest.raises(Stopped) as told:
            do("train", own, paint=stop_at(step, number), **TINY)
        assert told.value.exit == Exit.STOPPED and "Start it again to go on" in one_sentence(told.value)
        assert f"checkpoint-{step}" in kept(own) and read_state(list_runs(own)[-1])[1] == "stopped"
    ends_as_if_nothing_had_happened(own, end)


def test_signals_while_something_else_is_done(
    own: Workspace, end: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    def interrupt(module: Any, name: str, when: Callable[..., str]) -> None:
        original = getattr(module, name)

        def interrupted(*given: Any, **more: Any) -> Any:
            if (what := when(*given)) and what not in sent:
                sent.append(what)
                os.kill(os.getpid(), signal.SIGTERM)
            return original(*given, **more)

        monkeypatch.setattr(module, name, interrupted)

    interrupt(train.Training, "_validate", lambda training, loss: "validating" if training.progress.step == 9 else "")
    seals = ("best", "checkpoint-15", f"checkpoint-{STEPS}")
    interrupt(train, "seal", lambda staging, final: final.name if final.name in seals else "")
    for _ in range(4):
        with pytest.raises(Stopped):
            do("train", own, **TINY)
        assert any(name.startswith("checkpoint-") for name in kept(own))
    assert sent == ["best", "validating", "checkpoint-15", f"checkpoint-{STEPS}"]
    ends_as_if_nothing_had_happened(own, end)


def test_signals_at_any_moment_of_a_process(own: Workspace, end: dict[str, str]) -> None:
    draw = random.Random()
    for _ in range(20 if PROOFS else 2):
        child = Child(own, TINY)
        moment = draw.randint(0, STEPS)
        child.wait_for(lambda child=child, moment=moment: child.step() >= moment)
        assert child.process.pid
        if child.alive:
            os.kill(child.process.pid, draw.choice([signal.SIGTERM, signal.SIGINT]))
        code = child.end()
        print(moment, code)
        assert code in (Exit.STOPPED, Exit.DONE)
        if code == Exit.DONE:
            shutil.rmtree(own.checkpoints / "run")
    ends_as_if_nothing_had_happened(own, end)
    assert not [event for event in read_events(list_runs(own)[-1].folder) if event.get("level") == "warning"]
