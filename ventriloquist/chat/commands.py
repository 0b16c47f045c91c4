"""What a person may type in a chat: words, `Name: words`, or a command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ventriloquist.faults import UsageFault
from ventriloquist.people.finding import folded
from ventriloquist.text import clean_name

LONGEST = 20_000
"""Characters that a message may have; a model reads far fewer."""
ANY = "any"
_NUMBER = re.compile(r"#?(\d{1,6})")
_NUMBERED = re.compile(r"#(\d{1,6})(?:\s+|$)")


@dataclass(frozen=True, slots=True)
class Command:
    """A command's name, what it takes, one sentence for /help, and what its words are completed with."""

    name: str
    takes: str
    help: str
    completes: str = ""


COMMANDS = (
    Command("target", "NAME|any", "who answers; any lets the model choose", "people"),
    Command("members", "NAME, NAME ...", "who is in the conversation, besides you", "people"),
    Command("sender", "NAME", "whom you speak as", "people"),
    Command("type", "dm|group", "what kind of conversation it is", "dm group"),
    Command("send", "[WORDS]", "let them answer, after these words if there are any"),
    Command("continue", "[N]", "let them write on, N messages"),
    Command("auto", "[N]", "let the model play everyone, you too, for N messages"),
    Command("retry", "", "take back the last reply and ask again"),
    Command("candidates", "[N]", "N ways in which they could answer"),
    Command("pick", "N", "take one of the candidates"),
    Command("reply", "#N WORDS", "reply to a message; #1 is the last one"),
    Command("react", "#N Loved|Liked|Laughed|...|EMOJI", "react to a message", "reactions"),
    Command("edit", "[#N] WORDS", "change the words of a message (the last one)"),
    Command("undo", "", "take back the last turn"),
    Command("branch", "[#N]", "go on from message N in a conversation of its own"),
    Command("clear", "", "begin anew with the same people"),
    Command("live", "[NAME]", "go on from a real conversation of your history"),
    Command("open", "[NAME]", "go on with a conversation that was kept"),
    Command("save", "[NAME]", "give this conversation a name; it is kept in any case"),
    Command("checkpoint", "[NAME]", "talk with another checkpoint", "checkpoints"),
    Command("set", "[NAME VALUE]", "see or change the settings", "settings"),
    Command("context", "", "what the model reads, line by line"),
    Command("debug", "", "the exact prompt of the last message, what came, tokens and times"),
    Command("help", "", "this list"),
    Command("quit", "", "end the chat"),
)
BY_NAME = {command.name: command for command in COMMANDS}
REACTIONS = ("Loved", "Liked", "Disliked", "Laughed", "Emphasized", "Questioned")


@dataclass(frozen=True, slots=True)
class Input:
    """Typed input, understood: a `command` with its `rest`, or words said by `name` (None: whoever you speak as)."""

    command: str | None
    rest: str
    name: str | None = None


def understand(typed: str, members: Sequence[str]) -> Input:
    """Read one typed line. `Name: words` counts for a member's name only, whatever it looks like; `//words` says a
    slash.

    Raises UsageFault for a command that does not exist, and for words that no message holds.
    """
    if len(typed) > LONGEST:
        raise UsageFault(f"That is {len(typed):,} characters long; a message may have {LONGEST:,}.")
    if name := speaker_of(typed, members):
        return Input(None, typed[len(name) + 2 :], name)
    if typed.startswith("//"):
        return Input(None, typed[1:])
    if typed.startswith("/"):
        word, _, rest = typed[1:].partition(" ")
        if word.lower() not in BY_NAME:
            called = f"/{clean_name(word)[:40]}" if clean_name(word) else "without a name"
            raise UsageFault(f"There is no command {called}; /help shows them all.")
        return Input(word.lower(), rest.strip())
    return Input(None, typed)


def speaker_of(typed: str, members: Sequence[str]) -> str | None:
    """The member whose name and a colon the line begins with, the longest such name."""
    for name in sorted(members, key=len, reverse=True):
        if typed[: len(name) + 2].casefold() == f"{name}: ".casefold():
            return name
    return None


def match_name(wanted: str, names: Sequence[str]) -> str:
    """The name that `wanted` means: itself, or the only one that begins like it; else `wanted` as it is."""
    cleaned = clean_name(wanted)
    for same in (str, folded):
        for name in names:
            if same(name) == same(cleaned):
                return name
    beginning = [name for name in names if folded(name).startswith(folded(cleaned))]
    return beginning[0] if folded(cleaned) and len(beginning) == 1 else cleaned


def split_names(rest: str, known: Sequence[str]) -> list[str]:
    """The names in `rest`: at commas if there are any, else known names (which may hold spaces), else words.

    A comma that is part of a known name separates nothing, and quotes around a name are taken off if nobody is called
    so with them.
    """
    by_length = sorted(known, key=len, reverse=True)
    rest = clean_name(rest)
    commas = "," in rest
    names: list[str] = []
    while rest:
        whole = next((name for name in by_length if _begins_with(rest, name, ", " if commas else " ")), None)
        taken = rest[: len(whole)] if whole else re.split("," if commas else " ", rest, maxsplit=1)[0]
        names.append(whole or match_name(_unquoted(taken), known))
        rest = rest[len(taken) :].strip(", " if commas else " ")
    return [name for name in names if name]


def _begins_with(rest: str, name: str, ends: str) -> bool:
    head, after = rest[: len(name)], rest[len(name) :]
    return bool(name) and head.casefold() == name.casefold() and (not after or after[0] in ends)


def _unquoted(name: str) -> str:
    name = name.strip()
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] and name[0] in "\"'" else name


def number_of(said: str, what: str, low: int, high: int) -> int:
    """The number that was typed; raises UsageFault that says what `what` takes."""
    match = _NUMBER.fullmatch(said)
    number = int(match[1]) if match else low - 1
    if not low <= number <= high:
        raise UsageFault(f"{what} takes a number from {low} to {high}.")
    return number


def numbered(rest: str) -> tuple[int | None, str]:
    """The message that `#N words` names, counted from the end, and the words; None if it names none."""
    match = _NUMBERED.match(rest)
    return (int(match[1]), rest[match.end() :]) if match else (None, rest)


@dataclass(frozen=True, slots=True)
class Completions:
    """What words can be completed with."""

    people: Sequence[str] = ()
    members: Sequence[str] = ()
    settings: Sequence[str] = ()
    checkpoints: Sequence[str] = ()

    def choices(self, command: Command) -> Sequence[str]:
        """What may follow a command."""
        if command.name == "target":
            return [*self.people, ANY]
        return {
            "people": self.people,
            "settings": self.settings,
            "checkpoints": self.checkpoints,
            "reactions": REACTIONS,
        }.get(command.completes, command.completes.split())


def complete(typed: str, known: Completions) -> list[str]:
    """Whole lines that `typed` could become: commands, what may follow one, and a member's name with its colon."""
    if typed.startswith("/") and not typed.startswith("//"):
        word, space, rest = typed[1:].partition(" ")
        if not space:
            fits = [command for command in COMMANDS if command.name.startswith(word)]
            return [f"/{command.name}" + (" " if command.takes else "") for command in fits]
        command = BY_NAME.get(word)
        return [f"/{word} {line}" for line in _completed(rest, command, known)] if command else []
    if typed.strip() and len(typed) <= 60:
        return [f"{name}: " for name in known.members if folded(name).startswith(folded(typed)) and name != typed]
    return []


def _completed(rest: str, command: Command, known: Completions) -> list[str]:
    """What `rest` could become: its last name, setting or word completed."""
    lead, last = "", rest
    if command.name == "members":
        head, comma, last = rest.rpartition(",")
        lead = f"{head.strip()}, " if comma else ""
    elif command.name == "react":
        number, last = numbered(rest)
        lead = f"#{number or 1} "
    begun = folded(last)
    return [lead + name for name in known.choices(command) if folded(name).startswith(begun)]


def help_lines() -> list[tuple[str, str]]:
    """Each command as typed, and what it does."""
    return [(f"/{command.name} {command.takes}".rstrip(), command.help) for command in COMMANDS]
