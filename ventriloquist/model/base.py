"""Bases: where a model's weights and tokenizer come from, on which device, in which precision.

Everything is loaded from this machine (`local_files_only`), from safetensors, without remote code.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ventriloquist.faults import Fault, NoInput, UsageFault
from ventriloquist.model import tiny

DEFAULT_MAX_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Base:
    """A loaded base. `described` goes into the checkpoint; `max_tokens` bounds a window."""

    model: Any
    tokenizer: Any
    described: dict[str, Any]
    max_tokens: int


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


def choose_dtype(device: torch.device) -> torch.dtype:
    """Half precision where the device computes faster in it: bf16 on CUDA that has it, fp16 on Apple's GPU."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32


def build_tiny(lines: list[str], vocabulary: int, hidden: int, layers: int, seed: int) -> Base:
    """The embedded base, its tokenizer learnt from `lines`."""
    tokenizer = tiny.build_tokenizer(lines, vocabulary)
    recipe = {"hidden": hidden, "layers": layers, "seed": seed}
    described = {"kind": "tiny", "hash": tiny.fingerprint(tokenizer, **recipe), **recipe}
    model = tiny.build_model(len(tokenizer), hidden, layers, seed)
    return Base(model, tokenizer, described, tiny.MAX_POSITIONS)


def load_base(name: str, device: torch.device, dtype: torch.dtype) -> Base:
    """A base from a local folder or, by its id, from the Hugging Face cache of this machine."""
    folder = _folder_of(name)
    refuse_code(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, trust_remote_code=False, use_safetensors=True
        ).to(device)
    except (OSError, ValueError) as error:
        raise NoInput(f"The base in {folder} cannot be loaded: {str(error).splitlines()[0]}") from None
    limit = getattr(model.config, "max_position_embeddings", None) or DEFAULT_MAX_TOKENS
    described = {"kind": "hf", "id": name, "hash": fingerprint(folder)}
    return Base(model, tokenizer, described, min(limit, DEFAULT_MAX_TOKENS))


def _folder_of(name: str) -> Path:
    path = Path(name).expanduser()
    if (path / "config.json").is_file():
        return path.resolve()
    if path.is_dir():
        raise NoInput(f"{path} holds no model: there is no config.json in it.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        raise NoInput(
            f"The base {name} is not on this machine. Give --base a folder that holds it, use --base tiny, "
            f"or download it first: hf download {name}"
        ) from None


def refuse_code(folder: Path) -> None:
    """Refuse a model folder that wants to run code of its own, or that holds only pickled weights."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        raise NoInput(f"{folder / 'config.json'} cannot be read.") from None
    if "auto_map" in config:
        raise Fault(f"The model in {folder} wants to run code of its own; Ventriloquist never does that.")
    if not list(folder.glob("*.safetensors")):
        raise Fault(f"The model in {folder} has no safetensors weights; other formats can hold code and are refused.")


def fingerprint(folder: Path) -> str:
    """sha256 over config, tokenizer, and each weight file's name, size and first MiB (its header and more)."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.json")) + sorted(folder.glob("*.safetensors")):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(1 << 20))
    return digest.hexdigest()
