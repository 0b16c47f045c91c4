"""describe: every attachment becomes words, here from what is at hand, and with a key and consent by Gemini.

A description is marked with who wrote it. One marked `local` may be replaced; one that Gemini wrote, or refused to
write, is final and is never asked (and paid) for again.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from ventriloquist.media.captioner import Captioner
from ventriloquist.media.convert import size_on_disk
from ventriloquist.media.words import LOCAL, content_type, local_description, medium
from ventriloquist.records import Attachment
from ventriloquist.runs import Run
from ventriloquist.settings import DescribeSettings
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

BATCH = 500
NOUNS = {"image": "photo", "sticker": "sticker", "video": "video", "audio": "recording", "document": "PDF"}


def describe(
    settings: DescribeSettings, workspace: Workspace, run: Run, captioner: Captioner | None = None
) -> dict[str, Any]:
    """Describe every attachment that is not described yet.

    Files go to Gemini only with a key and `settings.yes` (or to `captioner`, which tests give). Returns `{"local",
    "captioned", "blocked", "declined", "unanswered", "unconvertible", "left", "left_by_kind", "bytes", "requests",
    "tokens", "described_by"}`: `left` files, by kind and with that many bytes on disk, could still be sent.
    """
    key = settings.gemini_api_key.get_secret_value().strip()
    with Store.open(workspace) as store:
        run.phase("read what is at hand")
        local = 0 if settings.dry_run else _describe_here(store, run)
        to_send = _Selection(store)
        sent: Counter[str] = Counter()
        requests = tokens = 0
        if to_send.total and not settings.dry_run and settings.yes and (key or captioner):
            run.phase("ask Gemini")
            captioner = captioner or _gemini(key, settings)
            sent = _send(settings, store, run, captioner, to_send)
            requests, tokens = captioner.requests, captioner.tokens
            _note_results(run, sent)
            to_send = _Selection(store)
        else:
            _note_what_could_be_sent(run, settings, to_send, bool(key))
        return {
            "local": local,
            **{what: sent[what] for what in ("captioned", "blocked", "declined", "unanswered", "unconvertible")},
            "left": to_send.total,
            "left_by_kind": dict(to_send.kinds),
            "bytes": to_send.bytes,
            "requests": requests,
            "tokens": tokens,
            "described_by": store.descriptions_by(),
        }


def _describe_here(store: Store, run: Run) -> int:
    """Give every attachment without a description one from what is at hand; returns how many got one.

    Local ones whose words have changed, since the file or its transcript came later, are written anew.
    """
    total = store.counts()["attachments"]
    done = 0
    for batch in _batches(store.attachments_described_by(None)):
        store.describe_all([(attachment.guid, local_description(attachment)) for attachment in batch], LOCAL)
        done += len(batch)
        run.progress(done, total, "attachments")
    for batch in _batches(store.attachments_described_by(LOCAL)):
        words = [(attachment, local_description(attachment)) for attachment in batch]
        changed = [(attachment.guid, text) for attachment, text in words if text != attachment.description]
        if changed:
            store.describe_all(changed, LOCAL)
        run.check()
    return done


def _batches(attachments: Iterable[Attachment]) -> Iterator[list[Attachment]]:
    iterator = iter(attachments)
    while batch := list(islice(iterator, BATCH)):
        yield batch


class _Selection:
    """The files that a captioner could describe: pictures, videos, recordings without a transcript, and PDFs that
    are on disk and have no description but a local one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.kinds: Counter[str] = Counter()
        self.bytes = 0
        for attachment in self:
            self.kinds[NOUNS[content_type(attachment)]] += 1
            self.bytes += size_on_disk(attachment.path)

    @property
    def total(self) -> int:
        return self.kinds.total()

    def __iter__(self) -> Iterator[Attachment]:
        for by in (None, LOCAL):
            for attachment in self._store.attachments_described_by(by):
                if medium(attachment) and size_on_disk(attachment.path):
                    yield attachment


def _gemini(key: str, settings: DescribeSettings) -> Captioner:
    from ventriloquist.media.gemini import GeminiCaptioner

    return GeminiCaptioner(key, settings.model, concurrency=settings.concurrency)


def _send(
    settings: DescribeSettings, store: Store, run: Run, captioner: Captioner, to_send: _Selection
) -> Counter[str]:
    from ventriloquist.media.sending import Sending

    limit = min(to_send.total, settings.limit or to_send.total)
    with _scratch(run) as scratch:
        sending = Sending(captioner, store, run, scratch, settings.concurrency)
        asyncio.run(sending.send(iter(to_send), limit))
    run.check()
    return sending.counts


@contextmanager
def _scratch(run: Run) -> Iterator[Path]:
    """A private folder for media under conversion; what killed runs left in theirs is deleted."""
    for leftover in run.folder.parent.glob("*-describe*/scratch"):
        shutil.rmtree(leftover)
    folder = run.folder / "scratch"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _note_what_could_be_sent(run: Run, settings: DescribeSettings, to_send: _Selection, has_key: bool) -> None:
    """Say how many files Gemini could describe, and what it takes."""
    if not to_send.total:
        run.note("There is nothing left that Gemini could describe.")
        return
    files = spoken(to_send.kinds)
    size = f"{to_send.bytes / 1_000_000:,.1f} MB before they are made smaller"
    if settings.dry_run:
        limited = f", {settings.limit} of them now" if 0 < settings.limit < to_send.total else ""
        run.note(f"Would send {files} to Google{limited} ({size}); nothing was sent.")
    elif has_key:
        run.note(f"{settings.model} could describe {files} ({size}); --yes sends these files to Google.")
    else:
        run.note(
            f"With a Gemini key, {files} could be described: put GEMINI_API_KEY into the environment or .env. "
            "These files would then be sent to Google."
        )


def _note_results(run: Run, sent: Counter[str]) -> None:
    for what, sentence in (
        ("blocked", "Gemini would not describe {n}; they keep a neutral description."),
        ("declined", "Gemini declined {n}; they keep a neutral description."),
        ("unanswered", "{n} got no answer; starting describe again asks for them once more."),
        ("unconvertible", "{n} cannot be converted; they keep a neutral description."),
    ):
        if sent[what]:
            run.note(sentence.format(n=_several(sent[what], "file")), "warning")


def spoken(kinds: Counter[str]) -> str:
    """Counts as words: "12 photos, 3 videos and 1 PDF"."""
    parts = [_several(count, noun) for noun, count in kinds.most_common()]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _several(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
