"""Apple's dates: counted from 2001-01-01 UTC, in nanoseconds since High Sierra and in seconds before."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from ventriloquist.records import EPOCH

APPLE_EPOCH = 978_307_200
_MICROSECONDS = 1_000_000
_MOST_SECONDS = 10**11
_LATEST = 253_402_300_800 * _MICROSECONDS  # the year 10000


def sent_at(value: int | None) -> int:
    """Microseconds since 1970 UTC, or 0 for a date that is unset or impossible.

    The unit is decided for each value, since a database that went through an upgrade can hold both.
    """
    if not value:
        return 0
    micros = value // 1000 if abs(value) > _MOST_SECONDS else value * _MICROSECONDS
    micros += APPLE_EPOCH * _MICROSECONDS
    return micros if 0 < micros < _LATEST else 0


def edited_at(value: Any) -> int:
    """Microseconds since 1970 UTC, or 0, of the date of an edit: seconds since 2001, or a property list's date."""
    if isinstance(value, datetime):
        return max(0, (value.replace(tzinfo=value.tzinfo or UTC) - EPOCH) // timedelta(microseconds=1))
    if isinstance(value, int):
        return 0 if isinstance(value, bool) else sent_at(value)
    if not isinstance(value, float) or not math.isfinite(value):
        return 0
    if abs(value) > _MOST_SECONDS:
        return sent_at(int(value))
    micros = round(value * _MICROSECONDS) + APPLE_EPOCH * _MICROSECONDS
    return micros if value and 0 < micros < _LATEST else 0
