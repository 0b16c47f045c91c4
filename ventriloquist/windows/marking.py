"""A window line by line, each marked with what it is there for: the header, context, or a target."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from ventriloquist.windows.lines import Header, Line, LineError, read, split_lines


class Role(StrEnum):
    """What a line is there for. Targets alone bear loss."""

    HEADER = "header"
    CONTEXT = "context"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class MarkedLine:
    """A line of a window. `raw` is what the model reads, with its newline; `line` is None if it is none of the format.

    Of a target everything is learnt, but for the delta of the first message of a window (`delta_unlearnt`), which is
    `<1m` by rule, whatever came before.
    """

    raw: str
    role: Role
    line: Line | Header | None
    delta_unlearnt: bool = False


def mark(text: str, targets: int) -> list[MarkedLine]:
    """The lines of a window whose last `targets` lines are targets."""
    lines = split_lines(text)
    first_target = max(len(lines) - targets, 1)
    marked = []
    for number, raw in enumerate(lines):
        role = Role.HEADER if number == 0 else Role.TARGET if number >= first_target else Role.CONTEXT
        marked.append(MarkedLine(raw, role, line_of(raw), role is Role.TARGET and number == 1))
    return marked


def has_unlearnt_delta(marked: Iterable[MarkedLine]) -> bool:
    """True if the first message of a window is a target."""
    return any(line.delta_unlearnt for line in marked)


def line_of(raw: str) -> Line | Header | None:
    """The line that `raw` holds, or None."""
    try:
        return read(raw)
    except LineError:
        return None
