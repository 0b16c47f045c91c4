"""A line that is still being written: its name as soon as it stands, its text as it grows.

Each character is looked at once, however the line is cut into parts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ventriloquist.windows.lines import CONTENT_TYPES, DELTAS, KEYS, LINE_PIECES, Line, LineError, quote, read

_WHOLE = re.compile(r'(?:[^"\\]+|\\(?:u[0-9a-fA-F]{4}|[^u]))*')
"""Characters and whole escapes, up to a quote or to what has only begun."""
_HALF_PAIR = re.compile(r"(\\+)u[dD][89abAB][0-9a-fA-F]{2}$")
"""The escape of a high surrogate, if its backslashes are odd in number."""
_ESCAPE = 6
_decoder = json.JSONDecoder()


class Grown(NamedTuple):
    """What became certain: a `name`, or more `text`."""

    kind: str
    value: Any


@dataclass(slots=True)
class PartialLine:
    """Fed with what is written; yields what is new."""

    name: str | None = None
    text_start: int = -1
    """Where the text's value begins in what is written, behind its quote; -1 before that."""
    _head: str = ""
    _position: int = 1
    _key: str = ""
    _parts: list[str] = field(default_factory=list)
    _shown: list[str] = field(default_factory=list)
    _held: str = ""
    _after: str | None = None
    _broken: bool = False

    @property
    def written(self) -> str:
        """Everything so far, as it was written."""
        return self._head + "".join(self._parts)

    @property
    def shown(self) -> str:
        """The text so far, unescaped."""
        return "".join(self._shown)

    @property
    def in_text(self) -> bool:
        """True between the quotes of the text."""
        return self.text_start >= 0 and self._after is None

    @property
    def complete(self) -> bool:
        return self._after is not None and self._after.endswith("}\n")

    def grow(self, fresh: str) -> Iterator[Grown]:
        """Take what was written next: whole characters, not what stands for parts of one."""
        if self.text_start < 0:
            self._head += fresh
            yield from self._read_head()
            if self.text_start < 0:
                return
            fresh, self._head = self._head[self.text_start :], self._head[: self.text_start]
        if fresh:
            self._parts.append(fresh)
        if text := self._read_text(fresh):
            self._shown.append(text)
            yield Grown("text", text)

    def _read_head(self) -> Iterator[Grown]:
        """The fields before the text are parsed, not searched for in strangers' text."""
        try:
            while self.text_start < 0:
                if not self._key:
                    self._key, self._position = _decoder.raw_decode(self._head, self._position)
                if self._key == KEYS[-1]:
                    if len(self._head) >= self._position + 3:
                        self.text_start = self._position + 3
                    return
                value, end = _decoder.raw_decode(self._head, self._position + 2)
                if self._key == KEYS[0] and isinstance(value, str):
                    self.name = value
                    yield Grown("name", value)
                self._key, self._position = "", end + 2
        except (ValueError, IndexError):
            return

    def _read_text(self, fresh: str) -> str:
        """What of the text became certain."""
        if self._after is not None:
            self._after += fresh
            return ""
        raw = self._held + fresh
        match = _WHOLE.match(raw)
        end = match.end() if match else 0
        if raw[end : end + 1] == '"':
            self._after = raw[end + 1 :]
        elif (half := _HALF_PAIR.search(raw, 0, end)) and len(half[1]) % 2:
            end -= _ESCAPE
        self._held = raw[end:]
        try:
            return str(json.loads(f'"{raw[:end]}"', strict=False)) if end and not self._broken else ""
        except ValueError:
            self._broken = True
            return ""

    def closed(self) -> Line:
        """A valid line from what stands, its text cut where it stands."""
        if self.text_start >= 0:
            try:
                line = read(self._head[:-1] + quote(self.shown) + "}\n")
            except LineError:
                line = None
            if isinstance(line, Line):
                return line
        return Line(self.name or "", DELTAS[0], None, "text", self.shown)


def likely_opening(written: str, names: Sequence[str], replies: Sequence[str]) -> str:
    """How a line that begins with `written` probably goes on, up to its text: of each field the first value that fits,
    the likeliest first."""
    opening = ""
    fields = (names, DELTAS, (None, *replies), CONTENT_TYPES)
    for piece, values in zip(LINE_PIECES, fields, strict=False):
        opening += piece
        longer = (opening + quote(value) for value in values)
        opening = next((fits for fits in longer if fits.startswith(written) or written.startswith(fits)), opening)
    return opening + LINE_PIECES[len(fields)]
