"""ventriloquist people: who is in the history."""

from __future__ import annotations

import json

import click

from ventriloquist.store import Store
from ventriloquist.text import one_line
from ventriloquist.workspace import Workspace


def command(name: str) -> click.Command:
    """The group of commands about people."""
    return group


@click.group("people", help="Who is in the history.")
def group() -> None:
    pass


@group.command("list", help="Everyone, with their numbers and addresses.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(workspace: Workspace, as_json: bool) -> None:
    with Store.open(workspace) as store:
        for person in sorted(store.people().values(), key=lambda person: (person.is_me, person.name.casefold())):
            if as_json:
                fields = {"name": person.name, "handles": list(person.handles), "is_me": person.is_me}
                click.echo(json.dumps(fields))
            else:
                handles = ", ".join(person.handles)
                click.echo(f"{one_line(person.name)}{' (you)' if person.is_me else ''}  {one_line(handles)}".rstrip())
