"""What benchmarks share: interleaved rounds, CPU time of whole processes, and one way to print."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace


@dataclass(frozen=True, slots=True)
class Measured:
    """One comparison. `ratio` is written so that larger is better, unless `what` says otherwise."""

    what: str
    ours: float
    theirs: float
    unit: str
    ratio: float
    goal: float
    rounds: int
    spread: tuple[float, float]
    met: bool


def cpu_of(command: Sequence[str]) -> float:
    """CPU seconds (user and system) of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def interleave(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[list[float], list[float]]:
    """Both measured in turn, one warm-up of each first."""
    ours(), theirs()
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def at_most(what: str, ours: list[float], theirs: list[float], unit: str, goal: float) -> Measured:
    """Ours may cost at most `goal` times theirs: the ratio of medians, smaller is better."""
    measured = _compared(f"{what} (smaller is better)", ours, theirs, unit, goal, digits=4)
    return replace(measured, met=statistics.median(ours) <= goal * statistics.median(theirs))


def at_least(what: str, ours: list[float], theirs: list[float], unit: str, goal: float) -> Measured:
    """Ours should be at least `goal` times theirs: the ratio of medians, larger is better."""
    measured = _compared(what, ours, theirs, unit, goal, digits=1)
    return replace(measured, met=statistics.median(ours) >= goal * statistics.median(theirs))


def times_less(what: str, ours: list[float], theirs: list[float], unit: str, goal: float) -> Measured:
    """Theirs should cost at least `goal` times as much as ours: the ratio of medians, theirs over ours."""
    turned = _compared(what, theirs, ours, unit, goal, digits=2)
    met = statistics.median(theirs) >= goal * statistics.median(ours)
    return replace(turned, ours=turned.theirs, theirs=turned.ours, met=met)


def _compared(what: str, ours: list[float], theirs: list[float], unit: str, goal: float, *, digits: int) -> Measured:
    """The ratio of medians, and the smallest and largest of the rounds' own; whether it is met is not said yet."""
    ratios = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
    mine, other = statistics.median(ours), statistics.median(theirs)
    spread = (round(ratios[0], 2), round(ratios[-1], 2))
    ratio = round(mine / other, 2)
    return Measured(what, round(mine, digits), round(other, digits), unit, ratio, goal, len(ours), spread, met=False)


def unjudged(result: Measured) -> Measured:
    """The row of a size that is too small for its goal to mean anything; it says so."""
    return replace(result, what=f"{result.what} (too small to judge)", goal=0.0, met=True)


def report(results: Sequence[Measured], *, as_json: bool) -> int:
    """Print the results, one a line; 1 if a goal was missed."""
    for result in results:
        if as_json:
            fields = {name: value for name, value in asdict(result).items() if name != "met"}
            print(json.dumps(fields))
        else:
            low, high = result.spread
            print(
                f"{result.what}: {result.ours:g} {result.unit} against {result.theirs:g}, ratio {result.ratio:g} "
                f"({low:g} to {high:g} over {result.rounds} rounds), goal {result.goal:g}: "
                f"{'met' if result.met else 'MISSED'}"
            )
    return 0 if all(result.met for result in results) else 1


def options(arguments: Sequence[str]) -> tuple[bool, bool]:
    """`--json` and `--quick`, and nothing else."""
    unknown = set(arguments) - {"--json", "--quick"}
    if unknown:
        sys.exit(f"unknown option {' '.join(sorted(unknown))}; there are --json and --quick")
    return "--json" in arguments, "--quick" in arguments
