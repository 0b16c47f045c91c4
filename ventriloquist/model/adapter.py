"""An adapter on disk: what it may be, and how it is put onto its base.

Only what training writes is taken. An adapter's file of settings can ask PEFT for much more (other modules' code,
other weights, another base), so whatever differs from a plain LoRA is refused by name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from ventriloquist.faults import Fault
from ventriloquist.model import hub
from ventriloquist.model.memory import is_out_of_memory
from ventriloquist.text import one_line

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
INSTEAD = "Train again, or name another checkpoint."
_OURS = {
    "r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "target_modules", "base_model_name_or_path",
    "task_type", "peft_type", "peft_version", "inference_mode",
}  # fmt: skip
"""What differs from adapter to adapter; everything else must be as PEFT has it where nobody chose."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter whose settings were read and whose weights were not; `base` is the model that it names."""

    folder: Path
    base: str
    config: LoraConfig


def read_adapter(folder: Path) -> Adapter:
    """The adapter in a checkpoint's folder; raises Fault if it is damaged or not of the kind that training makes."""
    try:
        found = json.loads((folder / CONFIG).read_text())
        config = LoraConfig(
            r=_number(found["r"]),
            lora_alpha=_number(found["lora_alpha"]),
            use_rslora=found.get("use_rslora") is True,
            use_dora=found.get("use_dora") is True,
            target_modules=[str(name) for name in sorted(found["target_modules"])],
            task_type="CAUSAL_LM",
            inference_mode=True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Fault(f"The adapter in {folder} is damaged: {CONFIG} is missing or cannot be read. {INSTEAD}") from None
    usual = json.loads(json.dumps({**LoraConfig().to_dict(), "peft_type": "LORA"}, default=str))
    for key, value in found.items():
        if key not in _OURS and value != usual.get(key) and value not in (None, False, {}, []):
            raise _foreign(folder, key)
    for key, wanted in (("peft_type", "LORA"), ("task_type", "CAUSAL_LM")):
        if found.get(key) != wanted:
            raise _foreign(folder, key)
    if not isinstance(found["target_modules"], list):  # a pattern, which PEFT would match against every name
        raise _foreign(folder, "target_modules")
    return Adapter(folder, str(found.get("base_model_name_or_path")), config)


def _number(value: Any) -> int:
    if not isinstance(value, int) or not 0 < value <= 1 << 20:
        raise ValueError
    return value


def _foreign(folder: Path, key: str) -> Fault:
    return Fault(
        f"The adapter in {folder} is not of the kind that Ventriloquist trains: {CONFIG} sets {one_line(key, 40)}. "
        f"{INSTEAD}"
    )


def refuse_another_base(adapter: Adapter, base: Path, known_as: str) -> None:
    """Raise Fault where an adapter names another base than its checkpoint, whose base lies in the folder `base`."""
    try:
        same = adapter.base == known_as if hub.is_commit(base.name) else Path(adapter.base).resolve() == base.resolve()
    except (OSError, ValueError, RuntimeError):  # no path
        same = False
    if not same:
        raise Fault(
            f"The checkpoint in {adapter.folder} contradicts itself: {CONFIG} names the base "
            f"{one_line(adapter.base, 80)}, ventriloquist.json {one_line(known_as, 80)}. {INSTEAD}"
        )


def put_onto(model: Any, adapter: Adapter, device: torch.device, *, merge: bool) -> Any:
    """The model with the adapter's weights added to its own (`merge`), or with its layers wrapped.

    No weight of the base is ever there twice: the adapter's layers are made without memory of their own, get the
    weights of the file, and are merged layer by layer. Raises Fault if the adapter does not fit the model.
    """
    path = adapter.folder / WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:
            saved = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        wrapped = _wrap(model, adapter)
        wanted = {name: tuple(weight.shape) for name, weight in get_peft_model_state_dict(wrapped).items()}
        _refuse_misfit(adapter, wanted, saved)
        weights = {name: weight.float() for name, weight in load_file(path, device=str(device)).items()}
    except (SafetensorError, OSError) as error:
        if is_out_of_memory(error):
            raise
        what = f"{WEIGHTS} is {'damaged' if path.is_file() else 'missing'}"
        raise Fault(f"The adapter in {adapter.folder} cannot be loaded: {what}. {INSTEAD}") from None
    if not all(bool(weight.isfinite().all()) for weight in weights.values()):
        raise Fault(f"The adapter in {adapter.folder} is damaged: some of its weights are no numbers. {INSTEAD}")
    set_peft_model_state_dict(wrapped, weights, low_cpu_mem_usage=True)
    return wrapped.merge_and_unload() if merge else wrapped.get_base_model()


def _wrap(model: Any, adapter: Adapter) -> Any:
    """The model with empty adapters on its layers."""
    try:
        return get_peft_model(model, adapter.config, low_cpu_mem_usage=True)
    except ValueError:  # none of the layers is called so
        raise _misfit(adapter, "it is for layers that the base does not have") from None


def _refuse_misfit(adapter: Adapter, wanted: dict[str, tuple[int, ...]], saved: dict[str, tuple[int, ...]]) -> None:
    if wanted.keys() != saved.keys():
        raise _misfit(adapter, "it is for other layers than its base has")
    if wanted != saved:
        raise _misfit(adapter, "its layers have other sizes than those of the base")


def _misfit(adapter: Adapter, why: str) -> Fault:
    return Fault(
        f"The adapter in {adapter.folder} was trained on another base than its checkpoint names: {why}. {INSTEAD}"
    )
