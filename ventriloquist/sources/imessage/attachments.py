"""Attachments: which files belong to which message, where they lie, and which of them are only previews."""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from ventriloquist.records import Attachment
from ventriloquist.sources.imessage.chatdb import ChatDb

COLUMNS = (
    "ROWID:INTEGER",
    "guid:TEXT",
    "filename:TEXT",
    "uti:TEXT",
    "mime_type:TEXT",
    "transfer_name:TEXT",
    "total_bytes:INTEGER",
    "is_sticker:INTEGER",
    "hide_attachment:INTEGER",
    "transfer_state:INTEGER",
)
_FINISHED = 5
"""`transfer_state` of a file that arrived; others wait for a download, or were moved to iCloud."""
PREVIEW = ".pluginpayloadattachment"
_FOLDERS = ("/Library/Messages/Attachments/", "/Library/SMS/Attachments/")
_UTIS = {
    "public.jpeg": "image/jpeg",
    "public.png": "image/png",
    "public.heic": "image/heic",
    "public.heif": "image/heif",
    "public.tiff": "image/tiff",
    "public.webp": "image/webp",
    "com.compuserve.gif": "image/gif",
    "com.apple.quicktime-movie": "video/quicktime",
    "public.mpeg-4": "video/mp4",
    "public.3gpp": "video/3gpp",
    "com.apple.m4v-video": "video/x-m4v",
    "com.apple.coreaudio-format": "audio/x-caf",
    "com.apple.m4a-audio": "audio/mp4",
    "public.mpeg-4-audio": "audio/mp4",
    "public.mp3": "audio/mpeg",
    "org.3gpp.adaptive-multi-rate-audio": "audio/amr",
    "public.vcard": "text/vcard",
    "public.vlocation": "text/x-vlocation",
    "com.adobe.pdf": "application/pdf",
    "public.plain-text": "text/plain",
    "com.apple.ical.ics": "text/calendar",
}
_EXTENSIONS = {
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".heics": "image/heic-sequence",
    ".caf": "audio/x-caf",
    ".amr": "audio/amr",
    ".m4a": "audio/mp4",
    ".mov": "video/quicktime",
    ".vcf": "text/vcard",
}

FileRow = tuple[Any, ...]
"""A message's number and the columns of one of its attachments."""
Found = tuple[Attachment, bool]
"""An attachment, and whether it is hidden (a link's preview, a payload)."""


class Attachments:
    """The attachments of messages: rows of the database, and the files that they name."""

    def __init__(self, db: ChatDb, folder: Finder) -> None:
        self._folder = folder
        self._query = ""
        if db.columns("attachment") and db.columns("message_attachment_join"):
            self._query = (
                f"SELECT CAST(j.message_id AS INTEGER), {db.query('attachment', COLUMNS, 'a')} "  # noqa: S608 - ours
                "FROM message_attachment_join AS j JOIN attachment AS a ON a.ROWID = j.attachment_id ORDER BY 1, 2"
            )
        self._db = db

    def rows(self) -> Iterator[FileRow]:
        """(message, column...) in the order of the messages' rows, then of their own."""
        return iter(self._db.rows(self._query)) if self._query else iter(())

    def path(self, row: FileRow) -> str | None:
        """Where the file of an attachment lies; None for one that is not on this disk and for hidden previews."""
        return None if _is_hidden(row) else self._folder.find(row[3])


def read_attachment(row: FileRow, path: str | None) -> Found:
    """The attachment of a row whose file lies at `path`, and whether it is hidden."""
    _, number, guid, filename, uti, mime_type, _, total_bytes, is_sticker, _, transfer_state = row
    name = _name(row)
    attachment = Attachment(
        guid=guid or f"attachment-{number}",
        mime_type=mime_type or _mime_type(uti, name or filename),
        name=name or None,
        path=path,
        is_sticker=bool(is_sticker),
        total_bytes=total_bytes,
        is_offloaded=path is None and (not filename or transfer_state not in (None, _FINISHED)),
    )
    return attachment, _is_hidden(row)


def _name(row: FileRow) -> str | None:
    filename, transfer_name = row[3], row[6]
    return transfer_name or (filename.rsplit("/", 1)[-1] if filename else None)


def _is_hidden(row: FileRow) -> bool:
    return bool(row[9]) or _is_preview(_name(row)) or _is_preview(row[3])


def _is_preview(name: str | None) -> bool:
    return bool(name) and str(name).lower().endswith(PREVIEW)


def _mime_type(uti: str | None, name: str | None) -> str | None:
    if known := _UTIS.get(uti or ""):
        return known
    extension = os.path.splitext(name or "")[1].lower()  # noqa: PTH122 - a name of any bytes, not a path of ours
    return _EXTENSIONS.get(extension) or mimetypes.types_map.get(extension)


class Finder(Protocol):
    """Knows where the files of attachments lie."""

    def find(self, filename: str | None) -> str | None:
        """Where the file of that name in the database lies, or None."""
        ...


class Folder:
    """The attachments folder. A path that leads out of it, by .. or by a symbolic link, is no file of it."""

    def __init__(self, folder: Path) -> None:
        self._root = os.path.realpath(folder)
        self._real_folders: set[str] = set()

    def find(self, filename: str | None) -> str | None:
        """Where the file of that name in the database lies, or None."""
        inside = self._inside(filename or "")
        if inside is None:
            return None
        path = self._root
        names = [name for name in inside.split("/") if name not in ("", ".")]
        try:
            for name in names[:-1]:
                path = f"{path}/{name}"
                if path not in self._real_folders:
                    if not stat.S_ISDIR(os.lstat(path).st_mode):
                        return self._real(inside)
                    self._real_folders.add(path)
            path = f"{path}/{names[-1]}"
            mode = os.lstat(path).st_mode
        except (OSError, ValueError, UnicodeEncodeError, IndexError):
            return None
        return path if stat.S_ISREG(mode) else self._real(inside)

    def _inside(self, filename: str) -> str | None:
        """The part of the name below the folder, or None for a name of another place."""
        for folder in _FOLDERS:
            if folder in filename:
                filename = filename.split(folder, 1)[1]
                break
        else:
            if not filename.startswith(self._root + "/"):
                return None
            filename = filename[len(self._root) + 1 :]
        return None if ".." in filename.split("/") else filename

    def _real(self, inside: str) -> str | None:
        """The path of a file that lies behind a symbolic link, if the link stays inside."""
        path = os.path.realpath(f"{self._root}/{inside}")
        if not path.startswith(self._root + "/"):
            return None
        return path if os.path.isfile(path) else None  # noqa: PTH113 - a name of any bytes
