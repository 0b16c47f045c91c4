"""What a transcript is made of, from top to bottom: messages, days, and what was told between them.

Blocks are compared by what they show, so that only those that changed are laid out anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from textual.content import Content

from ventriloquist.chat.conversation import Utterance
from ventriloquist.records import MICROSECONDS
from ventriloquist.text import one_line, plain
from ventriloquist.tui.paint import MUTED
from ventriloquist.tui.widgets.bubble import Message, here, lone_reaction
from ventriloquist.windows.lines import reply_quote

NEAR = 40
"""A reaction goes under its message if that is among this many entries before it, else on a line of its own."""
PAUSE = 10 * 60 * MICROSECONDS
"""After so long the name line says the time again."""
LONGEST_LINE = 20_000
LEFT_WIDTH = 32


class Divider(NamedTuple):
    """A centred word or two: a day, where the real messages end."""

    words: str

    def rows(self, width: int) -> list[Content]:
        """One row, cut if it must be."""
        return [_centred(Content.styled(one_line(self.words), MUTED).truncate(width, ellipsis=True), width)]


class Notice(NamedTuple):
    """A small sentence between the messages; a failure is told in the colour of errors, with a mark."""

    sentence: str
    failed: bool = False

    def rows(self, width: int) -> list[Content]:
        """The whole sentence, centred unless it failed."""
        words = one_line(self.sentence[:LONGEST_LINE])
        if self.failed:
            return [Content.assemble(" ", row) for row in Content.styled(f"! {words}", "$text-error").wrap(width - 2)]
        return [_centred(row, width) for row in Content.styled(words, MUTED).wrap(max(width - 4, 4))]


class Told(NamedTuple):
    """An answer to a command, in two columns."""

    lines: tuple[tuple[str, str], ...]

    def rows(self, width: int) -> list[Content]:
        """Every line in full, wrapped in its column."""
        return [Content.assemble(" ", row) for row in columns(self.lines, width - 2)]


class Reaction(NamedTuple):
    """A reaction to a message that is not at hand."""

    said: Utterance

    def rows(self, width: int) -> list[Content]:
        """On a line of its own."""
        return [Content.assemble(" ", row) for row in lone_reaction(self.said).wrap(max(width - 2, 4))]


Block = Message | Divider | Notice | Told | Reaction


class Placed(NamedTuple):
    """A block and the number of the message that it shows or stands before; `gap`: an empty row goes before it."""

    block: Block
    number: int | None = None
    gap: bool = True


def placed(said: Sequence[Utterance], first: int, me: str, chosen: int | None, today: date) -> Iterator[Placed]:
    """The blocks of the messages from number `first` on, each behind a divider where a day begins or reality ends."""
    reactions, alone = _reactions(said, first)
    before: Utterance | None = None
    for number in range(first, len(said)):
        each = said[number]
        dividers = list(_dividers(before, each, today))
        for words in dividers:
            yield Placed(Divider(words), number)
        if each.entry.content_type == "reaction":
            if number in alone:
                yield Placed(Reaction(each), number)
                before = each
            continue
        goes_on = not dividers and before is not None and _goes_on(before, each)
        mine = each.entry.name == me
        under = tuple(reactions.get(number, ()))
        yield Placed(Message(each, mine, goes_on, under, number == chosen), number, not goes_on)
        before = each


def _goes_on(before: Utterance, each: Utterance) -> bool:
    same = before.entry.name == each.entry.name and before.origin == each.origin
    return (
        same
        and before.entry.content_type != "reaction"
        and abs(each.entry.sent_at - before.entry.sent_at) < PAUSE
    )  # fmt: skip


def _dividers(before: Utterance | None, each: Utterance, today: date) -> Iterator[str]:
    if before is not None and before.origin == "real" and each.origin != "real":
        yield "— from here on it is no longer real —"
    now = here(each.entry.sent_at)
    earlier = here(before.entry.sent_at) if before else None
    if now and now.date() != (earlier.date() if earlier else today):
        yield day(now.date(), today)


def day(when: date, today: date) -> str:
    """A day as one would say it."""
    if when == today:
        return "today"
    if when == today - timedelta(days=1):
        return "yesterday"
    return f"{when:%A} {when.day} {when:%B %Y}"


def _reactions(said: Sequence[Utterance], first: int) -> tuple[dict[int, list[Utterance]], set[int]]:
    """The reactions under each message, and the numbers of those that go under none."""
    under: dict[int, list[Utterance]] = {}
    alone: set[int] = set()
    for number in range(first, len(said)):
        entry = said[number].entry
        if entry.content_type != "reaction":
            continue
        for earlier in range(number - 1, max(first, number - NEAR) - 1, -1):
            target = said[earlier].entry
            if target.content_type != "reaction" and entry.reply_to and reply_quote(target.text) == entry.reply_to:
                under.setdefault(earlier, []).append(said[number])
                break
        else:
            alone.add(number)
    return under, alone


def _centred(row: Content, width: int) -> Content:
    return row.pad_left(max((width - row.cell_length) // 2, 0))


def columns(lines: Sequence[tuple[str, str]], width: int) -> list[Content]:
    """Lines of a left and a right part, in two columns that wrap; one without a right part has the whole width."""
    width = max(width, 8)
    left_width = min(
        max((len(one_line(left, LEFT_WIDTH)) for left, right in lines if right), default=0), max(width // 2 - 2, 4)
    )
    rows: list[Content] = []
    for left, right in lines:
        if not right:
            rows += Content(_shown(left)).wrap(width)
            continue
        names = Content.styled(_shown(left), "$primary").wrap(left_width)
        words = Content(_shown(right)).wrap(max(width - left_width - 2, 4))
        for at in range(max(len(names), len(words))):
            name = names[at] if at < len(names) else Content("")
            word = words[at] if at < len(words) else Content("")
            rows.append(Content.assemble(name.pad_right(max(left_width - name.cell_length, 0)), "  ", word))
    return rows


def _shown(text: str) -> str:
    """`text` on as many lines as it has; what is too long for any screen says how much is left out."""
    more = f" … {len(text) - LONGEST_LINE:,} more characters" if len(text) > LONGEST_LINE else ""
    return plain(text[:LONGEST_LINE]).expandtabs(4) + more
