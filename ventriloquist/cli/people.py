"""ventriloquist people list | merge | rename | split | apart | import | suggest."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ventriloquist.people import editing, importing
from ventriloquist.people.suggesting import Suggestion, suggest
from ventriloquist.records import Person
from ventriloquist.store import Store
from ventriloquist.text import escape_controls, one_line
from ventriloquist.workspace import Workspace

AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
WIDEST_NAME = 28


def command(name: str) -> click.Command:
    """The group of commands about people."""
    return group


@click.group("people")
def group() -> None:
    """Who is in the history, and who is who.

    A NAME may also be one of the person's phone numbers or e-mail addresses. What is decided here is kept in
    data/contacts_to_ids.jsonl and holds at once; cut the windows anew afterwards (ventriloquist preprocess).
    """


@group.command("list", help="Everyone, with how much they wrote and their numbers and addresses.")
@AS_JSON
@click.pass_obj
def list_(workspace: Workspace, as_json: bool) -> None:
    with Store.open(workspace) as store:
        found = editing.list_people(store)
    if as_json:
        for each in found:
            _echo_json({**_as_object(each.person), "messages": each.messages})
        return
    width = min(max((len(_name(each.person)) for each in found), default=0), WIDEST_NAME)
    counts = max((len(f"{each.messages:,}") for each in found), default=0)
    for each in found:
        handles = one_line(", ".join(each.person.handles))
        click.echo(f"{_name(each.person):<{width}}  {each.messages:>{counts},}  {handles}".rstrip())


@group.command()
@click.argument("names", metavar="NAME NAME...", nargs=-1, required=True)
@AS_JSON
@click.pass_obj
def merge(workspace: Workspace, names: tuple[str, ...], as_json: bool) -> None:
    """Make one person of several. The first one's name stays.

    With yourself as the first, the others' addresses become yours.
    """
    person = editing.merge(workspace, names)
    _tell(as_json, f"{_name(person)} is one person now: {_handles(person)}", person)


@group.command()
@click.argument("name")
@click.argument("new")
@AS_JSON
@click.pass_obj
def rename(workspace: Workspace, name: str, new: str, as_json: bool) -> None:
    """Give someone another name."""
    person = editing.rename(workspace, name, new)
    _tell(as_json, f"{_name(person)}: {_handles(person)}", person)


@group.command()
@click.argument("name")
@click.argument("handles", metavar="HANDLE...", nargs=-1, required=True)
@click.option("--as", "new", metavar="NEWNAME", help="What to call whoever has these addresses (default: by them).")
@AS_JSON
@click.pass_obj
def split(workspace: Workspace, name: str, handles: tuple[str, ...], new: str | None, as_json: bool) -> None:
    """Take phone numbers or addresses from someone who is really two people.

    From yourself: what was taken for yours and is not. Collect again then, since your own messages are read by it.
    """
    stays, other = editing.split(workspace, name, handles, new)
    if other:
        _tell(
            as_json,
            f"Two people now. {_name(stays)}: {_handles(stays)}; {_name(other)}: {_handles(other)}",
            stays,
            other,
        )
    else:
        _tell(as_json, f"{_name(stays)}: {_handles(stays) or 'no address'}; nobody wrote from what was taken.", stays)
    if stays.is_me:
        click.echo("Collect again, so that your own messages are read anew: ventriloquist collect", err=True)


@group.command()
@click.argument("one", metavar="NAME")
@click.argument("other", metavar="NAME")
@AS_JSON
@click.pass_obj
def apart(workspace: Workspace, one: str, other: str, as_json: bool) -> None:
    """Remember that two are two, so that `suggest` asks no more."""
    first, second = editing.keep_apart(workspace, one, other)
    _tell(as_json, f"{_name(first)} and {_name(second)} stay two people.", first, second)


@group.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@AS_JSON
@click.pass_obj
def import_(workspace: Workspace, file: Path, as_json: bool) -> None:
    """Add the names of a contacts file to your decisions.

    FILE is a .vcf with any number of cards, a database of Contacts (.abcddb, or AddressBook.sqlitedb of an iPhone), or
    another contacts_to_ids.jsonl. What was decided before stays as it is.
    """
    done = importing.import_file(workspace, file)
    if as_json:
        _echo_json(done.as_object())
        return
    contacts = "1 contact" if done.contacts == 1 else f"{done.contacts:,} contacts"
    parts = [f"{contacts} with an address"]
    if done.is_collected:
        parts.append(f"{done.in_history:,} of them in the history")
    click.echo(f"{'; '.join([*parts, f'{done.known:,} known before'])}.")
    if done.unreadable:
        lines = "1 line" if done.unreadable == 1 else f"{done.unreadable:,} lines"
        click.echo(f"Left out, since it cannot be read: {lines}.", err=True)
    if not done.is_collected:
        click.echo("The names will be used by: ventriloquist collect", err=True)


@group.command("suggest")
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="At most this many (0: all).")
@AS_JSON
@click.pass_obj
def suggest_(workspace: Workspace, limit: int, as_json: bool) -> None:
    """People who may be one person under two addresses, the surest first, with the evidence.

    No message is read for it, and nothing leaves this machine.
    """
    with Store.open(workspace) as store:
        found = suggest(store, workspace)
    shown = found[: limit or None]
    for number, each in enumerate(shown):
        if as_json:
            _echo_json(each.as_object())
        else:
            click.echo(("\n" if number else "") + _in_words(each))
    if not found and not as_json:
        click.echo("Nobody here seems to be the same person twice.", err=True)
    elif len(shown) < len(found) and not as_json:
        click.echo(f"\n{len(found) - len(shown):,} more with --limit 0.", err=True)


def _in_words(found: Suggestion) -> str:
    lines = [f"{one_line(found.first.name)} and {one_line(found.second.name)}: {found.confidence}"]
    lines += [f"  + {one_line(sentence)}" for sentence in found.evidence]
    lines += [f"  - {one_line(sentence)}" for sentence in found.against]
    return "\n".join([*lines, f"  {one_line(found.command)}"])


def _tell(as_json: bool, sentence: str, *people: Person) -> None:
    if as_json:
        for person in people:
            _echo_json(_as_object(person))
    else:
        click.echo(sentence)


def _as_object(person: Person) -> dict[str, object]:
    return {"name": person.name, "handles": list(person.handles), "is_me": person.is_me}


def _echo_json(fields: dict[str, object]) -> None:
    click.echo(escape_controls(json.dumps(fields)))


def _name(person: Person) -> str:
    return one_line(person.name) + (" (you)" if person.is_me else "")


def _handles(person: Person) -> str:
    return one_line(", ".join(person.handles))
