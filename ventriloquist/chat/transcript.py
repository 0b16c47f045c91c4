"""Conversations with the model, kept as they happen: a file each in `data/conversations/`, a line for each doing.

A line is added and synced before the next thing happens, and nothing is ever changed in the file, so a process that is
killed loses at most the line it was writing; such a torn line is ignored.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ventriloquist import __version__
from ventriloquist.chat.conversation import Conversation, Doing
from ventriloquist.faults import Busy, NoInput, UsageFault, from_os_error
from ventriloquist.people.finding import folded
from ventriloquist.text import one_line
from ventriloquist.workspace import Workspace

SUFFIX = ".jsonl"
_WRITING = "keeping the conversation"
_READING = "reading a kept conversation"


class Transcript:
    """The file of one conversation, begun with its first message.

    Doings before that wait, so that looking at a chat leaves no file behind.
    """

    def __init__(self, workspace: Workspace, path: Path | None = None) -> None:
        self.workspace = workspace
        self.path = path
        self._waiting: list[Doing] = []
        self._file: int | None = None

    def keep(self, *doings: Doing) -> None:
        """Add these doings; raises a Fault if they cannot be written."""
        self._waiting += doings
        if self.path is None and not any(doing["do"] == "say" for doing in self._waiting):
            return
        try:
            if self._file is None:
                self._open()
            assert self._file is not None
            _append(self._file, b"".join(map(_line, self._waiting)))
        except OSError as error:
            raise from_os_error(error, _WRITING) from None
        self._waiting.clear()

    def _open(self) -> None:
        folder = self.workspace.conversations
        if self.path is not None:
            self._file = _opened_again(self.path)
            return
        self.workspace.prepare()
        folder.mkdir(mode=0o700, exist_ok=True)
        stem = datetime.now().strftime("%Y%m%d-%H%M%S")
        for number in range(1, 1000):
            path = folder / f"{stem}{f'-{number}' if number > 1 else ''}{SUFFIX}"
            try:
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                continue
            self.path = path
            _hold(self._file)
            _append(self._file, _line({"do": "begin", "version": __version__}))
            return
        raise NoInput(f"No file could be begun in {folder}.")

    @property
    def unsaved(self) -> bool:
        """True if something could not be written yet."""
        return bool(self._waiting) and (self.path is not None or any(doing["do"] == "say" for doing in self._waiting))

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _opened_again(path: Path) -> int:
    """The file, to be added to, without the torn line at its end."""
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    try:
        _hold(file)
    except OSError:
        os.close(file)
        raise Busy("This conversation is open elsewhere; go on there, or leave it there first.") from None
    size = os.fstat(file).st_size
    end = size
    while end > 0:
        low = max(end - 65536, 0)
        found = os.pread(file, end - low, low).rfind(b"\n")
        if found >= 0:
            end = low + found + 1
            break
        end = low
    if end < size:
        os.ftruncate(file, end)
    return file


def _hold(file: int) -> None:
    """Lock a file as long as it is open here. A lock of the process (`lockf`) would go as soon as the same file is read
    anywhere in it; this one belongs to what was opened, and no child inherits that."""
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _append(file: int, data: bytes) -> None:
    """Write all of `data` or nothing of it."""
    size = os.fstat(file).st_size
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
    except BaseException:
        os.ftruncate(file, size)
        raise


def _line(doing: Doing) -> bytes:
    return json.dumps(doing, ensure_ascii=True).encode() + b"\n"


class Found(NamedTuple):
    """What a file holds; `damaged` counts its lines that cannot be read, a torn last one not among them."""

    doings: list[Doing]
    damaged: int


def read(path: Path) -> Found:
    """The doings of a kept conversation; raises a Fault if the file cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise from_os_error(error, _READING) from None
    found = [_parsed(line) for line in content.split(b"\n")[:-1]]
    doings = [doing for doing in found if doing is not None]
    return Found(doings, len(found) - len(doings))


def _parsed(line: bytes) -> Doing | None:
    try:
        doing = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return doing if isinstance(doing, dict) and isinstance(doing.get("do"), str) else None


def replay(conversation: Conversation, found: Found) -> int:
    """Let the doings of a file happen again; returns how many could not, damaged lines among them."""
    lost = found.damaged
    for doing in found.doings:
        if doing["do"] == "begin":
            continue
        try:
            conversation.do(doing)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            lost += 1
    if not conversation.members:  # its cast is among what was lost
        mine = [each.entry.name for each in conversation.said if each.origin == "typed"]
        names = dict.fromkeys(each.entry.name for each in conversation.said)
        conversation.me = next(iter(mine), next(reversed(names), ""))
        conversation.do(conversation.cast_of(list(names)))
    return lost


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept conversation: its file, what it is called, and when something last happened in it (seconds since 1970).

    `conversation` is as it stands now.
    """

    path: Path
    title: str
    changed_at: float
    conversation: Conversation

    @property
    def id(self) -> str:
        return self.path.name.removesuffix(SUFFIX)


def kept(workspace: Workspace) -> list[Kept]:
    """All kept conversations that can be read, the latest first."""
    found = [each for path in workspace.conversations.glob(f"*{SUFFIX}") for each in _kept(path)]
    return sorted(found, key=lambda each: each.changed_at, reverse=True)


def _kept(path: Path) -> Iterator[Kept]:
    conversation = Conversation("")
    try:
        changed_at = path.stat().st_mtime
        replay(conversation, read(path))
    except (NoInput, OSError):
        return
    if conversation.said:
        yield Kept(path, conversation.title or _called(conversation), changed_at, conversation)


def _called(conversation: Conversation) -> str:
    """What a conversation without a title is called: who is in it and how it begins."""
    first = next((each.entry.text for each in conversation.said if each.entry.content_type != "reaction"), "")
    return f"{', '.join(conversation.others)}: {one_line(first, 40)}"


def find_kept(workspace: Workspace, said: str) -> Kept:
    """The kept conversation of this id, or the latest of this title; raises UsageFault."""
    everything = kept(workspace)
    wanted = folded(said)
    for fits in (
        [each for each in everything if each.id == said],
        [each for each in everything if folded(each.title) == wanted],
        [each for each in everything if wanted and wanted in folded(each.title)],
    ):
        if fits:
            return fits[0]
    raise UsageFault(f"No conversation is called {one_line(said, 60)}; /open lists them.")
