"""Contact and location cards (vCard, RFC 2426 and 6350): only the names and the place in them."""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from ventriloquist.text import clean_name

_FOLD = re.compile(r"\r?\n[ \t]")
_ESCAPE = re.compile(r"\\(.)")
_NUMBER = r"[-+]?\d{1,3}(?:\.\d{1,15})?"
_COORDINATES = re.compile(rf"^\s*({_NUMBER})\s*,\s*({_NUMBER})\s*$", re.ASCII)
_NO_PLACES = frozenset({"", "current location", "dropped pin", "location", "my location", "shared location"})


def contact_names(card: str) -> list[str]:
    """The names of the people on a card, in order; FN, else N, else ORG. May be empty."""
    names = []
    for contact in card.split("BEGIN:VCARD"):
        fields = dict(reversed(list(_fields(contact))))  # of equal fields the first counts
        family, _, given = fields.get("N", "").partition(";")
        full_name = f"{given.partition(';')[0]} {family}"
        organisation = fields.get("ORG", "").replace(";", " ")
        name = next(filter(None, map(_unescape, (fields.get("FN", ""), full_name, organisation))), "")
        if name:
            names.append(name)
    return names


def place(card: str) -> str:
    """The place of a location card: its name, its coordinates (to about 100 m), or both. May be empty."""
    name, coordinates = "", ""
    for field, value in _fields(card):
        if field == "FN" and not name:
            name = _unescape(value)
        elif field in ("URL", "GEO") and not coordinates:
            coordinates = _coordinates(_unescape(value))
    if name.casefold() in _NO_PLACES:
        return coordinates
    return f"{name} ({coordinates})" if coordinates else name


def _fields(card: str) -> Iterator[tuple[str, str]]:
    """Field names in upper case, without group and parameters, and their raw values."""
    for line in _FOLD.sub("", card).split("\n"):
        head, colon, value = line.rstrip("\r").partition(":")
        if not colon or len(head) > 200:
            continue
        field, *parameters = head.upper().split(";")
        if "ENCODING=QUOTED-PRINTABLE" in parameters:
            value = quopri.decodestring(value.encode()).decode(errors="replace")
        yield field.rpartition(".")[2], value


def _unescape(value: str) -> str:
    return clean_name(_ESCAPE.sub(lambda match: " " if match[1] in "nN" else match[1], value[:2000]))


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
