"""Handles of one person brought together, a name for each that is theirs alone, and the conversations they make."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ventriloquist.people.handles import normaliser
from ventriloquist.records import ME, UNKNOWN, Book, Chat, ChatKind, Contact, Conversation, Person
from ventriloquist.text import clean_name


def identify(book: Book, contacts: Sequence[Contact]) -> list[Person]:
    """Everyone behind a book's handles, and me. `contacts` are the user's own decisions; they win over its cards.

    A decision that holds one of my addresses is about me, unless some decision says outright that it is (`is_me`):
    then that one alone is, and an address that another one holds is not mine, whatever the history thinks.
    My name is the book's, else that of a decision about me, else that of my own card.
    """
    normalise = normaliser(book.region)
    detected = set(book.mine)
    decided = any(contact.is_me for contact in contacts)
    about_me: list[Contact] = []
    others: list[Contact] = []
    for contact in contacts:
        is_me = contact.is_me if decided else not detected.isdisjoint(_normal_set(contact, normalise))
        (about_me if is_me else others).append(contact)
    my_cards = [card for cards in book.cards for card in cards if card.is_me]
    mine = detected.union(*(_normal_set(card, normalise) for card in my_cards))
    mine = mine.difference(*(_normal_set(contact, normalise) for contact in others))
    mine = mine.union(*(_normal_set(contact, normalise) for contact in about_me))
    cards = [[card for card in cards if not card.is_me] for cards in book.cards]
    name = book.my_name or next((each.name for each in (*about_me, *my_cards) if clean_name(each.name)), "")
    return find_people(book.handles, [others, *cards], mine, name, normalise)


def _normal_set(contact: Contact, normalise: Callable[[str], str]) -> set[str]:
    return {normalise(handle) for handle in contact.handles if handle}


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
        mine |= _normal_set(contact, normalise)
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
        for group, handles in _people_of(book).items():
            owner = _claimant(group, {owners[handle] for handle in handles if handle in owners}) or group
            owner.name = owner.name or group.name
            for handle in handles:
                owners.setdefault(handle, owner)
    return owners


def _claimant(group: _Group, claimed: set[_Group]) -> _Group | None:
    """Who of the books before it a person of this book is: the only one that has their handles, or, of several, the
    only one of their name; else nobody."""
    if len(claimed) > 1:
        claimed = {each for each in claimed if each.name and each.name.casefold() == group.name.casefold()}
    return claimed.pop() if len(claimed) == 1 else None


def people_on_cards(book: list[Contact]) -> list[tuple[str, list[str]]]:
    """The people of one address book (handles normalised): a name, and the handles that are theirs and nobody else's
    in it."""
    return [(group.name, handles) for group, handles in _people_of(book).items()]


def _people_of(book: list[Contact]) -> dict[_Group, list[str]]:
    """The people of one address book: cards of one name that share a handle are one person.

    A handle that another name has already stays there (a family's number).
    """
    holders: dict[str, _Group] = {}
    people: dict[_Group, list[str]] = {}
    for contact in book:
        found = (holders[handle] for handle in contact.handles if handle in holders)
        same = list(dict.fromkeys(each for each in found if each.name.casefold() == contact.name.casefold()))
        if len(same) > 1:
            same.sort(key=list(people).index)
        group, *joined = same or [_Group(contact.name)]
        handles = people.setdefault(group, [])
        new = [handle for other in joined for handle in people.pop(other)]
        new += [handle for handle in dict.fromkeys(contact.handles) if handle not in holders]
        holders.update(dict.fromkeys(new, group))
        handles += new
    return people


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
