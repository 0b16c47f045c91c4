"""ventriloquist chat: line mode for pipes and plain terminals."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Any

import click

from ventriloquist.chat import events
from ventriloquist.chat.commands import complete
from ventriloquist.chat.process import ModelProcess
from ventriloquist.chat.session import Session
from ventriloquist.cli.stages import flags
from ventriloquist.faults import Exit, NoInput
from ventriloquist.model import checkpoint
from ventriloquist.settings import ChatSettings
from ventriloquist.text import one_line, plain
from ventriloquist.workspace import Workspace

COLUMN = 26


def command(name: str) -> click.Command:
    """The chat command."""

    @click.pass_obj
    def callback(workspace: Workspace, /, as_json: bool, live: str | None, open: str | None, **given: Any) -> int:
        settings = ChatSettings.load(workspace, **given)
        first = [f"/{word} {name}" for word, name in (("open", open), ("live", live)) if name is not None]
        return talk(open_session(workspace, settings), first, as_json=as_json)

    options = flags(ChatSettings)
    options += [
        click.Option(["--live"], metavar="NAME", help="Go on from a real conversation: a person, a group, or an id."),
        click.Option(["--open"], metavar="NAME", help="Go on with a conversation that was kept."),
        click.Option(["--json", "as_json"], is_flag=True, help="One JSON object for each message said."),
    ]
    return click.Command(name, params=options, callback=callback, help=ChatSettings.__doc__)


def open_session(workspace: Workspace, settings: ChatSettings) -> Session:
    """A session with the model loaded; raises a Fault if that cannot be."""
    folder = checkpoint.find(workspace, settings.checkpoint)
    session = Session(ModelProcess(folder, settings), settings, workspace)
    try:
        session.open()
    except BaseException:
        session.close()
        raise
    return session


def talk(session: Session, first: list[str], *, as_json: bool) -> int:
    """Do the `first` lines, then read lines until the end of input or /quit; returns the exit code (the last
    failure's, if any)."""
    interactive = sys.stdin.isatty() and not as_json
    for sentence in (session.facts["notice"], session.strangers()):
        if sentence:
            click.echo(one_line(sentence, 300), err=True)
    failed = False
    try:
        for typed in first:
            if _hear(session, typed, as_json=as_json) is Exit.FAILED:
                return Exit.USAGE
        if interactive:
            _greet(session)
        for typed in _typed(session, interactive):
            outcome = _hear(session, typed, as_json=as_json)
            if outcome is None:
                return Exit.DONE
            failed = outcome is Exit.FAILED
    finally:
        if session.transcript.unsaved:
            click.echo("What was said last could not be kept.", err=True)
        session.close()
    return Exit.FAILED if failed else Exit.DONE


def _hear(session: Session, typed: str, *, as_json: bool) -> Exit | None:
    """Print what follows from one typed line; None if the person wants to leave."""
    outcome: Exit | None = Exit.DONE
    with _interruptible(session):
        for event in session.submit(typed):
            if isinstance(event, events.Quit):
                return None
            if isinstance(event, events.Failed):
                outcome = Exit.FAILED
            (_print_json if as_json else _print)(event)
    return outcome


@contextmanager
def _interruptible(session: Session) -> Iterator[None]:
    """Ctrl-C stops the reply and keeps the chat; pressed again, it ends the chat."""
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        # In a thread, since this may have interrupted the very sending to the model that a cancel waits for.
        threading.Thread(target=session.cancel, name="cancel").start()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _typed(session: Session, prompt: bool) -> Iterator[str]:
    if prompt:
        _complete_with(session)
    asked = False
    while True:
        try:
            if prompt:
                line = input(f"{one_line(session.conversation.speaker, 20)}: ")
            else:
                line = sys.stdin.readline()
                if not line:
                    return
        except EOFError:
            return
        except KeyboardInterrupt:
            click.echo(err=True)
            if asked or not prompt:
                return
            asked = True
            click.echo("ctrl-c again leaves; the conversation is kept.", err=True)
            continue
        except UnicodeDecodeError:
            raise NoInput("The input is not UTF-8.") from None
        if any("\udc80" <= letter <= "\udcff" for letter in line):  # bytes that were no UTF-8
            raise NoInput("The input is not UTF-8.")
        asked = False
        yield line.rstrip("\r\n")


def _complete_with(session: Session) -> None:
    """Tab completes commands and names, also those that hold spaces: what is completed is the whole line."""
    try:
        import readline
    except ImportError:
        return  # a Python without it has a plain prompt

    def completed(text: str, number: int) -> str | None:
        lines = [plain(line) for line in complete(text, session.completions())]
        return lines[number] if number < len(lines) else None

    readline.set_completer_delims("")
    readline.set_completer(completed)
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")


def _greet(session: Session) -> None:
    conversation = session.conversation
    who = one_line(conversation.target or "anyone", 40)
    click.echo(f"{who} answers. Everything they say here is generated. /help shows the commands.", err=True)


def _print_json(event: events.ChatEvent) -> None:
    """What the model says to stdout, an object a line; everything else to stderr."""
    match event:
        case events.Wrote(line=line):
            click.echo(json.dumps(asdict(line)))
        case events.Offered(lines=lines):
            for line in lines:
                click.echo(json.dumps(asdict(line)))
        case _:
            _tell(event)


def _print(event: events.ChatEvent) -> None:
    """People's words to stdout, streaming; everything else to stderr."""
    match event:
        case events.Writing(name=name):
            click.echo(f"{one_line(name, 40)}: ", nl=False)
        case events.Text(text=text):
            click.echo(plain(text).replace("\n", " "), nl=False)
        case events.Wrote(line=line):
            to = f" to “{one_line(line.reply_to, 60)}”" if line.reply_to else ""
            click.echo(f"  [{line.content_type}{to}]" if to or line.content_type != "text" else "")
        case events.TurnEnded(stopped=True):
            click.echo("…")
        case events.Offered(lines=lines):
            for number, line in enumerate(lines, 1):
                click.echo(f"{number}  {one_line(line.name, 40)}: {plain(line.text)}")
            click.echo("/pick N takes one.", err=True)
        case _:
            _tell(event)


def _tell(event: events.ChatEvent) -> None:
    match event:
        case events.Failed(sentence=sentence):
            click.echo(f"Error: {plain(sentence)}", err=True)
        case events.Changed(notice=notice) | events.Busy(doing=notice) if notice:
            click.echo(plain(notice), err=True)
        case events.Told(lines=lines):
            for left, right in lines:
                click.echo(f"{plain(left):<{COLUMN}} {plain(right)}".rstrip() if left else plain(right), err=True)
        case events.Choose(question=question, choices=choices):
            click.echo(plain(question), err=True)
            for choice in choices:
                click.echo(f"  {one_line(choice.label, 50):<50}  {plain(choice.told)}", err=True)
                click.echo(f"    {one_line(choice.typed, 100)}", err=True)
