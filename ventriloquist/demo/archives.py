"""The binary property lists that Messages keeps beside a body: link previews, app balloons, edits and unsends."""

from __future__ import annotations

import plistlib
from collections.abc import Mapping, Sequence
from typing import Any

from ventriloquist.demo.typedstream import Body, utf16_length

URL_BALLOON = "com.apple.messages.URLBalloonProvider"
APP_BALLOON = "com.apple.messages.MSMessageExtensionBalloonPlugin:0000000000:com.example.fourinarow.messages"


class _KeyedArchive:
    """An NSKeyedArchiver property list under construction; object 0 is `$null`."""

    def __init__(self) -> None:
        self._objects: list[Any] = ["$null"]
        self._classes: dict[str, plistlib.UID] = {}

    def add(self, value: Any) -> plistlib.UID:
        self._objects.append(value)
        return plistlib.UID(len(self._objects) - 1)

    def _class(self, *names: str) -> plistlib.UID:
        if names[0] not in self._classes:
            self._classes[names[0]] = self.add({"$classname": names[0], "$classes": list(names)})
        return self._classes[names[0]]

    def instance(self, name: str, fields: Mapping[str, Any]) -> plistlib.UID:
        return self.add({**fields, "$class": self._class(name, "NSObject")})

    def url(self, address: str) -> plistlib.UID:
        return self.instance("NSURL", {"NS.base": plistlib.UID(0), "NS.relative": self.add(address)})

    def dictionary(self, fields: Mapping[str, plistlib.UID]) -> plistlib.UID:
        keys = [self.add(key) for key in fields]
        content = {"NS.keys": keys, "NS.objects": list(fields.values())}
        return self.add({**content, "$class": self._class("NSDictionary", "NSObject")})

    def dump(self, root: plistlib.UID) -> bytes:
        document = {
            "$version": 100000,
            "$archiver": "NSKeyedArchiver",
            "$top": {"root": root},
            "$objects": self._objects,
        }
        return plistlib.dumps(document, fmt=plistlib.FMT_BINARY)


def link_preview(address: str, title: str, summary: str, site: str) -> bytes:
    """`payload_data` of a URL balloon: a RichLink that holds LPLinkMetadata."""
    archive = _KeyedArchive()
    metadata = archive.instance(
        "LPLinkMetadata",
        {
            "originalURL": archive.url(address),
            "URL": archive.url(address),
            "title": archive.add(title),
            "summary": archive.add(summary),
            "siteName": archive.add(site),
            "version": 1,
        },
    )
    return archive.dump(archive.instance("RichLink", {"richLinkMetadata": metadata, "richLinkIsPlaceholder": False}))


def app_balloon(app: str, caption: str, label: str, address: str) -> bytes:
    """`payload_data` of an iMessage app: its name (`an`), its caption and the text that stands in (`ldtext`)."""
    archive = _KeyedArchive()
    user_info = archive.dictionary({"caption": archive.add(caption)})
    fields = {
        "ldtext": archive.add(label),
        "an": archive.add(app),
        "userInfo": user_info,
        "URL": archive.url(address),
    }
    return archive.dump(archive.dictionary(fields))


def detected_data(text: str) -> bytes:
    """A stand-in for the keyed archive of a data detector's result that a stretch of a body carries."""
    archive = _KeyedArchive()
    return archive.dump(archive.instance("DDScannerResult", {"MS": archive.add(text), "T": 1, "V": 1}))


def edit_summary(part: int, versions: Sequence[tuple[float, Body]], others: Sequence[str] = ()) -> bytes:
    """`message_summary_info` of an edited message: `versions` of `part` from the first to the last.

    Times are seconds since 2001; `others` are the texts of the parts that were not edited, in order.
    """
    first = versions[0][1].text
    texts = list(others)
    texts.insert(part, first)
    history = [{"d": when, "t": body.archive()} for when, body in versions]
    return _summary({"ec": {str(part): history}, "ep": [part], "otr": _ranges(texts)})


def unsend_summary(texts: Sequence[str], retracted: Sequence[int]) -> bytes:
    """`message_summary_info` of a message of the parts `texts`, of which those numbered `retracted` were unsent."""
    return _summary({"rp": list(retracted), "otr": _ranges(texts)})


def _ranges(texts: Sequence[str]) -> dict[str, dict[str, int]]:
    ranges, start = {}, 0
    for number, text in enumerate(texts):
        length = utf16_length(text)
        ranges[str(number)] = {"lo": start, "le": length}
        start += length
    return ranges


def _summary(fields: dict[str, Any]) -> bytes:
    return plistlib.dumps({**fields, "ust": True, "amc": 1}, fmt=plistlib.FMT_BINARY)
