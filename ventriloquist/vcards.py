"""vCards (versions 2.1, 3.0 and 4.0: RFC 2426, RFC 6350): their fields, and the names and addresses on them.

Cards come from strangers: no field is longer than MAX_FIELD bytes, however many megabytes of photo stand in it, and
whatever cannot be read is passed over.
"""

from __future__ import annotations

import codecs
import quopri
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote

from ventriloquist.faults import NoInput, from_os_error
from ventriloquist.records import Contact
from ventriloquist.text import clean_name, one_line

SUFFIXES = (".vcf", ".vcard")
MAX_FIELD = 16_384
MAX_FIELDS = 1_000
MAX_WORDS = 200
_CHUNK = 65_536
_LINE_ENDS = re.compile(rb"\r\n|\n|\r")
_HEAD = re.compile(rb'([^:;"]*)((?:;(?:"[^"]*"|[^:;"])*)*):')
_ESCAPE = re.compile(r"\\(.)")
_SEMICOLON = re.compile(r"(?<!\\);")
_CHARSET = re.compile(r'CHARSET="?([A-Z0-9_.:-]{1,40})')
_CHARSETS = (
    "utf-8",
    "utf-16",
    "iso8859",
    "cp125",
    "ascii",
    "mac-roman",
    "shift_jis",
    "cp932",
    "euc",
    "gb",
    "big5",
    "koi8",
)
_UTF_16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"B\0": "utf-16-le", b"\0B": "utf-16-be"}
_NOT_TEXT = ("ENCODING=BASE64", "ENCODING=B", "BASE64")


class Field(NamedTuple):
    """One field: its name in upper case without the group before it, and its value, with its escapes."""

    name: str
    value: str


def contacts_in(path: Path) -> list[Contact]:
    """The cards of a file that hold a phone number or an e-mail address; raises NoInput if no card is in it."""
    try:
        if not path.is_file():
            raise NoInput(f"There is no file {path}.")
        with path.open("rb") as file:
            found = list(cards(file_lines(file)))
    except OSError as error:
        raise from_os_error(error, f"reading {path}") from error
    if not found:
        raise NoInput(f"{path} holds no contact card (vCard).")
    people = [Contact(name_on(card), tuple(handles_on(card))) for card in found]
    return [person for person in people if person.handles]


def cards(lines: Iterable[bytes]) -> Iterator[list[Field]]:
    """The fields of each card. One without an end ends where the next begins; a card inside a card (AGENT) is left
    out."""
    card: list[Field] | None = None
    inner = 0
    for field in fields(lines):
        is_edge = field.name in ("BEGIN", "END") and field.value.strip().upper() == "VCARD"
        if is_edge and field.name == "BEGIN" and card and card[-1] == ("AGENT", ""):
            inner += 1
        elif is_edge and inner:
            inner -= field.name == "END"
        elif is_edge:
            if card:
                yield card
            card = [] if field.name == "BEGIN" else None
        elif card is not None and not inner and len(card) < MAX_FIELDS:
            card.append(field)
    if card:
        yield card


def name_on(card: Iterable[Field]) -> str:
    """The name of whose card it is: FN, else N, the nickname or the organisation; of equal fields the first that says
    something. May be empty."""
    said: dict[str, str] = {}
    for field in card:
        words = _name_words(field.value) if field.name == "N" else text_of(_SEMICOLON.sub(" ", field.value))
        if words:
            said.setdefault(field.name, words)
    name = next((said[field] for field in ("FN", "N", "NICKNAME", "ORG") if field in said), "")
    return name[:MAX_WORDS].strip()


def _name_words(value: str) -> str:
    family, given, *_ = [*_SEMICOLON.split(value), "", ""]
    return clean_name(f"{text_of(given)} {text_of(family)}")


def handles_on(card: Iterable[Field]) -> Iterator[str]:
    """The phone numbers and e-mail addresses on a card as they are written, without `tel:` and `mailto:`."""
    for name, value in card:
        if name in ("TEL", "EMAIL"):
            scheme, colon, address = value.partition(":")
            if colon and scheme.strip().lower() in ("tel", "mailto"):
                value = unquote(re.split("[;?]", address)[0], errors="replace")
            handle = one_line(_ESCAPE.sub(r"\1", value), MAX_WORDS + 1)
            if 0 < len(handle) <= MAX_WORDS:
                yield handle


def text_of(value: str) -> str:
    """A value as a name is kept: its escapes read, on one line, nothing invisible."""
    return clean_name(_ESCAPE.sub(lambda match: " " if match[1] in "nN" else match[1], value[:2000]))


def fields(lines: Iterable[bytes]) -> Iterator[Field]:
    """Every field of every card in the lines of a file, unfolded and decoded."""
    for line in _unfolded(lines):
        match = _HEAD.match(line)
        head, value = (line[: match.end() - 1], line[match.end() :]) if match else line.partition(b":")[::2]
        if head == line:
            continue
        name, *parameters = head.decode("utf-8", "replace").upper().split(";")
        if any(parameter in _NOT_TEXT for parameter in parameters):
            continue
        if _is_quoted(parameters):
            value = quopri.decodestring(value)
        yield Field(name.rpartition(".")[2].strip().lstrip("\ufeff"), _decoded(value, parameters))


def _unfolded(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines with their continuations: those that begin with a space, and those after a quoted-printable one's `=`."""
    whole = b""
    for line in lines:
        line = line.rstrip(b"\r\n")
        if line[:1] in (b" ", b"\t"):
            whole += line[1 : MAX_FIELD - len(whole) + 1] if len(whole) < MAX_FIELD else b""
        elif whole.endswith(b"=") and _is_quoted(whole.partition(b":")[0].decode("latin-1").upper().split(";")):
            whole = whole[:-1] + line[: max(MAX_FIELD - len(whole), 0)]
        else:
            yield whole
            whole = line[:MAX_FIELD]
    yield whole


def _is_quoted(parameters: list[str]) -> bool:
    return "ENCODING=QUOTED-PRINTABLE" in parameters or "QUOTED-PRINTABLE" in parameters


def _decoded(value: bytes, parameters: list[str]) -> str:
    """As its CHARSET says, else as UTF-8, else as Windows' Latin."""
    for encoding in (_charset(parameters), "utf-8", "cp1252"):
        try:
            if encoding:
                return value.decode(encoding)
        except ValueError:
            continue
    return value.decode("latin-1")


def _charset(parameters: list[str]) -> str:
    match = _CHARSET.match(next((each for each in parameters if each.startswith("CHARSET=")), ""))
    try:
        name = codecs.lookup(match[1]).name if match else ""
    except LookupError:
        return ""
    return name if name.startswith(_CHARSETS) else ""


def file_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of an open file, whichever ends they have; UTF-16, as older Macs export, becomes UTF-8."""
    start = file.read(2)
    file.seek(0)
    if encoding := _UTF_16.get(start):
        stream = codecs.getreader(encoding)(file, "replace")
        chunks = iter(lambda: stream.read(_CHUNK).encode("utf-8", "replace"), b"")
    else:
        chunks = iter(lambda: file.read(_CHUNK), b"")
    rest = b""
    for chunk in chunks:
        rest += chunk
        held = rest.endswith(b"\r")  # the \n that belongs to it may come with the next chunk
        *whole, rest = _LINE_ENDS.split(rest[:-1] if held else rest)
        yield from whole
        rest = rest[:MAX_FIELD] + b"\r" * held
    yield rest.rstrip(b"\r")
