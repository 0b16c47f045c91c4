"""Songs told from voice memos, by what a recording's own tags say: its name is then all that is wanted.

Only the tags are read, at most `MOST_BYTES` of them: ID3v2 (id3.org) at the start of an MP3, and `moov/udta/meta/ilst`
of an MPEG-4 file (QuickTime File Format). Nothing is decoded.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from ventriloquist.text import clean_name, one_line

MOST_BYTES = 1_000_000
MOST_ATOMS = 500
LONGEST_TAG = 200

_ID3_FRAMES = {b"TIT2": "title", b"TPE1": "artist", b"TALB": "album", b"TCON": "genre", b"TSSE": "tool",
               b"TT2": "title", b"TP1": "artist", b"TAL": "album", b"TCO": "genre", b"TSS": "tool"}  # fmt: skip
_ILST_ATOMS = {b"\xa9nam": "title", b"\xa9ART": "artist", b"aART": "artist", b"\xa9alb": "album", b"\xa9gen": "genre",
               b"\xa9too": "tool"}  # fmt: skip
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_SPOKEN = re.compile(
    r"voice ?memo|voice ?(?:note|message|recording)|\brecordings?\b|dictaphone|dictation|\bptt-|audio message|"
    r"^memo\b|^speech$|podcast|interview|lecture",
    re.IGNORECASE,
)
_ARTIST_AND_TITLE = re.compile(r"^\s*(?:\d{1,3}[.)]?\s+)?(?P<artist>\S.*?)\s+[-–—]\s+(?P<title>\S.*?)\s*$")


@dataclass(frozen=True, slots=True)
class Tags:
    """What a recording says of itself; each may be empty."""

    title: str = ""
    artist: str = ""
    album: str = ""
    genre: str = ""
    tool: str = ""


def song(tags: Tags, stem: str, extension: str) -> str:
    """The name of the song that a recording is, or "" for one that somebody may have spoken.

    An MP3 with a title is a song, an MPEG-4 file only with an artist or album beside it: recorders write titles too.
    Without tags a name such as "Artist - Title" says it. What names a recorder or speech is never a song.
    """
    told = " ".join((tags.title, tags.album, tags.genre, tags.tool, stem))
    if any(_SPOKEN.search(each) for each in (tags.title, tags.album, tags.genre, tags.tool, stem, told)):
        return ""
    if tags.title and (tags.artist or tags.album or extension == "mp3"):
        return f"{tags.title} by {tags.artist}" if tags.artist else tags.title
    named = _ARTIST_AND_TITLE.match(stem)
    if named and all(re.search(r"[^\W\d_]{2}", part) for part in named.groups()):
        return f"{named['title']} by {named['artist']}"
    return ""


def tags_of(file: IO[bytes]) -> Tags:
    """The tags at the start of an open file; empty ones for whatever cannot be read."""
    head = file.read(12)
    if head.startswith(b"ID3") and len(head) >= 10:
        return _tags(_id3(file, head[:10]))
    if head[4:8] == b"ftyp":
        return _tags(_ilst(file))
    return Tags()


def _tags(found: Iterator[tuple[str, str]]) -> Tags:
    said: dict[str, str] = {}
    for name, text in found:
        line = one_line(clean_name(text[:4000]), LONGEST_TAG)
        if line:
            said.setdefault(name, line)
    return Tags(**said)


def _id3(file: IO[bytes], head: bytes) -> Iterator[tuple[str, str]]:
    """The text frames of an ID3 tag, versions 2.2 to 2.4; large frames, such as pictures, are passed over."""
    version, flags = head[3], head[5]
    at, end = 10, 10 + _synchsafe(head[6:10])
    if version not in (2, 3, 4) or (flags & 0x80 and version < 4):
        return
    file.seek(at)
    if flags & 0x40 and version > 2:
        size = file.read(4)
        at += _synchsafe(size) if version == 4 else struct.unpack(">I", size)[0] + 4 if len(size) == 4 else 0
    name_length, head_length = (3, 6) if version == 2 else (4, 10)
    for _ in range(MOST_ATOMS):
        file.seek(at)
        frame = file.read(head_length)
        if len(frame) < head_length or not frame[0] or at > end:
            return
        name, size = frame[:name_length], frame[name_length : name_length + (3 if version == 2 else 4)]
        length = _synchsafe(size) if version == 4 else int.from_bytes(size, "big")
        if name in _ID3_FRAMES and 1 < length < MOST_BYTES:
            content = file.read(min(length, 8000))
            encoding = _ENCODINGS[content[0]] if content[:1] and content[0] < 4 else "latin-1"
            yield _ID3_FRAMES[name], content[1:].decode(encoding, "replace").split("\0")[0]
        at += head_length + length


def _synchsafe(size: bytes) -> int:
    """Four bytes of seven bits."""
    number = 0
    for byte in size:
        number = number << 7 | byte & 0x7F
    return number


def _ilst(file: IO[bytes]) -> Iterator[tuple[str, str]]:
    """The text items of an MPEG-4 file's list of tags."""
    end = file.seek(0, 2)
    start = 0
    for name in (b"moov", b"udta", b"meta", b"ilst"):
        found = next((each for each in _atoms(file, start, end) if each[0] == name), None)
        if found is None:
            return
        _, start, end = found
        start += 4 if name == b"meta" else 0
    for name, item, item_end in _atoms(file, start, end):
        data = next(_atoms(file, item, item_end), None)
        if name in _ILST_ATOMS and data and data[0] == b"data" and 8 < data[2] - data[1] < MOST_BYTES:
            file.seek(data[1] + 8)
            yield _ILST_ATOMS[name], file.read(min(data[2] - data[1] - 8, 8000)).decode("utf-8", "replace")


def _atoms(file: IO[bytes], at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The atoms that lie between two places: name, and where its content begins and ends."""
    for _ in range(MOST_ATOMS):
        if at + 8 > end:
            return
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        size, name = struct.unpack_from(">I4s", head)
        start = at + 8
        if size == 1 and len(head) == 16:
            size, start = struct.unpack_from(">Q", head, 8)[0], at + 16
        size = size or end - at
        if size < start - at or at + size > end:
            return
        yield name, start, at + size
        at += size
