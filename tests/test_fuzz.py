"""Bodies and property lists out of strangers' messages: damaged or hostile, they end as declared, and soon."""

from __future__ import annotations

import gc
import itertools
import os
import plistlib
import sqlite3
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.collecting import read
from tests.messages_db import ChatDbWriter, plain_body
from tests.mutations import (
    BODY_MARKS,
    PLIST_MARKS,
    Mutations,
    hostile_bodies,
    hostile_plists,
    shared_bytes,
)
from ventriloquist import demo
from ventriloquist.sources.imessage.balloons import read_app, read_link, read_vote
from ventriloquist.sources.imessage.edits import read_summary
from ventriloquist.sources.imessage.plists import Archive, PlistError, read_plist
from ventriloquist.sources.imessage.typedstream import HEADER, TypedStreamError, decode, text_of

FUZZ = int(os.environ.get("FUZZ", "0")) or 6_000
"""How many inputs: `make fuzz` sets it."""
MOST_SECONDS = 0.050
"""Of processor time for one input and one reader; what other programs do meanwhile does not count."""

Reader = tuple[str, Callable[[bytes], object]]
BODY_READERS: tuple[Reader, ...] = (("text_of", text_of), ("decode", decode))
PLIST_READERS: tuple[Reader, ...] = (
    ("read_plist", read_plist),
    ("Archive", lambda data: Archive(data).text("richLinkMetadata", "URL", "NS.relative")),
    ("read_summary", read_summary),
    ("read_app", lambda data: read_app("com.apple.messages.MSMessageExtensionBalloonPlugin:0:a.b.c", data)),
    (
        "read_poll",
        lambda data: read_app("com.apple.messages.MSMessageExtensionBalloonPlugin:0:com.apple.messages.Polls", data),
    ),
    ("read_vote", read_vote),
    ("read_link", read_link),
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """Bodies, summaries and payloads as they stand in the sample history, each shape a few times."""
    sample = demo.write(tmp_path_factory.mktemp("fuzz"), messages=1500)
    connection = sqlite3.connect(f"file:{sample.chat_db}?immutable=1", uri=True)
    found: dict[str, list[bytes]] = {}
    for column in ("attributedBody", "message_summary_info", "payload_data"):
        query = f"SELECT {column} FROM message WHERE length({column}) BETWEEN 1 AND 5000 ORDER BY length({column})"
        blobs = [blob for (blob,) in connection.execute(query)]
        found[column] = blobs[:: max(len(blobs) // 80, 1)]
    connection.close()
    assert all(len(blobs) >= 5 for blobs in found.values())
    return found


def attempt(inputs: Iterable[bytes], readers: Iterable[Reader], capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    """Read each input in every way; tells how they ended, and which took longest."""
    ended: Counter[str] = Counter()
    slowest = (0.0, "", b"")
    gc.freeze()  # what else lives here is not looked through while an input is read
    for data in inputs:
        for name, reader in readers:
            started = time.process_time()
            try:
                reader(data)
                ended["read"] += 1
            except (TypedStreamError, PlistError) as error:
                ended["refused"] += 1
                assert str(error).isascii()
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
                pytest.fail(f"{name} raised {error!r} for {data.hex()}")
            slowest = max(slowest, (time.process_time() - started, name, data))
    gc.unfreeze()
    with capsys.disabled():
        told = ", ".join(f"{count:,} {how}" for how, count in sorted(ended.items()))
        print(f"\n{told}; the slowest took {slowest[0] * 1000:.2f} ms in {slowest[1]} ({len(slowest[2]):,} bytes)")
    assert slowest[0] < MOST_SECONDS, f"{slowest[1]} took {slowest[0]:.3f} s for {slowest[2].hex()}"
    return ended


@pytest.mark.fuzz
def test_mutated_bodies(sound: dict[str, list[bytes]], capsys: pytest.CaptureFixture[str]) -> None:
    bodies = [*sound["attributedBody"], plain_body("hello"), plain_body("é😂" * 200), plain_body("long " * 5000)]
    bodies += hostile_bodies(HEADER)
    ended = attempt(itertools.islice(Mutations(bodies, BODY_MARKS, 1), FUZZ // 2), BODY_READERS, capsys)
    assert min(ended["read"], ended["refused"]) > FUZZ // 20, "the mutations are too mild or too harsh"


@pytest.mark.fuzz
def test_mutated_property_lists(sound: dict[str, list[bytes]], capsys: pytest.CaptureFixture[str]) -> None:
    lists = [*sound["message_summary_info"], *sound["payload_data"], *hostile_plists()]
    ended = attempt(itertools.islice(Mutations(lists, PLIST_MARKS, 2), FUZZ // 2), PLIST_READERS, capsys)
    assert min(ended["read"], ended["refused"]) > FUZZ // 20, "the mutations are too mild or too harsh"


@pytest.mark.fuzz
def test_mutated_rows_are_collected(sound: dict[str, list[bytes]], tmp_path: Path) -> None:
    """Every row is in the ledger, whatever its columns hold."""
    rows = min(FUZZ // 4, 50_000)
    bodies = Mutations([*sound["attributedBody"], *hostile_bodies(HEADER)], BODY_MARKS, 3)
    lists = Mutations([*sound["message_summary_info"], *hostile_plists()], PLIST_MARKS, 4)
    payloads = Mutations([*sound["payload_data"], *hostile_plists()], PLIST_MARKS, 5)
    balloons = (None, None, "com.apple.messages.URLBalloonProvider", "com.apple.messages.Polls", "\x1b[2J:\0")
    writer = ChatDbWriter(tmp_path / "Messages")
    chat = writer.chat(writer.handle("+12025550101"))
    writer.db.execute("BEGIN")
    for number, body, summary, payload in zip(range(rows), bodies, lists, payloads, strict=False):
        more = {"balloon_bundle_id": balloons[number % len(balloons)], "date_edited": number % 3}
        row = writer.message(
            chat, None, number % 2, attributedBody=body, message_summary_info=summary, payload_data=payload, **more
        )
        if number % 7 == 0:
            writer.attach(row, f"at_0_{number}", filename="~/Library/Messages/Attachments/a.jpg")
    writer.db.execute("COMMIT")
    messages, ledger, _ = read(writer.close())
    assert ledger.source_rows == rows and len(messages) > rows // 4


def test_hostile_inputs_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert len([*hostile_plists(), *hostile_bodies(HEADER)]) >= 10
    attempt(hostile_plists(), PLIST_READERS, capsys)
    attempt(hostile_bodies(HEADER), BODY_READERS, capsys)
    attempt([shared_bytes(60_000, 30_000)], PLIST_READERS, capsys)


def test_classes_that_pile_up_end_soon(capsys: pytest.CaptureFixture[str]) -> None:
    """Each class stands below the one before, which it refers to: without a limit, their names fill the memory."""
    groups = [b"\x92\x84\x84\x84\x01A\x00\x85\x86"]
    for number in range(1, 16_000):
        before = 2 * number + 1 - 110  # the class of the object before, as a reference
        reference = before.to_bytes(1, "little", signed=True) if before < 128 else b"\x81" + struct.pack("<h", before)
        groups.append(b"\x92\x84\x84\x94\x00" + reference + b"\x86")
    few, many = (
        HEADER + b"\x84\x01@\x84\x84\x84\x01R\x00\x85" + b"".join(part) + b"\x86" for part in (groups[:40], groups)
    )
    with pytest.raises(TypedStreamError, match="attributed string"):  # it is read to its end
        decode(few)
    with pytest.raises(TypedStreamError, match="too many"):
        decode(many)
    attempt([few, many], BODY_READERS, capsys)


def test_a_property_list_of_other_bytes_is_still_read() -> None:
    sound: dict[str, object] = {"text": "a" * 300, "é": ["x" * 20] * 40, "data": b"0" * 70_000, "n": -1, "f": 1.5}
    assert read_plist(plistlib.dumps(sound, fmt=plistlib.FMT_BINARY)) == sound


def test_the_readers_fail_where_they_should() -> None:
    for _, reader in BODY_READERS:
        with pytest.raises(TypedStreamError):
            reader(b"nothing")
    for data in (b"", b"bplist00", b"bplist00" + bytes(40), b"<plist/>"):
        with pytest.raises(PlistError):
            read_plist(data)
