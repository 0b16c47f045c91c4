"""The words of office documents that are zipped XML: Office Open XML (ECMA-376), OpenDocument, and Apple's bundles.

Called in a child with limits (`documents`). On top of them: members are read as streams, and no more of them than
could hold the words that are wanted; a document type declaration, which no office program writes, is an error, so that
no entity is ever declared or expanded.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO
from xml.parsers import expat

from ventriloquist.media.opening import Unconvertible

MOST_MEMBERS = 20_000
MOST_UNPACKED = 100_000_000
LARGEST_PICTURE = 10_000_000
_BLOCK = 65_536
_BLOCK_ENDS = frozenset({"p", "h", "tr", "row", "br", "table-row"})
_NUMBER = re.compile(r"(\d+)\.xml$")
_SHARED = "xl/sharedStrings.xml"
_PREVIEWS = ("preview.jpg", "QuickLook/Thumbnail.jpg")
_ODF_TYPE = b"application/vnd.oasis.opendocument."


def words(file: BinaryIO, most: int) -> str | bytes:
    """The words of the document, about `most` characters of them, or the picture of a first page (bytes).

    Raises Unconvertible for a zip file that is no such document.
    """
    try:
        with zipfile.ZipFile(file) as members:
            names = {each.filename for each in members.infolist()[:MOST_MEMBERS]}
            return _words(_Reader(members), names, most)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, expat.ExpatError):
        raise Unconvertible("damaged") from None
    except RuntimeError as error:  # what zipfile raises for a password
        raise Unconvertible("encrypted" if "password" in str(error) else "damaged") from None


def _words(reader: _Reader, names: set[str], most: int) -> str | bytes:
    if "word/document.xml" in names:
        return reader.text("word/document.xml", {"t"}, most)
    if "xl/workbook.xml" in names:
        return _sheets(reader, names, most)
    if "ppt/presentation.xml" in names:
        slides = _numbered(names, "ppt/slides/slide")
        return _joined((reader.text(name, {"t"}, most) for name in slides), most)
    if "content.xml" in names and "mimetype" in names and reader.bytes("mimetype", 100).startswith(_ODF_TYPE):
        if "META-INF/manifest.xml" in names and b"encryption-data" in reader.bytes("META-INF/manifest.xml", 1_000_000):
            raise Unconvertible("encrypted")
        return reader.text("content.xml", {"p", "h"}, most)
    if any(name.startswith("Index/") or name == "Index.zip" for name in names):
        for preview in _PREVIEWS:
            if preview in names:
                return reader.bytes(preview, LARGEST_PICTURE)
    raise Unconvertible("unsupported")


def _sheets(reader: _Reader, names: set[str], most: int) -> str:
    """The cells of a workbook, a row on a line. Cells name their words by number; those are read first."""
    shared = reader.items(_SHARED, most) if _SHARED in names else []
    return _joined((reader.cells(name, shared, most) for name in _numbered(names, "xl/worksheets/sheet")), most)


def _numbered(names: set[str], start: str) -> list[str]:
    found = [(int(match[1][:9]), name) for name in names if name.startswith(start) and (match := _NUMBER.search(name))]
    return [name for _, name in sorted(found)]


def _joined(texts: Iterator[str], most: int) -> str:
    joined: list[str] = []
    for text in texts:
        joined.append(text)
        most -= len(text)
        if most <= 0:
            break
    return "\n".join(joined)


class _Enough(Exception):
    """As many words are there as are wanted."""


class _Reader:
    """Reads members of a zip file as XML, at most `MOST_UNPACKED` bytes of all of them together."""

    def __init__(self, members: zipfile.ZipFile) -> None:
        self._members = members
        self._left = MOST_UNPACKED

    def bytes(self, name: str, most: int) -> bytes:
        """The first bytes of a member."""
        with self._members.open(name) as member:
            return member.read(most)

    def text(self, name: str, holding: set[str], most: int) -> str:
        """The words in the elements of those names; paragraphs and rows are lines."""
        found = _Text(holding, most)
        self._parse(name, found)
        return found.text()

    def items(self, name: str, most: int) -> list[str]:
        """The words of each item of a list of shared ones."""
        found = _Items(most)
        self._parse(name, found)
        return found.items

    def cells(self, name: str, shared: list[str], most: int) -> str:
        """The rows of a sheet, with tabs between their cells."""
        found = _Cells(shared, most)
        self._parse(name, found)
        return "".join(found.pieces)

    def _parse(self, name: str, found: _Text) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = lambda tag, attributes: found.start(tag.rpartition(":")[2], attributes)
        parser.EndElementHandler = lambda tag: found.end(tag.rpartition(":")[2])
        parser.CharacterDataHandler = found.data
        with self._members.open(name) as member:
            try:
                while block := member.read(_BLOCK):
                    self._left -= len(block)
                    if self._left < 0:
                        raise Unconvertible("too large")
                    parser.Parse(block)
                parser.Parse(b"", True)
            except _Enough:
                return


def _refuse_doctype(*_: object) -> None:
    raise Unconvertible("damaged")


class _Text:
    """Collects what stands in elements of some names."""

    def __init__(self, holding: set[str], most: int) -> None:
        self.pieces: list[str] = []
        self._holding = holding
        self._inside = 0
        self._left = most

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._inside += tag in self._holding
        if tag in ("tab", "s", "table-cell", "tc"):
            self.add("\t" if tag != "s" else " ")

    def end(self, tag: str) -> None:
        self._inside -= tag in self._holding
        if tag in _BLOCK_ENDS:
            self.add("\n")

    def data(self, text: str) -> None:
        if self._inside > 0:
            self.add(text)

    def add(self, text: str) -> None:
        self.pieces.append(text)
        self._left -= len(text)
        if self._left < 0:
            raise _Enough

    def text(self) -> str:
        return re.sub(r"\n[\n\t ]*\n", "\n", "".join(self.pieces)).strip()


class _Items(_Text):
    """Collects the words of each `si`."""

    def __init__(self, most: int) -> None:
        super().__init__({"t"}, most)
        self.items: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._inside += tag == "t"

    def end(self, tag: str) -> None:
        self._inside -= tag == "t"
        if tag == "si":
            self.items.append("".join(self.pieces))
            self.pieces.clear()


class _Cells(_Text):
    """Collects the cells of a sheet: numbers and words as they stand there, or as they stand in the shared list."""

    def __init__(self, shared: list[str], most: int) -> None:
        super().__init__({"v", "t"}, most)
        self._shared = shared
        self._is_shared = False
        self._value = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._inside += tag in self._holding
        if tag == "c":
            self._is_shared = attributes.get("t") == "s"
            self._value = ""

    def data(self, text: str) -> None:
        if self._inside > 0:
            self._value = (self._value + text)[:10_000]

    def end(self, tag: str) -> None:
        self._inside -= tag in self._holding
        if tag == "row":
            self.add("\n")
        if tag == "c" and self._value:
            number = self._value.strip()
            if self._is_shared:
                known = number.isascii() and number.isdigit() and len(number) < 9 and int(number) < len(self._shared)
                self._value = self._shared[int(number)] if known else ""
            self.add(self._value + "\t")
