"""Windows as token ids: each line tokenised once, by itself, and the lines concatenated.

Concatenation equals tokenising the whole window wherever a newline is a token boundary; `lines_hold` checks that
for a tokenizer. Special tokens that someone typed are plain text (`split_special_tokens`).
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ventriloquist.windows.lines import DELTAS, KEYS, Line, quote, read, split_lines, write

Ids = npt.NDArray[np.int32]

LONGEST_SHARE = 4
"""A line may take this part of a window at most."""

_PROBE = (
    Line('Ann "B" O\'Neil', "<1m", None, "text", 'so (ok) "yes"!! 😂 \\ {x}\tü'),
    Line("Zoë", "1d+", 'so (ok) "yes"!! 😂 \\ {x}', "reaction", "Loved"),
    Line("+15550100", "<12h", None, "text", "日本語 שלום 👩‍👩‍👧 e\u0301\u2028..."),
)


@dataclass(frozen=True, slots=True)
class TokenWindow:
    """A window's ids, which of them bear loss, and how many message lines these make."""

    ids: Ids
    target: npt.NDArray[np.bool_]
    lines: int


@dataclass(frozen=True, slots=True)
class FittedLine:
    """A line as it stands in a window: its text, its ids, and how many of these are as its writer left them."""

    text: str
    ids: list[int]
    true: int


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

    def encode_window(self, lines: Sequence[str]) -> list[list[int]]:
        """The ids of a window's lines, as they stand in the whole text: for tokenizers that do not hold to lines."""
        encoded = self.tokenizer(
            "".join(lines), add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        ends = list(itertools.accumulate(len(line) for line in lines))
        parts: list[list[int]] = [[] for _ in lines]
        for token, (start, _) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            parts[bisect.bisect_right(ends, start)].append(token)
        return parts

    def encode_with_ends(self, text: str) -> list[tuple[int, int]]:
        """The ids of a whole text, each with the character that it ends before."""
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        ends = (end for _, end in encoded["offset_mapping"])
        return list(zip(encoded["input_ids"], ends, strict=True))

    def windows(self, text: str, targets: int, max_tokens: int) -> list[TokenWindow]:
        """A window as ids, in as many pieces as `max_tokens` demands; see `assemble`."""
        lines = split_lines(text)
        return self.assemble(lines, self.encode_lines(lines), targets, max_tokens)

    def assemble(
        self, lines: Sequence[str], ids: Sequence[Sequence[int]], targets: int, max_tokens: int
    ) -> list[TokenWindow]:
        """A window from its lines, header first, and their ids: whole if it fits into `max_tokens`.

        One that is too long comes in pieces, each with the header and with up to a quarter of its length in lines
        before its first target, so that no target is lost and each is one once. Only where the header itself leaves
        no room for a line is that line left out.

        The delta of a window's first line is never learnt: it is `<1m` by rule, whatever came before. Nor is where
        a line was cut that is too long by itself.
        """
        longest = max_tokens // LONGEST_SHARE
        body = [self.bounded(text, line_ids, longest) for text, line_ids in zip(lines[1:], ids[1:], strict=True)]
        header = [*self.lead, *ids[0]]
        room = max_tokens - len(header)
        found = []
        learnt = len(body) - targets
        while learnt < len(body):
            start, end = _piece(body, learnt, room)
            if end == learnt:
                learnt += 1
                continue
            piece = body[start:end]
            if start > 0:
                piece[0] = self.as_first(piece[0])
            found.append(self._joined(header, piece, learnt - start))
            learnt = end
        return [window for window in found if window.lines]

    def _joined(self, header: Sequence[int], body: Sequence[FittedLine], context: int) -> TokenWindow:
        flat = list(header)
        target = [False] * len(flat)
        lines = 0
        for number, line in enumerate(body):
            bears = [number >= context and index < line.true for index in range(len(line.ids))]
            if number == 0 and context == 0:
                for position in self._delta_positions(line.text, line.ids):
                    bears[position] = False
            flat += line.ids
            target += bears
            lines += any(bears)
        return TokenWindow(np.array(flat, np.int32), np.array(target, np.bool_), lines)

    def fit(self, lines: Sequence[str], ids: Sequence[Sequence[int]], max_tokens: int) -> list[FittedLine]:
        """The header and as many of the last lines as fit into `max_tokens`.

        Lines are dropped from the left, and the one that is then first says `<1m`. A line of more than a quarter of
        `max_tokens` is cut in its text and closed.
        """
        header = FittedLine(lines[0], list(ids[0]), len(ids[0]))
        room = max_tokens - len(self.lead) - len(header.ids)
        kept: list[FittedLine] = []
        for text, line_ids in zip(reversed(lines[1:]), reversed(ids[1:]), strict=True):
            line = self.bounded(text, line_ids, max_tokens // LONGEST_SHARE)
            if len(line.ids) > room:
                break
            room -= len(line.ids)
            kept.append(line)
        kept.reverse()
        if kept and len(kept) < len(lines) - 1:
            kept[0] = self.as_first(kept[0])
        return [header, *kept]

    def as_first(self, line: FittedLine) -> FittedLine:
        """The line with the delta that a window's first line has."""
        text = _with_first_delta(line.text)
        if text == line.text:
            return line
        ids = self.encode(text)
        return FittedLine(text, ids, max(len(ids) - len(line.ids) + line.true, 0))

    def bounded(self, text: str, ids: Sequence[int], limit: int) -> FittedLine:
        """The line, its text cut so that it has at most `limit` tokens."""
        line = FittedLine(text, list(ids), len(ids))
        return line if len(line.ids) <= limit else self._cut(line, limit)

    def _cut(self, line: FittedLine, limit: int) -> FittedLine:
        """The line with its text cut so that it has at most `limit` tokens; learnt only as far as it is as it was."""
        parsed = read(line.text)
        assert isinstance(parsed, Line)
        low, high = 0, min(len(parsed.text), limit * 16)
        cut, ids = line.text, line.ids
        while low < high:
            middle = (low + high + 1) // 2
            attempt = write(replace(parsed, text=parsed.text[:middle]))
            attempt_ids = self.encode(attempt)
            if len(attempt_ids) <= limit:
                low, cut, ids = middle, attempt, attempt_ids
            else:
                high = middle - 1
        pairs = enumerate(zip(ids, line.ids, strict=False))
        return FittedLine(cut, ids, next((index for index, (a, b) in pairs if a != b), len(ids)))

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


def _piece(body: Sequence[FittedLine], learnt: int, room: int) -> tuple[int, int]:
    """Which lines make the piece whose first target is `learnt`: [start, end), of at most `room` tokens.

    All that fits from the window's first line on, else up to a quarter of `room` before the target.
    """
    if sum(len(line.ids) for line in body) <= room:
        return 0, len(body)
    start, used = learnt, 0
    while start > 0 and used + len(body[start - 1].ids) <= room // LONGEST_SHARE:
        start -= 1
        used += len(body[start].ids)
    end = learnt
    while end < len(body) and used + len(body[end].ids) <= room:
        used += len(body[end].ids)
        end += 1
    while start > 0 and end == len(body) and used + len(body[start - 1].ids) <= room:
        start -= 1  # the last piece has room for more of what came before
        used += len(body[start].ids)
    return start, end


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
