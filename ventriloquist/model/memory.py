"""What running out of memory looks like, whichever library meets it."""

from __future__ import annotations

import torch

_WORDS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc",
)  # fmt: skip
"""How CUDA, MPS, PyTorch's CPU allocator, the system and C++ say it, in that order but for letter case."""


def is_out_of_memory(error: BaseException) -> bool:
    """True for an error that means that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = str(error).lower()
    return any(said in words for said in _WORDS)
