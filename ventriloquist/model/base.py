"""Bases: where a model's weights and tokenizer come from, on which device, in which precision.

Everything is loaded from this machine (`local_files_only`), from safetensors, without remote code.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from ventriloquist.faults import Fault, NoInput, UsageFault
from ventriloquist.model import hub, tiny
from ventriloquist.model.memory import is_out_of_memory
from ventriloquist.model.needs import Shape

DEFAULT_MAX_TOKENS = 4096
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
"""What a setting called precision may name."""


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
        return DTYPES[wanted]
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
    from_hub = hub.is_commit(folder.name)
    described = {"kind": "hf", "id": name if from_hub else str(folder), "hash": hub.fingerprint(folder)}
    if from_hub:
        described["revision"] = folder.name

    def load(device: torch.device, dtype: torch.dtype, bits: int) -> Any:
        model = load_base(folder, device, dtype, bits)
        if from_hub:
            model.name_or_path = model.config.name_or_path = name  # stands in the adapter's config: no folder of ours
        return model

    limit = min(int(config.get("max_position_embeddings") or DEFAULT_MAX_TOKENS), DEFAULT_MAX_TOKENS)
    return Base(open_tokenizer(folder), described, limit, base_shape(folder), load)


def base_shape(folder: Path) -> Shape:
    """The sizes of the base in a folder; raises NoInput if a file of its weights is missing."""
    if missing := hub.missing_weights(folder):
        raise NoInput(f"The base in {folder} is not whole: {missing} is missing. Fetch or copy it again.")
    size = sum((folder / weights).stat().st_size for weights in hub.weight_files(folder))
    return Shape.of(hub.read_config(folder), size)


def load_base(folder: Path, device: torch.device, dtype: torch.dtype, bits: int) -> Any:
    """The model in a folder, on `device`; with 8 or 4 bits its linear layers are rounded to so many."""
    model = _from_folder(folder, dtype=dtype, **(_quantised(bits, device, dtype) if bits else {}))
    return _trainable(model) if bits else model.to(device)


def open_tokenizer(folder: Path) -> Any:
    """The tokenizer that lies in a folder; raises NoInput if it is damaged or wants to run code of its own."""
    try:
        if "auto_map" in json.loads((folder / "tokenizer_config.json").read_text()):
            raise Fault(f"The tokenizer in {folder} wants to run code of its own; Ventriloquist never does that.")
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Fault:
        raise
    except Exception as error:  # what a damaged tokenizer makes its library raise is of every kind
        if is_out_of_memory(error):
            raise
        raise NoInput(f"The tokenizer in {folder} is damaged or not all there ({type(error).__name__}).") from None


def _from_folder(folder: Path, **given: Any) -> Any:
    """The model in a folder, every weight of it read from its files; raises NoInput if they are damaged."""
    if (folder / "adapter_config.json").exists():  # transformers would load what that names instead
        raise Fault(f"{folder} holds an adapter where a whole model should be; name the model it belongs to.")
    if damaged := _damaged_weights(folder):
        raise NoInput(f"The weights in {folder / damaged} are damaged: fetch or copy them again.")
    try:
        model, told = AutoModelForCausalLM.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # told, and refused below
            **given,
        )
    except Exception as error:  # what damaged files make transformers raise is of every kind
        if is_out_of_memory(error):
            raise
        raise NoInput(
            f"The model in {folder} cannot be loaded ({type(error).__name__}): its files are damaged, or of a kind "
            "that this version of transformers does not know."
        ) from None
    if told["missing_keys"] or told["mismatched_keys"]:
        raise NoInput(f"The weights in {folder} are not those that its config.json tells: fetch or copy them again.")
    return model


def _damaged_weights(folder: Path) -> str | None:
    """The first file of weights that is not whole, by its header."""
    for name in hub.weight_files(folder):
        if not name.endswith(".safetensors"):  # transformers would read it as a pickle
            return name
        try:
            with safe_open(folder / name, framework="pt"):
                pass
        except (SafetensorError, OSError) as error:
            if is_out_of_memory(error):
                raise
            return name
    return None


def why_not_quantised(device: torch.device) -> str:
    """Why a base cannot be loaded in 8 or 4 bits on this device, or nothing."""
    try:
        bitsandbytes = importlib.import_module("bitsandbytes")
    except ModuleNotFoundError:
        return "bitsandbytes is not installed (install it with: pip install 'ventriloquist[quantized]')"
    except Exception as error:  # noqa: BLE001 -- it loads libraries of the machine's own, which fail in many ways
        return f"bitsandbytes does not work here ({type(error).__name__})"
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns at every product of matrices
    known = getattr(bitsandbytes, "supported_torch_devices", {"cuda", "cpu"})
    return "" if device.type in known else f"bitsandbytes cannot do that on {device.type}"


def _quantised(bits: int, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    if reason := why_not_quantised(device):
        raise UsageFault(f"The base cannot be loaded in {bits} bits: {reason}.")
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
