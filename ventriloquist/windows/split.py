"""Which messages are learnt from, which watch the training (validation), and which measure (test): by time alone.

A conversation comes as lists of entries, in order of time; no message is divided over two of them, and no cut goes
through one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import TypeVar

from ventriloquist.windows.render import Entry

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")
FOREVER = 2**63 - 1
"""A time that never comes."""

Entries = list[Entry]
Key = TypeVar("Key", bound=Hashable)
_sent_at = attrgetter("sent_at")


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest messages of the conversation are held out: this share of them for each split, and at most so many."""

    share: float
    most: int

    def assign(self, said: Iterable[Entries]) -> Iterator[tuple[str, Entries]]:
        """The entries with their splits, in order. Those that may turn out to be held out are kept in memory."""
        waiting: Entries = []
        count = messages = 0
        for entries in said:
            waiting += entries
            new = messages_in(entries)
            count, messages = count + new, messages + new
            if messages > 2 * self.most:
                cut = start_of(messages - 2 * self.most, waiting)
                yield TRAIN, waiting[:cut]
                del waiting[:cut]
                messages = 2 * self.most
        held = min(int(count * self.share), self.most)
        validation, test = (start_of(messages - left, waiting) for left in (2 * held, held))
        yield TRAIN, waiting[:validation]
        yield VALIDATION, waiting[validation:test]
        yield TEST, waiting[test:]

    def may_hold(self, place: int, sent_at: int) -> bool:
        """Whether the message in this place from the end, 1 for the last, may be held out."""
        return place <= 2 * self.most


@dataclass(frozen=True, slots=True)
class Since:
    """What was sent from these moments on is held out, whatever the conversation (microseconds since 1970)."""

    validation: int
    test: int

    def assign(self, said: Iterable[Entries]) -> Iterator[tuple[str, Entries]]:
        """The entries with their splits, in order."""
        for entries in said:
            validation, test = (bisect_left(entries, at, key=_sent_at) for at in (self.validation, self.test))
            yield TRAIN, entries[:validation]
            yield VALIDATION, entries[validation:test]
            yield TEST, entries[test:]

    def may_hold(self, place: int, sent_at: int) -> bool:
        """Whether a message that was sent then is held out."""
        return sent_at >= self.validation


Holdout = Latest | Since


def messages_in(entries: Iterable[Entry]) -> int:
    """How many messages begin among these entries."""
    return sum([not entry.part for entry in entries])


def start_of(message: int, entries: Sequence[Entry]) -> int:
    """Where a message begins, by its place among those of the entries, from 0; their end if there are no more."""
    starts = (place for place, entry in enumerate(entries) if not entry.part)
    return next((place for number, place in enumerate(starts) if number == message), len(entries))


def long_enough(said: Iterable[Entries], least: int) -> Iterator[Entries]:
    """A conversation of at least so many messages, else nothing."""
    first: list[Entries] = []
    messages = 0
    iterator = iter(said)
    for entries in iterator:
        first.append(entries)
        messages += messages_in(entries)
        if messages >= least:
            return chain(first, iterator)
    return iter(())


def bounds(sizes: Mapping[Key, int], share: float, most: int, in_all: int) -> dict[Key, int]:
    """How many messages of each conversation may be held out for a split, when they have `sizes`.

    That is the share of each and at most `most`. Where this comes to more than `in_all`, the bound is lowered for all
    alike; what does not divide evenly goes to the largest.
    """
    found = {key: min(int(size * share), most) for key, size in sizes.items()}
    by_size = sorted(found, key=lambda key: (found[key], sizes[key]))
    left = in_all
    for place, key in enumerate(by_size):
        others = len(by_size) - place
        if found[key] * others > left:
            level, over = divmod(left, others)
            for rest, each in enumerate(by_size[place:]):
                found[each] = level + (rest >= others - over)
            break
        left -= found[key]
    return found


def since(latest: Sequence[int], most: int) -> Since:
    """The two moments from which on at most `most` messages each are held out. `latest` are the times of the latest
    2 * `most` + 1 messages (fewer, if there are fewer), newest first."""
    test = _moment(latest, most)
    before = [at for at in latest if at < test]
    return Since(min(_moment(before, most), test), test)


def _moment(latest: Sequence[int], most: int) -> int:
    """The earliest moment from which on there are at most `most` of them, all of those sent at once on one side."""
    if len(latest) <= most:
        return latest[-1] if latest else FOREVER
    return min((at for at in latest[:most] if at > latest[most]), default=FOREVER)
