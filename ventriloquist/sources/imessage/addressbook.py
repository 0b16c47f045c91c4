"""Names from Contacts: the `AddressBook-v22.abcddb` databases of a Mac, the `AddressBook.sqlitedb` of an iPhone."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from ventriloquist import vcards
from ventriloquist.faults import Fault
from ventriloquist.records import Contact

FILE = "AddressBook-v22.abcddb"
_HANDLES = {"ZABCDPHONENUMBER": "ZFULLNUMBER", "ZABCDEMAILADDRESS": "ZADDRESS"}
_NAMES = ("ZFIRSTNAME", "ZMIDDLENAME", "ZLASTNAME", "ZNICKNAME", "ZORGANIZATION")
_IS_ME = "ZCONTAINERWHERECONTACTISME"
_IPHONE_NAMES = ("First", "Middle", "Last", "Nickname", "Organization")
_PHONE, _EMAIL = 3, 4
"""What `ABMultiValue.property` says of a value on an iPhone."""


def read_address_books(folder: Path) -> tuple[list[Contact], list[str]]:
    """The cards of all accounts in an AddressBook folder and of the .vcf files in it, or of one of its files.

    The second list has a sentence for each file that cannot be read.
    """
    contacts: list[Contact] = []
    problems: list[str] = []
    try:
        cards = sorted(path for path in folder.glob("*") if path.suffix.lower() in vcards.SUFFIXES)
        databases = [folder / FILE, *sorted(folder.glob(f"Sources/*/{FILE}"))]
        candidates = [folder] if folder.is_file() else [*databases, *cards]
        paths = [path for path in candidates if path.is_file()]
    except OSError:
        return [], [f"The address book {folder} could not be read; people go by their numbers and addresses."]
    for path in paths:
        try:
            contacts += vcards.contacts_in(path) if path.suffix.lower() in vcards.SUFFIXES else _read(path)
        except (sqlite3.Error, UnicodeDecodeError, Fault):
            problems.append(f"The address book {path} could not be read; people in it go by their number or address.")
    return contacts, problems


def _read(path: Path) -> list[Contact]:
    connection = _open(path)
    try:
        return _of_a_mac(connection) if _columns(connection, "ZABCDRECORD") else _of_an_iphone(connection)
    finally:
        connection.close()


def _of_a_mac(connection: sqlite3.Connection) -> list[Contact]:
    columns = _columns(connection, "ZABCDRECORD")
    handles: dict[int, list[str]] = {}
    for table, column in _HANDLES.items():
        query = f"SELECT ZOWNER, {column} FROM {table} ORDER BY Z_PK"  # noqa: S608 - names from above
        for owner, handle in connection.execute(query):
            if isinstance(handle, str) and handle.strip():
                handles.setdefault(owner, []).append(handle)
    names = ", ".join(name if name in columns else "NULL" for name in _NAMES)
    me = f"{_IS_ME} IS NOT NULL" if _IS_ME in columns else "0"
    query = f"SELECT Z_PK, {names}, {me} FROM ZABCDRECORD ORDER BY Z_PK"  # noqa: S608 - names from above
    cards = [(row[0], _name(*row[1:6]), bool(row[6])) for row in connection.execute(query)]
    return [Contact(name, tuple(handles.get(key, ())), is_me) for key, name, is_me in cards if key in handles or is_me]


def _of_an_iphone(connection: sqlite3.Connection) -> list[Contact]:
    columns = _columns(connection, "ABPerson")
    handles: dict[int, list[str]] = {}
    values = connection.execute(
        "SELECT record_id, value FROM ABMultiValue WHERE property IN (?, ?) ORDER BY record_id, property, ROWID",
        (_PHONE, _EMAIL),
    )
    for owner, handle in values:
        if isinstance(handle, str) and handle.strip():
            handles.setdefault(owner, []).append(handle)
    names = ", ".join(name if name in columns else "NULL" for name in _IPHONE_NAMES)
    query = f"SELECT ROWID, {names} FROM ABPerson ORDER BY ROWID"  # noqa: S608 - names from above
    cards = [(row[0], _name(*row[1:6])) for row in connection.execute(query)]
    return [Contact(name, tuple(handles[key])) for key, name in cards if key in handles]


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {str(name) for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", [table])}


def _open(path: Path) -> sqlite3.Connection:
    connection: sqlite3.Connection | None = None
    modes = ("mode=ro",) if path.with_name(path.name + "-wal").exists() else ("immutable=1",)
    for mode in (*modes, "immutable=1"):
        try:
            connection = sqlite3.connect(f"file:{quote(os.fspath(path.absolute()))}?{mode}", uri=True, timeout=2.0)
            connection.text_factory = lambda value: value.decode("utf-8", "replace")
            connection.execute("PRAGMA query_only = 1")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        except sqlite3.OperationalError:
            if connection:
                connection.close()
    raise sqlite3.OperationalError("refused")


def _name(first: object, middle: object, last: object, nickname: object, organization: object) -> str:
    """A card's name: first and last, else the nickname, the organization or the middle name."""
    full = " ".join(part.strip() for part in (first, last) if isinstance(part, str) and part.strip())
    spare = (part for part in (nickname, organization, middle) if isinstance(part, str) and part.strip())
    return full or next(spare, "")
