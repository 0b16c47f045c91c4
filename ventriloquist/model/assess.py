"""A checkpoint on held-out messages: how surprised it is, and whether it knows who writes how."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ventriloquist.model.load import load
from ventriloquist.model.score import Score, Scorer, with_name
from ventriloquist.runs import Run
from ventriloquist.windows.lines import Header, Line, read, split_lines


def assess(
    folder: Path,
    windows: Sequence[str],
    *,
    trained: bool,
    device: str,
    precision: str = "auto",
    bits: int | None = None,
    threads: int,
    seed: int,
    run: Run,
) -> dict[str, Any]:
    """Scores of the windows' last lines, and of the same texts in another member's mouth.

    Returns `{"score": {part: nats a token, ...}, "right_name", "wrong_name", "lines", "named_lines"}`; the two
    names' figures are nats a token of text over the same lines.
    """
    loaded = load(folder, device, threads, trained=trained, precision=precision, bits=bits)
    if loaded.notice and trained:
        run.note(loaded.notice, "warning")
    scorer = Scorer(loaded.model, loaded.tokenizer, loaded.device, loaded.description.max_tokens)
    draw = random.Random(seed)
    everything, right, wrong = Score(), Score(), Score()
    for number, window in enumerate(windows, 1):
        line = split_lines(window)[-1]
        other = _another(window, line, draw)
        variants = [line] if other is None else [line, with_name(line, other)]
        scored = scorer.losses(window, variants)
        everything.add(line, *scored[0])
        if other is not None:
            right.add(line, *scored[0])
            wrong.add(line, *scored[1])
        run.progress(number, len(windows), "held-out messages")
    return {
        "score": everything.summary(),
        "right_name": round(right.mean("text"), 4),
        "wrong_name": round(wrong.mean("text"), 4),
        "lines": everything.lines,
        "named_lines": right.lines,
    }


def _another(window: str, line: str, draw: random.Random) -> str | None:
    """Another member of the window's conversation, for a line that someone wrote in words."""
    header, parsed = read(split_lines(window)[0]), read(line)
    assert isinstance(header, Header) and isinstance(parsed, Line)
    others = [name for name in header.members if name != parsed.name]
    return draw.choice(others) if others and parsed.content_type == "text" else None
