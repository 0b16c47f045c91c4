"""describe: every attachment becomes words, here from what is at hand, and by a captioner where it may be asked.

Words of a captioner are final and never asked (and paid) for again, nor is a refusal. Whatever has no such words keeps
neutral ones from what is at hand, and a state that says why.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ventriloquist.media.captioner import Captioner, Meter
from ventriloquist.pipeline.audience import STRANGERS
from ventriloquist.pipeline.destination import Destination, captioner_for
from ventriloquist.pipeline.meter import StoredMeter
from ventriloquist.pipeline.selection import Selection, several, spoken, words_at_hand
from ventriloquist.pipeline.survey import Survey, survey_of
from ventriloquist.runs import Run
from ventriloquist.settings import DescribeSettings
from ventriloquist.store import Store
from ventriloquist.store.describing import BLOCKED, DESCRIBED, FAILED, RETRY, Standing
from ventriloquist.text import dollars
from ventriloquist.workspace import Workspace

if TYPE_CHECKING:
    from ventriloquist.pipeline.sending import Sending

BATCH = 500
MAKES = (DESCRIBED, "known", BLOCKED, FAILED, RETRY)
MakeCaptioner = Callable[[DescribeSettings, Destination, Meter], Captioner]


def describe(
    settings: DescribeSettings, workspace: Workspace, run: Run, make_captioner: MakeCaptioner = captioner_for
) -> dict[str, Any]:
    """Describe every attachment that is not described yet.

    Files go to a captioner only with `settings.yes`, or if it is on this machine. Returns `{"local", "described",
    "known", "blocked", "failed", "retry", "requests", "usd", "left", "left_by_kind", "bytes", "described_by",
    "survey"}`: how many attachments got which state, `known` those whose content was described before; `left` files, by
    kind and with that many bytes on disk, could still be sent; see `Survey`.
    """
    destination = Destination.of(settings)
    with Store.open(workspace) as store:
        run.phase("read what is at hand")
        local = 0 if settings.dry_run else _describe_here(store, run)
        found = survey_of(store, settings, destination)
        counts: Counter[str] = Counter()
        requests, micro_usd = 0, 0
        if _may_send(settings, found):
            run.phase(f"ask {destination.where}")
            meter = _meter(store, run, settings, destination)
            sending = _send(settings, destination, store, run, meter, make_captioner, found)
            counts, requests, micro_usd = sending.counts, meter.requests, meter.spent
            _note_results(run, counts, destination)
            if sending.over_budget:
                run.note("The budget is used up; what is described is kept. Start describe again to go on.", "warning")
            found = survey_of(store, settings, destination)
        else:
            _note_what_could_be_sent(run, settings, found)
            if not (settings.dry_run or found.rows):
                store.close_spending()  # nothing is left that a run which did not end would have gone on with
        total = found.total
        return {
            "local": local,
            **{what: counts[what] for what in MAKES},
            "requests": requests,
            "usd": round(micro_usd / 1e6, 6),
            "left": total.files + found.beyond_limit,
            "left_by_kind": dict(found.kinds),
            "bytes": total.bytes,
            "described_by": store.descriptions_by(),
            "survey": found.as_object(),
        }


def _may_send(settings: DescribeSettings, found: Survey) -> bool:
    consent = settings.yes or not found.needs_consent
    return bool(found.rows) and consent and not settings.dry_run and not found.missing


def _describe_here(store: Store, run: Run) -> int:
    """Give every attachment that no captioner described its words from what is at hand, and its state; returns how
    many had none. Words that have changed, since the file or its transcript came later, are written anew.
    """
    total = store.counts()["attachments"]
    new = 0
    for done, batch in enumerate(_batches(store.standings()), 1):
        words = [(standing, *words_at_hand(standing)) for standing in batch]
        changed = [description for _, description, is_new in words if is_new]
        if changed:
            same = all(description.text == standing.attachment.description for standing, description, _ in words)
            store.keep_descriptions(changed, same_words=same)
        new += sum(standing.state is None for standing in batch)
        run.progress(min(done * BATCH, total), total, "attachments")
    return new


def _batches(standings: Iterable[Standing]) -> Iterator[list[Standing]]:
    iterator = iter(standings)
    while batch := list(islice(iterator, BATCH)):
        yield batch


def _meter(store: Store, run: Run, settings: DescribeSettings, destination: Destination) -> StoredMeter:
    """The meter of this run; says what earlier runs left of the budget."""
    budget = None if settings.budget is None else int(settings.budget * 1_000_000)
    meter = StoredMeter(store, run.id, destination.provider, destination.model, destination.price, budget)
    if budget is not None and meter.before:
        run.note(
            f"{dollars(meter.before)} of the budget were spent by a run that did not end; {dollars(meter.left)} are "
            "left."
        )
    return meter


def _send(
    settings: DescribeSettings,
    destination: Destination,
    store: Store,
    run: Run,
    meter: StoredMeter,
    make_captioner: MakeCaptioner,
    found: Survey,
) -> Sending:
    from ventriloquist.pipeline.sending import Sending

    total = found.total.files + found.beyond_limit

    async def send(scratch: Path) -> Sending:
        captioner = make_captioner(settings, destination, meter)
        meter.model = captioner.model  # of a local server, the only one it has
        sending = Sending(
            captioner, replace(destination, model=captioner.model), meter, store, run, scratch,
            concurrency=settings.concurrency, retry_failed=settings.retry_failed,
        )  # fmt: skip
        await sending.send(iter(Selection(settings, store, captioner.model)), settings.limit or total, total)
        return sending

    with _scratch(run) as scratch:
        sending = asyncio.run(send(scratch))
    run.check()
    store.close_spending()
    return sending


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


def _note_what_could_be_sent(run: Run, settings: DescribeSettings, found: Survey) -> None:
    """Say how many files could be described, and what it takes."""
    total = found.total
    if strangers := found.left_out.get(STRANGERS):
        run.note(
            f"{several(strangers, 'file')} from conversations in which nobody has a name "
            f"{'is' if strangers == 1 else 'are'} left out; --strangers sends them too."
        )
    if not total.files:
        run.note("There is nothing left that could be described.")
        return
    files = spoken(found.kinds)
    size = f"{total.bytes / 1_000_000:,.1f} MB before they are made smaller"
    if settings.dry_run:
        run.note(f"Would send {files} to {found.where} ({size}); nothing was sent.")
    elif found.missing:
        run.note(
            f"No key: nothing was sent. With one, {files} could be described: {found.missing}. These files would then "
            f"be sent to {found.where}."
        )
    else:
        run.note(f"{found.model} could describe {files} ({size}); --yes sends these files to {found.where}.")


def _note_results(run: Run, counts: Counter[str], destination: Destination) -> None:
    for state, sentence in (
        (BLOCKED, "{who} would not describe {n}; they keep neutral words."),
        (FAILED, "{n} could not be described; they keep neutral words. --retry-failed tries them again."),
        (RETRY, "{n} got no answer; starting describe again asks about them once more."),
    ):
        if counts[state]:
            run.note(sentence.format(n=several(counts[state], "file"), who=destination.model), "warning")
