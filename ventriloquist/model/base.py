"""Bases: where a model's weights and tokenizer come from, on which device, in which precision.

Everything is loaded from this machine (`local_files_only`), from safetensors, without remote code.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from ventriloquist.faults import NoInput, UsageFault
from ventriloquist.model import hub, tiny
from ventriloquist.model.needs import Shape

DEFAULT_MAX_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Base:
    """A base whose weights are not loaded yet: `load` does that.

    `described` goes into the checkpoint; `max_tokens` bounds a window; `shape` is what memory is reckoned from.
    """

    tokenizer: Any
    described: dict[str, Any]
    max_tokens: int
    shape: Shape
    load: Callable[[torch.device, torch.dtype, int], Any]
    """(device, dtype, bits): the model there. With 8 or 4 bits its linear layers are rounded to so many."""


def choose_device(wanted: str) -> torch.device:
    """The device to compute on; `auto` prefers CUDA, then Apple's GPU, then the CPU."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        wanted = next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[wanted]:
        raise UsageFault(f"This machine has no {wanted} device that PyTorch can use; try --device auto.")
    return torch.device(wanted)


def use_threads(count: int) -> None:
    """Compute with `count` CPU threads (0: all cores)."""
    torch.set_num_threads(count or os.cpu_count() or 1)


def choose_dtype(device: torch.device, wanted: str = "auto") -> torch.dtype:
    """What weights are held and multiplied in: bf16 on a GPU that has it, else float32, unless `wanted` says so."""
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bf16" else torch.float32
    halves = device.type == "mps" or (device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.bfloat16 if halves else torch.float32


def new_tiny(lines: list[str], vocabulary: int, hidden: int, layers: int, seed: int) -> Base:
    """The embedded base, its tokenizer learnt from `lines`."""
    tokenizer = tiny.build_tokenizer(lines, vocabulary)
    recipe = {"hidden": hidden, "layers": layers, "seed": seed}
    described = {"kind": "tiny", "hash": tiny.fingerprint(tokenizer, **recipe), **recipe}

    def load(device: torch.device, dtype: torch.dtype, bits: int) -> Any:
        return tiny.build_model(len(tokenizer), hidden, layers, seed).to(device)

    shape = Shape.of(tiny.config(len(tokenizer), hidden, layers).to_dict())
    return Base(tokenizer, described, tiny.MAX_POSITIONS, shape, load)


def trained_tiny(folder: Path, described: dict[str, Any]) -> Base:
    """The tiny base as a checkpoint holds it, trained; always float32."""
    hub.refuse_code(folder)

    def load(device: torch.device, dtype: torch.dtype, bits: int) -> Any:
        return _from_folder(folder, dtype=torch.float32).to(device)

    shape = Shape.of(hub.read_config(folder))
    return Base(open_tokenizer(folder), described, tiny.MAX_POSITIONS, shape, load)


def find_base(name: str, revision: str | None = None) -> Base:
    """A base from a local folder or, by its id, from the Hugging Face cache of this machine.

    `revision` is a commit (see `hub.pinned`; default: what `main` was when it was fetched).
    """
    folder = hub.base_folder(name, revision)
    hub.refuse_code(folder)
    config = hub.read_config(folder)
    described = {"kind": "hf", "id": name, "hash": hub.fingerprint(folder)}
    if hub.is_commit(folder.name):
        described["revision"] = folder.name

    def load(device: torch.device, dtype: torch.dtype, bits: int) -> Any:
        try:
            model = _from_folder(folder, dtype=dtype, **(_quantised(bits, device, dtype) if bits else {}))
        except (OSError, ValueError) as error:
            raise NoInput(f"The base in {folder} cannot be loaded: {str(error).splitlines()[0]}") from None
        if "revision" in described:
            model.name_or_path = model.config.name_or_path = name  # stands in the adapter's config: no folder of ours
        return _trainable(model) if bits else model.to(device)

    size = sum((folder / weights).stat().st_size for weights in hub.weight_files(folder))
    limit = min(int(config.get("max_position_embeddings") or DEFAULT_MAX_TOKENS), DEFAULT_MAX_TOKENS)
    return Base(open_tokenizer(folder), described, limit, Shape.of(config, size), load)


def open_tokenizer(folder: Path) -> Any:
    """The tokenizer that lies in a folder."""
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _from_folder(folder: Path, **given: Any) -> Any:
    return AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, **given
    )


def _quantised(bits: int, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UsageFault(
            "--load-in-8bit and --load-in-4bit need bitsandbytes. "
            "Install it with: pip install 'ventriloquist[quantized]'"
        )
    if bits == 8:
        chosen = BitsAndBytesConfig(load_in_8bit=True)
    else:
        chosen = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    return {"quantization_config": chosen, "device_map": {"": device}}


def _trainable(model: Any) -> Any:
    """Keep 4-bit weights on a CPU as they were loaded: bitsandbytes would pack them for inference at the first
    validation, and no gradient goes through packed ones."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model
