"""ventriloquist describe: the stage, the question before anything is sent, and what there is and what it cost."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.cells import cell_len

from ventriloquist.cli.stages import flags, run_stage, ways
from ventriloquist.pipeline.survey import Failure, Row, Survey, failures, survey
from ventriloquist.settings import DescribeSettings
from ventriloquist.store.describing import STATES
from ventriloquist.store.spending import Spent
from ventriloquist.text import dollars, one_line
from ventriloquist.workspace import Workspace

_LEFT_OUT = {
    "strangers": "from conversations in which nobody has a name; --strangers sends them too",
    "without": "from conversations that --without leaves out",
    "not among --only": "from conversations that --only leaves out",
}


def command(name: str) -> click.Command:
    """The describe command."""

    @click.pass_obj
    def callback(workspace: Workspace, /, as_json: bool, detach: bool, stats: bool, **given: Any) -> None:
        if stats:
            _print_stats(workspace, _settings(workspace, given), as_json=as_json)
            return
        run_stage(workspace, name, given, as_json=as_json, detach=detach)
        if as_json or detach:
            return
        settings = _settings(workspace, given)
        if settings.dry_run:
            click.echo("\n".join(survey_lines(survey(settings, workspace))))
        elif _agreed(settings, workspace):
            run_stage(workspace, name, {**given, "yes": True})

    told = click.Option(["--stats"], is_flag=True, help="Tell what there is by type and state, and what it has cost.")
    return click.Command(
        name, params=[*flags(DescribeSettings), told, *ways()], callback=callback, help=DescribeSettings.__doc__
    )


def _settings(workspace: Workspace, given: Mapping[str, Any]) -> DescribeSettings:
    return DescribeSettings.load(workspace, **given)


def _agreed(settings: DescribeSettings, workspace: Workspace) -> bool:
    """Ask whether the files that could be described may be sent; no where nobody can be asked or nothing is to send."""
    if settings.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    found = survey(settings, workspace)
    if not found.rows or found.missing or not found.needs_consent:
        return False
    click.echo("\n".join(survey_lines(found)), err=True)
    return click.confirm(f"Send these files to {one_line(found.where)}?", err=True)


# --- what would be sent -----------------------------------------------------------------------------------------


def survey_lines(found: Survey) -> Iterator[str]:
    """What would be sent, by type, with what it would cost at most; and what would not."""
    prices = f", prices as of {found.prices_as_of}" if found.prices_as_of else ""
    model = one_line(found.model) or "its only model"
    if found.rows:
        yield f"To {one_line(found.where)} ({model}{prices}):"
        head = ["type", "files", "size", "requests", "tokens in", "tokens out", "at most"]
        rows = [*found.rows, found.total] if len(found.rows) > 1 else found.rows
        is_known = any(row.likely_micro_usd is not None for row in rows)
        cells = [[*head, "likely"], *map(_cells, rows)]
        yield from table(cells if is_known else [row[:-1] for row in cells])
        yield "Identical files are sent once. Tokens and money: at most, if each is answered at once."
    else:
        yield "There is nothing left that could be sent."
    if found.beyond_limit:
        yield f"{found.beyond_limit:,} more are left for later by --limit."
    for reason, files in found.left_out.items():
        yield f"{files:,} left out: {_LEFT_OUT[reason]}."
    if found.to_retry:
        yield f"{found.to_retry:,} failed for good; --retry-failed asks about them again."
    if found.rows and found.missing:
        yield f"No key: {found.missing}."


def _cells(row: Row) -> list[str]:
    return [
        row.noun, f"{row.files:,}", f"{row.bytes / 1e6:,.1f} MB", f"{row.requests:,}", f"{row.input_tokens:,}",
        f"{row.output_tokens:,}", dollars(row.micro_usd), dollars(row.likely_micro_usd),
    ]  # fmt: skip


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows as lines: the first column to the left, all others to the right."""
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first = row[0] + " " * (widths[0] - cell_len(row[0]))
        rest = (" " * (width - cell_len(cell)) + cell for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  " + "  ".join([first, *rest]).rstrip()


# --- what there is ----------------------------------------------------------------------------------------------


def _print_stats(workspace: Workspace, settings: DescribeSettings, *, as_json: bool) -> None:
    found, failed = survey(settings, workspace), failures(workspace)
    if as_json:
        told = {"states": found.states, "spent": [asdict(each) for each in found.spent]}
        click.echo(json.dumps({**told, "failures": [asdict(each) for each in failed]}))
        return
    lines = [*_state_lines(found.states), *_spent_lines(found.spent), *failure_lines(failed)]
    click.echo("\n".join(lines))


def _state_lines(states: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    if not states:
        yield "There are no attachments."
        return
    used = [state for state in STATES if any(state in counts for counts in states.values())]
    yield "Attachments by type and state:"
    ordered = sorted(states.items(), key=lambda item: -sum(item[1].values()))
    rows = [[noun, *(f"{counts.get(state, 0):,}" for state in used), f"{sum(counts.values()):,}"]
            for noun, counts in ordered]  # fmt: skip
    yield from table([["type", *used, "all"], *rows])


def _spent_lines(spent: Sequence[Spent]) -> Iterator[str]:
    if not spent:
        yield "Nothing was sent so far."
        return
    yield "Sent so far, by model:"
    head = ["model", "requests", "described", "blocked", "failed", "retry", "tokens in", "tokens out", "cost"]
    head.append("prices of")
    rows = [
        [
            one_line(each.model, 60), f"{each.requests:,}", f"{each.described:,}", f"{each.blocked:,}",
            f"{each.failed:,}", f"{each.retry:,}", f"{each.input_tokens:,}", f"{each.output_tokens:,}",
            dollars(each.micro_usd if each.prices_as_of else None), each.prices_as_of or "",
        ]
        for each in spent
    ]  # fmt: skip
    yield from table([head, *rows])


def failure_lines(failed: Sequence[Failure]) -> Iterator[str]:
    """Why files have no description, and what can be done about it."""
    if failed:
        yield "Without a description:"
    for each in failed:
        why = f"{each.state} ({each.reason})" if each.reason else each.state
        yield f"  {each.files:,} {one_line(why)}: {each.advice}"
