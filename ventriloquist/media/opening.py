"""Opening an attachment: only a regular file of a size that makes sense, that lies where its path says."""

from __future__ import annotations

import hashlib
import os
import stat
from io import BufferedReader

LARGEST_HASHED = 64_000_000_000
REASONS = frozenset({"missing", "empty", "too large", "too long", "damaged", "encrypted", "slow", "unsupported"})
"""Why a file cannot be converted, in words that stand in the records."""


class Unconvertible(Exception):
    """The file cannot be made into something a captioner understands; `reason` is one of REASONS."""

    def __init__(self, reason: str = "unsupported") -> None:
        super().__init__(reason)
        self.reason = reason


def opened(path: str, most_bytes: int) -> BufferedReader:
    """The file, open for reading; raises Unconvertible for what is no regular file, empty, or larger.

    No part of the path may be a symbolic link: paths in the store were resolved when they were collected, so that a
    link that stands there now was put there since, and may lead out of the attachments.
    """
    try:
        if os.path.realpath(path) != path:
            raise Unconvertible("missing")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise Unconvertible("missing") from None
    status = os.fstat(descriptor)
    if reason := _refusal(status, most_bytes):
        os.close(descriptor)
        raise Unconvertible(reason)
    return os.fdopen(descriptor, "rb")


def _refusal(status: os.stat_result, most_bytes: int) -> str:
    if not stat.S_ISREG(status.st_mode):
        return "missing"
    return "empty" if not status.st_size else "too large" if status.st_size > most_bytes else ""


def content_hash(path: str) -> str:
    """The SHA-256 of the file's bytes, in hexadecimal; raises Unconvertible as `opened` does."""
    with opened(path, LARGEST_HASHED) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            raise Unconvertible("damaged") from None


def size_on_disk(path: str | None) -> int:
    """Bytes of the regular file, and no link, that lies there now; 0 if there is none."""
    try:
        status = os.lstat(path or "")
    except (OSError, ValueError):
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0
