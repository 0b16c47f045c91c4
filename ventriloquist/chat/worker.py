"""The model in a child process: requests as JSON lines on stdin, answers as JSON lines on stdout.

So torch never enters the app, and a model that dies takes nothing with it. Requests: `{"op": "load" | "write" |
"cancel" | "seed", ...}`; answers: `{"kind": "ready" | "name" | "text" | "line" | "turn" | "cancelled" | "error", ...}`.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from ventriloquist.faults import Fault


class Server:
    """Answers one request after the other; `cancel` is heard while a line is being written."""

    def __init__(self, requests: TextIO, answers: TextIO) -> None:
        self._answers = answers
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._cancelled = threading.Event()
        self._generator: Any = None
        threading.Thread(target=self._listen, args=(requests,), daemon=True).start()

    def serve(self) -> None:
        """Until stdin ends."""
        while (request := self._queue.get()) is not None:
            try:
                for answer in self._answer(request):
                    self._send(answer)
            except Fault as fault:
                self._send({"kind": "error", "text": str(fault), "exit": int(fault.exit)})
            except Exception as error:  # noqa: BLE001
                # Whatever happens to the model is a sentence on the screen; the message itself may hold text.
                self._send({"kind": "error", "text": _explain(error), "exit": 1})

    def _listen(self, requests: TextIO) -> None:
        for line in requests:
            request = json.loads(line)
            if request["op"] == "cancel":
                self._cancelled.set()
            else:
                self._queue.put(request)
        self._cancelled.set()
        self._queue.put(None)

    def _send(self, answer: dict[str, Any]) -> None:
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()

    def _answer(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        match request["op"]:
            case "load":
                yield self._load(request)
            case "seed":
                self._generator.seed(request["seed"])
            case "write":
                yield from self._write(request)

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        from ventriloquist.model.generate import Generator
        from ventriloquist.model.load import load

        loaded = load(Path(request["folder"]), request["device"], request["threads"])
        self._generator = Generator(
            loaded.model, loaded.tokenizer, loaded.device, loaded.description.max_tokens, request["seed"]
        )
        description = loaded.description
        return {
            "kind": "ready",
            "members": description.members,
            "me": description.me,
            "size": description.size,
            "base": description.base.get("id", description.base["kind"]),
            "device": str(loaded.device),
        }

    def _write(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        from ventriloquist.model.generate import Sampling

        self._cancelled.clear()
        pieces = self._generator.write_line(
            request["context"],
            request["names"],
            request["replies"],
            Sampling(**request["sampling"]),
            self._cancelled.is_set,
        )
        for kind, value in pieces:
            if kind == "name" and value in request["ends"]:
                pieces.close()
                yield {"kind": "turn", "name": value}
                return
            if kind == "line":
                line, cost = value
                yield {"kind": "line", "line": asdict(line), "cost": asdict(cost)}
                return
            yield {"kind": kind, "value": value}
        yield {"kind": "cancelled"}


def _explain(error: Exception) -> str:
    name = type(error).__name__
    if "OutOfMemory" in name or isinstance(error, MemoryError):
        return "The model does not fit into memory. Close other programs, or use a smaller base or --device cpu."
    return f"The model failed ({name}). The conversation is kept; try again."


def main() -> None:
    """Serve on this process's stdin and stdout; anything else that prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    Server(sys.stdin, answers).serve()


if __name__ == "__main__":
    main()
