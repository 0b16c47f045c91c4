"""What the user decides about people: written to `data/contacts_to_ids.jsonl`, and at once to the history."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ventriloquist.faults import NoInput, UsageFault
from ventriloquist.locks import hold
from ventriloquist.people.decisions import Decisions
from ventriloquist.people.finding import find_person, folded, given_name
from ventriloquist.people.handles import normaliser
from ventriloquist.people.identity import find_conversations, identify
from ventriloquist.records import UNKNOWN, Book, Person
from ventriloquist.store import Store
from ventriloquist.store.stats import tallies
from ventriloquist.text import clean_name, one_line
from ventriloquist.workspace import Workspace

COLLECT_ONCE_MORE = (
    "This history was collected before people could be edited. Collect it once more: ventriloquist collect"
)
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Listed:
    """A person and how many messages they wrote, counted as the statistics do."""

    person: Person
    messages: int


def list_people(store: Store) -> list[Listed]:
    """Everyone who wrote or is in a conversation: names, then numbers and the like, then me."""
    people = store.people()
    owner = {handle: key for key, person in people.items() for handle in person.handles}
    me = next((key for key, person in people.items() if person.is_me), None)
    counts: dict[str | None, int] = {}
    for each in tallies(store):
        key = me if each.is_from_me else owner.get(each.handle or "", UNKNOWN)
        counts[key] = counts.get(key, 0) + each.messages
    found = sorted(people.values(), key=_in_order)
    return [Listed(person, counts.get(person.key, 0)) for person in found]


def _in_order(person: Person) -> tuple[bool, bool, str, str]:
    key = folded(person.name)
    return person.is_me, not key[:1].isalpha(), key, person.name


class Desk:
    """The people of a history as the decisions on the desk have them."""

    def __init__(self, store: Store, book: Book, decisions: Decisions) -> None:
        self.decisions = decisions
        self._store = store
        self._book = book
        self.people = identify(book, decisions.contacts())

    @property
    def named_by_setting(self) -> bool:
        """True where MY_NAME says what I am called."""
        return bool(self._book.my_name)

    def find(self, said: str) -> Person:
        """Who is meant; whoever is behind messages without a sender is nobody that could be decided about."""
        person = find_person(self.people, said, self.decisions.normalise)
        if person.key == UNKNOWN:
            raise UsageFault(f"{person.name} stands for all messages that name no sender; it is nobody in particular.")
        return person

    def owner(self, handle: str) -> Person:
        """Whose (normalised) handle it is."""
        return next(person for person in self.people if handle in person.handles)

    def owner_if_any(self, handle: str) -> Person | None:
        """Whose (normalised) handle it is, if anybody wrote from it."""
        return next((person for person in self.people if handle in person.handles), None)

    @property
    def me(self) -> Person:
        """Whose history it is."""
        return next(person for person in self.people if person.is_me)

    def given(self, person: Person) -> str:
        """The name that somebody gave them, or nothing."""
        return given_name(person, self.people)

    def apply(self) -> None:
        """Keep the decisions, and arrange the history by them."""
        self.decisions.write()
        self.people = arrange(self._store, self._book, self.decisions)


def arrange(store: Store, book: Book, decisions: Decisions) -> list[Person]:
    """Bring the history's people and conversations in line with the decisions; returns the people."""
    people = identify(book, decisions.contacts())
    store.rearrange(people, find_conversations(store.chats(), people))
    return people


@contextmanager
def desk(workspace: Workspace, doing: str) -> Iterator[Desk]:
    """Hold the workspace while its people are edited. Raises NoInput where nothing is collected, Busy during a run."""
    with Store.open(workspace) as store, hold(workspace.lock, doing):
        book = store.book()
        if book is None:
            raise NoInput(COLLECT_ONCE_MORE)
        yield Desk(store, book, Decisions(workspace.contacts, normaliser(book.region)))


def merge(workspace: Workspace, names: Sequence[str]) -> Person:
    """Make one person of several; returns them. The first one's name stays, unless they have none.

    Naming me first makes the others' addresses mine.
    """
    with desk(workspace, "people merge") as on_desk:
        first, *others = people = [on_desk.find(name) for name in names]
        if len({person.key for person in people}) < len(people) or not others:
            raise UsageFault(_same(people))
        me = next((person for person in others if person.is_me), None)
        if me:
            raise UsageFault(
                f"{one_line(me.name, LONGEST_NAME)} is you. To make the others' addresses yours, name yourself first: "
                f"ventriloquist people merge {one_line(me.name, LONGEST_NAME)} ..."
            )
        name = next(filter(None, map(on_desk.given, people)), "")
        handles = [handle for person in people for handle in person.handles]
        on_desk.decisions.settle(first.name if first.is_me else name, handles, is_me=first.is_me)
        on_desk.apply()
        return on_desk.owner(others[0].handles[0])


def _same(people: Sequence[Person]) -> str:
    if len(people) < 2:
        return "Name at least two people; the first one's name stays."
    keys = [person.key for person in people]
    twice = next((person for person in people if keys.count(person.key) > 1), people[0])
    return f"{one_line(twice.name, LONGEST_NAME)} cannot be merged with themselves; name at least two different people."


def rename(workspace: Workspace, name: str, new: str) -> Person:
    """Give someone another name; returns them."""
    with desk(workspace, "people rename") as on_desk:
        person = on_desk.find(name)
        if person.is_me and on_desk.named_by_setting:
            raise UsageFault("What you are called is the setting MY_NAME; change it there and collect again.")
        wanted = _free_name(on_desk, new, person)
        on_desk.decisions.settle(wanted, person.handles, is_me=person.is_me)
        on_desk.apply()
        return next(each for each in on_desk.people if each.key == person.key)


def _free_name(on_desk: Desk, new: str, person: Person | None = None) -> str:
    wanted = clean_name(new)
    if not wanted or len(wanted) > LONGEST_NAME:
        raise UsageFault(f"A name has at least one letter and at most {LONGEST_NAME} of them.")
    taken = next((each for each in on_desk.people if folded(each.name) == folded(wanted) and each != person), None)
    if taken and person:
        raise UsageFault(
            f"{one_line(taken.name)} is somebody else here. If they are one person, merge them: "
            f"ventriloquist people merge {_quoted(taken.name)} {_quoted(person.name)}"
        )
    if taken:
        raise UsageFault(
            f"{one_line(taken.name)} is somebody else here. Split without --as, then merge the address with "
            f"them: ventriloquist people merge {_quoted(taken.name)} ADDRESS"
        )
    return wanted


def _quoted(word: str) -> str:
    return shlex.quote(one_line(word, LONGEST_NAME))


def split(
    workspace: Workspace, name: str, handles: Sequence[str], new: str | None = None
) -> tuple[Person, Person | None]:
    """Take addresses from someone; returns who stays, and who wrote from the addresses, by `new` or else by the
    address (None if nobody did). What was mine and is not must be collected again to be read anew."""
    with desk(workspace, "people split") as on_desk:
        person = on_desk.find(name)
        chosen = {_own_handle(on_desk, person, handle) for handle in handles}
        rest = [handle for handle in person.handles if handle not in chosen]
        if not rest and not person.is_me:
            known = ", ".join(map(one_line, person.handles))
            raise UsageFault(f"Name some of {one_line(person.name)}'s addresses, but not all of them: {known}")
        wanted = _free_name(on_desk, new) if new is not None else ""
        given = person.name if person.is_me else on_desk.given(person)
        decision = on_desk.decisions.settle(given, person.handles, is_me=person.is_me)
        on_desk.decisions.part(decision, chosen, wanted).apart = rest[:1]
        on_desk.apply()
        return on_desk.owner(rest[0]) if rest else on_desk.me, on_desk.owner_if_any(min(chosen))


def _own_handle(on_desk: Desk, person: Person, written: str) -> str:
    handle = on_desk.decisions.normalise(written.strip())
    if handle not in person.handles:
        known = ", ".join(map(one_line, person.handles)) or "none at all"
        said = one_line(written, LONGEST_NAME)
        raise UsageFault(f"{said} is no address of {one_line(person.name)}, whose addresses are: {known}")
    return handle


def keep_apart(workspace: Workspace, one: str, other: str) -> tuple[Person, Person]:
    """Remember that two people are two, so that nobody suggests again to merge them."""
    with desk(workspace, "people apart") as on_desk:
        first, second = on_desk.find(one), on_desk.find(other)
        if first.key == second.key:
            raise UsageFault(f"{one_line(first.name)} is one person here; to make two, see: ventriloquist people split")
        if first.is_me:
            first, second = second, first
        decision = on_desk.decisions.settle(on_desk.given(first), first.handles)
        known = set(map(on_desk.decisions.normalise, decision.apart))
        if known.isdisjoint(second.handles):
            decision.apart = [*decision.apart, *second.handles[:1]]
        on_desk.apply()
        return first, second
