"""One message in a transcript."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from ventriloquist.text import one_line, plain
from ventriloquist.tui.paint import MUTED, person_style
from ventriloquist.windows.render import Entry

NAME_WIDTH = 40
LONGEST = 8000
WRITING = "▍"
REACTION_SIGNS = {
    "Loved": "♥",
    "Liked": "+1",
    "Disliked": "-1",
    "Laughed": "haha",
    "Emphasized": "!!",
    "Questioned": "?",
}


def reaction_line(entry: Entry) -> Content:
    """A reaction in small: sign, and who."""
    sign = REACTION_SIGNS.get(entry.text, one_line(entry.text, 16))
    return Content.assemble((sign, MUTED), " ", (one_line(entry.name, NAME_WIDTH), f"{person_style(entry.name)} 70%"))


def lone_reaction(entry: Entry) -> Content:
    """A reaction to a message that is not at hand."""
    to = f" “{one_line(entry.reply_to, 40)}”" if entry.reply_to else ""
    verb = "reacted" if entry.text not in REACTION_SIGNS else entry.text.lower()
    return Content.assemble(reaction_line(entry), (f"  {verb}{to}", MUTED))


class Bubble(Static):
    """A message by someone: their name (unless they go on), what it replies to, its words, reactions under it.

    `generated` marks what the model wrote.
    """

    def __init__(self, entry: Entry, *, mine: bool, generated: bool, goes_on: bool) -> None:
        super().__init__(markup=False)
        self.entry = entry
        self.generated = generated
        self.goes_on = goes_on
        self.reactions: list[Entry] = []
        self.set_class(mine, "-mine")
        self.set_class(not goes_on, "-first")
        self.set_class(generated, "-generated")
        self._paint()

    def react(self, reaction: Entry) -> None:
        """Put a reaction under the message."""
        self.reactions.append(reaction)
        self._paint()

    def _paint(self) -> None:
        lines = []
        if not self.goes_on:
            lines.append(name_line(self.entry.name, generated=self.generated))
        if self.entry.reply_to:
            lines.append(Content.styled(f"↪ {one_line(self.entry.reply_to, 60)}", f"{MUTED} italic"))
        lines.append(body(self.entry.content_type, self.entry.text))
        lines += [reaction_line(reaction) for reaction in self.reactions]
        self.update(Content("\n").join(lines))


class GrowingBubble(Static):
    """A message that is still being written."""

    def __init__(self, name: str, *, goes_on: bool) -> None:
        super().__init__(markup=False, classes="-generated" if goes_on else "-generated -first")
        self.person = name
        self.goes_on = goes_on
        self.grow("")

    def grow(self, text: str) -> None:
        """Show what is written so far."""
        words = Content.assemble(plain(text[-LONGEST:]), (WRITING, "$primary"))
        head = [] if self.goes_on else [name_line(self.person, generated=True)]
        self.update(Content("\n").join([*head, words]))


def name_line(name: str, *, generated: bool) -> Content:
    """Who speaks, in their colour; the model's lines say so."""
    told = ("  generated", f"{MUTED} italic") if generated else ""
    return Content.assemble((one_line(name, NAME_WIDTH) or "(no name)", f"bold {person_style(name)}"), told)


def body(content_type: str, text: str) -> Content:
    """The words of a message; what is no text is named in front of them."""
    words = plain(text[:LONGEST]) + ("…" if len(text) > LONGEST else "")
    if content_type in ("text", "link"):
        return Content(words)
    return Content.assemble((f"[{content_type}] ", MUTED), (words, "italic"))
