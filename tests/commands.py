"""Runs the installed command, and stages of a test's own, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ventriloquist.workspace import Workspace

SCRIPT = str(Path(sys.executable).with_name("ventriloquist"))
WAIT = 120.0


def command(workspace: Workspace | Path, *words: object) -> list[str]:
    """The command line of `ventriloquist WORDS` on a workspace."""
    root = workspace.root if isinstance(workspace, Workspace) else workspace
    return [SCRIPT, "--workspace", str(root), *map(str, words)]


def ventriloquist(workspace: Workspace | Path, *words: object, **given: Any) -> subprocess.CompletedProcess[str]:
    """Run `ventriloquist WORDS` to its end; `stdin` is text for its input, `env` comes on top of this process's."""
    text, env = given.pop("stdin", ""), dict(os.environ, **given.pop("env", {}))
    return subprocess.run(
        command(workspace, *words),
        input=text, env=env, capture_output=True, encoding="utf-8", timeout=WAIT, check=False, **given,
    )  # fmt: skip


def stage_process(workspace: Workspace, body: str, **given: Any) -> subprocess.Popen[str]:
    """A process that does the stage `train` with `body` as its function's body; `run` is the run.

    It exits like the command: with the fault's code, the fault on stderr.
    """
    script = f"""
import os, signal, sys, time
from ventriloquist.faults import Fault
from ventriloquist.runs import perform
from ventriloquist.workspace import Workspace
def stage(settings, workspace, run):
{"".join(f"    {line}" + chr(10) for line in body.strip().splitlines())}
try:
    perform("train", stage, None, Workspace.at({str(workspace.root)!r}), ["train"])
except Fault as fault:
    sys.exit((sys.stderr.write(str(fault)), int(fault.exit))[1])
"""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8", **given}
    return subprocess.Popen([sys.executable, "-c", script], **pipes)


def until(true: Callable[[], object], what: str) -> None:
    """Wait for `true()`; fails the test, naming `what`, if it never comes."""
    deadline = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)
