"""The app's own two themes, and the person's choice among all, kept in `data/app.json`."""

from __future__ import annotations

import json
from pathlib import Path

from textual.theme import Theme

from ventriloquist.faults import from_os_error
from ventriloquist.files import write_whole
from ventriloquist.workspace import Workspace

DEFAULT_THEME = "ventriloquist"
THEMES = (
    Theme(
        name=DEFAULT_THEME,
        primary="#8fb4ff",
        secondary="#b9a8e8",
        accent="#8fb4ff",
        success="#8ecfa5",
        warning="#e3c078",
        error="#f08a8a",
        foreground="#d9dce3",
        background="#14161b",
        surface="#1b1e25",
        panel="#252933",
        dark=True,
    ),
    Theme(
        name="ventriloquist-light",
        primary="#2f5fb8",
        secondary="#6d55a8",
        accent="#2f5fb8",
        success="#27734a",
        warning="#8a5a00",
        error="#b3322f",
        foreground="#23262d",
        background="#f7f7f5",
        surface="#efefec",
        panel="#e3e4e1",
        dark=False,
    ),
)


def _file(workspace: Workspace) -> Path:
    return workspace.data / "app.json"


def saved_theme(workspace: Workspace) -> str:
    """The name that was saved, whatever it is; the default when nothing can be read."""
    try:
        saved = json.loads(_file(workspace).read_text())
    except (OSError, ValueError):
        return DEFAULT_THEME
    name = saved.get("theme") if isinstance(saved, dict) else None
    return name if isinstance(name, str) else DEFAULT_THEME


def save_theme(workspace: Workspace, name: str) -> None:
    """Remember the choice (0600); raises a Fault where the workspace cannot be written."""
    workspace.prepare()
    try:
        write_whole(_file(workspace), json.dumps({"theme": name}) + "\n")
    except OSError as error:
        raise from_os_error(error, "saving the theme") from error
