"""Who is meant: a person by what the user typed, a name or an address."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache

from ventriloquist.faults import UsageFault
from ventriloquist.records import Person
from ventriloquist.text import clean_name, one_line

SUGGESTED = 5
_SHOWN = 60
_NUMBERED = re.compile(r"(.+) \(\d+\)")
_LETTERS = {
    ord(letter): plain for letter, plain in zip("ıłøđðþæœ", ["i", "l", "o", "d", "d", "th", "ae", "oe"], strict=True)
}


@lru_cache(maxsize=16_384)
def folded(name: str) -> str:
    """A name without case, accents and other marks: `MÁYA` and `maya` are the same."""
    letters = unicodedata.normalize("NFKD", clean_name(name).casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).translate(_LETTERS)


def find_person(
    people: Sequence[Person],
    said: str,
    normalise: Callable[[str], str],
    listed_by: str = "see: ventriloquist people list",
) -> Person:
    """The person of this name, or whose address it is; raises a UsageFault that names who may have been meant, or says
    what lists them all."""
    name, key = clean_name(said), folded(said)
    for fits in (
        [person for person in people if person.name == name],
        [person for person in people if normalise(said.strip()) in person.handles],
        [person for person in people if folded(person.name) == key],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise UsageFault(f"{one_line(said, _SHOWN)} may be {_listed(fits, 'or')}; write the name exactly.")
    if not key:
        raise UsageFault("A name is missing.")
    like = _alike(people, key)
    if like:
        raise UsageFault(f"Nobody here is called {one_line(said, _SHOWN)}. Did you mean {_listed(like, 'or')}?")
    raise UsageFault(f"Nobody here is called {one_line(said, _SHOWN)}; {listed_by}")


def _alike(people: Sequence[Person], key: str) -> list[Person]:
    by_key: dict[str, list[Person]] = {}
    for person in people:
        by_key.setdefault(folded(person.name), []).append(person)
    keys = [each for each in by_key if key in each][:SUGGESTED]
    keys += [each for each in get_close_matches(key[:_SHOWN], list(by_key), n=3, cutoff=0.7) if each not in keys]
    return [person for each in keys for person in by_key[each]][:SUGGESTED]


def _listed(people: Iterable[Person], word: str) -> str:
    names = [one_line(person.name, _SHOWN) for person in people]
    return f"{', '.join(names[:-1])} {word} {names[-1]}" if len(names) > 1 else names[0]


def given_name(person: Person, people: Iterable[Person]) -> str:
    """The name that somebody gave: without the number that only tells namesakes apart; empty for one who goes by an
    address."""
    if person.handles and person.name == (clean_name(min(person.handles)) or "Someone"):
        return ""
    match = _NUMBERED.fullmatch(person.name)
    return match[1] if match and any(other.name == match[1] for other in people) else person.name
