"""Writes small chat.db files row by row, each test its own; independent of the reader and of the sample history."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path
from typing import Any

NANOSECONDS = 1_000_000_000
DAY = 86_400
START = 700_000_000  # seconds since 2001: in March 2023

SCHEMA = """
CREATE TABLE message (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, text TEXT,
  handle_id INTEGER DEFAULT 0, subject TEXT, attributedBody BLOB, service TEXT, date INTEGER,
  is_from_me INTEGER DEFAULT 0, cache_has_attachments INTEGER DEFAULT 0, cache_roomnames TEXT,
  item_type INTEGER DEFAULT 0, other_handle INTEGER DEFAULT 0, group_title TEXT, group_action_type INTEGER DEFAULT 0,
  share_status INTEGER DEFAULT 0, share_direction INTEGER DEFAULT 0, associated_message_guid TEXT,
  expressive_send_style_id TEXT,
  associated_message_type INTEGER DEFAULT 0, balloon_bundle_id TEXT, payload_data BLOB, message_summary_info BLOB,
  destination_caller_id TEXT, reply_to_guid TEXT, thread_originator_guid TEXT, thread_originator_part TEXT,
  date_edited INTEGER, date_retracted INTEGER, associated_message_emoji TEXT, is_audio_message INTEGER DEFAULT 0);
CREATE TABLE chat (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, style INTEGER,
  chat_identifier TEXT, service_name TEXT, room_name TEXT, account_login TEXT, last_addressed_handle TEXT,
  display_name TEXT);
CREATE TABLE handle (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, service TEXT NOT NULL,
  person_centric_id TEXT, UNIQUE (id, service));
CREATE TABLE attachment (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, filename TEXT, uti TEXT,
  mime_type TEXT, transfer_name TEXT, total_bytes INTEGER DEFAULT 0, is_sticker INTEGER DEFAULT 0,
  hide_attachment INTEGER DEFAULT 0);
CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER, message_date INTEGER DEFAULT 0,
  PRIMARY KEY (chat_id, message_id));
CREATE TABLE chat_handle_join (chat_id INTEGER, handle_id INTEGER, UNIQUE (chat_id, handle_id));
CREATE TABLE message_attachment_join (message_id INTEGER, attachment_id INTEGER, UNIQUE (message_id, attachment_id));
CREATE TABLE chat_recoverable_message_join (chat_id INTEGER, message_id INTEGER, delete_date INTEGER,
  PRIMARY KEY (chat_id, message_id));
"""

EL_CAPITAN = """
CREATE TABLE message (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, text TEXT,
  handle_id INTEGER DEFAULT 0, subject TEXT, attributedBody BLOB, service TEXT, date INTEGER,
  is_from_me INTEGER DEFAULT 0, cache_has_attachments INTEGER DEFAULT 0, cache_roomnames TEXT,
  item_type INTEGER DEFAULT 0, other_handle INTEGER DEFAULT 0, group_title TEXT, group_action_type INTEGER DEFAULT 0,
  share_status INTEGER DEFAULT 0, share_direction INTEGER DEFAULT 0);
CREATE TABLE chat (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, style INTEGER,
  chat_identifier TEXT, service_name TEXT, room_name TEXT, account_login TEXT, display_name TEXT);
CREATE TABLE handle (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, service TEXT NOT NULL);
CREATE TABLE attachment (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, filename TEXT, uti TEXT,
  mime_type TEXT, transfer_name TEXT, total_bytes INTEGER DEFAULT 0);
CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER, PRIMARY KEY (chat_id, message_id));
CREATE TABLE chat_handle_join (chat_id INTEGER, handle_id INTEGER, UNIQUE (chat_id, handle_id));
CREATE TABLE message_attachment_join (message_id INTEGER, attachment_id INTEGER, UNIQUE (message_id, attachment_id));
"""


def plain_body(text: str) -> bytes:
    """The typedstream of a message that is text alone, its length written as the C encoder writes it."""
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) < 0x80:
        length = bytes([len(encoded)])
    elif len(encoded) < 0x8000:
        length = b"\x81" + struct.pack("<H", len(encoded))
    else:
        length = b"\x82" + struct.pack("<I", len(encoded))
    head = bytes.fromhex(
        "040b73747265616d747970656481e803840140848484124e5341747472696275746564537472696e67008484084e534f626a656374"
        "008592848484084e53537472696e67019484012b"
    )
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    run = bytes([units]) if units < 0x80 else b"\x82" + struct.pack("<I", units)
    tail = bytes.fromhex(
        "92848484"
        "0c4e5344696374696f6e6172790094840169019284969"
        "61d5f5f6b494d4d657373616765506172744174747269627574654e616d6586928484"
        "84084e534e756d626572008484074e5356616c7565009484012a84999900868686"
    )
    return head + length + encoded + b"\x86\x84\x02iI\x01" + run + tail


class ChatDbWriter:
    """A chat.db under construction. Dates are seconds since 2001, written as nanoseconds unless `seconds`."""

    def __init__(self, folder: Path, schema: str = SCHEMA, *, seconds: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / "chat.db"
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + schema)
        self._unit = 1 if seconds else NANOSECONDS
        self._now = START

    def insert(self, table: str, **values: Any) -> int:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        return self.db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values())).lastrowid or 0

    def handle(self, address: str, service: str = "iMessage", **more: Any) -> int:
        return self.insert("handle", id=address, service=service, **more)

    def chat(self, *handles: int, guid: str | None = None, group: bool | None = None, **more: Any) -> int:
        group = len(handles) > 1 if group is None else group
        number = self.db.execute("SELECT count(*) FROM chat").fetchone()[0]
        guid = guid or (f"iMessage;+;chat{number}" if group else f"iMessage;-;{number}")
        chat = self.insert("chat", guid=guid, **{"style": 43 if group else 45, **more})
        for handle in handles:
            self.insert("chat_handle_join", chat_id=chat, handle_id=handle)
        return chat

    def message(self, chat: int | None, text: str | None = None, sender: int = 0, **more: Any) -> int:
        """A row; `sender` 0 is me. Ten seconds after the one before, unless `date` says otherwise."""
        self._now += 10
        date = more.pop("date", self._now)
        number = self.db.execute("SELECT count(*) FROM message").fetchone()[0] + 1
        values = {"guid": f"M-{number}", "service": "iMessage", "handle_id": sender, "is_from_me": int(not sender)}
        values |= {"text": text, "date": date * self._unit}
        row = self.insert("message", **{**values, **more})
        if chat is not None:
            self.insert("chat_message_join", chat_id=chat, message_id=row)
        return row

    def attach(self, message: int, guid: str, **more: Any) -> int:
        attachment = self.insert("attachment", guid=guid, **more)
        self.insert("message_attachment_join", message_id=message, attachment_id=attachment)
        return attachment

    def close(self) -> Path:
        """Close it as Messages would: everything in chat.db, no -wal beside it."""
        self.db.close()
        return self.path
