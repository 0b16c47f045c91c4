"""A stage's options as a form, drawn from its settings class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Collapsible, Input, Static

from ventriloquist.faults import Fault
from ventriloquist.settings import StageSettings
from ventriloquist.tui.paint import shown
from ventriloquist.tui.widgets.field import Field
from ventriloquist.tui.words import about
from ventriloquist.workspace import Workspace


class FormScreen(ModalScreen[dict[str, Any] | None]):
    """Ends with the values that were changed and that make sense, or with None.

    `names` are the options that are asked for (default: all), `given` what was changed before, `verb` what the button
    says.
    """

    AUTO_FOCUS = "Field Input, Field Select, Field Switch, Button"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("down", "app.focus_next", "Next field", show=False),
        Binding("up", "app.focus_previous", "Field before", show=False),
    ]

    def __init__(
        self,
        settings: type[StageSettings],
        workspace: Workspace,
        names: Sequence[str] = (),
        given: Mapping[str, Any] | None = None,
        verb: str = "Start",
    ) -> None:
        super().__init__()
        self.settings = settings
        self.workspace = workspace
        self.names = names
        self.given = given or {}
        self.verb = verb

    def compose(self) -> ComposeResult:
        current, problem = self._current()
        options = {name: info for name, info in self.settings.options().items() if not self.names or name in self.names}
        first = [name for name, info in options.items() if _is_main(info.json_schema_extra)]
        more = [name for name in options if name not in first]
        with Vertical(id="dialog", classes="form"):
            yield Static(Content.assemble((self.settings.stage, "bold $primary"), "  ", about(self.settings)))
            with VerticalScroll(id="fields", can_focus=False):
                for name in first or more:
                    yield Field(name, options[name], current[name], self.given.get(name))
                if first and more:
                    with Collapsible(title=f"{len(more)} more options", id="more"):
                        for name in more:
                            yield Field(name, options[name], current[name], self.given.get(name))
            yield Static(shown(problem), id="problem")
            with Horizontal(id="buttons"):
                yield Button(Content(self.verb), variant="primary", id="start", compact=True)
                yield Button("Cancel", id="cancel", compact=True)
                yield Static(Content(f"enter {self.verb.lower()} · esc cancel"), classes="hint")

    def on_mount(self) -> None:
        self.query_one("#problem").display = bool(self._current()[1])

    def _current(self) -> tuple[dict[str, Any], str]:
        """The values that hold now, from the environment, the settings file and the defaults."""
        try:
            loaded = self.settings.load(self.workspace)
        except Fault as fault:
            return {name: info.default for name, info in self.settings.options().items()}, str(fault)
        return {name: getattr(loaded, name) for name in self.settings.options()}, ""

    @on(Button.Pressed, "#start")
    @on(Input.Submitted)
    def start(self) -> None:
        """Check the values; end with them, or say what is wrong with them."""
        values = {field.option: value for field in self.query(Field) if (value := field.value) is not None}
        try:
            self.settings.load(self.workspace, **values)
        except Fault as fault:
            problem = self.query_one("#problem", Static)
            problem.update(shown(str(fault)))
            problem.display = True
            return
        self.dismiss(values)

    @on(Collapsible.Toggled)
    def unfold(self, event: Collapsible.Toggled) -> None:
        """With all options shown the form takes the whole height, so that its buttons stay in sight."""
        self.query_one("#dialog").set_class(not event.collapsible.collapsed, "-open")

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Change nothing."""
        self.dismiss(None)


def _is_main(extra: Any) -> bool:
    return isinstance(extra, dict) and extra.get("form") is True
