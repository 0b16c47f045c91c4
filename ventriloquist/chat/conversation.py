"""A conversation with the model: who is in it, what was said, whose turn it is. No model and no terminal in it.

Whatever changes it is an object (a *doing*), and `do` is the one place where it changes: the same doings, read from a
transcript, give the same conversation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, NamedTuple

from ventriloquist.faults import UsageFault
from ventriloquist.records import MICROSECONDS
from ventriloquist.text import clean_name
from ventriloquist.windows.lines import CONTENT_TYPES, DELTAS, Line, reply_quote, split_lines
from ventriloquist.windows.render import Entry, parts_of_text, render

RECENT_REPLIES = 12
SPARE = 8
"""Lines that a turn should find room for, without the window sliding in the middle of it."""
_SECONDS_OF = dict(zip(DELTAS, (20, 150, 1800, 6 * 3600, 18 * 3600, 36 * 3600), strict=True))
"""A time inside each delta's bucket: the conversation's clock moves on by it when the model says so."""

Doing = dict[str, Any]
EARLIEST, LATEST = -62_000_000_000_000_000, 250_000_000_000_000_000
"""Times that a date can be made of, the years 5 to 9892; in microseconds since 1970."""
ORIGINS = ("typed", "generated", "real")
_CAST: dict[str, Any] = {"me": str, "members": list, "target": str | None, "kind": str, "sender": str}


class Utterance(NamedTuple):
    """An entry of the conversation; `origin` is typed, generated or real, and `at` when it came, in microseconds.

    `entry.sent_at` is the conversation's own time: a model may say that a day has passed.
    """

    entry: Entry
    origin: str
    at: int

    @property
    def generated(self) -> bool:
        """True for what the model wrote."""
        return self.origin == "generated"


def _now() -> int:
    return time.time_ns() // 1000


def _uttered(doing: Mapping[str, Any]) -> Utterance:
    """What was said, from a doing that a file may have held."""
    name, text, reply_to = (_checked(doing[key], kind) for key, kind in _SAID.items())
    content_type, origin = doing["content_type"], doing["origin"]
    if content_type not in CONTENT_TYPES or origin not in ORIGINS:
        raise ValueError("no such message")
    sent_at, at = _checked(doing["sent_at"], int), _checked(doing["at"], int)
    if not (EARLIEST <= sent_at <= LATEST and EARLIEST <= at <= LATEST):
        raise ValueError("no such time")
    return Utterance(Entry(name, sent_at, content_type, text, reply_to), origin, at)


_SAID: dict[str, Any] = {"name": str, "text": str, "reply_to": str | None}


def _checked(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError("not what it should be")
    return value


@dataclass(slots=True)
class Conversation:
    """What was said and the cast. `target` is who answers, or None: whoever the model chooses; `sender` is whom the
    person speaks as, `me` if it is empty.

    `size` is the most lines a window holds, header not counted; when it is full, the window slides by half, so
    that the model's cache is rebuilt once in many turns and not at each one.
    """

    me: str
    members: list[str] = field(default_factory=list)
    target: str | None = None
    size: int = 64
    kind: str = "dm"
    sender: str = ""
    title: str = ""
    said: list[Utterance] = field(default_factory=list)
    clock: Callable[[], int] = _now
    start: int = 0

    # --- what may be done

    def cast(self, **given: Any) -> Doing:
        """Who is there: any of `me`, `members`, `target`, `kind`, `sender`."""
        return {"do": "cast", **given}

    def words(self, text: str, name: str | None = None, reply_to: int | None = None) -> list[Doing]:
        """A message by `name` (whoever the person speaks as), a line of text each as an entry of its own; `reply_to`
        is the number of the message that it answers."""
        quoted = None if reply_to is None else reply_quote(self.numbered(reply_to).entry.text)
        now, speaker = self.time(), name or self.speaker
        entries = (Entry(speaker, now, *part, quoted) for part in parts_of_text(text))
        return [self.says(entry, "typed") for entry in entries]

    def reaction(self, number: int, sign: str) -> Doing:
        """A reaction of the person's to message `number`."""
        quoted = reply_quote(self.numbered(number).entry.text)
        return self.says(Entry(self.speaker, self.time(), "reaction", sign, quoted), "typed")

    def line(self, line: Line) -> Doing:
        """A line that the model wrote; the conversation's clock moves on by the line's delta."""
        before = self.said[-1].entry.sent_at if self.said else self.time()
        sent_at = before + _SECONDS_OF[line.delta] * MICROSECONDS
        return self.says(Entry(line.name, sent_at, line.content_type, line.text, line.reply_to), "generated")

    def real(self, entry: Entry) -> Doing:
        """A message of the history."""
        return self.says(entry, "real", entry.sent_at)

    def says(self, entry: Entry, origin: str, at: int | None = None) -> Doing:
        """An entry of any origin; `at` is now unless it is given."""
        return {
            "do": "say", "name": entry.name, "sent_at": entry.sent_at, "at": self.clock() if at is None else at,
            "reply_to": entry.reply_to, "content_type": entry.content_type, "text": entry.text, "origin": origin,
        }  # fmt: skip

    def as_doings(self) -> list[Doing]:
        """What makes this conversation as it stands."""
        cast = {key: getattr(self, key) for key in _CAST}
        named = [{"do": "title", "text": self.title}] if self.title else []
        return [self.cast(**cast), *named, *(self.says(*utterance) for utterance in self.said)]

    def do(self, doing: Mapping[str, Any]) -> None:
        """Let it happen. Raises KeyError, TypeError or ValueError where `doing` is none."""
        match doing["do"]:
            case "say":
                self.said.append(_uttered(doing))
                if len(self.said) - self.start > self.size - 1:
                    self._slide()
            case "cast":
                self._recast({key: value for key, value in doing.items() if key != "do"})
            case "edit":
                self._edit(_checked(doing["index"], int), _checked(doing["text"], str))
            case "drop":
                self._drop(_checked(doing["count"], int))
            case "title":
                self.title = str(doing["text"])
            case _:
                raise ValueError("no such doing")

    def _recast(self, given: dict[str, Any]) -> None:
        if given.keys() - _CAST.keys() or given.get("kind", "dm") not in ("dm", "group"):
            raise ValueError("no such cast")
        for name in given.get("members", ()):
            _checked(name, str)
        for key, value in given.items():
            _checked(value, _CAST[key])
        for key, value in given.items():
            setattr(self, key, value)

    def _edit(self, index: int, text: str) -> None:
        utterance = self.said[index]
        before = reply_quote(utterance.entry.text)
        self.said[index] = utterance._replace(entry=utterance.entry._replace(text=text))
        for later in range(index + 1, len(self.said)):  # those who quote it quote it as it is now
            each = self.said[later]
            if each.entry.reply_to == before:
                self.said[later] = each._replace(entry=each.entry._replace(reply_to=reply_quote(text)))

    def _drop(self, count: int) -> None:
        del self.said[max(len(self.said) - count, 0) :]
        if self.start >= len(self.said):
            self.start = max(len(self.said) - self.size // 2, 0)

    def _slide(self) -> None:
        self.start = len(self.said) - self.size // 2

    # --- who is there

    def cast_of(self, names: Sequence[str]) -> Doing:
        """The cast with these people; `me` always is in it, at the place where preprocess puts it. Three or more
        make a group. Whoever is no longer there does not answer."""
        others = [name for name in dict.fromkeys(clean_name(name) for name in names) if name and name != self.me]
        target = self.target
        if target is not None and target not in others:
            target = others[0] if others else None
        sender = self.sender if self.sender in others else ""
        kind = "group" if len(others) > 1 else "dm"
        return self.cast(me=self.me, members=[*others, self.me], target=target, sender=sender, kind=kind)

    @property
    def speaker(self) -> str:
        """Whom the person speaks as."""
        return self.sender or self.me

    @property
    def others(self) -> list[str]:
        """Everyone but me."""
        return [name for name in self.members if name != self.me]

    @property
    def answering(self) -> list[str]:
        """Everyone whom the person does not speak as."""
        return [name for name in self.members if name != self.speaker]

    # --- what the model reads

    @property
    def entries(self) -> list[Entry]:
        """What was said."""
        return [utterance.entry for utterance in self.said]

    def numbered(self, number: int) -> Utterance:
        """The message of this number, counted from the end: 1 is the last."""
        return self.said[len(self.said) - number]

    def check(self, number: int) -> None:
        """Raises UsageFault if no message has this number."""
        if not 1 <= number <= len(self.said):
            count = len(self.said)
            told = (
                f"There is no message #{number}; they are #1, the last, to #{count}."
                if count > 1
                else (f"There is no message #{number}; there is only #1." if count else "Nothing was said yet.")
            )
            raise UsageFault(told)

    def before(self, count: int) -> Conversation:
        """The conversation as it stood before its last `count` utterances, a copy."""
        said = self.said[: len(self.said) - count]
        copy = replace(self, members=list(self.members), said=said)
        if copy.start >= len(said):
            copy.start = max(len(said) - copy.size // 2, 0)
        return copy

    def context(self) -> list[str]:
        """Header and message lines, byte for byte as preprocess would write them for the same entries."""
        window = [utterance.entry for utterance in self.said[self.start :]]
        if window:
            return split_lines(render(self.kind, self.members, window))
        today = Entry(self.me, self.time(), "text", "")
        return split_lines(render(self.kind, self.members, [today]))[:1]

    def replies(self) -> list[str]:
        """The latest texts that a line may reply to, as a line quotes them."""
        recent = [each.entry.text for each in self.said[self.start :] if each.entry.content_type != "reaction"]
        return list(dict.fromkeys(reply_quote(text) for text in recent[-RECENT_REPLIES:]))

    def left_out(self, lines: int) -> None:
        """The model had no room for the first `lines` lines of the context: it begins after them from now on."""
        self.start = min(self.start + lines, max(len(self.said) - 1, 0))

    def settle(self) -> None:
        """Slide now, between two turns, if the next turn would find no room."""
        if len(self.said) - self.start > self.size - 1 - SPARE and self.size > 4 * SPARE:
            self._slide()

    def time(self) -> int:
        """Now, as the conversation has it: as far from its last message as the real clock is from when that came."""
        now = self.clock()
        return now if not self.said else self.said[-1].entry.sent_at + max(now - self.said[-1].at, 0)

    # --- whose turn it is

    def speakers(self, written: int) -> list[str]:
        """Who may write the next line, after `written` lines of this turn.

        The first line is the target's, or anyone's but the person's own; after that the model may also hand the turn
        back, by choosing someone else.
        """
        if written == 0:
            return [self.target] if self.target else self.answering
        return self.members

    def ends_turn(self, name: str, written: int) -> bool:
        """True if `name` as the next speaker means that the turn is over."""
        return written > 0 and (name != self.target if self.target else name == self.speaker)

    def last_turn(self, *, mine: bool) -> int:
        """How many of the last utterances are the reply, with what it was reacted with; or with `mine` also the last
        message that the person typed before it."""
        latest = self.said[::-1]
        reactions = sum(1 for _ in takewhile(_is_typed_reaction, latest))
        written = sum(1 for _ in takewhile(lambda each: each.generated, latest[reactions:]))
        count = reactions + written if written else 0
        before = latest[count:]
        if mine and before and before[0].origin == "typed":
            first = before[0].entry
            count += sum(1 for _ in takewhile(lambda each: _of_one_message(each, first), before))
        return count


def _is_typed_reaction(utterance: Utterance) -> bool:
    return utterance.origin == "typed" and utterance.entry.content_type == "reaction"


def _of_one_message(utterance: Utterance, first: Entry) -> bool:
    """True for the lines of one typed message."""
    entry = utterance.entry
    return utterance.origin == "typed" and (entry.name, entry.sent_at) == (first.name, first.sent_at)
