"""Writing the next line: the cache is kept, the schema holds, forced tokens cost nothing, the text streams.

After each message the line is encoded again the canonical way, and the cache is cut back to where the two agree,
so that what the model reads is always what training would have written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from transformers import DynamicCache

from ventriloquist.model.grammar import Constraint, Grammars
from ventriloquist.model.tokens import LONGEST_SHARE, LineTokenizer
from ventriloquist.windows.lines import Line, LineError, read
from ventriloquist.windows.partial import PartialLine

KNOWN_LINES = 4096


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn. `max_tokens` bounds a line; a longer text is cut and closed."""

    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 160


@dataclass(slots=True)
class Cost:
    """What one line cost."""

    tokens: int = 0
    sampled: int = 0
    forwards: int = 0
    read: int = 0
    seconds: float = 0.0


class Piece(NamedTuple):
    """A part of a line as it comes: `name` once it is certain, `text` as it grows, at last the whole `line`."""

    kind: str
    value: Any


@dataclass(slots=True)
class _Draft:
    ids: list[int] = field(default_factory=list)
    partial: PartialLine = field(default_factory=PartialLine)


class Generator:
    """One model with its cache."""

    def __init__(
        self, model: Any, tokenizer: Any, device: torch.device, max_tokens: int, seed: int | None = None
    ) -> None:
        self.model = model
        self.max_tokens = max_tokens
        self.tokenizer = tokenizer
        self.device = device
        self.lines = LineTokenizer(tokenizer)
        self.grammars = Grammars(tokenizer, model.config.vocab_size)
        self.random = torch.Generator(device="cpu")
        self.seed(seed)
        self._cache = DynamicCache(config=model.config)
        self._ids: list[int] = []
        self._encoded: dict[str, list[int]] = {}

    def seed(self, seed: int | None) -> None:
        """Start the random numbers over; None takes a new seed."""
        self.random.manual_seed(seed if seed is not None and seed >= 0 else torch.seed() % (1 << 62))

    def prefill(self, context: Sequence[str]) -> int:
        """Bring the cache to `context` but its last token; returns how many tokens had to be read."""
        ids = self._context_ids(context)
        return self._sync(ids[:-1])

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

        Ends with a `line` piece (Line, Cost); without one if `cancelled` became true.
        """
        started = time.perf_counter()
        cost = Cost()
        longest = min(sampling.max_tokens, self.max_tokens // LONGEST_SHARE)
        ids = self._context_ids(context)
        cost.read = self._sync(ids[:-1])
        constraint = self.grammars.line(names, replies)
        draft = _Draft()
        pending = [ids[-1]]
        while not draft.partial.complete and len(draft.ids) < longest:
            if cancelled():
                return
            forced = constraint.forced()
            if forced:
                constraint.take(forced)
            else:
                logits = self._forward(pending, cost)
                pending = []
                forced = [self._draw(logits, constraint, sampling)]
                constraint.take(forced)
                cost.sampled += 1
            draft.ids += forced
            pending += forced
            for grown in draft.partial.grow(self.tokenizer.decode(draft.ids, skip_special_tokens=False)):
                yield Piece(*grown)
        line = _finish(draft)
        cost.tokens = len(draft.ids)
        cost.seconds = time.perf_counter() - started
        yield Piece("line", (line, cost))

    def _context_ids(self, context: Sequence[str]) -> list[int]:
        """The ids of a context, cut from the left to what the model can read before another line."""
        if len(self._encoded) > KNOWN_LINES:
            self._encoded.clear()
        new = [line for line in dict.fromkeys(context) if line not in self._encoded]
        self._encoded.update(zip(new, self.lines.encode_lines(new), strict=True))
        room = self.max_tokens - max(self.max_tokens // LONGEST_SHARE, 1)
        fitted = self.lines.fit(context, [self._encoded[line] for line in context], room)
        if not self.lines.by_line:
            return [*self.lines.lead, *self.lines.encode("".join(line.text for line in fitted))]
        return [*self.lines.lead, *(token for line in fitted for token in line.ids)]

    def _sync(self, ids: Sequence[int]) -> int:
        """Make the cache hold exactly `ids`."""
        shared = 0
        for mine, theirs in zip(self._ids, ids, strict=False):
            if mine != theirs:
                break
            shared += 1
        if shared < len(self._ids):
            self._cache.crop(shared - len(self._ids))
            self._ids = self._ids[:shared]
        fresh = list(ids[shared:])
        if fresh:
            self._forward(fresh, Cost())
        return len(fresh)

    @torch.inference_mode()
    def _forward(self, ids: Sequence[int], cost: Cost) -> torch.Tensor:
        """Append `ids` to the cache; the logits after the last one, float32 on the CPU, (vocabulary,)."""
        output = self.model(
            input_ids=torch.tensor([list(ids)], device=self.device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._ids += ids
        cost.forwards += 1
        logits: torch.Tensor = output.logits[0, -1].float().cpu()
        return logits

    def _draw(self, logits: torch.Tensor, constraint: Constraint, sampling: Sampling) -> int:
        allowed = constraint.allowed().nonzero().squeeze(1)
        logits = logits[allowed]
        if sampling.temperature <= 0:
            return int(allowed[logits.argmax()])
        ordered, order = torch.softmax(logits / sampling.temperature, -1).sort(descending=True)
        cumulative = ordered.cumsum(-1)
        kept = int((cumulative - ordered < sampling.top_p).sum())
        # Drawn by hand: multinomial can return what has no probability at all.
        point = torch.rand((), generator=self.random) * cumulative[kept - 1]
        drawn = int(torch.searchsorted(cumulative[:kept], point, right=True).clamp(max=kept - 1))
        return int(allowed[order[drawn]])


def _finish(draft: _Draft) -> Line:
    """The line that was written; one cut off by its length is closed where it stands."""
    if draft.partial.complete:
        try:
            line = read(draft.partial.written)
        except LineError:
            line = None
        if isinstance(line, Line):
            return line
    return draft.partial.closed()
