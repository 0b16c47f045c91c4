"""Decodes `attributedBody`: an NSAttributedString archived by NSArchiver (`streamtyped`, version 4).

`text_of` finds the string alone, by its place in the stream, which is all that most messages need. `decode` reads
the whole stream and gives the runs too: which stretch of the text is an attachment, a mention, a link. Both read by
length and never by an end mark, and raise TypedStreamError and nothing else, whatever the bytes.

Layout: a header, then typed groups. Type encodings and class names share a table of strings; instances, classes and
C strings share a table of objects; both are counted in the order of first appearance. A byte is a tag (0x84 new,
0x85 nil, 0x86 end, 0x81 two bytes follow, 0x82 four, 0x83 a float, 0x87 eight), a reference (0x92 + index) or a
small integer. Run lengths count UTF-16 code units. An encoding of several letters is several values, brackets are an
array and braces a structure, as the Objective-C compiler writes them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

_SIGNATURE = b"\x04\x0bstreamtyped"
HEADER = _SIGNATURE + b"\x81\xe8\x03"
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
_LONGEST_ENCODING = 512
_BRACKETS = {"[": "]", "{": "}", "(": ")"}
_STRINGS = frozenset({"NSString", "NSMutableString"})
_DICTIONARIES = frozenset({"NSDictionary", "NSMutableDictionary"})
_BYTES = frozenset({"NSData", "NSMutableData"})


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
    if not body.startswith(_SIGNATURE):
        raise TypedStreamError("not a typedstream")
    try:
        root = _Reader(body).root()
    except (IndexError, struct.error, RecursionError):
        raise TypedStreamError("the stream is cut off or nested too deep") from None
    if isinstance(root, str):
        return Body(root, (Run(root, {}),) if root else ())
    if not isinstance(root, _Instance) or not root.values or not isinstance(root.values[0], str):
        raise TypedStreamError("not an attributed string")
    return Body(root.values[0], tuple(_runs(root.values[0], root.values[1:])))


def _runs(text: str, values: list[Any]) -> list[Run]:
    """`values` are run ids, lengths and, after an id that is new, its attributes."""
    units = text.encode("utf-16-le", "surrogatepass")
    known: dict[int, dict[str, Any]] = {}
    runs, start, place, index = list[Run](), 0, 0, 0
    while index + 1 < len(values) and start < len(units):
        number, length = values[index], values[index + 1]
        index += 2
        if not isinstance(number, int) or not isinstance(length, int) or length < 0:
            raise TypedStreamError("a run has no length")
        if number not in known:
            attributes = values[index] if index < len(values) else None
            known[number] = attributes if isinstance(attributes, dict) else {}
            index += not isinstance(attributes, int)
        place += 2 * length
        end = max(start, place + 2 if _cuts_a_character(units, place) else place)
        runs.append(Run(units[start:end].decode("utf-16-le", "surrogatepass"), known[number]))
        start = end
    if start < len(units):
        runs.append(Run(units[start:].decode("utf-16-le", "surrogatepass"), {}))
    return runs


def _cuts_a_character(units: bytes, place: int) -> bool:
    """True between the two surrogates of one character."""
    return 2 <= place < len(units) and units[place - 1] & 0xFC == 0xD8 and units[place + 1] & 0xFC == 0xDC


@dataclass(slots=True)
class _Instance:
    """An object of a class that has no meaning of its own here."""

    values: list[Any] = field(default_factory=list)


class _Reader:
    """A place in the stream and the two tables of what was read so far."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = len(_SIGNATURE)
        self._strings: list[bytes] = []
        self._objects: list[Any] = []
        self._depth = 0
        self._elements = 0

    def root(self) -> Any:
        """The first value after the number of the system that wrote the stream."""
        self._integer()
        return self._group()[0]

    def _group(self) -> list[Any]:
        """The values of the next group: a type encoding, then one value for each of its types."""
        encoding = self._string()
        if len(encoding) == 1:
            return [self._value(encoding)]
        return [self._value(each) for each in _types(encoding)]

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

    def _array(self, encoding: bytes) -> bytes | list[Any]:
        digits = len(encoding) - len(encoding[1:].lstrip(b"0123456789"))
        element = encoding[digits:-1]
        if not 1 < digits < 10:
            raise TypedStreamError("an array of no length")
        count = int(encoding[1:digits])
        if element in (b"c", b"C"):
            return self._take(count)
        return [value for _ in range(count) for value in self._elements_of(element)]

    def _structure(self, encoding: bytes) -> list[Any]:
        """The fields of `{name=types}`."""
        self._enter()
        fields = self._elements_of(encoding[1:-1].partition(b"=")[2])
        self._depth -= 1
        return fields

    def _elements_of(self, encoding: bytes) -> list[Any]:
        """Values of types that may take no room, as `{}` does: no stream has more of them than bytes."""
        self._elements += 1
        if self._elements > len(self._data):
            raise TypedStreamError("more elements than bytes")
        return [self._value(each) for each in _types(encoding)]

    def _value(self, encoding: bytes) -> Any:
        match chr(encoding[0]):
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
            case "[":
                return self._array(encoding)
            case "{":
                return self._structure(encoding)
            case "!":  # a number that is not written
                return None
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
            values += self._group()
        self._at += 1
        self._depth -= 1
        self._objects[place] = _meaning(names, values)
        return self._objects[place]

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise TypedStreamError("nested too deep")


@lru_cache(maxsize=512)
def _types(encoding: bytes) -> tuple[bytes, ...]:
    """The types of an encoding one by one: `i[2f]{_NSPoint=ff}` has three."""
    if len(encoding) > _LONGEST_ENCODING:
        raise TypedStreamError("an encoding that long")
    found, letters, index = [], encoding.decode("latin-1"), 0
    while index < len(letters):
        start, open_brackets = index, list[str]()
        while True:
            letter = letters[index : index + 1]
            index += 1
            if letter in _BRACKETS:
                open_brackets.append(_BRACKETS[letter])
            elif open_brackets and letter == open_brackets[-1]:
                open_brackets.pop()
            if not open_brackets:
                break
            if not letter:
                raise TypedStreamError("an unknown type")
        found.append(encoding[start:index])
    return tuple(found)


def _meaning(names: tuple[str, ...], values: list[Any]) -> Any:
    """What the values of an object of that class say."""
    last = values[-1] if values else None
    if not _STRINGS.isdisjoint(names):
        return _unicode(values[0]) if values and isinstance(values[0], bytes) else ""
    if not _DICTIONARIES.isdisjoint(names):
        pairs = zip(values[1::2], values[2::2], strict=False)
        return {
            key: value for key, value in pairs if isinstance(key, str) and isinstance(value, str | int | float | bytes)
        }
    if "NSNumber" in names:
        return last if isinstance(last, int | float) else None
    if "NSURL" in names:
        return last if isinstance(last, str) else None
    if not _BYTES.isdisjoint(names):
        return last if isinstance(last, bytes) else None
    return _Instance(values)
