"""Collect: read a message history into the workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ventriloquist.faults import NoInput
from ventriloquist.people import find_conversations, find_people, normaliser, read_contacts, region_of
from ventriloquist.records import ME, Contact, Ledger, Message, Person
from ventriloquist.runs import Run
from ventriloquist.settings import CollectSettings
from ventriloquist.sources import Normalise, Source, open_source
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

REPORT_EVERY = 1000


def collect(settings: CollectSettings, workspace: Workspace, run: Run) -> dict[str, Any]:
    """Read the history that `settings` names and put it in the place of the one collected before.

    Makes `{"messages", "people", "conversations", "attachments", "source_rows", "kept", "dropped"}`. The source is
    never changed, and what was collected before stays until the new history is whole.
    """
    run.phase("open")
    normalise = normaliser(region_of(settings.region))
    contacts, bad_lines = read_contacts(workspace.contacts)
    if bad_lines:
        run.note(f"{workspace.contacts.name}: {_lines(bad_lines)} could not be read and was left out.", "warning")
    ledger = Ledger()
    with open_source(settings, normalise) as source:
        total = source.rows()
        if not total:
            raise NoInput("The history holds no messages; what was collected before is unchanged.")
        people = _people(settings, source, contacts, normalise)
        me = next(person for person in people if person.key == ME)
        chats = source.chats()
        run.phase("read messages")
        messages = _reported(source.messages(ledger, set(me.handles)), ledger, total, run)
        with Store.open(workspace, create=True) as store:
            store.replace_history(source.name, chats, find_conversations(chats, people), people, messages, ledger)
            made = _makes(store, ledger)
        for warning in source.warnings():
            run.note(warning, "warning")
    return made


def _people(settings: CollectSettings, source: Source, contacts: list[Contact], normalise: Normalise) -> list[Person]:
    mine = source.my_handles() | {
        normalise(each.strip()) for each in settings.user_identifiers.split(",") if each.strip()
    }
    contacts = [replace(each, is_me=not mine.isdisjoint(map(normalise, each.handles))) for each in contacts]
    books = [contacts, *source.contacts()]
    cards = (contact.name for book in books for contact in book if contact.is_me and contact.name)
    return find_people(source.handles(), books, mine, settings.my_name or next(cards, ""), normalise)


def _reported(messages: Iterator[Message], ledger: Ledger, total: int, run: Run) -> Iterator[Message]:
    """The messages, with the rows read so far as progress; the phase after them is the saving."""
    count = 0
    for count, message in enumerate(messages, 1):
        if count % REPORT_EVERY == 0:
            run.progress(ledger.source_rows, total, "rows")
        yield message
    if not count:
        raise NoInput("The history holds no message that can be kept; what was collected before is unchanged.")
    run.progress(ledger.source_rows, total, "rows")
    run.phase("save")


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
    return f"line {shown}" if len(numbers) == 1 else f"lines {shown}"


def _makes(store: Store, ledger: Ledger) -> dict[str, Any]:
    counts = store.counts()
    made: dict[str, Any] = {what: counts[what] for what in ("messages", "people", "conversations", "attachments")}
    made["source_rows"] = ledger.source_rows
    for name, counter in (("kept", ledger.kept), ("dropped", ledger.dropped)):
        totals: Counter[str] = Counter()
        for (what, _), rows in counter.items():
            totals[what] += rows
        made[name] = dict(sorted(totals.items()))
    return made
