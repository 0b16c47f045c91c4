"""What a training needs besides the weights to go on bit for bit: the optimizer's state and how far it is.

Kept as safetensors and JSON; nothing is ever pickled. Random numbers need no keeping: each step starts them anew
from its own number. Every weight's state stands under the weight's name, whole, however many processes shared it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ventriloquist.model.parallel import World, like, whole

OPTIMIZER = "optimizer.safetensors"
PROGRESS = "progress.json"
_SLOTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(slots=True)
class Progress:
    """How far a training is. `log` has a row for each step: loss (nats a target token), learning rate, gradient
    norm, tokens read, target tokens; `validated` is the last step after which the model was validated, with these
    `metrics`, `best` the step with the lowest validation loss so far."""

    step: int = 0
    tokens: int = 0
    validated: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    best: int = 0
    best_loss: float | None = None
    log: list[list[float]] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        (folder / PROGRESS).write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Progress:
        return cls(**json.loads((folder / PROGRESS).read_text()))


def trained(model: Any) -> dict[str, torch.nn.Parameter]:
    """The weights that learn, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def collect_weights(model: Any) -> dict[str, torch.Tensor]:
    """The weights that learn, whole, on the CPU; for all processes together."""
    return {name: whole(parameter) for name, parameter in trained(model).items()}


def collect_optimizer(model: Any, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's state of each weight, whole, on the CPU; for all processes together."""
    return {
        f"{slot}/{name}": whole(optimizer.state[parameter][slot])
        for name, parameter in trained(model).items()
        for slot in _SLOTS
        if slot in optimizer.state[parameter]
    }


def save_optimizer(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write what `collect_optimizer` gave."""
    save_file(tensors, folder / OPTIMIZER)


def restore(
    folder: Path | None, weights: dict[str, torch.Tensor], model: Any, optimizer: torch.optim.Optimizer, world: World
) -> None:
    """Put weights and the optimizer's state back; `folder` and `weights` need only be known to process 0."""
    tensors = load_file(folder / OPTIMIZER) if folder else {}
    for name, parameter in trained(model).items():
        with torch.no_grad():
            parameter.copy_(like(weights[name] if folder else None, parameter, world))
        state = {slot: like(tensors.get(f"{slot}/{name}"), parameter, world) for slot in _SLOTS[:2]}
        count = like(tensors.get(f"step/{name}"), torch.zeros((), device=parameter.device), world)
        optimizer.state[parameter] = {"step": count, **state}
