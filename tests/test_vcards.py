"""vCards as phones, Macs and other programs write them, and as nobody should."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import hostile_strings
from ventriloquist import vcards
from ventriloquist.faults import Fault, NoInput
from ventriloquist.records import Contact

MAC = b"""BEGIN:VCARD\r
VERSION:3.0\r
PRODID:-//Apple Inc.//macOS 15.1//EN\r
N:Lind;Maya;Ann;Dr.;\r
FN:Maya Lind\r
item1.TEL;type=CELL;type=VOICE;type=pref:(202) 555-0101\r
item1.X-ABLabel:_$!<Mobile>!$_\r
item2.EMAIL;type=INTERNET:Maya@Example.com\r
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQAASABIAAD/4QBMRXhpZgAATU0AKgAAAAgA\r
 AQESAAMAAAABAAEAAAAAAAAD/7QA4UGhvdG9zaG9wIDMuMAA4QklNBAQAAAAAAAA4QklNBCUAAAAA\r
END:VCARD\r
"""
OLD_PHONE = b"""BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Bj=C3=B6rk;J=C3=B6rg;;;
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:J=C3=B6rg =
Bj=C3=B6rk
TEL;CELL;PREF:+12025550102
TEL;X-"odd:label":+12025550103
EMAIL;HOME:jorg@example.com
PHOTO;ENCODING=BASE64;JPEG:/9j/4AAQSkZJRg
AAEBAQ

END:VCARD
"""
NEW = b"""BEGIN:VCARD
VERSION:4.0
FN:Priya \\, Sample
TEL;VALUE=uri;TYPE="voice,home":tel:+1-202-555-0144;ext=12
EMAIL:mailto:priya%40example.com?subject=x
END:VCARD
"""


def contacts_of(tmp_path: Path, content: bytes) -> list[Contact]:
    path = tmp_path / "cards.vcf"
    path.write_bytes(content)
    return vcards.contacts_in(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (MAC, Contact("Maya Lind", ("(202) 555-0101", "Maya@Example.com"))),
        (OLD_PHONE, Contact("Jörg Björk", ("+12025550102", "+12025550103", "jorg@example.com"))),
        (NEW, Contact("Priya , Sample", ("+1-202-555-0144", "priya@example.com"))),
    ],
    ids=["macos", "version-2.1", "version-4.0"],
)
def test_each_version(tmp_path: Path, content: bytes, expected: Contact) -> None:
    assert contacts_of(tmp_path, content) == [expected]
    assert contacts_of(tmp_path, content + content) == [expected, expected]


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_any_line_ends_with_or_without_a_mark(tmp_path: Path, ends: bytes, mark: bytes) -> None:
    content = mark + MAC.replace(b"\r\n", ends)
    assert contacts_of(tmp_path, content)[0].handles == ("(202) 555-0101", "Maya@Example.com")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_cards_of_older_macs_in_utf_16(tmp_path: Path, encoding: str) -> None:
    text = "BEGIN:VCARD\r\nFN:Jörg 😀\r\nTEL:+12025550102\r\nEND:VCARD\r\n"
    assert contacts_of(tmp_path, text.encode(encoding)) == [Contact("Jörg 😀", ("+12025550102",))]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b"FN:J\xf6rg", "Jörg"),
        (b"FN;CHARSET=ISO-8859-1;QUOTED-PRINTABLE:J=F6rg", "Jörg"),
        (b"FN;CHARSET=WINDOWS-1251:\xcc\xe0\xff", "Мая"),
        (b"FN;CHARSET=zlib:Joerg", "Joerg"),
        (b"FN;CHARSET=../../etc:Joerg", "Joerg"),
        (b"fn:Joerg", "Joerg"),
        (b"N:Lind;Maya;;;", "Maya Lind"),
        (b"N:Lind\\;Sample;Maya;;;", "Maya Lind;Sample"),
        (b"N:;;;;\r\nNICKNAME:Mimi\r\nORG:Sample Ltd;Sales", "Mimi"),
        (b"FN:\r\nFN:Second\r\nFN:Third\r\nN:Lind;Maya", "Second"),
        (b"ORG:Sample Ltd;Sales", "Sample Ltd Sales"),
        (b"FN:Ma\r\n ya Li\r\n\tnd", "Maya Lind"),
        ("FN:Jö".encode()[:-1] + b"\r\n " + "Jö".encode()[-1:] + b"rg", "Jörg"),
        (b"X-NOTHING:1", ""),
    ],
)
def test_names(tmp_path: Path, field: bytes, name: str) -> None:
    content = b"BEGIN:VCARD\r\n" + field + b"\r\nTEL:1\r\nEND:VCARD\r\n"
    assert contacts_of(tmp_path, content) == [Contact(name, ("1",))]


def test_cards_without_an_end_inside_one_another_and_without_an_address(tmp_path: Path) -> None:
    content = b"""noise before
BEGIN:VCARD
FN:First
TEL:1
BEGIN:VCARD
FN:Second
AGENT:
BEGIN:VCARD
FN:Agent
TEL:3
END:VCARD
TEL:2
END:VCARD
TEL:9
BEGIN:VCARD
FN:Nobody reachable
END:VCARD
BEGIN:VCARD
FN:Last
EMAIL:last@example.com"""
    found = contacts_of(tmp_path, content)
    assert found == [Contact("First", ("1",)), Contact("Second", ("2",)), Contact("Last", ("last@example.com",))]


def test_megabytes_of_photo_cost_little_and_hide_nothing(tmp_path: Path) -> None:
    line = b" " + b"A" * 74 + b"\r\n"
    photo = b"PHOTO;ENCODING=b:\r\n" + line * 60_000
    whole = b"PHOTO:" + b"B" * 4_000_000 + b"\r\n"
    content = MAC.replace(b"END:VCARD", photo + whole + b"TEL:+12025550199\r\nEND:VCARD") * 2
    began = time.process_time()
    found = contacts_of(tmp_path, content)
    assert time.process_time() - began < 5
    assert [contact.handles[-1] for contact in found] == ["+12025550199"] * 2


def test_hostile_values_make_clean_names_and_short_handles(tmp_path: Path) -> None:
    for _, text in hostile_strings():
        value = text.encode("utf-8", "surrogatepass")
        content = b"BEGIN:VCARD\nFN:" + value + b"\nTEL:" + value + b"\nTEL:1\nEND:VCARD\n"
        for contact in contacts_of(tmp_path, content):
            assert "\x1b" not in contact.name and "\n" not in contact.name and len(contact.name) <= vcards.MAX_WORDS
            assert all(handle and len(handle) <= vcards.MAX_WORDS for handle in contact.handles)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(content: bytes) -> None:
    list(vcards.cards(vcards.file_lines(io.BytesIO(b"BEGIN:VCARD\n" + content))))


@given(st.lists(st.binary(max_size=20).filter(lambda line: not set(line) & set(b"\r\n")), max_size=8))
def test_lines_are_the_same_however_the_file_is_cut(lines: list[bytes]) -> None:
    class Slowly(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 1, 1) if size != 2 else 2)

    content = b"ab" + b"\r\n".join(lines)
    assert list(vcards.file_lines(Slowly(content))) == content.split(b"\r\n")


def test_what_is_no_card_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoInput, match="no contact card"):
        contacts_of(tmp_path, b"hello\n")
    for path in (tmp_path, tmp_path / "none.vcf"):
        with pytest.raises(Fault):
            vcards.contacts_in(path)
