"""Writes the sample history into a folder: `chat.db`, `Attachments/` and `AddressBook/`."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ventriloquist.demo import chatdb
from ventriloquist.demo.attachments import Shelf
from ventriloquist.demo.cast import CONTACTS, FRIENDS, OWNER
from ventriloquist.demo.chats import Chats
from ventriloquist.demo.plot import write_scripts
from ventriloquist.demo.rows import RowMaker, write_bookkeeping, write_rows
from ventriloquist.demo.script import moment_of
from ventriloquist.demo.timing import oldest_style_until
from ventriloquist.faults import UsageFault, from_os_error

SEED = 7
MESSAGES = 8000
FEWEST = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """What was written, and the truth about it for whoever reads it back.

    `rows` counts every row of `message` once, by what it is; `marks` counts what a row may be besides.
    """

    folder: Path
    chat_db: Path
    attachments: Path
    address_book: Path
    my_name: str
    names: tuple[str, ...]
    message_rows: int
    rows: dict[str, int]
    marks: dict[str, int]


def write(folder: Path, *, seed: int = SEED, messages: int = MESSAGES, wal: bool = False) -> Sample:
    """Write the sample history into `folder`, which is made and must hold none yet.

    The same `seed` and `messages` give the same bytes. `messages` is about how many rows there will be, 200 at
    least. With `wal` the newest rows are left in `chat.db-wal`, as on a Mac where Messages is running.
    """
    if messages < FEWEST:
        raise UsageFault(f"The sample history needs at least {FEWEST} messages.")
    chat_db = folder / "chat.db"
    if chat_db.exists():
        raise UsageFault(f"{folder} already holds a sample history; choose another folder.")
    attachments, contacts = folder / "Attachments", folder / "AddressBook"
    try:
        for made in (folder, attachments, contacts):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
        rows, marks = _write_store(chat_db, attachments, seed, messages, wal)
        address_book = contacts / "AddressBook-v22.abcddb"
        chatdb.write_address_book(address_book, CONTACTS)
    except OSError as error:
        raise from_os_error(error, f"writing the sample history into {folder}") from error
    return Sample(
        folder, chat_db, attachments, address_book, OWNER.name, tuple(FRIENDS), rows.total(), dict(rows), dict(marks)
    )


def _write_store(
    path: Path, attachments: Path, seed: int, messages: int, wal: bool
) -> tuple[Counter[str], Counter[str]]:
    """The store and its attachments; returns the counts of rows and of marks."""
    rng = random.Random(seed)
    scripts = write_scripts(rng, messages)
    connection = chatdb.create(path)
    chatdb.checkpoint(connection)
    chats = Chats(connection, rng)
    maker = RowMaker(chats, Shelf(attachments, rng), rng, oldest_style_until())
    with chatdb.transaction(connection):
        for script in scripts:
            chats.open(script, tuple(dict.fromkeys(post.service for post in script.posts)))
        for script in scripts:
            maker.add_script(script)
            chats.rename(script)
        counts = write_rows(connection, maker.made)
        write_bookkeeping(connection, rng)
    if wal:
        chatdb.close_keeping_wal(connection, path)
    else:
        chatdb.checkpoint(connection)
        connection.close()
    _date(path, max(int(str(made.row["date"])) for made in maker.made))
    return counts, maker.marks


def _date(path: Path, last: int) -> None:
    """Date the store's files a minute after its last row, as if they had not been touched since."""
    at = moment_of(last).timestamp() + 60
    for file in path.parent.glob(f"{path.name}*"):
        os.utime(file, (at, at))
