"""Binary property lists and what NSKeyedArchiver puts into them, read so that no bytes can do harm."""

from __future__ import annotations

import plistlib
import struct
from typing import Any
from xml.parsers.expat import ExpatError

_TRAILER = struct.Struct(">6xBBQQQ")
_COUNTED = {4: 1, 5: 1, 6: 2, 7: 1, 10: 1, 11: 1, 12: 1, 13: 2}
"""How many bytes or references each of the counted parts of an object takes, by the kind of the object."""
_CONTAINERS = (10, 11, 12, 13)


class PlistError(ValueError):
    """The bytes are no property list."""


def read_plist(data: bytes, *, xml: bool = False) -> Any:
    """The objects of a binary property list, or, if `xml`, of one written as XML too; raises PlistError."""
    if xml and not data.startswith(b"bplist"):
        return _read_xml(data)
    if not data.startswith(b"bplist00") or len(data) < 40:
        raise PlistError("not a binary property list")
    if _length_of_objects(data) > len(data):  # plistlib would read the same bytes for each of them
        raise PlistError("the objects are longer than the bytes")
    try:
        return plistlib.loads(data, fmt=plistlib.FMT_BINARY)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError, struct.error):
        raise PlistError("damaged") from None


def _length_of_objects(data: bytes) -> int:
    """The bytes that the objects take by their own account, as far as there are so many: in a sound list no two
    share one."""
    offset_size, reference_size, objects, _, table = _TRAILER.unpack(data[-32:])
    if objects > len(data) or not 0 < offset_size <= 8 or table + objects * offset_size > len(data):
        raise PlistError("the trailer counts more objects than there are bytes")
    length = 0
    for place in range(table, table + objects * offset_size, offset_size):
        start = int.from_bytes(data[place : place + offset_size], "big")
        kind, size = (data[start] >> 4, data[start] & 15) if start < len(data) else (0, 0)
        if size == 15 and kind in _COUNTED:
            size_of_count = 1 << (data[start + 1] & 15) if start + 1 < len(data) else 1
            size = int.from_bytes(data[start + 2 : start + 2 + size_of_count], "big")
        length += 1 + size * _COUNTED.get(kind, 0) * (reference_size if kind in _CONTAINERS else 1)
        if length > len(data):
            break
    return length


def _read_xml(data: bytes) -> Any:
    try:
        return plistlib.loads(data, fmt=plistlib.FMT_XML)
    except (ExpatError, ValueError, TypeError, KeyError, IndexError, AttributeError, LookupError, OverflowError):
        raise PlistError("damaged") from None


class Archive:
    """A keyed archive; values are looked up by a path of keys, nothing else of it is read."""

    def __init__(self, data: bytes) -> None:
        """Raises PlistError."""
        document = read_plist(data)
        objects = document.get("$objects") if isinstance(document, dict) else None
        top = document.get("$top") if isinstance(document, dict) else None
        if not isinstance(objects, list) or not isinstance(top, dict):
            raise PlistError("not a keyed archive")
        self._objects = objects
        self._root = self._resolve(top.get("root"))

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, plistlib.UID):
            value = self._objects[value.data] if 0 <= value.data < len(self._objects) else None
        return None if isinstance(value, plistlib.UID) or value == "$null" else value

    def _item(self, container: Any, key: str) -> Any:
        if not isinstance(container, dict):
            return None
        keys, values = container.get("NS.keys"), container.get("NS.objects")
        if isinstance(keys, list) and isinstance(values, list):
            for each, value in zip(keys, values, strict=False):
                if self._resolve(each) == key:
                    return self._resolve(value)
        return self._resolve(container.get(key))

    def text(self, *path: str) -> str:
        """The string at `path`, or "" where there is none."""
        found = self._root
        for key in path:
            found = self._item(found, key)
        if isinstance(found, dict):
            found = self._item(found, "NS.string")
        return found if isinstance(found, str) else ""
