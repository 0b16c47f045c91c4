"""Beside the messages: people, model, settings and conversation; each row that can be changed is a command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED, person_style, spread
from ventriloquist.tui.scene import Scene

MOST_PEOPLE = 12
"""People who have a row of their own; the others can be searched."""


class Row(NamedTuple):
    """A row and the command that it stands for: submitted as it is, or, with `fills`, put into the prompt."""

    left: Content
    right: str = ""
    typed: str = ""
    fills: bool = False


class SidePanel(OptionList):
    """Rows of the scene; enter or a click on one does what it stands for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "Change", key_display="enter"),
        Binding("up,k", "cursor_up", "Up", show=False),
        Binding("down,j", "cursor_down", "Down", show=False),
        Binding("tab,shift+tab", "screen.to_prompt", "Back to the words", show=False),
    ]

    class Wanted(Message):
        """A row was taken."""

        def __init__(self, typed: str, fills: bool) -> None:
            super().__init__()
            self.typed = typed
            self.fills = fills

    def __init__(self) -> None:
        super().__init__(id="chat-panel", compact=True, markup=False)
        self._scene = Scene()
        self._cost: Mapping[str, Any] = {}
        self._panel_rows: list[Row] = []
        self._painted: list[Content] = []

    def show(self, scene: Scene, cost: Mapping[str, Any]) -> None:
        """Paint another scene, and what the last reply cost; nothing is done while the panel is hidden."""
        self._scene, self._cost = scene, cost
        if self.display:
            self._paint()

    def on_resize(self) -> None:
        self._paint()

    def _paint(self) -> None:
        width = max(self.scrollable_content_region.width - 1, 10)
        rows = list(rows_of(self._scene, self._cost))
        painted = [_painted(each, width) for each in rows]
        if len(painted) == len(self._painted) and all(
            one.is_same(other) for one, other in zip(painted, self._painted, strict=True)
        ):
            return
        at = self.highlighted
        self._panel_rows, self._painted = rows, painted
        self.set_options(Option(content, disabled=not each.typed) for content, each in zip(painted, rows, strict=True))
        usable = [number for number, each in enumerate(rows) if each.typed]
        self.highlighted = at if at in usable else next(iter(usable), None)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """At the last row that can be taken the ones below it, which cannot, are in sight too."""
        event.stop()
        if not any(row.typed for row in self._panel_rows[event.option_index + 1 :]):
            self.call_after_refresh(self.scroll_end, animate=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        row = self._panel_rows[event.option_index]
        self.post_message(self.Wanted(row.typed, row.fills))


def _painted(row: Row, width: int) -> Content:
    right = Content.styled(row.right, MUTED).truncate(max(width * 2 // 3, 4), ellipsis=True)
    return spread(row.left, right, width) if row.right else row.left.truncate(width, ellipsis=True)


def rows_of(scene: Scene, cost: Mapping[str, Any]) -> Iterator[Row]:
    """All rows of the panel, from top to bottom."""
    yield _heading("people")
    yield from _people(scene)
    yield Row(Content(""))
    yield _heading("checkpoint")
    yield Row(Content(one_line(scene.checkpoint, 60) or "…"), "", "/checkpoint")
    model = [scene.facts.get("base"), scene.facts.get("device"), scene.facts.get("precision")]
    yield _fact(" · ".join(one_line(str(fact), 40) for fact in model if fact))
    yield Row(Content(""))
    yield _heading("settings")
    for name, value in scene.options.items():
        shown = f"{value:g}" if isinstance(value, int | float) else one_line(str(value), 20)
        yield Row(Content(one_line(name, 24)), shown, f"/set {name} ", fills=True)
    yield Row(Content(""))
    yield _heading("conversation")
    yield Row(Content(one_line(scene.title, 60) or "no name yet"), "", "/save ", fills=True)
    yield _fact("messages", f"{len(scene.said):,}")
    if scene.size:
        yield _fact("window", f"{len(scene.said) - scene.start} of {scene.size}")
    if cost.get("tokens"):
        yield _fact("last reply", f"{cost['tokens']} tokens")
        seconds = cost.get("seconds", 0)
        yield _fact("took", f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms")


def _heading(words: str) -> Row:
    return Row(Content.styled(words, f"bold {MUTED}"))


def _fact(left: str, right: str = "") -> Row:
    return Row(Content.styled(left, MUTED), right)


def _people(scene: Scene) -> Iterator[Row]:
    for name in scene.members[:MOST_PEOPLE]:
        answers = name == scene.target or (scene.target is None and name != scene.speaker)
        told = {scene.me: "you"}.get(name, "")
        if name == scene.target:
            told = "answers"
        elif name == scene.speaker and name != scene.me:
            told = "you speak as"
        elif answers:
            told = "may answer"
        mark = ("● " if answers else "  ", "$primary")
        person = Content.assemble(mark, (one_line(name, 40) or "(no name)", person_style(name)))
        yield Row(person, told, "" if name == scene.speaker else f"/target {name}")
    if len(scene.members) > MOST_PEOPLE:
        yield Row(Content.styled(f"  and {len(scene.members) - MOST_PEOPLE} more", MUTED), "", "/target")
    if len(scene.others) > 1:
        dot = "● " if scene.target is None else "  "
        yield Row(Content.assemble((dot, "$primary"), ("anyone", MUTED)), "", "/target any")
