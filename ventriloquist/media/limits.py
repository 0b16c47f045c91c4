"""Children with limits: whatever reads a stranger's file is one, with bounded time, memory and output and no secrets.

Memory and processor time are bounded by the system (`launch`; macOS does not bound memory), time on the clock and
output by this process, which kills the child's whole group.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ventriloquist.media import launch
from ventriloquist.media.opening import REASONS, Unconvertible

GIGABYTE = 1024**3
_LAUNCHER = str(Path(launch.__file__).resolve())
_PACKAGES = str(Path(launch.__file__).resolve().parents[2])
_KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")
_TICK = 0.25
_BLOCK = 1 << 20
_TOO_SLOW = (signal.SIGXCPU, signal.SIGALRM)
_TOO_LARGE = (signal.SIGXFSZ, signal.SIGKILL)  # what a system that is short of memory sends


class Cancelled(Exception):
    """The run is stopping; the conversion was given up."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may take: seconds on the clock and of the processor (0 wall seconds: it serves until it is told to
    end), bytes of memory, and bytes that it may write."""

    seconds: float
    cpu_seconds: int
    memory: int = GIGABYTE
    written: int = 64_000_000


def limited(command: Sequence[str], limits: Limits) -> list[str]:
    """The command as it is started under limits."""
    wall = int(limits.seconds) + 1 if limits.seconds else 0
    numbers = (limits.memory, limits.cpu_seconds, limits.written, wall)
    return [sys.executable, "-I", "-S", _LAUNCHER, *map(str, numbers), *command]


def python(*arguments: str) -> list[str]:
    """A command that runs this Python, with no folder but the installed ones to import from."""
    return [sys.executable, "-P", "-W", "ignore", *arguments]


def environment() -> dict[str, str]:
    """What children see of the environment: no keys; and where this package lies."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    paths = [_PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def finished(command: Sequence[str], stdin: IO[bytes] | int, limits: Limits, stopping: threading.Event) -> bytes:
    """What the command writes to stdout, having read `stdin`.

    Raises Unconvertible if it fails or goes beyond its limits, Cancelled on a stop.
    """
    until = time.monotonic() + limits.seconds
    with subprocess.Popen(
        limited(command, limits),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what decoders say may name files
        env=environment(),
        cwd="/",
        start_new_session=True,
    ) as child:
        assert child.stdout
        try:
            output = read_to_end(child.stdout.fileno(), until, limits.written, stopping)
            _wait(child, until, stopping)
        finally:
            if child.returncode is None:
                kill(child)
    if child.returncode != 0:
        raise Unconvertible(reason_of(-child.returncode))
    return output


def read_to_end(pipe: int, until: float, most: int, stopping: threading.Event) -> bytes:
    """Everything that is written into a pipe until its last writer closes it, at most `most` bytes.

    Raises Unconvertible when that is more or takes longer than `until` (monotonic), Cancelled on a stop.
    """
    content = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(_patience(until, stopping)):
                continue
            block = os.read(pipe, _BLOCK)
            if not block:
                return bytes(content)
            content += block
            if len(content) > most:
                raise Unconvertible("too large")


def read_one(pipe: int, until: float, stopping: threading.Event) -> int | None:
    """The next byte, or None at the end; raises as `read_to_end` does."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while not selector.select(_patience(until, stopping)):
            continue
    with suppress(ConnectionResetError):
        return next(iter(os.read(pipe, 1)), None)
    return None


def _wait(child: subprocess.Popen[bytes], until: float, stopping: threading.Event) -> None:
    while child.returncode is None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(_patience(until, stopping))


def _patience(until: float, stopping: threading.Event) -> float:
    """How long to wait before looking again whether time is up or the run stops."""
    if stopping.is_set():
        raise Cancelled
    left = until - time.monotonic()
    if left <= 0:
        raise Unconvertible("slow")
    return min(left, _TICK)


def kill(child: subprocess.Popen[bytes]) -> None:
    """End a child that leads its group, and everything that it has started."""
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group that has just ended
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def reason_of(number: int) -> str:
    """Why a child failed, by the signal that ended it (not positive: it ended itself)."""
    return "slow" if number in _TOO_SLOW else "too large" if number in _TOO_LARGE else "damaged"


def answered(output: bytes) -> tuple[bytes, bytes]:
    """What one of our own programs made, and the mark of its kind: a byte that the program writes first.

    Raises Unconvertible where the mark is "!", which a reason follows, and where nothing was written. What a
    stranger's file made the program say is not believed any further: a reason is one of REASONS.
    """
    mark, content = output[:1], output[1:]
    if mark in (b"", b"!"):
        said = content[:40].decode("ascii", "replace")
        raise Unconvertible(said if said in REASONS else "damaged")
    return mark, content
