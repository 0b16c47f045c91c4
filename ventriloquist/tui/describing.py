"""What the describe screen shows, read from the disk in one go; and its choices as a command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ventriloquist.faults import Fault
from ventriloquist.pipeline.destination import Destination
from ventriloquist.pipeline.survey import Failure, Latest, Survey, failures, latest, survey_of
from ventriloquist.runfold import RunState, read_state
from ventriloquist.runs import RunInfo, list_runs
from ventriloquist.settings import DescribeSettings
from ventriloquist.store import Store
from ventriloquist.store.stats import stop_when
from ventriloquist.workspace import Workspace

STAGE = DescribeSettings.stage
LATEST = 20
"""Descriptions on the screen, the newest ones."""
GIVEN_ELSEWHERE = ("yes", "dry_run")
"""Options that no form asks for: the screen has a question for the one, and is the other."""
CHOICES = tuple(name for name in DescribeSettings.options() if name not in GIVEN_ELSEWHERE)
CONNECTION = ("provider", "model", "base_url", "allow_remote")

Choices = Mapping[str, Any]
"""Options that the person changed on the screen, by name."""


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of describe that is over: its status, and its events folded."""

    info: RunInfo
    status: str
    state: RunState


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read. `choices` are those that it was read with, `running` a run that lives, `last` the newest that is
    over; `fault` says why there is no survey."""

    choices: Choices
    settings: DescribeSettings | None = None
    survey: Survey | None = None
    failures: Sequence[Failure] = ()
    latest: Sequence[Latest] = ()
    running: RunInfo | None = None
    last: LastRun | None = None
    fault: str = ""


def read(workspace: Workspace, choices: Choices | None, given_up: Callable[[], bool]) -> Reading:
    """Read everything; may take seconds. What is wrong comes as a sentence, never as an exception.

    `choices` None: those of the newest run, if it did not come to its end, so that the next goes on as it would have.
    `given_up` is asked now and then whether anybody still waits.
    """
    running = last = None
    try:
        running, last = _runs(workspace)
        if choices is None:
            kept = _choices_of(workspace, running, last)
            found = _read(workspace, kept, running, last, given_up)
            return found if found.survey or not kept else _read(workspace, {}, running, last, given_up)
        return _read(workspace, choices, running, last, given_up)
    except Fault as fault:
        return Reading(choices or {}, running=running, last=last, fault=str(fault))


def _read(
    workspace: Workspace,
    choices: Choices,
    running: RunInfo | None,
    last: LastRun | None,
    given_up: Callable[[], bool],
) -> Reading:
    try:
        settings = DescribeSettings.load(workspace, **choices)
        destination = Destination.of(settings)
        with Store.open(workspace) as store:
            stop_when(store, given_up)
            found = survey_of(store, settings, destination)
        failed = [] if given_up() else failures(workspace)
        return Reading(choices, settings, found, failed, latest(workspace, LATEST), running, last)
    except Fault as fault:
        return Reading(choices, running=running, last=last, fault=str(fault))


def _runs(workspace: Workspace) -> tuple[RunInfo | None, LastRun | None]:
    """The run that lives, and the newest one that is over: one that has written its end, if it still holds its lock."""
    ours = sorted((run for run in list_runs(workspace) if run.stage == STAGE), key=lambda run: run.started)
    running = None
    for run in reversed(ours):
        state, status = read_state(run)
        if status != "running":
            return running, LastRun(run, status, state)
        running = running or run
    return running, None


def _choices_of(workspace: Workspace, running: RunInfo | None, last: LastRun | None) -> Choices:
    """What the run that lives, or that did not come to its end, was told other than what holds anyway."""
    run = running or (last.info if last and last.status != "done" else None)
    if run is None:
        return {}
    holds = DescribeSettings.load(workspace).public()
    told = {name: run.settings[name] for name in CHOICES if name in run.settings}
    return {name: value for name, value in told.items() if value is not None and value != holds[name]}


def command(choices: Choices, *, yes: bool) -> list[str]:
    """The command line that describes with these choices; files leave this machine only with `yes`."""
    return DescribeSettings.argv(**{**choices, "yes": yes, "dry_run": False})
