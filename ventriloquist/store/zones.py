"""Time zones: by how much local time differs from UTC at each moment, summer time and all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ventriloquist.faults import UsageFault
from ventriloquist.text import one_line

DAY = 86400
_EARLIEST, _LATEST = -(DAY * 365 * 60), DAY * 365 * 230
"""Seconds since 1970; offsets change in these years only, which bounds the search of odd dates."""
_LOCALTIME = Path("/etc/localtime")
_SHOWN = 60
NO_DATABASE = "This machine has no time zone database (the package tzdata)"


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone. `rule` gives the seconds east of UTC at a second since 1970; `note` is what the user should know
    of the choice."""

    name: str
    rule: Callable[[int], int]
    note: str | None = None

    def offset(self, second: int) -> int:
        """Seconds east of UTC at a second since 1970; before and after all known rules, those of the nearest year."""
        return self.rule(min(max(second, _EARLIEST), _LATEST))

    def stretches(self, first: int, last: int) -> list[tuple[int, int]]:
        """(start, offset) of every stretch of one offset between two seconds since 1970, the first from `first` on."""
        start, end = max(first, _EARLIEST), min(last, _LATEST)
        found = [(start, self.offset(start))]
        for day in range(start + DAY, end + DAY, DAY):
            offset = self.offset(day)
            if offset != found[-1][1]:
                found.append((self._change(day - DAY, day), offset))
        return found

    def _change(self, before: int, after: int) -> int:
        """The second at which the offset becomes that of `after`."""
        offset = self.offset(after)
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (before, middle) if self.offset(middle) == offset else (middle, after)
        return after


def find_zone(name: str | None) -> Zone:
    """The zone of this name, or this machine's own; raises a UsageFault where there is none of that name."""
    if name is None:
        return _own_zone()
    zone = _zone(name)
    if zone:
        return zone
    if not available_timezones():
        raise UsageFault(f"{NO_DATABASE}; only UTC is known here.")
    raise UsageFault(f"There is no time zone called {one_line(name, _SHOWN)}; write one such as Europe/Berlin or UTC.")


def _zone(name: str) -> Zone | None:
    if name.upper() == "UTC":
        return Zone("UTC", lambda second: 0)
    try:
        return Zone(name, partial(_offset_in, ZoneInfo(name)))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _offset_in(zone: tzinfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def _own_zone() -> Zone:
    """As $TZ or /etc/localtime name it, else as the C library has it, which knows rules without a name too."""
    name = os.environ.get("TZ", "").removeprefix(":") or _name_of(_LOCALTIME)
    found = _zone(name) if name else None
    if found:
        return found
    if "/" in name and not available_timezones():
        return Zone("UTC", lambda second: 0, f"{NO_DATABASE}, so hours are in UTC and not in {one_line(name, _SHOWN)}.")
    return Zone(name or time.strftime("%Z"), lambda second: time.localtime(second).tm_gmtoff)


def _name_of(link: Path) -> str:
    try:
        return str(link.resolve(strict=True)).partition("/zoneinfo/")[2]
    except (OSError, RuntimeError):
        return ""
