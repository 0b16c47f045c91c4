"""What the grammar costs at a vocabulary as large as Qwen's: the mask of each token that is drawn, and a new line's.

Lines of the sample history are followed token by token, as the generator goes through a line: forced tokens are taken,
and where one has to be drawn, its mask is timed (process CPU time), which is all of it: what the grammar allows, and
that as a tensor of booleans as wide as the logits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean, median, quantiles
from typing import Any

from benchmarks.measuring import Measured
from benchmarks.rows import told, within
from benchmarks.talking import REPLIES
from ventriloquist.model.grammar import Grammars
from ventriloquist.model.tokens import LineTokenizer
from ventriloquist.windows.lines import Header, Line, reply_quote, write

GOAL = 50.0


@dataclass(slots=True)
class Times:
    """Microseconds of CPU: for each mask but a line's first, and to begin each line, its first mask among it."""

    masks: list[float]
    beginnings: list[float]


def rows(tokenizer: Any, logits: int, header: Header, lines: Sequence[Line], rounds: int, each: int) -> list[Measured]:
    """`rounds` times `each` lines, different ones; the first lines warm up."""
    before = time.process_time()
    grammars = Grammars(tokenizer, logits)
    setting_up = time.process_time() - before
    encoder = LineTokenizer(tokenizer)
    follow(grammars, encoder, header, lines[: REPLIES + 3], REPLIES)
    found = []
    for number in range(rounds):
        start = REPLIES + number * each
        found.append(follow(grammars, encoder, header, lines[: start + each], start))
    masks = [value for one in found for value in one.masks]
    beginnings = [value for one in found for value in one.beginnings]
    at = f"at a vocabulary of {len(tokenizer):,} tokens"
    return [
        within(f"the median mask of {len(masks):,} {at}", [median(one.masks) for one in found], GOAL, "µs"),
        told(f"the slowest of a hundred masks {at}", [_slowest(one.masks) for one in found], "µs"),
        told(f"the mean mask {at}", [mean(one.masks) for one in found], "µs"),
        told(f"a new line's grammar, {REPLIES} replies in it, and its first mask {at}",
             [value / 1000 for value in beginnings], "ms"),
        told(f"making the grammar's tokenizer {at}, once", [setting_up], "s"),
    ]  # fmt: skip


def follow(grammars: Grammars, encoder: LineTokenizer, header: Header, lines: Sequence[Line], start: int) -> Times:
    """Go through the lines from `start` on as if they were written; those before are what may be replied to."""
    found = Times([], [])
    names = header.members
    for number in range(start, len(lines)):
        line = lines[number]
        replies = [reply_quote(each.text) for each in lines[max(number - REPLIES, 0) : number]]
        if line.reply_to is not None:
            line = replace(line, reply_to=replies[-1])
        _follow_line(grammars, names, replies, encoder.encode(write(line)), found)
    return found


def _follow_line(
    grammars: Grammars, names: Sequence[str], replies: Sequence[str], ids: Sequence[int], found: Times
) -> None:
    before = time.process_time_ns()
    constraint = grammars.line(names, replies)
    forced = constraint.forced()
    position = len(forced)
    constraint.take(forced)
    constraint.allowed()
    found.beginnings.append((time.process_time_ns() - before) / 1000)
    first = True
    while position < len(ids):
        ahead = constraint.forced()
        if not ahead:
            before = time.process_time_ns()
            allowed = constraint.allowed()
            spent = (time.process_time_ns() - before) / 1000
            if not first:
                found.masks.append(spent)
            first = False
            if not allowed[ids[position]]:
                raise AssertionError("the grammar refuses a token of training")
            ahead = [ids[position]]
        constraint.take(ahead)
        position += len(ahead)


def _slowest(values: Sequence[float]) -> float:
    return quantiles(values, n=100)[-1]
