"""Edited and unsent messages: what `message_summary_info` says became of the parts (Ventura and later)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ventriloquist.sources.imessage.plists import PlistError, read_plist
from ventriloquist.sources.imessage.typedstream import TypedStreamError, text_of


@dataclass(frozen=True, slots=True)
class Summary:
    """`parts` are all parts the message ever had, `unsent` those taken back, `latest` the last text of those edited."""

    parts: frozenset[int] = frozenset()
    unsent: frozenset[int] = frozenset()
    latest: dict[int, str] = field(default_factory=dict)
    text_changed: bool = False

    @property
    def all_unsent(self) -> bool:
        return bool(self.parts) and self.parts <= self.unsent


def read_summary(blob: bytes | None) -> Summary | None:
    """The summary, or None where there is none that can be read.

    `otr` has a key for each original part, `rp` lists the retracted ones, `ec` holds the history of edited parts,
    the original first.
    """
    try:
        info = read_plist(blob) if blob else None
    except PlistError:
        return None
    if not isinstance(info, dict):
        return None
    unsent = frozenset(part for part in _list(info.get("rp")) if isinstance(part, int))
    latest, changed = {}, False
    for part, history in _by_part(info.get("ec")).items():
        texts = _texts(history)
        if texts and part not in unsent:
            latest[part] = texts[-1]
            changed = changed or texts[0] != texts[-1]
    return Summary(frozenset(_by_part(info.get("otr"))), unsent, latest, changed)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _by_part(value: Any) -> dict[int, Any]:
    if not isinstance(value, dict):
        return {}
    return {int(key): each for key, each in value.items() if isinstance(key, str) and key.isascii() and key.isdigit()}


def _texts(history: Any) -> list[str]:
    texts = []
    for version in _list(history):
        body = version.get("t") if isinstance(version, dict) else None
        try:
            texts.append(text_of(body) if isinstance(body, bytes) else "")
        except TypedStreamError:
            texts.append("")
    return texts
