"""`training_windows.jsonl` and its report: one window a line, as it is written and as it is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring as _string
from typing import Any

from ventriloquist.faults import NoInput
from ventriloquist.windows.lines import LINE_PIECES, write_fields
from ventriloquist.windows.split import SPLITS
from ventriloquist.workspace import Workspace

_NEEDED = {"sha256", "store", "settings", "windows", "targets", "people"}


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of one conversation. The last `targets` of its message lines bear loss."""

    text: str
    targets: int
    conversation: str
    split: str


def read_report(workspace: Workspace) -> dict[str, Any] | None:
    """What preprocess says it made, or None if it has not ended yet."""
    try:
        report = json.loads(workspace.windows_report.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        report = None
    if not isinstance(report, dict) or not report.keys() >= _NEEDED:
        raise NoInput(f"{workspace.windows_report} cannot be read. Run: ventriloquist preprocess")
    return report


def need_report(workspace: Workspace) -> dict[str, Any]:
    """The report; raises NoInput when there are no windows."""
    report = read_report(workspace)
    if report is None or not workspace.windows.is_file():
        raise NoInput("There are no training windows yet. Run: ventriloquist preprocess")
    return report


def read_windows(workspace: Workspace, *splits: str) -> Iterator[Window]:
    """The windows of these splits (all if none is named), in the file's order; raises NoInput if it is damaged."""
    wanted = splits or SPLITS
    try:
        with workspace.windows.open("rb") as file:
            for line in file:
                fields = json.loads(line)
                if fields["split"] in wanted:
                    yield Window(fields["text"], fields["targets"], fields["conversation"], fields["split"])
    except FileNotFoundError:
        raise NoInput("There are no training windows yet. Run: ventriloquist preprocess") from None
    except (ValueError, KeyError, TypeError):
        raise NoInput(f"{workspace.windows} is damaged. Run ventriloquist preprocess again.") from None


def in_file(line: str) -> bytes:
    """A line of a window, as `lines.write` makes it, as it stands in the file: inside the JSON string of the text."""
    return _string(line)[1:-1].encode()


def message_in_file(name: str, delta: str, reply_to: str | None, content_type: str, text: str) -> bytes:
    """`in_file` of what `lines.write_fields` makes of these fields, in less time."""
    reply = "null" if reply_to is None else _twice(reply_to)
    line = f"{_opening(name, delta)}{reply}{_middle(content_type)}{_string(_string(text))[1:-1]}{_END}"
    try:
        return line.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return in_file(write_fields(name, delta, reply_to, content_type, text))


def _twice(text: str) -> str:
    """A string as JSON inside of a JSON string."""
    return _string(_string(text))[1:-1]


@lru_cache(4096)
def _opening(name: str, delta: str) -> str:
    return f"{_NAME}{_twice(name)}{_DELTA}{_twice(delta)}{_REPLY_TO}"


@lru_cache(64)
def _middle(content_type: str) -> str:
    return f"{_CONTENT_TYPE}{_twice(content_type)}{_TEXT}"


_NAME, _DELTA, _REPLY_TO, _CONTENT_TYPE, _TEXT, _END = (_string(piece)[1:-1] for piece in LINE_PIECES)


def file_line(lines: Iterable[bytes], targets: int, conversation: str, split: str) -> bytes:
    """A window as its line of the file, with its newline, from its lines as they stand there."""
    rest = f'", "targets": {targets:d}, "conversation": {_string(conversation)}, "split": {_string(split)}}}\n'
    return b"".join([b'{"text": "', *lines, rest.encode()])


def spread(items: list[str], count: int) -> list[str]:
    """At most `count` of the items, evenly spread over them."""
    if len(items) <= count:
        return items
    return [items[index * len(items) // count] for index in range(count)]
