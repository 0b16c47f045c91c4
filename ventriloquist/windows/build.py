"""Records to windows: split by time first, then cut, so that each training message is a target exactly once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ventriloquist.windows.render import Entry, render

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of one conversation. The last `targets` of its message lines bear loss."""

    text: str
    targets: int
    conversation: str
    split: str


@dataclass(frozen=True, slots=True)
class Regions:
    """Where a conversation's entries are cut: train is [0, train), validation [train, validation), test the rest."""

    train: int
    validation: int
    end: int


def split_by_time(entries: Sequence[Entry], holdout: float, max_holdout: int) -> Regions:
    """Cut a conversation (in order of time) into three regions. No message's lines straddle a cut."""
    count = len(entries)
    held = min(int(count * holdout), max_holdout)
    validation = _before_message(entries, count - held)
    return Regions(_before_message(entries, validation - held), validation, count)


def _before_message(entries: Sequence[Entry], cut: int) -> int:
    """`cut`, moved left to where a message begins."""
    while 0 < cut < len(entries) and entries[cut - 1].guid == entries[cut].guid:
        cut -= 1
    return max(cut, 0)


def cut_windows(
    entries: Sequence[Entry], regions: Regions, *, kind: str, members: Sequence[str], size: int, stride: int, id: str
) -> Iterator[Window]:
    """The windows of one conversation, in order of time.

    Training windows hold `size` entries and start `stride` apart; what overlaps is context. Held-out windows
    hold one target and up to `size - 1` entries of context, which may reach back into training's region.
    """
    step = min(stride, size - 1)  # at least one line of context, so that every target's delta is true
    learnt = 0
    while learnt < regions.train:
        start = 0 if learnt == 0 else learnt - (size - step)
        end = min(start + size, regions.train)
        yield Window(render(kind, members, entries[start:end]), end - learnt, id, "train")
        learnt = end
    for position in range(regions.train, regions.end):
        start = max(position - size + 1, 0)
        split = "validation" if position < regions.validation else "test"
        yield Window(render(kind, members, entries[start : position + 1]), 1, id, split)
