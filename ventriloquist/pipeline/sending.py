"""Sends files to a captioner, and keeps each answer before anything else happens.

Files are read and converted ahead, in threads, while others wait for their answers; what waits is bounded by its size.
There are more questions open than requests under way, since one that waits to be asked again holds no place.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ventriloquist.faults import Fault, Stopped
from ventriloquist.media import convert
from ventriloquist.media.captioner import (
    Blocked,
    Caption,
    Captioner,
    Declined,
    Material,
    NotDescribed,
    OverBudget,
    caption_from,
)
from ventriloquist.media.prices import PRICES_AS_OF
from ventriloquist.media.words import Medium, local_description
from ventriloquist.pipeline.contents import File, Key, description_of, known_answer, state_without
from ventriloquist.pipeline.destination import Destination
from ventriloquist.pipeline.meter import Question, StoredMeter, asking
from ventriloquist.runs import Run
from ventriloquist.store import Store
from ventriloquist.store.describing import (
    BLOCKED,
    DESCRIBED,
    FAILED,
    LOCAL,
    RETRY,
    Answer,
    Description,
    Standing,
)

GRACE_SECONDS = 10.0
"""How long answers under way, which are paid for, may still come in once the run is to end."""
MOST_DECLINED = 5
MOST_UNANSWERED = 8
OPEN = 4
"""Questions that are open for each request that may be under way."""
WAITING_BYTES = 128_000_000
"""Of converted media that waits to be sent or to be answered, unless a single file is larger."""
METRIC_SECONDS = 2.0
CUT = "cut"
"""The reason of a description that is not all there was to say."""

T = TypeVar("T")


class Sending:
    """One round of sending. `counts` says what became of the files: described, known (the same content was described
    before), blocked, failed, retry; `asked` is how many contents were asked about."""

    def __init__(
        self,
        captioner: Captioner,
        destination: Destination,
        meter: StoredMeter,
        store: Store,
        run: Run,
        scratch: Path,
        *,
        concurrency: int,
        retry_failed: bool = False,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.asked = 0
        self.over_budget = False
        self._captioner, self._destination, self._meter = captioner, destination, meter
        self._store, self._run, self._scratch = store, run, scratch
        self._concurrency = concurrency
        self._retry_failed = retry_failed
        self._cancelled = threading.Event()
        self._threads = min(concurrency, os.cpu_count() or 1) + 1
        self._converters = ThreadPoolExecutor(self._threads)
        self._converting: dict[asyncio.Task[None], Standing] = {}
        self._asking: dict[asyncio.Task[None], Question] = {}
        self._ready: deque[File] = deque()
        self._files: dict[Key, File] = {}
        self._without: dict[Key, tuple[str, str]] = {}
        self._declined: list[tuple[File, Answer]] = []
        self._without_answer = 0
        self._is_proven = False
        self._fault: BaseException | None = None
        self._turn, self._money = asyncio.Event(), asyncio.Event()
        self._metric_due = 0.0
        self._total = 0
        meter.changed = self._money_came_free

    async def send(self, candidates: Iterator[tuple[Standing, Medium]], limit: int, total: int) -> None:
        """Ask about at most `limit` contents of the `total` candidates (one that cannot be converted is not asked).

        Raises the Fault that ends the run early; what was answered until then is kept. A budget that is used up is no
        fault: `over_budget` tells.
        """
        self._total = min(total, limit)
        try:
            await self._pump(candidates, limit)
            if not self._fault:
                self._keep_declined(FAILED if self._answered_before() else RETRY)
        finally:
            self._cancelled.set()
            tasks = [*self._converting, *self._asking]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._captioner.close()
            self._converters.shutdown()
            convert.release()
            self._tell(last=True)
        if self._fault:
            raise self._fault

    async def _pump(self, candidates: Iterator[tuple[Standing, Medium]], limit: int) -> None:
        until: float | None = None
        while until is None or time.monotonic() < until:
            if until is None and (self._fault or self.over_budget or self._run.stopping):
                until = time.monotonic() + GRACE_SECONDS
                self._wind_up()
            if until is None:
                self._convert_ahead(candidates, limit)
                self._ask_more()
            if not self._asking and not self._converting and not self._ready:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._turn.wait(), 0.2)
            self._turn.clear()
            self._tell()

    def _wind_up(self) -> None:
        """Send nothing more; only requests under way are waited for."""
        self._cancelled.set()
        self._meter.stopped = True
        self._ready.clear()
        for task in [*self._converting, *(task for task, question in self._asking.items() if not question.under_way)]:
            task.cancel()

    # --- reading and converting ---------------------------------------------------------------------------------

    def _convert_ahead(self, candidates: Iterator[tuple[Standing, Medium]], limit: int) -> None:
        while (
            len(self._converting) < self._threads
            and len(self._ready) < max(2 * self._concurrency, self._threads)
            and sum(file.size for file in self._files.values()) < WAITING_BYTES
            and self.asked + len(self._ready) + len(self._converting) < limit
        ):
            candidate = next(candidates, None)
            if candidate is None:
                return
            self._start(self._converting, self._prepare(*candidate), candidate[0])

    async def _prepare(self, standing: Standing, medium: Medium) -> None:
        """Read a file; if its content is new, make of it what a captioner gets."""
        loop = asyncio.get_running_loop()
        path = standing.attachment.path or ""
        try:
            digest = await loop.run_in_executor(self._converters, convert.content_hash, path)
        except convert.Unconvertible as failure:
            self._keep_without([standing], *state_without(failure), None)
            return
        if (known := self._files.get((digest, medium))) is not None:
            known.standings.append(standing)
            return
        if self._knows(standing, digest, medium):
            return
        file = self._files[digest, medium] = File(digest, medium, [standing])
        try:
            file.materials = await loop.run_in_executor(self._converters, self._converted, path, medium)
            self._ready.append(file)
        except convert.Unconvertible as failure:
            self._done_without(file, *state_without(failure))
        except convert.Cancelled:
            del self._files[file.key]

    def _converted(self, path: str, medium: Medium) -> list[Material]:
        return list(convert.convert_parts(path, medium, self._scratch, self._cancelled))

    def _knows(self, standing: Standing, digest: str, medium: Medium) -> bool:
        """Take what is known of this content already, if anything is."""
        if (digest, medium) in self._without:
            self._keep_without([standing], *self._without[digest, medium], digest)
            return True
        answers = self._store.answers(digest, medium)
        known = known_answer(answers, self._destination, medium, retry_failed=self._retry_failed)
        if known is None:
            return False
        self._store.keep_descriptions([description_of(standing, known)])
        self.counts["known" if known.state == DESCRIBED else known.state] += 1
        return True

    # --- asking -------------------------------------------------------------------------------------------------

    def _ask_more(self) -> None:
        """Open as many questions as there is room for: one, until an answer shows that key, model and address are
        good."""
        width = OPEN * self._concurrency if self._is_proven else 1
        while self._ready and len(self._asking) < width:
            question, file = Question(), self._ready.popleft()
            self.asked += 1
            self._start(self._asking, self._ask(file, question), question)

    async def _ask(self, file: File, question: Question) -> None:
        """Ask about one file, and keep what comes of it."""
        with asking(question):
            try:
                caption = await self._caption(file, question)
                if caption:
                    self._answered(file, question, DESCRIBED, caption.text, CUT if caption.cut else None)
            except Blocked as refusal:
                self._answered(file, question, BLOCKED, None, refusal.reason)
            except Declined as refusal:
                self._was_declined(file, self._answer(file, question, FAILED, None, refusal.reason))
            except NotDescribed as failure:
                self._was_unanswered(file, self._answer(file, question, RETRY, None, failure.reason), question)
            finally:
                if question.unwritten:
                    self._store.settle(question.take())

    async def _caption(self, file: File, question: Question) -> Caption | None:
        """What the captioner says of a file; of one in parts, what it says of each, kept as it comes."""
        if len(file.materials) == 1:
            return await self._said(file.materials[0])
        said: list[Caption] = []
        for number, material in enumerate(file.materials, 1):
            part = File(f"{file.hash}/{number}", file.medium)
            answers = self._store.answers(part.hash, part.medium)
            known = known_answer(answers, self._destination, part.medium, retry_failed=self._retry_failed)
            if known and known.text:
                said.append(Caption(known.text, cut=known.reason == CUT))
                continue
            caption = await self._said(material)
            if caption is None:
                return None
            answer = self._answer(part, question, DESCRIBED, caption.text, CUT if caption.cut else None)
            self._store.keep_answer(answer, [], question.take())
            question.start_over()
            said.append(caption)
        whole = caption_from(" ".join(each.text for each in said), file.medium)
        return replace(whole, cut=whole.cut or any(each.cut for each in said)) if whole else None

    async def _said(self, material: Material) -> Caption | None:
        """The captioner's answer. None where the run ends before one came: it is stopped, or the money does not reach,
        even after all requests under way have turned out cheaper than what is reserved for them."""
        while True:
            try:
                return await self._captioner.describe(material)
            except Stopped:
                return None
            except OverBudget:
                if not self._meter.under_way:
                    self.over_budget = True
                    return None
                self._money.clear()
                await self._money.wait()

    def _money_came_free(self) -> None:
        self._money.set()
        self._turn.set()

    def _answer(self, file: File, question: Question, state: str, text: str | None, reason: str | None) -> Answer:
        destination = self._destination
        return Answer(
            file.hash, file.medium, destination.provider, destination.model,
            destination.prompt_version(file.medium), state, text, reason, question.requests,
            question.usage.input_tokens, question.usage.output_tokens,
            question.micro_usd if self._meter.knows_prices else None,
            PRICES_AS_OF.isoformat() if self._meter.knows_prices else None,
        )  # fmt: skip

    def _answered(self, file: File, question: Question, state: str, text: str | None, reason: str | None) -> None:
        self._keep(file, self._answer(file, question, state, text, reason), question)
        self._without_answer = 0
        self._is_proven = True
        self._keep_declined(FAILED)

    def _keep_declined(self, state: str) -> None:
        for file, answer in self._declined:
            self._keep(file, replace(answer, state=state), Question())
        self._declined.clear()

    def _was_declined(self, file: File, answer: Answer) -> None:
        """A service that declines whatever it is sent is not told apart from one that declines this file, until it
        answers about another; then it was the file."""
        self._without_answer = 0
        file.materials = []
        self._declined.append((file, answer))
        if self._is_proven:
            self._keep_declined(FAILED)
        elif len(self._declined) >= MOST_DECLINED:
            self._fail(
                Fault(
                    f"The first {MOST_DECLINED} files were declined; the model {self._destination.model!r} may not "
                    "take them. Name another with --model."
                )
            )

    def _answered_before(self) -> bool:
        """True if this model has described anything in an earlier run."""
        asked = self._destination.provider, self._destination.model
        return any(each.described for each in self._store.spent() if (each.provider, each.model) == asked)

    def _was_unanswered(self, file: File, answer: Answer, question: Question) -> None:
        """A service that is silent ends the run instead of eating every file."""
        self._keep(file, answer, question)
        self._without[file.key] = RETRY, answer.reason or ""
        self._without_answer += 1
        if self._without_answer >= max(MOST_UNANSWERED, self._concurrency):
            where = self._destination.where
            self._fail(
                Fault(
                    f"{where[:1].upper()}{where[1:]} does not answer. What is described is kept; check the connection "
                    "and start describe again."
                )
            )

    def _fail(self, fault: BaseException) -> None:
        self._fault = self._fault or fault
        self._turn.set()

    # --- keeping ------------------------------------------------------------------------------------------------

    def _keep(self, file: File, answer: Answer, question: Question) -> None:
        """Write an answer, and what it cost, before anything else happens."""
        descriptions = [description_of(standing, answer) for standing in file.standings]
        self._store.keep_answer(answer, descriptions, question.take())
        self.counts[answer.state] += len(descriptions)
        self._files.pop(file.key, None)

    def _done_without(self, file: File, state: str, reason: str) -> None:
        """A content about which nobody is asked."""
        self._without[file.key] = state, reason
        self._keep_without(file.standings, state, reason, file.hash)
        self._files.pop(file.key, None)

    def _keep_without(self, standings: list[Standing], state: str, reason: str, digest: str | None) -> None:
        words = [
            Description(each.attachment.guid, local_description(each.attachment), LOCAL, state, reason, digest)
            for each in standings
        ]
        self._store.keep_descriptions(words)
        self.counts[state] += len(words)

    def _tell(self, *, last: bool = False) -> None:
        """How far it is, and what it has cost so far."""
        done = min(self.counts.total(), self._total)
        with suppress(Stopped):  # a stop is met in `_pump`, where answers under way are waited for
            self._run.progress(done, self._total, "files")
        if last or time.monotonic() >= self._metric_due:
            self._metric_due = time.monotonic() + METRIC_SECONDS
            self._run.metric(done, usd=self._meter.spent / 1e6, requests=self._meter.requests)

    def _start(self, among: dict[asyncio.Task[None], T], work: Coroutine[None, None, None], what: T) -> None:
        """Do some work, among other of its kind; what it does not foresee ends the run."""
        task = asyncio.create_task(work)
        among[task] = what

        def done(task: asyncio.Task[None]) -> None:
            del among[task]
            self._turn.set()
            if not task.cancelled() and (failure := task.exception()):
                self._fail(failure)

        task.add_done_callback(done)
