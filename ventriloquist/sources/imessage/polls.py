"""Polls and votes (macOS 26): a JSON document in the address of the balloon, `data:,` and base64."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

_DATA = "data:"
_LONGEST = 256 * 1024
"""Characters of an address; a poll of Apple's has a dozen options."""


class Option(NamedTuple):
    """An answer of a poll; a vote names it by its identifier and has no text."""

    id: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Poll:
    """A question ("" where it stands in a message of its own, as Messages has it) and the answers to choose from."""

    title: str
    options: tuple[Option, ...]


def read_poll(address: str | None) -> Poll | None:
    """The poll in a balloon's address: `item` has `title` and `orderedPollOptions`."""
    item = _item(address)
    options = item.get("orderedPollOptions") if item else None
    if item is None or not isinstance(options, list):
        return None
    found = [
        Option(_text(option.get("optionIdentifier")), _text(option.get("text")) or _text(option.get("attributedText")))
        for option in options
        if isinstance(option, dict)
    ]
    return Poll(_text(item.get("title")), tuple(found))


def read_votes(address: str | None) -> tuple[Option, ...] | None:
    """The options chosen by whoever sent a vote, () if none is chosen any more; None where it does not say."""
    item = _item(address)
    votes = item.get("votes") if item else None
    if not isinstance(votes, list):
        return None
    return tuple(Option(_text(vote.get("voteOptionIdentifier"))) for vote in votes if isinstance(vote, dict))


def _item(address: str | None) -> dict[str, Any] | None:
    if not address or len(address) > _LONGEST or not address.startswith(_DATA) or "," not in address:
        return None
    content = unquote(address.partition(",")[2])
    if not content.lstrip().startswith("{"):
        content = content.partition("?")[0].replace("-", "+").replace("_", "/")
        try:
            content = base64.b64decode(content + "=" * (-len(content) % 4)).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return None
    try:
        document, _ = json.JSONDecoder().raw_decode(content.lstrip())
    except (ValueError, RecursionError):
        return None
    item = document.get("item") if isinstance(document, dict) else None
    return item if isinstance(item, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
