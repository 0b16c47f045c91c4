"""Apple's dates: counted from 2001-01-01 UTC, in nanoseconds since High Sierra and in seconds before."""

from __future__ import annotations

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
