"""Times, amounts and states in the words a person would use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ventriloquist.settings import StageSettings
from ventriloquist.text import one_line

MARKS = {
    "done": "✓",
    "ready": "○",
    "waiting": "·",
    "stale": "↻",
    "running": "▸",
    "stopped": "■",
    "failed": "✗",
    "lost": "!",
}
"""A sign for each state, beside its word: colour alone tells nothing."""
STATE_STYLES = {
    "done": "$text-success",
    "ready": "$text-primary",
    "running": "$text-primary",
    "stale": "$text-warning",
    "stopped": "$text-warning",
    "lost": "$text-warning",
    "failed": "$text-error",
}
UNKNOWN_MARK = "?"


def span(seconds: float) -> str:
    """A duration in its two largest units: 42 s, 3 min 5 s, 2 h 10 min, 3 d 4 h."""
    if not math.isfinite(seconds):
        return "a long time"
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    for size, name, smaller, smaller_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name} {rest} {smaller_name}" if rest else f"{whole // size} {name}"
    return ""


def left(seconds: float) -> str:
    """What is left of a wait, roughly: a guess is not told to the second."""
    if seconds < 10:
        return "a few seconds left"
    if seconds < 60:
        return f"{round(seconds / 10) * 10:.0f} s left"
    if seconds < 3600:
        return f"{round(seconds / 60)} min left"
    return f"{span(round(seconds / 60) * 60)} left"


def ago(when: str | None, now: float) -> str:
    """An RFC 3339 time as seen from `now` (seconds since 1970); empty when there is none."""
    if not when:
        return ""
    try:
        seconds = now - datetime.fromisoformat(when).timestamp()
    except (ValueError, OverflowError):
        return ""
    for size, name in ((86400 * 365, "year"), (86400 * 30, "month"), (86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def amount(value: float) -> str:
    """A number with few digits: 1,203 or 0.83 or 2.1e-05."""
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.2f}" if abs(value) >= 0.01 else f"{value:.1e}"


def made(makes: Mapping[str, Any]) -> str:
    """What a run made, from its last event: `1,203 windows · 60,123 targets`."""
    parts = []
    for name, value in makes.items():
        label = str(name).replace("_", " ")
        if isinstance(value, bool):
            parts.append(label if value else f"not {label}")
        elif isinstance(value, int | float):
            parts.append(f"{amount(value)} {label}" if isinstance(value, int) else f"{label} {amount(value)}")
        elif isinstance(value, str) and value:
            parts.append(f"{label} {value}")
        elif isinstance(value, Mapping) and value:
            parts.append(made(value))
    return one_line(" · ".join(part for part in parts if part), 400)


def about(settings: type[StageSettings]) -> str:
    """What a stage does, in the sentence that its settings class begins with."""
    return (settings.__doc__ or "").strip().split("\n")[0]


def at_home(path: Path) -> str:
    """A path, written from the person's home where it is in it."""
    try:
        return f"~/{path.relative_to(Path.home())}" if path != Path.home() else "~"
    except (ValueError, RuntimeError):
        return str(path)
