"""ventriloquist status: what stands, what is missing, what to do next."""

from __future__ import annotations

import json
from typing import Any

import click

from ventriloquist.text import one_line
from ventriloquist.workspace import Workspace


def command(name: str) -> click.Command:
    """The status command."""
    return status_command


@click.command("status", help="What each stage has made, and what to do next.")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def status_command(workspace: Workspace, as_json: bool) -> None:
    from ventriloquist.pipeline.status import next_step, status

    found = status(workspace)
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"Workspace {one_line(str(workspace.root))}")
    for stage in found["stages"]:
        click.echo("  " + _row(stage))
    ledger = found["ledger"]
    if ledger["source_rows"]:
        click.echo(f"\nOf {ledger['source_rows']:,} rows in the source:")
        for verb in ("kept", "dropped"):
            for name, count in sorted(ledger[verb].items(), key=lambda item: -item[1]):
                click.echo(f"  {count:>9,} {verb:<8} {one_line(name)}")
    click.echo(f"\nNext: {next_step(found)}")


def _row(stage: dict[str, Any]) -> str:
    said = " - ".join(one_line(part) for part in (stage["makes"], stage["missing"]) if part)
    return f"{stage['name']:<11} {stage['state']:<8} {said}".rstrip()
