"""What a file says besides what it shows stays here: nothing of it is in what a captioner gets."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from tests import document_samples as documents
from tests import media_samples as samples
from tests.media_samples import CANARY
from ventriloquist.media import convert
from ventriloquist.media.captioner import Material

XMP = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>{CANARY}</dc:creator></x:xmpmeta>'.encode()
PLACE = ("48.8582", "2.2945")


def _profile() -> bytes:
    """A colour profile that names someone in its description."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    return bytes(profile) + CANARY.encode()


def _exif() -> bytes:
    """Names, a place, a note, and a thumbnail that says it too."""
    thumbnail = io.BytesIO()
    Image.new("RGB", (16, 16)).save(thumbnail, "JPEG", comment=CANARY.encode())
    exif = samples.exif()
    exif.get_ifd(0x8769).update({0x9286: b"ASCII\0\0\0" + CANARY.encode(), 0xA430: CANARY})
    return exif.tobytes() + thumbnail.getvalue()


def _jpeg(path: Path) -> Path:
    stream = io.BytesIO()
    samples.picture().save(stream, "JPEG", exif=_exif(), comment=CANARY.encode(), icc_profile=_profile(), xmp=XMP)
    iptc = (
        b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0" + struct.pack(">I", 40) + b"\x1c\x02\x50\0" + CANARY.encode().ljust(36)
    )
    content = stream.getvalue()
    path.write_bytes(
        content[:2] + b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc + content[2:] + CANARY.encode()
    )
    return path


def _png(path: Path) -> Path:
    words = PngImagePlugin.PngInfo()
    words.add_text("Author", CANARY)
    words.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=False)
    words.add_text("Comment", CANARY)
    samples.picture().save(path, "PNG", pnginfo=words, exif=_exif(), icc_profile=_profile())
    return path


def _gif(path: Path) -> Path:
    samples.picture((90, 60)).save(path, "GIF", comment=CANARY.encode())
    return path


def _webp(path: Path) -> Path:
    samples.picture().save(path, "WEBP", exif=_exif(), xmp=XMP, icc_profile=_profile())
    return path


def _tiff(path: Path) -> Path:
    samples.picture().save(path, "TIFF", artist=CANARY, description=CANARY, software=CANARY, icc_profile=_profile())
    return path


def _heic(path: Path) -> Path:
    pillow_heif.register_heif_opener()
    samples.picture((640, 400)).save(path, "HEIF", exif=_exif(), xmp=XMP, icc_profile=_profile())
    return path


def _video(path: Path) -> Path:
    samples.video(path)
    path.write_bytes(path.read_bytes() + struct.pack(">I", 8 + len(CANARY)) + b"free" + CANARY.encode())
    return path


def _chapters(path: Path) -> Path:
    """A video with a chapter, subtitles and a data stream that name someone."""
    words, chapters = path.with_suffix(".srt"), path.with_suffix(".txt")
    words.write_text(f"1\n00:00:00,000 --> 00:00:02,000\n{CANARY}\n")
    chapters.write_text(f";FFMETADATA1\nartist={CANARY}\n[CHAPTER]\nTIMEBASE=1/1\nSTART=0\nEND=1\ntitle={CANARY}\n")
    plain = samples.video(path.with_name("plain.mp4"), 2)
    inputs = [part for each in (plain, words, chapters) for part in ("-i", str(each))]
    samples.ffmpeg(*inputs, "-map_metadata", "2", "-map", "0", "-map", "1", "-c", "copy", "-c:s", "mov_text",
                   "-metadata:s:v:0", f"handler_name={CANARY}", str(path))  # fmt: skip
    return path


def _mp3(path: Path) -> Path:
    """An MP3 with names and a cover that names someone."""
    cover = _jpeg(path.with_suffix(".jpg"))
    samples.ffmpeg("-f", "lavfi", "-i", "sine=duration=2", "-i", str(cover), "-map", "0", "-map", "1", "-c:v", "copy",
                   "-metadata", f"artist={CANARY}",
                   "-metadata", f"comment={CANARY}", "-id3v2_version", "3", str(path))  # fmt: skip
    return path


def _caf(path: Path) -> Path:
    samples.audio(path)
    info = struct.pack(">I", 1) + b"artist\0" + CANARY.encode() + b"\0"
    content = path.read_bytes()
    path.write_bytes(content[:8] + content[8:] + b"info" + struct.pack(">q", len(info)) + info)
    return path


FILES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "a.jpg": ("image", _jpeg), "a.png": ("image", _png), "a.gif": ("image", _gif), "a.webp": ("image", _webp),
    "a.tif": ("image", _tiff), "a.heic": ("image", _heic), "a.mov": ("video", _video), "a.mp4": ("video", _chapters),
    "a.m4a": ("audio", samples.audio), "a.mp3": ("audio", _mp3), "a.caf": ("audio", _caf),
    "a.pdf": ("pdf", documents.pdf_with_words), "b.pdf": ("text", documents.pdf_with_words),
    "a.docx": ("text", documents.docx), "a.pages": ("text", documents.pages),
}  # fmt: skip


def hidden_in(material: Material) -> list[str]:
    """The ways in which a secret is in the material or in anything packed in it."""
    content = material.content + b"\0".join(material.frames)
    if material.medium == "pdf":
        content += documents.everything_in(material.content)
    return ways(content)


def ways(content: bytes) -> list[str]:
    forms = {"plain": CANARY.encode(), "UTF-16": CANARY.encode("utf-16-le"), "UTF-16 BE": CANARY.encode("utf-16-be")}
    forms |= {"hex": CANARY.encode().hex().encode(), "base64": base64.b64encode(CANARY.encode())[:-4]}
    forms |= {f"place {number}": number.encode() for number in PLACE}
    forms |= {mark: mark.encode() for mark in ("Exif", "ICC_PROFILE", "http://ns.adobe.com", "8BIM")}
    lower = content.lower()
    return [name for name, form in forms.items() if form.lower() in lower]


@pytest.mark.parametrize("name", FILES)
def test_nothing_but_what_is_seen_and_heard_goes_out(tmp_path: Path, name: str) -> None:
    folder = tmp_path / CANARY
    folder.mkdir()
    medium, make = FILES[name]
    path = make(folder / f"{CANARY}-{name}")
    held = documents.everything_in(path.read_bytes()) if name.endswith(".pdf") else path.read_bytes()
    assert "plain" in ways(held) or name in ("a.docx", "a.pages"), "the file says it"
    material = convert.convert(str(path), medium, tmp_path)  # type: ignore[arg-type]
    assert material.content
    assert hidden_in(material) == []


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.webp", "a.tif", "a.heic", "a.pages"])
def test_a_converted_picture_holds_pixels_and_no_more(tmp_path: Path, name: str) -> None:
    medium, make = FILES[name]
    material = convert.convert(str(make(tmp_path / name)), medium, tmp_path)  # type: ignore[arg-type]
    with Image.open(io.BytesIO(material.content)) as picture:
        assert picture.format == "JPEG" and max(picture.size) <= 768
        assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        segments = [marker for marker, _ in picture.applist]  # type: ignore[attr-defined]
    assert segments == ["APP0"]


def test_the_search_finds_what_is_hidden() -> None:
    for form in (CANARY.encode(), CANARY.encode("utf-16-le"), base64.b64encode(CANARY.encode()), b"Exif\0\0"):
        assert ways(b"x" + form + b"y")
    assert not ways(zlib.compress(CANARY.encode()))
