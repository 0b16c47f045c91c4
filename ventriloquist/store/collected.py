"""What collects left beside the messages: chats, who was known, and the reports."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from ventriloquist.records import Book, Chat, ChatKind, Contact
from ventriloquist.store.values import to_text, to_word


def chats(connection: sqlite3.Connection, source: str) -> list[Chat]:
    """The chats of a source that have messages."""
    handles: dict[int, list[str]] = {}
    query = (
        "SELECT h.chat, h.handle FROM chat_handles AS h JOIN chats AS c ON c.number = h.chat "
        "WHERE c.source = ? ORDER BY h.chat, h.position"
    )
    for number, handle in connection.execute(query, [source]):
        handles.setdefault(number, []).append(to_word(handle))
    rows = connection.execute(
        "SELECT number, guid, kind, name, service FROM chats WHERE source = ? ORDER BY number", [source]
    )
    return [
        Chat(to_word(guid), source, ChatKind(kind), tuple(handles.get(number, ())), to_text(name), to_text(service))
        for number, guid, kind, name, service in rows
    ]


def book(connection: sqlite3.Connection) -> Book | None:
    """What the collects knew of people, all sources together; the later ones add to the first."""
    books = [json.loads(value) for (value,) in connection.execute("SELECT book FROM books ORDER BY source")]
    if not books:
        return None
    return Book(
        my_name=next((each["my_name"] for each in books if each["my_name"]), ""),
        region=books[0]["region"],
        mine=tuple(dict.fromkeys(handle for each in books for handle in each["mine"])),
        handles=tuple(dict.fromkeys(handle for each in books for handle in each["handles"])),
        cards=tuple(
            tuple(Contact(name, tuple(handles), is_me) for name, handles, is_me in cards)
            for each in books
            for cards in each["cards"]
        ),
    )


def past_collects(connection: sqlite3.Connection, limit: int) -> list[tuple[str, dict[str, Any]]]:
    """When collects ended and their reports, the newest first."""
    query = "SELECT at, report FROM past_collects ORDER BY number DESC LIMIT ?"
    return [(at, json.loads(report)) for at, report in connection.execute(query, [limit])]


def attachment_states(connection: sqlite3.Connection, source: str | None = None) -> dict[str, int]:
    """How many attachments' files are on this disk, offloaded to elsewhere, or missing."""
    query = (
        "SELECT count(path), coalesce(sum(path IS NULL AND offloaded), 0), "
        "coalesce(sum(path IS NULL AND NOT offloaded), 0) FROM attachments"
    )
    parameters = []
    if source is not None:
        query += " AS a JOIN messages AS m ON m.number = a.message WHERE m.source = ?"
        parameters.append(source)
    present, offloaded, missing = connection.execute(query, parameters).fetchone()
    return {"present": present, "offloaded": offloaded, "missing": missing}
