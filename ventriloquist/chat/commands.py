"""What a person may type in a chat: words, `Name: words`, or a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ventriloquist.faults import UsageFault
from ventriloquist.text import clean_name


@dataclass(frozen=True, slots=True)
class Command:
    """A command's name, what it takes, and one sentence for /help."""

    name: str
    takes: str
    help: str


COMMANDS = (
    Command("target", "NAME|any", "who answers; any lets the model choose"),
    Command("members", "NAME, NAME ...", "who is in the conversation, besides you"),
    Command("continue", "[N]", "let them write on, N messages"),
    Command("retry", "", "take back the last reply and ask again"),
    Command("undo", "", "take back the last turn"),
    Command("set", "temperature 0.9", "change temperature, top_p, max_messages or seed"),
    Command("context", "", "what the model reads, line by line"),
    Command("clear", "", "forget what was said"),
    Command("help", "", "this list"),
    Command("quit", "", "end the chat"),
)
_BY_NAME = {command.name: command for command in COMMANDS}


@dataclass(frozen=True, slots=True)
class Input:
    """Typed input, understood: a `command` with its `rest`, or words said by `name` (None: me)."""

    command: str | None
    rest: str
    name: str | None = None


def understand(typed: str, members: Sequence[str]) -> Input:
    """Read one typed line. `Name: words` counts only for a member's name; `//words` says a slash.

    Raises UsageFault for a command that does not exist.
    """
    if typed.startswith("//"):
        return Input(None, typed[1:])
    if typed.startswith("/"):
        word, _, rest = typed[1:].partition(" ")
        if word not in _BY_NAME:
            raise UsageFault(f"There is no command /{clean_name(word)[:40]}; /help shows them all.")
        return Input(word, rest.strip())
    for name in sorted(members, key=len, reverse=True):
        if typed.casefold().startswith(name.casefold() + ": "):
            return Input(None, typed[len(name) + 2 :], name)
    return Input(None, typed)


def match_name(wanted: str, names: Sequence[str]) -> str:
    """The name that `wanted` means: itself, or the only one that begins like it; else `wanted` as it is."""
    cleaned = clean_name(wanted)
    for name in names:
        if name.casefold() == cleaned.casefold():
            return name
    beginning = [name for name in names if name.casefold().startswith(cleaned.casefold())]
    return beginning[0] if cleaned and len(beginning) == 1 else cleaned


def split_names(rest: str, known: Sequence[str]) -> list[str]:
    """The names in `rest`: at commas if there are any, else known names (which may hold spaces), else words."""
    if "," in rest:
        return [match_name(part, known) for part in rest.split(",") if clean_name(part)]
    names = []
    rest = clean_name(rest)
    by_length = sorted(known, key=len, reverse=True)
    while rest:
        word = rest.split(" ", 1)[0]
        whole = next((name for name in by_length if (rest + " ").casefold().startswith(name.casefold() + " ")), None)
        taken = whole or word
        names.append(whole or match_name(word, known))
        rest = rest[len(taken) :].strip()
    return names


def complete(typed: str, known: Sequence[str]) -> list[str]:
    """Whole lines that `typed` could become: commands, and names after a command that takes one."""
    if not typed.startswith("/"):
        return []
    word, space, rest = typed[1:].partition(" ")
    if not space:
        return [
            f"/{command.name}" + (" " if command.takes else "") for command in COMMANDS if command.name.startswith(word)
        ]
    if word in ("target", "members"):
        head, comma, last = rest.rpartition(",")
        choices = [*known, "any"] if word == "target" else known
        lead = f"/{word} " + (head + ", " if comma else "")
        return [lead + name for name in choices if name.casefold().startswith(last.strip().casefold())]
    return []


def help_lines() -> list[tuple[str, str]]:
    """Each command as typed, and what it does."""
    return [(f"/{command.name} {command.takes}".rstrip(), command.help) for command in COMMANDS]
