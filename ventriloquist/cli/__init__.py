"""The command line. This file is all that `ventriloquist --help` loads: commands are imported when they are run."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import NoReturn

import click

from ventriloquist import __version__

COMMANDS = {
    "demo": ("demo", "The sample history through every stage, and a conversation."),
    "collect": ("stages", "Read a message history into the workspace."),
    "describe": ("describe", "Turn photos, videos, voice memos and documents into words."),
    "preprocess": ("stages", "Cut the conversations into training windows."),
    "base": ("base", "The models to train on: list them, and get one."),
    "train": ("stages", "Train the model on the windows."),
    "evaluate": ("stages", "Measure the model on messages it never saw."),
    "chat": ("chat", "Talk with the people in the history."),
    "status": ("status", "What each stage has made, and what to do next."),
    "stats": ("stats", "Who wrote how much, and when: everyone, or one person or group."),
    "people": ("people", "Who is in the history: list, merge, split, rename, import, suggest."),
    "windows": ("windows", "What the model learns from; any window as it will read it."),
    "messages": ("messages", "The collected messages, one JSON object a line."),
    "runs": ("runs", "List, watch, stop and resume runs."),
    "doctor": ("doctor", "Check this machine for what the stages need."),
}
"""Each command's module in this package, and its line in the help."""


class LazyGroup(click.Group):
    """A group whose commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ventriloquist.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command(cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # before click makes a failure of it
            return _reader_has_gone()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ventriloquist")
@click.option(
    "--workspace",
    metavar="DIR",
    help="Where data/ and checkpoints/ are kept (default: $VENTRILOQUIST_WORKSPACE, else here).",
)
@click.pass_context
def root(ctx: click.Context, workspace: str | None) -> None:
    """Learn how the people in your message history write, and talk with them.

    Without a command, the full-screen app opens.
    """
    from ventriloquist.workspace import Workspace

    ctx.obj = Workspace.at(workspace)
    ctx.meta["workspace_given"] = workspace is not None
    if ctx.invoked_subcommand is None:
        from ventriloquist.cli.app import open_app

        open_app(ctx.obj)


def main() -> NoReturn:
    """Run a command and exit with its code (see `faults.Exit`); a fault is one sentence on stderr."""
    os.umask(0o077)  # whatever is written belongs to its owner alone
    _open_closed_streams()
    try:
        code = root.main(prog_name="ventriloquist", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 5
    except BrokenPipeError:
        code = _reader_has_gone()
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        code = _tell(error)
    sys.exit(_flushed(int(code or 0)))


def _flushed(code: int) -> int:
    """The exit code after the last of the output is written, which may fail too."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return code or _reader_has_gone()
    except OSError as error:
        _to_nowhere(1)
        return code or _tell(error)
    return code


def _tell(error: Exception) -> int:
    """Say on stderr, in one sentence, what happened; returns the exit code."""
    from ventriloquist.faults import unforeseen
    from ventriloquist.text import plain

    fault = unforeseen(error, "the command")
    with contextlib.suppress(OSError):
        click.echo(f"Error: {plain(str(fault))}", err=True)
    return fault.exit


def _reader_has_gone() -> int:
    """Whoever read our output has seen enough: a good end."""
    _to_nowhere(1)
    return 0


def _to_nowhere(stream: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def _open_closed_streams() -> None:
    """Give standard streams that were closed (`>&-`) somewhere to go, so that no file of ours takes their place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
