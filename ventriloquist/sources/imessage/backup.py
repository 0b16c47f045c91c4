"""iPhone backups, as the Finder and iTunes make them: every file lies under the SHA-1 of its name.

The file of `HomeDomain-Library/SMS/sms.db` is `3d/3d0d7e5f...`, or `3d0d7e5f...` beside the lists in backups of iOS 9
and older. `Manifest.plist` says whether a backup is encrypted, `Info.plist` whose it is and when it was made.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ventriloquist.faults import NoInput, UsageFault, from_os_error
from ventriloquist.sources.imessage.chatdb import no_permission
from ventriloquist.sources.imessage.plists import PlistError, read_plist
from ventriloquist.text import one_line

MESSAGES = "HomeDomain-Library/SMS/sms.db"
CONTACTS = "HomeDomain-Library/AddressBook/AddressBook.sqlitedb"
_LISTS = ("Manifest.plist", "Manifest.db", "Manifest.mbdb", "Info.plist")
_LARGEST_LIST = 50_000_000
_IN_MEDIA = ("~/Library/SMS/", "/var/mobile/Library/SMS/", "/private/var/mobile/Library/SMS/")
_LONGEST_NAME = 4096
_SHOWN = 10


class Backup:
    """A backup that is not encrypted."""

    def __init__(self, folder: Path) -> None:
        """Raises NoInput for one that is encrypted, cannot be read, or holds no messages."""
        self.folder = folder
        manifest = _read(folder / "Manifest.plist")
        if manifest is not None and manifest.get("IsEncrypted"):
            raise NoInput(
                f"The backup in {folder} is encrypted. Connect the iPhone, open it in the Finder (on Windows in the "
                'Apple Devices app or iTunes), turn off "Encrypt local backup", choose Back Up Now, and collect the '
                "new backup."
            )
        messages = self.file(MESSAGES)
        if messages is None:
            raise NoInput(f"The backup in {folder} holds no messages (no sms.db): it may not have been finished.")
        self.messages = messages
        self.log = self.file(f"{MESSAGES}-wal")
        self.contacts = self.file(CONTACTS)

    def file(self, name: str) -> Path | None:
        """Where the file lies that bears this name (its domain, a hyphen, its path) on the iPhone, or None."""
        digest = hashlib.sha1(name.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()
        for place in (self.folder / digest[:2], self.folder):
            with suppress(OSError):
                if stat.S_ISDIR(place.lstat().st_mode) and stat.S_ISREG((place / digest).lstat().st_mode):
                    return place / digest
        return None


class BackupFolder:
    """Finds the files of attachments in a backup. Names become hashes, so none can lead out of it."""

    def __init__(self, backup: Backup) -> None:
        self._backup = backup

    def find(self, filename: str | None) -> str | None:
        """Where the file of that name in the database lies, or None."""
        for start in _IN_MEDIA:
            if filename and filename.startswith(start) and len(filename) <= _LONGEST_NAME:
                path = self._backup.file(f"MediaDomain-Library/SMS/{filename[len(start) :]}")
                return os.fspath(path) if path else None
        return None


def find_backup(place: Path) -> Backup:
    """The backup in a folder: itself, or the only one in it; raises UsageFault where there are several."""
    try:
        folder = place.resolve(strict=True)
        if not folder.is_dir():
            raise NoInput(f"{place} is no folder. Name the folder of an iPhone backup with --backup DIR.")
        if _is_backup(folder):
            return Backup(folder)
        found = sorted(each for each in folder.iterdir() if each.is_dir() and _is_backup(each))
    except (FileNotFoundError, NotADirectoryError):
        raise NoInput(f"There is no folder {place}. Name the folder of an iPhone backup with --backup DIR.") from None
    except PermissionError:
        raise no_permission(place) from None
    except (OSError, RuntimeError) as error:
        raise from_os_error(error if isinstance(error, OSError) else OSError(), f"reading {place}") from None
    if not found:
        raise NoInput(
            f"{place} holds no iPhone backup. On a Mac they lie in ~/Library/Application Support/MobileSync/Backup; "
            "name one of the folders there with --backup DIR."
        )
    if len(found) > 1:
        told = "; ".join(_description(each) for each in found[:_SHOWN])
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise UsageFault(f"{place} holds {len(found)} backups. Name one of them with --backup DIR: {told}{more}.")
    return Backup(found[0].resolve())


def _is_backup(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _LISTS)


def _description(folder: Path) -> str:
    """A backup's folder, and whose it is and from when as far as that is known."""
    with suppress(NoInput):
        info = _read(folder / "Info.plist") or {}
        device, made = info.get("Device Name"), info.get("Last Backup Date")
        parts = [one_line(device, 60)] if isinstance(device, str) and device.strip() else []
        parts += [f"of {made:%Y-%m-%d %H:%M}"] if isinstance(made, datetime) else []
        if parts:
            return f"{folder.name} ({' '.join(parts)})"
    return folder.name


def _read(path: Path) -> dict[str, Any] | None:
    """A property list that is a dictionary; None where there is no such file."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            content = file.read(_LARGEST_LIST + 1)
        found = read_plist(content, xml=True) if len(content) <= _LARGEST_LIST else None
    except PermissionError:
        raise no_permission(path) from None
    except OSError as error:
        raise from_os_error(error, f"reading {path}") from None
    except PlistError:
        found = None
    if not isinstance(found, dict):
        raise NoInput(f"{path} cannot be read: the backup is damaged or was not finished. Make a new one.")
    return found
