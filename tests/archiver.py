"""Writes typedstreams of any shape, as NSArchiver does: every class, C type and reference that a body can hold.

Independent of the reader and of the sample history's writer, which knows message bodies alone.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CLASSES: dict[str, tuple[int, str | None]] = {
    "NSObject": (0, None),
    "NSAttributedString": (0, "NSObject"),
    "NSMutableAttributedString": (0, "NSAttributedString"),
    "NSString": (1, "NSObject"),
    "NSMutableString": (1, "NSString"),
    "NSDictionary": (0, "NSObject"),
    "NSMutableDictionary": (0, "NSDictionary"),
    "NSArray": (0, "NSObject"),
    "NSValue": (0, "NSObject"),
    "NSNumber": (0, "NSValue"),
    "NSURL": (0, "NSObject"),
    "NSData": (0, "NSObject"),
    "NSMutableData": (0, "NSData"),
    "NSDate": (0, "NSObject"),
}


@dataclass(frozen=True, eq=False)
class Instance:
    """An object: its class, and its groups of a type encoding and the values. Met again, it becomes a reference."""

    name: str
    groups: Sequence[tuple[bytes, Sequence[Any]]]


def string(text: str, name: str = "NSString") -> Instance:
    return Instance(name, [(b"+", [text.encode("utf-8", "surrogatepass")])])


def number(value: int | float, kind: bytes) -> Instance:
    return Instance("NSNumber", [(b"*", [kind]), (kind, [value])])


def data(content: bytes, name: str = "NSData") -> Instance:
    return Instance(name, [(b"i", [len(content)]), (b"[%dc]" % len(content), [content])])


def url(address: str, base: Instance | None = None) -> Instance:
    groups: list[tuple[bytes, Sequence[Any]]] = [(b"c", [int(base is not None)])]
    groups += [(b"@", [base])] if base else []
    return Instance("NSURL", [*groups, (b"@", [string(address)])])


def dictionary(items: Mapping[str, Any], name: str = "NSDictionary") -> Instance:
    groups: list[tuple[bytes, Sequence[Any]]] = [(b"i", [len(items)])]
    for key, value in items.items():
        groups += [(b"@", [string(key)]), (b"@", [value])]
    return Instance(name, groups)


def array(items: Sequence[Any]) -> Instance:
    return Instance("NSArray", [(b"i", [len(items)]), *[(b"@", [item]) for item in items]])


def attributed(
    text: str, runs: Sequence[tuple[int, int, Instance | None]], *, mutable: bool = False, spoken: str | None = None
) -> Instance:
    """A body: `runs` are the number of the attributes, how many UTF-16 units they cover, and they if they are new."""
    prefix = "NSMutable" if mutable else "NS"
    groups: list[tuple[bytes, Sequence[Any]]] = [(b"@", [string(text, spoken or f"{prefix}String")])]
    for run, length, attributes in runs:
        groups.append((b"iI", [run, length]))
        if attributes is not None:
            groups.append((b"@", [attributes]))
    return Instance(f"{prefix}AttributedString", groups)


def archive(root: Instance) -> bytes:
    writer = _Writer()
    writer.group(b"@", [root])
    return bytes(writer.out)


class _Writer:
    def __init__(self) -> None:
        self.out = bytearray(b"\x04\x0bstreamtyped\x81\xe8\x03")
        self._strings: list[bytes] = []
        self._objects: list[object] = []

    def group(self, encoding: bytes, values: Sequence[Any]) -> None:
        self._shared(encoding)
        if encoding.startswith((b"[", b"{")):
            self._value(encoding, values[0])
        else:
            for letter, value in zip(encoding, values, strict=True):
                self._value(bytes([letter]), value)

    def _value(self, kind: bytes, value: Any) -> None:
        match kind[:1]:
            case b"@":
                self._object(value)
            case b"+":
                self._counted(value)
            case b"*":
                self._c_string(value)
            case b"c" | b"C" | b"B":
                self.out += struct.pack("b" if kind == b"c" else "B", value)
            case b"f" | b"d":
                self.out += b"\x83" + struct.pack("<" + kind.decode(), value)
            case b"[":
                self.out += value
            case b"{":
                for letter, each in zip(kind[:-1].split(b"=")[1], value, strict=True):
                    self._value(bytes([letter]), each)
            case _:
                self._integer(value)

    def _integer(self, value: int) -> None:
        if -110 <= value <= 127:
            self.out += struct.pack("b", value)
        elif -(2**15) <= value < 2**15:
            self.out += b"\x81" + struct.pack("<h", value)
        elif -(2**31) <= value < 2**31:
            self.out += b"\x82" + struct.pack("<i", value)
        else:
            self.out += b"\x87" + struct.pack("<q", value)

    def _counted(self, content: bytes) -> None:
        self._integer(len(content))
        self.out += content

    def _shared(self, content: bytes) -> None:
        if content in self._strings:
            self._integer(self._strings.index(content) - 110)
            return
        self._strings.append(content)
        self.out.append(0x84)
        self._counted(content)

    def _known(self, key: object) -> bool:
        """Writes a reference to what was written before, or numbers what is new."""
        for index, each in enumerate(self._objects):
            if each is key or (isinstance(key, tuple) and each == key):
                self._integer(index - 110)
                return True
        self._objects.append(key)
        self.out.append(0x84)
        return False

    def _c_string(self, content: bytes) -> None:
        if not self._known(("c string", content)):
            self._shared(content)

    def _class(self, name: str | None) -> None:
        if name is None:
            self.out.append(0x85)
            return
        if self._known(("class", name)):
            return
        version, parent = CLASSES[name]
        self._shared(name.encode())
        self._integer(version)
        self._class(parent)

    def _object(self, instance: Instance | None) -> None:
        if instance is None:
            self.out.append(0x85)
            return
        if self._known(instance):
            return
        self._class(instance.name)
        for encoding, values in instance.groups:
            self.group(encoding, values)
        self.out.append(0x86)
