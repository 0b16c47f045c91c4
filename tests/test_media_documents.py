"""Documents: their words are read here; PDFs are written anew."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader, PdfWriter

from tests import document_samples as documents
from tests import media_samples as samples
from ventriloquist.media import convert
from ventriloquist.media.convert import Unconvertible
from ventriloquist.media.documents import MOST_CHARACTERS
from ventriloquist.media.pdfs import MOST_PAGES, bare_jpeg, bare_jpeg2000


def words_of(path: Path) -> str:
    material = convert.convert(str(path), "text", path.parent)
    assert (material.medium, material.mime_type, material.frames) == ("text", "text/plain", ())
    return material.content.decode()


def reason_for(path: Path, medium: str = "text") -> str:
    with pytest.raises(Unconvertible) as failure:
        convert.convert(str(path), medium, path.parent)  # type: ignore[arg-type]
    return failure.value.reason


def test_words_of_office_documents(tmp_path: Path) -> None:
    assert words_of(documents.docx(tmp_path / "a.docx")) == "Rent is due\ton Friday."
    assert words_of(documents.xlsx(tmp_path / "a.xlsx")) == "Rent\t900\t\nFood\t350.5\t\nTotal"
    assert words_of(documents.pptx(tmp_path / "a.pptx")) == "Slide one\nSlide two\nSlide ten"
    assert words_of(documents.odt(tmp_path / "a.odt")) == "Minutes\nWe met at noon."


def test_deleted_words_of_a_document_are_not_read(tmp_path: Path) -> None:
    body = "<w:p><w:del><w:delText>never mind</w:delText></w:del><w:ins><w:t>Hello</w:t></w:ins></w:p>"
    assert words_of(documents.docx(tmp_path / "a.docx", body)) == "Hello"


def test_a_pages_document_is_seen_by_its_picture(tmp_path: Path) -> None:
    material = convert.convert(str(documents.pages(tmp_path / "a.pages")), "text", tmp_path)
    assert material.medium == "image"
    with Image.open(io.BytesIO(material.content)) as picture:
        assert max(picture.size) == 768
    assert reason_for(documents.zipped(tmp_path / "b.pages", {"Index/Document.iwa": b"\0"})) == "unsupported"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello\r\nthere\n", "hello\nthere"), ("héllo".encode(), "héllo"), ("héllo".encode("cp1252"), "héllo"),
        ("héllo".encode("utf-16"), "héllo"), (b"\xef\xbb\xbfname,age\nAda,36", "name,age\nAda,36"),
        (b"# Plan\n\n* eat", "# Plan\n\n* eat"), (b"a\x1b[2Jb\xe2\x80\xaec", "a[2Jbc"),
        (b"<!DOCTYPE html><head><title>t</title></head><p>one &amp;<br>two</p><script>x()</script><p>three",
         "one &\ntwo\nthree"),
        (rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\*\generator X;}{\info{\author Ada}}"
         rb"\b Hi\b0\par caf\'e9 \u8364? \{a\}}",
         "Hi\ncafé € {a}"),
        (rb"{\rtf1\ansi\uc1 \u-10179?\u-8704?!{\field{\*\fldinst HYPERLINK x}{\fldrslt here}}}", "😀!here"),
    ],
)  # fmt: skip
def test_words_of_texts(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert words_of(path) == words


def test_long_documents_are_read_as_far_as_it_takes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word " * 100_000)
    assert len(words_of(tmp_path / "a.txt")) in (MOST_CHARACTERS, MOST_CHARACTERS - 1)
    body = "<w:p><w:r><w:t>word</w:t></w:r></w:p>" * 100_000
    assert MOST_CHARACTERS - 10 < len(words_of(documents.docx(tmp_path / "a.docx", body))) <= MOST_CHARACTERS


def test_why_a_document_is_not_read(tmp_path: Path) -> None:
    contents = {
        "noise": (bytes(range(256)) * 10, "unsupported"), "blank": (b" \n\t \n", "empty"), "none": (b"", "empty"),
        "old.doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5000), "unsupported"),
        "locked.docx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        "cut.docx": (documents.docx(tmp_path / "a.docx").read_bytes()[:300], "damaged"),
    }  # fmt: skip
    for name, (content, reason) in contents.items():
        (tmp_path / name).write_bytes(content)
        assert reason_for(tmp_path / name) == reason, name
    assert reason_for(documents.zipped(tmp_path / "a.zip", {"a.txt": "hello"})) == "unsupported"


def test_words_of_a_pdf_and_the_pdf_anew(tmp_path: Path) -> None:
    path = documents.pdf_with_words(tmp_path / "a.pdf")
    assert words_of(path) == "Rent is due on Friday"
    material = convert.convert(str(path), "pdf", tmp_path)
    assert material.mime_type == "application/pdf"
    reader = PdfReader(io.BytesIO(material.content))
    (page,) = reader.pages
    assert page.extract_text() == "Rent is due on Friday"
    assert page.mediabox == PdfReader(path).pages[0].mediabox
    (picture,) = page.images
    assert picture.image is not None and picture.image.size == (200, 200)
    assert bare_jpeg(path.with_suffix(".jpg").read_bytes()) in material.content
    assert not reader.metadata and set(reader.root_object) == {"/Type", "/Pages"}
    assert set(page) <= {"/Type", "/Parent", "/Resources", "/MediaBox", "/Contents"}


def test_the_first_pages_of_a_pdf_with_what_they_inherit(tmp_path: Path) -> None:
    writer = PdfWriter()
    for _ in range(MOST_PAGES + 5):
        writer.add_blank_page(300, 200)
    writer.pages[0].rotate(90)
    path = tmp_path / "a.pdf"
    writer.write(path)
    content = path.read_bytes()
    reader = PdfReader(io.BytesIO(convert.convert(str(path), "pdf", tmp_path).content))
    assert len(reader.pages) == MOST_PAGES
    assert reader.pages[0].rotation == 90 and reader.pages[1].mediabox.width == 300
    assert path.read_bytes() == content


def test_pdfs_with_a_password(tmp_path: Path) -> None:
    for password, reason in (("secret", "encrypted"), ("", "")):
        writer = PdfWriter(clone_from=documents.pdf_with_words(tmp_path / "a.pdf"))
        writer.encrypt(password, "owner", algorithm="RC4-128")
        path = tmp_path / "locked.pdf"
        writer.write(path)
        if reason:
            assert reason_for(path, "pdf") == reason_for(path) == reason
        else:
            assert words_of(path) == "Rent is due on Friday"
            anew = convert.convert(str(path), "pdf", tmp_path).content
            assert PdfReader(io.BytesIO(anew)).pages[0].extract_text() == "Rent is due on Friday"


def test_what_is_no_pdf_is_not_sent_as_one(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"MZ not a PDF")
    assert reason_for(path, "pdf") == "unsupported"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}])
def test_a_bare_jpeg_shows_the_same(tmp_path: Path, options: dict[str, object]) -> None:
    stream = io.BytesIO()
    picture = samples.picture((90, 60))
    picture.save(stream, "JPEG", exif=samples.exif(), comment=samples.CANARY.encode(), **options)  # type: ignore[arg-type]
    bare = bare_jpeg(stream.getvalue() + samples.CANARY.encode())
    assert samples.CANARY.encode() not in bare and b"Exif" not in bare
    with Image.open(io.BytesIO(bare)) as shown, Image.open(io.BytesIO(stream.getvalue())) as original:
        assert shown.tobytes() == original.tobytes()


def test_a_bare_jpeg_2000_has_no_other_boxes() -> None:
    box = b"\0\0\0\x0cjP  \r\n\x87\n"
    words = b"\0\0\0\x0cuuid" + b"name"
    assert bare_jpeg2000(box + words + b"\0\0\0\x0ajp2cxx") == box + b"\0\0\0\x0ajp2cxx"
