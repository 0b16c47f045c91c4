"""The one retry layer: waits, patience, pauses, deadlines, and a meter that is always settled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.metering import TallyMeter
from ventriloquist.faults import Fault, NoInput
from ventriloquist.media import retrying
from ventriloquist.media.captioner import NOTHING, Blocked, Caption, NotDescribed, OverBudget, Unanswered, Usage
from ventriloquist.media.retrying import Again, Asking, Outcome, SlowDown, unanswered

ONE = Usage(10, 1)
DONE = Outcome(Caption("done"), ONE)


def asking(meter: TallyMeter | None = None, **options: Any) -> Asking:
    return Asking("The server", meter or TallyMeter(), **{"concurrency": 4, "deadline": 5.0, "backoff": 0.0, **options})


class Script:
    """Outcomes one after the other, the last one for ever; counts how often it was asked, and how many at a time."""

    def __init__(self, *outcomes: Outcome, takes: float = 0) -> None:
        self.outcomes = list(outcomes)
        self.takes = takes
        self.asked: list[float] = []
        self.at_a_time = self.most_at_a_time = 0

    async def __call__(self) -> Outcome:
        self.asked.append(time.monotonic())
        self.at_a_time += 1
        self.most_at_a_time = max(self.most_at_a_time, self.at_a_time)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.at_a_time -= 1
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


def most() -> Usage:
    return Usage(100, 100)


async def test_usage_is_the_sum_of_what_all_requests_used() -> None:
    meter = TallyMeter()
    script = Script(unanswered("broken", ONE), unanswered("broken", None), DONE)
    assert await asking(meter).caption(script, most) == Caption("done", ONE + ONE)
    assert meter.settled == {1: ONE, 2: None, 3: ONE}


@pytest.mark.parametrize(
    ("outcome", "requests", "raised", "used"),
    [
        (Outcome(Blocked("SAFETY"), ONE), 1, Blocked, ONE),
        (unanswered("broken", ONE, 3), 3, Unanswered, Usage(30, 3)),
        (unanswered("server error", NOTHING), 5, Unanswered, NOTHING),
        (Outcome(Again(NoInput("Gone.")), NOTHING), 5, NoInput, None),
        (Outcome(NoInput("Gone."), NOTHING), 1, NoInput, None),
    ],
)
async def test_what_stays_is_raised_after_as_many_requests_as_it_is_worth(
    outcome: Outcome, requests: int, raised: type[Exception], used: Usage | None
) -> None:
    meter = TallyMeter()
    with pytest.raises(raised) as failure:
        await asking(meter).caption(Script(outcome), most)
    assert meter.requests == requests
    if isinstance(failure.value, NotDescribed):
        assert failure.value.usage == used


async def test_patience_ends_with_too_many_of_a_kind_or_in_all_but_slow_downs_count_for_themselves() -> None:
    broken, failed = unanswered("broken", ONE, 3), unanswered("server error", NOTHING)
    slow = Outcome(SlowDown(0), NOTHING)
    meter = TallyMeter()
    assert await asking(meter).caption(Script(broken, failed, *[slow] * 6, broken, failed, DONE), most)
    assert meter.requests == 11
    for outcomes, requests in (([broken, failed, broken, failed, failed], 5), ([broken, failed, broken, broken], 4)):
        meter = TallyMeter()
        with pytest.raises(Unanswered):
            await asking(meter).caption(Script(*outcomes, DONE), most)
        assert meter.requests == requests


async def test_each_request_is_reserved_with_what_is_estimated_for_it_and_never_sent_without() -> None:
    meter = TallyMeter(most=2)
    rooms = iter((Usage(100, 100), Usage(100, 200), Usage(100, 300)))
    script = Script(unanswered("broken", NOTHING))
    with pytest.raises(OverBudget):
        await asking(meter).caption(script, lambda: next(rooms))
    assert len(script.asked) == 2
    assert list(meter.reserved.values()) == [Usage(100, 100), Usage(100, 200)]
    assert meter.settled == {1: NOTHING, 2: NOTHING}


async def test_the_deadline_bounds_one_request_and_not_the_wait_for_a_place() -> None:
    meter = TallyMeter()
    one_place = asking(meter, concurrency=1, deadline=0.2)
    scripts = [Script(DONE, takes=0.1) for _ in range(5)]
    captions = await asyncio.gather(*(one_place.caption(script, most) for script in scripts))
    assert len(captions) == 5 and meter.requests == 5
    with pytest.raises(Unanswered, match="no answer in time"):
        await asking(meter, deadline=0.05).caption(Script(DONE, takes=10), most)
    assert meter.requests == 5 + retrying.BILLED_ATTEMPTS and meter.unknown == retrying.BILLED_ATTEMPTS


async def test_no_more_than_so_many_requests_at_a_time() -> None:
    script = Script(DONE, takes=0.01)
    some = asking(concurrency=3)
    await asyncio.gather(*(some.caption(script, most) for _ in range(20)))
    assert script.most_at_a_time == 3 and len(script.asked) == 20


async def test_an_unforeseen_error_and_a_cancelled_task_are_settled_as_spent() -> None:
    async def fails() -> Outcome:
        raise ZeroDivisionError

    meter = TallyMeter()
    with pytest.raises(ZeroDivisionError):
        await asking(meter).caption(fails, most)
    stuck = asyncio.create_task(asking(meter).caption(Script(DONE, takes=60), most))
    await asyncio.sleep(0.05)
    stuck.cancel()
    await asyncio.wait([stuck])
    assert stuck.cancelled() and meter.settled == {1: None, 2: None}


async def test_a_pause_is_for_everyone_and_as_long_as_the_server_asks() -> None:
    everyone = asking(backoff=60.0)
    slowed = Script(Outcome(SlowDown(0.4), NOTHING), DONE)
    first = asyncio.create_task(everyone.caption(slowed, most))
    while not slowed.asked:
        await asyncio.sleep(0.01)
    others = [Script(DONE) for _ in range(5)]
    await asyncio.sleep(0.05)
    await asyncio.gather(first, *(everyone.caption(script, most) for script in others))
    started = slowed.asked[0]
    assert all(script.asked[0] - started >= 0.39 for script in others) and slowed.asked[1] - started >= 0.39
    assert slowed.asked[1] - started < 5


async def test_a_pause_has_a_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "LONGEST_PAUSE", 0.1)
    started = time.monotonic()
    assert await asking().caption(Script(Outcome(SlowDown(86_400), NOTHING), DONE), most)
    assert 0.1 <= time.monotonic() - started < 5


async def test_many_slow_downs_at_once_are_one_pause() -> None:
    """Sixteen requests that were under way when the server had enough do not end the run."""
    scripts = [Script(Outcome(SlowDown(0.05), NOTHING), DONE, takes=0.02) for _ in range(16)]
    everyone = asking(concurrency=16)
    captions = await asyncio.gather(*(everyone.caption(script, most) for script in scripts))
    assert len(captions) == 16


async def test_a_file_that_is_always_slowed_down_does_not_end_the_run_of_others() -> None:
    everyone = asking()
    slowed = Script(Outcome(SlowDown(0), NOTHING))

    async def with_others() -> Outcome:
        assert await everyone.caption(Script(DONE), most)
        return await slowed()

    with pytest.raises(Unanswered, match="slow down"):
        await everyone.caption(with_others, most)
    assert len(slowed.asked) == retrying.SLOW_DOWNS
    with pytest.raises(Fault, match="The server keeps asking to slow down"):
        await everyone.caption(slowed, most)


@pytest.mark.parametrize("refusal", [Outcome(NoInput("Stop."), NOTHING), Outcome(Again(NoInput("Stop."), 1), NOTHING)])
async def test_after_a_fault_nothing_more_is_sent(refusal: Outcome) -> None:
    meter = TallyMeter()
    everyone = asking(meter, concurrency=1)
    scripts = [Script(refusal), *(Script(DONE) for _ in range(10))]
    outcomes = await asyncio.gather(*(everyone.caption(s, most) for s in scripts), return_exceptions=True)
    assert all(type(outcome) is NoInput and str(outcome) == "Stop." for outcome in outcomes)
    assert meter.requests == 1 and len(set(map(id, outcomes))) == len(outcomes)


async def test_waits_double_and_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    bounds: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    def uniform(low: float, high: float) -> float:
        bounds.append(high)
        return (low + high) / 2

    real: Callable[..., Any] = asyncio.sleep
    monkeypatch.setattr(retrying.random, "uniform", uniform)
    monkeypatch.setattr(retrying.asyncio, "sleep", sleep)
    script = Script(unanswered("server error", NOTHING, 9))
    with pytest.raises(Unanswered):
        await asking(backoff=1.0).caption(script, most)
    monkeypatch.setattr(retrying.asyncio, "sleep", real)
    assert bounds[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [wait for wait in waits if wait] == [bound / 2 for bound in bounds[:8]]
