"""The part of a model that learns: a LoRA adapter on every linear layer, or all of a tiny base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file

from ventriloquist.faults import UsageFault
from ventriloquist.model.state import trained
from ventriloquist.settings import TrainSettings

BETAS = (0.9, 0.99)


def add_adapter(model: Any, settings: TrainSettings) -> Any:
    """A new LoRA adapter on every linear layer of `model` but its head; float32 whatever the base is."""
    recipe = settings.recipe
    config = LoraConfig(
        r=recipe.r,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        use_rslora=settings.rslora,
        use_dora=settings.dora,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def share_inputs(model: Any) -> None:
    """Let autocast alone choose what adapters compute in.

    PEFT makes a float32 copy of the input of every adapter, which autocast rounds back at once: the same numbers, but
    each adapter then keeps a copy of its own for the backward pass.
    """
    for module in model.modules():
        if hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = False


def continue_adapter(model: Any, folder: Path, settings: TrainSettings) -> Any:
    """The adapter of a finished checkpoint, to learn on; raises UsageFault if the settings ask for another kind."""
    adapter = PeftModel.from_pretrained(model, str(folder), is_trainable=True)
    for name, key in _KINDS.items():
        wanted, found = getattr(settings, name), getattr(adapter.active_peft_config, key)
        if wanted and wanted != found:
            flag = name.replace("_", "-")
            raise UsageFault(f"--continue-from goes on with its adapter as it is ({key} {found}): leave --{flag} out.")
    return adapter


_KINDS = {
    "lora_r": "r", "lora_alpha": "lora_alpha", "lora_dropout": "lora_dropout", "rslora": "use_rslora",
    "dora": "use_dora",
}  # fmt: skip
"""What PEFT calls the settings that make an adapter what it is."""


def build_optimizer(model: Any, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW without weight decay. With LoRA+, the B matrices learn `loraplus` times as fast as the rest; each
    group's `scale` says how its learning rate follows the schedule's."""
    ratio = settings.loraplus or 1.0
    slow: list[torch.nn.Parameter] = []
    fast: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (fast if ratio != 1.0 and "lora_B" in name else slow).append(parameter)
    groups: list[dict[str, Any]] = [{"params": slow, "scale": 1.0}]
    if fast:
        groups.append({"params": fast, "scale": ratio})
    return torch.optim.AdamW(groups, betas=BETAS, weight_decay=0.0, fused=True)


def load_weights(model: Any, folder: Path) -> dict[str, torch.Tensor]:
    """The weights that a checkpoint of `model` holds, by the names that they have in the model."""
    if not isinstance(model, PeftModel):
        return dict(load_file(folder / "model.safetensors"))
    learnt = trained(model)
    names = {id(parameter): name for name, parameter in learnt.items()}
    on_disk = get_peft_model_state_dict(model, state_dict=dict(learnt))
    saved = load_file(folder / "adapter_model.safetensors")
    return {names[id(parameter)]: saved[key] for key, parameter in on_disk.items()}
