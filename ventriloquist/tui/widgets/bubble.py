"""How one message looks in a transcript: rows of text, no widget of its own."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from textual.content import Content

from ventriloquist.chat.conversation import Utterance
from ventriloquist.records import MICROSECONDS
from ventriloquist.text import one_line, plain
from ventriloquist.tui.paint import MUTED, person_style
from ventriloquist.windows.render import Entry

NAME_WIDTH = 40
LONGEST = 8000
"""Characters of one message that are shown; a copy of it has them all."""
WIDEST = 88
SHARE = 85
"""A bubble is at most so many cells wide, and takes at most so many hundredths of the row."""
WRITING = "▍"
DOTS = ("·  ", "·· ", "···")
CHOSEN = "on $primary 30%"
REACTION_SIGNS = {
    "Loved": "♥",
    "Liked": "+1",
    "Disliked": "-1",
    "Laughed": "haha",
    "Emphasized": "!!",
    "Questioned": "?",
}


class Look(NamedTuple):
    """How messages of one origin are told apart: by their edge, their ground, and a word on the name line.

    `edges` are those at the left and the right; `notches` stand at the first row of a message that goes on.
    """

    edges: tuple[str, str]
    notches: tuple[str, str]
    edge_style: str
    ground: str
    word: str


LOOKS = {
    "typed": Look(("▌", "▐"), ("▖", "▗"), "$foreground 30%", "on $panel", ""),
    "generated": Look(("▌", "▐"), ("▖", "▗"), "$primary 80%", "on $surface", "generated"),
    "real": Look(("│", "│"), ("╷", "╷"), "$foreground 45%", "", "real"),
}
TYPED, GENERATED = LOOKS["typed"], LOOKS["generated"]


class Message(NamedTuple):
    """A message with what stands under it. `goes_on`: it belongs to the one above and needs no name line."""

    said: Utterance
    mine: bool
    goes_on: bool
    reactions: tuple[Utterance, ...] = ()
    chosen: bool = False

    def rows(self, width: int) -> list[Content]:
        """The message at this width, which all rows fill at most."""
        entry, look = self.said.entry, LOOKS.get(self.said.origin, TYPED)
        if self.chosen:
            look = look._replace(edges=("█", "█"), notches=("█", "█"), edge_style="$primary", ground=CHOSEN)
        words = []
        if entry.reply_to:
            quoted = Content.styled(f"↪ {one_line(entry.reply_to, 60)}", f"{MUTED} italic")
            words.append(quoted.truncate(box_width(width), ellipsis=True))
        words += body(entry.content_type, entry.text).wrap(box_width(width))
        rows = [] if self.goes_on else [name_line(entry.name, look.word, clock(entry.sent_at), width)]
        rows += boxed(words, look, mine=self.mine, goes_on=self.goes_on)
        if self.reactions:
            under = Content("  ").join([reaction_line(each) for each in self.reactions])
            rows += [Content.assemble("  ", row) for row in under.wrap(box_width(width))]
        return aligned(rows, width, mine=self.mine)


def growing_rows(name: str, text: str, width: int, *, mine: bool, goes_on: bool, tick: int) -> list[Content]:
    """A message that is still being written: its words so far, or dots while there are none."""
    if text.strip():
        cut = f"…{text[-LONGEST:]}" if len(text) > LONGEST else text
        words = Content.assemble(plain(cut).expandtabs(4), (WRITING, "$primary")).wrap(box_width(width))
    else:
        typing = Content.styled(f"{one_line(name, NAME_WIDTH)} is typing", MUTED)
        typing = typing.truncate(max(box_width(width) - 4, 1), ellipsis=True)
        words = [Content.assemble(typing, " ", (DOTS[tick % len(DOTS)], "bold $primary"))]
    head = [] if goes_on else [name_line(name, GENERATED.word, width=width)]
    return aligned([*head, *boxed(words, GENERATED, mine=mine, goes_on=goes_on)], width, mine=mine)


def box_width(width: int) -> int:
    """The cells that the words of a bubble have, in a row of `width`."""
    return max(min(width * SHARE // 100, WIDEST) - 4, 4)


def boxed(words: list[Content], look: Look, *, mine: bool, goes_on: bool) -> list[Content]:
    """The words on their ground, an edge at the side of whoever says them."""
    widest = max((row.cell_length for row in words), default=0)
    rows = []
    for at, row in enumerate(words):
        ground = Content.assemble(" ", row, " " * (widest - row.cell_length + 1)).stylize_before(look.ground)
        left, right = look.notches if goes_on and at == 0 else look.edges
        edge = (right if mine else left, look.edge_style)
        rows.append(Content.assemble(ground, edge) if mine else Content.assemble(edge, ground))
    return rows


def aligned(rows: list[Content], width: int, *, mine: bool) -> list[Content]:
    """My messages stand at the right, everyone else's at the left."""
    if mine:
        return [row.pad_left(max(width - row.cell_length, 0)) for row in rows]
    return rows


def name_line(name: str, word: str = "", time: str = "", width: int = 100) -> Content:
    """Who speaks, in their colour, and when; what is generated or real says so, however long the name is."""
    parts = [(f"  {time}", MUTED)] if time else []
    parts += [(f"  {word}", f"{MUTED} italic")] if word else []
    told = Content.assemble(*parts)
    named = Content.styled(one_line(name, NAME_WIDTH) or "(no name)", f"bold {person_style(name)}")
    return Content.assemble(named.truncate(max(width - told.cell_length, 1), ellipsis=True), told)


def body(content_type: str, text: str) -> Content:
    """The words of a message; what is no text is named in front of them."""
    words = plain(text[:LONGEST]).expandtabs(4)
    more = (f"… {len(text) - LONGEST:,} more characters", MUTED) if len(text) > LONGEST else ""
    if content_type in ("text", "link"):
        return Content.assemble(words, more)
    return Content.assemble((f"[{content_type}] ", MUTED), (words, "italic"), more)


def reaction_line(said: Utterance) -> Content:
    """A reaction in small: sign, and who."""
    entry = said.entry
    sign = REACTION_SIGNS.get(entry.text, one_line(entry.text, 16))
    name = (one_line(entry.name, NAME_WIDTH) or "(no name)", f"{person_style(entry.name)} 80%")
    word = LOOKS.get(said.origin, TYPED).word
    return Content.assemble((sign, "bold"), " ", name, (f" {word}", f"{MUTED} italic") if word == "generated" else "")


def lone_reaction(said: Utterance) -> Content:
    """A reaction to a message that is not at hand."""
    entry: Entry = said.entry
    to = f" “{one_line(entry.reply_to, 40)}”" if entry.reply_to else ""
    verb = "reacted" if entry.text not in REACTION_SIGNS else entry.text.lower()
    return Content.assemble(reaction_line(said), (f"  {verb}{to}", MUTED))


def clock(sent_at: int) -> str:
    """The hour and minute here; nothing for a time that no calendar has."""
    when = here(sent_at)
    return f"{when:%H:%M}" if when else ""


def here(sent_at: int) -> datetime | None:
    """A time in microseconds since 1970 as this machine's own clock shows it, if it can."""
    try:
        return datetime.fromtimestamp(sent_at / MICROSECONDS)
    except (OverflowError, ValueError, OSError):
        return None
