"""What the numbers say of a person or group, as pairs of a label and words; the commands and the app show the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from ventriloquist.pipeline.portrait import Talk, Times
from ventriloquist.pipeline.stats import PERSON, Row
from ventriloquist.pipeline.wording import Wording, median_of
from ventriloquist.records import MICROSECONDS
from ventriloquist.store.zones import Zone

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_UNITS = ((86400 * 365, "year"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_LAST_SECOND = 253_402_300_799
Fact = tuple[str, str]


def facts(row: Row, times: Times, talk: Talk, zone: Zone) -> list[Fact]:
    """Busiest day, longest silence, answers, words, emoji and tapbacks, where there are any."""
    names = ("you", row.name if row.kind == PERSON and not row.is_me else "others")
    found = [
        ("busiest day", _busiest(times)),
        ("longest silence", _silence(talk, zone)),
        ("time to answer", _sides(names, [_answer(each) for each in talk.answers])),
        ("words a text", _sides(names, [_words(each) for each in talk.wording])),
        ("emoji", _sides(names, [_emoji(each) for each in talk.wording])),
        ("tapbacks", _sides(names, [_tapbacks(each) for each in talk.reactions])),
        ("without a date", f"{times.undated:,} messages" if times.undated else ""),
    ]
    return [(label, words) for label, words in found if words]


def _sides(names: tuple[str, str], words: list[str]) -> str:
    return " · ".join(f"{name} {said}" for name, said in zip(names, words, strict=True) if said)


def _busiest(times: Times) -> str:
    if not times.busiest:
        return ""
    day, messages = times.busiest
    return f"{WEEKDAYS[day.weekday()]} {day.isoformat()}, {messages:,} messages"


def _silence(talk: Talk, zone: Zone) -> str:
    if not talk.silence:
        return ""
    start, end = talk.silence
    return f"{lasting((end - start) / MICROSECONDS)}, {local(start, zone):%Y-%m-%d} to {local(end, zone):%Y-%m-%d}"


def _answer(answers: Mapping[int, int]) -> str:
    median = median_of(answers)
    return "" if median is None else lasting(median)


def _words(wording: Wording) -> str:
    words, characters = median_of(wording.words), median_of(wording.characters)
    return "" if words is None else f"{words:g} ({characters:g} characters)"


def _emoji(wording: Wording) -> str:
    if not wording.with_emoji:
        return ""
    return f"in {wording.with_emoji / wording.words.total():.0%} {' '.join(wording.top_emoji(4))}"


def _tapbacks(counts: Counter[str]) -> str:
    return ", ".join(f"{type_} {count:,}" for type_, count in counts.most_common(3))


def lasting(seconds: float) -> str:
    """A duration in its largest unit: 48 seconds, 3 minutes, 17 days, 1.5 years."""
    for size, name in _UNITS:
        if seconds >= size:
            count = seconds / size
            told = f"{count:.1f}".removesuffix(".0") if size > 86400 else f"{count:.0f}"
            return f"{told} {name}{'' if told == '1' else 's'}"
    return "less than a second"


def local(at: int, zone: Zone) -> datetime:
    """Microseconds since 1970 as the zone's clock shows them."""
    second = at // MICROSECONDS
    return datetime.fromtimestamp(min(second + zone.offset(second), _LAST_SECOND), UTC)


def day_of(at: int | None, zone: Zone) -> str:
    """The local day as 2024-03-15, or nothing."""
    return "" if at is None else f"{local(at, zone):%Y-%m-%d}"


def shade(messages: int, most: int, levels: int) -> int:
    """How dark a cell of a heat map is: 0 for none, else 1 to `levels` in proportion to the most."""
    return min(-(-messages * levels // most), levels) if messages and most else 0
