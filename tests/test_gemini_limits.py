"""What ends a request to Gemini, a file or the whole run: deadlines, refusals, pauses, budgets, and many at once."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from tests import fake_gemini as fake
from tests.metering import TallyMeter
from tests.test_gemini import MODEL, PHOTO, ask, captioner_at
from ventriloquist.faults import Fault
from ventriloquist.media import connection
from ventriloquist.media.captioner import NOTHING, Caption, Declined, OverBudget, Unanswered

FAULTY_REQUESTS = int(os.environ.get("FAULTY_REQUESTS", "200"))


@pytest.mark.parametrize("stuck", [fake.hang, fake.drip, fake.slow_headers])
def test_a_request_ends_at_its_deadline_and_counts_as_spent(stuck: fake.Answer) -> None:
    with fake.serving(fake.caption("At last"), [stuck]) as server:
        started = time.monotonic()
        [answer], meter = ask(server.url, deadline=2.0)  # long enough for the second request on a busy machine
        assert time.monotonic() - started < 10  # a drip would go on for hours
    assert answer.text == "At last"
    assert (meter.requests, meter.unknown) == (2, 1)


def test_a_server_that_always_hangs_is_asked_three_times() -> None:
    with fake.serving(fake.hang) as server:
        [answer], meter = ask(server.url, deadline=0.2)
    assert isinstance(answer, Unanswered) and answer.reason == "no answer in time"
    assert (meter.requests, meter.unknown) == (3, 3)


def test_a_body_without_end_is_not_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake.serving(fake.caption("At last"), [fake.endless]) as server:
        started = time.monotonic()
        [answer], meter = ask(server.url, deadline=60)
        assert time.monotonic() - started < 20
    assert answer.text == "At last" and meter.unknown == 1
    monkeypatch.setattr(connection, "LONGEST_ANSWER", 1000)
    with fake.serving(fake.caption("x" * 1000)) as server:
        [answer], _ = ask(server.url)
    assert isinstance(answer, Unanswered) and answer.reason == "connection"


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (fake.BAD_KEY, "refused the key"),
        (fake.error(401, "UNAUTHENTICATED"), "refused the key"),
        (fake.error(402, "RESOURCE_EXHAUSTED"), "credit"),
        (fake.error(403, "PERMISSION_DENIED"), "refused the key"),
        (fake.error(404, "NOT_FOUND"), f"no model named '{MODEL}'"),
        (fake.error(400, "FAILED_PRECONDITION"), "does not serve this account"),
        (fake.DAY_IS_OVER, "quota is used up"),
    ],
    ids=["bad key", "401", "402", "403", "404", "country", "day"],
)
def test_what_concerns_every_file_ends_the_run_at_once(refusal: fake.Answer, sentence: str) -> None:
    """Those that have not left when the first is refused never leave, nor do retries and waits that are going on."""
    slow = [fake.slow_down("0.3s"), fake.error(500, "INTERNAL")]
    with fake.serving(refusal) as server:
        answers, meter = ask(server.url, 40, concurrency=4)
    assert all(isinstance(answer, Fault) and sentence in str(answer) for answer in answers)
    assert len(server.received) == meter.requests <= 4
    assert meter.used == NOTHING and meter.unknown == 0
    with fake.serving(refusal, slow) as server:
        answers, _ = ask(server.url, 2, concurrency=2)
    assert all(isinstance(answer, Fault) for answer in answers)
    assert len(server.received) <= 4


def test_redirects_are_refused() -> None:
    with fake.serving() as elsewhere:
        for code in (301, 302, 307, 308):
            location = {"Location": elsewhere.url.rstrip("/") + "/v1beta"}
            with fake.serving(fake.answer(code, b"", **location)) as server:
                [answer], _ = ask(server.url)
                assert isinstance(answer, Fault) and "redirect" in str(answer)
                assert len(server.received) == 1
        assert elsewhere.received == []


@pytest.mark.parametrize(("code", "reason"), [(400, "declined"), (413, "too large"), (422, "declined")])
def test_a_request_that_is_wrong_is_declined(code: int, reason: str) -> None:
    with fake.serving(fake.error(code, "INVALID_ARGUMENT")) as server:
        [answer], meter = ask(server.url)
    assert isinstance(answer, Declined) and answer.reason == reason
    assert len(server.received) == 1 and meter.used == NOTHING and meter.unknown == 0


def test_slowing_down_pauses_everyone() -> None:
    with fake.serving(fake.caption("ok"), [fake.slow_down("0.6s")]) as server:
        started = time.monotonic()

        async def main() -> list[Caption]:
            captioner = captioner_at(server.url, TallyMeter())
            first = asyncio.create_task(captioner.describe(PHOTO))
            while not captioner._asking._resume_at:
                await asyncio.sleep(0.01)
            asked = [first, *(asyncio.create_task(captioner.describe(PHOTO)) for _ in range(5))]
            await asyncio.sleep(0.2)
            assert len(server.received) == 1  # nobody asks before the time is over
            try:
                return await asyncio.gather(*asked)
            finally:
                await captioner.close()

        assert [answer.text for answer in asyncio.run(main())] == ["ok"] * 6
        assert time.monotonic() - started >= 0.6
        assert len(server.received) == 7


@pytest.mark.parametrize("refusal", [fake.slow_down("0s"), fake.error(429, "RESOURCE_EXHAUSTED")])
def test_a_server_that_never_stops_asking_to_slow_down_ends_the_run(refusal: fake.Answer) -> None:
    with fake.serving(refusal) as server:
        [answer], _ = ask(server.url, backoff=0.0005)
    assert isinstance(answer, Fault) and "slow down" in str(answer)
    assert len(server.received) == 12


def test_a_budget_ends_the_run_before_anything_more_is_sent() -> None:
    with fake.serving(fake.error(500, "INTERNAL")) as server:
        answers, meter = ask(server.url, 30, meter=TallyMeter(most=12), concurrency=8)
    assert all(isinstance(answer, OverBudget) for answer in answers if not isinstance(answer, Unanswered))
    assert len(server.received) == meter.requests == 12


def test_a_run_that_is_stopped_settles_what_is_under_way_as_spent() -> None:
    with fake.serving(fake.hang) as server:
        meter = TallyMeter()

        async def main() -> None:
            captioner = captioner_at(server.url, meter)
            asked = asyncio.create_task(captioner.describe(PHOTO))
            while not server.received:
                await asyncio.sleep(0.01)
            asked.cancel()
            await asyncio.wait([asked])
            assert asked.cancelled()
            await captioner.close()

        asyncio.run(main())
    assert meter.requests == 1 and meter.settled == {1: None}


def test_many_at_once_with_faults_in_between() -> None:
    """Every question has an answer in the end, whatever the order, and every request is settled once."""
    faults = [
        fake.error(500, "INTERNAL"),
        fake.error(503, "UNAVAILABLE"),
        fake.answer(502, b"<html>"),
        fake.answer(200, b"{"),
        fake.reset,
        fake.cut_off,
        fake.slow_down("0.02s"),
        fake.error(429, "RESOURCE_EXHAUSTED"),
    ]
    with fake.serving(fake.three_in_ten(faults, fake.caption_of_media)) as server:
        answers, meter = ask(server.url, FAULTY_REQUESTS, concurrency=64, deadline=60)
    told = [answer for answer in answers if isinstance(answer, Caption)]
    assert all(isinstance(answer, (Caption, Unanswered)) for answer in answers)
    assert {answer.text for answer in told} == {fake.words_for(PHOTO.content)}
    assert len(told) >= 0.97 * len(answers)
    assert all(estimate == meter.reserved[1] for estimate in meter.reserved.values())
    # A reset may also close a connection that another request was about to use, before the server reads from it.
    assert len(server.received) <= meter.requests <= 1.5 * len(answers)
    assert sum(answer.usage.input_tokens for answer in answers) == meter.used.input_tokens
