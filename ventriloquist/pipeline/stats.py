"""Statistics: everyone and every group, with how much was written to them and by them, and when first and last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ventriloquist.people.finding import find_person
from ventriloquist.records import UNKNOWN, Conversation, Person, rfc3339
from ventriloquist.speech import partner_in, titles
from ventriloquist.store import Store
from ventriloquist.store.stats import FROM, IN_GROUPS, TO, Scope, Tally, numbers, tallies

EVERYONE = "everyone"
PERSON = "person"
GROUP = "group"
SIDES = ("to", "from", "in_groups")
Amounts = tuple[int, int, int]
"""Messages to, from, and in groups."""


@dataclass(frozen=True, slots=True)
class Row:
    """A person, a group or everyone, with how many messages were written and when (microseconds since 1970, UTC).

    Of a person, `to` and `from` are what stands in the conversation of two, and `in_groups` what they wrote in groups;
    of a group, `to` is what I wrote. `key` is a person's key or a conversation's id.
    """

    kind: str
    key: str
    name: str
    amounts: Amounts
    first: int | None
    last: int | None
    conversation: str | None
    groups: int
    scope: Scope
    handles: tuple[str, ...] = ()
    is_me: bool = False

    @property
    def messages(self) -> int:
        return sum(self.amounts)

    def as_object(self, total: int) -> dict[str, Any]:
        """As `ventriloquist stats --json` shows it, with its share of `total` messages."""
        return {
            "kind": self.kind,
            "name": self.name,
            "conversation": self.conversation,
            **dict(zip(SIDES, self.amounts, strict=True)),
            "messages": self.messages,
            "share": round(self.messages / total, 4) if total else 0.0,
            "first": _when(self.first),
            "last": _when(self.last),
        }


def _when(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)


class Overview(NamedTuple):
    """Everyone together, and each, those with the most messages first."""

    everyone: Row
    rows: list[Row]


def read_overview(store: Store) -> Overview:
    """Who there is, and how much each wrote."""
    with store.moment():
        people = store.people()
        key_of = {handle: person.key for person in people.values() for handle in person.handles}
        number_of = numbers(store)
        by_number = {number_of[each.id]: _Place(each) for each in store.conversations()}
        wrote: dict[str, _Sum] = {}
        for tally in tallies(store):
            place = by_number[tally.conversation]
            place.sum.add(TO if tally.is_from_me else FROM, tally)
            if not tally.is_from_me and place.partner is None:
                key = key_of.get(tally.handle, UNKNOWN) if tally.handle else UNKNOWN
                wrote.setdefault(key, _Sum()).add(IN_GROUPS, tally)
    dms = {place.partner: (number, place) for number, place in by_number.items() if place.partner is not None}
    rows = [_person_row(person, dms.get(key), wrote.get(key)) for key, person in people.items()]
    rows = [row for row in rows if not row.is_me or row.conversation]
    groups = [(number, place) for number, place in by_number.items() if place.partner is None]
    called = titles((place.conversation for _, place in groups), people)
    rows += [_group_row(number, place, called[place.conversation.id]) for number, place in groups]
    rows.sort(key=lambda row: (-row.messages, row.name.casefold(), row.key))
    return Overview(_everyone([place.sum for place in by_number.values()]), rows)


class _Sum:
    """What adds up to a row."""

    def __init__(self) -> None:
        self.amounts = [0, 0, 0]
        self.dates: list[int] = []
        self.conversations: set[int] = set()

    def add(self, side: int, tally: Tally) -> None:
        self.amounts[side] += tally.messages
        self.dates += [at for at in (tally.first, tally.last) if at is not None]
        self.conversations.add(tally.conversation)


class _Place:
    """A conversation; `partner` is the key of the other one in a conversation of two (mine, where I am alone)."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.sum = _Sum()
        self.partner = partner_in(conversation)


def _person_row(person: Person, dm: tuple[int, _Place] | None, wrote: _Sum | None) -> Row:
    sums = [each for each in (dm[1].sum if dm else None, wrote) if each]
    groups = tuple(sorted(wrote.conversations)) if wrote else ()
    return Row(
        PERSON,
        person.key,
        person.name,
        _amounts(sums),
        *_ends(sums),
        dm[1].conversation.id if dm else None,
        len(groups),
        Scope((dm[0],) if dm else (), groups, person.key),
        person.handles,
        person.is_me,
    )


def _group_row(number: int, place: _Place, name: str) -> Row:
    id_ = place.conversation.id
    return Row(GROUP, id_, name, _amounts([place.sum]), *_ends([place.sum]), id_, 0, Scope((number,)))


def _everyone(sums: list[_Sum]) -> Row:
    return Row(EVERYONE, "", "Everyone", _amounts(sums), *_ends(sums), None, 0, Scope())


def _amounts(sums: list[_Sum]) -> Amounts:
    to, from_, in_groups = (sum(each.amounts[side] for each in sums) for side in (TO, FROM, IN_GROUPS))
    return to, from_, in_groups


def _ends(sums: list[_Sum]) -> tuple[int | None, int | None]:
    dates = [at for each in sums for at in each.dates]
    return min(dates, default=None), max(dates, default=None)


def find_row(rows: Sequence[Row], said: str, normalise: Callable[[str], str]) -> Row:
    """The person or group of this name, address or conversation id; raises a UsageFault that names who may have been
    meant."""
    by_id = [row for row in rows if row.conversation == said.strip()]
    if by_id:
        return by_id[0]
    named = [Person(row.key, row.name, row.handles) for row in rows]
    found = find_person(named, said, normalise)
    return next(row for row, person in zip(rows, named, strict=True) if person is found)
