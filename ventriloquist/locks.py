"""Locks that live as long as their process: `fcntl.lockf` on a file that is never deleted."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ventriloquist.faults import Busy, from_os_error

_held: dict[Path, dict[str, Any]] = {}


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
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_held[path]).encode(), 0)
        yield
    finally:
        del _held[path]
        os.close(descriptor)  # releases the lock; the file stays, so that nobody locks a deleted one


def _busy(path: Path) -> Busy:
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
        holder = json.loads(path.read_text() or "{}")
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def is_locked(path: Path) -> bool:
    """True while a process holds the lock file.

    Never opens a lock that this process holds: closing any descriptor of a file drops all of a process's POSIX
    locks on it.
    """
    if path in _held:
        return True
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
