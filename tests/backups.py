"""Writes iPhone backups, as small as can be; independent of the reader."""

from __future__ import annotations

import hashlib
import plistlib
import shutil
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

SMS = "HomeDomain-Library/SMS/sms.db"
CONTACTS = "HomeDomain-Library/AddressBook/AddressBook.sqlitedb"
MADE = datetime(2026, 5, 4, 21, 30)


class BackupWriter:
    """A backup under construction; `flat` as iOS 9 and older laid it out."""

    def __init__(
        self, folder: Path, *, flat: bool = False, device: str = "Aidan's iPhone", encrypted: bool = False
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self._flat = folder, flat
        self.write_list("Manifest.plist", {"IsEncrypted": encrypted, "Version": "10.0"})
        self.write_list("Info.plist", {"Device Name": device, "Last Backup Date": MADE}, plistlib.FMT_XML)
        (folder / "Manifest.db").write_bytes(b"")

    def write_list(self, name: str, content: Any, form: Any = plistlib.FMT_BINARY) -> None:
        (self.folder / name).write_bytes(plistlib.dumps(content, fmt=form))

    def place(self, name: str) -> Path:
        """Where the file of that name on the iPhone lies; its folder is made."""
        digest = hashlib.sha1(name.encode()).hexdigest()
        folder = self.folder if self._flat else self.folder / digest[:2]
        folder.mkdir(exist_ok=True)
        return folder / digest

    def put(self, name: str, content: bytes | Path) -> Path:
        path = self.place(name)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copyfile(content, path)
        return path

    def put_contacts(self, *cards: tuple[str, str, list[tuple[int, str]]]) -> None:
        """First name, last name, and values with their property: 3 a phone number, 4 an e-mail address, 5 another."""
        path = self.place(CONTACTS)
        connection = sqlite3.connect(path)
        connection.executescript(
            "CREATE TABLE ABPerson (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, First TEXT, Last TEXT, Middle TEXT, "
            "Organization TEXT, Nickname TEXT);"
            "CREATE TABLE ABMultiValue (UID INTEGER PRIMARY KEY, record_id INTEGER, property INTEGER, "
            "identifier INTEGER, label INTEGER, value TEXT);"
        )
        for first, last, values in cards:
            person = connection.execute("INSERT INTO ABPerson (First, Last) VALUES (?, ?)", [first, last]).lastrowid
            for kind, value in values:
                connection.execute(
                    "INSERT INTO ABMultiValue (record_id, property, value) VALUES (?, ?, ?)", [person, kind, value]
                )
        connection.commit()
        connection.close()
