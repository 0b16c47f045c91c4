"""The one codec: a message line and a header line, as JSON text and back.

Training, evaluation and chat write lines with `write` and read them with `read`; there is no other writer.
A line is JSON in a fixed key order with `ensure_ascii=False` and ends in a newline. Lone surrogates, which
UTF-8 cannot hold, are written as JSON escapes, so that any Python string comes back exactly.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass
from json.encoder import encode_basestring as _string

from ventriloquist.text import cut

DELTAS = ("<1m", "<5m", "<1h", "<12h", "<1d", "1d+")
DELTA_SECONDS = (60, 300, 3600, 12 * 3600, 24 * 3600)
CONTENT_TYPES = (
    "text", "image", "video", "audio", "document", "reaction", "file", "contact", "location", "link", "sticker", "app",
)  # fmt: skip
REPLY_CHARACTERS = 50
KEYS = ("name", "delta", "reply_to", "content_type", "text")

LINE_PIECES = ('{"name": ', ', "delta": ', ', "reply_to": ', ', "content_type": ', ', "text": ', "}\n")
"""What stands around the values of a message line."""

_NAME, _DELTA, _REPLY_TO, _CONTENT_TYPE, _TEXT, _END = LINE_PIECES
_SURROGATES = re.compile("[\ud800-\udfff]")
_decoder = json.JSONDecoder()


class LineError(ValueError):
    """Text that is no line of the format. The message never quotes the text."""


@dataclass(frozen=True, slots=True)
class Line:
    """A message as the model reads and writes it."""

    name: str
    delta: str
    reply_to: str | None
    content_type: str
    text: str


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a window. `type` is dm or group; `start` is a date, YYYY-MM-DD."""

    type: str
    members: tuple[str, ...]
    start: str


def write(line: Line | Header) -> str:
    """The line as text, with its newline."""
    if isinstance(line, Header):
        members = ", ".join(map(_string, line.members))
        return _encodable(f'{{"type": {_string(line.type)}, "members": [{members}], "start": {_string(line.start)}}}\n')
    return write_fields(line.name, line.delta, line.reply_to, line.content_type, line.text)


def write_fields(name: str, delta: str, reply_to: str | None, content_type: str, text: str) -> str:
    """A message line from its fields, with its newline: what `quote` makes of them, several times as fast."""
    reply = "null" if reply_to is None else _string(reply_to)
    line = (
        f"{_NAME}{_string(name)}{_DELTA}{_string(delta)}{_REPLY_TO}{reply}"
        f"{_CONTENT_TYPE}{_string(content_type)}{_TEXT}{_string(text)}{_END}"
    )
    return line if line.isascii() else _encodable(line)


def quote(value: object) -> str:
    """`value` as JSON the way every line is written; safe to encode as UTF-8."""
    return _encodable(json.dumps(value, ensure_ascii=False))


def _encodable(text: str) -> str:
    """JSON with lone surrogates as escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return text


def read(text: str) -> Line | Header:
    """The line that `text` holds (with or without its newline); raises LineError."""
    try:
        fields, end = _decoder.raw_decode(text)
    except (ValueError, RecursionError):
        raise LineError("not a JSON object") from None
    if text[end:] not in ("", "\n"):
        raise LineError("something follows the object")
    if not isinstance(fields, dict):
        raise LineError("not a JSON object")
    return _read_header(fields) if "members" in fields else read_fields(fields)


def _read_header(fields: dict[str, object]) -> Header:
    members, kind, start = fields.get("members"), fields.get("type"), fields.get("start")
    if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
        raise LineError("members is no list of names")
    if kind not in ("dm", "group") or not isinstance(start, str):
        raise LineError("the header has no type or no start")
    return Header(str(kind), tuple(members), start)


def read_fields(fields: dict[str, object]) -> Line:
    """A message line from its parsed fields; raises LineError if one is missing or of the wrong type."""
    if tuple(fields) != KEYS:
        raise LineError("the keys are not " + ", ".join(KEYS))
    name, delta, reply_to, content_type, text = (fields[key] for key in KEYS)
    if not isinstance(name, str) or not isinstance(text, str) or not isinstance(reply_to, str | None):
        raise LineError("a field is no text")
    if delta not in DELTAS:
        raise LineError("the delta is none of " + " ".join(DELTAS))
    if content_type not in CONTENT_TYPES:
        raise LineError("an unknown content type")
    return Line(name, str(delta), reply_to, str(content_type), text)


def delta_for(seconds: float) -> str:
    """The bucket for the time since the message before; a clock that went backwards counts as no time."""
    return DELTAS[bisect_right(DELTA_SECONDS, seconds)]


def reply_quote(text: str) -> str:
    """How a line names the message it replies to."""
    return cut(text, REPLY_CHARACTERS)


def split_lines(text: str) -> list[str]:
    """The lines of a window, each with its newline. Only U+000A ends a line."""
    return [part + "\n" for part in text.split("\n")[:-1]]
