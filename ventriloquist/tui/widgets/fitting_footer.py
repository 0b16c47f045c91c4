"""A footer that shows only the keys that fit; help tells them all."""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.widgets import Footer
from textual.widgets._footer import FooterKey


class FittingFooter(Footer):
    """The first keys that have room, and always the way back; none is cut in the middle."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._fitted = 0

    def compose(self) -> ComposeResult:
        self._fitted = self.app.size.width
        keys = [widget for widget in super().compose() if isinstance(widget, FooterKey)]
        room = self._fitted - 2 - sum(_cells(key) for key in keys if key.key == "escape")
        for key in keys:
            if key.key != "escape":
                room -= _cells(key)
            if room >= 0 or key.key == "escape":
                yield key

    def on_resize(self) -> None:
        if self._bindings_ready and self._fitted != self.app.size.width:
            self.refresh(recompose=True)


def _cells(key: FooterKey) -> int:
    return cell_len(key.key_display) + cell_len(key.description) + 3
