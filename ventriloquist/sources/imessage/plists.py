"""Binary property lists and what NSKeyedArchiver puts into them, read so that no bytes can do harm."""

from __future__ import annotations

import plistlib
import struct
from typing import Any

_TRAILER = struct.Struct(">6xBBQQQ")


class PlistError(ValueError):
    """The bytes are no binary property list."""


def read_plist(data: bytes) -> Any:
    """The objects of a binary property list; raises PlistError."""
    if not data.startswith(b"bplist00") or len(data) < 40:
        raise PlistError("not a binary property list")
    objects = _TRAILER.unpack(data[-32:])[2]
    if objects > len(data):  # plistlib would allocate room for them all
        raise PlistError("the trailer counts more objects than there are bytes")
    try:
        return plistlib.loads(data, fmt=plistlib.FMT_BINARY)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError, struct.error):
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
