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
from ventriloquist.model.base import choose_device, choose_dtype, load_base, refuse_code, use_threads
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
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if description.base["kind"] == "tiny":
        model = _tiny(folder, tokenizer, description, trained)
    else:
        model = _adapted(folder, description, chosen, trained)
    model = model.to(chosen).eval()
    return Loaded(model, tokenizer, description, chosen)


def _tiny(folder: Path, tokenizer: Any, description: Description, trained: bool) -> Any:
    if trained:
        refuse_code(folder)
        return transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, use_safetensors=True
        )
    recipe = description.base
    return tiny.build_model(len(tokenizer), recipe["hidden"], recipe["layers"], recipe["seed"])


def _adapted(folder: Path, description: Description, device: torch.device, trained: bool) -> Any:
    base = load_base(description.base["id"], device, choose_dtype(device))
    if base.described["hash"] != description.base["hash"]:
        raise Fault(
            f"The base {description.base['id']} is not the one this checkpoint was trained on: its files have changed. "
            "Put the old one back, or train again."
        )
    if not trained:
        return base.model
    adapted = PeftModel.from_pretrained(base.model, str(folder), is_trainable=False)
    return adapted.merge_and_unload()
