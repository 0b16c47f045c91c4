"""No command: the full-screen app."""

from __future__ import annotations

import sys

import click

from ventriloquist.faults import UsageFault
from ventriloquist.workspace import Workspace


def open_app(workspace: Workspace) -> None:
    """Open the app, and say afterwards how to come back to what still runs."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageFault("The app needs a terminal. In a script, use a command: ventriloquist --help")
    from ventriloquist import tui

    for run_id in tui.run(workspace):
        click.echo(f"{run_id} goes on. Come back with: ventriloquist runs watch {run_id}", err=True)
