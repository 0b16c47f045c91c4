"""ventriloquist chat: line mode for pipes and plain terminals."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from ventriloquist.chat import events
from ventriloquist.chat.process import ModelProcess
from ventriloquist.chat.session import Session
from ventriloquist.cli.stages import flags
from ventriloquist.faults import Exit, NoInput
from ventriloquist.model import checkpoint
from ventriloquist.settings import ChatSettings
from ventriloquist.text import one_line, plain
from ventriloquist.workspace import Workspace


def command(name: str) -> click.Command:
    """The chat command."""

    @click.pass_obj
    def callback(workspace: Workspace, /, as_json: bool, **given: Any) -> int:
        settings = ChatSettings.load(workspace, **given)
        return talk(open_session(workspace, settings), as_json=as_json)

    options = flags(ChatSettings)
    options.append(click.Option(["--json", "as_json"], is_flag=True, help="One JSON object for each message said."))
    return click.Command(name, params=options, callback=callback, help=ChatSettings.__doc__)


def open_session(workspace: Workspace, settings: ChatSettings) -> Session:
    """A session with the model loaded; raises a Fault if that cannot be."""
    folder = checkpoint.find(workspace, settings.checkpoint)
    session = Session(ModelProcess(folder, settings), settings)
    try:
        session.open()
    except BaseException:
        session.close()
        raise
    return session


def talk(session: Session, *, as_json: bool) -> int:
    """Read lines until the end of input or /quit; returns the exit code (the last failure's, if any)."""
    interactive = sys.stdin.isatty()
    if interactive and not as_json:
        _greet(session)
    if session.strangers():
        click.echo(one_line(session.strangers(), 300), err=True)
    failed = False
    try:
        for typed in _typed(session, interactive and not as_json):
            failed = False
            for event in _heard(session, typed):
                if isinstance(event, events.Quit):
                    return Exit.DONE
                failed = failed or isinstance(event, events.Failed)
                (_print_json if as_json else _print)(event)
    finally:
        session.close()
    return Exit.FAILED if failed else Exit.DONE


def _heard(session: Session, typed: str) -> Iterator[events.ChatEvent]:
    """The events of one typed line; Ctrl-C stops the reply and keeps the chat."""
    replies = session.submit(typed)
    while True:
        try:
            yield next(replies)
        except StopIteration:
            return
        except KeyboardInterrupt:
            session.cancel()


def _typed(session: Session, prompt: bool) -> Iterator[str]:
    while True:
        try:
            if prompt:
                line = input(f"{one_line(session.conversation.me, 20)}: ")
            else:
                line = sys.stdin.readline()
                if not line:
                    return
        except EOFError:
            return
        except KeyboardInterrupt:
            click.echo(err=True)
            return
        except UnicodeDecodeError:
            raise NoInput("The input is not UTF-8.") from None
        yield line.rstrip("\r\n")


def _greet(session: Session) -> None:
    conversation = session.conversation
    who = one_line(conversation.target or "anyone", 40)
    click.echo(f"{who} answers. Everything they say here is generated. /help shows the commands.", err=True)


def _print_json(event: events.ChatEvent) -> None:
    match event:
        case events.Wrote(line=line):
            click.echo(json.dumps(asdict(line)))
        case events.Failed(sentence=sentence):
            click.echo(f"Error: {plain(sentence)}", err=True)
        case events.Changed(notice=notice):
            click.echo(plain(notice), err=True)
        case events.Told(lines=lines):
            for left, right in lines:
                click.echo(plain(f"{left:<26} {right}".rstrip()), err=True)


def _print(event: events.ChatEvent) -> None:
    """People's words to stdout, streaming; everything else to stderr."""
    match event:
        case events.Writing(name=name):
            click.echo(f"{one_line(name, 40)}: ", nl=False)
        case events.Text(text=text):
            click.echo(plain(text).replace("\n", " "), nl=False)
        case events.Wrote(line=line):
            click.echo("" if line.content_type == "text" else f"  [{line.content_type}]")
        case _:
            _print_json(event)
