"""Contact, location and calendar cards: only the names, the place and the events in them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from ventriloquist import vcards

_NUMBER = r"[-+]?\d{1,3}(?:\.\d{1,15})?"
_COORDINATES = re.compile(rf"^\s*({_NUMBER})\s*,\s*({_NUMBER})\s*$", re.ASCII)
_WHEN = re.compile(r"^(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\dZ?)?$", re.ASCII)
_NO_PLACES = frozenset({"", "current location", "dropped pin", "location", "my location", "shared location"})


def contact_names(card: str) -> list[str]:
    """The names of the people on a card, in order; see `vcards.name_on`. May be empty."""
    return list(filter(None, map(vcards.name_on, vcards.cards(_lines(card)))))


def place(card: str) -> str:
    """The place of a location card: its name, its coordinates (to about 100 m), or both. May be empty."""
    name, coordinates = "", ""
    for field, value in vcards.fields(_lines(card)):
        if field == "FN" and not name:
            name = vcards.text_of(value)
        elif field in ("URL", "GEO") and not coordinates:
            coordinates = _coordinates(vcards.text_of(value))
    if name.casefold() in _NO_PLACES:
        return coordinates
    return f"{name} ({coordinates})" if coordinates else name


def events(calendar: str) -> list[str]:
    """The events of a calendar file (RFC 5545): what, when (as it is written there) and where. May be empty."""
    found: list[str] = []
    event: dict[str, str] | None = None
    for field, value in vcards.fields(_lines(calendar)):
        if field in ("BEGIN", "END") and value.strip().upper() == "VEVENT":
            if event and (told := _event(event)):
                found.append(told)
            event = {} if field == "BEGIN" else None
        elif event is not None and field in ("SUMMARY", "DTSTART", "LOCATION"):
            event.setdefault(field, vcards.text_of(value))
    return found


def _event(event: dict[str, str]) -> str:
    when = _WHEN.match(event.get("DTSTART", ""))
    date = "-".join(when.groups()[:3]) if when else ""
    moment = f"{date} {when[4]}:{when[5]}" if when and when[4] else date
    what_and_when = ", ".join(filter(None, (event.get("SUMMARY", ""), moment)))
    return " at ".join(filter(None, (what_and_when, event.get("LOCATION", ""))))


def _lines(card: str) -> Iterator[bytes]:
    return vcards.file_lines(io.BytesIO(card.encode("utf-8", "replace")))


def _coordinates(link: str) -> str:
    """Latitude and longitude of a maps link or a geo URI, or "" if it holds none that can be."""
    try:
        parts = urlsplit(link)
        query = parse_qs(parts.query)
    except ValueError:
        return ""
    candidates = [value for key in ("ll", "coordinate", "sll", "q") for value in query.get(key, [])]
    for candidate in [*candidates, parts.path.partition(";")[0] if parts.scheme == "geo" else ""]:
        if match := _COORDINATES.match(candidate):
            latitude, longitude = float(match[1]), float(match[2])
            if abs(latitude) <= 90 and abs(longitude) <= 180:
                return f"{latitude:.3f}, {longitude:.3f}"
    return ""
