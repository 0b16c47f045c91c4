"""Messages to windows: cut so that each training message is a target exactly once, none twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ventriloquist.windows.file import Window, file_line, in_file, message_in_file
from ventriloquist.windows.lines import write
from ventriloquist.windows.render import Entry, header_of, names_in, written
from ventriloquist.windows.split import SPLITS, TRAIN, Entries

__all__ = ["SPLITS", "Stretch", "Window", "cut_windows"]


class Stretch(NamedTuple):
    """What becomes one window: entries with their lines as they stand in the file; the last `targets` bear loss."""

    split: str
    entries: Sequence[Entry]
    lines: Sequence[bytes]
    targets: int

    def file_line(self, kind: str, members: Sequence[str], conversation: str) -> bytes:
        """The window as a line of the file. Only its header and its first line, whose delta is by rule, are written
        anew."""
        first = self.entries[:1]
        header = header_of(kind, names_in(members, self.entries), first)
        opening = [in_file(write(header)), *written(first, None, message_in_file)]
        return file_line([*opening, *self.lines[1:]], self.targets, conversation, self.split)


def cut_windows(assigned: Iterable[tuple[str, Entries]], size: int, stride: int) -> Iterator[Stretch]:
    """The windows of one conversation, in order of time, from its entries with their splits.

    Training windows hold `size` lines and start `stride` apart; what overlaps is context, at least one line of it,
    so that every target's delta is true. Held-out windows hold one target and up to `size - 1` lines of context,
    which may reach back into training. Each line is written once, and only the last ones are kept in memory.
    """
    step = min(stride, size - 1)
    shown: Entries = []
    lines: list[bytes] = []
    learnt, due = 0, size  # up to where the lines were targets, and where the next training window ends
    for split, entries in assigned:
        if not entries:
            continue
        if split != TRAIN and learnt < len(lines):  # the last training window: what is left, with its context
            yield Stretch(TRAIN, shown[due - size :], lines[due - size :], len(lines) - learnt)
            learnt = len(lines)
        lines += written(entries, shown[-1].sent_at if shown else None, message_in_file)
        shown += entries
        ends = range(due, len(lines) + 1, step) if split == TRAIN else range(learnt + 1, len(lines) + 1)
        for end in ends:
            context = slice(max(end - size, 0), end)
            yield Stretch(split, shown[context], lines[context], end - learnt)
            learnt = end
        due = learnt + step if ends else due
        old = max(len(lines) - size + 1, 0)
        del shown[:old], lines[:old]
        learnt, due = learnt - old, due - old
    if learnt < len(lines):
        yield Stretch(TRAIN, shown[due - size :], lines[due - size :], len(lines) - learnt)
