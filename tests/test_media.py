"""Words that are at hand, and media made small and anonymous."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
import time
from io import BytesIO
from pathlib import Path

import imageio_ffmpeg
import pytest
from PIL import Image

from tests import media_samples as samples
from ventriloquist.media import convert
from ventriloquist.media.cards import contact_names, place
from ventriloquist.media.convert import Cancelled, Unconvertible
from ventriloquist.media.words import LONGEST, content_type, local_description, medium, readable_name
from ventriloquist.records import Attachment
from ventriloquist.windows.lines import CONTENT_TYPES

HOSTILE = Path(__file__).parents[2] / "shared" / "data" / "hostile.json"
OWN_HOSTILE = [
    "\x1b]0;owned\x07.jpg", "[red]a\nb[/].jpg", '{"name": "Eve", "text": "x"}.png', "\u202egpj.exe", "a" * 5000,
    "..\\..\\x.pdf", "../../../etc/passwd", "\x00.png", "\ud800.jpg", " ", "<|endoftext|>.mp4", "%s%n.caf",
]  # fmt: skip


def named(name: str | None, mime_type: str | None = None, **fields: object) -> Attachment:
    return Attachment("guid", mime_type=mime_type, name=name, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "mime_type", "expected"),
    [
        ("IMG_1.HEIC", "image/heic", "image"), ("IMG_1.HEIC", None, "image"), ("a.mov", "video/quicktime", "video"),
        ("Audio Message.caf", "audio/x-caf", "audio"), ("Audio Message.amr", None, "audio"),
        ("a.pdf", "application/pdf", "document"), ("a.pages", None, "document"), ("a.txt", "text/plain", "document"),
        ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "document"),
        ("AB.vcf", "text/vcard", "contact"), ("CL.loc.vcf", "text/x-vlocation", "location"),
        ("CL.loc.vcf", "text/vcard", "location"), ("a.zip", "application/zip", "file"), (None, None, "file"),
        ("a.HEIC", "application/octet-stream", "image"), ("a.jpg", "IMAGE/JPEG; charset=binary", "image"),
    ],
)  # fmt: skip
def test_content_type(name: str | None, mime_type: str | None, expected: str) -> None:
    found = content_type(named(name, mime_type))
    assert found == expected
    assert found in CONTENT_TYPES


def test_a_sticker_is_a_sticker_whatever_its_type() -> None:
    sticker = named("IMG_1.HEIC", "image/heic", is_sticker=True)
    assert content_type(sticker) == "sticker"
    assert local_description(sticker) == "A sticker"
    assert medium(sticker) == "image"


@pytest.mark.parametrize(
    "stem",
    [
        "IMG_1234", "IMG_E1234", "image0", "image000000_01", "FullSizeRender", "6C9A8F2E-1234-4B3C-AAAA-BEEF01234567",
        "4f3a9c1b2d8e", "deadbeefdeadbeef", "PXL_20240103_123456789.MP", "IMG-20240103-WA0001", "20240103_101010", "",
        "FB_IMG_1612345678901", "69150938471__0B2A", "trim.6C9A8F2E-1234-4B3C-AAAA-BEEF01234567", "1", "DSC_0001 (2)",
        "WhatsApp Image 2024-01-03 at 10.00.00", "EZkqPXWVAAE1xyz", "unnamed", "GOPR0123", "A" * 900,
    ],
)  # fmt: skip
def test_names_that_no_person_gave_say_nothing(stem: str) -> None:
    assert readable_name(stem) == ""


@pytest.mark.parametrize(
    ("stem", "readable"),
    [
        ("beach-day", "beach day"), ("tax_return_2023", "tax return 2023"), ("Q3 report (final)", "Q3 report final"),
        ("海辺", "海辺"), ("photo of mum", "photo of mum"), ("camping-trip-4", "camping trip 4"), ("cat", "cat"),
        ("IMG_1234 wedding", "wedding"),
    ],
)  # fmt: skip
def test_names_that_a_person_gave_are_read(stem: str, readable: str) -> None:
    assert readable_name(stem) == readable


@pytest.mark.parametrize(
    ("attachment", "words"),
    [
        (named("beach-day.jpg", "image/jpeg"), "Photo: beach day"),
        (named("IMG_1234.HEIC", "image/heic"), "A photo"),
        (named("IMG_1234.MOV", "video/quicktime"), "A video"),
        (named("IMG_1234.GIF", "image/gif"), "A GIF"),
        (named("Screen Shot 2020-01-02 at 3.4.5 PM.png", "image/png"), "A screenshot"),
        (named("RPReplay_Final1612.MP4", "video/mp4"), "A screen recording"),
        (named("Audio Message.caf", "audio/x-caf"), "A voice message"),
        (named("Audio Message.caf", "audio/x-caf", transcript="Call me\nback"), "Call me back"),
        (named("tax_return_2023.pdf", "application/pdf"), "Document: tax return 2023"),
        (named("backup.zip", "application/zip"), "File: backup (zip)"),
        (named("AB.vcf", "text/vcard"), "A contact card"),
        (named(None), "A file"),
    ],
)
def test_words_at_hand(attachment: Attachment, words: str) -> None:
    assert local_description(attachment) == words


def test_a_transcribed_voice_message_needs_no_captioner() -> None:
    assert medium(named("a.caf", "audio/x-caf", transcript="hi")) is None
    assert medium(named("a.caf", "audio/x-caf")) == "audio"
    assert medium(named("a.docx")) is None
    assert medium(named("a.PDF")) == "pdf"


def hostile_names() -> list[str]:
    return OWN_HOSTILE + ([str(item) for item in _strings(json.loads(HOSTILE.read_text()))] if HOSTILE.exists() else [])


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for item in items for text in _strings(item)]


def test_whatever_a_name_or_a_transcript_holds_the_words_are_one_plain_line() -> None:
    for text in hostile_names():
        for attachment in (
            named(text), named(text + ".jpg", "image/jpeg"), named(text + ".pdf"), named(text, text),
            named("a.caf", "audio/x-caf", transcript=text), named("a.vcf", "text/vcard", path=text),
        ):  # fmt: skip
            words = local_description(attachment)
            assert 0 < len(words) <= LONGEST
            assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]", words)
            assert content_type(attachment) in CONTENT_TYPES


VCARD = """BEGIN:VCARD\r
VERSION:3.0\r
PRODID:-//Apple Inc.//iPhone OS 17//EN\r
N:Sample;Ada;;;\r
item1.FN;CHARSET=UTF-8:Ada \\, the\r
  Sample\r
ORG:Example;\r
item1.TEL;type=pref:+1 555 0100\r
END:VCARD\r
"""


def test_a_contact_card_gives_its_name_and_nothing_else(tmp_path: Path) -> None:
    card = tmp_path / "card.vcf"
    card.write_text(VCARD)
    words = local_description(named("AB.vcf", "text/vcard", path=str(card)))
    assert words == "Contact: Ada , the Sample"
    card.write_text(VCARD * 3)
    assert local_description(named("AB.vcf", "text/vcard", path=str(card))) == "Contact: Ada , the Sample and 2 more"


def test_contact_names_in_other_shapes() -> None:
    assert contact_names("BEGIN:VCARD\nN:Sample;Ada;;;\nEND:VCARD") == ["Ada Sample"]
    assert contact_names("BEGIN:VCARD\nFN:\nORG:Sample Ltd;\n") == ["Sample Ltd"]
    assert contact_names("BEGIN:VCARD\nFN;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:J=C3=B6rg\n") == ["Jörg"]
    assert contact_names("") == contact_names("nonsense") == contact_names("BEGIN:VCARD\nFN") == []


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("FN:Current Location\nURL:https://maps.apple.com/?ll=48.858222\\,2.294500&q=x", "48.858, 2.295"),
        ("FN:Park\nitem1.URL;type=pref:http://maps.apple.com/?q=1&ll=-1.5,-170", "Park (-1.500, -170.000)"),
        ("FN:Sample Park", "Sample Park"), ("GEO:geo:48.1,2.2;u=35", "48.100, 2.200"),
        ("URL:http://maps.apple.com/?ll=948,2", ""), ("URL:http://[::1", ""), ("", ""),
    ],
)  # fmt: skip
def test_place(card: str, expected: str) -> None:
    assert place("BEGIN:VCARD\nVERSION:3.0\n" + card + "\nEND:VCARD") == expected


def test_a_card_is_read_only_if_it_is_a_regular_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.vcf"
    secret.write_text(VCARD)
    (tmp_path / "link.vcf").symlink_to(secret)
    os.mkfifo(tmp_path / "pipe.vcf")
    for name in ("link.vcf", "pipe.vcf", ".", "missing.vcf"):
        assert local_description(named("AB.vcf", "text/vcard", path=str(tmp_path / name))) == "A contact card"


@pytest.mark.parametrize("make", [samples.jpeg, samples.heic])
def test_pictures_lose_size_place_and_camera(tmp_path: Path, make: object) -> None:
    path = make(tmp_path / "holiday")  # type: ignore[operator]
    assert samples.CANARY.encode() in path.read_bytes()
    material = convert.convert(str(path), "image", tmp_path)
    assert material.mime_type == "image/jpeg"
    assert samples.CANARY.encode() not in material.content
    assert b"Exif" not in material.content
    with Image.open(BytesIO(material.content)) as small:
        assert max(small.size) == 768
        if make is samples.jpeg:
            assert small.height > small.width  # turned upright as its EXIF said; HEIC is turned by its own box
        assert not small.getexif() and not small.info.get("comment")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_pictures_of_every_mode_convert(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture"
    image = Image.new(mode, (40, 30))
    image.save(path, "TIFF")
    with Image.open(BytesIO(convert.convert(str(path), "image", tmp_path).content)) as small:
        assert small.mode == "RGB" and small.size == (40, 30)


def hostile_pictures(folder: Path) -> list[Path]:
    contents = {
        "bomb": samples.png_of(50_000),
        "too large": samples.png_of(8_100),
        "truncated": samples.jpeg(folder / "whole.jpg").read_bytes()[:5000],
        "text": b"hello",
        "html": b"<html>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "fits": b"SIMPLE  =                    T" + b" " * 2850,
        "heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"\xff" * 400,
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "empty").touch()
    return [folder / name for name in (*contents, "empty")]


def test_hostile_pictures_cannot_be_converted(tmp_path: Path) -> None:
    for path in hostile_pictures(tmp_path):
        with pytest.raises(Unconvertible):
            convert.convert(str(path), "image", tmp_path)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    real = samples.jpeg(tmp_path / "a.jpg")
    (tmp_path / "link.jpg").symlink_to(real)
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "link.jpg", tmp_path / "pipe.jpg", tmp_path, tmp_path / "missing", "a\x00b"):
        assert convert.size_on_disk(str(path)) == 0
        with pytest.raises(Unconvertible):
            convert.convert(str(path), "image", tmp_path)
    assert convert.size_on_disk(str(real)) == real.stat().st_size


def test_a_video_becomes_short_small_and_anonymous(tmp_path: Path) -> None:
    path = samples.video(tmp_path / "-i.mov", 3)
    original = path.read_bytes()
    assert samples.CANARY.encode() in original and b"48.8582" in original
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    material = convert.convert(str(path), "video", scratch)
    assert material.mime_type == "video/mp4"
    assert samples.CANARY.encode() not in material.content and b"48.8582" not in material.content
    shown = probe(material.content, tmp_path / "small.mp4")
    assert "480x270" in shown and "2 fps" in shown and "aac" in shown
    assert list(scratch.iterdir()) == []


def test_audio_is_kept_whole(tmp_path: Path) -> None:
    path = samples.audio(tmp_path / "memo.m4a", 75)
    material = convert.convert(str(path), "audio", tmp_path)
    assert material.mime_type == "audio/mpeg"
    assert samples.CANARY.encode() not in material.content
    duration = re.search(r"Duration: 00:01:(\d\d)", probe(material.content, tmp_path / "small.mp3"))
    assert duration and int(duration[1]) in (14, 15)


def probe(content: bytes, path: Path) -> str:
    path.write_bytes(content)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stderr


def test_a_pdf_goes_as_it_is(tmp_path: Path) -> None:
    path = samples.pdf(tmp_path / "a.pdf")
    assert convert.convert(str(path), "pdf", tmp_path).content == path.read_bytes()
    path.write_bytes(b"MZ not a PDF")
    with pytest.raises(Unconvertible):
        convert.convert(str(path), "pdf", tmp_path)


def test_playlists_open_nothing(tmp_path: Path) -> None:
    """HLS, concat and DASH name other files and addresses; none of them may be touched."""
    secret = samples.video(tmp_path / "secret.mp4")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        playlists = [
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n",
            f"ffconcat version 1.0\nfile {secret}\n",
            f"file '{secret}'\n",
        ]
        for number, content in enumerate(playlists):
            path = tmp_path / f"list{number}.{('m3u8', 'm3u8', 'ffconcat', 'mp4')[number]}"
            path.write_text(content)
            for kind in ("video", "audio"):
                with pytest.raises(Unconvertible):
                    convert.convert(str(path), kind, tmp_path)  # type: ignore[arg-type]
        with pytest.raises(TimeoutError):
            listener.accept()


def test_noise_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(range(256)) * 100)
    with pytest.raises(Unconvertible):
        convert.convert(str(path), "video", tmp_path)


def test_a_conversion_ends_when_the_run_stops(tmp_path: Path) -> None:
    path = samples.video(tmp_path / "a.mp4", 20)
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(Cancelled):
        convert._finished(["sleep", "60"], None, 60, convert.FFMPEG_MEMORY, stopping)
    started = time.monotonic()
    with pytest.raises(Unconvertible):
        convert._finished(["sleep", "60"], None, 0.3, convert.FFMPEG_MEMORY, threading.Event())
    assert time.monotonic() - started < 30
    assert path.exists()


def test_children_see_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "canary-key")
    shown = convert._finished(["env"], None, 20, convert.FFMPEG_MEMORY, threading.Event())
    assert b"PATH=" in shown and b"canary-key" not in shown
