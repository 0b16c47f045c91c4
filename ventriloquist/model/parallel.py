"""Several processes that train one model, as `accelerate launch` or `torchrun` starts them: one for each GPU.

The model is sharded over them (FSDP2), or, where `shard` is false, each holds all of it and gradients are summed.
Process 0 alone reads and writes checkpoints and tells the run; what it decides, the others are told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from ventriloquist.faults import Fault, UsageFault

PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others: one of them may be writing a large checkpoint."""


@dataclass(frozen=True, slots=True)
class World:
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1
    shard: bool = True

    @property
    def first(self) -> bool:
        return self.rank == 0


def join(shard: bool, device: str) -> World:
    """Meet the other processes of this training, if there are any."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    return World(dist.get_rank(), size, shard)


@contextmanager
def company(world: World) -> Iterator[None]:
    """Turns the loss of another process into one sentence."""
    try:
        yield
    except RuntimeError as error:
        if world.size == 1 or not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        raise Fault(
            "Another process of this training has ended. The checkpoints are kept; start all of them again."
        ) from None


def leave() -> None:
    """Part from the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def shard(model: Any, world: World) -> None:
    """Spread the model's weights over the processes, layer by layer; they come together where they are needed."""
    if world.size == 1:
        return
    if not world.shard:
        for parameter in model.parameters():
            dist.broadcast(parameter.data, 0)
        return
    names = set(_layer_names(model))
    layers = [module for module in model.modules() if type(module).__name__ in names]
    if not layers:
        raise UsageFault("This base cannot be sharded: its layers are not known. Train with --no-shard.")
    device = next(model.parameters()).device  # which need not be the best one of this machine
    mesh = init_device_mesh(device.type, (world.size,))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def _layer_names(model: Any) -> Iterable[str]:
    for module in model.modules():
        yield from getattr(module, "_no_split_modules", None) or ()


def settle(model: Any) -> None:
    """Put sharded weights apart again after a forward pass that no backward pass followed."""
    if isinstance(model, FSDPModule):
        model.reshard()


def gradient_scale(world: World) -> float:
    """What a process's loss is multiplied with so that gradients are sums: FSDP averages them."""
    return float(world.size) if world.shard else 1.0


def sum_gradients(parameters: Iterable[torch.nn.Parameter], world: World) -> None:
    """Add up the gradients of all processes where sharding does not do that."""
    if world.size == 1 or world.shard:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        dist.all_reduce(parameter.grad)


def clip(parameters: list[torch.nn.Parameter], most: float) -> float:
    """Bound the norm of all gradients; returns what it was."""
    norm = torch.nn.utils.clip_grad_norm_(parameters, most)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def total(value: torch.Tensor, world: World) -> float:
    """The sum of a number over all processes."""
    if world.size > 1:
        dist.all_reduce(value)
    return float(value)


def anyone(true: bool, world: World, device: torch.device) -> bool:
    """Whether it is true for any process."""
    return true if world.size == 1 else total(torch.tensor(float(true), device=device), world) > 0


def agree(value: Any, world: World) -> Any:
    """What process 0 says."""
    if world.size == 1:
        return value
    held = [value]
    dist.broadcast_object_list(held, 0)
    return held[0]


def must_agree(value: str, what: str, world: World) -> None:
    """Refuse to train when the processes do not see the same thing."""
    if world.size == 1:
        return
    held: list[Any] = [None] * world.size
    dist.all_gather_object(held, value)
    if len(set(held)) > 1:
        raise Fault(f"The machines of this training differ in {what}. Copy the workspace's data to all of them.")


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor in full, on the CPU; all processes must ask for it together."""
    full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return full.detach().cpu().contiguous()


def like(full: torch.Tensor | None, parameter: torch.Tensor, world: World) -> torch.Tensor:
    """`full`, which process 0 has, laid out like `parameter`; all processes must ask for it together."""
    if full is None:
        full = torch.zeros(parameter.shape, dtype=parameter.dtype)
    full = full.to(parameter.device)
    if isinstance(parameter, DTensor):
        return distribute_tensor(full, parameter.device_mesh, parameter.placements)
    if world.size > 1:
        dist.broadcast(full, 0)
    return full
