"""Whether what the generator reads is exactly what training wrote: the cache, forced tokens, the same seed.

`conversation_rows` holds a conversation of sampled lines with everything that moves the cache (messages appended,
edited and taken back, a reply cancelled in its middle, several candidates, a window that slides) and computes the
logits of sampled tokens again by reading everything at once. `forced_rows` follows lines through the grammar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import torch

from benchmarks.measuring import Measured
from benchmarks.rows import none_of, within
from benchmarks.talking import Watched, Window
from ventriloquist.faults import Fault
from ventriloquist.model.draft import Draft, Piece
from ventriloquist.model.generate import Generator, Sampling
from ventriloquist.model.grammar import Constraint, Grammars
from ventriloquist.model.tokens import LineTokenizer
from ventriloquist.text import clean_name
from ventriloquist.windows.lines import Header, Line, reply_quote, write

LOGITS_GOAL = 1e-5
CPU = torch.device("cpu")
SAMPLING = Sampling(temperature=1.0, max_tokens=48)
EVERY = 5
"""Of so many sampled tokens, one has its logits computed again."""
CANCEL_AFTER = 6
CANDIDATES = 3
LONGEST, NAME = 200, 60
"""Characters of a stranger's text and name."""


class Checked(Generator):
    """A generator some of whose logits are computed again by reading everything at once, as training writes it.

    `before` are the context's ids, to be given before each line; `differences` are the largest of each time.
    """

    def __init__(self, model: Any, *args: Any, **given: Any) -> None:
        self.watched = Watched(model)
        super().__init__(model, *args, **given)
        self.before: list[int] = []
        self.differences: list[float] = []
        self.draws = 0

    def _draw(self, logits: torch.Tensor, draft: Draft, sampling: Sampling) -> int:
        if self.draws % EVERY == 0:
            whole = self.model(input_ids=torch.tensor([self.before + draft.ids]), use_cache=False).logits[0, -1]
            self.differences.append(float((whole - logits).abs().max()))
        self.draws += 1
        return super()._draw(logits, draft, sampling)


@dataclass(slots=True)
class Course:
    """What came of a conversation. `strayed` counts contexts that the cache did not hold as training has them."""

    written: list[tuple[Line, str]] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    strayed: int = 0


def converse(
    model: Any, tokenizer: Any, header: Header, lines: Sequence[Line], turns: int, most: int, seed: int
) -> Course:
    """A conversation of so many turns with all that moves the cache; the same seed should give the same."""
    generator = Checked(model, tokenizer, CPU, model.config.max_position_embeddings, seed)
    window = Window(header, lines[: most - turns // 2], most)
    found = Course()
    for number, mine in zip(range(turns), lines[most:], strict=False):
        window.append(mine)
        if number % 5 == 1:
            window.lines[-3] = replace(window.lines[-3], text=f"{window.lines[-3].text} (edited {number})")
        elif number % 5 == 2:
            del window.lines[-2:]
        generator.before = [token for line in window.context for token in generator.lines.encode(line)]
        if number % 5 == 3:
            calls = count()
            for _ in _pieces(generator, window, header, cancelled=lambda calls=calls: next(calls) > CANCEL_AFTER):
                pass
        elif number % 5 == 4:
            found.written += [
                (candidate.line, candidate.raw)
                for candidate in generator.write_candidates(
                    window.context, header.members, window.replies, SAMPLING, CANDIDATES
                )
            ]
        *_, (_, last) = _pieces(generator, window, header)
        found.written.append((last.line, last.raw))
        found.strayed += generator.watched.ids[: len(generator.before)] != generator.before
        window.append(found.written[-1][0])
    generator.watched.close()
    found.differences = generator.differences
    return found


def _pieces(generator: Generator, window: Window, header: Header, **given: Any) -> Iterator[Piece]:
    yield from generator.write_line(window.context, header.members, window.replies, SAMPLING, **given)


def conversation_rows(
    model: Any, tokenizer: Any, header: Header, lines: Sequence[Line], turns: int, most: int, seed: int
) -> list[Measured]:
    """The cache against reading everything, and two conversations from one seed."""
    first, second = (converse(model, tokenizer, header, lines, turns, most, seed) for _ in range(2))
    differing = sum(one != other for one, other in zip(first.written, second.written, strict=False))
    differing += abs(len(first.written) - len(second.written))
    how = "appended, edited, taken back, cancelled, candidates, slides"
    largest = within(
        f"largest difference of cached logits from a full forward's, {len(first.differences)} times in {turns} turns "
        f"({how})", [max(first.differences)], LOGITS_GOAL, "",
    )  # fmt: skip
    return [
        largest,
        none_of("contexts in the cache that are not what training writes", first.strayed, turns, "contexts"),
        none_of("lines that differ between two conversations from one seed", differing, len(first.written), "lines"),
    ]


def awkward_lines(lines: Sequence[Line], hostile: Sequence[str], number: int) -> list[Line]:
    """`number` lines: half from a history, half with strangers' texts, which they also reply to and are called."""
    kept = [line for line in lines if line.text][: number // 2]
    texts = [text[:LONGEST] for text in hostile if text]
    others = number - len(kept)
    for index in range(others):
        text = texts[index * len(texts) // others]
        name = clean_name(text)[:NAME] or "Maya"
        kept.append(Line(name, "<5m", reply_quote(text), "text", text))
    return kept


@dataclass(slots=True)
class Followed:
    """Lines that went through the grammar: how many, those with a token that is not training's, and the tokens."""

    lines: int = 0
    differing: int = 0
    tokens: int = 0
    forced: int = 0


def follow(tokenizer: Any, lines: Sequence[Line]) -> Followed:
    """Take each line's canonical tokens through its grammar: where one is forced it must be theirs, else allowed."""
    grammars, encoder, found = Grammars(tokenizer, len(tokenizer)), LineTokenizer(tokenizer), Followed()
    for line, before in zip(lines, [lines[-1], *lines], strict=False):
        ids = encoder.encode(write(line))
        replies = [reply_quote(before.text), *([line.reply_to] if line.reply_to is not None else [])]
        constraint = grammars.line([line.name, "Maya", before.name], replies)
        found.lines += 1
        found.tokens += len(ids)
        forced = _forced(constraint, ids)
        found.forced += max(forced, 0)
        found.differing += forced < 0
    return found


def _forced(constraint: Constraint, ids: Sequence[int]) -> int:
    """How many of a line's tokens are forced; -1 if one that comes is not its own, or the grammar refuses one."""
    forced = position = 0
    while position < len(ids):
        ahead = constraint.forced()
        if ahead != ids[position : position + len(ahead)] or not (ahead or constraint.allowed()[ids[position]]):
            return -1
        step = ahead or [ids[position]]
        try:
            constraint.take(step)
        except Fault:
            return -1
        forced += len(ahead)
        position += len(step)
    return forced


def forced_rows(tokenizers: dict[str, Any], lines: Sequence[Line]) -> list[Measured]:
    """A row for each tokenizer."""
    rows = []
    for name, tokenizer in tokenizers.items():
        found = follow(tokenizer, lines)
        share = 100 * found.forced / found.tokens
        what = f"lines in which a forced token is not training's, {name} ({share:.0f} % of all tokens forced)"
        rows.append(none_of(what, found.differing, found.lines, "lines"))
    return rows
