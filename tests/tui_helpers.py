"""What the app's tests share: a workspace with runs on disk, a session without a model, and what the screen shows."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from textual.app import App

from ventriloquist.chat.commands import Completions
from ventriloquist.chat.conversation import Conversation
from ventriloquist.chat.events import ChatEvent, Quit, Said, Text, TurnEnded, Writing, Wrote
from ventriloquist.locks import hold
from ventriloquist.model.checkpoint import Description
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.windows.lines import Line
from ventriloquist.workspace import Workspace

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
SIZES = ((80, 24), (60, 20), (120, 40))
BEGAN = datetime.now(UTC) - timedelta(minutes=3)


def screen_lines(app: App[Any]) -> list[str]:
    """The rows of the active screen as they go to the terminal, without their styles."""
    return ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]


def screen_text(app: App[Any]) -> str:
    """The whole active screen."""
    return "\n".join(screen_lines(app))


def assert_clean(app: App[Any]) -> None:
    """No control byte and no action from data is on its way to the terminal."""
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            assert not CONTROLS.search(segment.text), ascii(segment.text)
            assert "@click" not in (segment.style.meta if segment.style else {})


def write_run(
    workspace: Workspace, stage: str, events: list[dict[str, Any]], *, log: str = "", run_id: str = "", began: int = 0
) -> Path:
    """A run's directory as a run leaves it. `events` get times two seconds apart."""
    workspace.prepare()
    folder = workspace.runs / (run_id or f"0102-{len(list(workspace.runs.iterdir())):06}-{stage}")
    folder.mkdir()
    started = BEGAN + timedelta(seconds=began)
    description = {"stage": stage, "argv": [stage], "settings": {}, "started": started.isoformat()}
    (folder / "run.json").write_text(json.dumps(description))
    (folder / "output.log").write_bytes(log.encode("utf-8", "surrogatepass"))
    add_events(folder, events, started)
    return folder


def add_events(folder: Path, events: list[dict[str, Any]], started: datetime = BEGAN) -> None:
    """Append events to a run."""
    with (folder / "events.jsonl").open("a") as file:
        for number, event in enumerate(events):
            time = (started + timedelta(seconds=2 * number)).isoformat(timespec="milliseconds")
            file.write(json.dumps({"t": time, **event}) + "\n")


def training(steps: int, total: int) -> list[dict[str, Any]]:
    """The events of a training that has come to step `steps`."""
    events: list[dict[str, Any]] = [
        {"kind": "phase", "name": "tokenise"},
        {"kind": "progress", "done": 240, "total": 240, "unit": "windows"},
        {"kind": "note", "level": "info", "text": "The tiny base: 3.1 million weights, 4,096 tokens, on cpu."},
        {"kind": "phase", "name": "train"},
    ]
    for step in range(steps):
        loss = 2.0 + 4.0 / (1 + step / 5)
        values = {"loss": loss, "learning_rate": 3e-3, "tokens_per_second": 12345.6, "gradient_norm": 0.42}
        events.append({"kind": "metric", "step": step, "values": values})
        if step % 10 == 0:
            held_out = {"validation_text_loss": loss + 2.0, "validation_loss": loss + 0.4}
            events.append({"kind": "metric", "step": step, "values": held_out})
        events.append({"kind": "progress", "done": step + 1, "total": total, "unit": "steps"})
    return events


def ended(status: str = "done", error: str | None = None, **makes: Any) -> dict[str, Any]:
    """A run's last event."""
    return {"kind": "end", "status": status, "exit": 0, "error": error, "makes": makes}


@contextmanager
def living(folder: Path) -> Iterator[None]:
    """Hold a run's lock, as its process would."""
    with hold(folder / "lock", "test"):
        yield


def make_checkpoint(workspace: Workspace, name: str = "tiny-4f2a", steps: int = 400, people: int = 3) -> Path:
    """What status reads of a finished checkpoint; no weights are in it."""
    folder = workspace.checkpoints / name / "final"
    folder.mkdir(parents=True)
    base = {"kind": "tiny", "hidden": 64, "layers": 2, "seed": 0}
    described = Description(base, "0", {}, {"sha256": "0"}, ["A"] * people, 2048, 64, steps, steps)
    described.write(folder)
    return folder


class ScriptedSession:
    """Stands in for a chat session: the same events, from a script instead of a model.

    `replies` are the lines that answer each typed line; `events` may give what a typed line brings outright.
    """

    def __init__(self, members: list[str], replies: list[Line], *, me: str = "John", pieces: int = 3) -> None:
        self.known = [*members, me]
        self.members = members
        self.replies = replies
        self.pieces = pieces
        self.conversation = Conversation(me)
        self.checkpoint = "tiny-4f2a"
        self.checkpoints = ["tiny-4f2a", "tiny-0001"]
        self.facts: dict[str, Any] = {"base": "tiny", "device": "cpu", "precision": "fp32", "notice": ""}
        self.options: dict[str, Any] = {"temperature": 0.8, "top_p": 0.95, "max_tokens": 160, "delay": 0.0}
        self.problem: Exception | None = None
        self.events: dict[str, list[ChatEvent]] = {}
        self.submitted: list[str] = []
        self.opened = threading.Event()
        self.opened.set()
        self.cancelled = self.closed = False

    def open(self) -> None:
        self.opened.wait(30)
        if self.problem:
            raise self.problem
        talk = self.conversation
        talk.do(talk.cast_of(self.members))
        talk.do(talk.cast(target=self.members[0]))

    def completions(self) -> Completions:
        return Completions(self.known, self.conversation.members, list(self.options), self.checkpoints)

    def submit(self, typed: str) -> Iterator[ChatEvent]:
        self.submitted.append(typed)
        if typed in self.events:
            yield from self.events[typed]
        elif typed == "/quit":
            yield Quit()
        elif not typed.startswith("/"):
            yield from self.say(typed)
            for line in self.replies:
                yield from self.write(line)
            yield TurnEnded()

    def say(self, words: str) -> Iterator[ChatEvent]:
        """Words of the person's."""
        for doing in self.conversation.words(words):
            self.conversation.do(doing)
            yield Said(self.conversation.said[-1])

    def write(self, line: Line) -> Iterator[ChatEvent]:
        """A line of the model's, in pieces."""
        yield Writing(line.name)
        size = max(len(line.text) // self.pieces, 1)
        for start in range(0, len(line.text), size):
            yield Text(line.name, line.text[start : start + size])
        self.conversation.do(self.conversation.line(line))
        yield Wrote(self.conversation.said[-1], line, {"tokens": 12, "seconds": 0.5})

    def cancel(self) -> None:
        self.cancelled = True

    def close(self) -> None:
        self.closed = True


def open_app(workspace: Workspace) -> VentriloquistApp:
    """The app on this workspace, its cursor at rest."""
    return VentriloquistApp(workspace)
