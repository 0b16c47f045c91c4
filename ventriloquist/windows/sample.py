"""Some windows instead of all, and none of the conversations forgotten."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from ventriloquist.windows.build import Window


def sample(windows: Sequence[Window], messages: int, seed: int) -> list[Window]:
    """Windows with about `messages` targets (0: all), from every conversation in its share, in the file's order."""
    if not messages:
        return list(windows)
    groups: dict[str, list[int]] = defaultdict(list)
    for number, window in enumerate(windows):
        groups[window.conversation].append(number)
    draw = random.Random(seed)
    ranked: list[tuple[float, int]] = []
    for numbers in groups.values():
        draw.shuffle(numbers)
        offset = draw.random()
        ranked += [((place + offset) / len(numbers), number) for place, number in enumerate(numbers)]
    chosen: list[int] = []
    for _, number in sorted(ranked):
        if messages <= 0:
            break
        chosen.append(number)
        messages -= windows[number].targets
    return [windows[number] for number in sorted(chosen)]
