"""Likely duplicates: people of a history that seem to be one, the surest first, with what speaks for and against."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from ventriloquist.people.decisions import Decisions
from ventriloquist.people.evidence import Life, Scene, Sign, all_signs, counter_signs, succession
from ventriloquist.people.handles import normaliser
from ventriloquist.records import UNKNOWN, Book, ChatKind, Person
from ventriloquist.store import Store
from ventriloquist.store.stats import numbers, tallies
from ventriloquist.workspace import Workspace

CONFIDENCE = ((4.5, "very likely"), (3.0, "likely"), (2.0, "possible"))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two people who may be one. `first` is whose name would stay."""

    first: Person
    second: Person
    messages: tuple[int, int]
    """How many the first and the second wrote."""
    confidence: str
    evidence: tuple[str, ...]
    against: tuple[str, ...]

    @property
    def command(self) -> str:
        """What merges them."""
        return shlex.join(["ventriloquist", "people", "merge", _word(self.first), _word(self.second)])

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "people": [
                {"name": each.name, "handles": list(each.handles), "messages": messages}
                for each, messages in zip((self.first, self.second), self.messages, strict=True)
            ],
            "confidence": self.confidence,
            "evidence": list(self.evidence),
            "against": list(self.against),
            "command": self.command,
        }


def suggest(store: Store, workspace: Workspace) -> list[Suggestion]:
    """Every pair that the signs add up for, but for those that the user has kept apart; the surest first."""
    book = store.book()
    decisions = Decisions(workspace.contacts, normaliser(book.region if book else ""))
    scene = _scene(store, book, decisions)
    apart = _kept_apart(scene, decisions)
    signs: dict[tuple[str, str], dict[str, list[Sign]]] = defaultdict(lambda: defaultdict(list))
    for kind, sign in all_signs(scene):
        pair = min(sign.one, sign.other), max(sign.one, sign.other)
        if pair not in apart:
            signs[pair][kind].append(sign)
    together = _together(scene, set(signs))
    weighed = [_weigh(scene, pair, kinds, together[pair]) for pair, kinds in signs.items()]
    surest = sorted((-score, -messages, pair, found) for score, messages, pair, found in filter(None, weighed))
    return [found for *_, found in surest]


def _scene(store: Store, book: Book | None, decisions: Decisions) -> Scene:
    people = {key: each for key, each in store.people().items() if not each.is_me and key != UNKNOWN}
    owner = {handle: key for key, person in people.items() for handle in person.handles}
    lives: dict[str, Life] = defaultdict(Life)
    writers: dict[int, set[str]] = defaultdict(set)
    for each in tallies(store):
        if key := owner.get(each.handle or ""):
            lives[key].add(each)
            writers[each.conversation].add(key)
    cards = [
        (card.name, frozenset(map(decisions.normalise, card.handles)))
        for cards in (book.cards if book else ())
        for card in cards
        if len(card.handles) > 1 and not card.is_me
    ]
    by_conversation = {id_: frozenset(writers[number]) for id_, number in numbers(store).items()}
    return Scene(people, store.conversations(), lives, by_conversation, cards)


def _kept_apart(scene: Scene, decisions: Decisions) -> set[tuple[str, str]]:
    owner = {handle: key for key, person in scene.people.items() for handle in person.handles}
    found = set()
    for line in decisions.lines():
        if line.apart:
            ours = {owner[handle] for handle in map(decisions.normalise, line.ids) if handle in owner}
            theirs = {owner[handle] for handle in map(decisions.normalise, line.apart) if handle in owner}
            found |= {(min(one, other), max(one, other)) for one in ours for other in theirs}
    return found


def _together(scene: Scene, pairs: set[tuple[str, str]]) -> dict[tuple[str, str], Counter[bool]]:
    """For each pair the groups that both are in, counted by whether both wrote there."""
    wanted = {key for pair in pairs for key in pair}
    found: dict[tuple[str, str], Counter[bool]] = defaultdict(Counter)
    for conversation in scene.conversations:
        if conversation.kind is ChatKind.GROUP:
            wrote = scene.writers.get(conversation.id, frozenset())
            for pair in combinations(sorted(wanted & set(conversation.members)), 2):
                if pair in pairs:
                    found[pair][pair[0] in wrote and pair[1] in wrote] += 1
    return found


def _weigh(
    scene: Scene, pair: tuple[str, str], kinds: dict[str, list[Sign]], together: Counter[bool]
) -> tuple[float, int, tuple[str, str], Suggestion] | None:
    """One sign of each kind counts, the heaviest."""
    best = sorted((max(signs, key=lambda sign: sign.weight) for signs in kinds.values()), key=lambda sign: -sign.weight)
    if supporting := succession(scene, *pair):
        best.append(supporting)
    against = counter_signs(scene, *pair, together)
    score = sum(sign.weight for sign in best) + (against.weight if against else 0.0)
    confidence = next((word for least, word in CONFIDENCE if score >= least), None)
    if confidence is None:
        return None
    first, second = sorted(pair, key=lambda key: _standing(scene, key))
    messages = _messages(scene, first), _messages(scene, second)
    evidence = tuple(dict.fromkeys(sign.sentence for sign in best))
    opposed = (against.sentence,) if against else ()
    found = Suggestion(scene.people[first], scene.people[second], messages, confidence, evidence, opposed)
    return score, sum(messages), pair, found


def _messages(scene: Scene, key: str) -> int:
    return scene.lives[key].messages if key in scene.lives else 0


def _standing(scene: Scene, key: str) -> tuple[bool, int, int, str]:
    """Whose name would stay: one that somebody gave, the longer one, whoever wrote more."""
    name = scene.names.get(key, "")
    return not name, -len(name.split()), -_messages(scene, key), key


def _word(person: Person) -> str:
    """A name as a command takes it; one that looks like an option gives way to an address."""
    return min(person.handles) if person.name.startswith("-") else person.name
