"""Rows that are no comparison of two sides: a limit, a count that must be whole, a figure that is only shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from benchmarks.measuring import Measured

DIGITS = 3
SHOWN = " (shown, no goal)"
UNJUDGED = (SHOWN, " (too small to judge)")


def figure(value: float, digits: int = DIGITS) -> float:
    """`value` to so many digits that count."""
    return float(f"{value:.{digits}g}")


def within(what: str, values: Sequence[float], limit: float, unit: str) -> Measured:
    """The median of `values` may be at most `limit`; the ratio is to the limit, smaller is better."""
    found = median(values)
    spread = (figure(min(values) / limit), figure(max(values) / limit))
    return Measured(
        f"{what}, against {limit:g} {unit} (smaller is better)".replace("  ", " "),
        figure(found), limit, unit, figure(found / limit), 1.0, len(values), spread, met=found <= limit,
    )  # fmt: skip


def none_of(what: str, failed: int, tried: int, unit: str) -> Measured:
    """None of those that were tried may have failed."""
    share = figure(failed / max(tried, 1))
    return Measured(
        f"{what} (smaller is better)", failed, tried, unit, share, 0.0, 1, (share, share), met=tried > 0 and not failed
    )


def all_of(what: str, good: int, tried: int, unit: str) -> Measured:
    """All that were tried must be good."""
    share = figure(good / max(tried, 1))
    return Measured(what, good, tried, unit, share, 1.0, 1, (share, share), met=tried > 0 and good == tried)


def shown(result: Measured) -> Measured:
    """The row without a goal: a figure that is told, not judged."""
    return replace(result, what=result.what + SHOWN, goal=0.0, met=True)


def told(what: str, values: Sequence[float], unit: str) -> Measured:
    """A figure of ours alone that is not judged: the median, with the smallest and the largest as the spread."""
    spread = (figure(min(values)), figure(max(values)))
    return Measured(what + SHOWN, figure(median(values)), 0.0, unit, 0.0, 0.0, len(values), spread, met=True)


def table(results: Sequence[Measured]) -> int:
    """Print the rows for a person, each over a line or two; 1 if a goal was missed."""
    for result in results:
        ours = f"{result.ours:,g} {result.unit}".rstrip()
        low, high = result.spread
        facts = [f"ours {ours}" if result.theirs else ours]
        if result.theirs:
            facts += [f"against {result.theirs:,g}", f"ratio {result.ratio:g}"]
        if result.rounds > 1 and (low or high):
            facts.append(f"{low:g} to {high:g} over {result.rounds}")
        if not result.what.endswith(UNJUDGED):
            facts.append(f"goal {result.goal:g}: {'met' if result.met else 'MISSED'}")
        print(f"{result.what}\n    {', '.join(facts)}")
    return 0 if all(result.met for result in results) else 1
