"""A line that is still being written: its name as soon as it stands, its text as it grows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ventriloquist.windows.lines import DELTAS, Line, LineError, quote, read

_ESCAPE_CUT = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?$")


class Grown(NamedTuple):
    """What became certain: a `name`, or more `text`."""

    kind: str
    value: Any


@dataclass(slots=True)
class PartialLine:
    """Fed with everything written so far; yields what is new."""

    written: str = ""
    name: str | None = None
    shown: str = ""
    text_start: int = -1

    @property
    def complete(self) -> bool:
        return self.written.endswith("}\n")

    def grow(self, written: str) -> Iterator[Grown]:
        """Take the line as it now stands; a character whose bytes are not all there yet is held back."""
        self.written = written
        if self.name is None and (name := self._name()) is not None:
            self.name = name
            yield Grown("name", name)
        text = self._text()
        if text is not None and len(text) > len(self.shown):
            fresh, self.shown = text[len(self.shown) :], text
            yield Grown("text", fresh)

    def _name(self) -> str | None:
        start = len('{"name": ')
        try:
            name, _ = json.JSONDecoder().raw_decode(self.written, start)
        except ValueError:
            return None
        return name if isinstance(name, str) else None

    def _text(self) -> str | None:
        """The text so far, unescaped; None before it begins."""
        if self.text_start < 0:
            self.text_start = self._find_text()
        if self.text_start < 0:
            return None
        raw = self.written[self.text_start :]
        end = _closing_quote(raw)
        raw = raw[:end] if end is not None else _ESCAPE_CUT.sub("", raw.rstrip("\ufffd"))
        try:
            text = json.loads(f'"{raw}"', strict=False)
        except ValueError:
            return self.shown
        if end is None and text and "\ud800" <= text[-1] <= "\udbff":
            text = text[:-1]  # half of an escaped pair
        return str(text)

    def _find_text(self) -> int:
        """Where the text's value begins: the fields before it are parsed, not searched for in strangers' text."""
        decoder, position = json.JSONDecoder(), 1
        try:
            while True:
                key, position = decoder.raw_decode(self.written, position)
                if key == "text":
                    return position + 3 if len(self.written) >= position + 3 else -1
                _, position = decoder.raw_decode(self.written, position + 2)
                position += 2
        except (ValueError, IndexError):
            return -1

    def closed(self) -> Line:
        """A valid line from what stands, its text cut where it stands."""
        if self.text_start >= 0:
            head = self.written[: self.text_start - 1]
            try:
                line = read(head + quote(self.shown) + "}\n")
            except LineError:
                line = None
            if isinstance(line, Line):
                return line
        return Line(self.name or "", DELTAS[0], None, "text", self.shown)


def _closing_quote(raw: str) -> int | None:
    position = 0
    while position < len(raw):
        if raw[position] == "\\":
            position += 2
        elif raw[position] == '"':
            return position
        else:
            position += 1
    return None
