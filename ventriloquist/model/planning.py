"""What a training will take, before it starts: steps, tokens, memory, disk, and, after a short probe, time.

Memory is reckoned from the base's shape and the largest batch (`needs`), so that what cannot fit is refused before
any weight is loaded, with the setting that makes it fit.
"""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from ventriloquist.faults import Fault
from ventriloquist.model import needs
from ventriloquist.model.base import Base, choose_dtype
from ventriloquist.model.batches import split_step
from ventriloquist.model.memory import is_out_of_memory
from ventriloquist.model.needs import Needs
from ventriloquist.model.schedule import Schedule
from ventriloquist.model.tokenised import Tokenised
from ventriloquist.model.train import KEPT_CHECKPOINTS, Training
from ventriloquist.settings import TrainSettings

PROBES = 4
MARGIN = 0.95
"""The share of the memory that is free which a training may take."""
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the memory of a training depends on. `batch` and `longest` are tokens: of the largest batch, and of the
    longest window; `rank` is 0 where the model is trained whole."""

    batch: int
    longest: int
    rank: int
    bits: int
    checkpointing: bool
    sharded: bool = False


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a training will take. Memory and disk are bytes; `seconds` is None before it was probed."""

    windows: int
    messages: int
    lengths: tuple[int, int, int, int]
    """Tokens of the shortest, the middle, the ninth of ten, and the longest window."""
    steps: int
    epochs: float
    tokens: int
    targets: int
    padding: float
    wanted: Wanted
    memory: Needs
    available: int
    disk: int
    free: int
    device: str
    seconds: float | None = None
    peak: int | None = None

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "windows": self.windows,
            "messages": self.messages,
            "window_tokens": dict(zip(("shortest", "median", "90%", "longest"), self.lengths, strict=True)),
            "steps": self.steps,
            "epochs": self.epochs,
            "tokens": self.tokens,
            "target_tokens": self.targets,
            "padding": round(self.padding, 4),
            "batch_tokens": self.wanted.batch,
            "checkpointing": self.wanted.checkpointing,
            "memory": self.memory.as_object(),
            "memory_free": self.available,
            "memory_peak": self.peak,
            "disk": self.disk,
            "disk_free": self.free,
            "seconds": None if self.seconds is None else round(self.seconds),
        }

    def sentences(self) -> Iterator[str]:
        """The same for people."""
        shortest, middle, ninth, longest = self.lengths
        yield (
            f"{self.windows:,} windows with {self.messages:,} messages to learn from, of {shortest:,} to {longest:,} "
            f"tokens; half of them have at most {middle:,}, nine of ten at most {ninth:,}."
        )
        yield (
            f"{self.steps:,} step{'s' if self.steps != 1 else ''}, {self.epochs:g} epochs, {_tokens(self.tokens)} "
            f"tokens, {_tokens(self.targets)} of them learnt; {self.padding:.1%} padding."
        )
        parts = (
            (self.memory.weights, "weights"),
            (self.memory.activations, "activations"),
            (self._learning, "learning"),
        )
        told = ", ".join(f"{_gigabytes(size)} {what}" for size, what in parts)
        twice = "; activations are computed twice to save memory" if self.wanted.checkpointing else ""
        yield (
            f"Memory: about {_gigabytes(self.memory.total)} ({told}) of {_gigabytes(self.available)} that are free on "
            f"{self.device}{twice}."
        )
        yield f"Disk: {_gigabytes(self.disk)} of {_gigabytes(self.free)} that are free."
        if self.seconds is not None and self.peak is not None:
            yield f"Time: about {_duration(self.seconds)}, at {_gigabytes(self.peak)} of memory, by a few steps done."

    @property
    def _learning(self) -> int:
        return self.memory.adapter + self.memory.gradients + self.memory.optimizer


def look(
    base: Base,
    data: Tokenised,
    schedule: Schedule,
    settings: TrainSettings,
    device: torch.device,
    world: int,
    folder: Path,
) -> Outlook:
    """What the training will take, by arithmetic; raises Fault if it cannot fit, naming the setting that makes it.

    `folder` is where the checkpoints go, `world` how many processes share the model.
    """
    lengths = data.lengths
    half = choose_dtype(device, settings.precision) is torch.bfloat16
    recipe = settings.recipe

    def reckon(wanted: Wanted) -> Needs:
        return needs.memory(
            base.shape,
            batch_tokens=wanted.batch,
            lora_r=wanted.rank,
            precision="bf16" if half else "fp32",
            quantised=wanted.bits,  # type: ignore[arg-type]
            checkpointing=wanted.checkpointing,
            whole=settings.is_tiny,
            sharded_over=world if settings.shard else 1,
            dropout=recipe.dropout > 0,
            on_gpu=device.type != "cpu",
        )

    wanted = Wanted(
        _largest(schedule, lengths, world), int(lengths.max()), recipe.r, settings.bits, settings.checkpointing == "on",
        settings.shard and world > 1,
    )  # fmt: skip
    available = int(free_memory(device) * MARGIN)
    if settings.checkpointing == "auto" and reckon(wanted).total > available:
        wanted = replace(wanted, checkpointing=True)
    memory = reckon(wanted)
    if memory.total > available:
        raise Fault(
            f"This training needs about {_gigabytes(memory.total)} of memory, and {_gigabytes(available)} are free on "
            f"{device.type}. {_remedy(wanted, lambda other: reckon(other).total <= available, device)}"
        )
    checkpoint = needs.disk(base.shape, recipe.r, whole=settings.is_tiny)
    small = needs.disk(base.shape, recipe.r, whole=settings.is_tiny, resumable=False)
    disk, free = (KEPT_CHECKPOINTS + 1) * checkpoint + 2 * small, shutil.disk_usage(folder).free
    if disk > free:
        raise Fault(
            f"The checkpoints of this training take up to {_gigabytes(disk)}, and {_gigabytes(free)} are free on the "
            "disk. Free some space" + (", or choose a smaller --lora-r." if recipe.r else ".")
        )
    spread = np.percentile(lengths, [0, 50, 90, 100]).astype(int).tolist()
    tokens = schedule.tokens(data)
    return Outlook(
        len(data), int(data.lines.sum()), (spread[0], spread[1], spread[2], spread[3]), len(schedule.steps),
        round(tokens / int(lengths.sum()), 2), tokens, schedule.targets(data), schedule.padding(data), wanted, memory,
        available, disk, free, device.type,
    )  # fmt: skip


def _largest(schedule: Schedule, lengths: Any, world: int) -> int:
    """Tokens of the largest batch, padding included."""
    return max(
        len(batch) * int(lengths[list(batch)].max())
        for step in set(schedule.steps)
        for batch in split_step(step, lengths, schedule.batch_tokens, world)
        if batch
    )


def _remedy(wanted: Wanted, fits: Callable[[Wanted], bool], device: torch.device) -> str:
    """The mildest change, or changes together, with which it would fit."""
    flags: list[str] = []
    for flag, change in _changes(wanted, device):
        wanted = replace(wanted, **change)
        flags.append(flag)
        if fits(wanted):
            return f"It would fit with {' '.join(flags)}."
    smaller = f"choose {_smaller_base(wanted)}, or run preprocess with a smaller --size."
    return f"Not even {' '.join(flags)} makes it fit: {smaller}" if flags else f"To make it fit, {smaller}"


def _smaller_base(wanted: Wanted) -> str:
    return "a smaller --base (see: ventriloquist base list)" if wanted.rank else "a smaller --tiny-hidden"


def _changes(wanted: Wanted, device: torch.device) -> Iterator[tuple[str, dict[str, Any]]]:
    if not wanted.checkpointing:
        yield "--checkpointing on", {"checkpointing": True}
    if wanted.batch > wanted.longest:
        yield f"--tokens-per-batch {wanted.longest}", {"batch": wanted.longest}
    if wanted.rank and not wanted.bits and not wanted.sharded and device.type == "cuda":
        yield "--load-in-4bit", {"bits": 4}
    if wanted.rank > 8:
        yield "--lora-r 8", {"rank": 8}


def free_memory(device: torch.device) -> int:
    """Bytes that a training may take on this device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())
    own = int(psutil.Process().memory_info().rss)
    return min(int(psutil.virtual_memory().available), _group_limit()) + own


def _group_limit() -> int:
    """What a container leaves to its processes, if this is one."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        if limit == "max":
            return sys.maxsize
        told = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        files = int(told["active_file"]) + int(told["inactive_file"])  # kept in memory only while nobody wants it
        return int(limit) - int((_CGROUP / "memory.current").read_text()) + files
    except (OSError, ValueError, KeyError):
        return sys.maxsize


def probe(training: Training, outlook: Outlook) -> Outlook:
    """The outlook with the time that the whole training will take and the memory that it took at its peak, from the
    largest step and a few others, really done. The model is not the same afterwards."""
    lengths, steps = training.data.lengths, training.schedule.steps
    largest = max(range(len(steps)), key=lambda step: int(lengths[list(steps[step])].sum()))
    training.rehearse(largest)
    started = time.perf_counter()
    chosen = [index * len(steps) // PROBES for index in range(PROBES)]
    for step in chosen:
        training.rehearse(step)
    seconds = time.perf_counter() - started
    tokens = sum(int(lengths[list(steps[step])].sum()) for step in chosen)
    return replace(outlook, seconds=seconds * outlook.tokens / tokens, peak=_peak(training.device))


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def enough_memory(wanted: Wanted, device: torch.device) -> Iterator[None]:
    """Turns running out of memory into one sentence with the setting that takes less."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        milder = next((flag for flag, _ in _changes(wanted, device)), _smaller_base(wanted))
        again = "start it again with" if milder.startswith(_SAME_MODEL) else "start a new one (--fresh) with"
        raise Fault(
            f"{'The GPU' if device.type != 'cpu' else 'This machine'} ran out of memory. The checkpoints are kept; "
            f"{again} {milder}."
        ) from None


_SAME_MODEL = ("--checkpointing", "--tokens-per-batch")
"""What changes the memory alone: with any other setting it is another training."""


def _tokens(count: int) -> str:
    return f"{count / 1e6:.2f} million" if count >= 1e5 else f"{count:,}"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
