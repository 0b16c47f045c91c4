"""The whole sample history as scripts: which conversations there are, how much is said in each, and when."""

from __future__ import annotations

import random
from collections.abc import Callable

from ventriloquist.demo import scenes
from ventriloquist.demo.cast import CAST
from ventriloquist.demo.dialogue import Stage
from ventriloquist.demo.script import Script
from ventriloquist.demo.speech import Speaker
from ventriloquist.demo.timing import give_times

SHARES: tuple[tuple[Script, float], ...] = ()
Scene = Callable[[Stage], None]


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
    made = []
    for script, share in conversations():
        stage = Stage(script, rng, speakers)
        while stage.rows < messages * share:
            stage.play(rng.choice((scenes.tonight, scenes.feeding)))
        give_times(stage, rng)
        made.append(script)
    return made
