"""An input whose value may stand on a terminal, whatever is typed or pasted into it."""

from __future__ import annotations

from textual.widgets import Input

from ventriloquist.text import plain


def one_line_as_typed(value: str) -> str:
    """`value` without control bytes and line breaks; spaces stay as they were typed."""
    return plain(value).replace("\n", " ").replace("\t", " ")


class CleanInput(Input):
    """An input on one line, without control bytes."""

    def validate_value(self, value: str) -> str:
        """The value as it may be shown."""
        return one_line_as_typed(value)
