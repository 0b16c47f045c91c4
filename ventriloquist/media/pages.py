"""How many pages a PDF may have, without a PDF reader: enough to know what sending it can cost at most.

A reader walks the tree of pages; here every page object is counted wherever it stands, in packed object streams too,
and every number that a tree names is believed if it is larger. What cannot be looked into counts as `MOST_PAGES`.
"""

from __future__ import annotations

import re
import zlib

MOST_PAGES = 1000
"""Pages that Gemini takes in one document, at most."""
_MOST_UNPACKED = 64_000_000

_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_COUNT = re.compile(rb"/Count\s+(\d{1,7})(?!\d)")
_OBJECT_STREAM = re.compile(rb"/Type\s*/ObjStm(?![A-Za-z])")
_STREAM = re.compile(rb"stream\r?\n")


def most_pages(document: bytes) -> int:
    """An upper bound of the pages, 1 to `MOST_PAGES`."""
    if b"/Encrypt" in document:
        return MOST_PAGES
    pages = _counted(document)
    unpacked = 0
    for found in _OBJECT_STREAM.finditer(document):
        start = _STREAM.search(document, found.end(), found.end() + 2000)
        objects = _unpacked(document, start.end(), _MOST_UNPACKED - unpacked) if start else None
        if objects is None:
            return MOST_PAGES
        unpacked += len(objects)
        pages += _counted(objects)
    return min(pages, MOST_PAGES) or MOST_PAGES


def _counted(objects: bytes) -> int:
    largest_tree = max((int(number) for number in _COUNT.findall(objects)), default=0)
    return max(len(_PAGE.findall(objects)), largest_tree)


def _unpacked(document: bytes, start: int, most: int) -> bytes | None:
    """The objects of a stream that is packed the usual way and unpacks to at most `most` bytes, or None."""
    unpacker = zlib.decompressobj()
    end = document.find(b"endstream", start)
    try:
        objects = unpacker.decompress(memoryview(document)[start : max(end, start)], max(most, 1))
    except zlib.error:
        return None
    return objects if unpacker.eof else None
