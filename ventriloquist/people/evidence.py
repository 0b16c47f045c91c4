"""Signs that two people of a history are one: their names, addresses, cards, groups and times. No message is read."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from ventriloquist.people.finding import folded, given_name
from ventriloquist.records import ME, MICROSECONDS, ChatKind, Conversation, Person, moment
from ventriloquist.store.stats import Tally
from ventriloquist.text import one_line

DAY = 86_400 * MICROSECONDS
_WORDS = re.compile(r"[^\W_]+")
_NOBODYS = frozenset({
    "admin", "billing", "care", "contact", "customer", "customercare", "enquiries", "feedback", "hello", "help",
    "helpdesk", "home", "info", "information", "mail", "marketing", "me", "news", "newsletter", "noreply",
    "notification", "notifications", "office", "orders", "reply", "sales", "service", "support", "team", "welcome",
})  # fmt: skip
"""What stands before the @ of addresses that are no person's."""
_CROWD = 12
"""More people than this with the same sign are no sign of anything."""
_LARGEST_GROUP = 50
_SHOWN = 60


class Sign(NamedTuple):
    """Something that speaks for (weight above 0) or against two people being one; `sentence` quotes no message."""

    one: str
    other: str
    weight: float
    sentence: str


@dataclass(slots=True)
class Life:
    """When someone wrote, over all conversations (`first`, `last`, microseconds) and how much."""

    messages: int = 0
    first: int = 0
    last: int = 0

    def add(self, each: Tally) -> None:
        first, last = each.first or 0, each.last or 0
        self.first = min(self.first, first) if self.messages else first
        self.last = max(self.last, last)
        self.messages += each.messages


@dataclass(slots=True)
class Scene:
    """What the signs are looked for in: everyone but me and the unknown, by key."""

    people: Mapping[str, Person]
    conversations: Sequence[Conversation]
    lives: Mapping[str, Life]
    writers: Mapping[str, frozenset[str]]
    """Who wrote in a conversation, by its id."""
    cards: Sequence[tuple[str, frozenset[str]]]
    """The cards of the address books: a name, and normalised handles."""
    names: dict[str, str] = field(default_factory=dict)
    """The names that somebody gave, by key; those who go by an address are not in it."""

    def __post_init__(self) -> None:
        everyone = list(self.people.values())
        given = {key: given_name(person, everyone) for key, person in self.people.items()}
        self.names.update({key: name for key, name in given.items() if name})

    def shown(self, key: str) -> str:
        """A name for a sentence."""
        return one_line(self.people[key].name, _SHOWN)


def all_signs(scene: Scene) -> Iterator[tuple[str, Sign]]:
    """Everything that speaks for two people being one, each with the kind of sign that it is."""
    finders = (
        same_names, parts_of_names, near_names, spelt_addresses, like_addresses, like_numbers, shared_cards,
        equal_groups, successions,
    )  # fmt: skip
    for find in finders:
        for sign in find(scene):
            yield find.__name__, sign


def _pairs(buckets: Iterable[Iterable[str]]) -> Iterator[tuple[str, str]]:
    for bucket in buckets:
        keys = sorted(set(bucket))
        if 1 < len(keys) <= _CROWD:
            yield from combinations(keys, 2)


def _buckets(pairs: Iterable[tuple[Hashable, str]]) -> list[list[str]]:
    found: dict[Hashable, list[str]] = defaultdict(list)
    for sign, key in pairs:
        found[sign].append(key)
    return list(found.values())


def _words(name: str) -> tuple[str, ...]:
    return tuple(_WORDS.findall(folded(name)))


def same_names(scene: Scene) -> Iterator[Sign]:
    """One name, or one but for capitals, accents, signs and the order of its words."""
    named = ((tuple(sorted(_words(name))) or name, key) for key, name in scene.names.items())
    for one, other in _pairs(_buckets(named)):
        name, twin = scene.names[one], scene.names[other]
        weight = 4.0 if len(_words(name)) > 1 else 2.5
        if name == twin:
            yield Sign(one, other, weight, f"Both are called {one_line(name, _SHOWN)}.")
        else:
            both = f"{one_line(name, _SHOWN)} and {one_line(twin, _SHOWN)}"
            yield Sign(one, other, weight - 0.5, f"{both} differ in capitals, accents, signs or order only.")


def parts_of_names(scene: Scene) -> Iterator[Sign]:
    """`Maya` beside `Maya Lind`, and `Maya L.`; the fewer people it may be, the better."""
    first_names: dict[str, list[str]] = defaultdict(list)
    words = {key: _words(name) for key, name in scene.names.items()}
    for key, found in words.items():
        if len(found) > 1:
            first_names[found[0]].append(key)
    for key, found in words.items():
        if not found or len(found) > 2:
            continue
        fits = [
            other
            for other in first_names.get(found[0], ())
            if other != key and words[other] != found and _is_part(found, words[other])
        ]
        for other in fits if len(fits) <= _CROWD else ():
            weight = (2.0 if len(found) == 1 else 3.0) if len(fits) == 1 else 1.0
            sentence = f"{one_line(scene.names[key], _SHOWN)} may be short for {one_line(scene.names[other], _SHOWN)}."
            yield Sign(key, other, weight, sentence)


def _is_part(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    return len(short) == 1 or (len(short) == len(long) and len(short[1]) == 1 and long[1].startswith(short[1]))


def near_names(scene: Scene) -> Iterator[Sign]:
    """Names of eight letters and more that differ in one."""
    names = {key: " ".join(_words(name))[:40] for key, name in scene.names.items()}
    long = {key: name for key, name in names.items() if len(name) >= 8}
    shortened = ((name[:at] + name[at + 1 :], key) for key, name in long.items() for at in range(len(name)))
    for one, other in sorted(set(_pairs(_buckets([*((name, key) for key, name in long.items()), *shortened])))):
        if long[one] != long[other]:
            both = f"{one_line(scene.names[one], _SHOWN)} and {one_line(scene.names[other], _SHOWN)}"
            yield Sign(one, other, 2.0, f"{both} differ in a letter.")


def _mail_words(handle: str) -> tuple[str, ...]:
    """The words before the @ without digits; none for an address that is no person's."""
    local = re.split(r"[^a-z]+", folded(handle.partition("@")[0].partition("+")[0]))
    words = tuple(filter(None, local))
    return () if "@" not in handle or "".join(words) in _NOBODYS or handle.startswith("urn:") else words


def spelt_addresses(scene: Scene) -> Iterator[Sign]:
    """An e-mail address that spells somebody else's name: `maya.lind@`, `mlind@`, `maya88@`."""
    spelt: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for key, name in scene.names.items():
        words = _words(name)
        if len(words) > 1:
            first, last = words[0], words[-1]
            for spelling, weight in ((first + last, 3.0), (last + first, 3.0), (first[0] + last, 2.0)):
                if len(spelling) >= 5:
                    spelt[spelling].append((key, weight))
        if words and len(words[0]) >= 4:
            spelt[words[0]].append((key, 1.5))
    for key, person in scene.people.items():
        for handle in person.handles:
            fits = [fit for fit in spelt.get("".join(_mail_words(handle)), ()) if fit[0] != key]
            for other, weight in fits if len(fits) <= _CROWD else ():
                sentence = f"The address {one_line(handle, _SHOWN)} spells {one_line(scene.names[other], _SHOWN)}."
                yield Sign(key, other, weight if len(fits) == 1 else min(weight, 2.0) / 2, sentence)


def like_addresses(scene: Scene) -> Iterator[Sign]:
    """Two e-mail addresses that differ behind the @ only."""
    handles = [(handle, key) for key, person in scene.people.items() for handle in person.handles if "@" in handle]
    locals_ = ((h.partition("@")[0], key) for h, key in handles if len(h.partition("@")[0]) >= 6 and _mail_words(h))
    by_key: dict[str, dict[str, str]] = defaultdict(dict)
    for handle, key in handles:
        by_key[key][handle.partition("@")[0]] = handle
    for one, other in _pairs(_buckets(locals_)):
        local = next(each for each in by_key[one] if each in by_key[other])
        addresses = f"{one_line(by_key[one][local], _SHOWN)} and {one_line(by_key[other][local], _SHOWN)}"
        yield Sign(one, other, 3.0, f"{addresses} differ behind the @ only.")


def like_numbers(scene: Scene) -> Iterator[Sign]:
    """A number that seems to be another one written without its country or area."""
    numbers = [
        (re.sub(r"\D", "", handle), handle, key)
        for key, person in scene.people.items()
        for handle in person.handles
        if "@" not in handle and re.fullmatch(r"\+?[\d\s().\-/]+", handle)
    ]
    shown = {(digits, key): one_line(handle, _SHOWN) for digits, handle, key in numbers}
    for tail in (9, 7):
        bucketed = _buckets((digits[-tail:], f"{digits} {key}") for digits, _, key in numbers if len(digits) >= tail)
        for left, right in _pairs(bucketed):
            (a, one), (b, other) = left.split(" ", 1), right.split(" ", 1)
            full = shown[a, one].startswith("+") and shown[b, other].startswith("+")
            if one != other and (tail == 9 if full else tail == 7):
                sentence = f"{shown[a, one]} and {shown[b, other]} end in the same {tail} digits."
                yield Sign(one, other, 2.0 if full else 3.0, sentence)


def shared_cards(scene: Scene) -> Iterator[Sign]:
    """A card of an address book that holds addresses of both; worth little if it names neither."""
    owner = {handle: key for key, person in scene.people.items() for handle in person.handles}
    for name, handles in scene.cards:
        for one, other in _pairs([[owner[handle] for handle in handles if handle in owner]]):
            names = {_words(scene.names.get(key, "")) for key in (one, other)}
            weight = 3.0 if _words(name) in names or () in names else 1.0
            card = f"The card of {one_line(name, _SHOWN)}" if name else "A card without a name"
            yield Sign(one, other, weight, f"{card} has addresses of both.")


def equal_groups(scene: Scene) -> Iterator[Sign]:
    """Groups whose members are the same but for these two: someone went on under another address."""
    left_out: dict[frozenset[str], list[str]] = defaultdict(list)
    for conversation in scene.conversations:
        others = frozenset(conversation.members) - {ME}
        if conversation.kind is ChatKind.GROUP and 1 < len(others) <= _LARGEST_GROUP:
            for key in others & scene.people.keys():
                left_out[others - {key}].append(key)
    found: dict[tuple[str, str], list[frozenset[str]]] = defaultdict(list)
    for rest, keys in left_out.items():
        for pair in _pairs([keys]):
            found[pair].append(rest)
    for (one, other), rests in found.items():
        largest = max(rests, key=lambda rest: (len(rest), sorted(rest)))
        names = sorted(scene.shown(key) for key in largest if key in scene.people)
        names[3:] = [f"{len(names) - 3} more"] if len(names) > 3 else []
        who = " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "the same people"
        weight = min((2.5 if len(largest) > 1 else 1.0) + 0.75 * (len(rests) - 1), 4.0)
        sentence = f"Two groups, with {who}, are the same but for these two."
        if len(rests) > 1:
            sentence = f"{len(rests)} pairs of groups are the same but for these two; one of them is with {who}."
        yield Sign(one, other, weight, sentence)


def successions(scene: Scene) -> Iterator[Sign]:
    """Somebody without a name who began to write within a week of somebody else's falling silent for good; only where
    it can be no other two."""
    lives = {key: life for key, life in scene.lives.items() if life.messages >= 30 and key in scene.people}
    ended = sorted((life.last, key) for key, life in lives.items())
    found = []
    for key, life in lives.items():
        if key not in scene.names:
            before = [other for last, other in ended if 0 < life.first - last <= 7 * DAY and other != key]
            found += [(before[0], key)] if len(before) == 1 else []
    heirs = Counter(one for one, _ in found)
    for one, other in found:
        if heirs[one] == 1:
            yield Sign(one, other, 1.0, "Nobody else fell silent, and nobody else began, so close together.")


def succession(scene: Scene, one: str, other: str) -> Sign | None:
    """That one of the two fell silent about when the other began to write."""
    lives = sorted((scene.lives[key].first, key) for key in (one, other) if key in scene.lives)
    if len(lives) < 2:
        return None
    (_, before), (_, after) = lives
    gap = (scene.lives[after].first - scene.lives[before].last) / DAY
    few = min(scene.lives[key].messages for key in (one, other)) < 5
    if few or not 0 < gap <= 60:
        return None
    weeks = f"{gap:.0f} days" if gap >= 1.5 else "a day"
    last = moment(scene.lives[before].last)
    sentence = f"{scene.shown(before)} wrote until {last:%Y-%m-%d}, and {scene.shown(after)} began {weeks} later."
    return Sign(one, other, 1.5 if gap <= 30 else 1.0, sentence)


def counter_signs(scene: Scene, one: str, other: str, together: Counter[bool]) -> Sign | None:
    """That both wrote in one group, or were in one; `together` counts the groups of both by whether both wrote."""
    if together[True]:
        groups = "one group" if together[True] == 1 else f"{together[True]} groups"
        return Sign(one, other, -4.0, f"Both wrote in {groups}.")
    if together[False]:
        groups = "one group" if together[False] == 1 else f"{together[False]} groups"
        return Sign(one, other, -1.0, f"Both are members of {groups}.")
    return None
