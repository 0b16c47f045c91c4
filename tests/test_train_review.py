"""What a second look at training found: exactness around stops, several processes, and devices that are not here."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import tracking

from tests.basing import ID, own_cache, published
from tests.conftest import SMALL, do
from ventriloquist.faults import Stopped, UsageFault
from ventriloquist.model import checkpoint, parallel, planning
from ventriloquist.model.base import choose_dtype
from ventriloquist.model.batches import Batch
from ventriloquist.model.parallel import World
from ventriloquist.model.sinks import open_sink
from ventriloquist.model.state import restore
from ventriloquist.model.tokenised import KEPT, Tokenised, cached
from ventriloquist.model.validate import HeldOut, validate
from ventriloquist.pipeline import train as stage
from ventriloquist.settings import TrainSettings
from ventriloquist.workspace import Workspace

QUICK = {**SMALL, "max_steps": 6, "save_steps": 3, "validate_steps": 2, "validation_windows": 4, "voices": False}


@pytest.fixture
def cut(learnt: Workspace, tmp_path: Path) -> Workspace:
    """Windows and no checkpoint."""
    shutil.copytree(learnt.data, tmp_path / "w" / "data")
    return Workspace(tmp_path / "w").prepare()


def test_a_stop_where_a_validation_is_due_leaves_none_out(cut: Workspace) -> None:
    def stop_at(step: int) -> Any:
        def paint(event: dict[str, Any]) -> None:
            if event["kind"] == "metric" and event["step"] == step and "loss" in event["values"]:
                os.kill(os.getpid(), signal.SIGTERM)

        return paint

    do("train", cut, name="whole", **QUICK)
    for step in (2, 4, 6):
        with pytest.raises(Stopped):
            do("train", cut, name="broken", paint=stop_at(step), **QUICK)
    do("train", cut, name="broken", resume=True, **QUICK)
    whole, broken = ((cut.checkpoints / name / "final" / "progress.json").read_bytes() for name in ("whole", "broken"))
    assert whole == broken
    assert json.loads(whole)["validated"] == 6


def test_progress_is_json_that_anyone_reads(cut: Workspace) -> None:
    do("train", cut, name="run", **{**QUICK, "validation_windows": 0, "max_steps": 2})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    told = (cut.checkpoints / "run" / "final" / "progress.json").read_text()
    assert json.loads(told, parse_constant=refuse)["best_loss"] is None


def made_of(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, world: World, **given: Any) -> stage.Task:
    """What a training would be made from, with so many processes."""
    seen: list[stage.Task] = []
    monkeypatch.setattr(parallel, "join", lambda shard, device: world)
    monkeypatch.setattr(parallel, "must_agree", lambda value, what, world: None)
    monkeypatch.setattr(stage, "_train", lambda task, run, world: seen.append(task) or {})
    stage.train(TrainSettings.load(workspace, **given), workspace, SimpleNamespace(phase=lambda name: None))  # type: ignore[arg-type]
    return seen[0]


def test_a_training_does_not_go_on_with_processes_that_change_its_steps(
    cut: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, four = (made_of(cut, monkeypatch, World(0, size)).fingerprint for size in (1, 4))
    assert alone != four
    alone, four = (made_of(cut, monkeypatch, World(0, size), windows_per_step=4).fingerprint for size in (1, 4))
    assert alone == four


def test_a_quantised_base_is_not_sharded(cut: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageFault, match="--no-shard"):
        made_of(cut, monkeypatch, World(0, 2), base="Example/Base", load_in_4bit=True)


def test_a_base_that_changed_in_its_folder_is_another_base(
    cut: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    prints = []
    for weights in (b"one", b"two"):
        (folder / "model.safetensors").write_bytes(weights)
        prints.append(made_of(cut, monkeypatch, World(), base=str(folder)).fingerprint)
    assert prints[0] != prints[1]


def test_starting_over_does_not_delete_what_it_continues_from(
    copy_of_learnt: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (final,) = checkpoint.finished(copy_of_learnt)
    monkeypatch.chdir(copy_of_learnt.root)
    with pytest.raises(UsageFault, match="cannot continue from itself"):
        do(
            "train", copy_of_learnt, name=final.parent.name, fresh=True,
            continue_from=f"checkpoints/{final.parent.name}", **SMALL,
        )  # fmt: skip
    assert checkpoint.damage(final) is None


def test_the_adapters_options_are_none_of_the_tiny_base() -> None:
    plain, with_flags = TrainSettings(), TrainSettings(lora_r=16, lora_alpha=8, lora_dropout=0.1)
    assert plain.recipe == with_flags.recipe
    assert with_flags.recipe.r == 0


def test_windows_that_others_are_writing_are_not_deleted(tmp_path: Path) -> None:
    array = np.ones(3)
    data = Tokenised(
        array.astype(np.int32), array.astype(np.bool_), np.array([0, 3]), np.ones(1, np.int32), np.zeros(1, np.int32)
    )
    others = [tmp_path / f".{number}.{number}.partial" for number in range(KEPT + 3)]
    for other in others:
        other.mkdir()
    for number in range(KEPT + 2):
        cached(tmp_path, [number], lambda: data)
    assert all(other.is_dir() for other in others)
    assert len(list(tmp_path.glob("[!.]*"))) == KEPT


def test_a_batch_outlives_its_copy_to_apples_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, device, non_blocking: waits.append((device.type, not non_blocking)) or self
    )
    ids = torch.zeros((1, 2), dtype=torch.long)
    for device in ("mps", "cuda"):
        Batch(ids, ids > 0, ids[0]).to(torch.device(device))
    assert set(waits) == {("mps", True), ("cuda", False)}


def test_validation_asks_no_gpu_for_float64() -> None:
    class OnGpu:
        def cpu(self) -> torch.Tensor:
            return torch.tensor([1.0, 3.0])

        def double(self) -> None:
            raise TypeError("the MPS framework doesn't support float64")

    bears = np.array([False, True, True])
    data = Tokenised(np.arange(3, dtype=np.int32), bears, np.array([0, 3]), np.ones(1, np.int32), np.zeros(1, np.int32))
    loss: Any = SimpleNamespace(model=torch.nn.Linear(1, 1), each=lambda batch: OnGpu())
    held_out = HeldOut(data, np.array([False, True]), np.array([0, 2]))
    assert validate(loss, held_out, 8, torch.device("cpu")) == {"validation_loss": 2.0, "validation_text_loss": 3.0}


def test_bf16_is_for_gpus_that_do_not_emulate_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert choose_dtype(torch.device("cuda")) is torch.float32


def test_all_that_is_restored_travels_on_the_models_device(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = set()
    monkeypatch.setattr(torch.distributed, "broadcast", lambda tensor, source: devices.add(tensor.device.type))
    with torch.device("meta"):
        model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    restore(None, {}, model, optimizer, World(1, 2, shard=False))
    assert devices == {"meta"}


def test_an_adapter_names_its_base_and_no_folder_of_this_machine(
    cut: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = own_cache(tmp_path / "somebody", monkeypatch)
    snapshot = cache / "snapshots" / ("a" * 40)
    published(snapshot)
    (snapshot / "model.gguf").unlink(missing_ok=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("a" * 40)
    do("train", cut, base=ID, name="run", max_steps=1, threads=1, validation_windows=0)
    for file in (cut.checkpoints / "run" / "final").iterdir():
        assert b"somebody" not in file.read_bytes(), file.name
    told = json.loads((cut.checkpoints / "run" / "final" / "adapter_config.json").read_text())
    assert told["base_model_name_or_path"] == ID


def test_wandb_is_told_numbers_and_nothing_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    class Tracker:
        def __init__(self, project: str, **given: Any) -> None:
            made.append(given)

        def start(self) -> None: ...

        def store_init_configuration(self, values: dict[str, Any]) -> None: ...

        def finish(self) -> None: ...

    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "wandb", Tracker)
    with open_sink("wandb", "run", {}, tmp_path / "numbers"):
        pass
    (given,) = made
    assert given["settings"]["console"] == "off"
    assert given["settings"]["x_disable_meta"]
    assert Path(given["dir"]).is_dir()
    assert tmp_path in Path(given["dir"]).parents


def test_a_plan_counts_the_epochs_that_max_steps_leaves(cut: Workspace) -> None:
    plan = do("train", cut, **{**QUICK, "max_steps": 2}, plan=True)["plan"]
    assert plan["steps"] == 2
    assert plan["epochs"] < 1
    assert do("train", cut, **{**QUICK, "max_steps": 0}, plan=True)["plan"]["epochs"] == 8


def test_what_a_container_keeps_of_files_counts_as_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("6000000000\n")
    (tmp_path / "memory.current").write_text("5900000000\n")
    (tmp_path / "memory.stat").write_text("anon 900000000\nactive_file 2000000000\ninactive_file 3000000000\n")
    monkeypatch.setattr(planning.psutil, "virtual_memory", lambda: SimpleNamespace(available=1 << 40))
    own = planning.psutil.Process().memory_info().rss
    assert planning.free_memory(torch.device("cpu")) == pytest.approx(5_100_000_000 + own, abs=100_000_000)


def test_four_bits_are_no_remedy_where_the_base_is_sharded() -> None:
    asked = planning.Wanted(batch=8192, longest=4096, rank=32, bits=0, checkpointing=True)
    for sharded, told in ((False, True), (True, False)):
        flags = [flag for flag, _ in planning._changes(replace(asked, sharded=sharded), torch.device("cuda"))]
        assert ("--load-in-4bit" in flags) is told


def test_resume_and_fresh_exclude_each_other(cut: Workspace) -> None:
    with pytest.raises(UsageFault, match="--resume and --fresh"):
        do("train", cut, resume=True, fresh=True)
