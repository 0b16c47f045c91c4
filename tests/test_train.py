"""Training: exact on resume, the best checkpoint kept, checkpoints that are whole or not there."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import SMALL, do
from ventriloquist.faults import NoInput, Stopped, UsageFault
from ventriloquist.model import checkpoint, tiny
from ventriloquist.runs import list_runs, read_events
from ventriloquist.windows.file import read_windows
from ventriloquist.workspace import Workspace

QUICK = {**SMALL, "max_steps": 10, "save_steps": 2, "validate_steps": 4, "validation_windows": 6, "name": "run"}


@pytest.fixture(scope="module")
def cut(learnt: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Windows and no checkpoint."""
    root = tmp_path_factory.mktemp("cut")
    shutil.copytree(learnt.data, root / "data")
    return Workspace(root)


@pytest.fixture(scope="module")
def unbroken(cut: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The final checkpoint of a training that nothing disturbed."""
    workspace = clone(cut, tmp_path_factory.mktemp("unbroken"))
    do("train", workspace, **QUICK)
    return workspace.checkpoints / "run" / "final"


def clone(workspace: Workspace, into: Path) -> Workspace:
    shutil.copytree(workspace.data, into / "w" / "data")
    return Workspace(into / "w")


def same_training(one: Path, other: Path) -> bool:
    """Whether two finished trainings have the same weights, optimizer and loss log, bit for bit."""
    progress = [(folder / "progress.json").read_bytes() for folder in (one, other)]
    return (
        progress[0] == progress[1]
        and same_tensors(one / "model.safetensors", other / "model.safetensors")
        and same_tensors(last_of(one) / "model.safetensors", last_of(other) / "model.safetensors")
        and same_tensors(last_of(one) / "optimizer.safetensors", last_of(other) / "optimizer.safetensors")
    )


def last_of(final: Path) -> Path:
    (last,) = final.parent.glob("checkpoint-*")
    return last


def same_tensors(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def losses(workspace: Workspace) -> dict[int, float]:
    """The loss of each step, from all runs, later ones winning."""
    found = {}
    for run in list_runs(workspace):
        for event in read_events(run.folder):
            if event["kind"] == "metric" and "loss" in event["values"]:
                found[event["step"]] = event["values"]["loss"]
    return found


def test_stopped_and_resumed_training_equals_an_unbroken_one(cut: Workspace, unbroken: Path, tmp_path: Path) -> None:
    workspace = clone(cut, tmp_path)

    def stop_at_third_step(event: dict[str, object]) -> None:
        if event["kind"] == "metric" and event["step"] == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        do("train", workspace, paint=stop_at_third_step, **QUICK)
    newest, _ = checkpoint.newest_sound(workspace.checkpoints / "run")
    assert newest is not None
    do("train", workspace, resume=True, **QUICK)
    assert same_training(workspace.checkpoints / "run" / "final", unbroken)
    assert losses(workspace) == losses(Workspace(unbroken.parents[2]))


def test_training_again_does_nothing_and_says_so(cut: Workspace, unbroken: Path) -> None:
    workspace = Workspace(unbroken.parents[2])
    before = (unbroken / "model.safetensors").stat().st_mtime_ns
    makes = do("train", workspace, **QUICK)
    assert makes["checkpoint"] == "run"
    assert (unbroken / "model.safetensors").stat().st_mtime_ns == before


def test_a_name_taken_by_other_settings_is_refused(cut: Workspace, unbroken: Path) -> None:
    with pytest.raises(UsageFault, match="another --name"):
        do("train", Workspace(unbroken.parents[2]), **{**QUICK, "learning_rate": 1e-4})


def test_no_pickle_in_a_checkpoint_and_private_files(unbroken: Path) -> None:
    names = {path.name for path in unbroken.rglob("*")}
    assert {"model.safetensors", "tokenizer.json", "ventriloquist.json", "MANIFEST.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert all(path.stat().st_mode & 0o077 == 0 for path in unbroken.rglob("*") if path.is_file())


@pytest.mark.parametrize("harm", ["missing", "short", "zeroed"])
def test_every_file_of_a_checkpoint_is_guarded(unbroken: Path, tmp_path: Path, harm: str) -> None:
    for name in sorted(path.name for path in unbroken.iterdir()):
        folder = tmp_path / f"{name}-{harm}"
        shutil.copytree(unbroken, folder)
        path = folder / name
        content = path.read_bytes()
        if harm == "missing":
            path.unlink()
        else:
            path.write_bytes(content[: len(content) // 2] if harm == "short" else bytes(len(content)))
        assert checkpoint.damage(folder), f"{name} {harm} went unnoticed"


def test_a_damaged_checkpoint_is_set_aside_and_an_older_one_continued(
    cut: Workspace, unbroken: Path, tmp_path: Path
) -> None:
    workspace = clone(cut, tmp_path)

    def stop_at_fifth_step(event: dict[str, object]) -> None:
        if event["kind"] == "metric" and event["step"] == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        do("train", workspace, paint=stop_at_fifth_step, **QUICK)
    folder = workspace.checkpoints / "run"
    steps = sorted(path.name for path in folder.glob("checkpoint-*"))
    assert len(steps) == 2
    (folder / steps[-1] / "progress.json").write_text("{}")
    do("train", workspace, **QUICK)
    notes = [e["text"] for e in read_events(list_runs(workspace)[-1].folder) if e["kind"] == "note"]
    assert any(f"{steps[-1]} is damaged" in note for note in notes)
    assert (folder / f"damaged-{steps[-1]}").is_dir()
    assert same_training(folder / "final", unbroken)


def test_changed_windows_are_refused(cut: Workspace, tmp_path: Path) -> None:
    workspace = clone(cut, tmp_path)
    with workspace.windows.open("ab") as file:
        file.write(b"{}\n")
    with pytest.raises(NoInput, match="ventriloquist preprocess"):
        do("train", workspace, **QUICK)


def test_no_windows_and_no_base(workspace: Workspace, cut: Workspace, tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="ventriloquist preprocess"):
        do("train", workspace)
    other = clone(cut, tmp_path)
    with pytest.raises(NoInput, match="not on this machine"):
        do("train", other, base="Example/not-downloaded")
    with pytest.raises(NoInput, match=r"no config\.json"):
        do("train", other, base=str(tmp_path))


def test_lora_on_a_local_folder(cut: Workspace, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = tmp_path / "base"
    tokenizer = tiny.build_tokenizer([window.text for window in read_windows(cut, "train")], 700)
    tiny.build_model(len(tokenizer), 64, 2, 5).save_pretrained(base)
    tokenizer.save_pretrained(base)
    workspace = clone(cut, tmp_path)
    makes = do("train", workspace, base=str(base), max_steps=6, learning_rate=1e-2, threads=1, lora_r=4)
    final = workspace.checkpoints / makes["checkpoint"] / "final"
    assert (final / "adapter_model.safetensors").is_file()
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(final))
    assert any("lora" in name for name, _ in loaded.named_parameters())
    result = do("evaluate", workspace, limit=6, threads=1)
    assert result["trained"]["all"] < result["untrained"]["all"]
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "evil.Model"}}))
    with pytest.raises(Exception, match="code of its own"):
        do("evaluate", workspace, limit=6, threads=1)
