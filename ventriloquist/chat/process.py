"""The near end of the worker: starts it, asks, listens, and notices when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ventriloquist.faults import Exit, Fault
from ventriloquist.settings import ChatSettings


class ModelProcess:
    """A worker with one checkpoint loaded. All methods block; `cancel` may be called from another thread."""

    def __init__(self, folder: Path, settings: ChatSettings) -> None:
        self.folder = folder
        self.settings = settings
        self.facts: dict[str, Any] = {}
        self._child: subprocess.Popen[str] | None = None

    def start(self) -> dict[str, Any]:
        """Start the worker and load the model; returns what it says of itself (members, me, size, base, device)."""
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "ventriloquist.chat.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env=dict(os.environ, PYTHONUNBUFFERED="1"),
            start_new_session=True,  # a Ctrl-C in the terminal cancels a reply, it does not kill the model
        )
        load = {
            "op": "load",
            "folder": str(self.folder),
            "device": self.settings.device,
            "threads": self.settings.threads,
            "seed": self.settings.seed,
        }
        self.facts = next(self._ask(load))
        return self.facts

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def write(
        self,
        context: Sequence[str],
        names: Sequence[str],
        replies: Sequence[str],
        ends: Sequence[str],
        sampling: dict[str, Any],
    ) -> Iterator[dict[str, Any]]:
        """Ask for one line; yields `name`, `text` and at last `line`, `turn` or `cancelled`."""
        request = {"op": "write", "context": context, "names": names, "replies": replies, "ends": ends}
        yield from self._ask({**request, "sampling": sampling})

    def seed(self, seed: int) -> None:
        self._send({"op": "seed", "seed": seed})

    def cancel(self) -> None:
        """Stop the line that is being written."""
        with contextlib.suppress(Fault):
            self._send({"op": "cancel"})

    def close(self) -> None:
        """End the worker."""
        if self._child is None:
            return
        with contextlib.suppress(OSError):
            assert self._child.stdin is not None
            self._child.stdin.close()
        try:
            self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _ask(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self._send(request)
        assert self._child is not None and self._child.stdout is not None
        while line := self._child.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            if answer["kind"] == "error":
                fault = Fault(answer["text"])
                fault.exit = Exit(answer["exit"])
                raise fault
            yield answer
            if answer["kind"] not in ("name", "text"):
                return
        raise self._death()

    def _send(self, request: dict[str, Any]) -> None:
        if self._child is None or self._child.stdin is None:
            raise Fault("The model is not loaded.")
        try:
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
        except (OSError, ValueError):
            raise self._death() from None

    def _death(self) -> Fault:
        assert self._child is not None
        code = self._child.wait()
        how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended (exit {code})"
        return Fault(f"The model's process {how}. The conversation is kept; say it again to start the model anew.")
