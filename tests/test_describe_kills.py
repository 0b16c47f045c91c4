"""Killed again and again with sixty-four requests under way: the budget holds, and what was answered is kept.

`KILLS` says how often (see the Makefile's `proofs`).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import fake_gemini as fake
from tests.describing import KEY, collected, one_run, photos, states, stored
from tests.test_describe_budget import MOST_USAGE, cost
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

KILLS = int(os.environ.get("KILLS", "2"))
CONCURRENCY = 64
PHOTOS = 80 + 60 * KILLS
LATENCY = 0.5
CHILD = """
import sys
from tests.describing import captioner, settings, KEY
from ventriloquist.pipeline.describe import describe
from ventriloquist.runs import perform
from ventriloquist.workspace import Workspace

def stage(options, workspace, run):
    return describe(options, workspace, run, captioner(sys.argv[2]))

options = settings(KEY, yes=True, concurrency=int(sys.argv[3]), budget=float(sys.argv[4]))
perform("describe", stage, options, Workspace.at(sys.argv[1]), [])
"""


class Paid:
    """What the server has answered, by what it answered, and how often each was asked."""

    def __init__(self) -> None:
        self.answered: dict[str, int] = {}
        self.under_way = self.most_under_way = 0
        self._lock = threading.Lock()

    def __call__(self, handler: fake.Handler) -> None:
        words = fake.words_for(handler.asked.media)
        with self._lock:
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        time.sleep(LATENCY)
        with self._lock:
            self.under_way -= 1
        fake.text(f'{{"description": "{words}"}}', usage=MOST_USAGE)(handler)
        with self._lock:
            self.answered[words] = self.answered.get(words, 0) + 1


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "Attachments"
    folder.mkdir()
    return folder


def killed(workspace: Workspace, server: fake.FakeGemini, budget: float, after: int) -> bool:
    """Start the stage, and kill it once the server has got `after` more requests; True if it ended before that."""
    command = [sys.executable, "-c", CHILD, str(workspace.root), server.url, str(CONCURRENCY), str(budget)]
    child = subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.PIPE)
    wanted = len(server.received) + after
    deadline = time.monotonic() + 90
    while len(server.received) < wanted and child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.003)
    child.kill()
    _, said = child.communicate()
    assert child.returncode in (0, -9), said.decode()
    return child.returncode == 0


def test_kills_lose_at_most_what_was_under_way(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, PHOTOS))
    draw = random.Random(KILLS)
    paid = Paid()
    enough = 1000.0
    with fake.serving(paid) as server:
        for kill in range(1, KILLS + 1):
            assert not killed(workspace, server, enough, draw.randint(5, 90))
            kept = {text for text, state in stored(workspace).values() if state == "described"}
            assert len(server.received) - len(kept) <= kill * CONCURRENCY
            with Store.open(workspace) as store:
                [(described,)] = store.connection.execute("SELECT count(*) FROM captions WHERE state = 'described'")
                [(settled,)] = store.connection.execute("SELECT count(settled_micro_usd) FROM spending")
            assert described == len(kept) == settled  # an answer and its price are one transaction
        assert killed(workspace, server, enough, 10**9)
    assert paid.most_under_way <= CONCURRENCY
    repeats = len(server.received) - PHOTOS
    assert 0 <= repeats <= KILLS * CONCURRENCY
    assert set(states(workspace).values()) == {"described"}
    assert {text for text, _ in stored(workspace).values()} == set(paid.answered)
    told = f"{KILLS} kills, {paid.most_under_way} requests at once"
    print(f"\n{told}: {repeats} repeats of at most {KILLS * CONCURRENCY}")


def test_kills_never_exceed_the_budget(workspace: Workspace, files: Path) -> None:
    """Every request that reached the server is reckoned as billed, those whose client was killed too."""
    collected(workspace, photos(files, PHOTOS))
    draw = random.Random(KILLS + 1)
    budget = (40 + 80 * KILLS) * cost(MOST_USAGE)
    ended = False
    with fake.serving(Paid()) as server:
        kills = 0
        while not ended and kills < KILLS:
            ended = killed(workspace, server, budget / 1e6, draw.randint(1, 90))
            kills += not ended
            assert len(server.received) * cost(MOST_USAGE) <= budget
        if not ended:
            assert killed(workspace, server, budget / 1e6, 10**9)
        billed = len(server.received) * cost(MOST_USAGE)
        assert billed <= budget
    with Store.open(workspace) as store:
        assert store.open_spending() == 0 and sum(each.micro_usd for each in store.spent()) <= budget
    left, _ = one_run(workspace, key=KEY, dry_run=True)
    assert left["left"] + list(states(workspace).values()).count("described") == PHOTOS
    print(f"\n{kills} kills: ${billed / 1e6:.3f} billed of a budget of ${budget / 1e6:.3f}")
