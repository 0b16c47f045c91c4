"""What can be set for a training does what it says: adapters, precision, batches, samples, parents, plans."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.conftest import do
from tests.trainings import LORA, TINY, make_base, notes, report_of, stop_at, with_windows
from ventriloquist import runs
from ventriloquist.cli import root
from ventriloquist.faults import Exit, Fault, Stopped, UsageFault
from ventriloquist.model import learn
from ventriloquist.model.load import load
from ventriloquist.model.state import trained
from ventriloquist.pipeline.status import status
from ventriloquist.runs import list_runs
from ventriloquist.settings import TrainSettings
from ventriloquist.windows.build import Window
from ventriloquist.windows.sample import sample
from ventriloquist.workspace import Workspace

PLAIN = {"limit": 0, "epochs": 0.0, "validation_windows": 0}
"""Settings of a training on all windows that measures nothing on the way."""
WHOLE = {**TINY, **PLAIN}
ADAPTER = {**LORA, **PLAIN, "max_steps": 6, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def base(learnt: Workspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_base(learnt, tmp_path_factory.mktemp("bases") / "base"))


@pytest.fixture(scope="module")
def parents(learnt: Workspace, base: str, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a finished training of each kind, `whole` and `adapter`, and then other windows."""
    workspace = with_windows(learnt, tmp_path_factory.mktemp("parents"))
    do("train", workspace, **{**WHOLE, "max_steps": 40, "learning_rate": 1e-2, "name": "whole"})
    do("train", workspace, base=base, **{**ADAPTER, "max_steps": 30, "learning_rate": 2e-2, "name": "adapter"})
    do("preprocess", workspace, size=16, stride=12)
    return workspace


@pytest.fixture
def workspace_(learnt: Workspace, tmp_path: Path) -> Workspace:
    """Windows, and nothing learnt."""
    return with_windows(learnt, tmp_path / "w")


def final(workspace: Workspace, name: str = "run") -> Path:
    return workspace.checkpoints / name / "final"


def log_of(workspace: Workspace, name: str = "run") -> list[list[float]]:
    found: list[list[float]] = json.loads((final(workspace, name) / "progress.json").read_text())["log"]
    return found


def weights(workspace: Workspace, name: str = "run") -> dict[str, torch.Tensor]:
    (path,) = final(workspace, name).glob("*model.safetensors")
    return dict(load_file(path))


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference between two models' weights."""
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


# --- going on from a checkpoint, on other data -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["whole", "adapter"])
def test_continue_from_begins_where_the_other_ended(parents: Workspace, base: str, kind: str) -> None:
    given = WHOLE if kind == "whole" else {**ADAPTER, "base": base}
    settings = TrainSettings.load(parents, **given, continue_from=kind)
    opened = learn.open_base(settings, lambda: [], None, final(parents, kind))
    model = learn.prepare(opened, settings, continue_from=final(parents, kind)).model
    before = weights(parents, kind)
    now = {name.replace(".default", ""): weight.detach() for name, weight in trained(model).items()}
    assert apart(now, before) == 0.0
    few = {**given, "max_steps": 3, "learning_rate": 1e-6}
    do("train", parents, continue_from=kind, **{**few, "name": f"{kind}-on"})
    do("train", parents, **{**few, "name": f"{kind}-anew"})
    loss, anew = log_of(parents, f"{kind}-on")[0][0], log_of(parents, f"{kind}-anew")[0][0]
    ended = sum(row[0] for row in log_of(parents, kind)[-8:]) / 8
    began = log_of(parents, kind)[0][0]
    assert began - ended > 0.3, "the other had learnt something"
    assert abs(loss - ended) < began - ended and anew - loss > 0.5 * (began - ended)
    assert report_of(final(parents, f"{kind}-on"))["settings"]["continue_from"] == kind


def test_continue_from_refuses_what_it_cannot_go_on_from(
    parents: Workspace, base: str, learnt: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = str(make_base(learnt, tmp_path / "other"))
    shape = json.loads((Path(other) / "config.json").read_text())
    (Path(other) / "config.json").write_text(json.dumps({**shape, "rope_theta": 5e5}))
    before = {path: path.stat().st_mtime_ns for path in parents.checkpoints.rglob("*")}
    for given, continue_from, words in (
        ({**ADAPTER, "base": other, "name": "new"}, "adapter", "another base"),
        ({**ADAPTER, "base": base, "name": "new"}, "whole", "another base"),
        ({**WHOLE, "name": "new"}, "adapter", "another base than tiny"),
        ({**WHOLE, "name": "whole"}, "whole", "continue from itself"),
        ({**WHOLE, "name": "whole", "fresh": True}, str(final(parents, "whole")), "continue from itself"),
    ):
        with pytest.raises(UsageFault, match=words):
            do("train", parents, continue_from=continue_from, **given)
    monkeypatch.chdir(parents.root)
    (tmp_path / "link").symlink_to(parents.checkpoints / "whole")
    for spelt in ("checkpoints/whole", "./checkpoints/../checkpoints/whole/final", str(tmp_path / "link")):
        with pytest.raises(UsageFault, match="continue from itself"):
            do("train", parents, continue_from=spelt, **{**WHOLE, "name": "whole", "fresh": True})
    for flag, kind in (("lora_r", 8), ("lora_alpha", 99), ("dora", True), ("lora_dropout", 0.5)):
        with pytest.raises(UsageFault, match=f"leave --{flag.replace('_', '-')} out"):
            do("train", parents, continue_from="adapter", base=base, **{**ADAPTER, "name": "new", flag: kind})
    with pytest.raises(Fault, match="no checkpoint called nobody") as told:
        do("train", parents, continue_from="nobody", **WHOLE)
    assert told.value.exit == Exit.NO_INPUT
    assert {path: path.stat().st_mtime_ns for path in parents.checkpoints.rglob("*")} == before
    damaged = Workspace(tmp_path / "damaged")
    shutil.copytree(parents.root, damaged.root)
    (final(damaged, "adapter") / "adapter_model.safetensors").write_bytes(b"no weights")
    with pytest.raises(Fault, match=r"is damaged: adapter_model\.safetensors has 10 of "):
        do("train", damaged, continue_from="adapter", base=base, **{**ADAPTER, "name": "new"})
    assert not (damaged.checkpoints / "new").exists()


def test_fresh_destroys_nothing_before_it_can_begin(
    learnt: Workspace, workspace_: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    do("train", workspace_, **{**WHOLE, "max_steps": 2})
    before = weights(workspace_)
    monkeypatch.setattr("ventriloquist.model.planning.free_memory", lambda device: 1000)
    with pytest.raises(Fault, match="of memory"):
        do("train", workspace_, fresh=True, **{**WHOLE, "max_steps": 3})
    assert apart(weights(workspace_), before) == 0.0
    monkeypatch.undo()
    do("train", workspace_, fresh=True, **{**WHOLE, "max_steps": 3})
    assert len(log_of(workspace_)) == 3


def test_a_run_that_began_anew_is_resumed_where_it_was(workspace_: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    do("train", workspace_, **{**WHOLE, "max_steps": 4})
    with pytest.raises(Stopped):
        do("train", workspace_, fresh=True, paint=stop_at(3, signal.SIGTERM), **{**WHOLE, "max_steps": 5})
    stopped = list_runs(workspace_)[-1]
    started: list[list[str]] = []
    monkeypatch.setattr(runs, "start", lambda workspace, stage, argv, resumes: started.append(argv))
    runs.resume(workspace_, stopped)
    assert "--fresh" in stopped.argv
    root.main(["--workspace", str(workspace_.root), *started[0]], standalone_mode=False)
    assert "Going on from checkpoint-3." in notes(workspace_)
    assert len(log_of(workspace_)) == 5


# --- learning from less ------------------------------------------------------------------------------------------


def test_a_sample_has_its_share_of_every_conversation() -> None:
    sizes = {"large": 400, "half": 200, "tenth": 40, "one": 1}
    windows = [
        Window(f"{name} {number}", 10, name, "train") for name, count in sizes.items() for number in range(count)
    ]
    for seed in range(5):
        chosen = sample(windows, 640, seed)
        assert chosen == sample(windows, 640, seed) and chosen == sorted(chosen, key=windows.index)
        assert 640 <= sum(window.targets for window in chosen) < 650
        counts = Counter(window.conversation for window in chosen)
        for name, count in sizes.items():
            assert abs(counts[name] - 64 * count / len(windows)) <= 1.5, (name, counts)
    assert sample(windows, 640, 1) != sample(windows, 640, 2)
    assert sample(windows, 10**6, 1) == windows == sample(windows, 0, 1)


def test_limit_learns_from_about_so_many_messages(workspace_: Workspace) -> None:
    told = {}
    for limit in (60, 60, 0):
        plan = do("train", workspace_, plan=True, **{**WHOLE, "limit": limit})["plan"]
        assert told.setdefault(limit, plan["target_tokens"]) == plan["target_tokens"]
        assert 60 <= plan["messages"] < 90 if limit else plan["messages"] > 200


# --- adapters ----------------------------------------------------------------------------------------------------


def adapter_config(workspace: Workspace, name: str = "run") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((final(workspace, name) / "adapter_config.json").read_text())
    return found


def logits(model: Any, tokenizer: Any) -> torch.Tensor:
    ids = torch.tensor([tokenizer('{"name": "Ann", "delta": "<1m", "reply_to": null}')["input_ids"]])
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=ids).logits
    return found


@pytest.mark.parametrize(
    ("given", "r", "alpha"),
    [
        ({"lora_r": 8}, 8, 16),
        ({"lora_r": 4, "lora_alpha": 32, "rslora": True}, 4, 32),
        ({"lora_r": 4, "dora": True, "lora_dropout": 0.1}, 4, 8),
        ({"lora_r": 0, "preset": "r128", "learning_rate": 0.0}, 128, 256),
    ],
    ids=["rank", "rslora", "dora", "preset"],
)
def test_adapters_are_what_was_asked_for_and_anyone_can_load_them(
    workspace_: Workspace, base: str, given: dict[str, Any], r: int, alpha: int
) -> None:
    do("train", workspace_, base=base, **{**ADAPTER, "max_steps": 3, **given})
    config = adapter_config(workspace_)
    assert (config["r"], config["lora_alpha"]) == (r, alpha)
    for name, key in (("rslora", "use_rslora"), ("dora", "use_dora"), ("lora_dropout", "lora_dropout")):
        assert config[key] == given.get(name, 0)
    assert {name.rpartition(".")[2] for name in config["target_modules"]} == {
        f"{each}_proj" for each in ("q", "k", "v", "o", "gate", "up", "down")
    }  # fmt: skip
    if "preset" in given:
        assert max(row[1] for row in log_of(workspace_)) == 2.5e-4
    ours = load(final(workspace_), "cpu", 1)
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(final(workspace_)))
    untouched = AutoModelForCausalLM.from_pretrained(base)
    expected = logits(theirs, ours.tokenizer)
    assert (logits(ours.model, ours.tokenizer) - expected).abs().max() < 1e-4
    assert (logits(untouched, ours.tokenizer) - expected).abs().max() > 1e-3, "it has learnt something"


def test_loraplus_lets_b_learn_faster(learnt: Workspace, base: str, tmp_path: Path) -> None:
    moved: dict[float, float] = {}
    for ratio in (0.0, 4.0):
        workspace = with_windows(learnt, tmp_path / str(ratio))
        do("train", workspace, base=base, loraplus=ratio, **{**ADAPTER, "max_steps": 1})
        matrices = [weight for name, weight in weights(workspace).items() if "lora_B" in name]
        moved[ratio] = float(torch.cat([matrix.flatten() for matrix in matrices]).abs().mean())
    assert moved[0.0] > 0 and abs(moved[4.0] / moved[0.0] - 4) < 0.01


def test_bf16_learns_nearly_the_same(learnt: Workspace, base: str, tmp_path: Path) -> None:
    adapter = {**ADAPTER, "base": base, "max_steps": 4}
    for kind, given in (
        ("whole", {**WHOLE, "max_steps": 4}),
        ("adapter", {**adapter, "lora_dropout": 0.1}),
        ("dora", {**adapter, "dora": True}),
    ):
        logs = {}
        for precision in ("fp32", "bf16"):
            workspace = with_windows(learnt, tmp_path / f"{kind}-{precision}")
            do("train", workspace, precision=precision, **given)
            logs[precision] = [row[0] for row in log_of(workspace)]
            assert {weight.dtype for weight in weights(workspace).values()} == {torch.float32}
        differences = [abs(a - b) for a, b in zip(logs["fp32"], logs["bf16"], strict=True)]
        assert 0 < max(differences) < 0.05, (kind, differences)


# --- memory for time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["whole", "adapter"])
def test_what_saves_memory_changes_nothing(learnt: Workspace, base: str, tmp_path: Path, kind: str) -> None:
    four = {"windows_per_step": 4, "tokens_per_batch": 100_000, "learning_rate": 1e-4, "max_steps": 6}
    given = {**WHOLE, **four} if kind == "whole" else {**ADAPTER, **four, "base": base}
    found = {}
    for name, more in (
        ("plain", {"checkpointing": "off"}),
        ("twice", {"checkpointing": "on"}),
        ("one by one", {"checkpointing": "off", "tokens_per_batch": 1}),
    ):
        workspace = with_windows(learnt, tmp_path / name)
        do("train", workspace, **{**given, **more})
        found[name] = weights(workspace)
        assert any("computed twice" in note for note in notes(workspace)) == (name == "twice")
        if name == "plain":
            first = log_of(workspace)
        assert [row[3:] for row in log_of(workspace)] == [row[3:] for row in first]
    print(kind, apart(found["plain"], found["twice"]), apart(found["plain"], found["one by one"]))
    assert apart(found["plain"], found["twice"]) < 1e-6
    assert apart(found["plain"], found["one by one"]) < 1e-6


def test_dropout_is_the_same_when_computed_twice(learnt: Workspace, base: str, tmp_path: Path) -> None:
    found = []
    for checkpointing in ("on", "off"):
        workspace = with_windows(learnt, tmp_path / checkpointing)
        do("train", workspace, base=base, lora_dropout=0.2, checkpointing=checkpointing, **{**ADAPTER, "max_steps": 4})
        found.append(weights(workspace))
    assert apart(*found) < 1e-6


# --- planning ----------------------------------------------------------------------------------------------------


def test_a_plan_starts_nothing_and_adds_up(
    workspace_: Workspace, base: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "umask", lambda mode: mode)
    for given in (WHOLE, {**ADAPTER, "base": base, "windows_per_step": 3, "max_steps": 0, "epochs": 1}):
        words = TrainSettings.argv(**given, plan=True)
        capfd.readouterr()
        assert not root.main(["--workspace", str(workspace_.root), *words, "--json"], standalone_mode=False)
        events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        assert events[-1]["kind"] == "end" and events[-1]["exit"] == 0
        plan = events[-1]["makes"]["plan"]
        assert not list(workspace_.checkpoints.glob("*"))
        (state,) = [stage["state"] for stage in status(workspace_)["stages"] if stage["name"] == "train"]
        assert state == "ready"
        parts = {name: size for name, size in plan["memory"].items() if name != "total"}
        assert sum(parts.values()) == plan["memory"]["total"] < plan["memory_free"] and min(parts.values()) >= 0
        assert plan["disk"] < plan["disk_free"] and plan["seconds"] >= 0 and plan["memory_peak"] > 0
        makes = do("train", workspace_, **given)
        log = log_of(workspace_)
        assert plan["steps"] == makes["steps"] == len(log)
        assert plan["tokens"] == makes["tokens"] == sum(row[3] for row in log)
        assert plan["target_tokens"] == sum(row[4] for row in log)
        assert 0 <= plan["padding"] <= 0.02 and plan["windows"] > 0
        kept = sum(path.stat().st_size for path in workspace_.checkpoints.rglob("*") if path.is_file())
        assert kept < plan["disk"]
        shutil.rmtree(workspace_.checkpoints / "run")


def test_a_plan_leaves_what_is_there(workspace_: Workspace) -> None:
    do("train", workspace_, **{**WHOLE, "max_steps": 2})
    before = {path: path.stat().st_mtime_ns for path in workspace_.checkpoints.rglob("*")}
    for more in ({}, {"learning_rate": 1e-3}, {"fresh": True}):
        do("train", workspace_, plan=True, **{**WHOLE, "max_steps": 2, **more})
    assert {path: path.stat().st_mtime_ns for path in workspace_.checkpoints.rglob("*")} == before
