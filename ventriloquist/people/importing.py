"""Contacts from a file into the user's decisions: what was decided before stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ventriloquist import vcards
from ventriloquist.faults import NoInput, from_os_error
from ventriloquist.locks import hold
from ventriloquist.people.decisions import Decision, Decisions, read_contacts
from ventriloquist.people.editing import arrange
from ventriloquist.people.handles import normaliser, region_of
from ventriloquist.people.identity import people_on_cards
from ventriloquist.records import Book, Contact
from ventriloquist.settings import CollectSettings
from ventriloquist.store import Store
from ventriloquist.text import clean_name
from ventriloquist.workspace import Workspace

_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file: `contacts` came with an address, of which `in_history` name someone there; `known` had
    been decided about before, in every address; `unreadable` lines of the file could not be read."""

    contacts: int
    in_history: int
    known: int
    unreadable: int
    is_collected: bool

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def import_file(workspace: Workspace, path: Path) -> Imported:
    """Add the contacts of a .vcf file, of a database of Contacts or of another contacts_to_ids.jsonl."""
    contacts, unreadable = read_file(path.expanduser())
    workspace.prepare()
    with hold(workspace.lock, "people import"):
        if not _is_collected(workspace):
            normalise = normaliser(region_of(CollectSettings.load(workspace).region))
            decisions = Decisions(workspace.contacts, normalise)
            known = _add(decisions, contacts, None)
            decisions.write()
            return Imported(len(contacts), 0, known, unreadable, is_collected=False)
        with Store.open(workspace) as store:
            book = store.book()
            normalise = normaliser(book.region if book else region_of(CollectSettings.load(workspace).region))
            decisions = Decisions(workspace.contacts, normalise)
            known = _add(decisions, contacts, book)
            decisions.write()
            if book:
                arrange(store, book, decisions)
            handles = set(book.handles) if book else set()
            named = sum(not handles.isdisjoint(map(normalise, contact.handles)) for contact in contacts)
            return Imported(len(contacts), named, known, unreadable, is_collected=book is not None)


def _is_collected(workspace: Workspace) -> bool:
    try:
        with Store.open(workspace):
            return True
    except NoInput:
        return False


def read_file(path: Path) -> tuple[list[Contact], int]:
    """The contacts of a file that have an address, and how many of its lines could not be read."""
    try:
        if not path.is_file():
            raise NoInput(f"There is no file {path}.")
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise from_os_error(error, f"reading {path}") from error
    unreadable = 0
    if start.startswith(_SQLITE):
        contacts = _of_database(path)
    elif start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        contacts, bad = read_contacts(path)
        unreadable = len(bad)
    else:
        contacts = vcards.contacts_in(path)
    contacts = [contact for contact in contacts if any(handle.strip() for handle in contact.handles)]
    if not contacts:
        raise NoInput(f"{path} holds no contact with a phone number or an e-mail address.")
    return contacts, unreadable


def _of_database(path: Path) -> list[Contact]:
    from ventriloquist.sources.imessage.addressbook import read_address_books  # with it comes a whole source

    contacts, problems = read_address_books(path)
    if not contacts:
        raise NoInput(problems[0] if problems else f"{path} is no database of Contacts, or holds no contact.")
    return contacts


def _add(decisions: Decisions, contacts: Sequence[Contact], book: Book | None) -> int:
    """Add what no line has yet; returns how many contacts had nothing new.

    Someone whose addresses one line knows already adds their others to that line, whatever their name is there.
    """
    takes_me = not any(line.is_me for line in decisions.lines()) and not decisions.owners(book.mine if book else ())
    written: dict[str, str] = {}
    normal, known = [], 0
    for contact in contacts:
        ids = {decisions.normalise(each): each.strip() for each in contact.handles if each.strip()}
        known += all(decisions.owners([handle]) for handle in ids)
        for handle, each in ids.items():
            written.setdefault(handle, each)
        normal.append(Contact(clean_name(contact.name), tuple(ids), contact.is_me))
    mine = {handle for contact in normal if contact.is_me and takes_me for handle in contact.handles}
    for name, handles in people_on_cards(normal):
        owners = decisions.owners(handles)
        new = [written[handle] for handle in handles if not decisions.owners([handle])]
        if new and (owner := _claimant(owners, name)):
            decisions.extend(owner, new)
        elif new:
            decisions.add(name, new, is_me=not mine.isdisjoint(handles))
    return known


def _claimant(owners: list[Decision], name: str) -> Decision | None:
    if len(owners) > 1:
        owners = [each for each in owners if clean_name(each.name).casefold() == name.casefold()]
    return owners[0] if len(owners) == 1 else None
