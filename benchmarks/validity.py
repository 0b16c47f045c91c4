"""Whether every message is valid however wild the sampling, the names and the words: strangers' strings everywhere."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.measuring import Measured
from benchmarks.rows import all_of, none_of
from benchmarks.talking import Watched
from ventriloquist.faults import Fault
from ventriloquist.model.draft import Draft
from ventriloquist.model.generate import Generator, Sampling
from ventriloquist.windows.lines import DELTAS, Header, Line, LineError, read, reply_quote, write

TEMPERATURE = 1.5
SAMPLING = Sampling(temperature=TEMPERATURE, top_p=1.0, max_tokens=48)
LONGEST = 160
CPU = torch.device("cpu")


class Drawing(Generator):
    """Keeps the tokens that it draws."""

    def __init__(self, model: Any, *args: Any, **given: Any) -> None:
        self.watched = Watched(model)
        super().__init__(model, *args, **given)
        self.drawn: list[int] = []

    def _draw(self, logits: torch.Tensor, draft: Draft, sampling: Sampling) -> int:
        self.drawn.append(super()._draw(logits, draft, sampling))
        return self.drawn[-1]


@dataclass(frozen=True, slots=True)
class Scene:
    """Who may speak after what."""

    context: list[str]
    names: list[str]
    replies: list[str]


def scene(lines: Sequence[Line], hostile: Sequence[str], rng: random.Random) -> Scene:
    """Two to four people with strangers' names, who said strangers' words and some of a history's."""
    people = list(dict.fromkeys(rng.choice(hostile) for _ in range(rng.randint(2, 4))))
    kind = "dm" if len(people) == 2 else "group"
    said = []
    for number in range(rng.randint(1, 6)):
        text = rng.choice(hostile) if number % 2 else rng.choice(lines).text
        reply = reply_quote(rng.choice(hostile)) if rng.random() < 0.3 else None
        said.append(Line(rng.choice(people), rng.choice(DELTAS), reply, "text", text))
    names = rng.sample(people, rng.randint(1, len(people)))
    context = [write(Header(kind, tuple(people), "2026-03-05")), *map(write, said)]
    return Scene(context, names, [reply_quote(line.text) for line in said])


def is_valid(scene: Scene, pieces: Sequence[Any], spelt: Callable[[str], str]) -> bool:
    """The line reads back as it was written, is of this scene, and was streamed as it is; `spelt` is how the tokenizer
    spells a text, so how the model wrote it."""
    line, raw = pieces[-1].value.line, pieces[-1].value.raw
    try:
        same = read(write(line)) == line and (not raw.endswith("}\n") or read(spelt(raw)) == read(spelt(write(line))))
    except LineError:
        return False
    streamed = "".join(piece.value for piece in pieces if piece.kind == "text")
    replies = (None, *scene.replies)
    return same and line.name in scene.names and line.reply_to in replies and line.text == streamed != ""


def rows(
    by: str, model: Any, tokenizer: Any, lines: Sequence[Line], strings: Sequence[str], count: int, seed: int
) -> list[Measured]:
    """`count` messages by a model, each in a scene of its own."""
    hostile = list(dict.fromkeys(text[:LONGEST] for text in strings if text))
    spoken = [line for line in lines if line.text]
    generator = Drawing(model, tokenizer, CPU, model.config.max_position_embeddings, seed)
    special = set(tokenizer.all_special_ids)
    rng = random.Random(seed)
    valid = with_special = tokens = 0
    before = time.process_time()
    for _ in range(count):
        here = scene(spoken, hostile, rng)
        generator.drawn.clear()
        try:
            pieces = list(generator.write_line(here.context, here.names, here.replies, SAMPLING))
        except Fault:
            continue
        valid += is_valid(here, pieces, generator.grammars.spelt)
        written = pieces[-1].value
        tokens += written.cost.tokens
        read_back = {*generator.drawn, *generator.watched.ids, *generator.lines.encode(write(written.line))}
        with_special += bool(read_back & special)
    spent = time.process_time() - before
    generator.watched.close()
    at = f"by {by} at temperature {TEMPERATURE:g}, strangers' strings as names, words and replies"
    each = f"{tokens / count:.0f} tokens each, {spent:.0f} s CPU in all"
    return [
        all_of(f"valid messages {at} ({each})", valid, count, "messages"),
        none_of(f"messages with a special token in them, {at}", with_special, count, "messages"),
    ]
