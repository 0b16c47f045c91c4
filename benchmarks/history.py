"""A chat.db of any size with Apple's tables and indexes, written fast: what people send, in the shares they send it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ventriloquist.demo import chatdb, schema
from ventriloquist.demo.typedstream import Body

PEOPLE, GROUPS = 120, 30
BODIES = 3000
START, GAP = 500_000_000, 60  # seconds since 2001, seconds between messages
NANOSECONDS = 1_000_000_000
_SAID = (
    "the a and you me we so what when where later today tomorrow pizza train rain garden ok yes no maybe lol haha "
    "really great thanks sorry dinner movie photo cat dog plant bike coffee home work call 😂 🎉 ❤️ see never always"
)
WORDS = _SAID.split()

Row = tuple[object, ...]


def write(path: Path, messages: int, *, seed: int = 5) -> Path:
    """Write `messages` rows to a new database: 80 % text, 12 % tapbacks, 4 % with a photo, some edits and replies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
    for statement in schema.statements(schema.TABLES):
        connection.execute(statement)
    connection.execute("BEGIN")
    for number in range(1, PEOPLE + 1):
        chatdb.insert(connection, "handle", {"id": f"+1202555{number:04}", "service": "iMessage"})
        _chat(connection, [number], f"iMessage;-;+1202555{number:04}", 45)
    rng = random.Random(seed)
    for number in range(GROUPS):
        _chat(connection, rng.sample(range(1, PEOPLE + 1), 4), f"iMessage;+;chat{number:08}", 43)
    add(connection, 1, messages, seed=seed)
    connection.execute("COMMIT")
    for name, on in schema.INDEXES.items():
        connection.execute(f"CREATE INDEX {name} ON {on}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


def add(connection: sqlite3.Connection, first: int, messages: int, *, seed: int = 5) -> None:
    """Rows `first` and on, inside the transaction that is open."""
    rng = random.Random(seed + first)
    bodies = [_text(rng) for _ in range(BODIES)]
    archived = [Body.of(text).archive() for text in bodies]
    rows = list(_MESSAGE)
    connection.executemany(
        f"INSERT INTO message ({', '.join(rows)}) VALUES ({', '.join('?' * len(rows))})",  # noqa: S608 - our names
        (_message(number, rng, bodies, archived) for number in range(first, first + messages)),
    )
    connection.executemany(
        "INSERT INTO chat_message_join VALUES (?, ?, ?)",
        ((_chat_of(number), number, _date(number)) for number in range(first, first + messages)),
    )
    photos = range(first + -first % 25, first + messages, 25)
    connection.executemany(
        "INSERT INTO attachment (ROWID, guid, original_guid, filename, uti, mime_type, transfer_name, transfer_state, "
        "total_bytes) VALUES (?, ?, ?, ?, 'public.jpeg', 'image/jpeg', ?, 5, 250000)",
        (_attachment(number) for number in photos),
    )
    connection.executemany("INSERT INTO message_attachment_join VALUES (?, ?)", ((each, each) for each in photos))


def _guid(number: int) -> str:
    return f"{number:08X}-5A3C-4E1B-9D2F-{number * 2654435761 % (1 << 48):012X}"


_MESSAGE = (
    "ROWID", "guid", "text", "handle_id", "attributedBody", "version", "service", "account", "date", "date_read",
    "is_delivered", "is_finished", "is_from_me", "is_sent", "cache_has_attachments", "item_type",
    "associated_message_guid", "associated_message_type", "destination_caller_id", "thread_originator_guid",
    "date_edited", "part_count", "message_summary_info",
)  # fmt: skip


def _message(number: int, rng: random.Random, bodies: list[str], archived: list[bytes]) -> Row:
    mine = number % 5 < 2
    choice = int(rng.random() * BODIES)
    body, target, type_ = archived[choice], None, 0
    if number % 25 == 0:
        body = _PHOTO.replace(_guid(0).encode(), _guid(number).encode())
    if number % 8 == 3 and number > 8:
        target, type_ = f"p:0/{_guid(number - 1 - number % 3)}", 2000 + number % 6 + (1000 if number % 88 == 3 else 0)
    thread = _guid(number - 5) if number % 19 == 0 and number > 5 else None
    text = bodies[choice] if number % 3 == 0 else None
    return (
        number, _guid(number), text, _handle_of(number), body, 10, "iMessage", "E:me@example.com", _date(number),
        _date(number), 1, 1, int(mine), int(mine), int(number % 25 == 0), 0, target, type_, "+12025559999", thread, 0,
        1, None,
    )  # fmt: skip


_PHOTO = Body().add("\ufffc", part=0, file=_guid(0), file_name="IMG_0001.jpeg").archive()


def _chat_of(number: int) -> int:
    return 1 + number * 7919 % (PEOPLE + GROUPS)


def _handle_of(number: int) -> int:
    chat = _chat_of(number)
    return chat if chat <= PEOPLE else 1 + number % PEOPLE


def _date(number: int) -> int:
    return (START + number * GAP) * NANOSECONDS


def _attachment(number: int) -> Row:
    name = f"IMG_{number % 10_000:04}.jpeg"
    folder = f"~/Library/Messages/Attachments/{number % 256:02x}/{number % 16:02}/{_guid(number)}"
    return (number, _guid(number), _guid(number), f"{folder}/{name}", name)


def _text(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=1 + int(rng.expovariate(1 / 9))))


def _chat(connection: sqlite3.Connection, handles: list[int], guid: str, style: int) -> None:
    row = {"guid": guid, "style": style, "service_name": "iMessage", "chat_identifier": guid.rpartition(";")[2]}
    chat = chatdb.insert(connection, "chat", row)
    for handle in dict.fromkeys(handles):
        chatdb.insert(connection, "chat_handle_join", {"chat_id": chat, "handle_id": handle})


def bodies_in(path: Path) -> Iterator[bytes]:
    """Every message body in a database."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    for (body,) in connection.execute("SELECT attributedBody FROM message WHERE attributedBody IS NOT NULL"):
        yield body
    connection.close()
