"""A program of its own: reads a document on stdin and writes its words on stdout, or a PDF that is written anew.

    python -m ventriloquist.media.documents words|pdf

It is started with limits (`convert`), since a few kilobytes can unpack to terabytes. The first byte of what it writes
is a mark of what follows; see `limits.answered`. What it cannot read ends it without a word.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

from ventriloquist.media.opening import Unconvertible

TEXT, PDF, PICTURE, FAILURE = b"=", b"%", b"#", b"!"
MOST_CHARACTERS = 40_000
"""Characters of a document's words, at most: enough to say what it is about."""

_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")
_SEARCHED = 4_000_000


def answer(file: BinaryIO, wanted: str) -> bytes:
    """The mark and what was made of the file; `wanted` is "words" or "pdf"."""
    from ventriloquist.media import office, pdfs, plainwords

    head = file.read(1024)
    file.seek(0)
    try:
        if b"%PDF-" in head:
            return PDF + pdfs.anonymous(file) if wanted == "pdf" else TEXT + _cut(pdfs.words(file, MOST_CHARACTERS))
        if wanted == "pdf":
            raise Unconvertible("unsupported")
        if head.startswith(_ZIP):
            found = office.words(file, MOST_CHARACTERS)
            return PICTURE + found if isinstance(found, bytes) else TEXT + _cut(found)
        if head.startswith(_OLE):
            raise Unconvertible("encrypted" if _ENCRYPTED_OFFICE in file.read(_SEARCHED) else "unsupported")
        return TEXT + _cut(plainwords.words(file, MOST_CHARACTERS))
    except MemoryError:
        return FAILURE + b"too large"
    except Unconvertible as failure:
        return FAILURE + failure.reason.encode()


def _cut(words: str) -> bytes:
    return words[:MOST_CHARACTERS].encode("utf-8", "replace")


def main() -> None:
    with open(sys.stdin.fileno(), "rb", closefd=False) as file:
        sys.stdout.buffer.write(answer(file, sys.argv[1]))


if __name__ == "__main__":
    main()
