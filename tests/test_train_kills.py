"""kill -9 again and again while it trains, at any moment: the end is that of a training that nothing disturbed."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.trainings import LORA, STEPS, TINY, Child, losses, make_base, state_of, with_windows
from ventriloquist.faults import Exit
from ventriloquist.locks import is_locked
from ventriloquist.runs import list_runs, read_events
from ventriloquist.workspace import Workspace

TRIALS = int(os.environ.get("TRIALS", "2"))
KILLS = 3
SETTLING = 0.3
"""Seconds that it takes, about, before the first step."""
STEP = 0.05
"""What one takes, about."""
SEALING = 0.02
"""And the writing of a checkpoint."""
SAVE, VALIDATE = TINY["save_steps"], TINY["validate_steps"]


@dataclass
class Tally:
    """How many kills struck, and where."""

    kills: int = 0
    struck: int = 0
    written: int = 0
    places: Counter[str] = field(default_factory=Counter)

    def count(self, child: Child, struck: bool, out: Path) -> None:
        self.kills += 1
        self.struck += struck
        if struck:
            place = place_of(child, out)
            self.places[place] += 1
            self.written += place.startswith("writing")


def place_of(child: Child, out: Path) -> str:
    """What a killed training was at, by its events and by what it left behind."""
    events = read_events(child.run.folder)
    phase = [event["name"] for event in events if event["kind"] == "phase"][-1]
    staging = out / ".staging"
    if phase == "save":
        return "writing final" if staging.exists() else "ending"
    if phase != "train":
        return "beginning"
    metrics = [event for event in events if event["kind"] == "metric"] or [{"step": 1, "values": {}}]
    step, values = metrics[-1]["step"], metrics[-1]["values"]
    if staging.exists() or list(out.glob(".old-*")):
        return "writing a checkpoint" if step % SAVE == 0 or step == STEPS else "writing the best"
    due = step % VALIDATE == 0 or step == STEPS
    return "validating" if due and "loss" in values else "learning"


class Trial:
    """One training that is killed `KILLS` times, in the first, second and last part of its steps."""

    def __init__(self, workspace: Workspace, given: dict[str, Any], random_: random.Random, tally: Tally) -> None:
        self.workspace, self.given, self.random, self.tally = workspace, given, random_, tally
        self.out = workspace.checkpoints / "run"

    def run(self) -> None:
        """Kill it and start it again, and let it end at last; a kill that came too late begins the trial anew."""
        part = 0
        while part < KILLS:
            child = Child(self.workspace, self.given)
            self._wait(child, part)
            struck = child.kill()
            self.tally.count(child, struck, self.out)
            assert not is_locked(self.workspace.lock)
            if struck:
                part += 1
            else:
                shutil.rmtree(self.out)
                part = 0
        assert Child(self.workspace, self.given).end() == Exit.DONE

    def _wait(self, child: Child, part: int) -> None:
        """Until a moment of chance: before the first step, at a step, or while something is being written."""
        aim = self.random.random()
        if aim < 0.15:
            time.sleep(self.random.uniform(0, SETTLING))
            return
        step = self.random.randint(1 + part * STEPS // KILLS, (part + 1) * STEPS // KILLS)
        if aim > 0.8:
            step = min(step - step % -SAVE, STEPS)
        child.wait_for(lambda: child.step() >= step)
        if aim < 0.55:
            time.sleep(self.random.uniform(0, STEP))
            return
        child.wait_for((self.out / ".staging").exists)
        time.sleep(self.random.uniform(0, SEALING))


@pytest.fixture(scope="module")
def kinds(learnt: Workspace, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """A whole model; an adapter with dropout; an adapter of the other makes."""
    base = str(make_base(learnt, tmp_path_factory.mktemp("base")))
    lora = {**LORA, "base": base}
    other = {"dora": True, "rslora": True, "loraplus": 4.0, "lora_dropout": 0.05}
    return [TINY, {**lora, "lora_dropout": 0.1}, {**lora, **other}]


def kind_of(trial: int) -> int:
    """Half of the trials with the whole model, most others with dropout."""
    return (0, 1, 0, 1, 0, 2)[trial % 6]


def test_kills_change_nothing(learnt: Workspace, kinds: list[dict[str, Any]], tmp_path: Path) -> None:
    unbroken: dict[int, tuple[dict[str, str], dict[int, set[float]]]] = {}
    tally = Tally()
    for trial in range(TRIALS):
        kind = kind_of(trial)
        given = kinds[kind]
        if kind not in unbroken:
            whole = with_windows(learnt, tmp_path / f"unbroken-{kind}")
            assert Child(whole, given).end() == Exit.DONE
            unbroken[kind] = state_of(whole.checkpoints / "run"), losses(whole)
            if kind == 0:
                best = json.loads((whole.checkpoints / "run" / "final" / "progress.json").read_text())["best"]
                assert 0 < best < STEPS, "the best checkpoint must not be the last one, so that both are at stake"
        workspace = with_windows(learnt, tmp_path / f"trial-{trial}")
        Trial(workspace, given, random.Random(f"trial {trial}"), tally).run()
        out = workspace.checkpoints / "run"
        assert (state_of(out), losses(workspace)) == unbroken[kind], f"trial {trial}, kind {kind}"
        assert {path.name for path in out.iterdir()} == {"final", f"checkpoint-{STEPS}"}
        assert not [run for run in list_runs(workspace) if run.alive]
    places = ", ".join(f"{count} {place}" for place, count in sorted(tally.places.items()))
    print(
        f"{TRIALS} trials of {KILLS} kills that struck: {tally.struck} of {tally.kills} struck a training at work "
        f"({places}); {tally.written} while something was being written; every end is the unbroken one's, bit for bit"
    )
    assert tally.struck >= TRIALS * KILLS and tally.struck >= 0.6 * tally.kills
    assert tally.written >= 0.1 * tally.kills
