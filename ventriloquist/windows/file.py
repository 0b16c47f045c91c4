"""Reading `training_windows.jsonl` and its report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ventriloquist.faults import NoInput
from ventriloquist.windows.build import SPLITS, Window
from ventriloquist.workspace import Workspace

_NEEDED = {"sha256", "store", "settings", "windows", "targets", "people"}


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


def spread(items: list[str], count: int) -> list[str]:
    """At most `count` of the items, evenly spread over them."""
    if len(items) <= count:
        return items
    return [items[index * len(items) // count] for index in range(count)]
