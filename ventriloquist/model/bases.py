"""Which bases there are: the presets, and what this machine has; each with what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ventriloquist.faults import Fault
from ventriloquist.model import hub
from ventriloquist.model.needs import Needs, Shape, memory
from ventriloquist.model.presets import PRESETS
from ventriloquist.workspace import Workspace

LISTED_TOKENS = 4096
"""Tokens of a batch for which memory is listed: one window of the longest kind."""


@dataclass(frozen=True, slots=True)
class KnownBase:
    """A base, `here` if all of it is on this machine; `pinned` is the commit that this workspace fetched.

    `bytes` is what its files take here, or about that where it is not here.
    """

    id: str
    license: str
    why: str
    shape: Shape
    bytes: int
    here: bool
    pinned: str | None
    is_preset: bool

    @property
    def memory(self) -> dict[str, Needs]:
        """What a LoRA at the defaults needs of a GPU: `fast`, with all activations kept; `less`, computing them twice;
        `least`, with the base in 4 bits besides."""
        return {
            "fast": memory(self.shape, batch_tokens=LISTED_TOKENS),
            "less": memory(self.shape, batch_tokens=LISTED_TOKENS, checkpointing=True),
            "least": memory(self.shape, batch_tokens=LISTED_TOKENS, checkpointing=True, quantised=4),
        }

    def as_object(self) -> dict[str, Any]:
        """For JSON; sizes in bytes."""
        return {
            "id": self.id,
            "license": self.license or None,
            "parameters": self.shape.parameters,
            "bytes": self.bytes,
            "here": self.here,
            "revision": self.pinned,
            "preset": self.is_preset,
            "why": self.why or None,
            "memory": {"tokens": LISTED_TOKENS, **{way: needs.total for way, needs in self.memory.items()}},
        }


def known_bases(workspace: Workspace) -> list[KnownBase]:
    """The presets in their order, then what else was fetched or lies in the cache of this machine."""
    pins = hub.pins(workspace)
    listed = [_preset(each, pins.get(each.id)) for each in PRESETS]
    presets = {each.id for each in PRESETS}
    others = sorted((set(pins) | set(hub.cached())) - presets)
    return listed + [base for name in others if (base := _other(name, pins.get(name))) is not None]


def _preset(preset: Any, pin: dict[str, Any] | None) -> KnownBase:
    folder = _folder(preset.id, pin)
    return KnownBase(
        id=preset.id,
        license=preset.license,
        why=preset.why,
        shape=preset.shape,
        bytes=_size(folder) if folder else 2 * preset.shape.parameters,
        here=folder is not None,
        pinned=pin["revision"] if pin and folder else None,
        is_preset=True,
    )


def _other(name: str, pin: dict[str, Any] | None) -> KnownBase | None:
    """A base that is no preset; None where the cache has something else by that name, or only a part."""
    folder = _folder(name, pin)
    if folder is None:
        return None
    weights = sum((folder / file).stat().st_size for file in hub.weight_files(folder))
    return KnownBase(
        id=name,
        license=str(pin.get("license") or "") if pin else "",
        why="",
        shape=Shape.of(hub.read_config(folder), weights),
        bytes=_size(folder),
        here=True,
        pinned=pin["revision"] if pin else None,
        is_preset=False,
    )


def _folder(name: str, pin: dict[str, Any] | None) -> Path | None:
    try:
        folder = hub.base_folder(name, pin["revision"] if pin else None)
        hub.refuse_code(folder)
    except Fault:
        return None  # not here, in part, or not ours to load
    return folder


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
