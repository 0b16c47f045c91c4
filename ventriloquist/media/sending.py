"""Sends attachments to a captioner, several at a time, and keeps each answer before anything else happens."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ventriloquist.faults import Fault, Stopped
from ventriloquist.media import convert
from ventriloquist.media.captioner import Blocked, Captioner, Declined, Material, NotDescribed, Unanswered
from ventriloquist.media.words import local_description, medium
from ventriloquist.records import Attachment
from ventriloquist.runs import Run
from ventriloquist.store import Store

GRACE_SECONDS = 10.0
"""How long answers under way, which are paid for, may still come in once the run is to end."""
MOST_DECLINED = 5
MOST_UNANSWERED = 8

Answer = str | NotDescribed | convert.Unconvertible | convert.Cancelled | Fault


class Sending:
    """One round of sending. `counts` says what became of the files: captioned, blocked, declined, unanswered,
    unconvertible."""

    def __init__(self, captioner: Captioner, store: Store, run: Run, scratch: Path, concurrency: int) -> None:
        self.counts: Counter[str] = Counter()
        self._captioner = captioner
        self._store = store
        self._run = run
        self._scratch = scratch
        self._concurrency = concurrency
        self._cancelled = threading.Event()
        self._converters = ThreadPoolExecutor(min(concurrency, os.cpu_count() or 1))
        self._asked: dict[bytes, asyncio.Task[Answer]] = {}
        self._declined: list[Attachment] = []
        self._without_answer = 0
        self._fault: Fault | None = None

    async def send(self, attachments: Iterator[Attachment], limit: int) -> None:
        """Send at most `limit` of them (a file that cannot be converted is not sent).

        Raises the Fault that ends the run early; what was answered until then is kept.
        """
        under_way: dict[asyncio.Task[Answer], Attachment] = {}
        try:
            await self._pump(attachments, limit, under_way)
        finally:
            self._cancelled.set()
            tasks = [*under_way, *self._asked.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._captioner.close()
            self._converters.shutdown()
        if self._fault:
            raise self._fault

    async def _pump(
        self, attachments: Iterator[Attachment], limit: int, under_way: dict[asyncio.Task[Answer], Attachment]
    ) -> None:
        until: float | None = None
        while until is None or time.monotonic() < until:
            if until is None and (self._fault or self._run.stopping):
                until = time.monotonic() + GRACE_SECONDS
                self._cancelled.set()
            while until is None and len(under_way) < min(self._width(), limit - self._sent()):
                attachment = next(attachments, None)
                if attachment is None:
                    break
                under_way[asyncio.create_task(self._answer(attachment))] = attachment
            if not under_way:
                return
            done, _ = await asyncio.wait(under_way, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._settle(under_way.pop(task), task.result())
            with suppress(Stopped):  # a stop is met above, where answers under way are waited for
                self._run.progress(self._sent(), limit, "files")

    def _sent(self) -> int:
        return self.counts.total() - self.counts["unconvertible"]

    def _width(self) -> int:
        """How many at a time: one, until an answer shows that key, model and address are good."""
        proven = self.counts["captioned"] or self.counts["blocked"]
        return self._concurrency if proven else 1

    async def _answer(self, attachment: Attachment) -> Answer:
        """What comes back for one attachment; equal files are asked for once."""
        kind = medium(attachment)
        if kind is None or attachment.path is None:
            return convert.Unconvertible()
        loop = asyncio.get_running_loop()
        try:
            material = await loop.run_in_executor(
                self._converters, convert.convert, attachment.path, kind, self._scratch, self._cancelled
            )
        except (convert.Unconvertible, convert.Cancelled) as answer:
            return answer
        digest = hashlib.sha256(material.mime_type.encode() + b"\0" + material.content).digest()
        asked = self._asked.get(digest)
        if asked is None or _may_be_asked_again(asked):
            asked = self._asked[digest] = asyncio.create_task(self._ask(material))
        return await asyncio.shield(asked)

    async def _ask(self, material: Material) -> Answer:
        try:
            return await self._captioner.describe(material)
        except (NotDescribed, Fault) as answer:
            answer.__context__ = None  # kept for equal files: neither this nor the traceback may keep the media alive
            return answer.with_traceback(None)

    def _settle(self, attachment: Attachment, answer: Answer) -> None:
        """Keep an answer on disk. What cannot be described keeps its local description."""
        match answer:
            case str():
                self._keep(attachment, answer, self._captioner.model)
                self._count("captioned")
            case Blocked():
                self._keep(attachment, local_description(attachment), f"{self._captioner.model}: blocked")
                self._count("blocked")
            case Declined():
                self._declined.append(attachment)
                self._count("declined")
            case Unanswered():
                self._count("unanswered")
            case convert.Unconvertible():
                self.counts["unconvertible"] += 1
            case Fault():
                self._fault = self._fault or answer

    def _count(self, what: str) -> None:
        """Count an answer; a service that only refuses or is silent ends the run instead of eating every file."""
        self.counts[what] += 1
        self._without_answer = self._without_answer + 1 if what == "unanswered" else 0
        if self._without_answer >= max(MOST_UNANSWERED, self._concurrency):
            self._fault = Fault(
                "Gemini does not answer. What is described is kept; check the connection and start describe again."
            )
        if self.counts["captioned"] or self.counts["blocked"]:
            for attachment in self._declined:  # it was the file, not the way of asking
                self._keep(attachment, local_description(attachment), f"{self._captioner.model}: declined")
            self._declined.clear()
        elif self.counts["declined"] >= MOST_DECLINED:
            self._fault = Fault(
                f"Gemini declined the first {MOST_DECLINED} files; the model {self._captioner.model!r} may not take "
                "pictures. Name another with --model."
            )

    def _keep(self, attachment: Attachment, text: str, by: str) -> None:
        self._store.describe(attachment.guid, text, by)


def _may_be_asked_again(asked: asyncio.Task[Answer]) -> bool:
    """True for a question whose failure says nothing about the file."""
    if not asked.done() or asked.cancelled():
        return False
    answer = asked.result()
    return isinstance(answer, Fault) or (isinstance(answer, NotDescribed) and not answer.final)
