"""The SQLite files of the sample: an empty Messages store, and the address book."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from ventriloquist.demo import schema
from ventriloquist.demo.people import Contact

PAGE_BYTES = 4096
_CONTACT_ENTITY = 22


def create(path: Path) -> sqlite3.Connection:
    """A new store with Apple's tables and indexes, in WAL mode, 0600."""
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("BEGIN")
    for statement in schema.statements(schema.TABLES, schema.INDEXES):
        connection.execute(statement)
    properties = {"counter_in_all": "0", "_ClientVersion": schema.CLIENT_VERSION, "__CSDBRecordSequenceNumber": "1"}
    for key, value in properties.items():
        insert(connection, "_SqliteDatabaseProperties", {"key": key, "value": value})
    connection.execute("COMMIT")
    return connection


def insert(connection: sqlite3.Connection, table: str, row: Mapping[str, object]) -> int:
    """Insert one row and return its ROWID. `table` and the keys are names of the schema, never data."""
    if table not in schema.TABLES and table not in schema.ADDRESS_BOOK:
        raise KeyError(table)
    names = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" * len(row))
    cursor = connection.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', tuple(row.values()))  # noqa: S608
    return int(cursor.lastrowid or 0)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """What the block writes, all or nothing."""
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def checkpoint(connection: sqlite3.Connection) -> None:
    """Move what stands in the -wal file into the store."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def close_keeping_wal(connection: sqlite3.Connection, path: Path) -> None:
    """Close the store but leave its -wal file as it is, as when Messages is running.

    The last connection to close would checkpoint; so the two files are copied away and back.
    """
    kept = [(path.with_name(path.name + tail), path.with_name(path.name + tail + ".kept")) for tail in ("", "-wal")]
    for original, copy in kept:
        shutil.copyfile(original, copy)
    connection.close()
    for original, copy in kept:
        copy.chmod(0o600)
        copy.replace(original)


def write_address_book(path: Path, contacts: Sequence[Contact]) -> None:
    """Contacts' store with one card for each of `contacts`."""
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        with transaction(connection):
            for statement in schema.statements(schema.ADDRESS_BOOK):
                connection.execute(statement)
            entity = {"Z_ENT": _CONTACT_ENTITY, "Z_NAME": "ABCDContact", "Z_SUPER": 0, "Z_MAX": len(contacts)}
            insert(connection, "Z_PRIMARYKEY", entity)
            for number, contact in enumerate(contacts, start=1):
                _write_card(connection, number, contact)


def _write_card(connection: sqlite3.Connection, number: int, contact: Contact) -> None:
    card = {
        "Z_PK": number,
        "Z_ENT": _CONTACT_ENTITY,
        "Z_OPT": 1,
        "ZCONTAINERWHERECONTACTISME": 1 if contact.is_me else None,
        "ZFIRSTNAME": contact.first_name,
        "ZLASTNAME": contact.last_name,
        "ZORGANIZATION": contact.organization,
        "ZUNIQUEID": f"00000000-0000-4000-8000-{number:012d}:ABPerson",
    }
    insert(connection, "ZABCDRECORD", card)
    for order, phone in enumerate(contact.phones):
        line = {"ZOWNER": number, "ZFULLNUMBER": phone, "ZLABEL": "_$!<Mobile>!$_", "ZORDERINGINDEX": order}
        insert(connection, "ZABCDPHONENUMBER", line)
    for order, address in enumerate(contact.emails):
        line = {"ZOWNER": number, "ZADDRESS": address, "ZADDRESSNORMALIZED": address.lower(), "ZORDERINGINDEX": order}
        insert(connection, "ZABCDEMAILADDRESS", line)
