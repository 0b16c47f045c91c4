"""What happened in a chat without anyone saying it: who came and went, new names, locations shared."""

from __future__ import annotations

from ventriloquist.sources.imessage.rows import Row

_WORDS = {
    (1, 0): "[added someone]",
    (1, 1): "[removed someone]",
    (3, 0): "[left the conversation]",
    (3, 1): "[changed the group's photo]",
    (3, 2): "[removed the group's photo]",
    (3, 4): "[changed the background]",
    (3, 6): "[removed the background]",
}
_LOCATION = {0: "[started sharing location]", 1: "[stopped sharing location]"}


def is_event(row: Row) -> bool:
    """True for rows of which Messages makes a grey line between the bubbles."""
    return 1 <= (row.item_type or 0) <= 6


def event_text(row: Row) -> str:
    """The grey line in a few words of ours, in brackets since nobody wrote it."""
    match row.item_type:
        case 1 if not row.group_action_type and row.other_handle and row.other_handle == row.handle:
            return "[changed their number]"
        case 1 | 3:
            return _WORDS.get((row.item_type, row.group_action_type or 0), "[changed the group]")
        case 2:
            return f"[named the conversation {row.group_title}]" if row.group_title else "[took the name away]"
        case 4:
            return _LOCATION.get(row.share_status or 0, "[shared location]")
        case 5:
            return "[kept an audio message]"
    return "[FaceTime]"


def is_mine(row: Row) -> bool:
    """From me, or a location that I share, which Messages does not mark as mine."""
    return bool(row.is_from_me) or (row.item_type == 4 and bool(row.other_handle) and row.share_direction == 0)
