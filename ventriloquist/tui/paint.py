"""Strangers' text on its way to the screen: cleaned by `text.plain`, never read as markup."""

from __future__ import annotations

import re
from zlib import crc32

from textual.content import Content
from textual.widgets import Static

from ventriloquist.text import one_line, plain

MUTED = "$foreground 60%"
"""The style of what stands back; `$text-muted` itself is resolved in stylesheets only."""
PERSON_STYLES = ("$text-primary", "$text-success", "$text-warning", "$text-accent", "$text-secondary")
"""Theme variables that every theme keeps legible. The colour of errors is none of them."""

_ESCAPE_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # OSC, DCS, SOS, PM, APC
    "|\x1b[@-_]?"
)
LOG_LINE = 2000


def shown(text: str, style: str = "") -> Content:
    """`text` on as many lines as it has."""
    return Content.styled(plain(text), style)


def row(text: str, width: int | None = None, style: str = "") -> Content:
    """`text` on one line, cut to `width` characters."""
    return Content.styled(one_line(text, width), style)


def spread(left: Content, right: Content, width: int) -> Content:
    """`left` and `right` at the two ends of a line of `width` cells; `left` is cut if both do not fit."""
    room = max(width - right.cell_length - (1 if right else 0), 0)
    left = left.truncate(room, ellipsis=True)
    return Content.assemble(left, " " * max(width - left.cell_length - right.cell_length, 0), right)


def put(static: Static, content: Content) -> None:
    """Show `content`, unless it is what is shown: nothing is sent to the terminal for nothing."""
    before = static.content
    if not isinstance(before, Content) or not before.is_same(content):
        static.update(content)


def person_style(name: str) -> str:
    """A person's colour: the same for the same name, on every machine and in every run."""
    return PERSON_STYLES[crc32(name.encode("utf-8", "surrogatepass")) % len(PERSON_STYLES)]


def log_line(raw: str) -> str:
    """A line of raw output as it may stand in a log: the last state of a line that was redrawn, no escapes."""
    raw = raw[-4 * LOG_LINE :]
    last = next((part for part in reversed(raw.split("\r")) if part.strip()), "")
    return one_line_keeping_spaces(_ESCAPE_SEQUENCE.sub("", last))[:LOG_LINE]


def one_line_keeping_spaces(text: str) -> str:
    """`plain(text)` on one line, with its indentation."""
    return plain(text).replace("\n", " ").expandtabs(4)
