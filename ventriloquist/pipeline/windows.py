"""The training windows, to be looked at: where each stands in its file, which ones fit, and one at a time, marked.

The file may be far larger than memory: it is gone through once, a line at a time, and of each window only its place
and what is counted of it are kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

from ventriloquist.faults import Fault, NoInput, UsageFault, from_os_error
from ventriloquist.people.finding import find_person, folded
from ventriloquist.records import Person
from ventriloquist.text import one_line
from ventriloquist.windows.build import SPLITS, Window
from ventriloquist.windows.file import read_report
from ventriloquist.windows.lines import Header, Line, LineError, read, split_lines
from ventriloquist.windows.marking import line_of, mark
from ventriloquist.workspace import Workspace

if TYPE_CHECKING:
    from ventriloquist.pipeline.tokens import TokensOf

NAMED = 3
"""How many people of a group are named; the others are counted."""
REMEMBERED_LINES = 8192
Told = Callable[[int, int], object]
"""Called with how many bytes are read, of how many."""


class CutAnew(NoInput):
    """Another file of windows has taken the place of the one that was indexed."""


@dataclass(frozen=True, slots=True)
class Place:
    """A window's place in the file, and what is known of it without reading it again.

    `number` is the line it stands on, from 1; `lines` are its messages' lines, the header not among them.
    """

    number: int
    offset: int
    split: str
    conversation: str
    lines: int
    targets: int


@dataclass(slots=True)
class WindowsOf:
    """What there is of one conversation. `members` are those whom any of its headers names."""

    id: str
    kind: str
    members: list[str] = field(default_factory=list)
    windows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    targets: int = 0

    @property
    def count(self) -> int:
        return sum(self.windows.values())

    def others(self, me: str) -> list[str]:
        """Who is in it besides me."""
        return [name for name in self.members if name != me] or list(self.members)

    def label(self, me: str) -> str:
        """What it is called: `Maya`, or of a group `# Maya, Theo, Nico and 2 more`."""
        names = self.others(me)
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED + 1 else ""
        told = ", ".join(names[:NAMED] if more else names) + more
        return f"# {told}" if self.kind == "group" else told


@dataclass(frozen=True, slots=True)
class Whom:
    """Whose windows: a person's, wherever they are a member, or one conversation's."""

    label: str
    conversations: frozenset[str]
    windows: int
    is_person: bool = False

    @property
    def told(self) -> str:
        """Such as `with Maya`, `Maya alone`, or `# Maya, Theo`."""
        return f"with {self.label}" if self.is_person else self.label


@dataclass(slots=True)
class Index:
    """All windows of a workspace. `damaged` counts the lines that are no window; `me` may be empty."""

    workspace: Workspace
    signature: tuple[int, int, int]
    me: str = ""
    places: list[Place] = field(default_factory=list)
    conversations: dict[str, WindowsOf] = field(default_factory=dict)
    damaged: int = 0

    @property
    def problem(self) -> str:
        """What is wrong with the file, as a sentence; empty if nothing is."""
        if not self.damaged:
            return ""
        lines = "1 line of the windows is" if self.damaged == 1 else f"{self.damaged:,} lines of the windows are"
        return f"{lines} damaged. Run ventriloquist preprocess again."


def read_index(workspace: Workspace, told: Told | None = None, stopped: Callable[[], bool] = lambda: False) -> Index:
    """Go through the file once; raises NoInput if there are no windows or none can be read."""
    with _opened(workspace) as file:
        index = Index(workspace, _signature(file), _me(workspace))
        offset = 0
        for number, line in enumerate(file, 1):
            if stopped():
                break
            _add(index, number, offset, line)
            offset += len(line)
            if told:
                told(offset, index.signature[1])
    if not index.places and not stopped():
        raise NoInput(f"{workspace.windows} holds no window that can be read. Run ventriloquist preprocess again.")
    return index


def read_window(index: Index, place: Place) -> Window:
    """One window; raises CutAnew if the file is no longer the one that was indexed."""
    with _opened(index.workspace) as file:
        return _window_at(file, index, place)


def _window_at(file: BinaryIO, index: Index, place: Place) -> Window:
    if _signature(file) != index.signature:
        raise CutAnew("The windows were cut anew meanwhile.")
    file.seek(place.offset)
    fields = json.loads(file.readline())
    return Window(fields["text"], fields["targets"], fields["conversation"], fields["split"])


def _opened(workspace: Workspace) -> BinaryIO:
    try:
        return workspace.windows.open("rb")
    except FileNotFoundError:
        raise NoInput("There are no training windows yet. Run: ventriloquist preprocess") from None
    except OSError as error:
        raise from_os_error(error, "reading the training windows") from None


def _signature(file: BinaryIO) -> tuple[int, int, int]:
    found = os.fstat(file.fileno())
    return found.st_ino, found.st_size, found.st_mtime_ns


def _me(workspace: Workspace) -> str:
    """What I am called; empty where the report does not say."""
    try:
        me = (read_report(workspace) or {}).get("me", "")
    except NoInput:
        return ""
    return me if isinstance(me, str) else ""


def _add(index: Index, number: int, offset: int, line: bytes) -> None:
    try:
        fields = json.loads(line)
        text, targets, conversation, split = (fields[key] for key in ("text", "targets", "conversation", "split"))
        header, lines = read(text[: text.index("\n") + 1]), text.count("\n") - 1
    except (AttributeError, KeyError, LineError, RecursionError, TypeError, ValueError):
        index.damaged += 1
        return
    counted = isinstance(targets, int) and 0 <= targets <= lines
    if not (isinstance(header, Header) and isinstance(conversation, str) and split in SPLITS and counted):
        index.damaged += 1
        return
    of = index.conversations.setdefault(conversation, WindowsOf(conversation, header.type))
    of.members += [name for name in header.members if name not in of.members]
    of.windows[split] += 1
    of.targets += targets
    index.places.append(Place(number, offset, split, of.id, lines, targets))


# --- which ones ----------------------------------------------------------------------------------------------------


def choose(index: Index, split: str = "", whom: Whom | None = None) -> list[Place]:
    """The windows of a split (empty: all) and of whom (None: anyone), in the file's order."""
    return [
        place
        for place in index.places
        if split in ("", place.split) and (whom is None or place.conversation in whom.conversations)
    ]


def people_of(index: Index) -> dict[str, Whom]:
    """Everyone but me by name, those with the most windows first."""
    found: dict[str, list[WindowsOf]] = {}
    for of in index.conversations.values():
        for name in of.others(index.me):
            found.setdefault(name, []).append(of)
    people = [
        (name, frozenset(of.id for of in theirs), sum(of.count for of in theirs)) for name, theirs in found.items()
    ]
    people.sort(key=lambda person: -person[2])
    return {name: Whom(name, ids, count, is_person=True) for name, ids, count in people}


def conversations_of(index: Index) -> dict[str, Whom]:
    """The conversations by id, those with the most windows first."""
    found = sorted(index.conversations.values(), key=lambda of: -of.count)
    return {
        of.id: Whom(of.label(index.me) + ("" if of.kind == "group" else " alone"), frozenset((of.id,)), of.count)
        for of in found
    }


def find_whom(index: Index, said: str) -> Whom:
    """The person of this name, or the conversation of this id; raises a UsageFault that says who may be meant."""
    if said in index.conversations:
        return conversations_of(index)[said]
    people = people_of(index)
    if index.me and index.me not in people and folded(said) == folded(index.me):
        raise UsageFault(f"You ({one_line(index.me, 40)}) are in every conversation; name somebody else.")
    return people[find_person([Person(name, name) for name in people], said, str).name]


def find_words(
    index: Index, places: Iterable[Place], words: str, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Place]:
    """Those windows in which a message holds these words; raises CutAnew as `read_window` does."""
    wanted = folded(words)
    holds = lru_cache(maxsize=REMEMBERED_LINES)(lambda raw: holds_words(line_of(raw), wanted))
    with _opened(index.workspace) as file:
        for place in places:
            if stopped():
                return
            if any(holds(raw) for raw in split_lines(_window_at(file, index, place).text)[1:]):
                yield place


def holds_words(line: Line | Header | None, wanted: str) -> bool:
    """True if the text of a message holds the words; `wanted` is `folded`, so case and accents do not matter."""
    return bool(wanted) and isinstance(line, Line) and wanted in folded(line.text)


# --- tokens --------------------------------------------------------------------------------------------------------


def tokens_by(workspace: Workspace) -> TokensOf | None:
    """What counts tokens as the chosen base does, or None if its tokenizer is not at hand.

    The tiny base has none before it is trained; then the one of the newest checkpoint counts, if that is a tiny one.
    """
    from ventriloquist.model import count
    from ventriloquist.pipeline.status import newest_checkpoint
    from ventriloquist.pipeline.tokens import TINY, TokensOf
    from ventriloquist.settings import PreprocessSettings, TrainSettings

    try:
        chosen = TokensOf.chosen(PreprocessSettings.load(workspace), workspace)
        newest = newest_checkpoint(workspace) if TrainSettings.load(workspace).base == TINY else None
        if chosen or newest is None:
            return chosen
        folder, description = newest
        is_tiny = description["settings"].get("base") == TINY and count.has_tokenizer(folder)
        return TokensOf(TINY, count.TokenCounter(folder)) if is_tiny else None
    except Fault:
        return None


def count_tokens(tokens_of: TokensOf, window: Window) -> int:
    """The tokens of a window, whatever stands before its header among them."""
    count: int = tokens_of.counter.lead + sum(tokens_of.counter.count(split_lines(window.text)))
    return count


# --- for programs --------------------------------------------------------------------------------------------------


def summary(index: Index, places: Sequence[Place]) -> dict[str, Any]:
    """What these windows are, by split and by conversation."""
    splits = {split: {"windows": 0, "targets": 0, "lines": 0} for split in SPLITS}
    conversations: dict[str, dict[str, Any]] = {}
    for place in places:
        of = index.conversations[place.conversation]
        told = conversations.setdefault(
            of.id,
            {"id": of.id, "type": of.kind, "members": of.members, **dict.fromkeys(SPLITS, 0), "targets": 0, "lines": 0},
        )
        told[place.split] += 1
        splits[place.split]["windows"] += 1
        for sums in (told, splits[place.split]):
            sums["targets"] += place.targets
            sums["lines"] += place.lines
    most_first = sorted(conversations.values(), key=lambda told: -sum(told[split] for split in SPLITS))
    return {"windows": len(places), "splits": splits, "conversations": most_first, "damaged": index.damaged}


def as_object(index: Index, place: Place, window: Window, tokens_of: TokensOf | None) -> dict[str, Any]:
    """A window and its marks; `tokens` is null where nothing counts them."""
    of = index.conversations[place.conversation]
    return {
        "number": place.number,
        "split": window.split,
        "conversation": window.conversation,
        "type": of.kind,
        "members": of.members,
        "targets": window.targets,
        "tokens": count_tokens(tokens_of, window) if tokens_of else None,
        "lines": [
            {"role": line.role.value, "delta_unlearnt": line.delta_unlearnt, "raw": line.raw}
            for line in mark(window.text, window.targets)
        ],
    }
