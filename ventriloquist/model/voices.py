"""A held-out exchange as the model in training would write it, so that one hears the voices come."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ventriloquist.model.generate import Generator, Sampling
from ventriloquist.runs import Run
from ventriloquist.windows.lines import Header, Line, read, reply_quote, split_lines, write

SHOWN = 3
"""Lines shown of what came before."""
WRITTEN = 2
RECENT_REPLIES = 12
SAMPLING = Sampling(temperature=0.7, top_p=0.95, max_tokens=96)


class Voices:
    """Writes on where held-out windows stop, another one each time; draws from numbers of its own."""

    def __init__(
        self, model: Any, tokenizer: Any, device: torch.device, max_tokens: int, windows: Sequence[str], seed: int
    ) -> None:
        self.model = model
        self.given = (tokenizer, device, max_tokens)
        self.generator: Generator | None = None
        self.windows = [window for window in windows if _of(window)[2].content_type == "text"]
        self.seed = seed

    def speak_to(self, run: Run) -> Callable[[int], None]:
        """Tells the run an exchange when called with a step. Where the base's tokenizer does not go with the grammar
        of a line, it says so once and falls silent: that is no reason to end a training."""

        def speak(step: int) -> None:
            try:
                self.speak(run, step)
            except (RuntimeError, ValueError) as error:
                self.windows = []
                run.note(f"This base cannot be heard while it trains ({type(error).__name__}).", "warning")

        return speak

    def speak(self, run: Run, step: int) -> None:
        """Tell the run one exchange: what came before, what the model writes, and what was really said."""
        if not self.windows:
            return
        header, before, real = _of(random.Random(f"{self.seed}/{step}").choice(self.windows))
        was_training = self.model.training
        self.model.eval()
        self.generator = self.generator or Generator(self.model, *self.given)
        self.generator.seed(self.seed)
        written: list[Line] = []
        try:
            for number in range(WRITTEN):
                names = [real.name] if number == 0 else list(header.members)
                written.append(_next(self.generator, [write(header), *map(write, [*before, *written])], names))
        finally:
            self.generator.forget()  # the next step changes the weights
            self.model.train(was_training)
        run.exchange(step, list(map(_told, before[-SHOWN:])), list(map(_told, written)), _told(real))


def _next(generator: Generator, context: Sequence[str], names: Sequence[str]) -> Line:
    lines = [line for line in map(read, context) if isinstance(line, Line) and line.content_type != "reaction"]
    replies = list(dict.fromkeys(reply_quote(line.text) for line in lines[-RECENT_REPLIES:]))
    *_, last = generator.write_line(context, names, replies, SAMPLING)
    line: Line = last.value[0]
    return line


def _of(window: str) -> tuple[Header, list[Line], Line]:
    header, *body = map(read, split_lines(window))
    assert isinstance(header, Header)
    lines = [line for line in body if isinstance(line, Line)]
    return header, lines[:-1], lines[-1]


def _told(line: Line) -> dict[str, str]:
    return {"name": line.name, "content_type": line.content_type, "text": line.text}
