"""The near end of the worker: starts it, asks, listens, and notices when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ventriloquist.faults import Exit, Fault
from ventriloquist.settings import ChatSettings

_STREAMED = ("name", "text")


@dataclass(slots=True)
class Asked:
    """The last request to the model and what came of it, for /debug."""

    context: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    raw: str = ""
    cost: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Warming:
    """A context that the worker reads meanwhile, and its answer once it has come."""

    number: int
    context: list[str]
    answer: dict[str, Any] = field(default_factory=dict)


class ModelProcess:
    """A worker with one checkpoint loaded. All methods block but `warm` and `cancel`; `cancel` and `close` may be
    called from another thread."""

    def __init__(self, folder: Path, settings: ChatSettings) -> None:
        self.folder = folder
        self.settings = settings
        self.facts: dict[str, Any] = {}
        self._child: subprocess.Popen[str] | None = None
        self._sending = threading.Lock()
        self._number = 0
        self._warming: _Warming | None = None

    def start(self) -> dict[str, Any]:
        """Start the worker and load the model; returns what it says of itself (members, me, size, base, device,
        precision, notice)."""
        self._warming = None
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "ventriloquist.chat.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env=dict(os.environ, PYTHONUNBUFFERED="1"),
            start_new_session=True,  # a Ctrl-C in the terminal cancels a reply, it does not kill the model
        )
        settings = self.settings
        load = {"folder": str(self.folder), "device": settings.device, "threads": settings.threads}
        self.facts = next(
            self._ask(
                {"op": "load", **load, "precision": settings.precision, "bits": settings.bits, "seed": settings.seed}
            )
        )
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

    def offer(
        self,
        context: Sequence[str],
        names: Sequence[str],
        replies: Sequence[str],
        sampling: dict[str, Any],
        count: int,
    ) -> list[dict[str, Any]]:
        """`count` ways in which the next line could be, each a `{"line", "cost", "raw"}`; none if cancelled."""
        request = {"op": "offer", "context": context, "names": names, "replies": replies, "count": count}
        answer = next(self._ask({**request, "sampling": sampling}))
        return list(answer["candidates"])

    def warm(self, context: Sequence[str]) -> None:
        """Have the worker read the context meanwhile, so that the next line need not wait for that."""
        if self.alive and self._warming is None:
            with contextlib.suppress(Fault):
                self._warming = _Warming(self._send({"op": "warm", "context": context}), list(context))

    def warmed(self, context: Sequence[str]) -> int:
        """Wait until the worker has read what it was given to read meanwhile, or stop it if `context` does not go on
        from that; returns how many of its lines were left out because the model has no room for them."""
        if self._warming is None:
            return 0
        warming = self._warming
        self._warming = None
        goes_on = list(context[: len(warming.context)]) == warming.context
        if not warming.answer:
            if not goes_on:
                self._send({"op": "cancel", "of": warming.number})
            warming.answer = next(self._answers(warming.number))
        return int(warming.answer.get("dropped", 0)) if goes_on else 0

    def seed(self, seed: int) -> None:
        """Start the random numbers over."""
        self._send({"op": "seed", "seed": seed})

    def cancel(self) -> None:
        """Stop the line that is being written."""
        with contextlib.suppress(Fault):
            self._send({"op": "cancel", "of": self._number})

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
        yield from self._answers(self._send(request))

    def _answers(self, number: int) -> Iterator[dict[str, Any]]:
        """The answers to one request, the last of them one that is not streamed."""
        assert self._child is not None and self._child.stdout is not None
        while line := self._child.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            if answer["of"] != number:  # of a request before, which nobody waits for now
                if self._warming and answer["of"] == self._warming.number:
                    self._warming.answer = answer
                continue
            if answer["kind"] == "error":
                fault = Fault(answer["text"])
                fault.exit = Exit(answer["exit"])
                raise fault
            yield answer
            if answer["kind"] not in _STREAMED:
                return
        raise self._death()

    def _send(self, request: dict[str, Any]) -> int:
        """Send a request; returns its number."""
        if self._child is None or self._child.stdin is None:
            raise Fault("The model is not loaded.")
        try:
            with self._sending:
                if request["op"] != "cancel":
                    self._number += 1
                self._child.stdin.write(json.dumps({**request, "number": self._number}) + "\n")
                self._child.stdin.flush()
                return self._number
        except (OSError, ValueError):
            raise self._death() from None

    def _death(self) -> Fault:
        assert self._child is not None
        code = self._child.wait()
        how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended (exit {code})"
        return Fault(
            f"The model's process {how}; it may have run out of memory. The conversation is kept; try again, or use a "
            "smaller base."
        )
