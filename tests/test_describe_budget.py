"""A budget is never exceeded: not by many requests at once, not by faults, not over runs that did not end."""

from __future__ import annotations

import random
import sqlite3
import threading
from pathlib import Path

import pytest

from tests import fake_gemini as fake
from tests.describing import KEY, MODEL, captioner, collected, notes, one_run, photos, settings, states
from ventriloquist.faults import Fault, UsageFault
from ventriloquist.media.captioner import OverBudget, Usage
from ventriloquist.media.prices import PRICES, Price
from ventriloquist.pipeline.describe import describe
from ventriloquist.pipeline.meter import Question, StoredMeter, asking
from ventriloquist.pipeline.survey import survey
from ventriloquist.runs import Run, new_folder
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

MOST_USAGE = {"promptTokenCount": 1500, "candidatesTokenCount": 900, "thoughtsTokenCount": 100}
"""Nearly as much as one request about a picture can use."""


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "Attachments"
    folder.mkdir()
    return folder


def cost(usage: dict[str, int]) -> int:
    """Micro-dollars of an answer with this usage."""
    output = usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0)
    return PRICES[MODEL].cost(Usage(usage["promptTokenCount"], output))


def test_sixty_four_at_once_stay_within_the_budget(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 90))
    dear = fake.text('{"description": "ok"}', usage=MOST_USAGE)
    budget = 40 * cost(MOST_USAGE)
    with fake.serving(dear) as server:
        makes, events = one_run(
            workspace, captioner(server.url), key=KEY, yes=True, concurrency=64, budget=budget / 1e6
        )
        assert 30 <= len(server.received) <= 40
    assert makes["usd"] * 1e6 == pytest.approx(len(server.received) * cost(MOST_USAGE)) and makes["usd"] * 1e6 <= budget
    assert "budget is used up" in notes(events)
    assert list(states(workspace).values()).count("described") == len(server.received)
    assert makes["left"] == 90 - len(server.received)


def test_faults_are_paid_from_the_budget_too(workspace: Workspace, files: Path) -> None:
    """Whatever is asked again costs again; what nobody knows the cost of counts in full."""
    collected(workspace, photos(files, 60))
    chosen = random.Random(5)
    lock = threading.Lock()
    faults = [fake.text("no json", usage=MOST_USAGE), fake.error(502, "INTERNAL"), fake.reset, fake.cut_off]

    def often_bad(handler: fake.Handler) -> None:
        with lock:
            answer = chosen.choice(faults) if chosen.random() < 0.3 else fake.caption("ok")
        answer(handler)

    budget = 25 * cost(MOST_USAGE)
    with fake.serving(often_bad, [fake.caption("ok")]) as server:
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True, concurrency=16, budget=budget / 1e6)
    assert 0 < makes["usd"] * 1e6 <= budget
    with Store.open(workspace) as store:
        rows = store.connection.execute(
            "SELECT count(*), sum(settled_micro_usd IS NULL), sum(settled_micro_usd) FROM spending"
        ).fetchone()
    assert rows[0] == len(server.received) and rows[1] == 0 and rows[2] == round(makes["usd"] * 1e6)


def test_money_that_was_reserved_and_not_spent_goes_on(workspace: Workspace, files: Path) -> None:
    """Room for three requests at once is enough for all files, where they turn out cheap."""
    attachments = photos(files, 12)
    collected(workspace, attachments)
    row = survey(settings(KEY), workspace).total
    budget = 3.5 * (row.micro_usd or 0) / 12
    with fake.serving(fake.caption_of_media) as server:
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True, concurrency=12, budget=budget / 1e6)
        assert len(server.received) == 12
    assert set(states(workspace).values()) == {"described"} and makes["left"] == 0


def test_a_budget_too_small_for_one_file_sends_nothing(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 2))
    with fake.serving() as server:
        makes, events = one_run(workspace, captioner(server.url), key=KEY, yes=True, budget=0.0005)
        assert server.received == [] and makes["usd"] == 0 and makes["left"] == 2
    assert "budget is used up" in notes(events)


def test_a_reservation_is_in_the_store_before_its_request_is_sent(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 8))
    seen: list[tuple[int, int]] = []

    def look(handler: fake.Handler) -> None:
        with handler.fake.lock, sqlite3.connect(workspace.messages_db) as connection:
            [(reserved,)] = connection.execute("SELECT count(*) FROM spending").fetchall()
            seen.append((len(handler.fake.received), reserved))
        connection.close()
        fake.caption_of_media(handler)

    with fake.serving(look) as server:
        one_run(workspace, captioner(server.url), key=KEY, yes=True, concurrency=4)
    assert len(seen) == 8 and all(reserved >= received for received, reserved in seen)


def test_what_a_run_that_failed_spent_counts_for_the_next(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 30))
    dear = fake.text('{"description": "ok"}', usage=MOST_USAGE)
    budget = 12 * cost(MOST_USAGE) / 1e6
    with fake.serving(dear, [dear] * 5 + [fake.DAY_IS_OVER]) as server:
        with pytest.raises(Fault, match="quota"):
            one_run(workspace, captioner(server.url), key=KEY, yes=True, concurrency=2, budget=budget)
        _, events = one_run(workspace, captioner(server.url), key=KEY, yes=True, concurrency=2, budget=budget)
        answered = list(states(workspace).values()).count("described")
        assert 8 <= answered <= 12 and len(server.received) <= 13
        assert "of the budget were spent by a run that did not end" in notes(events)
        one_run(workspace, captioner(server.url), key=KEY, yes=True, concurrency=2, budget=budget)
    assert answered + 8 <= list(states(workspace).values()).count("described") <= answered + 12


def test_what_no_run_is_left_to_go_on_with_counts_no_longer(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 1))
    with fake.serving() as server:
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
    with Store.open(workspace) as store, asking(Question()):
        StoredMeter(store, "run", "gemini", MODEL, Price(1, 1), None).reserve(Usage(1, 1))
        assert store.open_spending() > 0
    one_run(workspace, key=KEY, dry_run=True)
    assert survey(settings(KEY), workspace).counts_for_budget > 0
    one_run(workspace, key=KEY)
    assert survey(settings(KEY), workspace).counts_for_budget == 0


def test_what_a_killed_run_left_unsettled_counts_as_spent(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 1))
    with Store.open(workspace) as store:
        meter = StoredMeter(store, "run", "gemini", MODEL, Price(1_000_000, 1_000_000), 1000)
        with asking(Question()):
            meter.reserve(Usage(300, 300))
        again = StoredMeter(store, "run-2", "gemini", MODEL, Price(1_000_000, 1_000_000), 1000)
        assert again.before == 601 and again.left == 399
        with asking(Question()), pytest.raises(OverBudget):
            again.reserve(Usage(200, 200))


def test_a_service_that_bills_more_than_was_foreseen_is_reckoned_with(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 1))
    with Store.open(workspace) as store:
        meter = StoredMeter(store, "run", "gemini", MODEL, Price(1_000_000, 1_000_000), 1000)
        question = Question()
        with asking(question):
            meter.settle(meter.reserve(Usage(50, 49)), Usage(150, 150))
            assert meter.spent == 300 and meter.left == 700
            meter.reserve(Usage(100, 50))
            assert meter.spent > 300 + 150 * 2.9
        store.settle(question.take())


def test_a_budget_needs_a_price(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 1))
    run = Run(new_folder(workspace, "describe"), "describe")
    with pytest.raises(UsageFault, match="price"):
        describe(settings(KEY, yes=True, model="gemini-unknown", budget=1.0), workspace, run)
    run.close()
    given = {"model": "gemini-unknown", "budget": 1.0, "prices": {"gemini-unknown": (0.1, 0.4)}}
    with fake.serving() as server:
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True, **given)
    tokens = fake.USAGE["candidatesTokenCount"] + fake.USAGE["thoughtsTokenCount"]
    assert makes["usd"] == pytest.approx((0.1 * fake.USAGE["promptTokenCount"] + 0.4 * tokens) / 1e6, abs=1e-6)


def test_what_was_spent_is_told_as_it_goes(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 5))
    with fake.serving() as server:
        makes, events = one_run(workspace, captioner(server.url), key=KEY, yes=True)
    metrics = [event["values"] for event in events if event["kind"] == "metric"]
    assert metrics[-1] == {"usd": makes["usd"], "requests": 5}
    progress = [event for event in events if event["kind"] == "progress" and event["unit"] == "files"]
    assert (progress[-1]["done"], progress[-1]["total"]) == (5, 5)
