"""What a training needs besides the weights to go on bit for bit: optimizer, schedule, random numbers.

Kept as safetensors and JSON; nothing is ever pickled.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

TENSORS = "training_state.safetensors"
VALUES = "training_state.json"


def save_state(folder: Path, optimizer: Any, scheduler: Any) -> None:
    """Write the state of `optimizer`, `scheduler` and of every random number generator into `folder`."""
    state = optimizer.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    values: dict[str, Any] = {"param_groups": state["param_groups"], "optimizer": {}}
    for index, slots in state["state"].items():
        for name, value in slots.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer/{index}/{name}"] = value.detach().cpu().contiguous()
            else:
                values["optimizer"][f"{index}/{name}"] = value
    values["scheduler"] = {k: v for k, v in scheduler.state_dict().items() if k != "lr_lambdas"}
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()
    values["python"] = [version, list(words), gauss]
    values["numpy"] = [kind, position, has_gauss, cached]
    tensors["random/numpy"] = torch.from_numpy(np.asarray(keys).astype(np.int64))
    tensors["random/torch"] = torch.random.get_rng_state()
    if torch.cuda.is_available():
        for device, generator in enumerate(torch.cuda.get_rng_state_all()):
            tensors[f"random/cuda/{device}"] = generator
    save_file(tensors, folder / TENSORS)
    (folder / VALUES).write_text(json.dumps(values))


def load_optimizer(folder: Path, optimizer: Any, scheduler: Any) -> None:
    """Put the saved state back into `optimizer` and `scheduler`."""
    tensors, values = load_file(folder / TENSORS), json.loads((folder / VALUES).read_text())
    slots: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/", 2)
            slots.setdefault(int(index), {})[name] = tensor
    for key, value in values["optimizer"].items():
        index, name = key.split("/", 1)
        slots.setdefault(int(index), {})[name] = value
    groups = [{k: tuple(v) if k == "betas" else v for k, v in group.items()} for group in values["param_groups"]]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})
    scheduler.load_state_dict({**scheduler.state_dict(), **values["scheduler"]})


def load_random(folder: Path) -> None:
    """Put every random number generator where it was."""
    tensors, values = load_file(folder / TENSORS), json.loads((folder / VALUES).read_text())
    version, words, gauss = values["python"]
    random.setstate((version, tuple(words), gauss))
    kind, position, has_gauss, cached = values["numpy"]
    np.random.set_state((kind, tensors["random/numpy"].numpy().astype(np.uint32), position, has_gauss, cached))
    torch.random.set_rng_state(tensors["random/torch"])
    if torch.cuda.is_available():
        for device in range(torch.cuda.device_count()):
            if (key := f"random/cuda/{device}") in tensors:
                torch.cuda.set_rng_state(tensors[key], device)
