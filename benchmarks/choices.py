"""What decides training's defaults: `python -m benchmarks.choices [--json] [--quick] [--parts whole,adapters]`.

Ours alone. `whole` trains the tiny base from its first weights on the same number of tokens for each size and stride of
windows, number of windows a step, and learning rate; `adapters` trains a LoRA on a base that knows other people, for
some numbers of epochs. Each row is one training with the product's cosine: held-out loss with 49 messages of context,
as the recipe has, and with as much as the windows have, which is what chat gives. Takes about an hour.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import transformers

from benchmarks import adapters
from benchmarks.corpus import Corpus
from benchmarks.curves import judged
from benchmarks.training import FULL, QUICK, SEED, Size
from benchmarks.trial import Trial, tokens_of
from ventriloquist.model import tiny
from ventriloquist.model.validate import hold_out

PARTS = ("whole", "adapters")
TOKENS, QUICK_TOKENS = 400_000, 8000
RATE = 6e-3


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to train: messages in a window and from one to the next, windows a step, learning rate."""

    size: int = 64
    stride: int = 56
    windows: int = 1
    learning_rate: float = RATE


WHOLE = (
    *(Choice(size, size * 7 // 8) for size in (24, 32, 48, 64, 96)),
    *(Choice(size, size - 1) for size in (24, 32, 64)),
    *(Choice(size, size * 7 // 8, windows) for size in (32, 64) for windows in (2, 4, 8)),
    *(Choice(size, size * 7 // 8, learning_rate=rate) for size in (32, 64) for rate in (3e-3, 1e-2)),
)
EPOCHS = (1, 2, 3, 4, 6, 8)
ADAPTERS = (Choice(), Choice(32, 28), Choice(windows=4))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a choice came to: losses in nats a token of held-out messages, `own` with the windows' own context."""

    part: str
    size: int
    stride: int
    windows: int
    learning_rate: float
    epochs: float
    tokens: int
    steps: int
    seconds: float
    loss: float
    text: float
    own_loss: float
    own_text: float


def whole(trial: Trial, choices: Sequence[Choice], tokens: int, held_out: int) -> Iterator[Outcome]:
    """The tiny base from its first weights, each on about `tokens` tokens."""
    for choice in choices:
        epochs = tokens / int(tokens_of(trial.tokenizer, trial.corpus.dense(choice.size, choice.stride)).lengths.sum())
        yield train(trial, choice, epochs, held_out, part="whole")


def adapted(trial: Trial, choices: Sequence[Choice], epochs: Sequence[int], held_out: int) -> Iterator[Outcome]:
    """A LoRA, for each number of epochs."""
    for choice in choices:
        for count in epochs:
            yield train(trial, choice, count, held_out, part="adapters")


def train(trial: Trial, choice: Choice, epochs: float, held_out: int, *, part: str) -> Outcome:
    """One training."""
    data = tokens_of(trial.tokenizer, trial.corpus.dense(choice.size, choice.stride))
    adapter = {"base": "known", "lora_r": adapters.RANK} if part == "adapters" else {}
    settings = trial.settings(
        epochs=epochs, windows_per_step=choice.windows, learning_rate=choice.learning_rate, **adapter
    )
    model = trial.model(settings if adapter else None)
    training = trial.ours(settings, model, data=data)
    before = time.process_time()
    while training.left:
        training.step()
    seconds = time.process_time() - before
    own = hold_out(trial.tokenizer, trial.corpus.held_out(held_out, choice.size), tiny.MAX_POSITIONS)
    assert own is not None
    losses = (*judged(model, trial.held_out), *judged(model, own))
    return Outcome(
        part, choice.size, choice.stride, choice.windows, choice.learning_rate, round(epochs, 2), training.tokens,
        training.steps, round(seconds, 1), *(round(loss, 4) for loss in losses),
    )  # fmt: skip


def outcomes(folder: Path, size: Size, parts: Sequence[str], *, quick: bool) -> Iterator[Outcome]:
    """All rows, one after the other."""
    if "whole" in parts:
        trial = Trial.new(Corpus(folder / "whole", size.messages), size.shape, size.held_out, seed=SEED)
        choices = WHOLE[:2] if quick else WHOLE
        yield from whole(trial, choices, QUICK_TOKENS if quick else TOKENS, size.held_out)
    if "adapters" in parts:
        trial = adapters.prepare(folder / "adapters", size.shape, size.adapters, SEED)
        choices = tuple(
            Choice(choice.size, choice.stride, choice.windows, adapters.LEARNING_RATE) for choice in ADAPTERS
        )
        epochs = EPOCHS[:1] if quick else EPOCHS
        yield from adapted(trial, choices[:1] if quick else choices, epochs, size.adapters.held_out)


def told(row: Outcome) -> str:
    """A row in words."""
    return (
        f"{row.part}: size {row.size}, stride {row.stride}, {row.windows} a step, rate {row.learning_rate:g}, "
        f"{row.epochs:g} epochs: {row.tokens:,} tokens, {row.steps} steps, {row.seconds:g} CPU seconds, loss "
        f"{row.loss:.3f}, of the text {row.text:.3f}; with its own context {row.own_loss:.3f} and {row.own_text:.3f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choices", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--quick", action="store_true", help="a few choices, small, within a minute")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts, separated by commas")
    given = parser.parse_args(arguments)
    parts = given.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {' '.join(sorted(unknown))}; there are {' '.join(PARTS)}")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        for row in outcomes(Path(name), QUICK if given.quick else FULL, parts, quick=given.quick):
            print(json.dumps(asdict(row)) if given.json else told(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
