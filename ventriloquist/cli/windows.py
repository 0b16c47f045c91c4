"""ventriloquist windows: what the model learns from and is measured on, and any window as it will read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.cells import cell_len, set_cell_size

from ventriloquist.faults import NoInput, UsageFault
from ventriloquist.pipeline.windows import (
    Index,
    Place,
    as_object,
    choose,
    count_tokens,
    find_whom,
    read_index,
    read_window,
    summary,
    tokens_by,
)
from ventriloquist.text import escape_controls, one_line, plain
from ventriloquist.windows.build import SPLITS
from ventriloquist.windows.lines import Header, Line, quote
from ventriloquist.windows.marking import MarkedLine, Role, has_unlearnt_delta, mark
from ventriloquist.workspace import Workspace

HELP = """What the model learns from and is measured on; with N, the Nth window, as the model will read it.

In a window, = stands before the header, > before each line that is learnt (or, of what is held out, measured), and a
dot before what is only read. A delta in brackets is not learnt: a window's first line has none of its own."""
MARKS = {Role.HEADER: "=", Role.CONTEXT: "·", Role.TARGET: ">"}
LONGEST_NAME = 20
LONGEST_LABEL = 44


def command(name: str) -> click.Command:
    """The windows command."""
    return windows_command


@click.command("windows", help=HELP)
@click.argument("number", metavar="[N]", type=click.IntRange(1), required=False)
@click.option("--split", type=click.Choice(SPLITS), help="Only windows of this part.")
@click.option("--with", "said", metavar="NAME", help="Only conversations with this person, or the one of this id.")
@click.option("--raw", is_flag=True, help="Of one window, the JSON lines as the model reads them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def windows_command(
    workspace: Workspace, number: int | None, split: str | None, said: str | None, raw: bool, as_json: bool
) -> None:
    if raw and number is None:
        raise UsageFault("--raw goes with a window's number.")
    index = read_index(workspace)
    places = choose(index, split or "", find_whom(index, said) if said else None)
    if number is None:
        told = summary(index, places)
        _echo_json(told) if as_json else _print_table(told, index)
    else:
        if number > len(places):
            fit = "is only 1 window" if len(places) == 1 else f"are only {len(places):,} windows"
            raise UsageFault(f"There {fit} of that kind." if split or said else f"There {fit}.")
        _print_window(index, places, number, raw=raw, as_json=as_json)
    if index.problem:
        raise NoInput(index.problem)


def _echo_json(value: dict[str, Any]) -> None:
    click.echo(escape_controls(quote(value)))


# --- the table -----------------------------------------------------------------------------------------------------


def _print_table(told: dict[str, Any], index: Index) -> None:
    sums = {name: sum(of[name] for of in told["splits"].values()) for name in ("windows", "targets", "lines")}
    click.echo(f"{'':<10}{'windows':>10}{'targets':>10}{'lines':>12}")
    for split, of in [*told["splits"].items(), ("all", sums)]:
        click.echo(f"{split:<10}{of['windows']:>10,}{of['targets']:>10,}{of['lines']:>12,}")
    labels = [one_line(index.conversations[of["id"]].label(index.me), LONGEST_LABEL) for of in told["conversations"]]
    width = max(map(cell_len, labels), default=0)
    click.echo(f"\n{'':<{width}}{'train':>8}{'validation':>12}{'test':>8}{'targets':>10}")
    for label, of in zip(labels, told["conversations"], strict=True):
        counts = f"{of['train']:>8,}{of['validation']:>12,}{of['test']:>8,}{of['targets']:>10,}"
        click.echo(f"{set_cell_size(label, width)}{counts}  {one_line(of['id'], 40)}")


# --- one window ----------------------------------------------------------------------------------------------------


def _print_window(index: Index, places: Sequence[Place], number: int, *, raw: bool, as_json: bool) -> None:
    place = places[number - 1]
    window = read_window(index, place)
    tokens_of = tokens_by(index.workspace)
    if as_json:
        _echo_json(as_object(index, place, window, tokens_of))
        return
    marked = mark(window.text, window.targets)
    verb = "learnt" if place.split == "train" else "measured"
    told = [
        f"window {number:,} of {len(places):,}: {place.split}",
        one_line(index.conversations[place.conversation].label(index.me), LONGEST_LABEL),
        f"{place.lines:,} lines",
        f"{place.targets:,} of them {verb}" + (" but for the first one's delta" if has_unlearnt_delta(marked) else ""),
        f"{count_tokens(tokens_of, window):,} tokens" if tokens_of else "",
    ]
    click.echo(", ".join(filter(None, told)))
    _print_lines(marked, raw=raw)


def _print_lines(marked: Sequence[MarkedLine], *, raw: bool) -> None:
    names = [one_line(each.line.name, LONGEST_NAME) for each in marked if isinstance(each.line, Line)]
    width = max(map(cell_len, names), default=0)
    for each in marked:
        words = plain(escape_controls(each.raw.rstrip("\n"))) if raw else _readable(each, width)
        click.echo(f"{MARKS[each.role]} {words}".rstrip())


def _readable(marked: MarkedLine, width: int) -> str:
    line = marked.line
    if isinstance(line, Header):
        return one_line(f"{line.type} of {', '.join(line.members)}, from {line.start}")
    if line is None:
        return f"(not a line of the format) {one_line(marked.raw)}"
    delta = f"({line.delta})" if marked.delta_unlearnt else line.delta
    reply = f"(to “{one_line(line.reply_to)}”) " if line.reply_to is not None else ""
    kind = f"[{line.content_type}] " if line.content_type != "text" else ""
    return f"{delta:<6} {set_cell_size(one_line(line.name, LONGEST_NAME), width)}  {reply}{kind}{one_line(line.text)}"
