"""Which windows are learnt together: steps of windows of near-equal length, padded on the right by 2 % at most.

Windows of one batch lie side by side, so none sees another, and no attention mask is needed: what is padded comes
after all that counts.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ventriloquist.model.tokenised import Tokenised

WASTE = 0.02
"""The most padding a step may hold, as a share of all its tokens."""
JITTER = 0.01
"""Lengths are taken for this much shorter or longer when windows are sorted, so that each epoch groups them anew."""

Indices = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows side by side. `input_ids` is (windows, longest); `keep` marks the positions whose next token is
    learnt, and `labels` are these tokens, (targets,)."""

    input_ids: torch.Tensor
    keep: torch.Tensor
    labels: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        ahead = device.type == "cuda"  # Apple's GPU would read on from memory that is free again
        return Batch(*(tensor.to(device, non_blocking=ahead) for tensor in (self.input_ids, self.keep, self.labels)))


def epoch_steps(lengths: npt.NDArray[np.int64], windows_per_step: int, seed: int, epoch: int) -> list[Indices]:
    """The optimizer steps of one epoch, each the windows it learns from, decided by (seed, epoch) alone.

    Every window is in one step. A step has `windows_per_step` windows, or fewer where more would pad too much.
    """
    draw = random.Random(f"{seed}/{epoch}")
    blurred = [(length * (1 + JITTER * draw.uniform(-1, 1)), i) for i, length in enumerate(lengths.tolist())]
    steps: list[Indices] = []
    held: list[int] = []
    longest = total = 0
    for _, index in sorted(blurred):
        length = int(lengths[index])
        wide = max(longest, length)
        if held and (len(held) == windows_per_step or wide * (len(held) + 1) * (1 - WASTE) > total + length):
            steps.append(tuple(held))
            held, longest, total, wide = [], 0, 0, length
        held.append(index)
        longest, total = wide, total + length
    if held:
        steps.append(tuple(held))
    draw.shuffle(steps)
    return steps


def all_steps(lengths: npt.NDArray[np.int64], windows_per_step: int, seed: int, epochs: float) -> list[Indices]:
    """The steps of a whole training; of an epoch that is not whole, the first part of its steps."""
    steps: list[Indices] = []
    whole = int(epochs)
    for epoch in range(whole):
        steps += epoch_steps(lengths, windows_per_step, seed, epoch)
    if (part := epochs - whole) > 0:
        last = epoch_steps(lengths, windows_per_step, seed, whole)
        steps += last[: max(round(len(last) * part), 1)]
    return steps


def split_step(step: Indices, lengths: npt.NDArray[np.int64], tokens: int, world: int = 1) -> list[Indices]:
    """A step in batches of at most `tokens` tokens, padding included, and of at least one window; the same number
    for each of `world` processes, filled up with empty ones."""
    most = max(-(-len(step) // world), 1)
    batches: list[Indices] = []
    held: list[int] = []
    longest = 0
    for index in step:
        wide = max(longest, int(lengths[index]))
        if held and (len(held) == most or wide * (len(held) + 1) > tokens):
            batches.append(tuple(held))
            held, wide = [], int(lengths[index])
        held.append(index)
        longest = wide
    batches.append(tuple(held))
    return batches + [()] * (-len(batches) % world)


def padding(steps: Sequence[Indices], lengths: npt.NDArray[np.int64]) -> float:
    """The share of all tokens that is padding."""
    wide = sum(len(step) * int(lengths[list(step)].max()) for step in steps)
    true = sum(int(lengths[list(step)].sum()) for step in steps)
    return 1 - true / wide if wide else 0.0


def collate(data: Tokenised, indices: Indices) -> Batch:
    """These windows as one batch."""
    windows = [data.window(index) for index in indices]
    longest = max(len(ids) for ids, _ in windows)
    input_ids = np.zeros((len(windows), longest), np.int64)
    keep = np.zeros((len(windows), longest), np.bool_)
    labels = []
    for row, (ids, bears) in enumerate(windows):
        input_ids[row, : len(ids)] = ids
        keep[row, : len(ids) - 1] = bears[1:]
        labels.append(ids[1:][bears[1:]])
    return Batch(
        torch.from_numpy(input_ids), torch.from_numpy(keep), torch.from_numpy(np.concatenate(labels).astype(np.int64))
    )
