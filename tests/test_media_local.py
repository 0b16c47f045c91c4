"""What is told of an attachment here, without sending it: songs, calendars, Live Photos; files that lie elsewhere."""

from __future__ import annotations

import dataclasses
import io
import os
import random
import time
from pathlib import Path

import pytest

from tests import media_samples as samples
from ventriloquist.media import convert
from ventriloquist.media.cards import events
from ventriloquist.media.convert import Unconvertible
from ventriloquist.media.livephotos import moving_halves
from ventriloquist.media.music import Tags, song, tags_of
from ventriloquist.media.words import LONGEST_TRANSCRIPT, local_description, medium
from ventriloquist.records import Attachment

CALENDAR = """BEGIN:VCALENDAR\r
VERSION:2.0\r
BEGIN:VEVENT\r
SUMMARY:Dinner\\, again\r
DTSTART;TZID=Europe/Berlin:20240501T190000\r
LOCATION:Park\r
  Café\r
DESCRIPTION:secret\r
ATTENDEE:mailto:ada@example.com\r
END:VEVENT\r
END:VCALENDAR\r
"""


def audio(name: str, path: Path | None = None, **fields: object) -> Attachment:
    return Attachment("guid", name=name, path=str(path) if path else None, **fields)  # type: ignore[arg-type]


def tagged(path: Path, *options: str, **tags: str) -> Path:
    given = [part for name, value in tags.items() for part in ("-metadata", f"{name}={value}")]
    samples.ffmpeg("-f", "lavfi", "-i", "sine=duration=1", *given, *options, str(path))
    return path


@pytest.mark.parametrize("version", ["3", "4"])
def test_a_song_is_told_by_its_tags_and_not_sent(tmp_path: Path, version: str) -> None:
    path = tagged(tmp_path / "01.mp3", "-id3v2_version", version, title="Blue Höuse", artist="The Samples")
    found = audio("01.mp3", path)
    assert medium(found) is None
    assert local_description(found) == "Song: Blue Höuse by The Samples"
    path = tagged(tmp_path / "a.m4a", title="Blue House", artist="The Samples", album="One")
    assert local_description(audio("a.m4a", path)) == "Song: Blue House by The Samples"


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("New Recording 4.m4a", {"title": "New Recording 4", "artist": "me"}), ("Main St.m4a", {"title": "Main St"}),
        ("a.m4a", {"title": "Main St", "album": "Voice Memos"}), ("Audio Message.mp3", {"title": "x"}),
        ("a.mp3", {"artist": "someone"}), ("lecture - cats.mp3", {}), ("a.mp3", {"title": "Recording 12"}),
    ],
)  # fmt: skip
def test_what_may_be_spoken_is_no_song(tmp_path: Path, name: str, tags: dict[str, str]) -> None:
    found = audio(name, tagged(tmp_path / name, **tags))
    assert medium(found) == "audio"
    assert "Song" not in local_description(found)


def test_a_song_by_its_name_and_by_its_recorder() -> None:
    assert song(Tags(), "03. The Samples - Blue House", "mp3") == "Blue House by The Samples"
    assert song(Tags(), "IMG-20240103", "mp3") == song(Tags(), "2024 - 01", "mp3") == song(Tags(), "", "m4a") == ""
    assert song(Tags(title="Home", artist="Ada", tool="com.apple.VoiceMemos (iPhone)"), "Home", "m4a") == ""
    assert medium(audio("The Samples - Blue House.mp3")) is None
    assert medium(audio("memo.caf")) == "audio"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"ID3", b"ID3\x03\0\0\x7f\x7f\x7f\x7f", b"ID3\x04\0\x40" + b"\xff" * 40, b"ID3\x09\0\0\0\0\0\x0fTIT2",
        b"ID3\x03\0\0\0\0\0\x7fTIT2\xff\xff\xff\xff\0\0\x01x", b"ID3\x03\0\0\0\0\1\0TIT2\0\0\0\x05\0\0\x01\xff\xfe\xd8",
        b"\0\0\0\x08ftyp\0\0\0\0moov", b"\0\0\0\x08ftyp\0\0\0\x08moov" * 900,
        b"\0\0\0\x08ftyp\0\0\0\x01moov" + b"\xff" * 8,
    ],
)  # fmt: skip
def test_damaged_tags_are_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert not tags_of(file).title.strip("\ufffd")


def test_tags_of_mutated_files_are_read_in_no_time(tmp_path: Path) -> None:
    songs = (
        tagged(tmp_path / "a.mp3", "-id3v2_version", "3", title="Blue", artist="The Samples"),
        tagged(tmp_path / "b.mp3", "-id3v2_version", "4", title="Blue", artist="The Samples"),
        tagged(tmp_path / "a.m4a", title="Blue", artist="The Samples"),
    )
    rounds = int(os.environ.get("FUZZ", 300))
    for seed in range(rounds):
        chance = random.Random(seed)
        whole = songs[seed % 3].read_bytes()
        moov = max(whole.find(b"moov"), 0)
        content = bytearray(whole)
        for _ in range(chance.randint(1, 30)):
            content[chance.choice((chance.randrange(200), moov + chance.randrange(1500))) % len(content)] = (
                chance.choice((0, 1, 3, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            )
        started = time.process_time()
        tags = tags_of(io.BytesIO(content[: chance.choice((len(content), chance.randrange(1, 3000)))]))
        assert time.process_time() - started < 0.2, seed
        assert all(len(text) <= 200 and "\n" not in text for text in dataclasses.astuple(tags))


def test_a_calendar_file_is_read_here(tmp_path: Path) -> None:
    path = tmp_path / "invite.ics"
    path.write_text(CALENDAR)
    found = Attachment("guid", mime_type="text/calendar", name="invite.ics", path=str(path))
    assert medium(found) is None
    assert local_description(found) == "Calendar: Dinner, again, 2024-05-01 19:00 at Park Café"
    path.write_text(CALENDAR.replace("END:VCALENDAR\r\n", "") + CALENDAR.split("2.0\r\n")[1])
    assert local_description(found).endswith("Park Café and 1 more")
    path.unlink()
    assert local_description(found) == "Calendar: invite"


def test_calendars_in_other_shapes() -> None:
    assert events("BEGIN:VEVENT\nSUMMARY:Fair\nDTSTART;VALUE=DATE:20240501\nEND:VEVENT") == ["Fair, 2024-05-01"]
    assert events("BEGIN:VEVENT\nDTSTART:tomorrow\nSUMMARY:\nEND:VEVENT") == events("nonsense") == events("") == []


def test_what_apple_wrote_down_is_kept_whole() -> None:
    said = "so I went there " * 300
    assert local_description(audio("a.caf", transcript=said)) == said.strip()
    assert len(local_description(audio("a.caf", transcript="word " * 50_000))) <= LONGEST_TRANSCRIPT


def test_a_live_photo_is_one_picture() -> None:
    still, video = Attachment("s", name="IMG_0001.HEIC"), Attachment("v", name="IMG_0001.MOV")
    assert moving_halves([video, still]) == {"v": "s"}
    assert moving_halves([Attachment("s", "image/jpeg", "img_e0001.jpg"), video]) == {"v": "s"}
    assert moving_halves([still, Attachment("v", name="IMG_0002.MOV")]) == {}
    assert moving_halves([still, Attachment("v", name="IMG_0001.mp4")]) == {}
    assert moving_halves([still, Attachment("t", name="IMG_0001.jpg"), video]) == {}
    assert moving_halves([still, video, Attachment("w", name="IMG_0001.MOV")]) == {}
    assert moving_halves([]) == moving_halves([video]) == {}
    assert moving_halves([Attachment("s", "image/png"), Attachment("v", "video/quicktime")]) == {}


def test_a_file_that_failed_or_is_missing_is_never_speech() -> None:
    missing = {"a.caf": "A voice message", "a.m4a": "A sound recording", "IMG_1.HEIC": "A photo",
               "IMG_1.MOV": "A video", "a.pdf": "A document", "a.docx": "A document", "a.zip": "A file (zip)",
               "a.ics": "A calendar event"}  # fmt: skip
    for name, words in missing.items():
        assert local_description(Attachment("guid", name=name, path="/nowhere/" + name)) == words


def test_a_link_that_was_put_into_the_path_later_leads_nowhere(tmp_path: Path) -> None:
    """A path in the store was resolved when it was collected; a link that stands there now is not followed."""
    secret = tmp_path / ".ssh" / "id_ed25519"
    secret.parent.mkdir()
    secret.write_text("BEGIN:VCARD\nFN:Canary\nEND:VCARD")
    attachments = tmp_path / "Attachments"
    attachments.mkdir()
    (attachments / "ab").symlink_to(secret.parent)
    (attachments / "link.txt").symlink_to(secret)
    for path in (
        attachments / "ab" / "id_ed25519", attachments / "link.txt", f"{attachments}/../.ssh/id_ed25519",
        f"{attachments}/./../.ssh/id_ed25519", f"{secret.parent}//id_ed25519", os.path.relpath(secret),
    ):  # fmt: skip
        for kind in ("image", "video", "audio", "pdf", "text"):
            with pytest.raises(Unconvertible) as failure:
                convert.convert(str(path), kind, tmp_path)  # type: ignore[arg-type]
            assert failure.value.reason == "missing"
        with pytest.raises(Unconvertible):
            convert.content_hash(str(path))
        assert "Canary" not in local_description(Attachment("g", "text/vcard", "a.vcf", str(path)))
