"""Who is who: handles normalised, handles of one person brought together, and a name for each that is theirs alone."""

from __future__ import annotations

import hashlib
import json
import locale
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import phonenumbers

from ventriloquist.faults import from_os_error
from ventriloquist.records import ME, UNKNOWN, Chat, ChatKind, Contact, Conversation, Person
from ventriloquist.text import clean_name

DEFAULT_REGION = "US"
_PHONE = re.compile(r"\+?[0-9\s().\-/\u2010-\u2015]+")
_DIRECTION_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # Contacts wraps numbers in them
_SHORTEST_NUMBER = 7


def region_of(setting: str) -> str:
    """The region for phone numbers without a country code: the setting, the locale's, else US."""
    if setting:
        return setting.upper()
    named = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or ""
    language = named if "_" in named else (locale.getlocale()[0] or "")
    match = re.match(r"[a-z]{2,3}_([A-Z]{2})\b", language)
    return match[1] if match else DEFAULT_REGION


def normaliser(region: str) -> Callable[[str], str]:
    """A function that brings the ways to write one address into one form; it remembers what it was asked.

    E-mail addresses become lower case, phone numbers E.164. Short codes, `urn:` addresses and alphanumeric
    senders stay as they are.
    """
    known: dict[str, str] = {}

    def normalise(handle: str) -> str:
        if handle not in known:
            known[handle] = _normalised(handle, region)
        return known[handle]

    return normalise


def _normalised(handle: str, region: str) -> str:
    if handle.lower().startswith("urn:"):
        return handle
    if "@" in handle:
        return handle.strip().lower()
    bare = _DIRECTION_MARKS.sub("", handle)
    if not _PHONE.fullmatch(bare) or sum(character.isdigit() for character in bare) < _SHORTEST_NUMBER:
        return handle
    try:
        number = phonenumbers.parse(bare, region)
    except phonenumbers.NumberParseException:
        return handle
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return handle
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def read_contacts(path: Path) -> tuple[list[Contact], list[int]]:
    """The contacts of `contacts_to_ids.jsonl`, and the numbers of the lines that could not be read."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise from_os_error(error, f"reading {path.name}") from error
    contacts, bad = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        contact = _read_contact(line)
        if contact is None:
            bad.append(number)
        else:
            contacts.append(contact)
    return contacts, bad


def _read_contact(line: bytes) -> Contact | None:
    try:
        fields = json.loads(line)
        name, ids = fields["contact"], fields["ids"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(name, str) or not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        return None
    return Contact(name, tuple(ids))


def find_people(
    handles: Iterable[str],
    contacts: Sequence[Sequence[Contact]],
    my_handles: Iterable[str],
    my_name: str,
    normalise: Callable[[str], str],
) -> list[Person]:
    """Everyone behind `handles` (normalised already), and me, in the order of their keys.

    `contacts` are address books, the one that wins first; what they do not say stays apart, so that two people
    of one name are two. Names are unique: the second of a name is called "Name (2)".
    """
    mine = set(my_handles)
    for contact in (contact for book in contacts for contact in book if contact.is_me):
        mine |= {normalise(handle) for handle in contact.handles}
    owners = _owners([[_normal(contact, normalise) for contact in book] for book in contacts])
    groups: dict[_Group, set[str]] = {}
    for handle in set(handles) - mine:
        groups.setdefault(owners.get(handle) or _Group(""), set()).add(handle)
    others = [Person(_key(group), _shown(owner.name, group), tuple(sorted(group))) for owner, group in groups.items()]
    me = Person(ME, clean_name(my_name) or "Me", tuple(sorted(mine)), is_me=True)
    unknown = Person(UNKNOWN, "Unknown")
    return _with_unique_names([me, *sorted(others, key=lambda person: person.key), unknown])


class _Group:
    """One person, as one address book, or several that agree, say; compared by identity."""

    def __init__(self, name: str) -> None:
        self.name = name


def _owners(books: list[list[Contact]]) -> dict[str, _Group]:
    """Whose handle it is. A later book adds handles to the people of the books before it, and people of its own."""
    owners: dict[str, _Group] = {}
    for book in books:
        in_book: dict[str, _Group] = {}
        for contact in book:
            _join(contact, in_book)
        handles_of: dict[_Group, list[str]] = {}
        for handle, group in in_book.items():
            handles_of.setdefault(group, []).append(handle)
        for group, handles in handles_of.items():
            claimed = {owners[handle] for handle in handles if handle in owners}
            owner = claimed.pop() if len(claimed) == 1 else group
            owner.name = owner.name or group.name
            for handle in handles:
                owners.setdefault(handle, owner)
    return owners


def _join(contact: Contact, owners: dict[str, _Group]) -> None:
    """Give a contact's handles to it. A handle that another name has already stays there (a family's number)."""
    namesakes = [owners[h] for h in contact.handles if h in owners and owners[h].name == contact.name]
    group = namesakes[0] if namesakes else _Group(contact.name)
    for handle in contact.handles:
        owners.setdefault(handle, group)


def _normal(contact: Contact, normalise: Callable[[str], str]) -> Contact:
    handles = tuple(normalise(handle) for handle in contact.handles if handle)
    return Contact(clean_name(contact.name), handles, contact.is_me)


def _key(handles: set[str]) -> str:
    key = min(handles)
    return f"handle:{key}" if key in (ME, UNKNOWN) else key


def _shown(name: str, handles: set[str]) -> str:
    return name or clean_name(min(handles)) or "Someone"


def _with_unique_names(people: Sequence[Person]) -> list[Person]:
    """The people in the order of their keys; the first of a name keeps it."""
    taken: set[str] = set()
    wanted = {person.name for person in people}
    unique = []
    for person in people:
        name, number = person.name, 2
        while name in taken or (name != person.name and name in wanted):
            name, number = f"{person.name} ({number})", number + 1
        taken.add(name)
        unique.append(replace(person, name=name))
    return sorted(unique, key=lambda person: person.key)


def find_conversations(chats: Iterable[Chat], people: Iterable[Person]) -> list[Conversation]:
    """The chats of the same people merged, a conversation of two never with a group, in the order of their ids.

    A conversation has the name of the last of its chats that has one.
    """
    key_of = {handle: person.key for person in people for handle in person.handles}
    names: dict[tuple[ChatKind, tuple[str, ...]], str | None] = {}
    for chat in chats:
        others = tuple(sorted({key_of[handle] for handle in chat.handles} - {ME}))
        name = clean_name(chat.name or "") or None
        names[chat.kind, others] = name or names.get((chat.kind, others))
    found = [
        Conversation(_conversation_id(kind, others), kind, (*others, ME), name)
        for (kind, others), name in names.items()
    ]
    return sorted(found, key=lambda conversation: conversation.id)


def _conversation_id(kind: ChatKind, others: tuple[str, ...]) -> str:
    keys = json.dumps(sorted((*others, ME)))
    return f"{kind.value}-{hashlib.sha256(keys.encode()).hexdigest()[:12]}"
