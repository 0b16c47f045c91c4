"""Windows as token ids: each line tokenised once, by itself, and the lines concatenated.

Concatenation equals tokenising the whole window wherever a newline is a token boundary; `lines_hold` checks that
for a tokenizer. Special tokens that someone typed are plain text (`split_special_tokens`).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ventriloquist.windows.lines import DELTAS, Line, quote, split_lines, write

Ids = npt.NDArray[np.int32]

_PROBE = (
    Line('Ann "B" O\'Neil', "<1m", None, "text", 'so (ok) "yes"!! 😂 \\ {x}\tü'),
    Line("Zoë", "1d+", 'so (ok) "yes"!! 😂 \\ {x}', "reaction", "Loved"),
    Line("+15550100", "<12h", None, "text", "日本語 שלום 👩‍👩‍👧 e\u0301\u2028..."),
)


@dataclass(frozen=True, slots=True)
class TokenWindow:
    """A window's ids and which of them bear loss."""

    ids: Ids
    target: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Row:
    """Several windows in one sequence: ids, positions that restart, and where loss is computed.

    `keep` indexes the positions whose next token is a target; `labels` are those next tokens.
    """

    ids: Ids
    positions: Ids
    keep: Ids
    labels: Ids
    windows: int


class LineTokenizer:
    """Tokenises lines for one base's tokenizer, batch by batch."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        lead = tokenizer("", add_special_tokens=True)["input_ids"]
        self.lead: list[int] = [token for token in lead if token == tokenizer.bos_token_id]
        self.by_line = lines_hold(tokenizer)

    def encode(self, text: str) -> list[int]:
        """The ids of a whole text, with no special token in it."""
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        """The ids of each line."""
        if not lines:
            return []
        ids: list[list[int]] = self.tokenizer(
            list(lines), add_special_tokens=False, split_special_tokens=True, return_attention_mask=False
        )["input_ids"]
        return ids

    def window(self, text: str, targets: int, max_tokens: int) -> TokenWindow | None:
        """A window of at most `max_tokens`; lines that do not fit are dropped from the left of its context.

        None if not even the header and the last line fit. The delta of a window's first line is never learnt:
        it is `<1m` by rule, whatever came before.
        """
        return self.assemble(split_lines(text), self.encode_lines(split_lines(text)), targets, max_tokens)

    def assemble(
        self, lines: Sequence[str], ids: Sequence[Sequence[int]], targets: int, max_tokens: int
    ) -> TokenWindow | None:
        """`window`, for lines whose ids are known."""
        header, body = ids[0], ids[1:]
        room = max_tokens - len(self.lead) - len(header)
        kept = 0
        for line in reversed(body):
            if len(line) > room:
                break
            room -= len(line)
            kept += 1
        if not kept:
            return None
        dropped = len(body) - kept
        flat = [*self.lead, *header]
        target = [False] * len(flat)
        first_target = len(body) - targets
        for index in range(dropped, len(body)):
            line_ids = list(body[index])
            if index == dropped and dropped:
                line_ids = self.encode(_with_first_delta(lines[index + 1]))
            bears = [index >= first_target] * len(line_ids)
            if index == dropped:
                for position in self._delta_positions(lines[index + 1], line_ids):
                    bears[position] = False
            flat += line_ids
            target += bears
        if not any(target):
            return None
        return TokenWindow(np.array(flat, np.int32), np.array(target, np.bool_))

    def _delta_positions(self, line: str, ids: Sequence[int]) -> range:
        """Which of a line's tokens hold its delta: found by what differs from the line with another delta."""
        other = self.encode(_with_first_delta(line, DELTAS[3]))
        mine = self.encode(_with_first_delta(line))
        start = next((i for i, (a, b) in enumerate(zip(mine, other, strict=False)) if a != b), 0)
        end = next((i for i, (a, b) in enumerate(zip(reversed(mine), reversed(other), strict=False)) if a != b), 0)
        return range(start, max(len(ids) - end, start))


def _with_first_delta(line: str, delta: str = DELTAS[0]) -> str:
    before, mark, after = line.partition('", "delta": "')
    return before + mark + delta + after[after.index('"') :] if mark else line


def lines_hold(tokenizer: Any) -> bool:
    """True if tokenising line by line equals tokenising the whole text, on a probe of awkward lines."""
    lines = [write(line) for line in _PROBE]
    call = {"add_special_tokens": False, "split_special_tokens": True}
    whole = tokenizer("".join(lines), **call)["input_ids"]
    parts = [token for line in lines for token in tokenizer(line, **call)["input_ids"]]
    return bool(whole == parts)


def pack(windows: Iterable[TokenWindow], max_tokens: int) -> Iterator[Row]:
    """Rows of at most `max_tokens`, in the order given; a window is never split."""
    held: list[TokenWindow] = []
    length = 0
    for window in windows:
        if held and length + len(window.ids) > max_tokens:
            yield _row(held)
            held, length = [], 0
        held.append(window)
        length += len(window.ids)
    if held:
        yield _row(held)


def _row(windows: Sequence[TokenWindow]) -> Row:
    ids = np.concatenate([window.ids for window in windows])
    target = np.concatenate([window.target for window in windows])
    positions = np.concatenate([np.arange(len(window.ids), dtype=np.int32) for window in windows])
    learnt = np.flatnonzero(target & (positions > 0))
    return Row(ids, positions, (learnt - 1).astype(np.int32), ids[learnt], len(windows))


def shuffled(windows: Sequence[TokenWindow], epoch: int, seed: int) -> list[TokenWindow]:
    """The windows in the order of one epoch, from (seed, epoch) alone."""
    order = list(range(len(windows)))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return [windows[index] for index in order]


def field_of_tokens(line: str, offsets: Sequence[tuple[int, int]]) -> list[str]:
    """The part of a line each token belongs to: name, delta, reply_to, content_type, text or structure.

    `offsets` are character spans in `line`. The text's part reaches to the end of the line, since the closing
    quote is where the writer chose to stop. A token that touches a value belongs to that value.
    """
    spans = _field_spans(line)
    fields = []
    for start, end in offsets:
        touching = (name for name, low, high in spans if start < high and end > low)
        fields.append(next(touching, "structure"))
    return fields


def _field_spans(line: str) -> list[tuple[str, int, int]]:
    """Where each value stands in a canonical line, without its quotes."""
    from ventriloquist.windows.lines import KEYS, read

    parsed = read(line)
    assert isinstance(parsed, Line)
    spans = []
    position = 1
    for key in KEYS:
        value = quote(getattr(parsed, key))
        position += len(quote(key)) + 2
        quoted = value.startswith('"')
        low, high = (position + 1, position + len(value) - 1) if quoted else (position, position + len(value))
        spans.append((key, low, len(line) if key == "text" else high))
        position += len(value) + 2
    return spans
