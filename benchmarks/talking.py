"""A conversation with the product's generator in which every word is known: what each turn costs.

`Watched` follows what a model reads, whoever keeps its cache; `Scripted` draws as the product does and then takes the
script's token; `talk` goes through the turns.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ventriloquist.model.draft import Draft
from ventriloquist.model.generate import Generator, Sampling
from ventriloquist.model.tokens import LineTokenizer
from ventriloquist.windows.lines import DELTAS, Header, Line, reply_quote, write

MOST = 99
"""Messages of context; one more, and the window slides to half of it."""
TURNS = 10
TOKENS = 40
REPLIES = 12
SAMPLING = Sampling()


@dataclass(frozen=True, slots=True)
class Script:
    """What was said before, and turns of two lines: mine and the answer."""

    header: Header
    before: tuple[Line, ...]
    turns: tuple[tuple[Line, Line], ...]

    @property
    def target(self) -> str:
        return self.turns[0][1].name


def write_script(header: Header, lines: Sequence[Line], tokenizer: LineTokenizer, turns: int, most: int) -> Script:
    """A script from a conversation of two: the window slides on its last turn, and each answer has about 40 tokens."""
    target, me = header.members[0], header.members[-1]
    before = most + 1 - 2 * (turns - 1)
    mine = [line for line in lines[before:] if line.name == me and line.content_type == "text" and not line.reply_to]
    theirs = {line for line in lines if line.name == target and line.content_type == "text" and not line.reply_to}
    by_length = sorted(theirs, key=lambda line: (abs(len(tokenizer.encode(write(line))) - TOKENS), line.text))
    pairs = tuple(zip((mine * turns)[:turns], by_length[:turns], strict=True))
    return Script(header, tuple(lines[:before]), pairs)


class Window:
    """The lines that the model has before it: at most `most` messages, then the last half of them."""

    def __init__(self, header: Header, lines: Sequence[Line], most: int) -> None:
        self.most = most
        self.header = header
        self.lines: list[Line] = []
        self.slid = False
        for line in lines:
            self.append(line)

    def append(self, line: Line) -> None:
        """One more message; `slid` says whether the window made room for it."""
        self.lines.append(line)
        self.slid = len(self.lines) > self.most
        if self.slid:
            self.lines = self.lines[-((self.most + 1) // 2) :]
            self.lines[0] = replace(self.lines[0], delta=DELTAS[0])

    @property
    def context(self) -> list[str]:
        """Header and message lines as text."""
        return [write(self.header), *map(write, self.lines)]

    @property
    def replies(self) -> list[str]:
        """The latest texts, as a line would quote them."""
        return [reply_quote(line.text) for line in self.lines[-REPLIES:]]


class Watched:
    """Follows a model: `ids` is what its cache and its last input hold, `forwards` counts the calls."""

    def __init__(self, model: Any) -> None:
        self.ids: list[int] = []
        self.forwards = 0
        self._hook = model.register_forward_pre_hook(self._before, with_kwargs=True)

    def _before(self, model: Any, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        cache, ids = given.get("past_key_values"), given["input_ids"]
        if cache is not None and ids.shape[0] == 1:
            self.ids = self.ids[: cache.get_seq_length()] + ids[0].tolist()
            self.forwards += 1

    def close(self) -> None:
        self._hook.remove()


class Scripted(Generator):
    """Draws each token as the product does, and then takes the script's, if the grammar allows it."""

    def __init__(self, model: Any, *args: Any, **given: Any) -> None:
        self.watched = Watched(model)
        super().__init__(model, *args, **given)
        self._script: list[int] = []

    def expect(self, line: Line) -> None:
        """The line that the next `write_line` shall write."""
        self._script = self.lines.encode(write(line))

    def _draw(self, logits: torch.Tensor, draft: Draft, sampling: Sampling) -> int:
        super()._draw(logits, draft, sampling)
        at = len(draft.ids)
        if draft.ids != self._script[:at]:
            raise AssertionError("a forced token is not training's")
        token = self._script[at]
        if not draft.constraint.allowed()[token]:
            raise AssertionError("the grammar refuses a token of training")
        return token


@dataclass(slots=True)
class Turn:
    """What one answer cost, in CPU seconds: while you type, then to its first character and to its end."""

    ahead: float = 0.0
    first: float = 0.0
    answer: float = 0.0
    forwards: int = 0
    tokens: int = 0
    slid: bool = False

    @property
    def message(self) -> float:
        """All that the message cost."""
        return self.ahead + self.answer


@dataclass(slots=True)
class Talk:
    """The turns of a conversation, and what it cost to read what was said before it, once."""

    opening: float = 0.0
    turns: list[Turn] = field(default_factory=list)

    @property
    def slide(self) -> Turn:
        """The turn on which the window slid."""
        return next(turn for turn in self.turns if turn.slid)


def talk(generator: Scripted, script: Script, most: int, *, ahead: bool) -> Talk:
    """Go through a script; with `ahead`, the generator reads what there is while the person types."""
    window = Window(script.header, script.before, most)
    before = time.process_time()
    generator.prefill(window.context)
    found = Talk(time.process_time() - before)
    for mine, answer in script.turns:
        turn = Turn(slid=window.slid)
        if ahead:
            before = time.process_time()
            generator.prefill(window.context)
            turn.ahead = time.process_time() - before
        window.append(mine)
        turn.slid |= window.slid
        _answer(generator, window, answer, turn)
        window.append(answer)
        found.turns.append(turn)
    return found


def _answer(generator: Scripted, window: Window, answer: Line, turn: Turn) -> None:
    generator.expect(answer)
    forwards = generator.watched.forwards
    before = time.process_time()
    for kind, value, *_ in generator.write_line(window.context, [answer.name], window.replies, SAMPLING):
        if kind == "text" and not turn.first:
            turn.first = time.process_time() - before
        if kind == "line" and value[0] != answer:
            raise AssertionError("the script's line was not written")
    turn.answer = time.process_time() - before
    turn.forwards = generator.watched.forwards - forwards
    turn.tokens = len(generator.lines.encode(write(answer)))
