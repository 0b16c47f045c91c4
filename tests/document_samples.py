"""Small office documents and PDFs, made on the spot."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pypdf import PdfReader, PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject, TextStringObject

from tests import media_samples as samples
from tests.media_samples import CANARY

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
O = 'xmlns:office="urn:o" xmlns:text="urn:t" xmlns:table="urn:b"'  # noqa: E741 - OpenDocument
PROPERTIES = f"<coreProperties><creator>{CANARY}</creator></coreProperties>"


def zipped(path: Path, members: Mapping[str, str | bytes]) -> Path:
    """A zip file of those members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def docx(path: Path, body: str = "<w:p><w:r><w:t>Rent is due</w:t><w:tab/><w:t>on Friday.</w:t></w:r></w:p>") -> Path:
    document = f'<?xml version="1.0"?><w:document {W}><w:body>{body}</w:body></w:document>'
    return zipped(path, {"docProps/core.xml": PROPERTIES, "word/document.xml": document, f"word/{CANARY}.xml": "<a/>"})


def xlsx(path: Path) -> Path:
    shared = f"<sst {S}><si><t>Rent</t></si><si><r><t>Foo</t></r><r><t>d</t></r></si></sst>"
    rows = (
        '<row><c t="s"><v>0</v></c><c><v>900</v></c></row>'
        '<row><c t="s"><v>1</v></c><c><f>A1*2</f><v>350.5</v></c></row>'
        '<row><c t="inlineStr"><is><t>Total</t></is></c><c t="s"><v>99</v></c></row>'
    )
    sheet = f"<worksheet {S}><sheetData>{rows}</sheetData></worksheet>"
    return zipped(path, {"xl/workbook.xml": "<a/>", "xl/sharedStrings.xml": shared, "xl/worksheets/sheet1.xml": sheet})


def pptx(path: Path) -> Path:
    slides = {
        f"ppt/slides/slide{number}.xml": f"<p {A}><a:p><a:r><a:t>Slide {word}</a:t></a:r></a:p></p>"
        for number, word in ((10, "ten"), (2, "two"), (1, "one"))
    }
    return zipped(path, {"ppt/presentation.xml": "<a/>", **slides})


def odt(path: Path) -> Path:
    text = "<text:h>Minutes</text:h><text:p>We met<text:s/>at <text:span>noon</text:span>.</text:p>"
    content = f"<office:document-content {O}><office:body>{text}</office:body></office:document-content>"
    return zipped(path, {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": content})


def pages(path: Path) -> Path:
    """What Apple's Pages writes: words that only it can read, and a picture of the first page."""
    return zipped(
        path, {"Index/Document.iwa": b"\0\1\2", "preview.jpg": samples.jpeg(path.with_suffix("")).read_bytes()}
    )


def pdf_with_words(path: Path, words: str = "Rent is due on Friday") -> Path:
    """A page with words and a picture, and everything that tells who wrote it and where."""
    reader = PdfReader(io.BytesIO(samples.pdf(path).read_bytes()))
    writer = PdfWriter(clone_from=reader)
    page = writer.pages[0]
    font = DictionaryObject({NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1"),
                             NameObject("/BaseFont"): NameObject("/Helvetica")})  # fmt: skip
    resources = page["/Resources"]
    assert isinstance(resources, DictionaryObject)
    resources[NameObject("/Font")] = DictionaryObject({NameObject("/A"): writer._add_object(font)})
    resources[NameObject("/Metadata")] = writer._add_object(_stream(CANARY))
    picture = next(iter(resources["/XObject"].get_object().values())).get_object()
    picture._data = samples.jpeg(path.with_suffix(".jpg"), (200, 200)).read_bytes()
    drawing = page["/Contents"].get_object()
    content = _stream(f"{drawing.get_data().decode()}\nBT /A 12 Tf 10 100 Td ({words}) Tj ET")
    page[NameObject("/Contents")] = writer._add_object(content)
    page[NameObject("/PieceInfo")] = DictionaryObject({NameObject("/X"): TextStringObject(CANARY)})
    writer.add_metadata({"/Author": CANARY, "/Title": CANARY})
    writer.xmp_metadata = f"<x>{CANARY}</x>".encode()  # type: ignore[assignment]
    action = {NameObject("/S"): NameObject("/JavaScript"), NameObject("/JS"): TextStringObject(f"alert('{CANARY}')")}
    writer.root_object[NameObject("/OpenAction")] = DictionaryObject(action)
    writer.add_attachment(f"{CANARY}.txt", CANARY.encode())
    writer.add_outline_item(title=CANARY, page_number=0)
    writer.write(path)
    return path


def _stream(words: str) -> DecodedStreamObject:
    stream = DecodedStreamObject()
    stream.set_data(words.encode())
    return stream


def everything_in(document: bytes) -> bytes:
    """The bytes of a PDF, and of all of its streams unpacked."""
    reader = PdfReader(io.BytesIO(document))
    unpacked = [document]
    for number in range(1, len(reader.xref.get(0, {})) + 2):
        held = reader.get_object(number) if number in reader.xref.get(0, {}) else None
        if hasattr(held, "get_data"):
            unpacked.append(held.get_data())
    return b"\0".join(unpacked)
