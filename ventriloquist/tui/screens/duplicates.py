"""Likely duplicates, one after the other: two people, what speaks for their being one, and yes or no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Static
from textual.worker import Worker, WorkerState

from ventriloquist.people import editing
from ventriloquist.people.suggesting import Suggestion, suggest
from ventriloquist.records import Person
from ventriloquist.store import Store
from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED, person_style, put, row
from ventriloquist.tui.screens.base import AppScreen
from ventriloquist.workspace import Workspace

_STYLES = {"very likely": "$text-success", "likely": "$text-primary", "possible": "$text-warning"}
Pair = frozenset[str]


class DuplicatesScreen(AppScreen):
    """One suggestion at a time. Yes merges, no is remembered, and what is skipped comes again another day."""

    HELP = """Pairs of people who may be one, the surest first, with what speaks for it (+) and against it (-). No \
message is read for this.

y makes one person of them. n remembers that they are two, so that nobody asks again."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "merge", "One person", tooltip="Yes, make one person of the two"),
        Binding("n", "apart", "Two", tooltip="No, they are two; do not ask again"),
        Binding("right,space,j", "step(1)", "Skip", key_display="→"),
        Binding("left,k", "step(-1)", "Before", key_display="←"),
        Binding("down,pagedown", "scroll(1)", "Scroll down", show=False),
        Binding("up,pageup", "scroll(-1)", "Scroll up", show=False),
        Binding("escape,q", "dismiss", "Back", key_display="esc"),
    ]

    @dataclass
    class _Read(Message):
        """The suggestions were made."""

        found: list[Suggestion]
        said: str = ""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.found: list[Suggestion] | None = None
        self.at = 0
        self._deciding = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="head"):
            yield Static(Content("likely duplicates"), id="title")
            yield Static(id="where")
        with VerticalScroll(id="pair", can_focus=False):
            yield Static(Content("Looking for them…"), id="people")
            yield Static(id="evidence")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._look()

    @work(thread=True, exit_on_error=False, exclusive=True, group="duplicates")
    def _look(self) -> None:
        self.post_message(self._Read(self._suggestions()))

    def _suggestions(self) -> list[Suggestion]:
        with Store.open(self.workspace) as store:
            return suggest(store, self.workspace)

    @on(_Read)
    def _show_found(self, event: _Read) -> None:
        self._deciding = False
        seen = {_pair(each) for each in (self.found or [])[: self.at]}
        skipped = [each for each in event.found if _pair(each) in seen]
        self.found = [*skipped, *(each for each in event.found if _pair(each) not in seen)]
        self.at = len(skipped)
        if event.said:
            self.notify(one_line(event.said, 200), timeout=3, markup=False)
        self._show()

    @property
    def current(self) -> Suggestion | None:
        """What is asked now; None where nothing is left to ask."""
        return self.found[self.at] if self.found and self.at < len(self.found) else None

    def _show(self) -> None:
        found = self.current
        where = f"{self.at + 1} of {len(self.found or [])}" if found else ""
        put(self.query_one("#where", Static), row(where))
        if found:
            put(self.query_one("#people", Static), _people(found))
            put(self.query_one("#evidence", Static), _evidence(found))
        else:
            none = "That was the last one." if self.found else "Nobody here seems to be the same person twice."
            put(self.query_one("#people", Static), Content(none))
            put(self.query_one("#evidence", Static), Content(""))
        self.query_one("#pair").scroll_home(animate=False)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing to answer where nothing is asked."""
        return self.current is not None if action in ("merge", "apart") else True

    def action_step(self, step: int) -> None:
        """Go to the next or the one before."""
        if self.found is not None:
            self.at = min(max(self.at + step, 0), len(self.found))
            self._show()

    def action_scroll(self, step: int) -> None:
        """Move what is longer than the screen."""
        self.query_one("#pair").scroll_relative(y=step * 3, animate=False)

    def action_merge(self) -> None:
        """Make one person of the two."""
        self._answer(is_one=True)

    def action_apart(self) -> None:
        """Remember that they are two."""
        self._answer(is_one=False)

    def _answer(self, *, is_one: bool) -> None:
        if self.current and not self._deciding:
            self._deciding = True
            self._decide(self.current, is_one)

    @work(thread=True, exit_on_error=False, group="decide")
    def _decide(self, found: Suggestion, is_one: bool) -> None:
        names = found.first.name, found.second.name
        if is_one:
            said = f"{editing.merge(self.workspace, names).name} is one person now."
        else:
            editing.keep_apart(self.workspace, *names)
            said = "They stay two."
        self.post_message(self._Read(self._suggestions(), said))

    @on(Worker.StateChanged)
    def _ask_again(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            self._deciding = False


def _pair(found: Suggestion) -> Pair:
    return frozenset((found.first.key, found.second.key))


def _people(found: Suggestion) -> Content:
    word = Content.styled(found.confidence, f"bold {_STYLES.get(found.confidence, MUTED)}")
    people = zip((found.first, found.second), found.messages, strict=True)
    return Content("\n").join([*(_person(*each) for each in people), word])


def _person(person: Person, messages: int) -> Content:
    """A name, and below it the addresses and how much came from them."""
    handles = one_line(" · ".join(person.handles), 300) if person.handles != (person.name,) else ""
    count = "1 message" if messages == 1 else f"{messages:,} messages"
    below = "  ".join(filter(None, (handles, count)))
    return Content.assemble(
        (one_line(person.name, 60), f"bold {person_style(person.name)}"), "\n", (below, MUTED), "\n"
    )


def _evidence(found: Suggestion) -> Content:
    lines = [Content.assemble(("+ ", "$text-success"), one_line(sentence, 300)) for sentence in found.evidence]
    lines += [Content.assemble(("- ", "$text-warning"), one_line(sentence, 300)) for sentence in found.against]
    return Content("\n").join(lines)
