"""Bases and checkpoints to load, how they are changed, and how a refusal is checked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from ventriloquist.faults import Exit, Fault
from ventriloquist.files import sha256
from ventriloquist.model import hub, tiny
from ventriloquist.model.checkpoint import MANIFEST, Description, damage, seal
from ventriloquist.model.load import load

COMMIT = "c" * 40
LINES = [f"hello you, number {number}" for number in range(300)]


def save_base(folder: Path, hidden: int = 64, seed: int = 5) -> Path:
    tokenizer = tiny.build_tokenizer(LINES, 400)
    tiny.build_model(len(tokenizer), hidden, 2, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_adapter(base: Path, folder: Path, *, known_as: str = "", revision: str = "", **given: Any) -> Path:
    """A checkpoint as training leaves one, of an adapter that does something, on the base in a folder."""
    staging = folder.with_name(f"{folder.name}.staging")
    staging.mkdir(parents=True)
    tokenizer = tiny.build_tokenizer(LINES, 400)
    model = AutoModelForCausalLM.from_pretrained(base)
    model.name_or_path = model.config.name_or_path = known_as or str(base)
    kind = {"target_modules": "all-linear", "r": 4, "lora_alpha": 8, "task_type": "CAUSAL_LM", **given}
    adapted = get_peft_model(model, LoraConfig(**kind))
    torch.manual_seed(1)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
        elif "magnitude" in name:
            weight.data *= 1.1
    adapted.save_pretrained(staging)
    tokenizer.save_pretrained(staging)
    described = {"kind": "hf", "id": known_as or str(base), "hash": hub.fingerprint(base)}
    describe({**described, "revision": revision} if revision else described).write(staging)
    seal(staging, folder)
    return folder


def describe(base: dict[str, Any]) -> Description:
    settings = {"load_in_8bit": False, "load_in_4bit": False}
    return Description(base, "f", settings, {}, ["Ann", "Bob"], max_tokens=512, size=24, me="Ann")


def save_tiny(folder: Path) -> Path:
    """A checkpoint of the tiny base."""
    staging = save_base(folder.with_name("staging"))
    describe({"kind": "tiny", "hash": "h", "hidden": 64, "layers": 2, "seed": 5}).write(staging)
    seal(staging, folder)
    return folder


def reseal(folder: Path) -> None:
    """Write the manifest anew, as one would who means harm or knows no better."""
    (folder / MANIFEST).unlink(missing_ok=True)
    files = [path for path in folder.iterdir() if path.is_file()]
    sealed = {path.name: {"size": path.stat().st_size, "sha256": sha256(path)} for path in files}
    (folder / MANIFEST).write_text(json.dumps({"files": sealed}))
    assert damage(folder) is None


def change(path: Path, **given: Any) -> None:
    """Set fields of a JSON file; None deletes."""
    fields = json.loads(path.read_text()) | given
    path.write_text(json.dumps({name: value for name, value in fields.items() if value is not ...}))


def refused(folder: Path, words: str, code: Exit = Exit.FAILED, **given: Any) -> str:
    """Loading it ends in one sentence with these words and this code, and nothing else."""
    with pytest.raises(Fault, match=words) as caught:
        load(folder, "cpu", 1, **given)
    told = str(caught.value)
    assert caught.value.exit == code, told
    assert "\n" not in told and "Traceback" not in told and len(told) < 500
    return told


class Evil:
    """What writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "it ran")


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """Without the right to read a folder; as root that takes being someone else."""
    folder.chmod(0)
    mine = os.geteuid()
    try:
        if mine == 0:
            os.seteuid(65534)
        yield
    finally:
        if mine == 0:
            os.seteuid(0)
        folder.chmod(0o700)
