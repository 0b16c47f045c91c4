"""PDFs: their words, and their first pages written anew without anything but what is seen on them.

Called in a child with limits (`documents`). What is copied is what a page needs to be drawn: its content, fonts,
pictures and patterns. Titles, authors, XMP, thumbnails, annotations, forms, scripts, actions, attached files, links,
page labels and tags stay behind, and so do the metadata inside JPEG and JPEG 2000 pictures, and every earlier version
of the document that the file still held.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import BinaryIO

from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    EncodedStreamObject,
    IndirectObject,
    NameObject,
    NullObject,
    PdfObject,
    StreamObject,
)

from ventriloquist.media.opening import Unconvertible

MOST_PAGES = 20
LARGEST_PDF = 18_000_000
MOST_UNPACKED = 1_000_000_000
"""Bytes that what is sent may unpack to, so that nobody is sent a bomb."""
_DEEPEST = 150
_PAGE_KEYS = ("/Resources", "/MediaBox", "/CropBox", "/Rotate", "/UserUnit", "/Contents", "/Group")
_LEFT_BEHIND_KEYS = (
    "/Metadata /PieceInfo /LastModified /CreationDate /ModDate /Thumb /AA /A /OpenAction /JS /JavaScript /Annots "
    "/Parent /StructParent /StructParents /StructTreeRoot /Properties /OPI /AF /EF /Ref /Alternates /ID /URI "
    "/Measure /PtData /F /FFilter /FDecodeParms /Info /Author /Title /Producer /Creator /Lang /Dests /OC /Length "
    "/SpdrInfo /ActualText /Alt /MarkInfo"
)
_LEFT_BEHIND = frozenset(_LEFT_BEHIND_KEYS.split())
_NAMED = frozenset(
    ["/Font", "/XObject", "/ExtGState", "/ColorSpace", "/Pattern", "/Shading", "/CharProcs", "/Colorants"]
)
"""Dictionaries whose keys are names that the page's content uses, and may be any."""
_JPEG_KEPT = frozenset([0xDB, 0xC4, 0xDD, 0xDA, 0xEE, *range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xD0)])
_JP2_KEPT = (b"jP  ", b"ftyp", b"jp2h", b"jp2c")


def words(file: BinaryIO, most: int) -> str:
    """The words of the first pages, about `most` characters; raises Unconvertible."""
    texts: list[str] = []
    try:
        for page in _pages(file):
            texts.append(page.extract_text())
            most -= len(texts[-1])
            if most <= 0:
                break
    except (PyPdfError, RecursionError):
        raise Unconvertible("damaged") from None
    return "\n".join(texts)


def anonymous(file: BinaryIO) -> bytes:
    """The first `MOST_PAGES` pages as a PDF of their own; raises Unconvertible."""
    writer = PdfWriter()
    try:
        copier = _Copier(writer)
        for page in _pages(file):
            seen = {NameObject(key): page[key] for key in _PAGE_KEYS if key in page}
            for key in ("/Resources", "/MediaBox", "/CropBox", "/Rotate"):
                if key not in seen and (inherited := _inherited(page, key)) is not None:
                    seen[NameObject(key)] = inherited
            new = writer.add_blank_page(width=612, height=792)
            new.update({key: copier.copy(value) for key, value in seen.items()})
        writer.metadata = None
        document = BytesIO()
        writer.write(document)
    except (PyPdfError, RecursionError):
        raise Unconvertible("damaged") from None
    if document.tell() > LARGEST_PDF:
        raise Unconvertible("too large")
    return document.getvalue()


def _pages(file: BinaryIO) -> list[PageObject]:
    reader = PdfReader(file, strict=False)
    try:
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unconvertible("encrypted")
        pages = [reader.pages[number] for number in range(min(len(reader.pages), MOST_PAGES))]
    except (DependencyError, FileNotDecryptedError, NotImplementedError):
        raise Unconvertible("encrypted") from None
    if not pages:
        raise Unconvertible("damaged")
    return pages


def _inherited(page: DictionaryObject, key: str) -> PdfObject | None:
    """A property that a page takes from the nodes above it in the tree of pages."""
    node: DictionaryObject = page
    for _ in range(_DEEPEST):
        if key in node:
            found: PdfObject = node.raw_get(key)
            return found
        above = node.get("/Parent")
        above = above.get_object() if above is not None else None
        if not isinstance(above, DictionaryObject):
            return None
        node = above
    return None


class _Copier:
    """Copies objects into another document, each of those that others refer to once, without `_LEFT_BEHIND`."""

    def __init__(self, writer: PdfWriter) -> None:
        self._writer = writer
        self._copied: dict[tuple[int, int], IndirectObject] = {}
        self._left = MOST_UNPACKED

    def copy(self, value: PdfObject, depth: int = 0) -> PdfObject:
        """The value as the new document holds it; raises RecursionError for what nests without end."""
        if depth > _DEEPEST:
            raise RecursionError
        if isinstance(value, IndirectObject):
            return self._referred(value, depth)
        if isinstance(value, StreamObject):
            return self._writer._add_object(self._stream(value, depth))
        if isinstance(value, DictionaryObject):
            return DictionaryObject(self._entries(value, depth))
        if isinstance(value, ArrayObject):
            return ArrayObject(self.copy(each, depth + 1) for each in list.__iter__(value))
        return value

    def _referred(self, reference: IndirectObject, depth: int) -> PdfObject:
        number = (reference.idnum, reference.generation)
        if number not in self._copied:
            value = reference.get_object()
            if not isinstance(value, DictionaryObject | ArrayObject):
                return value if value is not None else NullObject()
            placeholder = self._writer._add_object(DictionaryObject())
            self._copied[number] = placeholder
            whole = self._stream(value, depth) if isinstance(value, StreamObject) else self.copy(value, depth + 1)
            self._writer._replace_object(placeholder, whole)
        return self._copied[number]

    def _entries(self, value: DictionaryObject, depth: int) -> dict[NameObject, PdfObject]:
        entries: dict[NameObject, PdfObject] = {}
        for key in value:
            held = value.raw_get(key)
            named = held.get_object() if key in _NAMED else None
            if isinstance(named, DictionaryObject) and not isinstance(named, StreamObject) and "/Type" not in named:
                inner = {NameObject(name): self.copy(named.raw_get(name), depth + 2) for name in named}
                entries[NameObject(key)] = DictionaryObject(inner)
            elif key not in _LEFT_BEHIND:
                entries[NameObject(key)] = self.copy(held, depth + 1)
        return entries

    def _stream(self, value: StreamObject, depth: int) -> StreamObject:
        filters = value.get("/Filter", ArrayObject())
        names = list(filters) if isinstance(filters, ArrayObject) else [filters]
        new = EncodedStreamObject()
        new.update(self._entries(value, depth))
        content = value._data
        if names and names[-1] in ("/DCTDecode", "/DCT", "/JPXDecode"):
            if len(names) > 1:  # packed a second time, as some programs do
                content = value.get_data()
                new[NameObject("/Filter")] = NameObject(names[-1])
                new.pop(NameObject("/DecodeParms"), None)
            content = bare_jpeg2000(content) if names[-1] == "/JPXDecode" else bare_jpeg(content)
        if names and names[0] in ("/FlateDecode", "/Fl"):
            self._weigh(content)
        new._data = content
        return new

    def _weigh(self, content: bytes) -> None:
        """Take what the content unpacks to from what is left; raises Unconvertible where that is too much."""
        unpacker = zlib.decompressobj()
        while content and not unpacker.eof:
            try:
                block = unpacker.decompress(content, 1 << 20)
            except zlib.error:
                return  # whoever reads it gets no further
            self._left -= len(block)
            if self._left < 0:
                raise Unconvertible("too large")
            content = unpacker.unconsumed_tail


def bare_jpeg(content: bytes) -> bytes:
    """A JPEG (ITU-T T.81) with the segments that it takes to decode it, and Adobe's of the colours, and no others."""
    if not content.startswith(b"\xff\xd8"):
        raise Unconvertible("damaged")
    kept, at = [b"\xff\xd8"], 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            raise Unconvertible("damaged")
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in (0xD8, 0xD9):
            break
        (length,) = struct.unpack_from(">H", content, at + 2)
        segment = content[at : at + 2 + length]
        if marker in _JPEG_KEPT and (marker != 0xEE or segment[4:9] == b"Adobe"):
            kept.append(segment[:16] if marker == 0xEE else segment)
        at += 2 + length
        if marker == 0xDA:
            end = _scan_end(content, at)
            kept.append(content[at:end])
            at = end
    return b"".join([*kept, b"\xff\xd9"])


def _scan_end(content: bytes, at: int) -> int:
    """Where the entropy-coded data ends: at a marker that is neither a stuffed byte nor a restart."""
    while (at := content.find(b"\xff", at)) >= 0 and at + 1 < len(content):
        if content[at + 1] and not 0xD0 <= content[at + 1] <= 0xD7:
            return at
        at += 2
    return len(content)


def bare_jpeg2000(content: bytes) -> bytes:
    """A JPEG 2000 file (ISO/IEC 15444-1) with the boxes that it takes to decode it, and no others."""
    if content.startswith(b"\xff\x4f"):
        return content
    kept, at = [], 0
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if length == 1 and at + 16 <= len(content):
            (length,) = struct.unpack_from(">Q", content, at + 8)
        length = length or len(content) - at
        if length < 8:
            raise Unconvertible("damaged")
        if kind in _JP2_KEPT:
            kept.append(content[at : at + length])
        at += length
    return b"".join(kept)
