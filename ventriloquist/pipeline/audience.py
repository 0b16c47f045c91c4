"""Whose files may be sent: which conversations the settings leave to a captioner."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from ventriloquist.faults import UsageFault
from ventriloquist.pipeline.included import named_people
from ventriloquist.records import ME, UNKNOWN, Conversation, Person
from ventriloquist.settings import DescribeSettings
from ventriloquist.store import Store
from ventriloquist.store.stats import numbers, writers
from ventriloquist.text import clean_name

WITHOUT, NOT_AMONG, STRANGERS = "without", "not among --only", "strangers"
_ADDRESS = re.compile(r"\S+@\S+|[\d\s()+*#./-]+")


class Audience:
    """The conversations of which files may be sent. Members, and whoever once wrote there, count as being in one.

    `--only` keeps a conversation if everyone in it but me is named; one where I am alone, if I am. `--without` leaves
    out every conversation in which someone named is. Without `--strangers`, at least one member besides me has to be
    someone with a name, and not a bare number or address; notes to myself are known. Raises UsageFault for names of
    nobody.
    """

    def __init__(self, settings: DescribeSettings, store: Store) -> None:
        people = store.people()
        only = named_people("--only", settings.only, store, people)
        without = named_people("--without", settings.without, store, people)
        if any(people[key].is_me for key in without or ()):
            raise UsageFault("--without names you, who are in every conversation; name somebody else.")
        number_of, speakers = numbers(store), _speakers(store, people) if only or without else {}
        self._against: dict[int, str] = {}
        self.conversations: Counter[str] = Counter()
        """How many conversations are left out, by reason; under "" those that are not."""
        for conversation in store.conversations():
            number = number_of[conversation.id]
            others = {*conversation.members, *speakers.get(number, ())} - {ME} or {ME}
            if without and without & others:
                self._against[number] = WITHOUT
            elif only and not others <= only:
                self._against[number] = NOT_AMONG
            elif not (settings.strangers or _is_known(conversation, people)):
                self._against[number] = STRANGERS
            self.conversations[self._against.get(number, "")] += 1

    def reason_against(self, conversations: Iterable[int]) -> str:
        """Why a file that stands in these conversations is not sent, or nothing.

        One that stands in a conversation that `--without` leaves out is not sent, wherever else it stands.
        """
        reasons = [self._against.get(number, "") for number in conversations]
        if WITHOUT in reasons:
            return WITHOUT
        return "" if not reasons or "" in reasons else reasons[0]


def _speakers(store: Store, people: Mapping[str, Person]) -> dict[int, set[str]]:
    owner = {handle: person.key for person in people.values() for handle in person.handles}
    found: dict[int, set[str]] = {}
    for conversation, handle in writers(store):
        found.setdefault(conversation, set()).add(ME if handle is None else owner.get(handle, UNKNOWN))
    return found


def _is_known(conversation: Conversation, people: Mapping[str, Person]) -> bool:
    others = set(conversation.members) - {ME}
    return not others or any(key in people and has_name(people[key]) for key in others)


def has_name(person: Person) -> bool:
    """True for someone whom an address book, or the user, gave a name: anything but a bare number or address."""
    if person.key == UNKNOWN or _ADDRESS.fullmatch(person.name):
        return False
    return person.name not in {clean_name(handle) for handle in person.handles}
