"""A program of its own: sets limits on itself, then becomes the command that it is given.

    launch.py MEMORY CPU_SECONDS BYTES_WRITTEN WALL_SECONDS COMMAND...

Limits set before the command begins hold from its first instruction. The alarm outlives the change of program, so that
the command ends in time even where whoever started it has been killed. It imports nothing of the project.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

OPEN_FILES = 64


def limit_myself(memory: int, cpu_seconds: int, bytes_written: int) -> None:
    """Bound this process, as far as the system lets us: macOS knows no limit of address space."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, bytes_written),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            _, hard = resource.getrlimit(what)
            allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (allowed, allowed))
        except (OSError, ValueError):
            continue
    limit_cpu(cpu_seconds)


def limit_cpu(seconds: int) -> None:
    """SIGXCPU, which says why, comes a second before the SIGKILL that nothing survives."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    last = seconds + 1 if hard == resource.RLIM_INFINITY else min(seconds + 1, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (min(seconds, last), last))


def main() -> None:
    memory, cpu_seconds, bytes_written, wall_seconds = map(int, sys.argv[1:5])
    limit_myself(memory, cpu_seconds, bytes_written)
    signal.alarm(wall_seconds)
    os.execvp(sys.argv[5], sys.argv[5:])


if __name__ == "__main__":
    main()
