"""Decodes `attributedBody`: an NSAttributedString archived by NSArchiver (`streamtyped`, version 4).

`text_of` finds the string alone, by its place in the stream, which is all that most messages need. `decode` reads
the whole stream and gives the runs too: which stretch of the text is an attachment, a mention, a link. Both read by
length and never by an end mark, and raise TypedStreamError and nothing else, whatever the bytes.

Layout: a header, then typed groups. Type encodings and class names share a table of strings; instances, classes and
C strings share a table of objects; both are counted in the order of first appearance. A byte is a tag (0x84 new,
0x85 nil, 0x86 end, 0x81 two bytes follow, 0x82 four, 0x83 a float, 0x87 eight), a reference (0x92 + index) or a
small integer. Run lengths count UTF-16 code units.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

HEADER = b"\x04\x0bstreamtyped\x81\xe8\x03"
PART = "__kIMMessagePartAttributeName"
FILE = "__kIMFileTransferGUIDAttributeName"
FILE_NAME = "__kIMFilenameAttributeName"
MENTION = "__kIMMentionConfirmedMention"
LINK = "__kIMLinkAttributeName"
TRANSCRIPT = "IMAudioTranscription"

_HEADER_REGION = 200  # the class names before the text end well before this
_CLASS_TO_TEXT = 40  # from the name NSString to the "+" of its contents, its superclass spelled out
_NEW, _NIL, _END = 0x84, 0x85, 0x86
_FIRST_REFERENCE = -110
_DEEPEST = 64


class TypedStreamError(ValueError):
    """The bytes are no typedstream of a message. The message never quotes them."""


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of the text and its attributes: strings, numbers, bytes (NSData), addresses (NSURL) by name."""

    text: str
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Body:
    """A message's text and its runs, which add up to it."""

    text: str
    runs: tuple[Run, ...]


def text_of(body: bytes) -> str:
    """The text of a body, exactly; raises TypedStreamError."""
    name = body.find(b"NSString", 16, _HEADER_REGION)
    start = body.find(b"\x84\x01+", name + 8, name + 8 + _CLASS_TO_TEXT) + 3 if name > 0 else 2
    if start < 3 or not body.startswith(HEADER):
        return decode(body).text
    length = body[start] if start < len(body) else 0x80
    start += 1
    if length >= 0x80:
        size = {0x81: 2, 0x82: 4}.get(length)
        if size is None:
            return decode(body).text
        length = int.from_bytes(body[start : start + size], "little")
        start += size
    if start + length > len(body):
        raise TypedStreamError("the text is cut off")
    return _unicode(body[start : start + length])


def _unicode(encoded: bytes) -> str:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        pass
    try:
        return encoded.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return encoded.decode("utf-8", "replace")


def decode(body: bytes) -> Body:
    """The text of a body and its runs; raises TypedStreamError."""
    if not body.startswith(HEADER):
        raise TypedStreamError("not a typedstream")
    try:
        values = _Reader(body).group()
    except (IndexError, struct.error, RecursionError):
        raise TypedStreamError("the stream is cut off or nested too deep") from None
    root = values[0] if values else None
    if isinstance(root, str):
        return Body(root, (Run(root, {}),) if root else ())
    if not isinstance(root, _Instance) or not root.values or not isinstance(root.values[0], str):
        raise TypedStreamError("not an attributed string")
    return Body(root.values[0], tuple(_runs(root.values[0], root.values[1:])))


def _runs(text: str, values: list[Any]) -> list[Run]:
    """`values` are run ids, lengths and, after an id that is new, its attributes."""
    units = text.encode("utf-16-le", "surrogatepass")
    known: dict[int, dict[str, Any]] = {}
    runs, start, index = [], 0, 0
    while index + 1 < len(values) and start < len(units):
        number, length = values[index], values[index + 1]
        index += 2
        if not isinstance(number, int) or not isinstance(length, int) or length < 0:
            raise TypedStreamError("a run has no length")
        if number not in known:
            attributes = values[index] if index < len(values) else None
            known[number] = attributes if isinstance(attributes, dict) else {}
            index += 1
        end = start + 2 * length
        runs.append(Run(units[start:end].decode("utf-16-le", "surrogatepass"), known[number]))
        start = end
    if start < len(units):
        runs.append(Run(units[start:].decode("utf-16-le", "surrogatepass"), {}))
    return runs


@dataclass(slots=True)
class _Instance:
    """An object of a class that has no meaning of its own here."""

    values: list[Any] = field(default_factory=list)


class _Reader:
    """A place in the stream and the two tables of what was read so far."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = len(HEADER)
        self._strings: list[bytes] = []
        self._objects: list[Any] = []
        self._depth = 0

    def group(self) -> list[Any]:
        """The values of the next group: a type encoding, then one value for each of its letters."""
        encoding = self._string()
        if encoding.startswith(b"["):
            return [self._array(encoding)]
        return [self._value(letter) for letter in encoding]

    def _take(self, length: int) -> bytes:
        if length < 0 or self._at + length > len(self._data):
            raise TypedStreamError("the stream is cut off")
        self._at += length
        return self._data[self._at - length : self._at]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _integer(self, *, signed: bool = True) -> int:
        head = self._byte()
        size = {0x81: 2, 0x82: 4, 0x87: 8}.get(head)
        if size:
            return int.from_bytes(self._take(size), "little", signed=signed)
        if 0x80 <= head < 0x92:
            raise TypedStreamError("a tag stands where a number belongs")
        return head - 256 if head > 0x7F and signed else head

    def _reference(self, table: list[Any]) -> Any:
        index = self._integer() - _FIRST_REFERENCE
        if not 0 <= index < len(table):
            raise TypedStreamError("a reference to nothing")
        return table[index]

    def _string(self) -> bytes:
        """A type encoding or name, new or known."""
        head = self._data[self._at]
        if head == _NIL:
            self._at += 1
            return b""
        if head != _NEW:
            return bytes(self._reference(self._strings))
        self._at += 1
        string = self._take(self._integer(signed=False))
        self._strings.append(string)
        return string

    def _array(self, encoding: bytes) -> bytes:
        count = encoding[1:-2]
        if encoding[-2:] not in (b"c]", b"C]") or not count.isdigit() or len(count) > 9:
            raise TypedStreamError("an array of something else than bytes")
        return self._take(int(count))

    def _value(self, letter: int) -> Any:
        match chr(letter):
            case "@":
                return self._object()
            case "+":
                return self._take(self._integer(signed=False))
            case "*":
                return self._c_string()
            case "#":
                return self._class()
            case "c":
                return struct.unpack("b", self._take(1))[0]
            case "C" | "B":
                return self._byte()
            case "s" | "i" | "l" | "q":
                return self._integer()
            case "S" | "I" | "L" | "Q":
                return self._integer(signed=False)
            case "f" | "d" as kind:
                return self._float(kind)
            case "%" | ":":
                return self._string()
        raise TypedStreamError("an unknown type")

    def _float(self, kind: str) -> float:
        if self._data[self._at] != 0x83:
            return float(self._integer())
        self._at += 1
        return float(struct.unpack("<" + kind, self._take(struct.calcsize(kind)))[0])

    def _c_string(self) -> bytes | None:
        head = self._data[self._at]
        if head == _NIL:
            self._at += 1
            return None
        if head != _NEW:
            known = self._reference(self._objects)
            return known if isinstance(known, bytes) else None
        self._at += 1
        place = len(self._objects)
        self._objects.append(None)
        self._objects[place] = self._string()
        return bytes(self._objects[place])

    def _class(self) -> tuple[str, ...]:
        """The names of a class and of its superclasses."""
        head = self._data[self._at]
        if head == _NIL:
            self._at += 1
            return ()
        if head != _NEW:
            known = self._reference(self._objects)
            return known if isinstance(known, tuple) else ()
        self._at += 1
        self._enter()
        name = self._string().decode("ascii", "replace")
        self._integer()
        place = len(self._objects)
        self._objects.append(())
        names = (name, *self._class())
        if len(names) > _DEEPEST:
            raise TypedStreamError("a class below too many others")
        self._objects[place] = names
        self._depth -= 1
        return names

    def _object(self) -> Any:
        head = self._data[self._at]
        if head == _NIL:
            self._at += 1
            return None
        if head != _NEW:
            return self._reference(self._objects)
        self._at += 1
        self._enter()
        place = len(self._objects)
        self._objects.append(None)
        names = self._class()
        values: list[Any] = []
        while self._data[self._at] != _END:
            values += self.group()
        self._at += 1
        self._depth -= 1
        self._objects[place] = _meaning(names, values)
        return self._objects[place]

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TypedStreamError("nested too deep")


def _meaning(names: tuple[str, ...], values: list[Any]) -> Any:
    """What the values of an object of that class say."""
    last = values[-1] if values else None
    if "NSString" in names:
        return _unicode(values[0]) if values and isinstance(values[0], bytes) else ""
    if "NSDictionary" in names:
        pairs = zip(values[1::2], values[2::2], strict=False)
        return {key: value for key, value in pairs if isinstance(key, str)}
    if "NSNumber" in names:
        return last if isinstance(last, int | float) else None
    if "NSURL" in names:
        return last if isinstance(last, str) else None
    if "NSData" in names:
        return last if isinstance(last, bytes) else None
    return _Instance(values)
