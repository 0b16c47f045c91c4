"""ventriloquist stats: how much everyone wrote, and one person or group in full."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.cells import cell_len, set_cell_size

from ventriloquist.faults import UsageFault
from ventriloquist.people import normaliser, region_of
from ventriloquist.pipeline.portrait import Times, as_object, read_talk, read_times
from ventriloquist.pipeline.stats import EVERYONE, Overview, Row, find_row, read_overview
from ventriloquist.pipeline.telling import WEEKDAYS, day_of, facts, shade
from ventriloquist.store import Store
from ventriloquist.store.zones import Zone, find_zone
from ventriloquist.text import one_line
from ventriloquist.workspace import Workspace

HELP = """How much everyone in the history wrote, or, with a NAME, one person or group in full.

Counted as messages: texts, attachments, and what apps sent. Not counted: tapbacks, lines that Messages itself writes,
and messages that were taken back. Of a person, TO and FROM are what stands between the two of you, and IN GROUPS is
what they wrote in groups, which counts for the group too. Of a group, TO is what you wrote in it. The last line
counts each message once."""
SORTS = ("messages", "to", "from", "in-groups", "first", "last", "name")
LONGEST_NAME = 32
NAME_ALONE = 60
SHADES = " ░▒▓█"
BAR = 30


def command(name: str) -> click.Command:
    """The stats command."""
    return stats_command


@click.command("stats", help=HELP)
@click.argument("name", nargs=-1)
@click.option("--all", "everyone", is_flag=True, help="The whole history in full, in place of one NAME.")
@click.option("--people", "kind", flag_value="person", help="In the table: people only.")
@click.option("--groups", "kind", flag_value="group", help="In the table: groups only.")
@click.option("--sort", type=click.Choice(SORTS), default="messages", show_default=True, help="Order of the table.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N rows of the table.")
@click.option("--timezone", metavar="ZONE", help="Such as Europe/Berlin (default: this machine's own).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row; of one NAME, one object.")
@click.pass_obj
def stats_command(
    workspace: Workspace,
    name: tuple[str, ...],
    everyone: bool,
    kind: str | None,
    sort: str,
    limit: int | None,
    timezone: str | None,
    as_json: bool,
) -> None:
    if name and (everyone or kind or limit):
        raise UsageFault("--all, --people, --groups and --limit go without a NAME.")
    zone = find_zone(timezone)
    if zone.note:
        click.echo(zone.note, err=True)
    with Store.open(workspace) as store:
        overview = read_overview(store)
        if not (name or everyone):
            _print_table(overview, _chosen(overview.rows, kind, sort)[:limit], zone, as_json=as_json)
            return
        row = _named(store, overview, " ".join(name)) if name else overview.everyone
        _print_one(store, overview, row, zone, as_json=as_json)


def _named(store: Store, overview: Overview, name: str) -> Row:
    book = store.book()
    return find_row(overview.rows, name, normaliser(book.region if book else region_of("")))


def _chosen(rows: Sequence[Row], kind: str | None, sort: str) -> list[Row]:
    keys: dict[str, Callable[[Row], Any]] = {
        "to": lambda row: -row.amounts[0],
        "from": lambda row: -row.amounts[1],
        "in-groups": lambda row: -row.amounts[2],
        "first": lambda row: (row.first is None, row.first),
        "last": lambda row: (row.last is None, -(row.last or 0)),
        "name": lambda row: row.name.casefold(),
    }
    chosen = [row for row in rows if kind in (None, row.kind)]
    return sorted(chosen, key=keys[sort]) if sort in keys else chosen


# --- the table --------------------------------------------------------------------------------------------------


def _print_table(overview: Overview, rows: Sequence[Row], zone: Zone, *, as_json: bool) -> None:
    total = overview.everyone.messages
    if as_json:
        for row in rows:
            click.echo(json.dumps(row.as_object(total)))
        return
    names = [one_line(row.name, LONGEST_NAME) for row in rows]
    width = max([cell_len(name) for name in names] + [len("everyone")])
    head = f"{'messages':>9}{'to':>9}{'from':>9}{'in groups':>11}{'share':>7}  {'first':<10}  last"
    click.echo(f"{'':<{width}} {head}")
    for name, row in zip(names, rows, strict=True):
        click.echo(f"{set_cell_size(name, width)} {_amounts(row, total)}  {day_of(row.first, zone):<10}  "
                   f"{day_of(row.last, zone)}".rstrip())  # fmt: skip
    everyone = overview.everyone
    click.echo(f"{'everyone':<{width}} {_amounts(everyone, total)}  {day_of(everyone.first, zone):<10}  "
               f"{day_of(everyone.last, zone)}".rstrip())  # fmt: skip


def _amounts(row: Row, total: int) -> str:
    to, from_, in_groups = row.amounts
    share = f"{row.messages / total:.1%}" if total else ""
    return f"{row.messages:>9,}{to:>9,}{from_:>9,}{in_groups or '':>11}{share:>7}"


# --- one in full ------------------------------------------------------------------------------------------------


def _print_one(store: Store, overview: Overview, row: Row, zone: Zone, *, as_json: bool) -> None:
    times, talk = read_times(store, row, zone), read_talk(store, row)
    total = overview.everyone.messages
    if as_json:
        click.echo(json.dumps(as_object(row, total, times, talk, zone)))
        return
    to, from_, in_groups = row.amounts
    share = f" ({row.messages / total:.1%} of all)" if row.messages and row.kind != EVERYONE else ""
    click.echo(f"{one_line(row.name, NAME_ALONE)}: {row.messages:,} messages{share}")
    told = [("to and from", f"{to:,} and {from_:,}")]
    if in_groups:
        told.append(("in groups", f"{in_groups:,}, in {row.groups:,} of them"))
    if row.first is not None:
        told.append(("first and last", f"{day_of(row.first, zone)} and {day_of(row.last, zone)}"))
    told += facts(row, times, talk, zone)
    for label, value in told:
        click.echo(f"  {label:<16}  {one_line(value)}")
    if times.years:
        _print_years(times, has_groups=bool(in_groups))
        _print_week(times, zone)


def _print_years(times: Times, *, has_groups: bool) -> None:
    groups = f"{'in groups':>11}" if has_groups else ""
    click.echo(f"\n  {'year':<6}{'to':>9}{'from':>9}{groups}")
    most = max(sum(amounts) for amounts in times.years.values())
    for year, (to, from_, in_groups) in sorted(times.years.items()):
        groups = f"{in_groups:>11,}" if has_groups else ""
        bar = "█" * round((to + from_ + in_groups) / most * BAR)
        click.echo(f"  {year:<6}{to:>9,}{from_:>9,}{groups}  {bar}".rstrip())


def _print_week(times: Times, zone: Zone) -> None:
    most = max(times.week)
    click.echo(f"\n  hours of the week, {one_line(zone.name)}; darkest is {most:,}")
    click.echo("       " + "".join(f"{hour:<6}" for hour in range(0, 24, 3)).rstrip())
    for day, name in enumerate(WEEKDAYS):
        cells = "".join(
            SHADES[shade(messages, most, len(SHADES) - 1)] * 2 for messages in times.week[day * 24 : day * 24 + 24]
        )
        click.echo(f"  {name}  {cells}".rstrip())
