"""Who wrote how much where, and from when to when: sums over the messages, none of their text."""

from __future__ import annotations

from typing import NamedTuple

from ventriloquist.store.database import Store
from ventriloquist.store.values import to_text


class Activity(NamedTuple):
    """What one handle wrote in one conversation. `handle` is None for me and for messages that name no sender;
    `first` and `last` are microseconds since 1970."""

    conversation: str
    is_from_me: bool
    handle: str | None
    messages: int
    first: int
    last: int


def activity(store: Store) -> list[Activity]:
    """Every handle in every conversation that it wrote in."""
    query = (
        "SELECT v.id, m.is_from_me, m.sender, m.messages, m.first, m.last FROM ("
        "SELECT conversation, is_from_me, sender, count(*) AS messages, min(sent_at) AS first, max(sent_at) AS last "
        "FROM messages GROUP BY conversation, is_from_me, sender) AS m "
        "JOIN conversations AS v ON v.number = m.conversation ORDER BY 1, 2, 3"
    )
    return [
        Activity(id_, bool(is_from_me), None if is_from_me else to_text(sender), messages, first, last)
        for id_, is_from_me, sender, messages, first, last in store._connection.execute(query)
    ]
