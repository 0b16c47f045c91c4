"""What happened in a chat without anyone saying it: who came and went, new names, locations shared."""

from __future__ import annotations

from collections.abc import Mapping

from ventriloquist.sources.imessage.balloons import one_line
from ventriloquist.sources.imessage.rows import Row

_GROUP, _NAME, _SELF, _LOCATION, _KEPT_AUDIO, _SHAREPLAY = range(1, 7)
_WORDS = {
    (_GROUP, 0): "[added {who}]",
    (_GROUP, 1): "[removed {who}]",
    (_SELF, 0): "[left the conversation]",
    (_SELF, 1): "[changed the group's photo]",
    (_SELF, 2): "[removed the group's photo]",
    (_SELF, 4): "[changed the background]",
    (_SELF, 6): "[removed the background]",
}
_SHARED = {0: "[started sharing location]", 1: "[stopped sharing location]"}
_SOMEONE = "someone"


def is_event(row: Row) -> bool:
    """True for rows of which Messages makes a grey line between the bubbles."""
    return _GROUP <= (row.item_type or 0) <= _SHAREPLAY


def is_known(row: Row) -> bool:
    """False for kinds of rows that a later macOS may have brought."""
    return not row.item_type or is_event(row)


def event_text(row: Row, other: str | None) -> str:
    """The grey line in a few words of ours, in brackets since nobody wrote it. `other` is whom it was done to."""
    match row.item_type:
        case 1 if _is_new_number(row):
            return "[changed their number]"
        case 1 | 3:
            words = _WORDS.get((row.item_type, row.group_action_type or 0), "[changed the group]")
            return words.replace("{who}", other or _SOMEONE)
        case 2:
            name = one_line(row.group_title or "")
            return f"[named the conversation {name}]" if name else "[took the name away]"
        case 4:
            return _SHARED.get(row.share_status or 0, "[shared location]")
        case 5:
            return "[kept an audio message]"
    return "[FaceTime or SharePlay]"


def other_of(row: Row, handles: Mapping[int, str]) -> str | None:
    """The handle of whoever was added or removed, or with whom a location is shared; None where the row names none."""
    if row.item_type not in (_GROUP, _LOCATION) or _is_new_number(row):
        return None
    return handles.get(row.other_handle or 0)


def is_mine(row: Row) -> bool:
    """From me, or a location that I share, which Messages does not mark as mine."""
    return bool(row.is_from_me) or (row.item_type == _LOCATION and bool(row.other_handle) and row.share_direction == 0)


def _is_new_number(row: Row) -> bool:
    return (
        row.item_type == _GROUP
        and not row.group_action_type
        and bool(row.other_handle)
        and row.other_handle == row.handle
    )
