"""The model in a child process: requests as JSON lines on stdin, answers as JSON lines on stdout.

So torch never enters the app, and a model that dies takes nothing with it. Requests have an `op` (load, write, offer,
warm, seed, cancel) and a `number`; answers say which request they are `of`, and their `kind`: ready, name, text, line,
turn, cancelled, candidates, warmed, error.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from ventriloquist.faults import Fault

Answer = dict[str, Any]
POLITE = 5
"""How far the model stands back, so that a key is echoed at once while it computes on all cores."""
ALL = 1 << 62
"""The number after which no request comes: everything is cancelled."""


class Server:
    """Answers one request after the other; `cancel` is heard meanwhile."""

    def __init__(self, requests: TextIO, answers: TextIO) -> None:
        self._answers = answers
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._cancelled = 0
        self._generator: Any = None
        threading.Thread(target=self._listen, args=(requests,), daemon=True).start()

    def serve(self) -> None:
        """Until stdin ends."""
        while (request := self._queue.get()) is not None:
            try:
                for answer in self._answer(request):
                    self._send(request, answer)
            except Fault as fault:
                self._send(request, {"kind": "error", "text": str(fault), "exit": int(fault.exit)})
            except Exception as error:  # noqa: BLE001
                # Whatever happens to the model is a sentence on the screen; the message itself may hold text.
                if self._generator is not None:
                    self._generator.forget()
                self._send(request, {"kind": "error", "text": _explain(error), "exit": 1})

    def _listen(self, requests: TextIO) -> None:
        for line in requests:
            request = json.loads(line)
            if request["op"] == "cancel":
                self._cancelled = max(self._cancelled, request["of"])
            else:
                self._queue.put(request)
        self._cancelled = ALL
        self._queue.put(None)

    def _send(self, request: dict[str, Any], answer: Answer) -> None:
        self._answers.write(json.dumps({"of": request["number"], **answer}) + "\n")
        self._answers.flush()

    def _answer(self, request: dict[str, Any]) -> Iterator[Answer]:
        cancelled = self._watch(request["number"])
        match request["op"]:
            case "load":
                yield self._load(request)
            case "seed":
                self._generator.seed(request["seed"])
            case "warm":
                yield {"kind": "warmed", "dropped": self._generator.prefill(request["context"], cancelled).dropped}
            case "write":
                yield from self._write(request, cancelled)
            case "offer":
                yield self._offer(request, cancelled)

    def _watch(self, number: int) -> Callable[[], bool]:
        return lambda: number <= self._cancelled

    def _load(self, request: dict[str, Any]) -> Answer:
        from ventriloquist.model.generate import Generator
        from ventriloquist.model.load import load

        loaded = load(
            Path(request["folder"]),
            request["device"],
            request["threads"],
            precision=request["precision"],
            bits=request["bits"],
        )
        description = loaded.description
        self._generator = Generator(
            loaded.model, loaded.tokenizer, loaded.device, description.max_tokens, request["seed"]
        )
        return {
            "kind": "ready",
            "members": description.members,
            "me": description.me,
            "size": description.size,
            "base": _called(description.base),
            "device": str(loaded.device),
            "precision": f"{loaded.bits} bits" if loaded.bits else loaded.precision,
            "notice": " ".join(filter(None, (loaded.notice, self._generator.notice))),
        }

    def _write(self, request: dict[str, Any], cancelled: Callable[[], bool]) -> Iterator[Answer]:
        pieces = self._generator.write_line(*self._asked(request), cancelled)
        for kind, value in pieces:
            if kind == "name" and value in request["ends"]:
                pieces.close()
                yield {"kind": "turn", "name": value}
                return
            if kind == "line":
                yield {"kind": "line", **_written(*value)}
                return
            yield {"kind": kind, "value": value}
        yield {"kind": "cancelled"}

    def _offer(self, request: dict[str, Any], cancelled: Callable[[], bool]) -> Answer:
        found = self._generator.write_candidates(*self._asked(request), request["count"], cancelled)
        return {"kind": "candidates", "candidates": [_written(*each) for each in found]}

    @staticmethod
    def _asked(request: dict[str, Any]) -> tuple[Any, ...]:
        from ventriloquist.model.generate import Sampling

        return request["context"], request["names"], request["replies"], Sampling(**request["sampling"])


def _called(base: dict[str, Any]) -> str:
    """What a base is called: its id, or the name of its folder."""
    named = str(base.get("id", base["kind"]))
    return named if "revision" in base else Path(named).name


def _written(line: Any, cost: Any, raw: str) -> Answer:
    return {"line": asdict(line), "cost": asdict(cost), "raw": raw}


def _explain(error: Exception) -> str:
    name = type(error).__name__
    if "OutOfMemory" in name or isinstance(error, MemoryError):
        return "The model does not fit into memory. Close other programs, or use a smaller base or --device cpu."
    return f"The model failed ({name}). The conversation is kept; try again."


def main() -> None:
    """Serve on this process's stdin and stdout; anything else that prints goes to stderr."""
    with contextlib.suppress(OSError):
        os.nice(POLITE)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    Server(sys.stdin, answers).serve()


if __name__ == "__main__":
    main()
