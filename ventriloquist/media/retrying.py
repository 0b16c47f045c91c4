"""The one layer that asks again, for every captioner: what each request may cost, how long it may take, when to wait.

A captioner says how to ask once and what came of it, as an `Outcome`. Libraries' own retries are off: they miss resets
and broken answers, ignore how long a server asks to wait, and cannot be counted.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ventriloquist.faults import Fault
from ventriloquist.media.captioner import NOTHING, Caption, Meter, NotDescribed, Unanswered, Usage

if TYPE_CHECKING:
    from tenacity import RetryCallState

ATTEMPTS = 5
BILLED_ATTEMPTS = 3
"""An answer that cannot be used, or that came too late, may have been paid for; it is asked for less often."""
EMPTY_ATTEMPTS = 2
SLOW_DOWNS = 12
"""As often a server may ask for a pause, with no answer in between for anyone, or none for this one file."""
LONGEST_PAUSE = 120.0
LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Again:
    """Worth another request, until `attempts` of them ended like this or ATTEMPTS in any way; then it is `then`."""

    then: NotDescribed | Fault
    attempts: int = ATTEMPTS


@dataclass(frozen=True, slots=True)
class SlowDown:
    """Everyone is to wait: `wait` seconds if the server says so, else as long as a retry does."""

    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request, and the usage that is billed for it: None where that is not known."""

    result: Caption | NotDescribed | Fault | Again | SlowDown
    billed: Usage | None


def unanswered(reason: str, billed: Usage | None, attempts: int = ATTEMPTS) -> Outcome:
    """The outcome of a request that is worth another, and leaves the file unanswered if none helps."""
    return Outcome(Again(Unanswered(reason), attempts), billed)


class Asking:
    """Asks `server` for several files at once, `concurrency` requests at a time.

    `deadline` bounds one request in seconds, whatever the server does; `backoff` is the longest first wait of a retry.
    A fault of one request is the answer to every later one, which is not sent any more.
    """

    def __init__(self, server: str, meter: Meter, *, concurrency: int, deadline: float, backoff: float) -> None:
        self._server = server
        self._meter = meter
        self._places = asyncio.Semaphore(concurrency)
        self._deadline = deadline
        self._backoff = backoff
        self._fault: Fault | None = None
        self._paused_at = self._resume_at = 0.0
        self._pauses = 0

    async def caption(self, ask: Callable[[], Awaitable[Outcome]], estimate: Callable[[], Usage]) -> Caption:
        """What `ask` brings in the end; its usage is that of all the requests.

        `estimate` is an upper bound for the next request. Raises NotDescribed for this file, a Fault for all of them.
        """
        from tenacity import AsyncRetrying, retry_if_result

        spent = NOTHING

        async def once() -> Outcome:
            nonlocal spent
            outcome = await self._once(ask, estimate)
            spent += outcome.billed or NOTHING
            return outcome

        outcome: Outcome = await AsyncRetrying(
            retry=retry_if_result(lambda outcome: isinstance(outcome.result, (Again, SlowDown))),
            stop=_Patience(),
            wait=self._wait,
            sleep=asyncio.sleep,
            retry_error_callback=_outcome,
        )(once)
        match outcome.result:
            case Caption() as caption:
                return replace(caption, usage=spent)
            case Again(then=Fault() as fault):
                raise self._everyones(fault)
            case Fault() as fault:
                raise fault
            case Again(then=NotDescribed() as failure) | (NotDescribed() as failure):
                raise type(failure)(failure.reason, spent)
        raise Unanswered("slow down", spent)

    async def _once(self, ask: Callable[[], Awaitable[Outcome]], estimate: Callable[[], Usage]) -> Outcome:
        """One request, reserved before and settled after, whatever happens in between."""
        async with self._places:
            while not self._fault and (pause := self._resume_at - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            if self._fault:
                return Outcome(type(self._fault)(*self._fault.args), NOTHING)
            number = self._meter.reserve(estimate())
            sent_at = time.monotonic()
            billed: Usage | None = None
            try:
                async with asyncio.timeout(self._deadline):
                    outcome = await ask()
                billed = outcome.billed
            except TimeoutError:
                outcome = unanswered("no answer in time", None, BILLED_ATTEMPTS)
            finally:
                self._meter.settle(number, billed)
            return self._noted(outcome, sent_at)

    def _noted(self, outcome: Outcome, sent_at: float) -> Outcome:
        """The outcome, once what it means for all the other requests is noted."""
        match outcome.result:
            case Fault() as fault:
                self._everyones(fault)
            case SlowDown(wait):
                if sent_at >= self._paused_at:  # else it was sent before the pause that others were asked for
                    self._pauses += 1
                    self._paused_at = time.monotonic()
                if self._pauses >= SLOW_DOWNS:
                    sentence = "keeps asking to slow down. What is described is kept; start describe again later."
                    return Outcome(self._everyones(Fault(f"{self._server} {sentence}")), outcome.billed)
                seconds = self._spread(self._pauses) if wait is None else min(wait, LONGEST_PAUSE)
                self._resume_at = max(self._resume_at, time.monotonic() + seconds)
            case Caption() | NotDescribed():
                self._pauses = 0
        return outcome

    def _everyones(self, fault: Fault) -> Fault:
        self._fault = self._fault or fault
        return fault

    def _wait(self, state: RetryCallState) -> float:
        """Seconds before the next request for this file; a pause is waited for in `_once`, by everyone."""
        return 0.0 if isinstance(_outcome(state).result, SlowDown) else self._spread(state.attempt_number)

    def _spread(self, failures: int) -> float:
        """Seconds up to a bound that doubles with each failure, drawn evenly, so that retries spread out."""
        return random.uniform(0, min(self._backoff * 2 ** min(failures - 1, 16), LONGEST_WAIT))


class _Patience:
    """Counts the failures and the slow-downs of one file, and says when they are enough: of one kind, or in all."""

    def __init__(self) -> None:
        self._slow_downs = 0
        self._failures: Counter[int] = Counter()

    def __call__(self, state: RetryCallState) -> bool:
        result = _outcome(state).result
        if not isinstance(result, Again):
            self._slow_downs += 1
            return self._slow_downs >= SLOW_DOWNS
        self._failures[result.attempts] += 1
        most_in_all = max(result.attempts, ATTEMPTS)
        return self._failures[result.attempts] >= result.attempts or self._failures.total() >= most_in_all


def _outcome(state: RetryCallState) -> Outcome:
    """What the last request brought."""
    assert state.outcome is not None
    outcome = state.outcome.result()
    assert isinstance(outcome, Outcome)
    return outcome
