"""A conversation with the model: who is in it, what was said, whose turn it is. No model and no terminal in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ventriloquist.records import MICROSECONDS
from ventriloquist.text import clean_name
from ventriloquist.windows.lines import DELTAS, Line, reply_quote, split_lines
from ventriloquist.windows.render import Entry, lines_in, render

RECENT_REPLIES = 12
_SECONDS_OF = dict(zip(DELTAS, (20, 150, 1800, 6 * 3600, 18 * 3600, 36 * 3600), strict=True))
"""A time inside each delta's bucket: the clock moves on by it when the model says so."""


def _now() -> int:
    return time.time_ns() // 1000


@dataclass(slots=True)
class Conversation:
    """Entries and cast. `target` is who answers, or None: whoever the model chooses.

    `size` is the most lines a window holds, header not counted; when it is full, the window slides by half, so
    that the model's cache is rebuilt once in many turns and not at each one.
    """

    me: str
    members: list[str]
    target: str | None = None
    size: int = 64
    kind: str = "dm"
    entries: list[Entry] = field(default_factory=list)
    clock: Callable[[], int] = _now
    start: int = 0
    _ahead: int = 0
    _elsewhere: dict[frozenset[str], list[Entry]] = field(default_factory=dict)

    def set_members(self, names: Sequence[str]) -> None:
        """Who is in the conversation; `me` always is. Three or more make a group.

        Other people are another conversation: what was said with these waits until they are back.
        """
        others = [name for name in dict.fromkeys(clean_name(name) for name in names) if name and name != self.me]
        if set(others) != set(self.others):
            self._elsewhere[frozenset(self.others)] = self.entries
            self.entries = self._elsewhere.pop(frozenset(others), [])
            self.start = max(len(self.entries) - self.size // 2, 0)
        self.members = [*others, self.me]
        self.kind = "group" if len(self.members) > 2 else "dm"
        if self.target is not None and self.target not in others:
            self.target = others[0] if others else None

    @property
    def others(self) -> list[str]:
        return [name for name in self.members if name != self.me]

    def say(self, text: str, name: str | None = None) -> list[Entry]:
        """Add a message by `name` (me by default), a line of text each as an entry of its own."""
        now = self._time()
        said = [Entry(name or self.me, now, "text", line) for line in lines_in(text)]
        self._append(said)
        return said

    def add(self, line: Line) -> Entry:
        """Add a line that the model wrote; the conversation's clock moves on by the line's delta."""
        before = self.entries[-1].sent_at if self.entries else self._time()
        sent_at = before + _SECONDS_OF[line.delta] * MICROSECONDS
        self._ahead = max(self._ahead, sent_at - self.clock())
        entry = Entry(line.name, sent_at, line.content_type, line.text, line.reply_to)
        self._append([entry])
        return entry

    def take_back(self, count: int) -> None:
        """Forget the last `count` entries."""
        del self.entries[len(self.entries) - count :]
        self.start = min(self.start, max(len(self.entries) - 1, 0))

    def clear(self) -> None:
        """Forget what was said."""
        self.entries, self.start, self._ahead = [], 0, 0

    def context(self) -> list[str]:
        """Header and message lines, as preprocess would write them for the same entries."""
        window = self.entries[self.start :]
        return split_lines(render(self.kind, self.members, window or [Entry(self.me, self._time(), "text", "")]))[
            : None if window else 1
        ]

    def replies(self) -> list[str]:
        """The latest texts that a line may reply to, as a line quotes them."""
        recent = [entry.text for entry in self.entries[self.start :] if entry.content_type != "reaction"]
        return list(dict.fromkeys(reply_quote(text) for text in recent[-RECENT_REPLIES:]))

    def speakers(self, written: int) -> list[str]:
        """Who may write the next line, after `written` lines of this turn.

        The first line is the target's, or anyone's but mine; after that the model may also hand the turn back,
        by choosing someone else.
        """
        if written == 0:
            return [self.target] if self.target else self.others
        return self.members

    def ends_turn(self, name: str, written: int) -> bool:
        """True if `name` as the next speaker means that the turn is over."""
        return written > 0 and (name != self.target if self.target else name == self.me)

    def _time(self) -> int:
        return self.clock() + self._ahead

    def _append(self, entries: list[Entry]) -> None:
        self.entries += entries
        if len(self.entries) - self.start > self.size - 1:
            self.start = len(self.entries) - self.size // 2
