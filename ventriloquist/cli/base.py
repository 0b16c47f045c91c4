"""ventriloquist base fetch | list: the bases that a model can be trained on."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import click

from ventriloquist import runs
from ventriloquist.cli.paint import painting
from ventriloquist.faults import Stopped, UsageFault
from ventriloquist.text import escape_controls, one_line
from ventriloquist.workspace import Workspace


def command(name: str) -> click.Command:
    """The group of commands about bases."""
    return group


@click.group("base")
def group() -> None:
    """The models that a training can start from: list them, and get one.

    Nothing but `base fetch` ever gets a model from the network; everything that uses one works without.
    """


@group.command()
@click.argument("base", metavar="ID")
@click.option("--revision", default="main", metavar="REV", help="A branch, tag or commit [default: main].")
@click.option("--yes", is_flag=True, help="Fetch without asking.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's events as JSON lines.")
@click.option("--detach", is_flag=True, help="Start in the background, print the run's id, and return.")
@click.pass_obj
def fetch(workspace: Workspace, base: str, revision: str, yes: bool, as_json: bool, detach: bool) -> None:
    """Bring a base from Hugging Face to this machine.

    ID is a model's name there, such as Qwen/Qwen3-8B-Base. Only what training needs is fetched, every file is
    verified, and the commit is remembered in data/bases.json, so that this workspace goes on using the same one. A
    fetch that was broken off goes on where it was. HF_TOKEN, HF_HOME and HF_ENDPOINT mean what they mean everywhere.
    """
    from ventriloquist.model import fetch as fetching

    wanted = fetching.Fetch(base, revision)
    if not yes and not _agreed(wanted):
        raise Stopped("Nothing was fetched.")
    argv = ["base", "fetch", base, "--revision", revision, "--yes"]
    if detach:
        run_id = runs.start(workspace, fetching.STAGE, argv)
        click.echo(run_id)
        click.echo(f"Watch it with: ventriloquist runs watch {run_id}", err=True)
        return
    with painting(fetching.STAGE, as_json=as_json) as paint:
        makes = runs.perform(fetching.STAGE, fetching.fetch, wanted, workspace, argv, paint)
    if not as_json:
        click.echo(f"{one_line(makes['base'])} is here, pinned at {makes['revision'][:12]}.", err=True)
        click.echo(f"Train on it: ventriloquist train --base {one_line(makes['base'])}", err=True)


def _agreed(wanted: Any) -> bool:
    """Show what would be fetched, and ask; nothing to fetch is no question."""
    from ventriloquist.model.fetch import offer

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageFault("Nobody can be asked here; give --yes to fetch without a question.")
    found = offer(wanted)
    told = found.remote
    click.echo(f"{one_line(told.id)} at {told.commit[:12]}, licence {told.license or 'not told'}", err=True)
    if not found.missing:
        return True
    here = f" of {size(found.bytes)}" if found.missing < found.bytes else ""
    click.echo(f"To fetch: {size(found.missing)}{here} in {len(found.files)} files; {size(found.free)} free.", err=True)
    return click.confirm("Fetch it?", default=True, err=True)


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(workspace: Workspace, as_json: bool) -> None:
    """Bases that are known to work, and whatever else is on this machine, with what they take.

    Memory is a GPU's, for a LoRA of rank 32 on 4,096 tokens at a time. Fast keeps all activations; less computes them
    twice (train --checkpointing on); least has the base in 4 bits besides (train --load-in-4bit).
    """
    from ventriloquist.model.bases import known_bases

    found = known_bases(workspace)
    if as_json:
        for each in found:
            click.echo(escape_controls(json.dumps(each.as_object())))
        return
    width = max(len(_name(each)) for each in found)
    click.echo(f"  {'':<{width}} {'licence':<10} {'weights':>7} {'on disk':>8} {'fast':>6} {'less':>6} {'least':>6}")
    for each in found:
        mark = "*" if each.pinned else "+" if each.here else " "
        parts = [f"{mark} {_name(each):<{width}}", f"{one_line(each.license or '?', 10):<10}"]
        parts += [f"{each.shape.parameters / 1e9:>6.1f}B", f"{size(each.bytes):>8}"]
        parts += [f"{math.ceil(each.memory[way].total / 1e9):>3} GB" for way in ("fast", "less", "least")]
        click.echo(" ".join(parts))
    click.echo("\n* fetched for this workspace, + on this machine. Get one: ventriloquist base fetch ID", err=True)
    click.echo("fast, less, least: memory of a GPU for three ways to train (base list --help).", err=True)


def _name(base: Any) -> str:
    return one_line(base.id, 40)


def size(count: int) -> str:
    """Such as `16.4 GB` or `310 MB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
