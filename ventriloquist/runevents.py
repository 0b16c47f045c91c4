"""What a run says of itself: its events, and reading them from a file that is still growing."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

Event = dict[str, Any]
"""`{"t", "kind", ...}`; kind is phase (name), progress (done, total, unit), metric (step, values),
note (level, text) or end (status, error, exit, makes)."""

_FIELDS: dict[str, dict[str, Any]] = {
    "phase": {"name": str},
    "progress": {"done": int, "total": (int, type(None)), "unit": str},
    "metric": {"step": int, "values": dict},
    "note": {"level": str, "text": str},
    "end": {"status": str, "error": (str, type(None)), "makes": dict},
}

TAIL_BYTES = 64 * 1024


def tail(folder: Path, offset: int = 0, limit: int = TAIL_BYTES) -> tuple[list[Event], int]:
    """The whole lines after byte `offset`, at most `limit` bytes of them, and the offset after them.

    They are as they stand in the file, a newer version's or a damaged one's among them; see `is_event`.
    """
    try:
        with (folder / "events.jsonl").open("rb") as file:
            file.seek(offset)
            chunk = file.read(limit)
            while b"\n" not in chunk and (more := file.read(limit)):
                chunk += more
    except FileNotFoundError:
        return [], offset
    whole = chunk[: chunk.rfind(b"\n") + 1]
    events = []
    for line in whole.split(b"\n")[:-1]:
        with contextlib.suppress(ValueError):  # torn by a full disk or a kill
            events.append(json.loads(line))
    return events, offset + len(whole)


def is_event(value: Any) -> bool:
    """True for an event that can be folded: a time, and of the kinds known here every field as it should be."""
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        return False
    try:
        datetime.fromisoformat(value["t"])
    except (KeyError, TypeError, ValueError):
        return False
    return all(isinstance(value.get(name), kind) for name, kind in _FIELDS.get(value["kind"], {}).items())


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
