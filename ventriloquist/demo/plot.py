"""The whole sample history as scripts: which conversations there are, how much is said in each, and when."""

from __future__ import annotations

import random
from collections.abc import Callable

from ventriloquist.demo import groups, media, screenplay, set_pieces
from ventriloquist.demo.cast import CAST
from ventriloquist.demo.dialogue import Stage
from ventriloquist.demo.finishing import SMS_SHARE, finish
from ventriloquist.demo.script import Script
from ventriloquist.demo.speech import Speaker
from ventriloquist.demo.timing import give_times

Hours = tuple[int, int] | None
Scene = tuple[Callable[[Stage], None], int, Hours]
"""What to play, how often it comes up, and between which hours it begins."""

COUNTED: tuple[Scene, ...] = (
    (groups.who_is_in, 14, (9, 16)),
    (groups.vote, 14, (11, 19)),
    (groups.mention, 4, None),
)
SHOWN: tuple[Scene, ...] = ((media.photo, 1, (8, 21)), (media.photo, 1, (8, 21)), (media.link, 1, None))
LONG_FROM = 5000
"""From how many messages on there is one of more than 32,767 bytes."""
ROWS_PER_SHOWN = 130
"""After how many rows a photo or a link comes up."""


def conversations() -> list[tuple[Script, float]]:
    """Empty scripts, each with its share of all rows."""
    return [
        (Script("ingrid", ("Ingrid",)), 0.12),
        (Script("maya", ("Maya",)), 0.2),
        (Script("theo", ("Theo",)), 0.13),
        (Script("priya", ("Priya",)), 0.13),
        (Script("walter", ("Walter",)), 0.1),
        (Script("nico", ("Nico",)), 0.12),
        (Script("supper", ("Maya", "Theo", "Priya"), "Taco Thursday"), 0.12),
        (Script("cabin", ("Maya", "Ingrid", "Nico", "Priya"), "Cabin Trip"), 0.08),
    ]


def write_scripts(rng: random.Random, messages: int) -> list[Script]:
    """All conversations, about `messages` rows in all, with their times."""
    speakers = {name: Speaker(person, rng) for name, person in CAST.items()}
    scenes = screenplay.read()
    made = []
    for script, share in conversations():
        stage = Stage(script, rng, speakers)
        _fill(stage, scenes, messages * share, messages)
        finish(stage, rng)
        give_times(stage, rng)
        made.append(script)
    for script in set_pieces.strangers():
        stage = Stage(script, rng, speakers)
        stage.starts = [(post, None) for post in script.posts]
        give_times(stage, rng)
        made.append(script)
    return made


def _fill(stage: Stage, scenes: list[screenplay.Scene], rows: float, messages: int) -> None:
    """Play scenes until the conversation has its rows; what it must have comes in between, evenly."""
    pieces = list(set_pieces.PIECES[stage.script.key])
    if stage.script.key == "nico" and messages >= LONG_FROM:
        pieces.append(set_pieces.long_message)
    shown, placed = 0, 0
    while stage.rows < rows or placed < len(pieces):
        if placed < len(pieces) and stage.rows >= rows * max(SMS_SHARE, (placed + 0.5) / len(pieces)) * 0.9:
            stage.play(pieces[placed])
            placed += 1
            continue
        if stage.rows > (shown + 0.5) * ROWS_PER_SHOWN:
            shown += 1
            play, _, hours = stage.rng.choice(SHOWN)
        else:
            fitting: list[Scene] = [(scene, scene.weight, scene.hours) for scene in scenes if scene.fits(stage)]
            if stage.script.is_group:
                fitting += COUNTED
            play, _, hours = stage.rng.choices(fitting, [weight for _, weight, _ in fitting])[0]
        stage.play(play, hours)
