"""The sample history: the store is sound, true to the schema, holds every feature, and is the same every time."""

from __future__ import annotations

import plistlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typedstream

from ventriloquist import demo
from ventriloquist.demo.typedstream import OBJECT_SLOT, Body, Url
from ventriloquist.faults import UsageFault


@pytest.fixture(scope="module", params=[300, 8000])
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> demo.Sample:
    return demo.write(tmp_path_factory.mktemp("sample") / "history", messages=request.param)


def rows(path: Path, query: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        return connection.execute(query, values).fetchall()


def text_of(body: bytes) -> str:
    """What a decoder that is not ours reads from a body."""
    text = typedstream.unarchive_from_data(body).contents[0].values[0].value
    assert isinstance(text, str)
    return text


def test_the_store_is_sound_and_every_row_is_counted(sample: demo.Sample) -> None:
    db = sample.chat_db
    assert rows(db, "PRAGMA integrity_check") == [("ok",)]
    assert rows(db, "PRAGMA foreign_key_check") == []
    assert rows(db, "SELECT count(*) FROM message") == [(sample.message_rows,)]
    assert sum(sample.rows.values()) == sample.message_rows
    assert db.read_bytes()[18:20] == b"\x02\x02"  # WAL, as on a Mac
    assert sorted(path.name for path in sample.folder.iterdir()) == ["AddressBook", "Attachments", "chat.db"]
    assert not [path for path in sample.folder.rglob("*") if path.stat().st_mode & 0o077]


def test_the_schema_is_sequoias(sample: demo.Sample) -> None:
    columns = dict(rows(sample.chat_db, "SELECT name, type FROM pragma_table_info('message')"))
    assert len(columns) == 92
    assert columns["attributedBody"] == columns["payload_data"] == columns["message_summary_info"] == "BLOB"
    assert {"associated_message_emoji", "schedule_type", "is_pending_satellite_send", "date_recovered"} <= set(columns)
    assert "filter_action" not in columns  # that is Tahoe's
    counts = {
        table: len(rows(sample.chat_db, "SELECT 1 FROM pragma_table_info(?)", table))
        for (table,) in rows(sample.chat_db, "SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    known = {"chat": 28, "handle": 6, "attachment": 26, "chat_message_join": 3, "chat_handle_join": 2}
    known |= {"message_attachment_join": 2, "chat_recoverable_message_join": 4, "recoverable_message_part": 6}
    known |= {"deleted_messages": 2, "message_processing_task": 3, "kvtable": 3, "_SqliteDatabaseProperties": 2}
    known |= {"sync_deleted_messages": 3, "sync_deleted_chats": 4, "sync_deleted_attachments": 3}
    assert {table: counts.get(table) for table in known} == known
    for table in ("deleted_messages", "sync_deleted_messages", "message_processing_task", "kvtable"):
        assert rows(sample.chat_db, f"SELECT 1 FROM {table}")
    (indexes,) = rows(sample.chat_db, "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")[0]
    assert indexes > 30


def test_an_independent_decoder_reads_every_body(sample: demo.Sample) -> None:
    bodies = rows(sample.chat_db, "SELECT attributedBody, text FROM message WHERE attributedBody IS NOT NULL")
    texts = [(text_of(body), text) for body, text in bodies]
    assert all(decoded and text in (None, decoded) for decoded, text in texts)
    sizes = [len(decoded.encode()) for decoded, _ in texts]
    assert min(sizes) < 0x80 < 0x100 < max(sizes)
    assert (max(sizes) > 32_767) == (sample.message_rows > 5000)


def test_the_kinds_of_rows_are_what_the_sample_says(sample: demo.Sample) -> None:
    def count(where: str) -> int:
        return int(rows(sample.chat_db, f"SELECT count(*) FROM message WHERE {where}")[0][0])

    joined = "ROWID IN (SELECT message_id FROM chat_message_join)"
    assert count("associated_message_type BETWEEN 3000 AND 3007") == sample.rows["reaction_removal"]
    standing = sample.rows["reaction"] + sample.rows["reaction_removed"] + sample.rows["reaction_replaced"]
    assert count("associated_message_type BETWEEN 2000 AND 2007") == standing
    assert count("item_type != 0") == sample.rows["event"]
    assert count("balloon_bundle_id LIKE '%URLBalloonProvider'") == sample.rows["link"]
    buried = "ROWID IN (SELECT message_id FROM chat_recoverable_message_join)"
    assert count(f"NOT {joined} AND {buried}") == sample.rows["recoverable"] == count(buried)
    assert count(f"NOT {joined} AND NOT {buried}") == sample.rows["orphan"]
    assert count("thread_originator_guid IS NOT NULL") == sample.marks["replies"]
    assert count("service = 'SMS'") == sample.marks["sms"]
    assert count("text IS NOT NULL AND attributedBody IS NULL") == sample.marks["text_only"]
    assert count("text IS NOT NULL AND attributedBody IS NOT NULL") == sample.marks["text_and_body"]
    twice = "SELECT count(*) FROM (SELECT 1 FROM chat_message_join GROUP BY message_id HAVING count(*) > 1)"
    assert rows(sample.chat_db, twice) == [(sample.marks["in_two_chats"],)]
    assert all(sample.rows.values())
    assert all(sample.marks.values())


def test_each_feature_is_there(sample: demo.Sample) -> None:
    kinds = {kind for (kind,) in rows(sample.chat_db, "SELECT DISTINCT associated_message_type FROM message")}
    assert {*range(2000, 2008), 3000, 3002, 3005, 3006} <= kinds
    targets = {str(guid)[: str(guid).find("/") + 1] or str(guid)[:3] for (guid,) in rows(
        sample.chat_db, "SELECT associated_message_guid FROM message WHERE associated_message_guid IS NOT NULL"
    )}  # fmt: skip
    assert {"p:0/", "p:1/", "p:3/", "bp:"} < targets
    events = set(rows(sample.chat_db, "SELECT item_type, group_action_type FROM message WHERE item_type != 0"))
    assert events == {(1, 0), (1, 1), (2, 0), (3, 0), (3, 1), (5, 0)}
    assert rows(sample.chat_db, "SELECT display_name FROM chat WHERE style = 43 ORDER BY ROWID") == [
        ("Soup Season",), ("Cabin Trip",),
    ]  # fmt: skip
    features = (
        "is_from_me = 1 AND handle_id = 0 AND cache_roomnames IS NULL",
        "is_audio_message = 1", "expressive_send_style_id IS NOT NULL", "subject IS NOT NULL", "has_dd_results = 1",
        "part_count > 3", "associated_message_emoji IS NOT NULL", "destination_caller_id IS NULL",
        "text IS NULL AND attributedBody IS NULL AND item_type = 0 AND message_summary_info IS NULL",
        "reply_to_guid IS NOT NULL AND thread_originator_guid IS NULL",
    )  # fmt: skip
    for feature in features:
        assert rows(sample.chat_db, f"SELECT 1 FROM message WHERE {feature} LIMIT 1"), feature
    dates = [date for (date,) in rows(sample.chat_db, "SELECT date FROM message ORDER BY ROWID")]
    assert dates != sorted(dates)
    assert all(700_000_000 * 10**9 < date < 803_300_000 * 10**9 for date in dates)


def test_runs_name_their_files_mentions_and_transcripts(sample: demo.Sample) -> None:
    bodies = [body for (body,) in rows(sample.chat_db, "SELECT attributedBody FROM message") if body]
    named = {key: sum(key.encode() in body for body in bodies) for key in (
        "__kIMMentionConfirmedMention", "IMAudioTranscription", "__kIMLinkAttributeName",
        "__kIMFileTransferGUIDAttributeName", "__kIMDataDetectedAttributeName",
    )}  # fmt: skip
    assert all(named.values()), named
    assert named["__kIMMentionConfirmedMention"] == sample.marks["mentions"]
    mentions = [body for body in bodies if b"__kIMMentionConfirmedMention" in body]
    assert all(b"+1202555" in body or b"@example.com" in body for body in mentions)
    query = "SELECT attributedBody, a.guid FROM message m JOIN message_attachment_join j ON j.message_id = m.ROWID"
    query += " JOIN attachment a ON a.ROWID = j.attachment_id WHERE NOT hide_attachment AND NOT is_sticker"
    query += " AND message_summary_info IS NULL"
    attached = rows(sample.chat_db, query)
    assert attached
    assert all(guid.encode() in body and OBJECT_SLOT in text_of(body) for body, guid in attached)


def test_edits_and_unsends_keep_their_history(sample: demo.Sample) -> None:
    query = "SELECT message_summary_info, attributedBody FROM message WHERE message_summary_info IS NOT NULL"
    edited, unsent, partly = 0, 0, 0
    for summary, body in rows(sample.chat_db, query):
        told = plistlib.loads(summary)
        if "ec" in told:
            edited += 1
            versions = [text_of(version["t"]) for version in told["ec"]["0"]]
            assert versions[-1] == text_of(body) != versions[0]
            assert told["ep"] == [0]
            assert told["otr"]["0"] == {"lo": 0, "le": len(versions[0].encode("utf-16-le")) // 2}
        else:
            assert told["rp"] == [0]
            unsent += body is None
            partly += body is not None
    assert (edited, unsent, partly) == (sample.marks["edited"], sample.rows["unsent"], sample.marks["partly_unsent"])


def test_a_preview_holds_the_title_and_hides_its_file(sample: demo.Sample) -> None:
    query = "SELECT payload_data FROM message WHERE balloon_bundle_id LIKE '%URLBalloonProvider'"
    objects = plistlib.loads(rows(sample.chat_db, query)[0][0])["$objects"]
    metadata = next(thing for thing in objects if isinstance(thing, dict) and "originalURL" in thing)
    assert objects[metadata["title"]]
    address = objects[objects[metadata["URL"].data]["NS.relative"].data] if metadata["URL"] else None
    assert str(address).startswith("https://")
    hidden = rows(sample.chat_db, "SELECT transfer_name FROM attachment WHERE hide_attachment = 1")
    assert hidden
    assert all(name.endswith(".pluginPayloadAttachment") for (name,) in hidden)


def test_the_files_are_real(sample: demo.Sample) -> None:
    import imageio_ffmpeg
    import pillow_heif
    from PIL import Image

    prefix = "~/Library/Messages/Attachments/"
    found: dict[str, Path] = {}
    missing = 0
    for filename, uti, size in rows(sample.chat_db, "SELECT filename, uti, total_bytes FROM attachment"):
        path = sample.attachments / str(filename).removeprefix(prefix)
        if filename is None or not path.is_file():
            missing += 1
            continue
        assert filename.startswith(prefix)
        assert path.stat().st_size == size
        found[uti] = path
    assert missing == sample.marks["missing_files"] + sample.marks["offloaded_files"] == 2
    for uti in ("public.jpeg", "public.png"):
        with Image.open(found[uti]) as image:
            image.load()
    assert pillow_heif.open_heif(found["public.heic"]).size == (480, 360)
    for uti in ("com.apple.quicktime-movie", "public.mpeg-4", "com.apple.coreaudio-format", "com.apple.m4a-audio"):
        probe = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(found[uti]), "-f", "null", "-"]
        subprocess.run(probe, check=True, capture_output=True)
    pdf = found["com.adobe.pdf"].read_bytes()
    assert pdf[int(pdf.split(b"startxref\n")[1].split(b"\n")[0]) :].startswith(b"xref")
    assert found["public.vcard"].read_text().startswith("BEGIN:VCARD")
    assert "ll=" in found["public.vlocation"].read_text()
    assert sum(path.stat().st_size for path in sample.attachments.rglob("*") if path.is_file()) < 4_000_000


def test_the_address_book_has_one_card_for_a_person_of_two_handles(sample: demo.Sample) -> None:
    cards = rows(sample.address_book, "SELECT Z_PK, ZFIRSTNAME, ZCONTAINERWHERECONTACTISME FROM ZABCDRECORD")
    assert {name for _, name, is_me in cards if name and not is_me} == set(sample.names)
    assert [name for _, name, is_me in cards if is_me] == [sample.my_name]
    ingrid = next(number for number, name, _ in cards if name == "Ingrid")
    assert rows(sample.address_book, "SELECT ZFULLNUMBER FROM ZABCDPHONENUMBER WHERE ZOWNER = ?", ingrid)
    assert rows(sample.address_book, "SELECT ZADDRESS FROM ZABCDEMAILADDRESS WHERE ZOWNER = ?", ingrid)
    services = rows(sample.chat_db, "SELECT service_name FROM chat WHERE chat_identifier IN (?, ?)", *(
        "+447700900155", "ingrid@example.com"
    ))  # fmt: skip
    assert sorted(services) == [("SMS",), ("iMessage",)]


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two, other = (
        demo.write(tmp_path / name, messages=300, seed=seed) for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    files = sorted(path.relative_to(one.folder) for path in one.folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(two.folder) for path in two.folder.rglob("*") if path.is_file())
    for file in files:
        assert (one.folder / file).read_bytes() == (two.folder / file).read_bytes(), file
    assert one.chat_db.read_bytes() != other.chat_db.read_bytes()


def test_rows_may_stand_in_the_wal(tmp_path: Path) -> None:
    sample = demo.write(tmp_path, messages=300, wal=True)
    assert (tmp_path / "chat.db-wal").stat().st_size > 0
    assert rows(sample.chat_db, "SELECT count(*) FROM message")[0][0] < sample.message_rows
    with closing(sqlite3.connect(f"file:{sample.chat_db}?mode=ro", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM message").fetchone() == (sample.message_rows,)


def test_it_writes_over_nothing_and_needs_room_for_its_features(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="at least"):
        demo.write(tmp_path / "few", messages=10)
    demo.write(tmp_path / "one", messages=300)
    with pytest.raises(UsageFault, match="already holds"):
        demo.write(tmp_path / "one", messages=300)


def test_the_import_is_cheap() -> None:
    heavy = ["torch", "numpy", "PIL", "pillow_heif", "transformers", "textual"]
    program = f"import sys, ventriloquist.demo; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("mutable", [False, True])
def test_bodies_of_every_length_and_kind_are_read_by_the_other_decoder(mutable: bool) -> None:
    for text in ("", "x", "a" * 127, "a" * 128, "é🙂" * 70, "x" * 32_767, "x" * 32_768, "日本" * 40_000):
        assert text_of(Body.of(text, mutable=mutable).archive()) == text
    body = Body(mutable=mutable).add("see ", part=0).add("@Maya", part=0, mention="+12025550111")
    body.add(OBJECT_SLOT, part=1, file="at_1", file_name="a.jpg", direction=-1, transcript="words")
    body.add("https://www.example.com", part=2, link=Url("https://www.example.com"), detected=b"\x00" * 300)
    body.add("the end", part=200).add(" again", part=200)
    assert text_of(body.archive()) == body.text
    assert body.parts == 201


def test_a_plain_body_is_archived_as_apples_frameworks_do() -> None:
    expected = (
        "040b73747265616d747970656481e803840140848484124e5341747472696275746564537472696e67008484084e534f626a656374"
        "008592848484084e53537472696e67019484012b0b506c61696e20776f726473868402694901"
        "0b928484840c4e5344696374696f6e617279009484016901928496961d5f5f6b494d4d657373616765506172744174747269627574"
        "654e616d658692848484084e534e756d626572008484074e5356616c7565009484012a84999900868686"
    )
    assert Body.of("Plain words").archive().hex() == expected
