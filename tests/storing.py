"""Puts records into a store as collect does, in blocks, none of them known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice

from ventriloquist.records import Book, Chat, Conversation, Ledger, Message, Person
from ventriloquist.store import Store


def replace_history(
    store: Store,
    source: str,
    chats: Sequence[Chat],
    conversations: Sequence[Conversation],
    people: Sequence[Person],
    messages: Iterator[Message],
    ledger: Ledger,
) -> None:
    """Put a history in the place of the one before; `ledger` is complete once `messages` is read."""
    with store.updating(source, chats, people, conversations) as update:
        for block in count():
            found = list(islice(messages, 2000))
            update.put(block, b"", found, Ledger() if found else ledger)
            if not found:
                break
        update.finish(Book("", "US", (), ()))
        update.report({})
