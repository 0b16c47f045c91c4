"""What a run says of itself: its events, and reading them from a file that is still growing."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Event = dict[str, Any]
"""`{"t", "kind", ...}`; kind is phase (name), progress (done, total, unit), metric (step, values),
note (level, text) or end (status, error, exit, makes). Of the kind exchange (step, before, written, real) there are
events for painters only: they hold message text, so they stand in a file of their own (see `tail_exchanges`)."""

_FIELDS: dict[str, dict[str, Any]] = {
    "phase": {"name": str},
    "progress": {"done": int, "total": (int, type(None)), "unit": str},
    "metric": {"step": int, "values": dict},
    "note": {"level": str, "text": str},
    "end": {"status": str, "error": (str, type(None)), "makes": dict},
}

Said = Mapping[str, str]
"""A line of an exchange: `{"name", "content_type", "text"}`, with any other fields, which are not kept."""

_EVENTS = "events.jsonl"
_EXCHANGES = "exchanges.jsonl"
TAIL_BYTES = 64 * 1024
SAID_FIELDS = ("name", "content_type", "text")
SAID_CHARACTERS = 2000
"""How much of each line of an exchange is kept."""


class Appended:
    """A file of JSON lines that only grows, its owner's alone (0600)."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._torn = False

    @classmethod
    def events(cls, folder: Path) -> Appended:
        """A run's events."""
        return cls(folder / _EVENTS)

    @classmethod
    def exchanges(cls, folder: Path) -> Appended:
        """The exchanges of a training."""
        return cls(folder / _EXCHANGES)

    def add(self, value: Any) -> None:
        """Append a line; one that a full disk cut short is ended before the next, so that only it is lost."""
        line = json.dumps(value, ensure_ascii=True).encode() + b"\n"
        rest = b"\n" + line if self._torn else line
        while rest:
            written = os.write(self._file, rest)
            self._torn, rest = True, rest[written:]
        self._torn = False

    def sync(self) -> None:
        """Wait until the disk has it all."""
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


def now() -> str:
    """The time as events tell it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def exchange_of(step: int, before: Sequence[Said], written: Sequence[Said], real: Said) -> Event:
    """An exchange as it stands in its file; of each line what is shown of it, and the first SAID_CHARACTERS."""
    return {"t": now(), "step": step, "before": _said(before), "written": _said(written), "real": _said([real])[0]}


def _said(lines: Sequence[Said]) -> list[dict[str, str]]:
    return [{field: line[field][:SAID_CHARACTERS] for field in SAID_FIELDS} for line in lines]


def tail(folder: Path, offset: int = 0, limit: int = TAIL_BYTES) -> tuple[list[Event], int]:
    """The whole lines of events after byte `offset`, at most `limit` bytes of them, and the offset after them.

    They are as they stand in the file, a newer version's or a damaged one's among them; see `is_event`.
    """
    return _tail(folder / _EVENTS, offset, limit)


def tail_exchanges(folder: Path, offset: int = 0, limit: int = TAIL_BYTES) -> tuple[list[Event], int]:
    """The same for the exchanges of a training, message text and all; see `is_exchange`."""
    return _tail(folder / _EXCHANGES, offset, limit)


def _tail(path: Path, offset: int, limit: int) -> tuple[list[Event], int]:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(limit)
            while b"\n" not in chunk and (more := file.read(limit)):
                chunk += more
    except FileNotFoundError:
        return [], offset
    whole = chunk[: chunk.rfind(b"\n") + 1]
    found = []
    for line in whole.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):  # torn by a full disk or a kill
            found.append(json.loads(line))
    return found, offset + len(whole)


def latest_exchanges(folder: Path, limit: int) -> int:
    """Where to begin to read so that about the last `limit` bytes of the exchanges are read."""
    try:
        return max((folder / _EXCHANGES).stat().st_size - limit, 0)
    except OSError:
        return 0


def is_event(value: Any) -> bool:
    """True for an event that can be folded: a time, and of the kinds known here every field as it should be."""
    if not _has_time(value) or not isinstance(value.get("kind"), str):
        return False
    return all(isinstance(value.get(name), kind) for name, kind in _FIELDS.get(value["kind"], {}).items())


def is_exchange(value: Any) -> bool:
    """True for an exchange that can be shown: a time, a step, and lines of a name, a content type and a text."""
    if not _has_time(value) or not isinstance(value.get("step"), int):
        return False
    lists = value.get("before"), value.get("written"), [value.get("real")]
    return all(isinstance(lines, list) and all(map(_is_said, lines)) for lines in lists)


def _has_time(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    try:
        datetime.fromisoformat(value["t"])
    except (KeyError, TypeError, ValueError):
        return False
    return True


def _is_said(line: Any) -> bool:
    return isinstance(line, dict) and all(isinstance(line.get(field), str) for field in SAID_FIELDS)


def read_events(folder: Path) -> list[Event]:
    """All events of a run that can be folded."""
    events: list[Event] = []
    offset = 0
    while True:
        more, after = tail(folder, offset)
        if after == offset:
            return events
        events += filter(is_event, more)
        offset = after
