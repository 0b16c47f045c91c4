"""What a reply costs and whether it is right: `python -m benchmarks.generation [--json] [--quick] [--parts A,B]`.

Ours beside the predecessor's loop (`benchmarks.predecessor`), CPU time, one thread, float32, interleaved rounds. The
parts:

speed   CPU for a message and to its first character after 99 messages, on Qwen3 shapes of about 1.7 and 9.7 million
        weights; the turn on which the window slides is among them and shown by itself
qwen    the same on Qwen3-0.6B's shape with random weights and a vocabulary of 151 thousand tokens
mask    what the grammar costs at that vocabulary
exact   cached logits against a full forward's, forced tokens against training's, the same seed twice
valid   messages at temperature 1.5 with strangers' strings as names and words
screen  the app on a pseudo-terminal: Enter to the first character of a reply, and keys while text streams in

`speed` and `valid` take some minutes each, `qwen` about 25 and 4 GB, `screen` the minutes that the demo takes
unless `--workspace` names one where it was run. `--rounds`, `--turns` and `--their-turns` set the size of `speed` and
`qwen`. Rows without a goal are figures that are only shown.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers

from benchmarks import exactness, masks, screen_latency, speed, validity, vocabulary
from benchmarks.corpus import Corpus, lines_of
from benchmarks.measuring import Measured, report, unjudged
from benchmarks.rows import UNJUDGED, table
from benchmarks.screen_latency import Visit
from benchmarks.speed import Pace
from benchmarks.terminal import NotShownError
from benchmarks.trial import Shape, Trial
from tests.hostile import hostile_strings
from ventriloquist.faults import Fault
from ventriloquist.windows.lines import Header, Line, read, split_lines

PARTS = ("speed", "qwen", "mask", "exact", "valid", "screen")
COSTS = ("speed", "qwen", "mask", "screen")
"""Parts whose goals mean nothing at a small size; the others hold at any."""
SEED = 7
WINDOW = 140


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done. `learnt` are training steps of the model that `exact` and `valid` let write."""

    messages: int
    small: tuple[tuple[int, int], ...]
    pace: Pace
    qwen: dict[str, int]
    qwen_pace: Pace
    masks: tuple[int, int]
    shape: Shape
    learnt: int
    turns: int
    most: int
    lines: int
    valid: int
    visit: Visit
    demo: tuple[str, ...]


FULL = Size(
    messages=8000, small=((128, 7), (256, 12)), pace=Pace(), qwen={}, qwen_pace=Pace(their_turns=1, unprepared=False),
    masks=(5, 100), shape=Shape(128, 4, 4096), learnt=200, turns=40, most=50, lines=1000, valid=1000, visit=Visit(),
    demo=(),
)  # fmt: skip
QUICK = Size(
    messages=1500, small=((64, 2),), pace=Pace(2, 3, 1, 16), qwen={"hidden": 64, "layers": 1, "heads": 2, "inner": 128},
    qwen_pace=Pace(1, 2, 1, 12, unprepared=False), masks=(2, 4), shape=Shape(64, 2, 1024), learnt=8, turns=10, most=14,
    lines=100, valid=50, visit=Visit(2, 2), demo=("--messages", "400", "--max-steps", "20"),
)  # fmt: skip


class Ground:
    """What the parts stand on: the sample history, tokenizers and models made from it, each when it is asked for."""

    def __init__(self, folder: Path, size: Size) -> None:
        self.folder, self.size = folder, size

    @functools.cached_property
    def corpus(self) -> Corpus:
        return Corpus(self.folder / "corpus", self.size.messages)

    @functools.cached_property
    def windows(self) -> list[tuple[Header, list[Line]]]:
        """Stretches of conversations of two, the longest first."""
        found = []
        for window in self.corpus.dense(WINDOW, WINDOW - 1):
            header, *lines = map(read, split_lines(window.text))
            assert isinstance(header, Header)
            found.append((header, [line for line in lines if isinstance(line, Line)]))
        of_two = [each for each in found if len(each[0].members) == 2]
        return sorted(of_two, key=lambda each: -len(each[1]))

    @functools.cached_property
    def texts(self) -> list[str]:
        return lines_of(self.corpus.dense(WINDOW, WINDOW - 1))

    @functools.cached_property
    def small_tokenizer(self) -> Any:
        """Of Qwen's kind, learnt from the history."""
        return vocabulary.qwen_like(self.texts)

    @functools.cached_property
    def large_tokenizer(self) -> Any:
        return vocabulary.large(self.texts)

    @functools.cached_property
    def said(self) -> list[Line]:
        """All lines of conversations with the one of whom there is most."""
        header = self.windows[0][0]
        return [line for other, lines in self.windows if other.members == header.members for line in lines]

    @functools.cached_property
    def learnt(self) -> tuple[Any, Any]:
        """A tiny base after a few steps of training, and its tokenizer."""
        trial = Trial.new(self.corpus, self.size.shape, 8, seed=SEED)
        model = trial.model()
        trial.ours(trial.settings(), model, level=True).seconds_for(self.size.learnt)
        return model.eval(), trial.tokenizer

    @functools.cached_property
    def hostile(self) -> list[str]:
        return [text for _, text in hostile_strings()]


def speeds(ground: Ground) -> list[Measured]:
    """Both sides on the small shapes."""
    header, lines = ground.windows[0]
    results = []
    for hidden, layers in ground.size.small:
        model = speed.small_model(ground.small_tokenizer, hidden, layers)
        name = f"a Qwen3 shape of {_million(model):.1f} million weights"
        results += speed.rows(speed.measure(name, model, ground.small_tokenizer, header, lines, ground.size.pace))
    return results


def qwen(ground: Ground) -> list[Measured]:
    """Both sides on Qwen3-0.6B's shape."""
    header, lines = ground.windows[0]
    model = speed.qwen_model(vocabulary.LOGITS, **ground.size.qwen)
    name = f"Qwen3-0.6B's shape with random weights ({_million(model):,.0f} million)"
    return speed.rows(speed.measure(name, model, ground.large_tokenizer, header, lines, ground.size.qwen_pace))


def mask(ground: Ground) -> list[Measured]:
    """The grammar at a large vocabulary."""
    rounds, each = ground.size.masks
    return masks.rows(ground.large_tokenizer, vocabulary.LOGITS, ground.windows[0][0], ground.said, rounds, each)


def exact(ground: Ground) -> list[Measured]:
    """The cache, the seed, the forced tokens."""
    model, tokenizer = ground.learnt
    size = ground.size
    header = ground.windows[0][0]
    results = exactness.conversation_rows(model, tokenizer, header, ground.said, size.turns, size.most, SEED)
    lines = exactness.awkward_lines(ground.said, ground.hostile, size.lines)
    kinds = {"the tiny base's tokenizer": tokenizer, "a tokenizer of Qwen's kind": ground.small_tokenizer}
    return results + exactness.forced_rows(kinds, lines)


def valid(ground: Ground) -> list[Measured]:
    """Wild messages among strangers."""
    untrained = speed.small_model(ground.small_tokenizer, ground.size.shape.hidden, ground.size.shape.layers)
    models = {
        "a tiny base after some training": ground.learnt,
        "random weights with a tokenizer of Qwen's kind": (untrained, ground.small_tokenizer),
    }
    return [
        row
        for by, (model, tokenizer) in models.items()
        for row in validity.rows(by, model, tokenizer, ground.said, ground.hostile, ground.size.valid, SEED)
    ]


def screen(ground: Ground, workspace: Path | None) -> list[Measured]:
    """The app, on the workspace that was given or on a demo of its own."""
    folder = workspace or screen_latency.make_demo(ground.folder / "demo", *ground.size.demo)
    return screen_latency.rows(folder, ground.size.visit)


def _million(model: Any) -> float:
    return float(sum(parameter.numel() for parameter in model.parameters())) / 1e6


def measure(
    folder: Path, size: Size, parts: Sequence[str], workspace: Path | None, *, judged: bool
) -> Iterator[list[Measured]]:
    """The rows of each of these parts, in the order of PARTS."""
    ground = Ground(folder, size)
    make = {"speed": speeds, "qwen": qwen, "mask": mask, "exact": exact, "valid": valid}
    for part in PARTS:
        if part in parts:
            rows = screen(ground, workspace) if part == "screen" else make[part](ground)
            if part in COSTS and not judged:
                rows = [row if row.what.endswith(UNJUDGED) else unjudged(row) for row in rows]
            yield rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generation", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--quick", action="store_true", help="a small size, within two minutes; costs are not judged")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts, separated by commas")
    parser.add_argument("--rounds", type=int, help="rounds of speed and qwen")
    parser.add_argument("--turns", type=int, help="turns of ours in a round")
    parser.add_argument("--their-turns", type=int, help="turns of theirs in a round")
    parser.add_argument(
        "--workspace", type=Path, help="for screen: a workspace with a checkpoint (default: a new demo)"
    )
    given = parser.parse_args(arguments)
    parts = given.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {' '.join(sorted(unknown))}; there are {' '.join(PARTS)}")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    wanted = {"rounds": given.rounds, "turns": given.turns, "their_turns": given.their_turns}
    wanted = {name: count for name, count in wanted.items() if count is not None}
    size = QUICK if given.quick else FULL
    size = replace(size, pace=replace(size.pace, **wanted), qwen_pace=replace(size.qwen_pace, **wanted))
    results: list[Measured] = []
    failed = 0
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            for rows in measure(Path(folder), size, parts, given.workspace, judged=not given.quick):
                results += rows
    except (Fault, NotShownError) as error:
        print(error, file=sys.stderr)
        failed = int(error.exit) if isinstance(error, Fault) else 1
    missed = report(results, as_json=True) if given.json else table(results)
    return failed or missed


if __name__ == "__main__":
    sys.exit(main())
