"""Damage to what a training left: it ends as if nothing had happened and says what was set aside, or says why not."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import do
from tests.trainings import STEPS, TINY, notes, report_of, some, state_of, stop_at, with_windows
from ventriloquist.faults import Exit, Fault, NoInput, Stopped
from ventriloquist.model import checkpoint
from ventriloquist.runs import list_runs
from ventriloquist.workspace import Workspace

GIVEN = {**TINY, "save_steps": 4}


def missing(path: Path) -> None:
    path.unlink()


def short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def garbage(folder: Path) -> None:
    (folder / "MANIFEST.json").write_text('{"files": [')


def nothing_named(folder: Path) -> None:
    (folder / "MANIFEST.json").write_text('{"files": {}}')


def emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def more(folder: Path) -> None:
    (folder / "special_tokens_map.json").write_text("{}")


TO_FILES = (missing, short, zeroed, flipped, directory)
TO_FOLDERS = (garbage, nothing_named, emptied, more)


@dataclass(frozen=True)
class Harm:
    """One way to damage a folder: `do` to its file `name`, or to all of it."""

    do: Callable[[Path], None]
    name: str = ""

    def __call__(self, folder: Path) -> None:
        self.do(folder / self.name)

    def __str__(self) -> str:
        return f"{self.name or 'the folder'}: {self.do.__name__}"


def harms(folder: Path) -> list[Harm]:
    """Every way to damage this folder."""
    names = sorted(path.name for path in folder.iterdir())
    return [Harm(do, name) for name in names for do in TO_FILES] + [Harm(do) for do in TO_FOLDERS]


@dataclass(frozen=True)
class Prepared:
    """Trainings of the same that nothing disturbed or that were stopped, and what the first one's end is."""

    finished: Workspace
    end: dict[str, str]
    best: int
    stopped: dict[str, Workspace]


@pytest.fixture(scope="module")
def prepared(learnt: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    root = tmp_path_factory.mktemp("prepared")
    finished = with_windows(learnt, root / "finished")
    do("train", finished, **GIVEN)
    end, best = state_of(finished.checkpoints / "run"), report_of(finished.checkpoints / "run" / "final")["step"]
    assert 0 < best < 12, "the best step must lie before the newest checkpoints for these tests to mean something"
    stops = {"long after the best": (14,), "after the best": (best + 1,), "twice": (best, best + 1)}
    stopped = {}
    for name, steps in stops.items():
        stopped[name] = with_windows(learnt, root / name)
        for step in steps:
            with pytest.raises(Stopped):
                do("train", stopped[name], paint=stop_at(step, signal.SIGTERM), **GIVEN)
    return Prepared(finished, end, best, stopped)


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[Callable[[Workspace], Workspace]]:
    """Makes copies to be damaged."""
    numbers = iter(range(1000))

    def copy(workspace: Workspace) -> Workspace:
        folder = tmp_path / str(next(numbers))
        shutil.copytree(workspace.root, folder)
        return Workspace(folder)

    return copy


Copy = Callable[[Workspace], Workspace]


def newest(workspace: Workspace) -> Path:
    """The checkpoint that would be resumed from."""
    return max((workspace.checkpoints / "run").glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))


def ends_as_if_nothing_had_happened(workspace: Workspace, prepared: Prepared, *words: str) -> None:
    """Train on to the end; the notes must hold these words."""
    do("train", workspace, **GIVEN)
    assert state_of(workspace.checkpoints / "run") == prepared.end
    told = "\n".join(notes(workspace))
    assert all(word in told for word in words), told


def test_stops_alone_change_nothing(prepared: Prepared, copies: Copy) -> None:
    for workspace in prepared.stopped.values():
        ends_as_if_nothing_had_happened(copies(workspace), prepared, "Going on from")


def test_damage_to_the_newest_checkpoint(prepared: Prepared, copies: Copy) -> None:
    stopped = prepared.stopped["long after the best"]
    assert newest(stopped).name == "checkpoint-14"
    for harm in some(harms(newest(stopped)), 3):
        workspace = copies(stopped)
        harm(newest(workspace))
        print(harm)
        ends_as_if_nothing_had_happened(
            workspace, prepared, "checkpoint-14 is damaged", "damaged-checkpoint-14", "Going on from checkpoint-12"
        )


def test_damage_to_the_best_checkpoint_of_which_there_is_another(prepared: Prepared, copies: Copy) -> None:
    stopped = prepared.stopped["twice"]
    best = stopped.checkpoints / "run" / "best"
    assert (best.parent / f"checkpoint-{prepared.best}").is_dir()
    for harm in some(harms(best), 2):
        workspace = copies(stopped)
        harm(workspace.checkpoints / "run" / "best")
        print(harm)
        words = ("best is damaged", "damaged-best", f"Going on from checkpoint-{prepared.best + 1}")
        ends_as_if_nothing_had_happened(workspace, prepared, *words)


def test_damage_to_the_only_best_checkpoint(prepared: Prepared, copies: Copy) -> None:
    for name, before in (("after the best", True), ("long after the best", False)):
        stopped = prepared.stopped[name]
        for harm in some(harms(stopped.checkpoints / "run" / "best"), 1):
            workspace = copies(stopped)
            harm(workspace.checkpoints / "run" / "best")
            print(name, harm)
            again = newest(workspace).name
            words = ["best is damaged", "damaged-best", f"of step {prepared.best}, is gone", f"unused-{again}"]
            words += [f"Going on from checkpoint-{prepared.best // 4 * 4}"] if before else []
            ends_as_if_nothing_had_happened(workspace, prepared, *words)


def test_a_best_checkpoint_that_is_gone(prepared: Prepared, copies: Copy) -> None:
    workspace = copies(prepared.stopped["long after the best"])
    shutil.rmtree(workspace.checkpoints / "run" / "best")
    ends_as_if_nothing_had_happened(workspace, prepared, f"of step {prepared.best}, is gone", "unused-checkpoint-14")


def test_damage_to_everything(prepared: Prepared, copies: Copy) -> None:
    workspace = copies(prepared.stopped["long after the best"])
    for folder in list((workspace.checkpoints / "run").iterdir()):
        flipped(folder / "model.safetensors")
    words = ("damaged-checkpoint-14", "damaged-checkpoint-12", "damaged-best")
    ends_as_if_nothing_had_happened(workspace, prepared, *words)


def test_damage_to_the_finished_checkpoint(prepared: Prepared, copies: Copy) -> None:
    final = prepared.finished.checkpoints / "run" / "final"
    for harm in some(harms(final), 2):
        workspace = copies(prepared.finished)
        final = workspace.checkpoints / "run" / "final"
        harm(final)
        print(harm)
        is_none = (harm.name == "ventriloquist.json" and harm.do in (missing, directory)) or harm.do is emptied
        fault = refused(workspace, "run")
        assert fault.exit == (Exit.NO_INPUT if is_none else Exit.FAILED)
        if not is_none:
            assert "is damaged: " in str(fault) and "Train again" in str(fault)
        ends_as_if_nothing_had_happened(workspace, prepared, "final is damaged", "damaged-final")
        assert checkpoint.damage(workspace.checkpoints / "run" / "final") is None


def refused(workspace: Workspace, name: str) -> Fault:
    """What evaluating and talking with a checkpoint is refused with, which must be the same sentence."""
    with pytest.raises(Fault) as talking:
        checkpoint.find(workspace, name)  # all that chat and the app do before they start the model
    with pytest.raises(Fault) as evaluating:
        do("evaluate", workspace, checkpoint=name)
    assert str(talking.value) == str(evaluating.value) and "\n" not in str(talking.value)
    return talking.value


def test_files_that_nothing_reads_do_no_harm(prepared: Prepared, copies: Copy) -> None:
    stopped, finished = copies(prepared.stopped["long after the best"]), copies(prepared.finished)
    for workspace in (stopped, finished):
        for folder in list((workspace.checkpoints / "run").iterdir()):
            (folder / "notes.txt").write_text("mine")
            (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    ends_as_if_nothing_had_happened(stopped, prepared, "Going on from checkpoint-14")
    before = state_of(finished.checkpoints / "run")
    do("train", finished, **GIVEN)
    assert state_of(finished.checkpoints / "run") == before


def test_damage_elsewhere_is_no_news_to_a_finished_training(prepared: Prepared, copies: Copy) -> None:
    workspace = copies(prepared.finished)
    flipped(workspace.checkpoints / "run" / f"checkpoint-{STEPS}" / "optimizer.safetensors")
    do("train", workspace, **GIVEN)
    assert any("finished already" in note for note in notes(workspace))
    assert len(list_runs(workspace)) == len(list_runs(prepared.finished)) + 1


def test_nothing_to_resume_from(prepared: Prepared, copies: Copy) -> None:
    workspace = copies(prepared.stopped["long after the best"])
    for folder in list((workspace.checkpoints / "run").iterdir()):
        emptied(folder)
    with pytest.raises(NoInput, match=r"no checkpoint in .* to resume from"):
        do("train", workspace, resume=True, **GIVEN)
