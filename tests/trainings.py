"""What the tests of training share: small trainings here and in processes of their own, and how two are compared."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import re
import shutil
import time
from collections.abc import Callable
from datetime import date
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from tests.commands import WAIT, until
from tests.conftest import do
from ventriloquist.cli import stages as stages  # what a child would have to import, imported before it is forked
from ventriloquist.faults import Fault
from ventriloquist.files import sha256
from ventriloquist.model import learn as learn
from ventriloquist.model import planning as planning
from ventriloquist.model import tiny
from ventriloquist.model import voices as voices
from ventriloquist.pipeline import train as train
from ventriloquist.runfold import read_state
from ventriloquist.runs import RunInfo, find_run, list_runs, read_events
from ventriloquist.windows.file import read_windows
from ventriloquist.workspace import Workspace

Case = TypeVar("Case")

PROOFS = bool(os.environ.get("PROOFS"))
"""Whether everything is tried that takes long, as `make proofs` does."""
STEPS = 24
# So few messages so often that the model has learnt them by heart before the end: the best step is not the last one.
TINY = {
    "tiny_hidden": 64, "tiny_layers": 2, "tiny_vocab": 1024, "threads": 1, "device": "cpu", "voices": False,
    "max_steps": STEPS, "save_steps": 5, "validate_steps": 3, "validation_windows": 6, "name": "run",
    "limit": 40, "epochs": 12, "learning_rate": 1.5e-2,
}  # fmt: skip
LORA = {**{name: value for name, value in TINY.items() if not name.startswith("tiny")}, "lora_r": 4}
_METRIC = re.compile(rb'"step": (\d+)')


def with_windows(learnt: Workspace, root: Path) -> Workspace:
    """A workspace of one's own that holds the windows of another, and no checkpoint."""
    leave_out = shutil.ignore_patterns("runs", "lock", "tokens", "evaluations")
    shutil.copytree(learnt.data, root / "data", ignore=leave_out)
    return Workspace(root).prepare()


def make_base(workspace: Workspace, folder: Path) -> Path:
    """An untrained base as a folder, as one that was downloaded is."""
    tokenizer = tiny.build_tokenizer([window.text for window in read_windows(workspace, "train")], 700)
    tiny.build_model(len(tokenizer), 64, 2, 5).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def state_of(out: Path) -> dict[str, str]:
    """The digest of all that a finished training left which two trainings of the same must agree in."""
    folders = [out / "final", *sorted(out.glob("checkpoint-*"))]
    files = [file for folder in folders for file in folder.iterdir()]
    # PEFT writes the layers of an adapter in an order of chance, and the manifest has that file's digest.
    chance = ("MANIFEST.json", "adapter_config.json")
    return {file.relative_to(out).as_posix(): sha256(file) for file in files if file.name not in chance}


def notes(workspace: Workspace) -> list[str]:
    """What the newest run had to say."""
    return [event["text"] for event in read_events(list_runs(workspace)[-1].folder) if event["kind"] == "note"]


def losses(workspace: Workspace) -> dict[int, set[float]]:
    """What all runs told of the loss at each step."""
    found: dict[int, set[float]] = {}
    for run in list_runs(workspace):
        for event in read_events(run.folder):
            if event["kind"] == "metric" and "loss" in event["values"]:
                found.setdefault(event["step"], set()).add(event["values"]["loss"])
    return found


def stop_at(step: int, signal_number: int) -> Callable[[dict[str, Any]], None]:
    """For `paint`: sends this process a signal as soon as the step is told."""

    def look(event: dict[str, Any]) -> None:
        if event["kind"] == "metric" and event["step"] == step and "loss" in event["values"]:
            os.kill(os.getpid(), signal_number)

    return look


def no_change() -> None:
    """What most children do before they train."""


def fork(workspace: Workspace, given: dict[str, Any], prepare: Callable[..., None], *of: Any) -> BaseProcess:
    """Train in a process of its own, which calls `prepare(*of)` before."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", __name__])
    process = context.Process(target=_learn, args=(str(workspace.root), given, prepare, of))
    process.start()
    return process


class Child:
    """A training in a process of its own, forked from one that has everything imported and nothing computed."""

    def __init__(
        self, workspace: Workspace, given: dict[str, Any], prepare: Callable[..., None] = no_change, *of: Any
    ) -> None:
        before = {run.id for run in list_runs(workspace)}
        self.workspace = workspace
        self.process = fork(workspace, given, prepare, *of)
        until(lambda: self._found(before), "a training to begin")
        self.run = self._found(before)[0]
        self.events = self.run.folder / "events.jsonl"

    def _found(self, before: set[str]) -> list[RunInfo]:
        found = [run for run in list_runs(self.workspace) if run.id not in before]
        assert found or self.process.is_alive(), "the training ended before it began"
        return found

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def step(self) -> int:
        """The newest step that its events tell of."""
        content = self.events.read_bytes() if self.events.exists() else b""
        told = _METRIC.findall(content[-4000:])
        return int(told[-1]) if told else 0

    def wait_for(self, true: Callable[[], object]) -> None:
        """Wait until it is true, or the training ends."""
        deadline = time.monotonic() + WAIT
        while self.alive and not true():
            assert time.monotonic() < deadline
            time.sleep(0.0005)

    def kill(self) -> bool:
        """SIGKILL; True if that struck it at work."""
        self.process.kill()
        self.process.join()
        state = read_state(find_run(self.workspace, self.run.id))[1]
        assert state in ("lost", "done"), state
        return state == "lost"

    def end(self) -> int:
        """Wait for its end; returns the exit code."""
        return end_of(self.process)


def end_of(process: BaseProcess) -> int:
    """Wait for the end of a process; returns its exit code."""
    process.join(WAIT)
    assert process.exitcode is not None, "it does not end"
    return process.exitcode


def _learn(root: str, given: dict[str, Any], prepare: Callable[..., None], of: tuple[Any, ...]) -> None:
    """What a child does: train as the command does, and end with its code."""
    os.umask(0o077)
    prepare(*of)
    try:
        do("train", Workspace(Path(root)), **given)
    except Fault as fault:
        os._exit(fault.exit)


def some(cases: list[Case], count: int) -> list[Case]:
    """So many of the cases, other ones each day; all of them for `make proofs`."""
    if PROOFS or count >= len(cases):
        return cases
    return random.Random(date.today().toordinal()).sample(cases, count)


def report_of(folder: Path) -> dict[str, Any]:
    """What a checkpoint's `ventriloquist.json` says."""
    found: dict[str, Any] = json.loads((folder / "ventriloquist.json").read_text())
    return found
