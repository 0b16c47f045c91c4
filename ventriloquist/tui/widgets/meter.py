"""A progress bar that draws itself only when it is told something new: no animation crosses the wire."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from ventriloquist.tui.paint import MUTED


def bar(fraction: float, width: int) -> Content:
    """A bar of `width` cells; done and left differ in shape as well as in colour."""
    done = min(max(round(fraction * width), 0), width)
    return Content.assemble(("━" * done, "$primary"), ("─" * (width - done), MUTED))


class Meter(Widget):
    """A bar over the whole width with its percentage at the end; empty while the total is unknown."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.fraction: float | None = None

    def show(self, fraction: float | None) -> None:
        """Take the share that is done, or None where it is unknown."""
        if fraction != self.fraction:
            self.fraction = fraction
            self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        if self.fraction is None:
            return Content.styled("┄" * width, MUTED)
        told = f"{self.fraction:6.0%}"
        return Content.assemble(bar(self.fraction, max(width - len(told), 1)), told)
