"""A chat from the first word to the last: typed lines in, events out. The command and the app both use this."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from ventriloquist.chat.commands import ANY, Completions, Input, match_name, split_names, understand
from ventriloquist.chat.conversation import Conversation, Doing
from ventriloquist.chat.events import Busy, Changed, ChatEvent, Failed, Said, Text, TurnEnded, Waiting, Writing, Wrote
from ventriloquist.chat.options import OPTIONS, SAMPLING, options_of
from ventriloquist.chat.process import Asked, ModelProcess
from ventriloquist.chat.transcript import Transcript, read, replay
from ventriloquist.faults import DiskFull, Fault, NoInput, UsageFault
from ventriloquist.model import checkpoint
from ventriloquist.settings import ChatSettings
from ventriloquist.text import is_blank, one_line
from ventriloquist.windows.lines import DELTA_SECONDS, DELTAS, Line
from ventriloquist.workspace import Workspace

CHARACTERS_A_SECOND = 12
"""How fast people type, for how long they are seen typing."""


class Session:
    """A conversation, the model that answers in it, and the file that keeps it."""

    def __init__(self, process: ModelProcess, settings: ChatSettings, workspace: Workspace) -> None:
        self.process = process
        self.settings = settings
        self.workspace = workspace
        self.known: list[str] = []
        self.facts: dict[str, Any] = {}
        self.checkpoint = checkpoint.name_of(process.folder)
        self.conversation = Conversation("Me")
        self.transcript = Transcript(workspace)
        self.options = options_of(settings)
        self.asked = Asked()
        self.offered: list[tuple[Line, Asked]] = []
        self.collected = False
        self._elsewhere: dict[frozenset[str], Path] = {}
        self._unkept = ""
        self._stop = threading.Event()
        self._random = random.Random(settings.seed if settings.seed >= 0 else None)

    # --- opening and closing

    def open(self) -> None:
        """Load the model and set the scene from the settings; raises a Fault if that cannot be."""
        self.load()
        me, others = self.facts["me"] or "Me", self.others_known
        if not others:
            raise NoInput("The checkpoint knows nobody but you. Train on conversations with other people.")
        target = match_name(self.settings.target, others) if self.settings.target else others[0]
        members = split_names(self.settings.members, others) or ([target] if target != ANY else others[:2])
        conversation = self.fresh(me)
        if target == me:
            raise UsageFault(f"You are {one_line(me, 40)}; name somebody else with --target.")
        if target not in (ANY, *members):
            members.append(target)
        conversation.do(conversation.cast_of(members))
        conversation.do(conversation.cast(target=None if target == ANY else target))
        self.take_up(conversation, Transcript(self.workspace))
        self.process.warm(conversation.context())

    def load(self) -> None:
        """Start the model's process; raises a Fault if that cannot be."""
        self.facts = self.process.start()
        if self.options["seed"] != self.settings.seed:
            self.process.seed(self.options["seed"])
        self.known = self.facts["members"]
        self.checkpoint = checkpoint.name_of(self.process.folder)
        self.conversation.size = self.facts["size"]

    def fresh(self, me: str) -> Conversation:
        """A conversation in which nothing was said."""
        return Conversation(me, [me], size=self.facts.get("size", 64))

    def take_up(self, conversation: Conversation, transcript: Transcript, *, kept: bool = False) -> None:
        """Make this the conversation; one that is not `kept` yet is written into its transcript from now on."""
        self.transcript.close()
        self.conversation, self.transcript, self.offered = conversation, transcript, []
        if not kept:
            self._keep(conversation.as_doings())

    def close(self) -> None:
        """End the model's process."""
        self.process.close()
        self.transcript.close()

    def cancel(self) -> None:
        """Stop the reply that is being written."""
        self._stop.set()
        self.process.cancel()

    @property
    def stopping(self) -> bool:
        """True once the person has asked to stop what is going on."""
        return self._stop.is_set()

    # --- what is typed

    def submit(self, typed: str) -> Iterator[ChatEvent]:
        """One typed line, and all that follows from it. Faults come as `Failed`, never as exceptions."""
        self._stop.clear()
        try:
            yield from self._submit(typed)
        except Fault as fault:
            yield Failed(str(fault), typed)
        if self._unkept:
            yield Changed(self._unkept)
            self._unkept = ""

    def _submit(self, typed: str) -> Iterator[ChatEvent]:
        from ventriloquist.chat.answering import answer

        understood = understand(typed, self.conversation.members)
        if understood.command:
            yield from answer(self, understood.command, understood.rest)
        elif understood.name:
            yield from self._put(understood)
        elif not is_blank(understood.rest):
            yield from self.say(self.conversation.words(understood.rest), typed)

    def _put(self, understood: Input) -> Iterator[ChatEvent]:
        """Put words into a member's mouth; who says something so wants no answer to it yet."""
        for doing in self.conversation.words(understood.rest, understood.name):
            yield self._said(doing)
        yield Changed("")

    def say(self, doings: list[Doing], typed: str) -> Iterator[ChatEvent]:
        """Say it and let them answer; if nobody could, it was not said and the typed words are given back."""
        for doing in doings:
            yield self._said(doing)
        for event in self.reply(typed):
            if isinstance(event, Failed) and event.typed:
                self.do({"do": "drop", "count": len(doings)})
                yield Changed("Not said; your words are back.")
            yield event

    def _said(self, doing: Doing) -> Said:
        self.do(doing)
        return Said(self.conversation.said[-1])

    def do(self, *doings: Doing) -> None:
        """Let something happen in the conversation, and keep it; what cannot be written now waits until it can."""
        for doing in doings:
            self.conversation.do(doing)
        self._keep(doings)
        self.offered = []

    def _keep(self, doings: Sequence[Doing]) -> None:
        try:
            self.transcript.keep(*doings)
        except DiskFull:
            self._unkept = "The disk is full, so what is said is not kept for now. You can talk on; it is kept later."
        except Fault as fault:
            self._unkept = f"{fault} What is said is not kept for now; you can talk on."

    # --- the reply

    def reply(self, typed: str = "", count: int | None = None, everyone: bool = False) -> Iterator[ChatEvent]:
        """Lines until the model gives the turn back, at most the setting's number; or exactly `count` lines, by
        whoever answers or, with `everyone`, by whomever the model chooses."""
        written = 0
        try:
            yield from self.revive()
            while written < (count or self.options["max_messages"]) and not self._stop.is_set():
                ended = yield from self._line(written, forced=count is not None, everyone=everyone)
                if ended:
                    break
                written += 1
        except Fault as fault:
            yield Failed(str(fault), typed if not written else "")
            return
        finally:
            self._settle()
        yield TurnEnded(self._stop.is_set())

    def _line(self, written: int, *, forced: bool, everyone: bool) -> Generator[ChatEvent, None, bool]:
        """One line; returns True if there was none, since the turn is over or the person stopped it."""
        conversation = self.conversation
        names = conversation.members if everyone else conversation.speakers(0 if forced else written)
        ends = [] if forced else [name for name in names if conversation.ends_turn(name, written)]
        slow = self.options["delay"] > 0
        name = ""
        if len(names) == 1 and not slow:  # who it will be is known before the model has read anything
            (name,) = names
            yield Writing(name)
        request = self.request(names)
        for answer in self.process.write(*request, ends, self.sampling()):
            match answer["kind"]:
                case "name" if not slow and not name:
                    name = answer["value"]
                    yield Writing(name)
                case "text" if not slow:
                    yield Text(name, answer["value"])
                case "line":
                    line = Line(**answer["line"])
                    self.asked = Asked(request[0], list(names), answer["raw"], answer["cost"])
                    if slow and not (yield from self._wait(line)):
                        return True
                    yield self.wrote(line, answer["cost"])
                case "turn" | "cancelled":
                    return True
        return False

    def request(self, names: list[str]) -> tuple[list[str], list[str], list[str]]:
        """What the model is asked with: the context, who may speak, and what may be replied to."""
        conversation = self.conversation
        conversation.left_out(self.process.warmed(conversation.context()))
        return conversation.context(), names, conversation.replies()

    def sampling(self) -> dict[str, Any]:
        """How tokens are drawn."""
        return {name: self.options[name] for name in SAMPLING}

    def wrote(self, line: Line, cost: dict[str, Any]) -> Wrote:
        """Take up a line that the model wrote."""
        self.conversation.left_out(cost["dropped"])
        self.do(self.conversation.line(line))
        return Wrote(self.conversation.said[-1], line, cost)

    def _wait(self, line: Line) -> Generator[ChatEvent, None, bool]:
        """Let the time pass that the line says it took, and be seen typing at the end; returns False if stopped."""
        place = DELTAS.index(line.delta)
        low, high = (1, *DELTA_SECONDS)[place], (*DELTA_SECONDS, 3 * DELTA_SECONDS[-1])[place]
        seconds = math.exp(self._random.uniform(math.log(low), math.log(high)))
        typing = min(1 + len(line.text) / CHARACTERS_A_SECOND, self.options["delay"])
        seconds = min(max(seconds, typing), self.options["delay"])
        yield Waiting(line.name, seconds - typing)
        if self._stop.wait(seconds - typing):
            return False
        yield Writing(line.name)
        if self._stop.wait(typing):
            return False
        yield Text(line.name, line.text)
        return True

    def _settle(self) -> None:
        """Between two turns: slide the window if it must be soon, and have the model read what it will read next."""
        self.conversation.settle()
        self.process.warm(self.conversation.context())

    def revive(self) -> Iterator[ChatEvent]:
        """Start the model again if it died; the conversation is here, so nothing is lost."""
        if not self.process.alive:
            yield Busy("loading the model again")
            self.load()

    # --- who is there

    @property
    def others_known(self) -> list[str]:
        """Those whom the model was trained on, but me."""
        me = self.facts.get("me") or self.conversation.me
        return [name for name in self.known if name != me]

    def strangers(self) -> str:
        """A sentence about the members whom the model never saw, or nothing."""
        names = [one_line(name, 40) for name in self.conversation.others if name not in self.known]
        return f"The model has never seen {', '.join(names)}." if names else ""

    def recast(self, doing: Doing) -> str:
        """Change who is there. Other people are another conversation: what was said with these waits, and is gone back
        to with them; returns a sentence about that."""
        before, others = self.conversation, frozenset(doing["members"]) - {self.conversation.me}
        if others == frozenset(before.others) or not (before.said or others in self._elsewhere):
            self.do(doing)
            return ""
        if self.transcript.unsaved:
            raise Fault("This conversation could not be kept yet; make room on the disk before you go to another.")
        if self.transcript.path is not None:
            self._elsewhere[frozenset(before.others)] = self.transcript.path
        waiting = self._elsewhere.pop(others, None)
        if waiting and waiting.is_file():
            self.go_on_with(waiting)
        else:
            self.take_up(self.fresh(before.me), Transcript(self.workspace), kept=True)
        self.do(doing)
        if not before.said:
            return ""
        names = ", ".join(one_line(name, 40) for name in before.others)
        return f"What was said with {names} waits until they are back."

    def go_on_with(self, path: Path) -> int:
        """Take up a kept conversation; returns how many lines of its file could not be read."""
        conversation, transcript = self.fresh(""), Transcript(self.workspace, path)
        transcript.keep()
        try:
            lost = replay(conversation, read(path))
        except BaseException:
            transcript.close()
            raise
        self.take_up(conversation, transcript, kept=True)
        self.process.warm(conversation.context())
        return lost

    def completions(self) -> Completions:
        """What typed words can be completed with."""
        names = list(dict.fromkeys([*self.conversation.others, *self.others_known]))
        folders = checkpoint.finished(self.workspace)
        return Completions(
            names, self.conversation.members, list(OPTIONS), [checkpoint.name_of(folder) for folder in folders]
        )
