"""A chat from the first word to the last: typed lines in, events out. The command and the app both use this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ventriloquist.chat.commands import help_lines, match_name, split_names, understand
from ventriloquist.chat.conversation import Conversation
from ventriloquist.chat.events import Changed, ChatEvent, Failed, Quit, Said, Text, Told, TurnEnded, Writing, Wrote
from ventriloquist.chat.process import ModelProcess
from ventriloquist.faults import Fault, NoInput, UsageFault
from ventriloquist.settings import ChatSettings
from ventriloquist.text import is_blank
from ventriloquist.windows.lines import Line

ANY = "any"
_RANGES: dict[str, tuple[type, float, float]] = {
    "temperature": (float, 0, 3),
    "top_p": (float, 0.01, 1),
    "max_messages": (int, 1, 64),
    "max_tokens": (int, 8, 4096),
    "seed": (int, -1, 2**31),
}


class Session:
    """A conversation and the model that answers in it."""

    def __init__(self, process: ModelProcess, settings: ChatSettings) -> None:
        self.process = process
        self.settings = settings
        self.known: list[str] = []
        self.conversation = Conversation("Me", ["Me"])
        self.options: dict[str, Any] = {name: getattr(settings, name) for name in _RANGES}
        self._cancelled = False

    def open(self) -> None:
        """Load the model and set the scene from the settings; raises a Fault if that cannot be."""
        facts = self.process.start()
        self.known = facts["members"]
        me = facts["me"] or "Me"
        others = [name for name in self.known if name != me]
        if not others:
            raise NoInput("The checkpoint knows nobody but you. Train on conversations with other people.")
        self.conversation = Conversation(me, [], size=facts["size"])
        target = match_name(self.settings.target, others) if self.settings.target else others[0]
        members = split_names(self.settings.members, others) or ([target] if target != ANY else others[:2])
        self.conversation.set_members(members)
        self._set_target(target)

    def submit(self, typed: str) -> Iterator[ChatEvent]:
        """One typed line, and all that follows from it. Faults come as `Failed`, never as exceptions."""
        self._cancelled = False
        try:
            understood = understand(typed, self.conversation.members)
            if understood.command:
                yield from self._command(understood.command, understood.rest)
            elif not is_blank(understood.rest):
                yield from self._say(understood.rest, understood.name, typed)
        except UsageFault as fault:
            yield Failed(str(fault), typed)

    def _say(self, words: str, name: str | None, typed: str) -> Iterator[ChatEvent]:
        """Say it and let them answer; if nobody could, it was not said and the typed words are given back."""
        said = self.conversation.say(words, name)
        for entry in said:
            yield Said(entry)
        for event in self._reply(typed):
            if isinstance(event, Failed) and event.typed:
                self.conversation.take_back(len(said))
                yield Changed("Not said; your words are back.")
            yield event

    def strangers(self) -> str:
        """A sentence about the members whom the model never saw, or nothing."""
        names = [name for name in self.conversation.others if name not in self.known]
        return f"The model has never seen {', '.join(names)}." if names else ""

    def cancel(self) -> None:
        """Stop the reply that is being written."""
        self._cancelled = True
        self.process.cancel()

    def close(self) -> None:
        self.process.close()

    def _command(self, command: str, rest: str) -> Iterator[ChatEvent]:
        conversation = self.conversation
        match command:
            case "quit":
                yield Quit()
            case "help":
                yield Told(tuple(help_lines()))
            case "target":
                self._set_target(rest)
                yield Changed(f"{conversation.target or 'Anyone'} answers. {self.strangers()}".rstrip())
            case "members":
                names = split_names(rest, self.known)
                if not [name for name in names if name != conversation.me]:
                    raise UsageFault("Name at least one member besides you: /members NAME, NAME")
                conversation.set_members(names)
                yield Changed(f"In the conversation: {', '.join(conversation.members)}. {self.strangers()}".rstrip())
            case "context":
                yield Told(tuple((line.rstrip("\n"), "") for line in conversation.context()))
            case "clear":
                conversation.clear()
                yield Changed("Cleared.")
            case "continue":
                yield from self._reply("", self._count(rest))
            case "undo":
                self._undo(mine=True)
                yield Changed("Took the last turn back.")
            case "retry":
                self._undo(mine=False)
                yield Changed("Again.")
                yield from self._reply("")
            case "set":
                yield Changed(self._set(rest))

    def _set_target(self, wanted: str) -> None:
        conversation = self.conversation
        if wanted == ANY:
            conversation.target = None
            return
        name = match_name(wanted, conversation.others) if wanted else ""
        if name not in conversation.others:
            name = match_name(wanted, [person for person in self.known if person != conversation.me])
            if not name or name == conversation.me:
                raise UsageFault("Name who shall answer: /target NAME, or /target any")
            conversation.set_members([name] if conversation.kind == "dm" else [*conversation.others, name])
        conversation.target = name

    @staticmethod
    def _count(rest: str) -> int | None:
        if not rest:
            return None
        if not rest.isascii() or not rest.isdigit() or not 1 <= int(rest) <= 64:
            raise UsageFault("/continue takes a number from 1 to 64.")
        return int(rest)

    def _set(self, rest: str) -> str:
        name, _, value = rest.partition(" ")
        if name not in _RANGES:
            raise UsageFault(f"/set takes one of {', '.join(_RANGES)}, and a value.")
        kind, low, high = _RANGES[name]
        try:
            number = kind(value)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise UsageFault(f"{name} takes a number from {low} to {high}.")
        self.options[name] = number
        if name == "seed":
            self.process.seed(number)
        return f"{name} is {number}."

    def _undo(self, *, mine: bool) -> None:
        names, me = [entry.name for entry in self.conversation.entries], self.conversation.me
        count = 0
        while count < len(names) and names[-1 - count] != me:
            count += 1
        while mine and count < len(names) and names[-1 - count] == me:
            count += 1
        self.conversation.take_back(count)

    def _reply(self, typed: str, count: int | None = None) -> Iterator[ChatEvent]:
        """Lines until the model gives the turn back, at most `count` or the setting's number."""
        written = 0
        try:
            self._revive()
            while written < (count or self.options["max_messages"]) and not self._cancelled:
                for event in self._line(written, forced=count is not None):
                    if isinstance(event, TurnEnded):
                        yield event
                        return
                    yield event
                written += 1
        except Fault as fault:
            yield Failed(str(fault), typed if not written else "")
            return
        yield TurnEnded()

    def _line(self, written: int, *, forced: bool) -> Iterator[ChatEvent]:
        conversation = self.conversation
        names = conversation.speakers(0 if forced else written)
        ends = [] if forced else [name for name in names if conversation.ends_turn(name, written)]
        sampling = {name: self.options[name] for name in ("temperature", "top_p", "max_tokens")}
        name = ""
        for answer in self.process.write(conversation.context(), names, conversation.replies(), ends, sampling):
            match answer["kind"]:
                case "name":
                    name = answer["value"]
                    yield Writing(name)
                case "text":
                    yield Text(name, answer["value"])
                case "line":
                    line = Line(**answer["line"])
                    yield Wrote(conversation.add(line), line, answer["cost"])
                case _:
                    yield TurnEnded()

    def _revive(self) -> None:
        """Start the model again if it died; the conversation is here, so nothing is lost."""
        if not self.process.alive:
            self.process.start()
