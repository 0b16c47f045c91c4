"""The user's own decisions about people: `data/contacts_to_ids.jsonl`, a line for each person.

`{"contact": "Aidan", "ids": ["+12345678900", "a@icloud.com"]}`; also, where they are needed, `"me": true` (these
addresses are mine, and no other line's are) and `"apart": [...]` (these addresses are somebody else's). Lines that
nothing was decided about are written back byte for byte, those that cannot be read among them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ventriloquist.faults import from_os_error
from ventriloquist.files import write_whole
from ventriloquist.records import Contact

Normalise = Callable[[str], str]


@dataclass(slots=True, eq=False)
class Decision:
    """One line: these addresses, as they were written, are one person. `fields` is all else that stands in it."""

    name: str
    ids: list[str]
    is_me: bool = False
    apart: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    """The line as it stands in the file, or None once it was changed."""

    def line(self) -> bytes:
        """The line without its end."""
        if self.raw is not None:
            return self.raw
        own: dict[str, Any] = {"contact": self.name, "ids": self.ids}
        own |= ({"me": True} if self.is_me else {}) | ({"apart": self.apart} if self.apart else {})
        fields = {**own, **{key: value for key, value in self.fields.items() if key not in _KEYS}}
        try:
            return json.dumps(fields, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # a lone surrogate
            return json.dumps(fields).encode()


_KEYS = ("contact", "ids", "me", "apart")


def read_contacts(path: Path) -> tuple[list[Contact], list[int]]:
    """The contacts of `contacts_to_ids.jsonl`, and the numbers of the lines that could not be read."""
    lines = _lines(path)
    contacts = [Contact(each.name, tuple(each.ids), each.is_me) for each in lines if isinstance(each, Decision)]
    bad = [number for number, line in enumerate(lines, 1) if isinstance(line, bytes) and line.strip()]
    return contacts, bad


def _lines(path: Path) -> list[Decision | bytes]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise from_os_error(error, f"reading {path.name}") from error
    return [_read(line) or line for line in (lines if lines[-1] else lines[:-1])]


def _read(line: bytes) -> Decision | None:
    try:
        fields = json.loads(line)
        name, ids = fields["contact"], fields["ids"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(name, str) or not _are_words(ids):
        return None
    apart = fields.get("apart")
    return Decision(name, ids, fields.get("me") is True, apart if _are_words(apart) else [], fields, line)


def _are_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


class Decisions:
    """The file while it is edited. An address belongs to the first line that holds it."""

    def __init__(self, path: Path, normalise: Normalise) -> None:
        self.path = path
        self.normalise = normalise
        self._lines = _lines(path)
        self._owners: dict[str, Decision] = {}
        for line in self.lines():
            self._own(line)

    def lines(self) -> list[Decision]:
        """The lines that can be read, in their order."""
        return [line for line in self._lines if isinstance(line, Decision)]

    def contacts(self) -> list[Contact]:
        """What `people.identify` takes."""
        return [Contact(line.name, tuple(line.ids), line.is_me) for line in self.lines()]

    def owners(self, handles: Iterable[str]) -> list[Decision]:
        """The lines that decide about these (normalised) handles, in the order of the handles."""
        return list(dict.fromkeys(self._owners[handle] for handle in handles if handle in self._owners))

    def settle(self, name: str, handles: Collection[str], *, is_me: bool = False) -> Decision:
        """One line says that these handles are one person of this name; the lines that said a part of it become it.

        It stands where the first of them stood, and an address that another line has already is left to that one.
        """
        found = self.owners(handles)
        decision = min(found, key=self._lines.index, default=None) or self._appended()
        rest = [line for line in found if line is not decision]
        ids = [each for line in (decision, *rest) for each in line.ids if self._is_owner(line, each)]
        known = {self.normalise(each) for each in ids}
        ids += [handle for handle in handles if handle not in known]
        apart = [each for line in (decision, *rest) for each in line.apart]
        known |= set(handles)
        decision.fields = {key: value for line in (*rest, decision) for key, value in line.fields.items()}
        decision.name, decision.ids, decision.raw = name, self._once(ids), None
        decision.is_me = is_me or any(line.is_me for line in (decision, *rest))
        decision.apart = self._once(each for each in apart if self.normalise(each) not in known)
        self._lines = [line for line in self._lines if line not in rest]
        self._owners.update(dict.fromkeys(known, decision))
        return decision

    def part(self, decision: Decision, handles: Collection[str], name: str) -> Decision:
        """Take handles out of a line into one of their own, right behind it."""
        taken = [each for each in decision.ids if self.normalise(each) in handles]
        decision.ids = [each for each in decision.ids if each not in taken]
        decision.raw = None
        new = Decision(name, taken)
        self._lines.insert(self._lines.index(decision) + 1, new)
        self._owners.update(dict.fromkeys(handles, new))
        return new

    def add(self, name: str, ids: Iterable[str], *, is_me: bool = False) -> Decision:
        """A new line at the end."""
        new = self._appended()
        new.name, new.ids, new.is_me = name, list(ids), is_me
        self._own(new)
        return new

    def extend(self, decision: Decision, ids: Iterable[str]) -> None:
        """More addresses of someone that a line knows."""
        decision.ids = [*decision.ids, *ids]
        decision.raw = None
        self._own(decision)

    def write(self) -> None:
        """Replace the file, for its owner's eyes alone."""
        lines = [line.line() if isinstance(line, Decision) else line for line in self._lines]
        try:
            write_whole(self.path, b"".join(line + b"\n" for line in lines))
        except OSError as error:
            raise from_os_error(error, f"writing {self.path.name}") from error

    def _appended(self) -> Decision:
        new = Decision("", [])
        self._lines.append(new)
        return new

    def _own(self, decision: Decision) -> None:
        for each in decision.ids:
            self._owners.setdefault(self.normalise(each), decision)

    def _is_owner(self, decision: Decision, written: str) -> bool:
        return self._owners.get(self.normalise(written)) is decision

    def _once(self, ids: Iterable[str]) -> list[str]:
        return list({self.normalise(each): each for each in reversed(list(ids))}.values())[::-1]
