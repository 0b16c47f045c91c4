"""Writing the next line: the cache is kept, the schema holds, forced tokens cost nothing, the text streams.

After each message the line is encoded again the canonical way, and the cache is cut back to where the two agree,
so that what the model reads is always what training would have written.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from ventriloquist.model.cache import CHUNK, RowsCache, TokenCache, shared
from ventriloquist.model.context import Context, Contexts
from ventriloquist.model.draft import Cost, Draft, Piece, Written
from ventriloquist.model.grammar import Grammars
from ventriloquist.model.sampling import Sampling, Streams, draw
from ventriloquist.model.tokens import LineTokenizer
from ventriloquist.windows.lines import Line, read
from ventriloquist.windows.partial import likely_opening

__all__ = ["Cost", "Generator", "Piece", "Read", "Sampling", "Written"]

NOT_BY_LINE = "This base's tokenizer does not keep to lines, so each message is tokenised with all that came before it."
NOT_CUTTABLE = (
    "What this base has read can hardly be cut back, so an undo or an edit may take as long as a first reading."
)
NOT_KEPT = "This base keeps nothing of what it has read, so each token takes as long as a first reading."


OTHER_WORDS = ('"a"}\n', '"😂"}\n')
"""Two ends of a line; what their ids share before them does not depend on the text."""
KNOWN_OPENINGS = 256


class Read(NamedTuple):
    """What a prefill did: tokens that had to be read, and lines of the context that were left out from the left."""

    tokens: int
    dropped: int


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be written: a line by one of `names` behind `context`, until `cancelled`."""

    context: Sequence[str]
    names: Sequence[str]
    replies: Sequence[str]
    sampling: Sampling
    cancelled: Callable[[], bool]
    started: float


@dataclass(frozen=True, slots=True)
class _Begun:
    """A context that stands in the cache but for its last ids, which are `pending`."""

    fitted: Context
    pending: list[int]
    cost: Cost


class Generator:
    """One model with its cache.

    `max_tokens`: what the model may read and write at once; a quarter of it is kept free for the line that is written.
    """

    def __init__(
        self, model: Any, tokenizer: Any, device: torch.device, max_tokens: int, seed: int | None = None
    ) -> None:
        self.model = model
        self.max_tokens = max_tokens
        self.tokenizer = tokenizer
        self.device = device
        self.lines = LineTokenizer(tokenizer)
        self.grammars = Grammars(tokenizer, model.config.get_text_config().vocab_size)
        self.cache = TokenCache(model, device, max_tokens)
        self._contexts = Contexts(self.lines, max_tokens)
        self._guesses: dict[str, list[int]] = {}
        self.seed(seed)

    @property
    def notice(self) -> str:
        """A sentence where this base is slower than others, and why; else empty."""
        kept = NOT_KEPT if not self.cache.keeps else "" if self.cache.cuttable else NOT_CUTTABLE
        return " ".join(filter(None, ("" if self.lines.by_line else NOT_BY_LINE, kept)))

    def seed(self, seed: int | None) -> None:
        """Start the random numbers over; None takes a new seed."""
        self._streams = Streams(seed)

    def forget(self) -> None:
        """Drop what was read: the weights have changed, or the memory is wanted."""
        self.cache.clear()

    def prefill(self, context: Sequence[str], cancelled: Callable[[], bool] = lambda: False) -> Read:
        """Bring the cache to `context` but its last token, as far as it comes before `cancelled`."""
        fitted = self._contexts.fit(context)
        before = self.cache.keep(fitted.ids[:-1])
        if self.cache.advance(fitted.ids[before:-1], cancelled):
            self.cache.mark()
        return Read(len(self.cache.ids) - before, fitted.dropped)

    @torch.inference_mode()
    def write_line(
        self,
        context: Sequence[str],
        names: Sequence[str],
        replies: Sequence[str],
        sampling: Sampling,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Iterator[Piece]:
        """The line that follows `context` (header and message lines), piece by piece.

        Ends with a `line` piece, whose value is `Written`; without one if `cancelled` became true.
        """
        task = _Task(context, names, replies, sampling, cancelled, time.perf_counter())
        (stream,) = self._streams.of_line()
        yield from self._write(task, stream)

    @torch.inference_mode()
    def write_candidates(
        self,
        context: Sequence[str],
        names: Sequence[str],
        replies: Sequence[str],
        sampling: Sampling,
        count: int,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Written]:
        """`count` lines that may each follow `context`; none if cancelled.

        Each has random numbers of its own, so that one is the same however many are asked for. They are written
        together where the model can read rows of different lengths, else one after another.
        """
        task = _Task(context, names, replies, sampling, cancelled, time.perf_counter())
        streams = self._streams.of_line(count)
        try:
            if count > 1 and self.cache.stacks:
                return self._write_together(task, streams)
            return self._write_in_turn(task, streams)
        finally:
            self.cache.keep(self._contexts.fit(context).ids[:-1])

    def _write(self, task: _Task, stream: random.Random) -> Iterator[Piece]:
        begun = self._begin(task)
        if begun is None:
            return
        draft = self._draft(task, begun, stream)
        yield from draft.force()
        while not draft.ended:
            if task.cancelled():
                return
            before = self.cache.forwards
            ahead = self._ahead(task, begun, draft)
            if ahead:
                yield from self._draw_ahead(draft, ahead, task.sampling)
            else:
                logits = _readable(self.cache.read(draft.given()))
                yield from draft.draw(self._draw(logits, draft, task.sampling))
            draft.cost.forwards += self.cache.forwards - before
        yield Piece("line", draft.finished())

    def _ahead(self, task: _Task, begun: _Begun, draft: Draft) -> list[int]:
        """The ids that probably come next, up to the text: most lines go on at once, with words of their own."""
        if draft.in_text or not self.cache.cuttable or begun.fitted.owed:
            return []
        before = read(task.context[-1])
        again = [before.name] if isinstance(before, Line) and before.name in task.names else []
        opening = likely_opening(draft.written, [*again, *task.names], task.replies)
        known = self._guesses.get(opening)
        if known is None:
            texts = (self.lines.encode(opening + rest) for rest in OTHER_WORDS)
            if len(self._guesses) > KNOWN_OPENINGS:
                self._guesses.clear()
            one, other = texts
            known = self._guesses[opening] = one[: shared(one, other)]
        length = len(draft.ids)
        return known[length:] if known[:length] == draft.ids else []

    def _draw_ahead(self, draft: Draft, ahead: list[int], sampling: Sampling) -> Iterator[Piece]:
        """Read what probably comes together with what comes, in one forward, and draw token by token as if each had
        been read alone; where another one is drawn, what was read behind it is taken back."""
        stands, start = len(draft.ids), len(self.cache.ids) + len(draft.pending)
        logits = _readable(self.cache.read_ahead(draft.given(), ahead))
        agreed = 0
        while agreed <= len(ahead) and not draft.ended and draft.ids[stands:] == ahead[:agreed]:
            yield from draft.draw(self._draw(logits[agreed], draft, sampling))
            agreed = len(draft.ids) - stands
        agreed = shared(draft.ids[stands:], ahead)
        self.cache.cut_to(start + agreed)
        draft.pending = draft.ids[stands + agreed :]

    def _write_in_turn(self, task: _Task, streams: Sequence[random.Random]) -> list[Written]:
        found: list[Written] = []
        for stream in streams:
            last = deque(self._write(replace(task, started=time.perf_counter()), stream), maxlen=1)
            if not last or last[0].kind != "line":
                return []
            found.append(last[0].value)
        return found

    def _write_together(self, task: _Task, streams: Sequence[random.Random]) -> list[Written]:
        begun = self._begin(task)
        if begun is None:
            return []
        drafts = [self._draft(task, begun, stream) for stream in streams]
        for draft in drafts:
            draft.force()
        alive = [draft for draft in drafts if not draft.ended]
        rows: RowsCache | None = None
        while alive:
            if task.cancelled():
                return []
            chunks = [draft.given() for draft in alive]
            if rows is None:  # all begin alike: that is read once, in the cache that is kept
                logits = self.cache.read(chunks[0]).expand(len(alive), -1)
                rows = self.cache.rows(len(alive))
            else:
                logits = rows.read(chunks)
            for draft, row in zip(alive, _readable(logits), strict=True):
                draft.cost.forwards += 1
                draft.draw(self._draw(row, draft, task.sampling))
            going = [number for number, draft in enumerate(alive) if not draft.ended]
            rows.keep(going)
            alive = [alive[number] for number in going]
        return [draft.finished() for draft in drafts]

    def _begin(self, task: _Task) -> _Begun | None:
        """Read the context; None if cancelled. Its last tokens wait for the first forced ones, to be read with them."""
        fitted = self._contexts.fit(task.context)
        before, forwards = self.cache.keep(fitted.ids[:-1]), self.cache.forwards
        fresh = fitted.ids[before:]
        cost = Cost(read=len(fresh) - 1, dropped=fitted.dropped)
        whole = (len(fresh) - 1) // CHUNK * CHUNK if self.cache.cuttable else len(fresh) - 1
        if not self.cache.advance(fresh[:whole], task.cancelled):
            return None
        self.cache.mark()
        cost.forwards = self.cache.forwards - forwards
        return _Begun(fitted, fresh[whole:], cost)

    def _draft(self, task: _Task, begun: _Begun, stream: random.Random) -> Draft:
        constraint = self.grammars.line(task.names, task.replies, begun.fitted.owed)
        longest = self._contexts.longest
        draft = Draft(
            self.grammars,
            constraint,
            task.names,
            task.replies,
            task.sampling,
            longest,
            stream,
            replace(begun.cost),
            task.started,
        )
        draft.pending = list(begun.pending)
        draft.owed = len(begun.fitted.owed.encode())
        if task.sampling.repetition_penalty != 1:
            draft.penalise(self._contexts.recent_text(task.context))
        return draft

    def _draw(self, logits: torch.Tensor, draft: Draft, sampling: Sampling) -> int:
        """The next token of a draft. `logits`: (vocabulary,), float32 on the CPU. Every token that is chosen at all is
        chosen here."""
        repeated = tuple(draft.repeated) if draft.in_text else ()
        return draw(logits, draft.constraint.allowed(), sampling, draft.stream, repeated)


def _readable(logits: torch.Tensor) -> torch.Tensor:
    """Logits as the drawing takes them: float32 on the CPU."""
    return logits.to(device="cpu", dtype=torch.float32)
