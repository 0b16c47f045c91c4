"""What was said so far, following its end; a reply grows in it while it is written, and a message can be chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import date
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message as Posted

from ventriloquist.chat.conversation import Utterance
from ventriloquist.tui.widgets.blocks import Block, Divider, Notice, Placed, Told, placed
from ventriloquist.tui.widgets.bubble import Message, growing_rows
from ventriloquist.tui.widgets.rows import Rows

KEPT = 200
"""Messages that are laid out; older ones are, so many at once, when one scrolls up to them."""
FRAME = 1 / 12
FRAMES_A_DOT = 5
"""The dots of the typing indicator move at most three times a second."""
NOTICES = 3
"""Sentences that may stand in one place, the latest ones."""


@dataclasses.dataclass(slots=True)
class Growth:
    """What somebody is writing. Text is added in another thread than it is shown in; only `pieces.append` is done
    there."""

    name: str
    pieces: list[str] = dataclasses.field(default_factory=list)

    @property
    def text(self) -> str:
        """All that was written so far."""
        return "".join(self.pieces)


class Transcript(Rows, can_focus=True, inherit_bindings=False):
    """The messages of a conversation. `me` is whose messages stand at the right."""

    FOCUS_ON_CLICK = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "screen.with_chosen('reply')", "Reply"),
        Binding("e", "screen.with_chosen('edit')", "Edit"),
        Binding("l", "screen.with_chosen('Loved')", "♥", tooltip="Love it"),
        Binding("plus,equals_sign", "screen.with_chosen('Liked')", "Like", key_display="+", tooltip="Like it"),
        Binding("h", "screen.with_chosen('Laughed')", "Haha", tooltip="Laugh at it"),
        Binding("c,y", "screen.with_chosen('copy')", "Copy", key_display="c"),
        Binding("b", "screen.with_chosen('branch')", "Branch"),
        Binding("up,k", "choose(-1)", "The message above", show=False),
        Binding("down,j", "choose(1)", "The message below", show=False),
        Binding("home", "choose(-1000000)", "The first message", show=False),
        Binding("end", "choose(1000000)", "The last message", show=False),
        Binding("tab,shift+tab", "screen.to_prompt", "Back to the words", show=False),
    ]

    class Clicked(Posted):
        """Someone clicked where no message is."""

    def __init__(self) -> None:
        super().__init__(id="transcript")
        self.me = ""
        self.said: Sequence[Utterance] = ()
        self.chosen: int | None = None
        self._held = KEPT
        self._growing: Growth | None = None
        self._grown = -1
        self._tick = 0
        self._notices: list[tuple[int, Notice | Told]] = []
        self._standing: list[Content] = []
        self._numbers: list[int | None] = []
        self._tops: dict[int, int] = {}
        self._laid: dict[tuple[Block, int], list[Content]] = {}
        self._width = 0
        self._following = True
        self._goes_on = False

    def on_mount(self) -> None:
        self.set_interval(FRAME, self._paint_growing)

    def on_resize(self) -> None:
        self._lay_out()

    # --- what is shown

    def show(self, said: Sequence[Utterance]) -> None:
        """Show exactly these messages. What was told between others is forgotten if the conversation is another."""
        if self.said and (not said or said[0] is not self.said[0]):
            self._notices.clear()
        self._notices = [(after, each) for after, each in self._notices if after <= len(said)]
        if len(said) != len(self.said) and self._following:
            self._held = KEPT
        self.said = said
        if self.chosen is not None and not self._can_choose(self.chosen):
            self.chosen = next((number for number in range(len(said) - 1, -1, -1) if self._can_choose(number)), None)
        self._lay_out()

    def begin(self, growth: Growth) -> None:
        """Somebody begins to write."""
        self._growing, self._grown = growth, -1
        self._lay_out()

    def drop_growing(self) -> None:
        """Take away what was being written; it goes when the messages are shown next."""
        self._growing = None

    def tell(self, lines: Sequence[tuple[str, str]]) -> None:
        """An answer to a command: lines of a left and a right part."""
        self._between(Told(tuple(lines)))

    def notice(self, sentence: str, *, failed: bool = False) -> None:
        """A small sentence between the messages."""
        if sentence:
            self._between(Notice(sentence, failed))

    def follow(self) -> None:
        """Go to the end and stay there."""
        self._following = True
        self._lay_out()

    def _between(self, block: Notice | Told) -> None:
        here = len(self.said)
        earlier = [each for after, each in self._notices if after == here and each != block]
        self._notices = [(after, each) for after, each in self._notices if after != here]
        self._notices += [(here, each) for each in [*earlier, block][-NOTICES:]]
        self._lay_out()

    # --- laying out

    def _blocks(self) -> list[Placed]:
        """All blocks that stand, in order."""
        first = max(len(self.said) - self._held, 0)
        blocks = [Placed(Divider(f"↑ {first:,} older messages"))] if first else []
        notices = sorted((each for each in self._notices if each[0] >= first), key=lambda each: each[0])
        for each in placed(self.said, first, self.me, self.chosen, date.today()):
            while notices and each.number is not None and notices[0][0] <= each.number:
                blocks.append(Placed(notices.pop(0)[1]))
                if isinstance(each.block, Message) and each.block.goes_on:
                    each = each._replace(block=each.block._replace(goes_on=False), gap=True)
            blocks.append(each)
        return blocks + [Placed(block, gap=number == 0) for number, (_, block) in enumerate(notices)]

    def _lay_out(self) -> None:
        """Make the rows of all blocks; those that are what they were are taken as they were."""
        width, before_width = self.scrollable_content_region.width, self._width
        if width < 8:
            return
        top = self._number_at(self.scroll_offset.y - self._padding) if width != before_width else None
        self._width = width
        before, self._laid = self._laid, {}
        rows: list[Content] = []
        self._numbers, self._tops = [], {}
        gaps = self.app.size.height > 20
        last: Block | None = None
        for block, number, gap in self._blocks():
            key = (block, self._width)
            made = self._laid[key] = before.get(key) or block.rows(self._width - 1)
            if gap and rows and (gaps or not isinstance(block, Message) or not isinstance(last, Message)):
                rows.append(Content(""))
                self._numbers.append(None)
            message = number if isinstance(block, Message) else None
            if message is not None:
                self._tops[message] = len(rows)
            rows += made
            self._numbers += [message] * len(made)
            last = block
        growing = self._growing
        self._goes_on = (
            growing is not None
            and isinstance(last, Message)
            and last.said.generated
            and last.said.entry.name == growing.name
        )
        self._standing = rows
        self._put(top)

    def _put(self, top: int | None = None) -> None:
        """Show the rows that stand and those that grow; in sight stays the end, or else the message `top`."""
        rows = self._standing
        if self._growing is not None:
            name = self._growing.name
            gap = [Content("")] if rows and not self._goes_on else []
            mine = name == self.me
            rows = rows + gap + growing_rows(
                name, self._growing.text, self._width - 1, mine=mine, goes_on=self._goes_on, tick=self._tick
            )  # fmt: skip
        following = self._following
        self.put_rows(rows, max(self.scrollable_content_region.height - len(rows), 0))
        if following:
            self.scroll_end(animate=False, immediate=True, x_axis=False, force=True)
            self._following = True
        elif top is not None and top in self._tops:
            self.scroll_to(y=self._tops[top], animate=False, force=True)

    def _paint_growing(self) -> None:
        """Show more of what is being written, if there is more; else let the dots move."""
        growing = self._growing
        if growing is None:
            return
        pieces = len(growing.pieces)
        if pieces == 0 and self.app.animation_level != "none":
            self._grown += 1
            if self._grown % FRAMES_A_DOT == 0:
                self._tick += 1
                self._put()
        elif pieces != self._grown:
            self._grown = pieces
            self._put()

    # --- scrolling

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._following = round(new_value) >= self.max_scroll_y
        if new_value < 1 <= old_value and self._held < len(self.said):
            self.call_next(self._hold_more)

    def _hold_more(self) -> None:
        """Lay out older messages too; what is in sight stays there."""
        rows = len(self._standing)
        self._held += KEPT
        self._following = False
        self._lay_out()
        self.scroll_to(y=len(self._standing) - rows, animate=False, force=True)

    def _number_at(self, row: int) -> int | None:
        """The first message in sight from this row on."""
        return next((number for number in self._numbers[max(row, 0) :] if number is not None), None)

    # --- choosing a message

    def _can_choose(self, number: int) -> bool:
        return number < len(self.said) and self.said[number].entry.content_type != "reaction"

    @property
    def chosen_number(self) -> int | None:
        """The chosen message as commands name it: counted from the end, 1 is the last."""
        return None if self.chosen is None else len(self.said) - self.chosen

    def choose(self, number: int | None) -> None:
        """Mark a message, and have it in sight."""
        self.chosen = number
        self._following = False
        self._lay_out()
        if number in self._tops:
            self._bring_into_sight(number)
        self._following = self.scroll_offset.y >= self.max_scroll_y

    def _bring_into_sight(self, number: int) -> None:
        top = self._tops[number]
        bottom = top + sum(1 for each in self._numbers if each == number)
        height, offset = self.scrollable_content_region.height, self.scroll_offset.y
        if bottom + self._padding > offset + height:
            offset = bottom + self._padding - height
        self.scroll_to(y=min(offset, top + self._padding), animate=False, force=True)

    def action_choose(self, step: int) -> None:
        """Choose the message so many above or below."""
        if step < 0 and self.chosen is not None and self._held < len(self.said):
            first = max(len(self.said) - self._held, 0)
            if self.chosen + step < first + 1:
                self._hold_more()
        choices = sorted(number for number in self._tops if self._can_choose(number))
        if not choices:
            return
        at = choices.index(self.chosen) if self.chosen in choices else len(choices)
        self.choose(choices[min(max(at + step, 0), len(choices) - 1)])

    def on_focus(self) -> None:
        if self.chosen is None:
            self.action_choose(-1)

    def on_blur(self) -> None:
        if self.app.app_focus:  # else only the terminal lost the focus, and comes back
            self.choose(None)

    def on_click(self, event: events.Click) -> None:
        row = event.y + self.scroll_offset.y - self._padding
        number = self._numbers[row] if 0 <= row < len(self._numbers) else None
        if number is not None and self._can_choose(number):
            self.chosen = number
            self.focus()
            self.choose(number)
        else:
            self.post_message(self.Clicked())
