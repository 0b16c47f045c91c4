"""Attachments: which files belong to which message, where they lie, and which of them are only previews."""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

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
    "original_guid:TEXT",
)
_FINISHED = 5
"""`transfer_state` of a file that arrived; others wait for a download, or were moved to iCloud."""
PREVIEW = ".pluginpayloadattachment"
_FOLDERS = ("/Library/Messages/Attachments/", "/Library/SMS/Attachments/")
_UTIS = {
    "public.jpeg": "image/jpeg",
    "public.jpg": "image/jpeg",
    "public.png": "image/png",
    "public.heic": "image/heic",
    "public.heif": "image/heif",
    "public.heics": "image/heic-sequence",
    "public.heif-standard": "image/heif",
    "public.tiff": "image/tiff",
    "public.webp": "image/webp",
    "org.webmproject.webp": "image/webp",
    "com.microsoft.bmp": "image/bmp",
    "com.adobe.raw-image": "image/x-adobe-dng",
    "com.compuserve.gif": "image/gif",
    "com.apple.quicktime-movie": "video/quicktime",
    "public.mpeg-4": "video/mp4",
    "public.avi": "video/x-msvideo",
    "public.mpeg": "video/mpeg",
    "public.3gpp": "video/3gpp",
    "com.apple.m4v-video": "video/x-m4v",
    "com.apple.coreaudio-format": "audio/x-caf",
    "com.apple.m4a-audio": "audio/mp4",
    "public.mpeg-4-audio": "audio/mp4",
    "public.mp3": "audio/mpeg",
    "public.aac-audio": "audio/aac",
    "public.aiff-audio": "audio/x-aiff",
    "com.microsoft.waveform-audio": "audio/x-wav",
    "org.3gpp.adaptive-multi-rate-audio": "audio/amr",
    "public.vcard": "text/vcard",
    "public.vlocation": "text/x-vlocation",
    "com.adobe.pdf": "application/pdf",
    "public.plain-text": "text/plain",
    "com.apple.ical.ics": "text/calendar",
    "com.apple.pkpass": "application/vnd.apple.pkpass",
    "com.pixar.universal-scene-description-mobile": "model/vnd.usdz+zip",
    "public.zip-archive": "application/zip",
    "public.html": "text/html",
    "public.rtf": "application/rtf",
}
_EXTENSIONS = {
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".heics": "image/heic-sequence",
    ".caf": "audio/x-caf",
    ".amr": "audio/amr",
    ".aac": "audio/aac",
    ".m4a": "audio/mp4",
    ".mov": "video/quicktime",
    ".m4v": "video/x-m4v",
    ".3gp": "video/3gpp",
    ".webp": "image/webp",
    ".vcf": "text/vcard",
    ".pkpass": "application/vnd.apple.pkpass",
    ".usdz": "model/vnd.usdz+zip",
}
_LOCATION = ".loc.vcf"

FileRow = tuple[Any, ...]
"""A message's number and the columns of one of its attachments."""


class Found(NamedTuple):
    """An attachment, whether it is hidden (a link's preview, a payload), and what slots in a text may call it."""

    attachment: Attachment
    is_hidden: bool
    guids: tuple[str, ...]


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
    _, number, guid, filename, uti, mime_type, _, total_bytes, is_sticker, _, transfer_state, original = row
    name = _name(row)
    attachment = Attachment(
        guid=guid or f"attachment-{number}",
        mime_type=mime_type or type_of(uti, name, filename),
        name=name or None,
        path=path,
        is_sticker=bool(is_sticker),
        total_bytes=total_bytes,
        is_offloaded=path is None and (not filename or transfer_state not in (None, _FINISHED)),
    )
    return Found(attachment, _is_hidden(row), tuple(filter(None, (guid, original))))


def _name(row: FileRow) -> str | None:
    filename, transfer_name = row[3], row[6]
    return transfer_name or (filename.rsplit("/", 1)[-1] if filename else None)


def _is_hidden(row: FileRow) -> bool:
    return bool(row[9]) or _is_preview(_name(row)) or _is_preview(row[3])


def _is_preview(name: str | None) -> bool:
    return bool(name) and str(name).lower().endswith(PREVIEW)


def type_of(uti: str | None, *names: str | None) -> str | None:
    """The media type by Apple's name for it, else by the ending of the first of the names that has a known one."""
    if known := _UTIS.get(uti or ""):
        return known
    for name in filter(None, names):
        if name.lower().endswith(_LOCATION):
            return _UTIS["public.vlocation"]
        extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name of any bytes, not a path of ours
        if found := _EXTENSIONS.get(extension) or mimetypes.types_map.get(extension):
            return found
    return None


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
