"""Attachments made small and anonymous for a captioner: pixels, sound and words; no name, no place, no metadata.

Strangers' files are only ever decoded in child processes (`limits`), which get them as open descriptors: no name, no
network, bounded time, memory and output, and an environment that holds no secrets.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ventriloquist.media import documents, stills, transcoding
from ventriloquist.media.captioner import Material
from ventriloquist.media.limits import Cancelled, Limits, answered, finished, python
from ventriloquist.media.opening import Unconvertible, content_hash, opened, size_on_disk
from ventriloquist.media.words import Medium
from ventriloquist.text import is_blank, plain

__all__ = ["Cancelled", "Unconvertible", "content_hash", "convert", "convert_parts", "release", "size_on_disk"]

MEGABYTE = 1_000_000
LARGEST_FILE: dict[Medium, int] = {
    "image": 200 * MEGABYTE,
    "video": 8_000 * MEGABYTE,
    "audio": 2_000 * MEGABYTE,
    "pdf": 200 * MEGABYTE,
    "text": 200 * MEGABYTE,
}
DOCUMENT = Limits(seconds=25, cpu_seconds=20, written=20 * MEGABYTE)

release = stills.release


def convert(path: str, medium: Medium, scratch: Path, cancelled: threading.Event | None = None) -> Material:
    """What a captioner gets of the file: a JPEG, an MP4 of its first seconds, an MP3, a PDF written anew, or words.

    `scratch` is a private directory. Raises Unconvertible (for a recording that is longer than one request may hold:
    "too long", see `convert_parts`), or Cancelled once `cancelled` is set.
    """
    parts = convert_parts(path, medium, scratch, cancelled)
    material = next(parts)
    if next(parts, None) is not None:
        raise Unconvertible("too long")
    return material


def convert_parts(
    path: str, medium: Medium, scratch: Path, cancelled: threading.Event | None = None
) -> Iterator[Material]:
    """As `convert`, at least one part: a recording in consecutive parts of `transcoding.PART_SECONDS`, all else in one.

    A part is converted when it is asked for.
    """
    stopping = cancelled or threading.Event()
    with opened(path, LARGEST_FILE[medium]) as file:
        match medium:
            case "image":
                yield _picture(file, stopping)
            case "video":
                clip = transcoding.video(file, scratch, stopping)
                shown = transcoding.frames(clip, scratch, stopping)
                yield Material("video", "video/mp4", clip.content, clip.seconds, shown)
            case "audio":
                for clip in transcoding.sound(file, scratch, stopping):
                    yield Material("audio", "audio/mpeg", clip.content, clip.seconds)
            case "pdf" | "text":
                yield _document(file, medium, scratch, stopping)


def _picture(file: IO[bytes], stopping: threading.Event) -> Material:
    return Material("image", "image/jpeg", stills.small_jpeg(file, stopping))


def _document(file: IO[bytes], medium: Medium, scratch: Path, stopping: threading.Event) -> Material:
    """The words of a document, a PDF written anew, or the picture of its first page that a document brings along."""
    command = python("-m", documents.__name__, "pdf" if medium == "pdf" else "words")
    mark, content = answered(finished(command, file, DOCUMENT, stopping))
    if mark == documents.PDF:
        return Material("pdf", "application/pdf", content)
    if mark == documents.PICTURE:
        with tempfile.TemporaryFile(dir=scratch) as picture:
            picture.write(content)
            picture.seek(0)
            return _picture(picture, stopping)
    words = plain(content.decode("utf-8", "replace")).strip()
    if is_blank(words):
        raise Unconvertible("empty")
    return Material("text", "text/plain", words.encode())
