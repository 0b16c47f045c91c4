"""Who is learnt from: everyone in each conversation, what the settings leave out, and how much is held out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ventriloquist.faults import UsageFault
from ventriloquist.records import ME, UNKNOWN, Person
from ventriloquist.settings import PreprocessSettings
from ventriloquist.speech import Talk
from ventriloquist.store import Store
from ventriloquist.store.stats import latest, showing, writers
from ventriloquist.windows.split import Holdout, Latest, bounds, since

WITHOUT, NOT_AMONG, TOO_SHORT = "without", "not among --only", "too short"
GLOBAL_TIME = "global-time"


class Choice:
    """Which conversations the settings leave, by who is in them: a member, or someone who once wrote there.

    `--only` keeps a conversation, a group too, if everyone in it but me is named; one where I am alone, if I am.
    `--without` leaves out every conversation in which someone named is. Raises UsageFault for names of nobody.
    """

    def __init__(self, settings: PreprocessSettings, store: Store, people: Mapping[str, Person]) -> None:
        self._least = settings.min_messages
        self._only = named_people("--only", settings.only, store, people)
        self._without = named_people("--without", settings.without, store, people)
        if any(people[key].is_me for key in self._without or ()):
            raise UsageFault("--without names you, who are in every conversation; name somebody else.")
        self._speakers: dict[int, set[str]] = {}
        if self._only or self._without:
            owner = {handle: person.key for person in people.values() for handle in person.handles}
            for conversation, handle in writers(store):
                key = owner.get(handle, UNKNOWN) if handle is not None else ME
                self._speakers.setdefault(conversation, set()).add(key)

    def reason_against(self, talk: Talk) -> str:
        """Why a conversation is left out, or nothing."""
        others = {*talk.conversation.members, *self._speakers.get(talk.number, ())} - {ME} or {ME}
        if self._without and self._without & others:
            return WITHOUT
        if self._only and not others <= self._only:
            return NOT_AMONG
        return TOO_SHORT if talk.messages < self._least else ""


def named_people(option: str, given: str, store: Store, people: Mapping[str, Person]) -> frozenset[str] | None:
    """The keys of those whom an option names, None where it is not given."""
    if not given.strip():
        return None
    from ventriloquist.people import normaliser, region_of  # loads the tables of all phone numbers
    from ventriloquist.people.finding import find_person

    book = store.book()
    normalise = normaliser(book.region if book else region_of(""))
    everyone = list(people.values())
    keys = frozenset(find_person(everyone, said, normalise).key for said in _names(given, everyone))
    if not keys:
        raise UsageFault(f"{option} names nobody.")
    return keys


def _names(given: str, people: Sequence[Person]) -> Iterator[str]:
    """The names between commas; a comma that is part of somebody's name separates nothing."""
    from ventriloquist.people.finding import folded

    known = {folded(person.name) for person in people if "," in person.name}
    words = given.split(",")
    while words:
        length = next((n for n in range(len(words), 1, -1) if folded(",".join(words[:n])) in known), 1)
        said = ",".join(words[:length])
        del words[:length]
        if said.strip():
            yield said


def holdouts(store: Store, talks: Sequence[Talk], settings: PreprocessSettings) -> dict[str, Holdout]:
    """What is held out of each conversation, by its id: see the settings `split`, `holdout` and their bounds."""
    share, most, in_all = settings.holdout, settings.max_holdout, settings.max_holdout_in_all
    if settings.split == GLOBAL_TIME:
        conversations = [talk.number for talk in talks]
        most = min(int(showing(store, conversations) * share), most * len(talks), in_all)
        found = since(latest(store, conversations, 2 * most + 1), most)
        return {talk.id: found for talk in talks}
    each = bounds({talk.id: talk.messages for talk in talks}, share, most, in_all)
    return {id_: Latest(share, bound) for id_, bound in each.items()}
