"""ventriloquist runs list | watch | stop | resume."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from ventriloquist import runs
from ventriloquist.cli.paint import duration, painting, progress_words
from ventriloquist.faults import Exit, Fault
from ventriloquist.locks import is_locked
from ventriloquist.runevents import is_event, is_exchange, latest_exchanges, tail_exchanges
from ventriloquist.runfold import RunState, read_state, status_of
from ventriloquist.text import one_line
from ventriloquist.workspace import Workspace

WATCH_SECONDS = 0.25
EXCHANGE_BYTES = 8192
"""How much of the exchanges before is shown to whoever begins to watch."""


def command(name: str) -> click.Command:
    """The group of commands about runs."""
    return group


@click.group("runs", help="List, watch, stop and resume runs.")
def group() -> None:
    pass


@group.command("list", help="All runs of the workspace, the oldest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(workspace: Workspace, as_json: bool) -> None:
    found = runs.list_runs(workspace)
    for run in found:
        state, status = read_state(run)
        if as_json:
            click.echo(json.dumps(_as_object(run, state, status)))
        else:
            click.echo(f"{run.id:<28} {status:<8} {one_line(_words(state), 80)}".rstrip())
    if not found and not as_json:
        click.echo("No run yet. Start one: ventriloquist collect", err=True)


def _as_object(run: runs.RunInfo, state: RunState, status: str) -> dict[str, Any]:
    return {
        "id": run.id,
        "stage": run.stage,
        "status": status,
        "started": run.started,
        "seconds": round(state.seconds, 3),
        "phase": state.phase,
        "done": state.done,
        "total": state.total,
        "error": state.error,
        "makes": state.makes,
    }


def _words(state: RunState) -> str:
    if state.error:
        return state.error
    if state.end:
        return f"{duration(state.seconds)}"
    return ", ".join(filter(None, (state.phase, *progress_words(state)[:4])))


@group.command(help="Follow a run until it ends; Ctrl-C stops watching, not the run.")
@click.argument("run_id")
@click.option("--json", "as_json", is_flag=True, help="Print its events as JSON lines.")
@click.pass_obj
def watch(workspace: Workspace, run_id: str, as_json: bool) -> None:
    run = runs.find_run(workspace, run_id)
    state, offset, said = RunState(), 0, latest_exchanges(run.folder, EXCHANGE_BYTES)
    with painting(run.stage, as_json=as_json) as paint:
        while not state.end:
            alive = is_locked(run.folder / "lock")
            events, after = runs.tail(run.folder, offset)
            for event in filter(is_event, events):
                state.add(event)
                paint(event)
            exchanges, said = tail_exchanges(run.folder, said)
            for each in filter(is_exchange, exchanges):
                paint({**each, "kind": "exchange"})
            if after == offset:
                if not alive:
                    break
                time.sleep(WATCH_SECONDS)
            offset = after
    status = status_of(state, alive=False)
    if status == "lost":
        raise Fault(f"{run.id} ended without a word. Go on with: ventriloquist runs resume {run.id}")
    if status != "done":
        fault = Fault(state.error or status)
        fault.exit = Exit(state.exit) if state.exit else Exit.FAILED
        raise fault
    click.echo(f"{run.id}: done", err=True)


@group.command(help="Ask a run to save what it has and end.")
@click.argument("run_id")
@click.pass_obj
def stop(workspace: Workspace, run_id: str) -> None:
    run = runs.find_run(workspace, run_id)
    runs.stop(run)
    click.echo(f"{run.id} was asked to stop; it saves and ends.", err=True)


@group.command(help="Start a run's command again, in the background; it goes on from what stands.")
@click.argument("run_id")
@click.pass_obj
def resume(workspace: Workspace, run_id: str) -> None:
    run = runs.find_run(workspace, run_id)
    click.echo(runs.resume(workspace, run))
