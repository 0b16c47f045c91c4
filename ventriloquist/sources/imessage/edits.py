"""Edited and unsent messages: what `message_summary_info` says became of the parts (Ventura and later)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ventriloquist.sources.imessage.dates import edited_at
from ventriloquist.sources.imessage.plists import PlistError, read_plist
from ventriloquist.sources.imessage.typedstream import TypedStreamError, text_of

_SLOT = "\ufffc"


class Version(NamedTuple):
    """What a part said from `at` on (microseconds since 1970 UTC, 0 where that is not known)."""

    at: int
    text: str


class Range(NamedTuple):
    """Where a part stood in the message as it was sent first, in UTF-16 code units."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Summary:
    """`parts` are all parts that the message was sent with, `unsent` those taken back, `versions` what the edited
    ones said, oldest first and as they are now last; none are kept of an unsent part. `original` is the whole message
    as it was sent, where a history tells all of it."""

    parts: Mapping[int, Range | None] = field(default_factory=dict)
    unsent: frozenset[int] = frozenset()
    versions: Mapping[int, tuple[Version, ...]] = field(default_factory=dict)
    original: str | None = None

    @property
    def all_unsent(self) -> bool:
        return bool(self.parts) and self.parts.keys() <= self.unsent

    @property
    def text_changed(self) -> bool:
        """False where only the style of the words was edited."""
        return any(len({version.text for version in versions}) > 1 for versions in self.versions.values())

    def text_now(self, column: str | None) -> str | None:
        """What the parts say now, one after the other, for a message whose body is lost; None if that is not known.

        Parts that nobody edited are as they were sent: in the text `column`, or in a history of the whole message.
        """
        found = []
        for part in sorted({*self.parts, *self.versions} - self.unsent):
            text = self.versions[part][-1].text if part in self.versions else self._as_sent(part, column)
            if text is None and column:
                return None
            found.append("" if text is None or text == _SLOT else text)
        return "".join(found) if self.versions else None

    def _as_sent(self, part: int, column: str | None) -> str | None:
        place = self.parts.get(part)
        for whole in (column, self.original):
            if place and whole and _units(whole) == _length(self.parts):
                return _cut(whole, place.start, place.start + place.length)
        return None

    def without_unsent(self, text: str) -> str:
        """The text of a message without what was taken back, where all of it still stands there."""
        if not self.unsent or _units(text) != _length(self.parts):
            return text
        kept = [place for part, place in sorted(self.parts.items()) if part not in self.unsent]
        return "".join(_cut(text, place.start, place.start + place.length) for place in kept if place)


def read_summary(blob: bytes | None) -> Summary | None:
    """The summary, or None where there is none that can be read.

    `otr` has a key for each original part with its place (`lo`, `le`), `rp` lists the retracted ones, `ec` holds the
    history of edited parts, the original first: of each its date (`d`) and its text (`t`, a typedstream).
    """
    try:
        info = read_plist(blob, xml=True) if blob else None
    except PlistError:
        return None
    if not isinstance(info, dict):
        return None
    parts = {part: _range(place) for part, place in _by_part(info.get("otr")).items()}
    unsent = frozenset(part for part in map(_number, _list(info.get("rp"))) if part is not None)
    versions, original = {}, None
    for part, history in sorted(_by_part(info.get("ec")).items()):
        told = _versions(history)
        if told and _is_whole(told[0].text, part, parts):
            original = told[0].text
            told = [Version(each.at, _part_of(each.text, told[0].text, parts[part])) for each in told]
        if told and part not in unsent:
            versions[part] = tuple(told)
    return Summary(parts, unsent, versions, original)


def _is_whole(first: str, part: int, parts: Mapping[int, Range | None]) -> bool:
    """True for a history that tells the whole message each time, and not the one part."""
    place = parts.get(part)
    return bool(place) and place is not None and place.length != _units(first) == _length(parts)


def _part_of(text: str, first: str, place: Range | None) -> str:
    """The part in a version of the whole message: what stands before and after it is as it was in the first."""
    if place is None:
        return text
    after = _units(first) - place.start - place.length
    return _cut(text, place.start, max(place.start, _units(text) - after))


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _cut(text: str, start: int, end: int) -> str:
    return text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * end].decode("utf-16-le", "surrogatepass")


def _length(parts: Mapping[int, Range | None]) -> int:
    """How long the message was that the parts were, or -1 if that is not known."""
    if not parts or None in parts.values():
        return -1
    return max(place.start + place.length for place in parts.values() if place)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _by_part(value: Any) -> dict[int, Any]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {part: each for key, each in pairs if (part := _number(key)) is not None}


def _range(value: Any) -> Range | None:
    start, length = (_number(value.get(key)) for key in ("lo", "le")) if isinstance(value, dict) else (None, None)
    return None if start is None or length is None else Range(start, length)


def _versions(history: Any) -> list[Version]:
    """The versions whose text can be read."""
    found = []
    for version in _list(history):
        body = version.get("t") if isinstance(version, dict) else None
        if isinstance(body, bytes):
            try:
                found.append(Version(edited_at(version.get("d")), text_of(body)))
            except TypedStreamError:
                continue
    return found
