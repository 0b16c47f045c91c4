"""What a person at the keyboard waits for: the app itself on a pseudo-terminal, its keys pressed, its screen read.

The full-screen app is started in a process of its own on a workspace with a checkpoint, and the chat is opened with its
key. Wall time, from writing a key into the terminal until the screen shows what it should: for a reply, its first
character after Enter; for a key, its character in the prompt, while nothing happens and while text streams in.
"""

from __future__ import annotations

import subprocess
import sys
import time
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import Measured
from benchmarks.rows import told, within
from benchmarks.terminal import NotShownError, Program
from ventriloquist.model import checkpoint
from ventriloquist.model.checkpoint import Description
from ventriloquist.text import one_line
from ventriloquist.workspace import Workspace

ECHO_GOAL = 50.0
WIDTH, HEIGHT = 72, 30
"""So narrow that nothing stands beside the messages."""
LOADING, ENDING = 120.0, 60.0
REPLY = 15.0
KEY_PAUSE = 0.09
SAID = (
    "hey, what are you up to tonight?",
    "pizza or tacos?",
    "how was work?",
    "did you see the game?",
    "call me later",
)
KEYS = "zqxjkvwzxqvkjqxzwkvjz"
"""Letters that no text holds in this order; the first two find the prompt."""


@dataclass(frozen=True, slots=True)
class Visit:
    """How much is typed: replies waited for, and times that the model goes on while keys are pressed."""

    replies: int = 15
    streams: int = 8
    lines: int = 20


@dataclass(slots=True)
class Waits:
    """Milliseconds."""

    first: list[float] = field(default_factory=list)
    quiet: list[float] = field(default_factory=list)
    streaming: list[float] = field(default_factory=list)
    silent: int = 0


def make_demo(folder: Path, *given: str) -> Path:
    """The demo's workspace, made by its command: all stages on the sample history; minutes."""
    command = [sys.executable, "-m", "ventriloquist", "--workspace", str(folder), "demo", *given]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return folder


def rows(folder: Path, visit: Visit) -> list[Measured]:
    """A visit to the chat of the workspace in `folder`."""
    found = measure(folder, visit)
    silent = f"; {found.silent} more showed none" if found.silent else ""
    results = []
    if found.first:
        results.append(
            told(f"from Enter to the first character of the reply on the screen, {len(found.first)} replies{silent}",
                  found.first, "ms")
        )  # fmt: skip
    results.append(told("from a key to its character on the screen while nothing else happens", found.quiet, "ms"))
    what = f"from a key to its character on the screen while text streams in, {len(found.streaming)} keys, the slowest "
    results.append(within(f"{what}{max(found.streaming):.0f} ms", found.streaming, ECHO_GOAL, "ms"))
    return results


def measure(folder: Path, visit: Visit) -> Waits:
    """Raises NotShownError if the app does not do what it should."""
    names = _names(Workspace(folder))
    command = [sys.executable, "-m", "ventriloquist", "--workspace", str(folder)]
    found = Waits()
    with Program(command, WIDTH, HEIGHT, {}) as app:
        app.until(lambda rows: any("chat" in row for row in rows), "the app's first screen", LOADING)
        app.rest(1.0)
        app.press("l")
        app.until(lambda rows: _shows(rows, names) and not _shows(rows, ["loading"]), "the chat", LOADING)
        app.rest(1.0)
        for number in range(visit.replies):
            _reply(app, f"{SAID[number % len(SAID)]} {number}", names, found)
        for _ in range(visit.streams):
            app.press(f"/continue {visit.lines}\r")
            app.rest(0.2)
            found.streaming += _echoes(app, still=False)
            _settle(app)
        found.quiet += _echoes(app, still=True)
    if not found.streaming:
        raise NotShownError("text that streams in while keys are pressed", [])
    return found


def _names(workspace: Workspace) -> list[str]:
    described = Description.read(checkpoint.find(workspace, ""))
    return [one_line(name, 20) for name in described.members if name != described.me]


def _shows(rows: Sequence[str], words: Sequence[str]) -> bool:
    return any(word in row for row in rows for word in words)


def _reply(app: Program, words: str, names: Sequence[str], found: Waits) -> None:
    """Say something and wait for the first character of what comes back."""
    for key in words:
        app.press(key)
        app.rest(0.02)
    app.until(lambda rows: any(words in row for row in rows), "the typed words")
    sent = app.press("\r")
    try:
        came = app.until(lambda rows: _has_text(rows, words, names), "a reply", REPLY)
    except NotShownError:
        found.silent += 1
    else:
        found.first.append((came - sent) * 1000)
    _settle(app)


def _has_text(rows: Sequence[str], words: str, names: Sequence[str]) -> bool:
    """True if someone's words stand under mine: a row with letters, below one with a name."""
    at = [number for number, row in enumerate(rows) if words in row]
    if not at:
        return False
    named = False
    for row in rows[at[-1] + 1 :]:
        if any(name in row for name in names):
            named = True
        elif "↪" not in row and any(map(_is_said, row)):
            return named
        elif named and not row.strip():
            return False
    return False


def _is_said(character: str) -> bool:
    """A letter, a digit or an emoji, not what frames are drawn with."""
    return unicodedata.category(character)[0] in "LN" or (
        unicodedata.category(character) == "So" and not "\u2500" <= character <= "\u25ff"
    )


def _echoes(app: Program, *, still: bool) -> list[float]:
    """Press keys one after the other; how long each took to be shown, in milliseconds.

    Unless `still`, only those count after which other rows went on changing: text was still coming in.
    """
    typed, waits, changed = "", [], 0.0
    for number, key in enumerate(KEYS):
        pause = time.perf_counter() + KEY_PAUSE
        before = _others(app, typed)
        typed += key
        sent = app.press(key)
        came = app.until(lambda rows: any(typed in row for row in rows), "a typed key")  # noqa: B023
        while (left := pause - time.perf_counter()) > 0:
            app.rest(min(left, 0.01))
            if (now := _others(app, typed)) != before:
                changed, before = time.perf_counter(), now
        if number >= 2:
            waits.append((sent, (came - sent) * 1000))
    app.press("\x7f" * len(typed))
    app.until(lambda rows: not any(typed in row for row in rows), "the emptied prompt")
    return [wait for sent, wait in waits if still or sent < changed]


def _others(app: Program, typed: str) -> list[str]:
    return [row for row in app.screen.rows() if not typed or typed not in row]


def _settle(app: Program) -> None:
    """Until nothing changes any more, so that the turn is over."""
    ends = time.perf_counter() + ENDING
    before: list[str] = []
    while (now := app.screen.rows()) != before and time.perf_counter() < ends:
        before = now
        app.rest(0.5)
