"""One person, group or everyone in full: when they write, how they write, and how long an answer takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from ventriloquist.pipeline.stats import SIDES, Row
from ventriloquist.pipeline.wording import Wording, median_of
from ventriloquist.records import MICROSECONDS, rfc3339
from ventriloquist.store import Store
from ventriloquist.store.stats import TO, hours, reactions, texts, turns
from ventriloquist.store.zones import DAY, Zone

HOURS_A_WEEK = 168
_LAST_DAY = date.max.toordinal()


class Spell(NamedTuple):
    """A time without a message, in microseconds since 1970."""

    start: int
    end: int


@dataclass(slots=True)
class Times:
    """When messages were written, in local time: by hour of the week (from Monday 0:00), month, year and day.

    Months and years hold messages to, from and in groups; `undated` ones are in none of them.
    """

    week: list[int] = field(default_factory=lambda: [0] * HOURS_A_WEEK)
    months: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    years: dict[int, list[int]] = field(default_factory=dict)
    undated: int = 0
    busiest: tuple[date, int] | None = None


@dataclass(slots=True)
class Talk:
    """How it was written: the texts of each side, what it took to answer, tapbacks by type, the longest silence.

    Index 0 is my side, 1 the others'. An answer is the first message after the other side's, within a day; `answers`
    counts them by their seconds.
    """

    wording: tuple[Wording, Wording] = field(default_factory=lambda: (Wording(), Wording()))
    answers: tuple[Counter[int], Counter[int]] = field(default_factory=lambda: (Counter(), Counter()))
    reactions: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))
    silence: Spell | None = None


def read_times(store: Store, row: Row, zone: Zone) -> Times:
    """When the messages of a row were written."""
    found = Times()
    days: Counter[int] = Counter()
    by_day: dict[int, list[int]] = {}
    with store.moment():
        for side, hour, messages in hours(store, row.scope, zone):
            if hour < 0:
                found.undated += messages
                continue
            found.week[hour % HOURS_A_WEEK] += messages
            day = hour // 24
            days[day] += messages
            by_day.setdefault(day, [0, 0, 0])[side] += messages
    for day in sorted(by_day):
        when = date.fromordinal(min(day + 1, _LAST_DAY))
        for amounts in (
            found.months.setdefault((when.year, when.month), [0, 0, 0]),
            found.years.setdefault(when.year, [0, 0, 0]),
        ):
            for side, messages in enumerate(by_day[day]):
                amounts[side] += messages
    if days:
        most = min(days, key=lambda day: (-days[day], day))
        found.busiest = date.fromordinal(min(most + 1, _LAST_DAY)), days[most]
    return found


def read_talk(store: Store, row: Row) -> Talk:
    """How the messages of a row were written; reads all their texts once, and keeps none."""
    found = Talk()
    with store.moment():
        for side, text in texts(store, row.scope):
            found.wording[side != TO].add(text)
        for side, type_, count in reactions(store, row.scope):
            found.reactions[side != TO][type_] += count
        _read_turns(store, row, found)
    return found


def _read_turns(store: Store, row: Row, found: Talk) -> None:
    """Answers, and the longest silence of a single conversation."""
    before: tuple[int, int, int] | None = None
    longest = Spell(0, 0)
    for turn in turns(store, row.scope):
        if before and before[0] == turn[0]:
            gap = turn[2] - before[2]
            if gap > longest.end - longest.start:
                longest = Spell(before[2], turn[2])
            if turn[1] != before[1] and gap < DAY * MICROSECONDS:
                found.answers[turn[1]][gap // MICROSECONDS] += 1
        before = turn
    if row.conversation and longest.end:
        found.silence = longest


def as_object(row: Row, total: int, times: Times, talk: Talk, zone: Zone) -> dict[str, Any]:
    """As `ventriloquist stats NAME --json` shows it; see docs/formats.md."""
    return {
        **row.as_object(total),
        "timezone": zone.name,
        "undated": times.undated,
        "busiest_day": _named(("date", "messages"), (times.busiest[0].isoformat(), times.busiest[1]))
        if times.busiest
        else None,
        "longest_silence": _silence(talk.silence),
        "years": {str(year): _named(SIDES, amounts) for year, amounts in times.years.items()},
        "months": {f"{year}-{month:02}": _named(SIDES, amounts) for (year, month), amounts in times.months.items()},
        "week": [times.week[day : day + 24] for day in range(0, HOURS_A_WEEK, 24)],
        "answers": _both([_answers(each) for each in talk.answers]),
        "texts": _both([each.as_object() for each in talk.wording]),
        "reactions": _both([dict(each.most_common()) for each in talk.reactions]),
    }


def _named(names: tuple[str, ...], values: Any) -> dict[str, Any]:
    return dict(zip(names, values, strict=True))


def _both(values: list[dict[str, Any]]) -> dict[str, Any]:
    return {"to": values[0], "from": values[1]}


def _silence(silence: Spell | None) -> dict[str, Any] | None:
    if silence is None:
        return None
    seconds = (silence.end - silence.start) // MICROSECONDS
    return {"seconds": seconds, "from": rfc3339(silence.start), "to": rfc3339(silence.end)}


def _answers(counts: Mapping[int, int]) -> dict[str, Any]:
    return {"answers": sum(counts.values()), "median_seconds": median_of(counts)}
