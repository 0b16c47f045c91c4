"""Checkpoints that are damaged, foreign or mean harm: nothing in them is believed or run."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.loading import (
    LINES,
    Evil,
    change,
    nobody,
    refused,
    reseal,
    save_adapter,
    save_base,
    save_tiny,
)
from ventriloquist.faults import Exit, Fault, NoInput
from ventriloquist.model import checkpoint, tiny
from ventriloquist.workspace import Workspace


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base in a folder. Nobody may write to it."""
    return save_base(tmp_path_factory.mktemp("bases") / "base").resolve()


@pytest.fixture(scope="module")
def made(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of that base. Nobody may write to it."""
    return save_adapter(base, tmp_path_factory.mktemp("made") / "final")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """The checkpoint, to be damaged freely; its base is not."""
    return Path(shutil.copytree(made, tmp_path / "run" / "final"))


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    """A trained tiny base."""
    return save_tiny(tmp_path / "tiny" / "final")


# --- the adapter -------------------------------------------------------------------------------------------------


def damage_adapter(folder: Path, kind: str) -> None:
    weights = folder / "adapter_model.safetensors"
    tensors = load_file(weights)
    layer = next(name for name in tensors if name.endswith("q_proj.lora_B.weight"))
    if kind == "missing":
        weights.unlink()
    elif kind == "truncated":
        os.truncate(weights, weights.stat().st_size // 2)
    elif kind == "empty":
        weights.write_bytes(b"")
    elif kind == "a header of a million gigabytes":
        weights.write_bytes((1 << 50).to_bytes(8, "little") + b"{}")
    elif kind == "of a wider base":
        save_file({name: torch.zeros(2 * len(each), *each.shape[1:]) for name, each in tensors.items()}, weights)
    elif kind == "of a deeper base":
        save_file({**tensors, layer.replace("layers.0", "layers.7"): tensors[layer].clone()}, weights)
    elif kind == "a layer is missing":
        save_file({name: each for name, each in tensors.items() if name != layer}, weights)
    elif kind == "no numbers":
        tensors[layer][0, 0] = float("inf")
        save_file(tensors, weights)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "adapter_model.safetensors is missing"),
        ("truncated", "adapter_model.safetensors is damaged"),
        ("empty", "adapter_model.safetensors is damaged"),
        ("a header of a million gigabytes", "adapter_model.safetensors is damaged"),
        ("of a wider base", "on another base than its checkpoint names: its layers have other sizes"),
        ("of a deeper base", "on another base than its checkpoint names: it is for other layers"),
        ("a layer is missing", "it is for other layers"),
        ("no numbers", "some of its weights are no numbers"),
    ],
)
def test_a_damaged_adapter(
    folder: Path, workspace: Workspace, kind: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    damage_adapter(folder, kind)
    if kind != "missing":
        with pytest.raises(Fault, match=r"is damaged: adapter_model.safetensors has .*\. Train again"):
            checkpoint.find(workspace, str(folder))
    reseal(folder)
    refused(folder, f"{words}.*Train again, or name another checkpoint")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"base_model_name_or_path": "Example/Other"}, "names the base Example/Other, ventriloquist.json /"),
        ({"base_model_name_or_path": "x\x1b[31m\0" + "y" * 500}, "contradicts itself"),
        ({"base_model_name_or_path": None}, "contradicts itself"),
        ({"auto_mapping": {"base_model_class": "Evil", "parent_library": "evil"}}, "sets auto_mapping"),
        ({"custom_modules": {"Linear": "evil.Linear"}}, "sets custom_modules"),
        ({"modules_to_save": ["lm_head"]}, "sets modules_to_save"),
        ({"init_lora_weights": "pissa"}, "sets init_lora_weights"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "sets layer_replication"),
        ({"rank_pattern": {"q_proj": 8}}, "sets rank_pattern"),
        ({"megatron_core": "evil.core"}, "sets megatron_core"),
        ({"bias": "all"}, "sets bias"),
        ({"runtime_config": {"a": 1}, "\x1b[31mred\n": 2}, "sets runtime_config"),
        ({"peft_type": "IA3"}, "sets peft_type"),
        ({"task_type": "SEQ_CLS"}, "sets task_type"),
        ({"target_modules": "(a+)+$"}, "sets target_modules"),
        ({"target_modules": ["c_attn"]}, "layers that the base does not have"),
        ({"target_modules": ["q_proj"]}, "it is for other layers"),
        ({"r": 8}, "other sizes"),
        ({"r": "4"}, "adapter_config.json is missing or cannot be read"),
        ({"r": 10**9}, "adapter_config.json is missing or cannot be read"),
        ({"target_modules": 5}, "adapter_config.json is missing or cannot be read"),
    ],
)
def test_settings_of_an_adapter_that_training_never_writes(
    folder: Path, given: dict[str, Any], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    change(folder / "adapter_config.json", **given)
    reseal(folder)
    told = refused(folder, words)
    assert told.isprintable() and capfd.readouterr() == ("", "")


def test_settings_of_an_adapter_that_are_none(folder: Path) -> None:
    for content in (b"", b"{", b"[]", b"3", b"\xff\xfe", b"[" * 100_000, b'{"r": 4}'):
        (folder / "adapter_config.json").write_bytes(content)
        refused(folder, "adapter_config.json is missing or cannot be read")
    (folder / "adapter_config.json").unlink()
    refused(folder, "adapter_config.json is missing or cannot be read")


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.pt", "pytorch_model.bin", "training_args.pkl"])
def test_pickles_are_never_opened(folder: Path, tiny_folder: Path, tmp_path: Path, name: str, beside: bool) -> None:
    ran = tmp_path / "ran"
    evil = pickle.dumps(Evil(ran))
    pickle.loads(evil)
    assert ran.exists(), "it would"
    ran.unlink()
    for made, weights in ((folder, "adapter_model.safetensors"), (tiny_folder, "model.safetensors")):
        (made / name).write_bytes(evil)
        if not beside:
            (made / weights).unlink()
        reseal(made)
        refused(made, f"{name} can hold code and was not opened")
        assert not ran.exists()


# --- the folder --------------------------------------------------------------------------------------------------


def test_a_tokenizer_that_is_damaged(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sound = folder.with_name("sound")
    shutil.copytree(folder, sound)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        for content in (None, b"", b"{", b"[]", b'{"model": {"type": "Evil"}}', b"\xff\xfe\0", b"[" * 100_000):
            if name == "tokenizer_config.json" and content == b'{"model": {"type": "Evil"}}':
                continue  # a config that says nothing of use
            shutil.rmtree(folder)
            shutil.copytree(sound, folder)
            (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
            reseal(folder)
            refused(folder, "The tokenizer in .* is damaged or not all there", Exit.NO_INPUT)
    shutil.copyfile(sound / "tokenizer.json", folder / "tokenizer.json")
    shutil.copyfile(sound / "tokenizer_config.json", folder / "tokenizer_config.json")
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]})
    refused(folder, "wants to run code of its own")
    shutil.copyfile(sound / "tokenizer_config.json", folder / "tokenizer_config.json")
    tiny.build_tokenizer([f"{a}{b}{c}" for a in LINES for b in "xyz" for c in "uvw"], 900).save_pretrained(folder)
    refused(folder, "its tokenizer has [0-9]+ tokens, its model [0-9]+")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "given",
    [
        {"base": "Qwen/Qwen3"},
        {"base": {}},
        {"base": {"kind": "gguf", "id": "x", "hash": "h"}},
        {"base": {"kind": "hf", "id": 7, "hash": "h"}},
        {"base": {"kind": "hf", "id": "x", "hash": "h", "revision": 3}},
        {"base": {"kind": "tiny", "hidden": "64", "layers": 2, "seed": 5}},
        {"settings": None},
        {"data": []},
        {"members": "Ann"},
        {"members": [1]},
        {"me": None},
        {"max_tokens": 0},
        {"max_tokens": "512"},
        {"size": ...},
    ],
)
def test_a_description_that_is_damaged(folder: Path, given: dict[str, Any]) -> None:
    change(folder / "ventriloquist.json", **given)
    reseal(folder)
    refused(folder, "its ventriloquist.json cannot be read", Exit.NO_INPUT)


def test_a_description_that_is_none(folder: Path) -> None:
    for content in (b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000):
        (folder / "ventriloquist.json").write_bytes(content)
        refused(folder, "its ventriloquist.json cannot be read", Exit.NO_INPUT)


def test_what_another_program_made(folder: Path, base: Path, workspace: Workspace, tmp_path: Path) -> None:
    (folder / "ventriloquist.json").unlink()
    for made in (folder, base):
        refused(made, "another program made; Ventriloquist loads only checkpoints that it trained", Exit.NO_INPUT)
        with pytest.raises(NoInput, match="another program made"):
            checkpoint.find(workspace, str(made))
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "there is no ventriloquist.json in it", Exit.NO_INPUT)
    refused(tmp_path / "nowhere", "there is no ventriloquist.json in it", Exit.NO_INPUT)


def test_a_folder_that_cannot_be_entered(
    made: Path, base: Path, folder: Path, workspace: Workspace, tmp_path: Path
) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "ventriloquist.json").symlink_to(tmp_path / "inside" / "ventriloquist.json")
    for path in (loop, tmp_path / "inside"):
        refused(path, "is no checkpoint of Ventriloquist", Exit.NO_INPUT)
        with pytest.raises(NoInput):
            checkpoint.find(workspace, str(path))
    for wanted in ("x" * 5000, "~nobody-of-that-name/x", "a\0b"):
        with pytest.raises(NoInput, match="There is no checkpoint called"):
            checkpoint.find(workspace, wanted)
    with nobody(folder):
        refused(folder, "Permission denied while reading the checkpoint", Exit.NO_INPUT)
        with pytest.raises(NoInput, match="Permission denied"):
            checkpoint.find(workspace, str(folder))
