"""The describe stage over a real store, real media and a real client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import fake_gemini as fake
from tests import media_samples as samples
from tests.collecting import run_collect
from tests.describing import KEY, MODEL, captioner, collected, notes, one_run, photos, settings, states, stored
from ventriloquist import demo
from ventriloquist.faults import Fault, Stopped
from ventriloquist.media import convert
from ventriloquist.pipeline import sending
from ventriloquist.pipeline.describe import describe
from ventriloquist.records import Attachment
from ventriloquist.runs import Event, Run, new_folder, perform
from ventriloquist.settings import DescribeSettings
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEMINI_API_KEY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "workspace").prepare()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "Attachments" / samples.CANARY
    folder.mkdir(parents=True)
    return folder


def everything(files: Path) -> list[Attachment]:
    """One of each kind."""
    card, place, memo = files / "a.vcf", files / "b.loc.vcf", files / "c.zip"
    card.write_text("BEGIN:VCARD\nFN:Grace Sample\nEND:VCARD\n")
    place.write_text("BEGIN:VCARD\nFN:Current Location\nURL:http://maps.apple.com/?ll=1.5\\,2.5\nEND:VCARD\n")
    memo.write_bytes(b"PK not really")
    return [
        Attachment("jpeg", "image/jpeg", "beach-day.jpg", str(samples.jpeg(files / "x.jpg"))),
        Attachment("heic", "image/heic", "IMG_0001.HEIC", str(samples.heic(files / "x.heic"))),
        Attachment("sticker", "image/jpeg", "x.jpg", str(samples.jpeg(files / "s.jpg", seed=9)), is_sticker=True),
        Attachment("video", "video/quicktime", "IMG_0002.MOV", str(samples.video(files / "x.mov"))),
        Attachment("memo", "audio/x-m4a", "Audio Message.caf", str(samples.audio(files / "x.m4a"))),
        Attachment("spoken", "audio/x-m4a", "Audio.m4a", str(samples.audio(files / "y.m4a")), "Call me"),
        Attachment("pdf", "application/pdf", "tax_return.pdf", str(samples.pdf(files / "x.pdf"))),
        Attachment("zip", None, "meeting notes.zip", str(memo)),
        Attachment("contact", "text/vcard", "a.vcf", str(card)),
        Attachment("place", "text/x-vlocation", "b.loc.vcf", str(place)),
        Attachment("gone", "image/png", "IMG_0003.PNG", None),
        Attachment("gone spoken", "audio/amr", "Audio.amr", None, "See you"),
        Attachment("nameless", None, None, str(files / "missing")),
    ]


AT_HAND = {
    "jpeg": "Photo: beach day", "heic": "A photo", "sticker": "A sticker", "video": "A video",
    "memo": "A voice message", "spoken": "Call me", "pdf": "Document: tax return", "zip": "File: meeting notes (zip)",
    "contact": "Contact: Grace Sample", "place": "Location: 1.500, 2.500", "gone": "A photo",
    "gone spoken": "See you", "nameless": "File: missing",
}  # fmt: skip
GONE = {"gone"}
SENT = {"jpeg", "heic", "sticker", "video", "memo", "pdf"}


def test_without_a_key_everything_gets_words_and_nothing_is_sent(workspace: Workspace, files: Path) -> None:
    collected(workspace, everything(files))
    makes, events = one_run(workspace, yes=True)
    assert stored(workspace) == at_hand()
    assert makes["local"] == len(AT_HAND) and makes["left"] == len(SENT) and makes["requests"] == 0
    assert "2 photos, 1 sticker, 1 video, 1 recording and 1 document" in notes(events)
    assert "GEMINI_API_KEY" in notes(events) and "sent to Google" in notes(events)
    again, _ = one_run(workspace)
    assert again["local"] == 0
    assert stored(workspace) == at_hand()


def at_hand() -> dict[str, tuple[str, str]]:
    """Words and state of everything that nobody was asked about."""
    return {guid: (words, "missing" if guid in GONE else "local") for guid, words in AT_HAND.items()}


def test_a_key_alone_is_no_consent(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 2))
    with fake.serving() as server:
        makes, events = one_run(workspace, captioner(server.url), key=KEY, limit=1)
    assert server.received == []
    assert makes["left"] == 2 and makes["local"] == 2
    assert "1 photo" in notes(events) and "--yes sends these files to Google" in notes(events)


def test_a_dry_run_counts_and_changes_nothing(workspace: Workspace, files: Path) -> None:
    collected(workspace, everything(files))
    with fake.serving() as server:
        makes, events = one_run(workspace, captioner(server.url), key=KEY, yes=True, dry_run=True)
    assert server.received == [] and stored(workspace) == {}
    assert makes["left_by_kind"] == {"photo": 2, "sticker": 1, "video": 1, "recording": 1, "document": 1}
    assert makes["bytes"] == sum(
        (files / n).stat().st_size for n in ("x.jpg", "x.heic", "s.jpg", "x.mov", "x.m4a", "x.pdf")
    )
    assert "nothing was sent" in notes(events)


def test_with_a_key_and_consent_media_are_described_once(workspace: Workspace, files: Path) -> None:
    collected(workspace, everything(files))
    with fake.serving(fake.caption_of_media) as server:
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == makes["requests"] == makes["described"] == len(SENT)
        first = stored(workspace)
        assert {guid for guid, (_, state) in first.items() if state == "described"} == SENT
        assert {guid: words for guid, (words, state) in first.items() if state != "described"} == {
            guid: words for guid, words in AT_HAND.items() if guid not in SENT
        }
        assert makes["described_by"] == {MODEL: len(SENT), "local": len(AT_HAND) - len(SENT)}
        again, events = one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == len(SENT) and again["left"] == 0
        assert stored(workspace) == first
        assert "nothing left" in notes(events)
    for request in server.received:
        sent = request.body + request.media + json.dumps([request.path, request.headers]).encode()
        for private in (samples.CANARY, str(files), "beach", "IMG_00", "tax_return", "Exif", "48.8582", "x.mov"):
            assert private.encode() not in sent, private
    assert {request.mime_type for request in server.received} == {
        "image/jpeg", "video/mp4", "audio/mpeg", "application/pdf"
    }  # fmt: skip


def test_a_local_description_follows_what_is_known_now(workspace: Workspace, files: Path) -> None:
    memo = Attachment("memo", "audio/x-caf", "Audio Message.caf")
    collected(workspace, [memo])
    one_run(workspace)
    assert stored(workspace)["memo"] == ("A voice message", "missing")
    collected(workspace, [replace(memo, transcript="On my way")])
    one_run(workspace)
    assert stored(workspace)["memo"] == ("On my way", "local")


def test_limit_counts_what_is_sent(workspace: Workspace, files: Path) -> None:
    broken = Attachment("broken", "image/jpeg", "a.jpg", str(files / "broken.jpg"))
    (files / "broken.jpg").write_bytes(b"no picture")
    collected(workspace, [broken, *photos(files, 4)])
    with fake.serving(fake.caption_of_media) as server:
        makes, events = one_run(workspace, captioner(server.url), key=KEY, yes=True, limit=2)
        assert len(server.received) == 2 and makes["described"] == 2 and makes["failed"] == 1
        assert "1 file could not be described" in notes(events)
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == 4
    assert stored(workspace)["broken"] == ("A photo", "failed")


def test_equal_files_are_asked_for_once(workspace: Workspace, files: Path) -> None:
    [photo] = photos(files, 1)
    collected(workspace, [replace(photo, guid=f"copy-{number}") for number in range(5)])
    with fake.serving(fake.caption_of_media) as server:
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True)
    assert len(server.received) == 1 and makes["described"] + makes["known"] == 5
    assert len(set(stored(workspace).values())) == 1


def test_blocked_files_keep_neutral_words_and_are_never_sent_again(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 3))
    with fake.serving(fake.caption("ok"), [fake.BLOCKED]) as server:
        makes, events = one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert (makes["blocked"], makes["described"], makes["left"]) == (1, 2, 0)
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == 3
    [(words, state)] = [row for row in stored(workspace).values() if row[1] != "described"]
    assert state == "blocked" and words.startswith(("A photo", "Photo: "))
    assert "would not describe 1 file" in notes(events)


def test_a_bad_key_stops_the_run_at_the_first_request(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 10))
    with fake.serving(fake.BAD_KEY) as server:
        with pytest.raises(Fault, match="refused the key"):
            one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == 1
    assert set(states(workspace).values()) == {"local"}


def test_a_quota_that_ends_midway_keeps_what_was_paid_for(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 8))
    with fake.serving(fake.caption_of_media, [fake.caption_of_media] * 3 + [fake.DAY_IS_OVER]) as server:
        with pytest.raises(Fault, match="quota"):
            one_run(workspace, captioner(server.url), key=KEY, yes=True, concurrency=2)
        paid = len(server.received) - 1
        assert list(states(workspace).values()).count("described") == paid
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == 8 + 1


def test_files_are_not_blamed_for_a_model_that_takes_none(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 9))
    with fake.serving(fake.error(400, "INVALID_ARGUMENT")) as server:
        with pytest.raises(Fault, match="--model"):
            one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == sending.MOST_DECLINED
    assert set(states(workspace).values()) == {"local"}


def test_a_file_that_is_declined_among_good_ones_is_final(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 4))
    with fake.serving(fake.caption("ok"), [fake.error(400, "INVALID_ARGUMENT")]) as server:
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == 4
    assert sorted(states(workspace).values()) == ["described"] * 3 + ["failed"]


def test_what_got_no_answer_is_asked_for_in_the_next_run(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 2))
    with fake.serving(fake.caption("ok"), [fake.caption("ok")] + [fake.error(500, "INTERNAL")] * 5) as server:
        makes, events = one_run(workspace, captioner(server.url), key=KEY, yes=True, concurrency=1)
        assert (makes["described"], makes["retry"], makes["left"]) == (1, 1, 1)
        assert "asks about them once more" in notes(events)
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert (makes["described"], makes["left"]) == (1, 0)


def test_a_service_that_is_silent_ends_the_run(
    workspace: Workspace, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_UNANSWERED", 3)
    collected(workspace, photos(files, 12))
    with fake.serving(fake.error(500, "INTERNAL")) as server:
        with pytest.raises(Fault, match="does not answer"):
            one_run(workspace, captioner(server.url, backoff=0.001), key=KEY, yes=True, concurrency=2)
        assert len(server.received) <= 5 * (sending.MOST_UNANSWERED + 1)


def test_a_stop_keeps_answers_under_way(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 12))
    run = Run(new_folder(workspace, "describe"), "describe")
    with fake.serving() as server:

        def stop_at_the_fifth(handler: fake.Handler) -> None:
            if len(server.received) >= 5:
                run.stopping = True
            fake.caption_of_media(handler)

        server.always = stop_at_the_fifth
        with pytest.raises(Stopped):
            describe(settings(KEY, yes=True, concurrency=3), workspace, run, captioner(server.url))
        run.close()
        assert 5 <= len(server.received) <= 7
        assert list(states(workspace).values()).count("described") == len(server.received)


CHILD = """
import sys
from tests.describing import captioner, settings, KEY
from ventriloquist.pipeline.describe import describe
from ventriloquist.runs import perform
from ventriloquist.workspace import Workspace

def stage(options, workspace, run):
    return describe(options, workspace, run, captioner(sys.argv[2]))

perform("describe", stage, settings(KEY, yes=True, concurrency=4), Workspace.at(sys.argv[1]), [])
"""


def test_killed_at_any_time_it_goes_on_and_pays_at_most_for_what_was_under_way(
    workspace: Workspace, files: Path
) -> None:
    attachments = photos(files, 18)
    collected(workspace, attachments)
    expected = {
        photo.guid: (fake.words_for(convert.convert(photo.path or "", "image", files).content), "described")
        for photo in attachments
    }
    command = [sys.executable, "-c", CHILD, str(workspace.root)]
    lost = 0
    with fake.serving(fake.caption_of_media) as server:
        for requests, how in ((4, signal.SIGKILL), (11, signal.SIGTERM)):
            child = subprocess.Popen([*command, server.url], cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)
            wait_for(server, requests, child)
            child.send_signal(how)
            child.wait()
            done = {guid for guid, state in states(workspace).items() if state == "described"}
            assert 0 < len(done) < len(attachments)  # it was met in the midst of its work
            lost, before = len(server.received) - len(done), lost
            assert lost - before <= (4 if how == signal.SIGKILL else 0)
        subprocess.run([*command, server.url], cwd=Path(__file__).parents[1], check=True, timeout=60)
        assert len(server.received) == len(attachments) + lost
    assert stored(workspace) == expected
    assert not list(workspace.runs.glob("*/scratch"))
    for file in workspace.root.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file
            assert file.stat().st_mode & 0o077 == 0 or file.name.endswith((".db-wal", ".db-shm"))


def wait_for(server: fake.FakeGemini, requests: int, child: subprocess.Popen[bytes]) -> None:
    """Until the server has got that many requests."""
    deadline = time.monotonic() + 60
    while len(server.received) < requests:
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def test_a_fault_of_the_stage_is_the_end_of_its_run(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 1))
    events: list[Event] = []
    with fake.serving(fake.BAD_KEY) as server, pytest.raises(Fault):

        def stage(options: DescribeSettings, workspace: Workspace, run: Run) -> dict[str, Any]:
            return describe(options, workspace, run, captioner(server.url))

        perform("describe", stage, settings(KEY, yes=True), workspace, [], events.append)
    assert events[-1]["status"] == "failed" and "GEMINI_API_KEY" in events[-1]["error"]


def test_strange_files_keep_their_local_words(workspace: Workspace, files: Path) -> None:
    (files / "bomb.png").write_bytes(samples.png_of(50_000))
    (files / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    (files / "x.pdf").write_bytes(b"no pdf")
    os.mkfifo(files / "pipe.jpg")
    (files / "link.jpg").symlink_to(samples.jpeg(files / "real.jpg"))
    strange = [
        Attachment(name, None, name, str(files / name))
        for name in ("bomb.png", "list.mp4", "x.pdf", "pipe.jpg", "link.jpg")
    ]
    collected(workspace, [*strange, *photos(files, 1)])
    with fake.serving() as server:
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == makes["described"] == 1
    assert {guid: state for guid, state in states(workspace).items() if guid != "photo-0"} == {
        "bomb.png": "failed", "list.mp4": "failed", "x.pdf": "failed", "pipe.jpg": "missing", "link.jpg": "missing"
    }  # fmt: skip


def test_the_sample_history_is_described_whole_and_a_new_collect_keeps_what_was_paid_for(tmp_path: Path) -> None:
    sample = demo.write(tmp_path / "sample", messages=300)
    run_collect(tmp_path / "workspace", sample.chat_db)
    workspace = Workspace.at(tmp_path / "workspace")
    makes, _ = one_run(workspace)
    assert makes["local"] > 10 and set(makes["left_by_kind"]) == {"photo", "sticker", "document", "video"}
    at_hand = words_of(workspace)
    assert all(words and "NA" not in words and "\n" not in words for words in at_hand.values())
    assert {"Contact: Harbor Boats", "Document: Cabin plan", "A photo", "A sticker"} <= set(at_hand.values())
    with fake.serving(fake.caption_of_media) as server:
        sent, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert sent["described"] == makes["left"] and sent["left"] == 0
        described = words_of(workspace)
        run_collect(workspace.root, sample.chat_db)
        again, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert again["requests"] == 0 and words_of(workspace) == described
        for request in server.received:
            assert str(tmp_path).encode() not in request.body + request.media


def words_of(workspace: Workspace) -> dict[str, str | None]:
    """The description of every attachment that stands in a message."""
    with Store.open(workspace) as store:
        messages = [message for talk in store.conversations() for message in store.messages(talk.id)]
    return {file.guid: file.description for message in messages for file in message.attachments}


def test_the_stage_loads_no_heavy_library() -> None:
    heavy = {"PIL", "google.genai", "httpx2", "pillow_heif", "torch", "imageio_ffmpeg"}
    code = f"import sys, ventriloquist.pipeline.describe; print({heavy} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "set()"
