"""What can go wrong, each with the exit code it ends the process with. The only file that knows the codes."""

from __future__ import annotations

import os
import re
import traceback
from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NO_INPUT = 3
    BUSY = 4
    STOPPED = 5


class Fault(Exception):
    """Something the user can act on: one clear sentence, and the exit code that goes with it.

    The sentence names what happened and what to do; it never holds message text.
    """

    exit = Exit.FAILED


class UsageFault(Fault):
    """The request itself makes no sense (a setting out of range, an unknown name)."""

    exit = Exit.USAGE


class NoInput(Fault):
    """What the command needs is not there, or may not be read."""

    exit = Exit.NO_INPUT


class Damaged(NoInput):
    """The history's file is damaged: a part of it may still be salvaged, by opening it for that."""


class Busy(Fault):
    """Another run holds the workspace."""

    exit = Exit.BUSY


class Stopped(Fault):
    """The user asked the run to stop; what stands is saved."""

    exit = Exit.STOPPED


class DiskFull(Fault):
    """The disk (or the user's quota) has no room left; what was there before is intact."""


def unforeseen(error: BaseException, doing: str) -> Fault:
    """The fault that any exception means while `doing`; one that nobody foresaw is told by its kind and place only,
    since its message may hold what someone wrote."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, OSError):
        return from_os_error(error, doing)
    if number := _RUST_ERROR.search(str(error)):
        return from_os_error(OSError(int(number[1]), os.strerror(int(number[1]))), doing)
    return Fault(f"{doing[:1].upper()}{doing[1:]} failed: {_place(error)}.")


_RUST_ERROR = re.compile(r"\(os error (\d{1,3})\)")
"""How libraries written in Rust (safetensors, tokenizers) tell an error of the system: in words alone."""


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    here = next((frame for frame in reversed(frames) if "ventriloquist" in frame.filename), None)
    where = f" at {Path(here.filename).name}:{here.lineno}" if here else ""
    return f"{type(error).__name__}{where}"


def from_os_error(error: OSError, doing: str) -> Fault:
    """The fault that an `OSError` means while `doing` (a phrase such as "writing the windows")."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull(
            f"The disk is full: {doing} stopped, and what was there before is unchanged. "
            "Free some space and start again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        where = f" ({error.filename})" if error.filename else ""
        return NoInput(f"Permission denied while {doing}{where}.")
    return Fault(f"{doing[:1].upper()}{doing[1:]} failed: {error.strerror or type(error).__name__}.")
