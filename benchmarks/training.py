"""What training costs: `python -m benchmarks.training [--json] [--quick] [--parts A,B] [--corpora N] [--curves FILE]`.

Ours beside the predecessor's recipe (`benchmarks.recipe`): the same weights to begin with, the same tokenizer, the same
messages, the same held-out ones, one CPU thread, float32. The parts:

speed     messages learned from in a CPU second, and tokens through the model for each of them
padding   what the default batches waste
curves    tokens processed to the recipe's held-out loss, its best batch and its own of 64
adapters  LoRA on a base that knows other people: one epoch of the recipe beside some of ours, one among them

What the rows leave out goes to stderr. `--curves` keeps the points of all curves as JSON for `docs/curves.py`;
`--corpora` repeats the curves on so many histories and first weights. The whole takes about 25 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import transformers

from benchmarks import adapters, recipe
from benchmarks.adapters import AdapterSize, Learnt
from benchmarks.corpus import Corpus
from benchmarks.curves import Curve, Judge, Meeting, meetings, spaced
from benchmarks.measuring import Measured, at_least, at_most, interleave, report, unjudged
from benchmarks.trial import Shape, Trial
from ventriloquist.model.batches import epoch_steps, padding

PARTS = ("speed", "padding", "curves", "adapters")
SPEED_GOAL, TOKENS_GOAL, BEST_GOAL, OWN_GOAL, PADDING_GOAL = 40.0, 40.0, 10.0, 20.0, 2.0
BEST_BATCHES = (8, 16)
SEED = 7
RECIPE_LEARNING_RATES = {8: 6e-3, 16: 8e-3, 64: 1.2e-2}
"""For each batch what did best of 3e-3 to 2.4e-2, as ours' 6e-3 did of 2e-3 to 1.2e-2."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done. `tokens` is how far the recipe's best batches are followed, `own_tokens` its own batch."""

    shape: Shape
    messages: int
    held_out: int
    rounds: int
    steps: int
    windows: int
    counted: int
    first_tokens: int
    tokens: int
    own_tokens: int
    adapters: AdapterSize


FULL = Size(
    Shape(128, 4, 4096), messages=20_000, held_out=160, rounds=5, steps=16, windows=16, counted=512,
    first_tokens=20_000, tokens=1_000_000, own_tokens=2_000_000, adapters=AdapterSize(24_000, 3, 3000, 160, (1, 3, 6)),
)  # fmt: skip
QUICK = Size(
    Shape(64, 2, 1024), messages=600, held_out=16, rounds=2, steps=4, windows=4, counted=64,
    first_tokens=2500, tokens=15_000, own_tokens=45_000, adapters=AdapterSize(1000, 1, 400, 16, (1, 2)),
)  # fmt: skip


def speed(trial: Trial, size: Size, *, adapter: bool) -> Measured:
    """Messages learned from in a CPU second; the recipe at the faster of one window at a time and of four."""
    settings = trial.settings(base="known", lora_r=adapters.RANK) if adapter else trial.settings()
    ours = trial.ours(settings, trial.model(settings if adapter else None), level=True)
    model = trial.model(settings if adapter else None)
    dataset = trial.samples(size.windows)

    def mine() -> float:
        before = ours.targets
        seconds = ours.seconds_for(size.steps)
        return (ours.targets - before) / seconds

    def others() -> float:
        rates = []
        for micro in (1, recipe.MICRO):
            trained, seconds = recipe.train(
                model, trial.tokenizer, dataset, batch=size.windows, micro=micro,
                learning_rate=settings.recipe.learning_rate,
            )  # fmt: skip
            rates.append(trained.targets / seconds)
        return max(rates)

    rates = interleave(mine, others, size.rounds)
    million = sum(parameter.numel() for parameter in trial.first.parameters()) / 1e6
    learner = f"a LoRA of rank {adapters.RANK} on a model" if adapter else "a model"
    what = f"messages that {learner} of {million:.1f} million weights learns from in a CPU second, against the recipe"
    return at_least(what, *rates, "messages", SPEED_GOAL)


def tokens_each(trial: Trial, size: Size) -> Measured:
    """Tokens through the model for each message learned from, in a whole epoch of ours; no clock in it."""
    sample = trial.samples(size.counted)
    theirs = sum(len(window["input_ids"]) for window in sample) / len(sample)
    ours = float(trial.dense.lengths.sum() / trial.dense.lines.sum())
    what = "tokens through the model for each message learned from, padding not counted, the recipe's over ours"
    return _over_ours(what, [ours], [theirs], TOKENS_GOAL)


def waste(trial: Trial) -> list[Measured]:
    """What the product's own steps pad, at its default number of windows and where many go together."""
    found = []
    for windows in sorted({trial.settings().windows_per_step, 4, 8}):
        steps = [step for epoch in range(3) for step in epoch_steps(trial.dense.lengths, windows, trial.seed, epoch)]
        share = 100 * padding(steps, trial.dense.lengths)
        what = f"padding among all tokens, at most {windows} windows a step, against {PADDING_GOAL:g} %"
        found.append(at_most(what, [share], [PADDING_GOAL], "%", 1.0))
    return found


@dataclass(slots=True)
class Curves:
    """One corpus: our curve, and the recipe's at each batch."""

    ours: Curve
    theirs: dict[int, Curve]

    def met(self, batch: int, part: str = "loss") -> list[Meeting]:
        return meetings(self.ours, self.theirs[batch], part)

    @property
    def best(self) -> int:
        """The recipe's batch that serves it best: where ours saves least."""
        return min(self.theirs, key=lambda batch: median(meeting.ratio for meeting in self.met(batch)))


def draw_curves(trial: Trial, size: Size) -> Curves:
    """Held-out loss over tokens, from the same first weights, at learning rates held after three steps."""
    theirs = {}
    for batch in (*BEST_BATCHES, recipe.BATCH):
        last = size.own_tokens if batch == recipe.BATCH else size.tokens
        theirs[batch] = _recipes_curve(trial, batch, spaced(size.first_tokens * 3, last, 1.5))
    model = trial.model()
    training = trial.ours(trial.settings(), model, level=True)
    windows = trial.settings().windows_per_step
    name = f"ours, {windows} window{'s' * (windows > 1)} a step"
    judge = Judge(name, model, trial.held_out, spaced(size.first_tokens, size.tokens * 2 // 5, 1.25))
    while training.left:
        training.step()
        if judge(training.tokens, training.steps, training.targets):
            break
    _tell_curve(judge.curve)
    return Curves(judge.curve, theirs)


def _recipes_curve(trial: Trial, batch: int, counts: Sequence[int]) -> Curve:
    model = trial.model()
    judge = Judge(f"the recipe, {batch} windows a step", model, trial.held_out, counts)
    usual = sum(len(sample["input_ids"]) for sample in trial.samples(32)) / 32
    needed = (round(counts[-1] / usual * 1.1) // batch + 2) * batch
    recipe.train(
        model, trial.tokenizer, trial.samples(needed), batch=batch, learning_rate=RECIPE_LEARNING_RATES[batch],
        gathered=True, seed=trial.seed, done=lambda done, step: judge(done.tokens, step, done.targets),
    )  # fmt: skip
    _tell_curve(judge.curve)
    return judge.curve


def compared(all_curves: Sequence[Curves]) -> list[Measured]:
    """The medians over the recipe's last three points on all corpora; every point goes to stderr."""
    found = []
    for batch_of, words, goal in (
        (lambda curves: curves.best, "at its best batch", BEST_GOAL),
        (lambda curves: recipe.BATCH, f"at its own batch of {recipe.BATCH}", OWN_GOAL),
    ):
        points = []
        for curves in all_curves:
            batch = batch_of(curves)
            for part in ("loss", "text"):
                for meeting in curves.met(batch, part):
                    _tell(
                        f"held-out {'text loss' if part == 'text' else 'loss'} {meeting.loss:.3f}: recipe ({batch} a "
                        f"step) {meeting.theirs:,} tokens, ours {_count(meeting.ours)}, {meeting.ratio:.1f} times fewer"
                    )
            points += curves.met(batch)
        what = f"tokens to the recipe's held-out loss {words}, the recipe's over ours"
        found.append(_at_least_fewer(what, points, goal))
    return found


def _at_least_fewer(what: str, points: Sequence[Meeting], goal: float) -> Measured:
    if any(point.ours is None for point in points):
        last = max(point.theirs for point in points)
        return Measured(f"{what}: ours never got there", 0, last, "tokens", 0, goal, len(points), (0, 0), met=False)
    return _over_ours(what, [point.ours or 0.0 for point in points], [float(point.theirs) for point in points], goal)


def _over_ours(what: str, ours: list[float], theirs: list[float], goal: float) -> Measured:
    """How many times as many tokens the recipe takes."""
    fewer = at_least(what, theirs, ours, "tokens", goal)
    return replace(fewer, ours=fewer.theirs, theirs=fewer.ours)


def tell_adapters(found: Sequence[Learnt]) -> None:
    """LoRA's table: told, not judged, since which is better depends on what one pays."""
    recipes = found[1]
    for each in found:
        _tell(
            f"LoRA, {each.name}: {each.tokens:,} tokens, {each.steps} steps, loss {each.loss:.4f}, of the text "
            f"{each.text:.4f}, {each.nats - recipes.nats:+.2f} nats a message against the recipe"
        )


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _tell_curve(curve: Curve) -> None:
    for point in curve.points:
        _tell(
            f"{curve.name}: {point.tokens:,} tokens, {point.steps} steps, {point.targets:,} messages, "
            f"loss {point.loss:.3f}, of the text {point.text:.3f}"
        )


def _count(tokens: float | None) -> str:
    return "never" if tokens is None else f"{tokens:,.0f}"


def measure(folder: Path, size: Size, parts: Sequence[str], corpora: int) -> tuple[list[Measured], dict[str, Any]]:
    """The rows, and what the picture is drawn from."""
    trial = Trial.new(Corpus(folder / "0", size.messages), size.shape, size.held_out, seed=SEED)
    results: list[Measured] = []
    kept: dict[str, Any] = {"title": "Held-out loss over the tokens that training processed", "curves": []}
    if "speed" in parts:
        results += [speed(trial, size, adapter=adapter) for adapter in (False, True)]
        results.append(tokens_each(trial, size))
    if "padding" in parts:
        results += waste(trial)
    if "curves" in parts:
        drawn = [draw_curves(trial, size)]
        for number in range(1, corpora):
            corpus = Corpus(folder / str(number), size.messages, seed=SEED + number)
            drawn.append(draw_curves(Trial.new(corpus, size.shape, size.held_out, seed=SEED + number), size))
        results += compared(drawn)
        kept["curves"] = [curve.as_json() for curve in (drawn[0].ours, *drawn[0].theirs.values())]
    if "adapters" in parts:
        found = adapters.compare(folder / "adapters", size.shape, size.adapters)
        tell_adapters(found)
        kept["adapters"] = [asdict(each) for each in found]
    return results, kept


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--quick", action="store_true", help="a small size, within a minute; goals are not judged")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts, separated by commas")
    parser.add_argument("--corpora", type=int, default=1, help="on how many histories the curves are drawn")
    parser.add_argument("--curves", type=Path, help="where to keep the points of the curves, as JSON")
    given = parser.parse_args(arguments)
    parts = given.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {' '.join(sorted(unknown))}; there are {' '.join(PARTS)}")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        results, kept = measure(Path(name), QUICK if given.quick else FULL, parts, given.corpora)
    if given.curves:
        given.curves.write_text(json.dumps(kept, indent=1) + "\n")
    if given.quick:
        results = [unjudged(result) for result in results]
    return report(results, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
