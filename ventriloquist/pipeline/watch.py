"""Watching a history: collect, wait until its files were written to, collect again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ventriloquist.faults import Busy, Fault, Stopped
from ventriloquist.locks import hold
from ventriloquist.runs import WATCHING, Run
from ventriloquist.workspace import Workspace

LOOK_EVERY = 1.0
"""Seconds from one look at the files to the next; a message is in the store about twice as long after it was sent."""

State = list[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collect made, what the person should know of it, and the files whose change means that there is more."""

    makes: dict[str, Any]
    summary: str
    warnings: Sequence[str]
    files: Sequence[Path]


def watch(collect: Callable[[], Collected], workspace: Workspace, run: Run) -> NoReturn:
    """Collect again and again until the run is asked to stop, which ends it as Stopped.

    The workspace is held only while a collect is at work, so that other stages can run in between. The first collect
    must succeed; what goes wrong in a later one is told, and tried again with the next change.
    """
    told: set[str] = set()
    with hold(workspace.lock, run.stage):
        collected = collect()
    run.note(collected.summary)
    _warn(run, collected.warnings, told)
    run.phase(WATCHING)
    seen: State | None = None  # so that what was written during the first one is not missed
    while True:
        time.sleep(LOOK_EVERY)
        run.check()
        now = _state(collected.files)
        if now == seen:
            continue
        try:
            with hold(workspace.lock, run.stage):
                collected = collect()
        except Busy:
            continue  # another stage is at work; the change waits
        except Stopped:
            raise
        except Fault as fault:
            _warn(run, [str(fault)], told)
        else:
            _tell(run, collected, told)
        seen = now
        run.phase(WATCHING)


def _warn(run: Run, warnings: Sequence[str], told: set[str]) -> None:
    """Tell what was not told before: most warnings hold for as long as one watches."""
    for warning in warnings:
        if warning not in told:
            told.add(warning)
            run.note(warning, "warning")


def _tell(run: Run, collected: Collected, told: set[str]) -> None:
    if any(collected.makes[what] for what in ("new", "changed", "gone")):
        run.note(collected.summary)
    _warn(run, collected.warnings, told)


def _state(files: Sequence[Path]) -> State:
    found: State = []
    for path in files:
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((path.name, status.st_mtime_ns, status.st_size))
    return found
