"""ventriloquist messages: everything that was collected, for anyone's own use."""

from __future__ import annotations

import sys

import click

from ventriloquist.store import Store
from ventriloquist.text import escape_controls
from ventriloquist.windows.lines import quote
from ventriloquist.workspace import Workspace


def command(name: str) -> click.Command:
    """The messages command."""
    return messages_command


@click.command("messages", help="The collected messages, one JSON object a line, in order of time.")
@click.option("--jsonl", is_flag=True, help="The format (there is only this one).")
@click.option("--details", is_flag=True, help="Also what else is known: earlier versions, mentions, effects, apps.")
@click.pass_obj
def messages_command(workspace: Workspace, jsonl: bool, details: bool) -> None:
    out = sys.stdout.buffer
    with Store.open(workspace) as store:
        for message in store.export(details=details):
            out.write(escape_controls(quote(message)).encode() + b"\n")
    out.flush()
