"""What a typed line could become: a short list over the prompt, while one types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

from ventriloquist.chat.commands import COMMANDS, Completions, complete, numbered
from ventriloquist.chat.options import OPTIONS
from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED, row, spread
from ventriloquist.tui.widgets.clean_input import one_line_as_typed

MOST, MOST_SHORT = 5, 3
SHORT = 20
"""Rows of a screen that counts as short."""
FEWEST_LETTERS = 2
"""So many letters of a name are typed before it is offered; else every other word would open the list."""
LABEL = 40
Quoted = Callable[[int], tuple[str, str]]
"""Who said the message of a number, counted from the end, and what; empty where there is none."""
_COMMANDS = {command.name: command for command in COMMANDS}


class Suggestion(NamedTuple):
    """A whole line (empty: only help), what stands for it in the list, and what is told beside it."""

    line: str
    label: str
    told: str = ""


def suggest(typed: str, known: Completions, options: Mapping[str, Any], quoted: Quoted) -> list[Suggestion]:
    """What `typed` could become; where it is a whole command, what that takes and does, or to which message."""
    if not typed.startswith("/") or typed.startswith("//"):
        names = complete(typed, known) if len(typed.strip()) >= FEWEST_LETTERS else []
        return [
            Suggestion(one_line_as_typed(name), one_line(name, LABEL), f"say it as {one_line(name, LABEL)[:-1]}")
            for name in names
        ]
    word, space, rest = typed[1:].partition(" ")
    lines = [one_line_as_typed(line) for line in complete(typed, known)]
    if not lines or lines == [typed] or (space and [line.strip() for line in lines] == [typed.strip()]):
        return _help(word, rest, options, quoted)
    if not space:
        commands = [_COMMANDS[line[1:].strip()] for line in lines]
        return [
            Suggestion(line, f"/{command.name} {command.takes}".rstrip(), command.help)
            for line, command in zip(lines, commands, strict=True)
        ]
    return [_argument(line, word, options) for line in lines]


def _argument(line: str, word: str, options: Mapping[str, Any]) -> Suggestion:
    said = line.removeprefix(f"/{word} ")
    if word == "set" and said in OPTIONS:
        return Suggestion(f"{line} ", f"{said} {options.get(said, 0):g}", OPTIONS[said].about)
    return Suggestion(line, one_line(said, LABEL))


def _help(word: str, rest: str, options: Mapping[str, Any], quoted: Quoted) -> list[Suggestion]:
    """One row that says what a command takes, which message it means, or that there is none of that name."""
    command = _COMMANDS.get(word)
    if command is None:
        return [Suggestion("", f"/{one_line(word, 30)}", "no such command; /help shows them all")]
    number = numbered(rest)[0] if "#N" in command.takes else None
    if number:
        name, words = quoted(number)
        return [Suggestion("", f"#{number} {one_line(name, 24)}".rstrip(), one_line(words, 200) or "no such message")]
    name = rest.split(" ")[0]
    if word == "set" and name in OPTIONS:
        option = OPTIONS[name]
        told = f"{option.low:g} to {option.high:,g}, now {options.get(name, 0):g}: {option.about}"
        return [Suggestion("", f"/set {name} VALUE", told)]
    return [Suggestion("", f"/{command.name} {command.takes}".rstrip(), command.help)]


class Suggestions(Widget):
    """The list itself; the prompt's keys move in it."""

    class Clicked(Message):
        """A row was clicked."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    def __init__(self) -> None:
        super().__init__(id="suggestions")
        self.offered: Sequence[Suggestion] = ()
        self.at = 0
        self.moved = False
        self.display = False

    @property
    def is_open(self) -> bool:
        """True while there is something to take."""
        return self.display and bool(self.offered) and bool(self.offered[0].line)

    @property
    def line(self) -> str:
        """The line under the cursor."""
        return self.offered[self.at].line if self.offered else ""

    def show(self, offered: Sequence[Suggestion]) -> None:
        """Take other suggestions, the cursor on the first; none closes the list."""
        if list(offered) == list(self.offered) and self.display == bool(offered):
            return
        self.offered, self.at, self.moved = offered, 0, False
        self.display = bool(offered)
        self.refresh(layout=True)

    def move(self, step: int) -> None:
        """Move the cursor, round at the ends."""
        self.at = (self.at + step) % len(self.offered)
        self.moved = True
        self.refresh()

    def _shown(self) -> range:
        count = min(len(self.offered), MOST_SHORT if self.app.size.height <= SHORT else MOST)
        first = min(max(self.at - count // 2, 0), len(self.offered) - count)
        return range(first, first + count)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._shown())

    def render(self) -> Content:
        width = self.content_size.width
        rows = [self.offered[number] for number in self._shown()]
        widest = max((cell_len(each.label) for each in rows), default=0)
        column = min(widest, max(width // 2, 12))
        return Content("\n").join([self._row(number, column, width) for number in self._shown()])

    def _row(self, number: int, column: int, width: int) -> Content:
        each = self.offered[number]
        chosen = bool(each.line) and number == self.at
        label = row(each.label, None, "bold $primary" if chosen else "").truncate(column, ellipsis=True)
        label = label.pad_right(column - label.cell_length)
        more = f" {number + 1} of {len(self.offered)}" if len(self.offered) > len(self._shown()) else ""
        key = Content.styled(f"tab{more}", MUTED) if chosen else Content("")
        told = Content.assemble(label, (f"  {one_line(each.told)}" if each.told else "", MUTED))
        line = spread(told, key, width)
        return line.stylize_before("on $primary 15%") if chosen else line

    def on_click(self, event: events.Click) -> None:
        shown = self._shown()
        if self.is_open and event.y < len(shown):
            self.post_message(self.Clicked(self.offered[shown[event.y]].line))
