"""How fast a LoRA is trained on a GPU: `python -m benchmarks.gpu_training [--json] [--quick] [--shapes 1.7b,8b]`.

Models of Qwen3's shapes with random weights, so nothing is downloaded; bf16, a LoRA of rank 128 on every linear layer,
four windows of about 2,000 tokens a step. Ours (with activations kept, and computed twice), plain `Trainer` with PEFT
on the same windows, padded, with logits at every position (its activations computed twice only where it does not fit
otherwise), and Unsloth with its defaults where it is installed: each in a process of its own, in turn, for some
rounds; 5 steps to warm up, then 20 between two CUDA events. Against Unsloth stands the faster way of ours that takes no
more memory.

Model FLOP/s: forward and backward of frozen weights is 4 FLOP for each weight and token (a trained one would take 6),
those of the output layer at the tokens that are learnt alone. What checkpointing computes twice counts once, padding
and the adapter not at all, and attention is told apart, on stderr.

Without a CUDA device this ends with exit code 3. `--device cpu --quick` tries the script itself on toy shapes.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.gpu_contenders import OUT_OF_MEMORY, SHAPES, Shape, Timed
from benchmarks.measuring import Measured, at_least, at_most, report, unjudged
from ventriloquist.faults import Exit

TRAINER_GOAL, UNSLOTH_GOAL, MEMORY_GOAL, USED_GOAL = 1.5, 1.3, 1.0, 50.0
WARM, TIMED, ROUNDS = 5, 20, 3
OURS, CHECKPOINTED, TRAINER, UNSLOTH = "ours", "ours-checkpointed", "trainer", "unsloth"
WORDS = {OURS: "ours", CHECKPOINTED: "ours with activations computed twice"}


def body_weights(shape: Shape) -> int:
    """Weights of the linear layers, embeddings and output layer left out."""
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    attention = shape.hidden * (2 * queries + 2 * keys)
    return shape.layers * (attention + 3 * shape.hidden * shape.intermediate)


def useful(shape: Shape, timed: Timed) -> float:
    """FLOP that the timed steps could not do without, attention left out."""
    return 4.0 * (body_weights(shape) * timed.tokens + shape.hidden * shape.vocabulary * timed.targets)


def attention(shape: Shape, timed: Timed) -> float:
    """FLOP of causal attention in the timed steps, about: for each pair of tokens and each channel 4, thrice in all."""
    each = timed.tokens / timed.windows
    return 6.0 * shape.layers * shape.heads * shape.head_dim * each * timed.tokens


class Course:
    """All rounds of one shape; `found` holds what each contender measured."""

    def __init__(self, name: str, device: str, warm: int, timed: int) -> None:
        self.name, self.shape = name, SHAPES[name]
        self.options = ["--shape", name, "--device", device, "--warm", str(warm), "--timed", str(timed)]
        self.found: dict[str, list[Timed]] = {}
        self.does_not_fit: set[str] = set()
        self.failed: set[str] = set()

    def run(self, rounds: int, contenders: Sequence[str], weights: Path) -> None:
        self.options += ["--weights", str(weights)]
        if UNSLOTH in contenders:
            child("save", self.options)
        for _ in range(rounds):
            for contender in contenders:
                if contender in self.failed:
                    continue
                timed = self._one(contender)
                if timed is not None:
                    self.found.setdefault(contender, []).append(timed)
                    self._tell(contender, timed)

    def _one(self, contender: str) -> Timed | None:
        """One process; plain Trainer computes activations twice once it has run out of memory."""
        try:
            fields = None if contender in self.does_not_fit else child(contender, self.options)
        except subprocess.CalledProcessError:
            if contender != UNSLOTH:
                raise
            self.found.pop(contender, None)
            self.failed.add(contender)  # it follows other versions of torch and transformers than we do
            _tell(f"{self.name}: Unsloth is installed here and failed, see above; nothing is compared with it")
            return None
        if fields is None and contender not in self.does_not_fit:
            self.does_not_fit.add(contender)
            _tell(f"{self.name}, {contender}: does not fit into this card's memory")
        if fields is None and contender == TRAINER:
            fields = child(f"{TRAINER}-checkpointed", self.options)
        return Timed(**fields) if fields else None

    def _tell(self, contender: str, timed: Timed) -> None:
        flops, more = useful(self.shape, timed) / timed.seconds, attention(self.shape, timed) / timed.seconds
        _tell(
            f"{self.name}, {contender}: {timed.tokens / timed.seconds:,.0f} tokens a second, "
            f"{timed.gigabytes:.1f} GB, {flops / 1e12:.1f} TFLOP/s and {more / 1e12:.1f} of attention"
            f"{', activations computed twice' if timed.checkpointed else ''}"
        )

    def rates(self, contender: str) -> list[float]:
        return [timed.tokens / timed.seconds for timed in self.found.get(contender, [])]

    def memory(self, contender: str) -> list[float]:
        return [timed.gigabytes for timed in self.found.get(contender, [])]

    def used(self, contender: str, peak: float) -> list[float]:
        """Model FLOP/s as a share of the card's, in percent."""
        return [100 * useful(self.shape, t) / t.seconds / (peak * 1e12) for t in self.found.get(contender, [])]


def child(contender: str, options: Sequence[str] = ()) -> dict[str, Any] | None:
    """What a process of `benchmarks.gpu_contenders` printed; None if it ran out of the card's memory.

    Raises CalledProcessError if it failed in another way.
    """
    command = [sys.executable, "-m", "benchmarks.gpu_contenders", contender, *options]
    quiet = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore::FutureWarning"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=quiet, check=False)
    if done.returncode == OUT_OF_MEMORY:
        return None
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command)
    return next((json.loads(line) for line in reversed(done.stdout.splitlines()) if line.startswith("{")), {})


def results_of(course: Course, peak: float | None) -> list[Measured]:
    """The comparisons that can be made of what was measured."""
    results: list[Measured] = []
    name, found = f"{course.name} shape", course.found
    ours = OURS if OURS in found else CHECKPOINTED
    if ours in found and TRAINER in found:
        what = f"tokens a second, {name}, {WORDS[ours]}, against Trainer and PEFT"
        results.append(at_least(what, course.rates(ours), course.rates(TRAINER), "tokens", TRAINER_GOAL))
    if ours in found and UNSLOTH in found:
        mine = _beside_unsloth(course)
        what = f"tokens a second, {name}, {WORDS[mine]}, against Unsloth"
        results.append(at_least(what, course.rates(mine), course.rates(UNSLOTH), "tokens", UNSLOTH_GOAL))
        what = f"peak memory, {name}, {WORDS[mine]}, against Unsloth"
        results.append(at_most(what, course.memory(mine), course.memory(UNSLOTH), "GB", MEMORY_GOAL))
    if ours in found and peak:
        used = course.used(ours, peak)
        what = f"share of the card's {peak:.0f} TFLOP/s, {name}, {WORDS[ours]}, against the goal"
        results.append(at_least(what, used, [USED_GOAL] * len(used), "%", 1.0))
    return results


def _beside_unsloth(course: Course) -> str:
    """Which of ours is held against Unsloth: the fastest that takes no more memory, else that which takes least."""
    both = [contender for contender in (OURS, CHECKPOINTED) if contender in course.found]
    most = median(course.memory(UNSLOTH))
    fitting = [contender for contender in both if median(course.memory(contender)) <= most]
    if not fitting:
        return min(both, key=lambda contender: median(course.memory(contender)))
    return max(fitting, key=lambda contender: median(course.rates(contender)))


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_training", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--quick", action="store_true", help="toy shapes, one round; goals are not judged")
    parser.add_argument("--shapes", default="1.7b,8b", help="which shapes, separated by commas")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each takes its turn")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        _tell("There is no CUDA device here; run this on a machine that has one, or try --device cpu --quick.")
        return Exit.NO_INPUT
    if given.device == "cpu" and not given.quick:
        parser.error("the shapes are too large for a CPU; add --quick")
    contenders = [OURS, CHECKPOINTED, TRAINER]
    if given.device == "cuda":
        if importlib.util.find_spec("unsloth"):
            contenders.append(UNSLOTH)
        else:
            _tell("Unsloth is not installed here, so nothing is compared with it.")
    peak = None
    if given.device == "cuda":
        card = child("card") or {}
        peak = card["peak"]
        _tell(f"{card['name']}, PyTorch {torch.__version__}, {peak:.0f} TFLOP/s dense bf16")
    results: list[Measured] = []
    try:
        for name in ["toy"] if given.quick else given.shapes.split(","):
            course = Course(name, given.device, *((1, 2) if given.quick else (WARM, TIMED)))
            with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
                course.run(1 if given.quick else given.rounds, contenders, Path(folder) / "weights")
            results += results_of(course, peak)
    except subprocess.CalledProcessError as error:
        sys.exit(f"This command failed, see above: {' '.join(error.cmd)}")
    if given.quick:
        results = [unjudged(result) for result in results]
    return report(results, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
