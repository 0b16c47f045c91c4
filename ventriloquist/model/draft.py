"""A line while it is written: followed through the grammar, its text streamed, what it costs counted."""

from __future__ import annotations

import codecs
import random
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ventriloquist.model.grammar import Constraint, Grammars
from ventriloquist.model.sampling import REMEMBERED, Sampling
from ventriloquist.windows.lines import Line, LineError, read
from ventriloquist.windows.partial import PartialLine


@dataclass(slots=True)
class Cost:
    """What one line cost.

    `tokens` of the line and `sampled` among them, `forwards` of the model, tokens of the context that had to be `read`,
    lines `dropped` from its left because they do not fit, `seconds`, and `first_seconds` to the first character of
    text.
    """

    tokens: int = 0
    sampled: int = 0
    forwards: int = 0
    read: int = 0
    dropped: int = 0
    seconds: float = 0.0
    first_seconds: float = 0.0


class Piece(NamedTuple):
    """A part of a line as it comes: `name` once it is certain, `text` as it grows, at last the whole `line`."""

    kind: str
    value: Any


class Written(NamedTuple):
    """A whole line, what it cost, and exactly what the model wrote before it was closed or read."""

    line: Line
    cost: Cost
    raw: str


class Draft:
    """One line that is being written.

    `ids`: its tokens so far; `text`: what of its text is certain. `pending`: ids that the model has not read yet, what
    is left of the context among them.
    """

    def __init__(
        self,
        grammars: Grammars,
        constraint: Constraint,
        names: Sequence[str],
        replies: Sequence[str],
        sampling: Sampling,
        longest: int,
        stream: random.Random,
        cost: Cost,
        started: float,
    ) -> None:
        self.constraint = constraint
        self.stream = stream
        self.cost = cost
        self.ids: list[int] = []
        self.pending: list[int] = []
        self.repeated: deque[int] = deque(maxlen=REMEMBERED)
        self.owed = 0
        """Bytes that stand before the line and are still to be written."""
        self._grammars = grammars
        self._names = names
        self._meant = {grammars.spelt(text): text for text in (*replies, *names)}
        self._sampling = sampling
        self._longest = longest
        self._started = started
        self._text_tokens = 0
        self._partial = PartialLine()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def text(self) -> str:
        return self._partial.shown

    @property
    def written(self) -> str:
        """The line as far as it is certain."""
        return self._partial.written

    @property
    def in_text(self) -> bool:
        """True if what comes next belongs to the text, or closes it."""
        return self._partial.in_text

    @property
    def ended(self) -> bool:
        """True if the line is whole, or as long as it may get."""
        long = self._text_tokens >= self._sampling.max_tokens or len(self.ids) >= self._longest
        return long or self._partial.complete

    def given(self) -> list[int]:
        """The pending ids, which the model reads now."""
        pending, self.pending = self.pending, []
        return pending

    def draw(self, token: int) -> list[Piece]:
        """Take a token that was drawn, and all that it leaves no choice about."""
        self.cost.sampled += 1
        return [*self._take([token]), *self.force()]

    def force(self) -> list[Piece]:
        """Take the tokens that can only come next."""
        pieces: list[Piece] = []
        while not self.ended and (forced := self.constraint.forced()):
            pieces += self._take(forced)
        return pieces

    def penalise(self, tokens: Iterable[int]) -> None:
        """The repetition penalty falls on these from now on, if they cannot end a text."""
        if self._sampling.repetition_penalty != 1:
            self.repeated.extend(token for token in tokens if b'"' not in self._grammars.written([token]))

    def finished(self) -> Written:
        """The line that was written; one cut off by its length is closed where it stands."""
        cost = self.cost
        cost.tokens = len(self.ids)
        cost.seconds = time.perf_counter() - self._started
        raw = self._partial.written
        if self._partial.complete:
            try:
                line = read(raw)
            except LineError:
                line = None
            if isinstance(line, Line):
                return Written(self._as_meant(line), cost, raw)
        line = self._partial.closed()
        if self._partial.name is None:
            line = replace(line, name=self._names[0])
        return Written(self._as_meant(line), cost, raw + self._decoder.decode(b"", final=True))

    def _as_meant(self, line: Line) -> Line:
        """The line with its name and its quote as they were given, however the tokenizer spells them."""
        reply_to = line.reply_to and self._meant.get(line.reply_to, line.reply_to)
        return replace(line, name=self._meant.get(line.name, line.name), reply_to=reply_to)

    def _take(self, tokens: Sequence[int]) -> list[Piece]:
        self.constraint.take(tokens)
        self.ids += tokens
        self.pending += tokens
        if self._partial.in_text:
            self._text_tokens += len(tokens)
            self.penalise(tokens)
        written = self._grammars.written(tokens)
        owed = min(self.owed, len(written))
        self.owed -= owed
        pieces = [
            Piece(kind, self._meant.get(value, value) if kind == "name" else value)
            for kind, value in self._partial.grow(self._decoder.decode(written[owed:]))
        ]
        if not self.cost.first_seconds and any(piece.kind == "text" for piece in pieces):
            self.cost.first_seconds = time.perf_counter() - self._started
        return pieces
