"""The words of documents that are text: plain text, tables, Markdown, HTML and RTF.

Called in a child with limits (`documents`).
"""

from __future__ import annotations

import codecs
import re
from html.parser import HTMLParser
from typing import BinaryIO

from ventriloquist.media.opening import Unconvertible

MOST_BYTES = 4_000_000
"""Read of a document, at most: RTF and HTML hold pictures and styles between their words."""

_MARKUP = re.compile(r"\s*<(?:!doctype|html|head|body|!--|\?xml|div|p\b)", re.IGNORECASE)
_SILENT = frozenset({"script", "style", "head", "title", "template", "svg", "noscript"})
_LINE_TAGS = "p div br li tr h1 h2 h3 h4 h5 h6 table ul ol section article blockquote pre hr"
_LINES = frozenset(_LINE_TAGS.split())
_RTF = re.compile(rb"\\([a-z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-z])|([{}])|[\r\n]+|([^\\{}\r\n]+)")
_RTF_SILENT = frozenset(
    b"fonttbl colortbl stylesheet info pict object header footer headerl headerr footerl footerr themedata "
    b"colorschememapping latentstyles datastore generator listtable listoverridetable rsidtbl xmlnstbl filetbl "
    b"revtbl fldinst bkmkstart bkmkend".split()
)
_RTF_CHARACTERS = {
    b"par": "\n", b"line": "\n", b"sect": "\n", b"page": "\n", b"row": "\n", b"tab": "\t", b"cell": "\t",
    b"emdash": "—", b"endash": "–", b"lquote": "‘", b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”",
    b"bullet": "•",
}  # fmt: skip
_RTF_SIGNS = {b"\\": "\\", b"{": "{", b"}": "}", b"~": " ", b"_": "-", b"\n": "\n", b"\r": "\n"}
_DEEPEST = 200


def words(file: BinaryIO, most: int) -> str:
    """The document's words, at most `most` characters; raises Unconvertible for what is no text."""
    content = file.read(MOST_BYTES)
    if content.startswith(b"{\\rtf"):
        return _rtf(content, most)
    text = _decoded(content)
    return _markup(text, most) if _MARKUP.match(text) else text[:most]


def _decoded(content: bytes) -> str:
    """Text as its byte order mark says, else as UTF-8, else as Windows' Latin."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if b"\0" in content:
        raise Unconvertible("unsupported")
    try:
        return content[: content.rfind(b"\n") if len(content) == MOST_BYTES else None].decode()
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    strange = len(re.findall("[\x00-\x08\x0e-\x1f\x7f\ufffd]", text[:10_000]))
    if strange * 50 > len(text[:10_000]):
        raise Unconvertible("unsupported")
    return text


def _markup(text: str, most: int) -> str:
    parser = _Markup()
    parser.feed(text)
    parser.close()
    return re.sub(r"\s*\n\s*", "\n", "".join(parser.pieces)).strip()[:most]


class _Markup(HTMLParser):
    """Collects what a reader of the page would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        if tag in _LINES:
            self.pieces.append("\n")
        elif tag in ("td", "th"):
            self.pieces.append("\t")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _LINES:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(self._silent - (tag in _SILENT), 0)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(re.sub(r"\s+", " ", data))


def _rtf(content: bytes, most: int) -> str:
    """The words of an RTF document (RTF 1.9): groups nest, control words begin with a backslash."""
    state = _Rtf()
    for match in _RTF.finditer(content):
        control, number, code, sign, brace, run = match.groups()
        if brace:
            state.group(brace == b"{")
        elif control:
            state.control(control, int(number) if number else None)
        elif code:
            state.raw(bytes([int(code, 16)]))
        elif sign == b"*":
            state.silence()
        elif sign:
            state.add(_RTF_SIGNS.get(sign, ""))
        elif run:
            state.raw(run)
        if state.length > most:
            break
    joined = "".join(state.pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # emoji come in halves
    return joined.strip()[:most]


class _Rtf:
    """Where in an RTF document we are: which groups are silent, and how many characters stand for a Unicode one."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self._groups: list[tuple[bool, int]] = []
        self._is_silent = False
        self._fallback = 1
        self._skipped = 0
        self._codepage = "cp1252"

    def group(self, opens: bool) -> None:
        self._skipped = 0
        if opens:
            if len(self._groups) > _DEEPEST:
                raise Unconvertible("damaged")
            self._groups.append((self._is_silent, self._fallback))
        elif self._groups:
            self._is_silent, self._fallback = self._groups.pop()

    def silence(self) -> None:
        self._is_silent = True

    def control(self, word: bytes, number: int | None) -> None:
        if word in _RTF_SILENT:
            self.silence()
        elif word == b"u" and number is not None:
            self.add(chr(number % 65_536))
            self._skipped = self._fallback
        elif word == b"uc" and number is not None:
            self._fallback = max(min(number, 10), 0)
        elif word == b"ansicpg" and number is not None:
            self._codepage = self._known(f"cp{number}")
        else:
            self.add(_RTF_CHARACTERS.get(word, ""))

    def raw(self, characters: bytes) -> None:
        """Characters of the code page; the first of them may only repeat a Unicode one for older readers."""
        skipped = min(self._skipped, len(characters))
        self._skipped -= skipped
        self.add(characters[skipped:].decode(self._codepage, "replace"))

    def add(self, text: str) -> None:
        if text and not self._is_silent:
            self.pieces.append(text)
            self.length += len(text)

    @staticmethod
    def _known(codepage: str) -> str:
        try:
            return codecs.lookup(codepage).name
        except LookupError:
            return "cp1252"
