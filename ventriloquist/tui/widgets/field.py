"""One option of a stage as a line of a form: its name, something to type or choose, and what it means."""

from __future__ import annotations

import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Select, Static, Switch

from ventriloquist.text import one_line
from ventriloquist.tui.paint import row, shown


def kind_of(annotation: Any) -> Any:
    """The type that is asked for: `int` for `int | None`, a Literal as it is."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(kind for kind in get_args(annotation) if kind is not type(None))
    return annotation


class Field(Vertical):
    """Drawn from a settings field. `current` is the value that would be used if the person changes nothing, `given`
    one that they gave before, which stands in the entry."""

    def __init__(self, option: str, info: FieldInfo, current: Any, given: Any = None) -> None:
        super().__init__()
        self.option = option
        self.info = info
        self.kind = kind_of(info.annotation)
        self.current = current
        self.given = given

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(row(self.option.replace("_", " "), 40), classes="name")
            yield self._entry()
            if self.kind is bool:
                yield Static(Content(_word(bool(self._first))), classes="word")
        yield Static(shown(self.info.description or ""), classes="about")

    @property
    def _first(self) -> Any:
        return self.current if self.given is None else self.given

    def _entry(self) -> Input | Switch | Select[str]:
        if self.kind is bool:
            return Switch(bool(self._first), animate=False)
        if get_origin(self.kind) is Literal:
            choices = [(Content(str(choice)), str(choice)) for choice in get_args(self.kind)]
            return Select(choices, value=str(self._first), allow_blank=False, compact=True)
        placeholder = "" if self.current in (None, "") else one_line(str(self.current), 200)
        typed = {int: "integer", float: "number"}.get(self.kind, "text")
        given = "" if self.given is None else one_line(str(self.given))
        return Input(given, placeholder=placeholder or "default", type=typed, compact=True)  # type: ignore[arg-type]

    @on(Switch.Changed)
    def _switched(self, event: Switch.Changed) -> None:
        self.query_one(".word", Static).update(Content(_word(event.value)))

    @property
    def value(self) -> Any:
        """What the person changed it to, or None."""
        entry = self.query_one("Input, Switch, Select")
        if isinstance(entry, Input):
            return entry.value.strip() or None
        if isinstance(entry, Switch):
            return entry.value if entry.value != bool(self.current) else None
        assert isinstance(entry, Select)
        return entry.value if entry.value != str(self.current) else None


def _word(yes: bool) -> str:
    return "yes" if yes else "no"
