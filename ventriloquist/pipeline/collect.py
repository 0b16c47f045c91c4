"""Collect: read a message history into the workspace, and again and again what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC
from functools import partial
from typing import Any

from ventriloquist.faults import Damaged, NoInput
from ventriloquist.people import find_conversations, identify, normaliser, read_contacts, region_of
from ventriloquist.pipeline.watch import Collected, watch
from ventriloquist.records import ME, Book, Ledger, rfc3339
from ventriloquist.runs import Run
from ventriloquist.settings import CollectSettings
from ventriloquist.sources import Facts, Source, open_source
from ventriloquist.store import Store
from ventriloquist.store.updating import Updating
from ventriloquist.workspace import Workspace

REPORT_EVERY = 1000
_WORSE = (
    "{path} is damaged, and {gone:,} messages that were collected before can no longer be read from it. What was "
    "collected before is unchanged; to see what is left in the file, collect it into another workspace (--workspace)."
)


def collect(settings: CollectSettings, workspace: Workspace, run: Run) -> dict[str, Any]:
    """Read the history that `settings` names and bring the collected one up to date with it, in one step.

    Makes `{"messages", "people", "conversations", "attachments", "source_rows", "kept", "dropped", "new", "changed",
    "gone"}`, the last three in messages. The source is never changed, and what was collected before stays until the
    new history is whole. With `settings.watch` it stays, and does so again whenever the source was written to.
    """
    if settings.watch:
        watch(partial(_collect, settings, workspace, run), workspace, run)
    collected = _collect(settings, workspace, run)
    run.note(collected.summary)
    for warning in collected.warnings:
        run.note(warning, "warning")
    return collected.makes


def _collect(settings: CollectSettings, workspace: Workspace, run: Run) -> Collected:
    try:
        return _read_history(settings, workspace, run)
    except Damaged:
        run.note("The file is damaged; what can still be read of it is read.", "warning")
        return _read_history(settings, workspace, run, salvaging=True)


def _read_history(settings: CollectSettings, workspace: Workspace, run: Run, *, salvaging: bool = False) -> Collected:
    run.phase("salvage" if salvaging else "open")
    region = region_of(settings.region)
    contacts, bad_lines = read_contacts(workspace.contacts)
    with open_source(settings, normaliser(region), salvaging=salvaging) as source:
        total = source.rows()
        if not total:
            raise NoInput("The history holds no messages; what was collected before is unchanged.")
        book = _book(settings, source, region)
        people = identify(book, contacts)
        me = next(person for person in people if person.key == ME)
        chats = source.chats()
        run.phase("read messages")
        conversations = find_conversations(chats, people)
        with (
            Store.open(workspace, create=True) as store,
            store.updating(source.name, chats, people, conversations) as update,
        ):
            _read(source, update, set(me.handles), total, run)
            run.phase("save")
            update.finish(book)
            if salvaging and update.gone:
                raise NoInput(_WORSE.format(path=source.facts().path, gone=update.gone))
            made, attachments = _makes(store, update), store.attachment_states(source.name)
            warnings = [*_on_contacts(workspace, bad_lines), *source.warnings(store.ledger(), attachments)]
            facts = source.facts()
            update.report(_report(made, facts, attachments, warnings))
    return Collected(made, _summary(made), warnings, facts.files)


def _book(settings: CollectSettings, source: Source, region: str) -> Book:
    normalise = normaliser(region)
    named = (each.strip() for each in settings.user_identifiers.split(","))
    mine = source.my_handles() | {normalise(each) for each in named if each}
    cards = tuple(tuple(cards) for cards in source.contacts())
    return Book(settings.my_name, region, tuple(sorted(mine)), tuple(sorted(source.handles())), cards)


def _read(source: Source, update: Updating, mine: set[str], total: int, run: Run) -> None:
    """Write the blocks that are not what they were."""
    rows = told = 0
    for block in source.blocks(mine):
        if update.digest(block.number) != block.digest:
            ledger = Ledger()
            messages = block.messages(ledger)
            update.put(block.number, block.digest, messages, ledger)
        rows += block.rows
        if rows - told >= REPORT_EVERY:
            told = rows
            run.progress(rows, total, "rows")
    run.progress(rows, total, "rows")
    if update.is_empty:
        raise NoInput("The history holds no message that can be kept; what was collected before is unchanged.")


def _makes(store: Store, update: Updating) -> dict[str, Any]:
    counts, ledger = store.counts(), store.ledger()
    made: dict[str, Any] = {what: counts[what] for what in ("messages", "people", "conversations", "attachments")}
    made["source_rows"] = ledger.source_rows
    for name, counter in (("kept", ledger.kept), ("dropped", ledger.dropped)):
        totals: Counter[str] = Counter()
        for (what, _), rows in counter.items():
            totals[what] += rows
        made[name] = dict(sorted(totals.items()))
    return {**made, "new": update.new, "changed": update.changed, "gone": update.gone}


def _summary(made: Mapping[str, Any]) -> str:
    changes = ", ".join(f"{made[what]:,} {what}" for what in ("new", "changed", "gone") if made[what])
    return f"{made['messages']:,} messages from {made['source_rows']:,} rows: {changes or 'nothing has changed'}."


def _report(
    made: Mapping[str, Any], facts: Facts, attachments: Mapping[str, int], warnings: Sequence[str]
) -> dict[str, Any]:
    """What the store keeps of this collect; see docs/formats.md."""
    return {
        "path": facts.path,
        "newest": rfc3339(facts.newest) if facts.newest else None,
        "source_changed": facts.changed.astimezone(UTC).isoformat().replace("+00:00", "Z") if facts.changed else None,
        "rows": made["source_rows"],
        **{name: made[name] for name in ("new", "changed", "gone", "kept", "dropped")},
        "attachments": dict(attachments),
        "warnings": list(warnings),
    }


def _on_contacts(workspace: Workspace, bad_lines: list[int]) -> list[str]:
    if not bad_lines:
        return []
    shown = ", ".join(map(str, bad_lines[:10])) + (", ..." if len(bad_lines) > 10 else "")
    lines = (
        f"line {shown} could not be read and was"
        if len(bad_lines) == 1
        else f"lines {shown} could not be read and were"
    )
    return [f"{workspace.contacts.name}: {lines} left out."]
