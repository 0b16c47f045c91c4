"""ventriloquist status: what stands, what is missing, what to do next, and what became of every row."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from datetime import datetime
from typing import Any

import click

from ventriloquist.text import one_line
from ventriloquist.workspace import Workspace

INDENT = 21
CELL = 10
TOTAL = 12
MOST_COLUMNS = 110
NO_DATE = "no date"


def command(name: str) -> click.Command:
    """The status command."""
    return status_command


@click.command("status", help="What each stage has made, what became of every row, and what to do next.")
@click.option("--ledger", "whole", is_flag=True, help="The whole ledger: year by year, and every past collect.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def status_command(workspace: Workspace, whole: bool, as_json: bool) -> None:
    from ventriloquist.pipeline.status import next_step, status

    found = status(workspace)
    ledger = found["ledger"]
    if as_json:
        click.echo(json.dumps(found))
    elif whole:
        _print_whole(ledger)
    else:
        click.echo(f"Workspace {one_line(str(workspace.root))}")
        for stage in found["stages"]:
            click.echo("  " + _row(stage))
        if ledger["source_rows"]:
            click.echo(f"\nOf {ledger['source_rows']:,} rows in the source:")
            _print_sums(ledger)
            click.echo()
            _print_state(ledger)
        click.echo(f"\nNext: {next_step(found)}")


def _row(stage: dict[str, Any]) -> str:
    said = " - ".join(one_line(part) for part in (stage["makes"], stage["missing"]) if part)
    return f"{stage['name']:<11} {stage['state']:<8} {said}".rstrip()


def _print_sums(ledger: dict[str, Any]) -> None:
    from ventriloquist.pipeline.ledger import KINDS, REASONS, most_first

    for verb, meanings in (("kept", KINDS), ("dropped", REASONS)):
        for name, count in most_first(ledger[verb]):
            click.echo(f"  {count:>9,} {verb:<8} {one_line(name)}")
            if verb == "dropped" and name in meanings:
                click.echo(_wrapped(meanings[name], INDENT))


def _print_state(ledger: dict[str, Any]) -> None:
    states = ledger["attachments"]
    if sum(states.values()):
        click.echo(
            f"Attachments: {states['present']:,} on this disk, {states['offloaded']:,} in iCloud only, "
            f"{states['missing']:,} missing"
        )
    if ledger["newest_message"]:
        changed = ledger["source_changed"]
        told = f"; the history's file was last written {_when(changed)}" if changed else ""
        click.echo(f"Newest message: {_when(ledger['newest_message'])}{told}")
    for warning in ledger["warnings"]:
        click.echo(_wrapped(f"! {one_line(warning)}", 0, "  "))


def _print_whole(ledger: dict[str, Any]) -> None:
    if not ledger["source_rows"]:
        click.echo("Nothing is collected yet. Run: ventriloquist collect")
        return
    click.echo(f"{ledger['source_rows']:,} rows in the source, by the year (UTC) they were sent in\n")
    years = list(ledger["years"])
    for columns in _fitting(years, max(len(name) for verb in ("kept", "dropped") for name in ledger[verb])):
        _print_years(ledger, columns, last=columns[-1] == years[-1])
        click.echo()
    _print_state(ledger)
    times = len(ledger["collects"])
    if times:
        click.echo("\nCollected once:" if times == 1 else f"\nCollected {times} times, the newest first:")
    for each in ledger["collects"]:
        counts = f"{each['rows']:>10,} rows {each['new']:>9,} new {each['changed']:>7,} changed {each['gone']:>7,} gone"
        click.echo(f"  {_when(each['at'])}{counts}")


def _fitting(years: list[str], names: int) -> list[list[str]]:
    """The years in as many tables as the terminal's width asks for."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    each = max((room - names - 2 - TOTAL) // CELL, 1)
    return [years[start : start + each] for start in range(0, len(years), each)]


def _print_years(ledger: dict[str, Any], years: list[str], *, last: bool) -> None:
    """Kinds and reasons as rows, years as columns; the sums over all years in the last table."""
    width = 2 + max(len(name) for verb in ("kept", "dropped") for name in ledger[verb])

    def line(name: str, counts: list[int], total: int) -> str:
        cells = "".join(f"{count:>{CELL},}" if count else f"{'·':>{CELL}}" for count in counts)
        return f"{name:<{width}}{cells}{f'{total:>{TOTAL},}' if last else ''}".rstrip()

    heads = "".join(f"{NO_DATE if year == '0' else year:>{CELL}}" for year in years)
    click.echo(f"{'':<{width}}{heads}{'all':>{TOTAL}}" if last else f"{'':<{width}}{heads}")
    for verb in ("kept", "dropped"):
        for name in sorted(ledger[verb], key=lambda name: -ledger[verb][name]):
            counts = [ledger["years"][year][verb].get(name, 0) for year in years]
            click.echo(line(f"  {one_line(name)}", counts, ledger[verb][name]))
        counts = [sum(ledger["years"][year][verb].values()) for year in years]
        click.echo(line(verb, counts, sum(ledger[verb].values())))
    counts = [sum(sum(each.values()) for each in ledger["years"][year].values()) for year in years]
    click.echo(line("all rows", counts, ledger["source_rows"]))


def _wrapped(sentence: str, indent: int, hanging: str = "") -> str:
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
    return textwrap.fill(sentence, max(width, indent + 20), initial_indent=" " * indent,
                         subsequent_indent=" " * indent + hanging)  # fmt: skip


def _when(time: str) -> str:
    """A time of the ledger as this machine's clock shows it."""
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M}"
