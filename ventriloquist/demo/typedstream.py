"""Writes message bodies as Messages does: an NSAttributedString archived by NSArchiver (`streamtyped`, version 4).

The layout, byte for byte: a stream is a header and typed groups; type encodings and class names share one table
of strings, instances, classes and C strings share one table of objects, and a thing seen before is written as a
reference, counted from 0x92 in order of first appearance. `Body` collects the parts of a message, `Body.archive`
writes them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

OBJECT_SLOT = "\ufffc"
APP_SLOT = "\ufffd"

PART = "__kIMMessagePartAttributeName"
FILE = "__kIMFileTransferGUIDAttributeName"
FILE_NAME = "__kIMFilenameAttributeName"
MENTION = "__kIMMentionConfirmedMention"
LINK = "__kIMLinkAttributeName"
DETECTED = "__kIMDataDetectedAttributeName"
DIRECTION = "__kIMBaseWritingDirectionAttributeName"
TRANSCRIPT = "IMAudioTranscription"

_HEADER = b"\x04\x0bstreamtyped\x81\xe8\x03"
_NEW, _NIL, _END = 0x84, 0x85, 0x86
_FIRST_REFERENCE = 0x92 - 256
_SMALLEST_PLAIN = -110


@dataclass(frozen=True, slots=True)
class Url:
    """An attribute value that is archived as NSURL."""

    address: str


Value = str | int | bytes | Url
Attributes = Mapping[str, Value]


@dataclass(slots=True)
class Body:
    """A message's string and the attributes of its stretches, in order."""

    runs: list[tuple[str, dict[str, Value]]] = field(default_factory=list)
    mutable: bool = False

    @classmethod
    def of(cls, text: str, *, mutable: bool = False) -> Body:
        """A body of one part that is plain text."""
        return cls([(text, {PART: 0})] if text else [], mutable)

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.runs)

    @property
    def parts(self) -> int:
        """How many parts the message has: the highest part number and one."""
        return 1 + max((int(str(attributes.get(PART, 0))) for _, attributes in self.runs), default=-1)

    def add(self, text: str, **attributes: Value) -> Body:
        """Append a stretch; keyword names are this module's constants in lower case (part, file, link, ...)."""
        self.runs.append((text, {_KEYS[name]: value for name, value in attributes.items()}))
        return self

    def archive(self) -> bytes:
        """The bytes of `attributedBody`."""
        writer = _Writer()
        writer.attributed_string(self)
        return bytes(writer.out)


_KEYS = {
    "part": PART, "file": FILE, "file_name": FILE_NAME, "mention": MENTION, "link": LINK, "detected": DETECTED,
    "direction": DIRECTION, "transcript": TRANSCRIPT,
}  # fmt: skip

# class name -> (version, superclass)
_CLASSES: dict[str, tuple[int, str | None]] = {
    "NSObject": (0, None),
    "NSAttributedString": (0, "NSObject"),
    "NSMutableAttributedString": (0, "NSAttributedString"),
    "NSString": (1, "NSObject"),
    "NSMutableString": (1, "NSString"),
    "NSDictionary": (0, "NSObject"),
    "NSValue": (0, "NSObject"),
    "NSNumber": (0, "NSValue"),
    "NSURL": (0, "NSObject"),
    "NSData": (0, "NSObject"),
}


def utf16_length(text: str) -> int:
    """The length of `text` in UTF-16 code units, which is how runs and ranges count."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class _Writer:
    """One stream: the bytes so far and the two tables of what has been written."""

    def __init__(self) -> None:
        self.out = bytearray(_HEADER)
        self._strings: dict[bytes, int] = {}
        self._objects: dict[object, int] = {}
        self._object_count = 0

    def integer(self, value: int) -> None:
        """A whole number in as few bytes as hold it: itself, 0x81 and 2 bytes, or 0x82 and 4."""
        if _SMALLEST_PLAIN <= value <= 127:
            self.out += struct.pack("<b", value)
        elif -(2**15) <= value < 2**15:
            self.out += b"\x81" + struct.pack("<h", value)
        else:
            self.out += b"\x82" + struct.pack("<i", value)

    def shared(self, text: bytes) -> None:
        """A type encoding or class name: in full the first time, then as a reference."""
        if text in self._strings:
            self.integer(_FIRST_REFERENCE + self._strings[text])
            return
        self._strings[text] = len(self._strings)
        self.out.append(_NEW)
        self._counted(text)

    def _counted(self, content: bytes) -> None:
        self.integer(len(content))
        self.out += content

    def _number_object(self, key: object) -> None:
        self._objects[key] = self._object_count
        self._object_count += 1

    def _class(self, name: str) -> None:
        key = ("class", name)
        if key in self._objects:
            self.integer(_FIRST_REFERENCE + self._objects[key])
            return
        version, parent = _CLASSES[name]
        self.out.append(_NEW)
        self.shared(name.encode())
        self.integer(version)
        self._number_object(key)
        if parent is None:
            self.out.append(_NIL)
        else:
            self._class(parent)

    def _begin(self, name: str) -> None:
        self.out.append(_NEW)
        self._number_object(object())
        self._class(name)

    def _end(self) -> None:
        self.out.append(_END)

    def _string(self, text: str, name: str = "NSString") -> None:
        self._begin(name)
        self.shared(b"+")
        self._counted(text.encode("utf-8", "surrogatepass"))
        self._end()

    def _number(self, value: int) -> None:
        self._begin("NSNumber")
        self.shared(b"*")
        kind = b"i" if -(2**31) <= value < 2**31 else b"q"
        if ("c string", kind) in self._objects:
            self.integer(_FIRST_REFERENCE + self._objects["c string", kind])
        else:
            self.out.append(_NEW)
            self._number_object(("c string", kind))
            self.shared(kind)
        self.shared(kind)
        self.integer(value)
        self._end()

    def _data(self, content: bytes) -> None:
        self._begin("NSData")
        self.shared(b"i")
        self.integer(len(content))
        self.shared(b"[%dc]" % len(content))
        self.out += content
        self._end()

    def _url(self, url: Url) -> None:
        self._begin("NSURL")
        self.shared(b"c")
        self.out.append(0)
        self.shared(b"@")
        self._string(url.address)
        self._end()

    def _value(self, value: Value) -> None:
        self.shared(b"@")
        if isinstance(value, str):
            self._string(value)
        elif isinstance(value, int):
            self._number(value)
        elif isinstance(value, bytes):
            self._data(value)
        else:
            self._url(value)

    def _dictionary(self, attributes: Attributes) -> None:
        self.shared(b"@")
        self._begin("NSDictionary")
        self.shared(b"i")
        self.integer(len(attributes))
        for key, value in attributes.items():
            self._value(key)
            self._value(value)
        self._end()

    def attributed_string(self, body: Body) -> None:
        """The root: the string, then for each stretch the number of its attributes and its length in UTF-16.

        Attributes are written in full the first time their number appears.
        """
        prefix = "NSMutable" if body.mutable else "NS"
        self.shared(b"@")
        self._begin(prefix + "AttributedString")
        self.shared(b"@")
        self._string(body.text, prefix + "String")
        seen: list[dict[str, Value]] = []
        for text, attributes in body.runs:
            known = attributes in seen
            if not known:
                seen.append(attributes)
            self.shared(b"iI")
            self.integer(seen.index(attributes) + 1)
            self.integer(utf16_length(text))
            if not known:
                self._dictionary(attributes)
        self._end()
