"""Locks that live as long as their process: `fcntl.lockf` on a file that is never deleted."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ventriloquist.faults import Busy, from_os_error

_held: dict[Path, dict[str, Any]] = {}
_FLOCK = "hhqqi" if sys.platform == "linux" else "qqihh"
"""C's `struct flock`: type, whence, start, length, pid on Linux; start, length, pid, type, whence on BSD and macOS."""


@contextlib.contextmanager
def hold(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` for the block; raises Busy, naming who holds it, if another does."""
    if path in _held:
        raise _busy(path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise from_os_error(error, f"locking {path.name}") from error
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise _busy(path) from None
    _held[path] = {"pid": os.getpid(), "what": what}
    try:
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(_held[path]).encode(), 0)
        except OSError as error:
            raise from_os_error(error, "taking the lock") from error
        yield
    finally:
        del _held[path]
        os.close(descriptor)  # releases the lock; the file stays, so that nobody locks a deleted one


def _busy(path: Path) -> Busy:
    holder = holder_of(path)
    for _ in range(20):
        if "what" in holder:
            break
        time.sleep(0.01)  # it has only just taken the lock, and writes its name into it now
        holder = holder_of(path)
    return Busy(
        f"Another run holds this workspace: {holder.get('what', 'a run')} (process {holder.get('pid', '?')}). "
        "Wait for it (ventriloquist runs list) or stop it (ventriloquist runs stop)."
    )


def holder_of(path: Path) -> dict[str, Any]:
    """`{"pid", "what"}` of whoever holds (or last held) the lock, or {}."""
    if path in _held:
        return _held[path]
    try:
        holder = json.loads(path.read_bytes() or b"{}")
    except (OSError, ValueError):
        holder = {}
    found = holder if isinstance(holder, dict) else {}
    process = _owner(path)
    return found if process in (None, found.get("pid")) else {"pid": process}


def is_locked(path: Path) -> bool:
    """True while a process holds the lock file.

    Never opens a lock that this process holds: closing any descriptor of a file drops all of a process's POSIX
    locks on it.
    """
    return path in _held or _owner(path) is not None


def _owner(path: Path) -> int | None:
    """The process that holds the lock file, if another than this one does.

    It asks and does not try, since a trial would hold the lock for a moment and turn away whoever comes just then.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    ours = (fcntl.F_WRLCK, os.SEEK_SET)
    question = (*ours, 0, 0, 0) if sys.platform == "linux" else (0, 0, 0, *ours)
    try:
        answer = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(_FLOCK, *question)))
    finally:
        os.close(descriptor)
    kind, process = (answer[0], answer[4]) if sys.platform == "linux" else (answer[3], answer[2])
    return None if kind == fcntl.F_UNLCK else int(process)
