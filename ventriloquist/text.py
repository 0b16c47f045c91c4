"""The one door that strangers' text goes through before a terminal, and small cuts and counts of text."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides and isolates of direction
    "\ufff9-\ufffb"  # interlinear annotation
    "\ufeff"  # byte order mark
    "]"
)
_UNSAFE_IN_JSON = re.compile(f"{_UNSAFE.pattern[:-1]}\u2028\u2029]")
_LINE_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_INVISIBLE = re.compile("[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2064\u3164\uffa0]")
_SPACES = re.compile(r"\s+")


def plain(text: str) -> str:
    """`text` as it may stand on a terminal: no control byte, no change of direction, no lone surrogate.

    Newlines and tabs stay; other line breaks become newlines. What is shown may differ from what is stored.
    """
    text = _LINE_BREAKS.sub("\n", text)
    text = _UNSAFE.sub("", text)
    return _SURROGATES.sub("\ufffd", text)


def escape_controls(document: str) -> str:
    """JSON text with every character that `plain` would drop or change written as a JSON escape: the same document,
    safe on a terminal."""
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


def one_line(text: str, width: int | None = None) -> str:
    """`plain(text)` on one line, cut to `width` characters with an ellipsis."""
    if width is not None:
        text = text[: width * 8 + 64]  # a 10 MB message is not searched to its end for one row of a list
    line = _SPACES.sub(" ", plain(text)).strip()
    if width is not None and len(line) > width:
        return line[: max(width - 1, 0)] + "…"
    return line


def clean_name(name: str) -> str:
    """A person's or chat's name as it is kept: NFC, on one line, nothing invisible. May be empty.

    ZWJ and variation selectors stay, since emoji in names are built with them.
    """
    name = unicodedata.normalize("NFC", plain(name).replace("\ufffd", ""))
    return _SPACES.sub(" ", _INVISIBLE.sub("", name)).strip()


def is_blank(text: str | None) -> bool:
    """True when `text` shows nothing: empty, spaces, or invisible characters only."""
    return not text or not clean_name(text)


def cut(text: str, length: int) -> str:
    """`text`, or its first `length` characters and "..."."""
    return text if len(text) <= length else text[:length] + "..."


def dollars(micro_usd: int | None) -> str:
    """An amount in micro-dollars as "$1.25", small ones as "$0.0042"; "?" where it is not known."""
    if micro_usd is None:
        return "?"
    return f"${micro_usd / 1e6:,.{2 if micro_usd >= 1_000_000 or not micro_usd else 4}f}"
