"""Python strings as SQLite values and back, every one of them exactly.

SQLite binds UTF-8, which has no lone surrogates; a string that holds one is kept as a BLOB of its bytes
("surrogatepass"). NUL needs no care: the length is bound with the text.
"""

from __future__ import annotations

TextValue = str | bytes | None


def to_value(text: str | None) -> TextValue:
    """What to bind for `text`."""
    if text is None or text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def to_text(value: TextValue) -> str | None:
    """The string that was bound as `value`."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def to_word(value: TextValue) -> str:
    """`to_text` of a column that is never NULL."""
    return to_text(value) or ""
