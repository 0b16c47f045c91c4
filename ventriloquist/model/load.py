"""A checkpoint, ready to use: the base it names, its adapter, its own tokenizer."""

from __future__ import annotations

import gc
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from ventriloquist.faults import Fault, NoInput, UsageFault, from_os_error
from ventriloquist.model import hub, needs, tiny
from ventriloquist.model.adapter import INSTEAD, Adapter, put_onto, read_adapter, refuse_another_base
from ventriloquist.model.base import (
    DTYPES,
    base_shape,
    choose_device,
    choose_dtype,
    load_base,
    open_tokenizer,
    trained_tiny,
    use_threads,
    why_not_quantised,
)
from ventriloquist.model.checkpoint import Description, refuse_pickles
from ventriloquist.model.memory import is_out_of_memory
from ventriloquist.model.needs import Shape
from ventriloquist.model.planning import MARGIN, free_memory
from ventriloquist.text import one_line

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in evaluation mode, with everything its checkpoint says of it.

    `model` is the base's own class, whether the adapter is merged or not. `precision` (bf16, fp16, fp32) is what it
    computes in, `bits` what the base's linear layers are rounded to (0: they are not), `seconds` what loading took, and
    `notice` a sentence where something is not as the checkpoint was trained.
    """

    model: Any
    tokenizer: Any
    description: Description
    device: torch.device
    precision: str = "fp32"
    bits: int = 0
    merged: bool = True
    seconds: float = 0.0
    notice: str = ""


@dataclass(frozen=True, slots=True)
class _Way:
    """How a model is loaded."""

    device: torch.device
    dtype: torch.dtype
    bits: int = 0
    notice: str = ""


def load(
    folder: Path,
    device: str = "auto",
    threads: int = 0,
    *,
    trained: bool = True,
    precision: str = "auto",
    bits: int | None = None,
) -> Loaded:
    """The model of a checkpoint, or (`trained=False`) the same base as it was before training.

    The base is what the checkpoint names, and never a default. `precision` is auto (bf16 on a GPU that has it, else
    fp32), bf16, fp16 or fp32; `bits` 8, 4, 0 (as the base's files are) or None: as the checkpoint was trained, or as
    its files are where this machine cannot do that, with a notice. The adapter is merged into a base in floating point,
    which then computes as fast as one without. Into 8 or 4 bits it is not, since that rounds it away: with 49 million
    weights and an adapter that moved the predictions by a divergence of 1.0e-3, merging moved them by 1.1e-3 in 4 bits,
    by 1.8e-4 in 8 bits, and in bf16 by 6e-6 more than bf16 does.

    Raises NoInput, UsageFault or Fault for what cannot be loaded, memory that runs out included.
    """
    begun = time.perf_counter()
    use_threads(threads)
    with _quiet(), _enough_memory(lambda: _too_large(None, choose_device(device))):
        description = Description.read(folder)
        refuse_pickles(folder)
        tokenizer = open_tokenizer(folder)
        way = _choose(description, choose_device(device), precision, bits)
        if description.base["kind"] == "tiny":
            model, merged = _load_tiny(folder, tokenizer, description, way, trained), True
        else:
            model, merged = _load_on_base(folder, description, way, trained)
        _try(model, tokenizer, folder, way, description.base["kind"] == "tiny")
    return Loaded(
        model, tokenizer, description, way.device, _NAMES[way.dtype], way.bits, merged,
        round(time.perf_counter() - begun, 3), way.notice,
    )  # fmt: skip


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries have to say off the terminal; what matters is told as a fault or a notice."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


# --- in which way ------------------------------------------------------------------------------------------------


def _choose(description: Description, device: torch.device, precision: str, bits: int | None) -> _Way:
    is_tiny = description.base["kind"] == "tiny"
    dtype = torch.float32 if is_tiny and precision == "auto" else choose_dtype(device, precision)
    if dtype is torch.float16 and (reason := _why_not_fp16(device)):
        raise UsageFault(f"{reason} Choose another --precision.")
    if is_tiny:
        if bits:
            raise UsageFault("The tiny base is small enough as it is: leave --load-in-8bit and --load-in-4bit out.")
        return _Way(device, dtype)
    was = 8 if description.settings.get("load_in_8bit") else 4 if description.settings.get("load_in_4bit") else 0
    wanted = was if bits is None else bits
    if not wanted or not (reason := why_not_quantised(device)):
        return _Way(device, dtype, wanted)
    if bits:
        raise UsageFault(f"The base cannot be loaded in {bits} bits: {reason}.")
    return _Way(
        device, dtype, 0, f"This checkpoint was trained on its base in {was} bits and is loaded without: {reason}."
    )


def _why_not_fp16(device: torch.device) -> str:
    """Why this device cannot compute in fp16, or nothing."""
    try:
        one = torch.ones(1, 1, 2, 2, dtype=torch.float16, device=device)
        torch.nn.functional.scaled_dot_product_attention(one @ one, one, one).softmax(-1)
    except RuntimeError:
        return f"PyTorch cannot compute in fp16 on this {device.type}."
    return ""


# --- weights -----------------------------------------------------------------------------------------------------


def _load_tiny(folder: Path, tokenizer: Any, description: Description, way: _Way, trained: bool) -> Any:
    recipe = description.base
    if trained:
        model = trained_tiny(folder, recipe).load(way.device, torch.float32, 0)
    else:
        model = tiny.build_model(len(tokenizer), recipe["hidden"], recipe["layers"], recipe["seed"]).to(way.device)
    return model.to(way.dtype)


def _load_on_base(folder: Path, description: Description, way: _Way, trained: bool) -> tuple[Any, bool]:
    """The model, and whether the adapter is merged."""
    known_as: str = description.base["id"]
    base = _find(known_as, description.base)
    adapter: Adapter | None = None
    if trained:
        adapter = read_adapter(folder)
        refuse_another_base(adapter, base, known_as)
    shape = base_shape(base)
    _refuse_too_large(shape, way)
    with _enough_memory(lambda: _too_large(shape, way.device, way)):
        model = load_base(base, way.device, way.dtype, way.bits)
        merge = not getattr(model, "is_quantized", False)
        if adapter:
            model = put_onto(model, adapter, way.device, merge=merge)
    return model, merge


def _find(known_as: str, named: dict[str, Any]) -> Path:
    """The folder of the base that a checkpoint names; raises NoInput if it is not here, Fault if it has changed."""
    name = one_line(known_as, 200)
    revision = named.get("revision")
    try:
        _refuse_missing(known_as, revision)
        folder = hub.base_folder(known_as, revision)
        hub.refuse_code(folder)
        same = hub.fingerprint(folder) == named["hash"]
    except OSError as error:
        raise from_os_error(error, "reading the base") from None
    if not same:
        raise Fault(
            f"The base {name} is not the one this checkpoint was trained on: its files have changed. "
            "Put the old one back, or train again."
        )
    return folder


def _refuse_missing(known_as: str, revision: str | None) -> None:
    name = one_line(known_as, 200)
    if not revision and not (Path(known_as) / hub.CONFIG).is_file():
        raise NoInput(
            f"The base of this checkpoint was in {name} and is there no more. "
            "Put it back, or make a link there to where it is now."
        )
    if not revision or not hub.is_id(known_as) or not hub.is_commit(revision):
        return
    if not (hub.cache_of(known_as) / "snapshots" / revision / hub.CONFIG).is_file():
        raise NoInput(
            f"The base of this checkpoint, {name} at {revision[:12]}, is not on this machine. "
            f"Get it with: ventriloquist base fetch {name} --revision {revision}"
        )


def _try(model: Any, tokenizer: Any, folder: Path, way: _Way, is_tiny: bool) -> None:
    """Let the model read one token, so that one that cannot compute is found out now."""
    model.requires_grad_(False).eval()
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise Fault(
            f"The checkpoint in {folder} is damaged: its tokenizer has {len(tokenizer):,} tokens, its model {rows:,}. "
            f"{INSTEAD}"
        )
    with torch.inference_mode():
        logits = model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=way.device)).logits
    if not bool(logits.isfinite().all()):
        instead = INSTEAD if is_tiny else "Fetch or copy its base again."
        if way.dtype is torch.float16:
            instead = "Choose another --precision."
        raise Fault(f"The model of {folder} computes no numbers: its weights are damaged, or too large. {instead}")


# --- memory ------------------------------------------------------------------------------------------------------


def _refuse_too_large(shape: Shape, way: _Way) -> None:
    """Raise Fault for a base that cannot fit: on the CPU the system would end the process without a word."""
    if _weight_bytes(shape, way) > free_memory(way.device) * MARGIN:
        raise Fault(_too_large(shape, way.device, way))


def _weight_bytes(shape: Shape, way: _Way) -> int:
    precision: Any = "fp32" if way.dtype is torch.float32 else "bf16"
    bits: Any = way.bits
    return needs.memory(shape, batch_tokens=1, precision=precision, quantised=bits).weights


def _too_large(shape: Shape | None, device: torch.device, way: _Way | None = None) -> str:
    """The sentence that says so, with what takes less memory on this machine."""
    milder, takes = ["Close other programs"], ""
    if shape and way:
        takes = f" (its weights alone take {_weight_bytes(shape, way) / 1e9:.1f} GB)"
        if not way.bits and not why_not_quantised(device):
            milder.append("load it with --load-in-4bit")
        elif not way.bits and way.dtype is torch.float32:
            milder.append("load it with --precision bf16")
    if device.type != "cpu":
        milder.append("use --device cpu")
    where = "the memory of this machine" if device.type == "cpu" else f"the memory of its device ({device.type})"
    return f"The model does not fit into {where}{takes}. {', '.join(milder)}, or train on a smaller base."


@contextmanager
def _enough_memory(sentence: Callable[[], str]) -> Iterator[None]:
    """Turns running out of memory into that sentence, and gives back what was taken until then."""
    try:
        yield
        return
    except Exception as error:
        if isinstance(error, Fault) or not is_out_of_memory(error):
            raise
        error.__traceback__ = None  # which holds what was loaded
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise Fault(sentence())
