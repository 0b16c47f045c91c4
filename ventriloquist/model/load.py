"""A checkpoint, ready to use: the base it names, its adapter merged, its own tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import PeftModel

from ventriloquist.faults import Fault
from ventriloquist.model import tiny
from ventriloquist.model.base import (
    Base,
    choose_device,
    choose_dtype,
    find_base,
    open_tokenizer,
    trained_tiny,
    use_threads,
)
from ventriloquist.model.checkpoint import Description


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in evaluation mode, with everything its checkpoint says of it."""

    model: Any
    tokenizer: Any
    description: Description
    device: torch.device


def load(folder: Path, device: str = "auto", threads: int = 0, *, trained: bool = True) -> Loaded:
    """The model of a checkpoint, or (`trained=False`) the same base as it was before training."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    use_threads(threads)
    chosen = choose_device(device)
    description = Description.read(folder)
    tokenizer = open_tokenizer(folder)
    if description.base["kind"] == "tiny":
        base = trained_tiny(folder, description.base)
        model = base.load(chosen, torch.float32, 0) if trained else _untrained_tiny(tokenizer, description)
    else:
        base = _base_of(description)
        model = base.load(chosen, choose_dtype(chosen), 0)
        if trained:
            model = PeftModel.from_pretrained(model, str(folder), is_trainable=False).merge_and_unload()
    return Loaded(model.to(chosen).eval(), tokenizer, description, chosen)


def _untrained_tiny(tokenizer: Any, description: Description) -> Any:
    recipe = description.base
    return tiny.build_model(len(tokenizer), recipe["hidden"], recipe["layers"], recipe["seed"])


def _base_of(description: Description) -> Base:
    named = description.base
    base = find_base(named["id"], named.get("revision"))
    if base.described["hash"] != named["hash"]:
        raise Fault(
            f"The base {named['id']} is not the one this checkpoint was trained on: its files have changed. "
            "Put the old one back, or train again."
        )
    return base
