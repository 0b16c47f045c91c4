"""ventriloquist doctor: is everything here that the stages need?"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click

from ventriloquist.faults import Exit
from ventriloquist.settings import DescribeSettings
from ventriloquist.workspace import Workspace

PACKAGES = ("torch", "transformers", "peft", "textual", "google-genai", "llguidance")


def command(name: str) -> click.Command:
    """The doctor command."""
    return doctor_command


@click.command("doctor", help="Check this machine for what the stages need.")
@click.pass_obj
def doctor_command(workspace: Workspace) -> int:
    sound = True
    for good, sentence in _checks(workspace):
        click.echo(f"{'ok ' if good else '!! '} {sentence}")
        sound = sound and good
    return Exit.DONE if sound else Exit.FAILED


def _checks(workspace: Workspace) -> Iterator[tuple[bool, str]]:
    yield True, f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    for package in PACKAGES:
        try:
            yield True, f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            yield False, f"{package} is not installed; install Ventriloquist again."
    yield _device()
    yield True, f"SQLite {sqlite3.sqlite_version}"
    free = shutil.disk_usage(next(folder for folder in (workspace.root, *workspace.root.parents) if folder.exists()))
    yield free.free > 2 << 30, f"{free.free / (1 << 30):.0f} GiB free for the workspace {workspace.root}"
    yield _messages(Path.home() / "Library" / "Messages" / "chat.db")
    key = DescribeSettings.load(workspace).gemini_api_key.get_secret_value()
    yield True, "GEMINI_API_KEY is set" if key else "No GEMINI_API_KEY: photos and videos are named, not described"


def _device() -> tuple[bool, str]:
    from ventriloquist.model.base import choose_device, choose_dtype

    device = choose_device("auto")
    return True, f"PyTorch computes on {device.type} in {str(choose_dtype(device)).removeprefix('torch.')}"


def _messages(path: Path) -> tuple[bool, str]:
    if platform.system() != "Darwin":
        return True, "No Messages on this system; give collect a copy: ventriloquist collect --db chat.db"
    try:
        with path.open("rb") as file:
            file.read(16)
    except FileNotFoundError:
        return True, f"No Messages history at {path}"
    except OSError:
        return (
            False,
            "Messages may not be read: System Settings > Privacy & Security > Full Disk Access, add the terminal",
        )
    return True, f"Messages history at {path}"
