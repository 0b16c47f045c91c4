"""Words that are at hand, and media made small and anonymous."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from io import BytesIO
from pathlib import Path

import imageio_ffmpeg
import pytest
from PIL import Image

from tests import media_samples as samples
from ventriloquist.media import convert, transcoding
from ventriloquist.media.cards import contact_names, place
from ventriloquist.media.convert import Unconvertible
from ventriloquist.media.words import (
    LONGEST,
    LONGEST_TRANSCRIPT,
    content_type,
    local_description,
    medium,
    readable_name,
)
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
    assert medium(named("a.docx")) == "text"
    assert medium(named("a.ics")) is medium(named("a.zip")) is medium(named("a.vcf")) is None
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
            assert 0 < len(words) <= (LONGEST_TRANSCRIPT if attachment.transcript else LONGEST)
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


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    real = samples.jpeg(tmp_path / "a.jpg")
    (tmp_path / "link.jpg").symlink_to(real)
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "link.jpg", tmp_path / "pipe.jpg", tmp_path, tmp_path / "missing", "a\x00b"):
        assert convert.size_on_disk(str(path)) == 0
        with pytest.raises(Unconvertible) as failure:
            convert.convert(str(path), "image", tmp_path)
        assert failure.value.reason == "missing"
        with pytest.raises(Unconvertible):
            convert.content_hash(str(path))
    assert convert.content_hash(str(real)) == hashlib.sha256(real.read_bytes()).hexdigest()
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


def test_a_video_is_cut_to_its_first_seconds_and_shown_by_frames(tmp_path: Path) -> None:
    path = samples.video(tmp_path / "a.mov", 19)
    material = convert.convert(str(path), "video", tmp_path)
    assert material.seconds == pytest.approx(15, abs=1)
    assert re.search(r"Duration: 00:00:1[45]", probe(material.content, tmp_path / "small.mp4"))
    assert len(material.frames) == 5
    for frame in material.frames:
        with Image.open(BytesIO(frame)) as picture:
            assert picture.size == (480, 270) and picture.format == "JPEG"


def test_a_video_of_one_frame_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    samples.ffmpeg("-f", "lavfi", "-i", "testsrc=size=97x31:rate=1:duration=1", "-pix_fmt", "yuv444p", str(path))
    material = convert.convert(str(path), "video", tmp_path)
    assert len(material.frames) == 1 and material.seconds > 0


@pytest.mark.parametrize("name", ["memo.m4a", "memo.caf", "memo.mp3", "memo.amr", "memo.wav"])
def test_audio_is_kept_whole(tmp_path: Path, name: str) -> None:
    path = samples.audio(tmp_path / name, 75)
    material = convert.convert(str(path), "audio", tmp_path)
    assert material.mime_type == "audio/mpeg"
    assert material.seconds == pytest.approx(75, abs=1)
    assert samples.CANARY.encode() not in material.content
    shown = probe(material.content, tmp_path / "small.mp3")
    duration = re.search(r"Duration: 00:01:(\d\d)", shown)
    assert duration and int(duration[1]) in (14, 15) and "mono" in shown and "16000 Hz" in shown


def test_a_long_recording_comes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcoding, "PART_SECONDS", 20)
    path = samples.audio(tmp_path / "memo.m4a", 50)
    parts = list(convert.convert_parts(str(path), "audio", tmp_path))
    assert [round(part.seconds) for part in parts] == [20, 20, 10]
    whole = list(convert.convert_parts(str(samples.audio(tmp_path / "b.m4a", 39.9)), "audio", tmp_path))
    assert sum(part.seconds for part in whole) == pytest.approx(39.9, abs=0.5)
    with pytest.raises(Unconvertible) as failure:
        convert.convert(str(path), "audio", tmp_path)
    assert failure.value.reason == "too long"
    assert convert.convert(str(samples.audio(tmp_path / "c.m4a", 20)), "audio", tmp_path).seconds == pytest.approx(
        20, 0.1
    )


def probe(content: bytes, path: Path) -> str:
    path.write_bytes(content)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stderr


def test_noise_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(range(256)) * 100)
    with pytest.raises(Unconvertible):
        convert.convert(str(path), "video", tmp_path)
