"""Contact and location cards: only the names and the place in them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from ventriloquist import vcards

_NUMBER = r"[-+]?\d{1,3}(?:\.\d{1,15})?"
_COORDINATES = re.compile(rf"^\s*({_NUMBER})\s*,\s*({_NUMBER})\s*$", re.ASCII)
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
