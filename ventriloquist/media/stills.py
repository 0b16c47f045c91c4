"""Pictures made small by processes that stand ready (`still`): one for each thread that asks at the same time."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import IO

from ventriloquist.faults import Fault
from ventriloquist.media import still
from ventriloquist.media.limits import (
    Limits,
    answered,
    environment,
    kill,
    limited,
    python,
    read_one,
    read_to_end,
    reason_of,
)
from ventriloquist.media.opening import Unconvertible

SECONDS = still.WALL_SECONDS + 1.0
LARGEST_JPEG = 4_000_000
_SERVING = Limits(seconds=0, cpu_seconds=1_000_000, written=0)
"""Of the process that forks; each picture's fork has its own time. Nothing here writes a file."""

_idle: list[_Decoder] = []
_guard = threading.Lock()


def small_jpeg(file: IO[bytes], stopping: threading.Event) -> bytes:
    """The picture as a small JPEG; raises Unconvertible, or Cancelled on a stop.

    A picture that goes beyond a limit costs itself alone: the process that held it is killed, and the next one gets
    a new one.
    """
    decoder = _ready()
    try:
        content = decoder.jpeg(file, stopping)
    except _Gone:
        decoder.end()
        decoder = _Decoder()
        content = decoder.jpeg(file, stopping)
    except BaseException:
        decoder.end()
        raise
    with _guard:
        _idle.append(decoder)
    _, jpeg = answered(content)
    return jpeg


def release() -> None:
    """End the processes that stand ready. They also end by themselves with this process, however that ends."""
    with _guard:
        decoders, _idle[:] = _idle[:], []
    for decoder in decoders:
        decoder.end()


def _ready() -> _Decoder:
    with _guard:
        if _idle:
            return _idle.pop()
    return _Decoder()


class _Gone(Exception):
    """The process had ended before it was asked."""


class _Decoder:
    """One process that decodes pictures, each in a fork of its own."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._child = subprocess.Popen(
                limited(python(str(Path(still.__file__).resolve())), _SERVING),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(),
                cwd="/",
                start_new_session=True,
            )
        self._stands_ready = False

    def jpeg(self, file: IO[bytes], stopping: threading.Event) -> bytes:
        """The fork's answer; raises _Gone, Unconvertible, Cancelled, and a Fault where Pillow does not even load."""
        if not self._stands_ready:
            self._wait_for_it(stopping)
        until = time.monotonic() + SECONDS
        reading, writing = os.pipe()
        try:
            try:
                socket.send_fds(self._channel, [b"?"], [file.fileno(), writing])
            except OSError:
                raise _Gone from None
            finally:
                os.close(writing)
            content = read_to_end(reading, until, LARGEST_JPEG, stopping)
        finally:
            os.close(reading)
        ended_by = read_one(self._channel.fileno(), until, stopping)
        if ended_by is None:
            raise Unconvertible("damaged")  # it took the process along that it was forked from
        return b"!" + reason_of(ended_by).encode() if ended_by else content

    def _wait_for_it(self, stopping: threading.Event) -> None:
        try:
            ready = read_one(self._channel.fileno(), time.monotonic() + SECONDS, stopping)
        except Unconvertible:
            ready = None
        if ready is None:
            raise Fault("Pictures cannot be decoded: Pillow does not start. Install Ventriloquist again.")
        self._stands_ready = True

    def end(self) -> None:
        """Kill the process and its fork."""
        self._channel.close()
        kill(self._child)
