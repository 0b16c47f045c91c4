"""Where the parts of a history lie: on a Mac, in a copy of what is there, or in an iPhone backup."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ventriloquist.faults import UsageFault
from ventriloquist.settings import CollectSettings
from ventriloquist.sources.imessage.attachments import Finder, Folder
from ventriloquist.sources.imessage.backup import BackupFolder, find_backup

MESSAGES_FOLDER = Path("~/Library/Messages")
ADDRESS_BOOK = Path("~/Library/Application Support/AddressBook")


@dataclass(frozen=True, slots=True)
class Places:
    """`log` is the write-ahead log where it does not lie beside the database under the database's name."""

    db: Path
    files: Finder
    book: Path | None
    log: Path | None = None


def find_places(settings: CollectSettings) -> Places:
    """The places that the settings name; raises UsageFault and NoInput."""
    book = settings.address_book.expanduser() if settings.address_book else None
    files = Folder(settings.attachments.expanduser()) if settings.attachments else None
    if settings.backup:
        if settings.db:
            raise UsageFault("--db and --backup name two histories; give one of them.")
        backup = find_backup(settings.backup.expanduser())
        return Places(backup.messages, files or BackupFolder(backup), book or backup.contacts, backup.log)
    path = (settings.db or MESSAGES_FOLDER / "chat.db").expanduser()
    if _is_folder(path):
        path = path / "chat.db"
    is_mine = settings.db is None or path.parent == MESSAGES_FOLDER.expanduser()
    beside = ADDRESS_BOOK.expanduser() if is_mine else path.parent / "AddressBook"
    return Places(path, files or Folder(path.parent / "Attachments"), book or beside)


def _is_folder(path: Path) -> bool:
    with suppress(OSError):
        return path.is_dir()
    return False
