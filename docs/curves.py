"""Draws the README's picture of training: held-out loss over the tokens processed, ours beside the recipe's.

`python -m benchmarks.training --curves FILE` writes the points; `python docs/curves.py FILE` draws them.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

IMAGE = Path(__file__).parent / "images" / "training.svg"
WIDTH, HEIGHT = 760, 430
LEFT, RIGHT, TOP, BOTTOM = 64, 200, 56, 56
BACKGROUND, INK, QUIET, GRID = "#14161b", "#d9dce3", "#9a9da6", "#2b2f39"
COLORS = ("#8fb4ff", "#e3c078", "#8ecfa5", "#f08a8a", "#b9a8e8")
LABEL_GAP = 17

Points = list[tuple[float, float]]


def draw(curves: Sequence[dict], title: str) -> str:
    """An SVG of curves `{"name", "points": [{"tokens", "loss"}]}`, the axis of tokens logarithmic."""
    lines = {curve["name"]: [(point["tokens"], point["loss"]) for point in curve["points"]] for curve in curves}
    scale = Scale([point for points in lines.values() for point in points])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" font-family="Helvetica, Arial, sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{BACKGROUND}"/>',
        _text(LEFT, 32, title, INK, size=15, bold=True),
        *scale.grid(),
    ]
    ends = []
    for (name, points), color in zip(lines.items(), COLORS, strict=False):
        placed = [(scale.x(tokens), scale.y(loss)) for tokens, loss in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{color}"/>' for x, y in placed]
        ends.append((placed[-1][1], name, color))
    parts += _labels(ends)
    return "\n".join([*parts, "</svg>", ""])


class Scale:
    """Where tokens and losses stand in the picture, and the lines behind the curves."""

    def __init__(self, points: Points) -> None:
        tokens, losses = [math.log10(point[0]) for point in points], [point[1] for point in points]
        self.first, self.last = min(tokens), max(tokens)
        self.step = 0.5 if max(losses) - min(losses) > 1.5 else 0.25
        self.low = math.floor(min(losses) / self.step) * self.step
        self.high = math.ceil(max(losses) / self.step) * self.step

    def x(self, tokens: float) -> float:
        return LEFT + (math.log10(tokens) - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, loss: float) -> float:
        return TOP + (self.high - loss) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def grid(self) -> Iterator[str]:
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        count = round((self.high - self.low) / self.step)
        for number in range(count + 1):
            loss = self.low + number * self.step
            y = self.y(loss)
            yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="{GRID}"/>'
            yield _text(LEFT - 8, y + 4, f"{loss:.2f}".rstrip("0").rstrip("."), QUIET, anchor="end")
        for tokens in self._marks():
            x = self.x(tokens)
            yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="{GRID}"/>'
            yield _text(x, bottom + 20, _short(tokens), QUIET, anchor="middle")
        yield _text(LEFT, HEIGHT - 14, "tokens processed (padding not counted against the recipe)", QUIET)
        yield _text(LEFT - 48, TOP - 10, "held-out loss, nats a token", QUIET, size=12)

    def _marks(self) -> Iterator[float]:
        """1, 2 and 5 times each power of ten within the axis."""
        for power in range(math.floor(self.first), math.ceil(self.last) + 1):
            for times in (1, 2, 5):
                if self.first <= math.log10(times * 10.0**power) <= self.last:
                    yield times * 10.0**power


def _labels(ends: list[tuple[float, str, str]]) -> Iterator[str]:
    """The curves' names beside their ends, moved apart where they would touch."""
    below = -math.inf
    for y, name, color in sorted(ends):
        below = max(y + 4, below + LABEL_GAP)
        yield _text(WIDTH - RIGHT + 14, below, name, color)


def _text(
    x: float, y: float, words: str, color: str, *, anchor: str = "start", size: int = 13, bold: bool = False
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}" font-size="{size}"{weight}>'
        f"{escape(words)}</text>"
    )


def _short(tokens: float) -> str:
    return f"{tokens / 1e6:g}M" if tokens >= 1e6 else f"{tokens / 1e3:g}k"


def main() -> int:
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python docs/curves.py CURVES.json [IMAGE.svg]")
    found = json.loads(Path(sys.argv[1]).read_text())
    image = Path(sys.argv[2]) if len(sys.argv) == 3 else IMAGE
    image.write_text(draw(found["curves"], found["title"]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
