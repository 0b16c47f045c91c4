"""Writes keyed archives (NSKeyedArchiver) and edit histories by hand, each test its own."""

from __future__ import annotations

import base64
import json
import plistlib
from collections.abc import Mapping
from typing import Any

from tests.messages_db import plain_body

EXTENSION = "com.apple.messages.MSMessageExtensionBalloonPlugin:0000000000:"
LINK = "com.apple.messages.URLBalloonProvider"


class Object(dict[str, Any]):
    """An instance with its fields; `class_name` is its class."""

    def __init__(self, class_name: str, **fields: Any) -> None:
        super().__init__(fields)
        self.class_name = class_name


def url(address: str) -> Object:
    return Object("NSURL", **{"NS.base": None, "NS.relative": address})


def archive(root: Mapping[str, Any]) -> bytes:
    """A keyed archive: plain dictionaries become NSDictionary, None becomes $null."""
    objects: list[Any] = ["$null"]

    def add(value: Any) -> plistlib.UID:
        if value is None:
            return plistlib.UID(0)
        place = len(objects)
        objects.append(value)
        if isinstance(value, Object):
            fields = {name: add(each) for name, each in value.items()}
            objects[place] = {**fields, "$class": add_class(value.class_name)}
        elif isinstance(value, dict):
            keys, values = [add(key) for key in value], [add(each) for each in value.values()]
            objects[place] = {"NS.keys": keys, "NS.objects": values, "$class": add_class("NSDictionary")}
        return plistlib.UID(place)

    def add_class(name: str) -> plistlib.UID:
        objects.append({"$classname": name, "$classes": [name, "NSObject"]})
        return plistlib.UID(len(objects) - 1)

    document = {"$version": 100000, "$archiver": "NSKeyedArchiver", "$top": {"root": add(dict(root))}}
    if isinstance(root, Object):
        objects.clear()
        objects.append("$null")
        document["$top"] = {"root": add(root)}
    return plistlib.dumps({**document, "$objects": objects}, fmt=plistlib.FMT_BINARY)


def link(address: str | None = None, title: str | None = None, **more: Any) -> bytes:
    metadata = Object("LPLinkMetadata", **more)
    if address:
        metadata["originalURL"] = metadata["URL"] = url(address)
    if title:
        metadata["title"] = title
    return archive(Object("RichLink", richLinkMetadata=metadata, richLinkIsPlaceholder=False))


def app(address: str | None = None, **fields: Any) -> bytes:
    return archive({**fields, "URL": url(address) if address else None})


def poll_address(item: Mapping[str, Any], tail: str = "") -> str:
    return "data:," + base64.b64encode(json.dumps({"version": 1, "item": item}).encode()).decode() + tail


def summary(
    *,
    edits: Mapping[int, list[tuple[Any, str]]] | None = None,
    ranges: Mapping[int, tuple[int, int]] | None = None,
    retracted: list[int] | None = None,
    xml: bool = False,
    **more: Any,
) -> bytes:
    """`message_summary_info`: `edits` are (date, text) of the versions of each part, `ranges` what `otr` says."""
    info: dict[str, Any] = {"ust": True, "amc": 1, **more}
    if edits is not None:
        info["ec"] = {str(part): [{"d": d, "t": plain_body(t)} for d, t in told] for part, told in edits.items()}
        info["ep"] = sorted(edits)
    if ranges is not None:
        info["otr"] = {str(part): {"lo": start, "le": length} for part, (start, length) in ranges.items()}
    if retracted is not None:
        info["rp"] = retracted
    return plistlib.dumps(info, fmt=plistlib.FMT_XML if xml else plistlib.FMT_BINARY)
