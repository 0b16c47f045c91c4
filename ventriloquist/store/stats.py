"""Who wrote how much, and when: sums over the messages that SQLite adds up, read without keeping any text.

A message is counted if it is a text, an attachment or an app's; reactions, events and unsent messages are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ventriloquist.records import MICROSECONDS, UNKNOWN
from ventriloquist.store.database import Store
from ventriloquist.store.values import TextValue, to_text, to_value
from ventriloquist.store.zones import Zone

COUNTED = "kind IN ('text', 'attachment', 'app')"
SHOWING = "kind IN ('text', 'attachment', 'app', 'reaction')"
"""What training windows are made of, unless it shows nothing."""
TO, FROM, IN_GROUPS = range(3)
"""Sides: what I wrote, what was written to me, and what one person wrote in groups."""
HOUR = 3600
EPOCH_HOUR = 719_162 * 24
"""The hours from 0001-01-01, a Monday, to 1970."""


class Tally(NamedTuple):
    """What one handle wrote in one conversation. `handle` is None for me and for messages that name no sender;
    `first` and `last` are microseconds since 1970, None where no message has a date."""

    conversation: int
    is_from_me: bool
    handle: str | None
    messages: int
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class Scope:
    """Some messages: all of `conversations` (None: of every one), and what `person` wrote in `groups`."""

    conversations: tuple[int, ...] | None = None
    groups: tuple[int, ...] = ()
    person: str = ""

    def parts(self) -> list[tuple[str, str, list[TextValue]]]:
        """The side of a message, the condition that it fits, and the condition's parameters, as SQL."""
        found: list[tuple[str, str, list[TextValue]]] = []
        if self.conversations is None:
            found.append(("1 - is_from_me", COUNTED, []))
        elif self.conversations:
            found.append(("1 - is_from_me", f"{_among(self.conversations)} AND {COUNTED}", []))
        if self.groups:
            wrote = "sender IN (SELECT handle FROM handles WHERE person = ?)"
            if self.person == UNKNOWN:
                wrote = "(sender IS NULL OR sender NOT IN (SELECT handle FROM handles WHERE person <> ?))"
            where = f"{_among(self.groups)} AND NOT is_from_me AND {wrote} AND {COUNTED}"
            found.append((str(IN_GROUPS), where, [to_value(self.person)]))
        return found


def _among(conversations: Sequence[int]) -> str:
    return f"conversation IN ({','.join(f'{number:d}' for number in conversations)})"


def stop_when(store: Store, asked: Callable[[], bool]) -> None:
    """Let whatever is read from `store` end, as a Fault, soon after `asked()` is true; looks every few milliseconds."""
    store.connection.set_progress_handler(lambda: int(asked()), 20_000)


def numbers(store: Store) -> dict[str, int]:
    """The number of each conversation, by its id."""
    return dict(store.connection.execute("SELECT id, number FROM conversations"))


def sizes(store: Store) -> dict[int, int]:
    """How many messages of whatever kind each conversation has, by its number."""
    return dict(store.connection.execute("SELECT conversation, count(*) FROM messages GROUP BY 1"))


def showing(store: Store, conversations: Sequence[int]) -> int:
    """How many messages of these conversations may show something."""
    query = f"SELECT count(*) FROM messages WHERE {_among(conversations)} AND {SHOWING}"  # noqa: S608 - ours
    return int(store.connection.execute(query).fetchone()[0])


def latest(store: Store, conversations: Sequence[int], limit: int) -> list[int]:
    """When the latest of these messages were sent, newest first."""
    query = (
        f"SELECT sent_at FROM messages WHERE {_among(conversations)} AND {SHOWING} "  # noqa: S608 - ours
        "ORDER BY sent_at DESC LIMIT ?"
    )
    return [sent_at for (sent_at,) in store.connection.execute(query, [limit])]


def writers(store: Store) -> list[tuple[int, str | None]]:
    """(conversation, handle) of everyone who wrote in each; None for me, and "" where no sender is named."""
    query = (
        "SELECT DISTINCT conversation, CASE WHEN NOT is_from_me THEN coalesce(sender, '') END "  # noqa: S608 - ours
        f"FROM messages WHERE {SHOWING}"
    )
    return [(conversation, to_text(handle)) for conversation, handle in store.connection.execute(query)]


def tallies(store: Store) -> list[Tally]:
    """Every handle in every conversation that it wrote in."""
    query = (
        "SELECT conversation, is_from_me, CASE WHEN NOT is_from_me THEN sender END, count(*), "  # noqa: S608 - ours
        f"min(nullif(sent_at, 0)), max(nullif(sent_at, 0)) FROM messages WHERE {COUNTED} GROUP BY 1, 2, 3"
    )
    return [
        Tally(conversation, bool(is_from_me), to_text(handle), messages, first, last)
        for conversation, is_from_me, handle, messages, first, last in store.connection.execute(query)
    ]


def hours(store: Store, scope: Scope, zone: Zone) -> Iterator[tuple[int, int, int]]:
    """(side, hour, messages): how many were written in each hour, counted from 0001-01-01 in local time.

    Messages without a date are under hour -1.
    """
    for side, where, parameters in scope.parts():
        query = f"SELECT min(nullif(sent_at, 0)), max(sent_at) FROM messages WHERE {where}"  # noqa: S608 - ours
        first, last = store.connection.execute(query, parameters).fetchone()
        local = _hour(zone, first or 0, last or 0)
        query = f"SELECT {side}, {local}, count(*) FROM messages WHERE {where} GROUP BY 1, 2"  # noqa: S608 - ours
        yield from store.connection.execute(query, parameters)


def _hour(zone: Zone, first: int, last: int) -> str:
    """SQL for the local hour of `sent_at`, which lies between the two: a search by halves among the zone's offsets."""
    stretches = zone.stretches(first // MICROSECONDS, last // MICROSECONDS)

    def offset(low: int, high: int) -> str:
        if high - low == 1:
            return f"{stretches[low][1]:d}"
        middle = (low + high) // 2
        start = stretches[middle][0] * MICROSECONDS
        return f"CASE WHEN sent_at < {start:d} THEN {offset(low, middle)} ELSE {offset(middle, high)} END"

    seconds = f"sent_at / {MICROSECONDS} + {EPOCH_HOUR * HOUR:d} + {offset(0, len(stretches))}"
    return f"CASE WHEN sent_at = 0 THEN -1 ELSE ({seconds}) / {HOUR} END"


def texts(store: Store, scope: Scope) -> Iterator[tuple[int, str]]:
    """(side, text) of every message with text, in no order."""
    for side, where, parameters in scope.parts():
        query = f"SELECT {side}, text FROM messages WHERE {where} AND text IS NOT NULL"  # noqa: S608 - ours
        for at, text in store.connection.execute(query, parameters):
            yield at, to_text(text) or ""


def turns(store: Store, scope: Scope) -> Iterator[tuple[int, int, int]]:
    """(conversation, side, sent_at) of the dated messages in whole conversations, each in its order."""
    whole = Scope(scope.conversations)
    for side, where, parameters in whole.parts():
        query = (
            f"SELECT conversation, {side}, sent_at FROM messages WHERE {where} AND sent_at <> 0 "  # noqa: S608 - ours
            "ORDER BY conversation, sent_at, source_row"
        )
        yield from store.connection.execute(query, parameters)


def reactions(store: Store, scope: Scope) -> Iterator[tuple[int, str, int]]:
    """(side, type, reactions): the tapbacks that stand."""
    for side, where, parameters in scope.parts():
        condition = where.replace(COUNTED, "kind = 'reaction'")
        query = f"SELECT {side}, reaction_type, count(*) FROM messages WHERE {condition} GROUP BY 1, 2"  # noqa: S608
        yield from store.connection.execute(query, parameters)
