"""iPhone backups: the messages, their attachments and the names, from files that bear hashes for names."""

from __future__ import annotations

import hashlib
import os
import plistlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import media_samples
from tests.backups import SMS, BackupWriter
from tests.collecting import exported, notes
from tests.commands import ventriloquist
from tests.conftest import do
from tests.messages_db import ChatDbWriter
from ventriloquist.faults import Exit, Fault, NoInput, UsageFault
from ventriloquist.sources.imessage.backup import Backup, BackupFolder, find_backup
from ventriloquist.workspace import Workspace

MAYA, THEO = "+12025550101", "theo@example.com"
PHOTO = "~/Library/SMS/Attachments/ab/10/UUID/IMG_0001.jpg"
OLD_PHOTO = "/var/mobile/Library/SMS/Attachments/cd/11/UUID/IMG_0002.JPG"


def messages_file(folder: Path, *files: str | None) -> ChatDbWriter:
    writer = ChatDbWriter(folder)
    chat = writer.chat(writer.handle(MAYA))
    writer.message(chat, "hi", 1)
    writer.message(writer.chat(writer.handle(THEO)), "hello", 2)
    for number, filename in enumerate(files):
        row = writer.message(chat, "\ufffc", 1)
        writer.attach(row, f"at_{number}", filename=filename, mime_type="image/jpeg", transfer_name="IMG.jpg")
    return writer


def collected(root: Path, backup: Path, **more: Any) -> dict[str, Any]:
    return do("collect", Workspace(root), backup=backup, region="US", **more)


@pytest.mark.parametrize("flat", [False, True], ids=["iOS 10 and later", "iOS 9"])
def test_messages_names_and_attachments(tmp_path: Path, flat: bool) -> None:
    backup = BackupWriter(tmp_path / "Backup" / "00008030-001", flat=flat)
    backup.put(SMS, messages_file(tmp_path / "phone", PHOTO, OLD_PHOTO, "~/Library/SMS/Attachments/gone.jpg").close())
    backup.put_contacts(
        ("Maya", "Lin", [(3, "(202) 555-0101"), (5, "1 Main St")]), ("Theo", "", [(4, "Theo@Example.com")])
    )
    places = [
        backup.put("MediaDomain-" + PHOTO[2:], media_samples.jpeg(tmp_path / "a.jpg")),
        backup.put(
            "MediaDomain-" + OLD_PHOTO.removeprefix("/var/mobile/"), media_samples.jpeg(tmp_path / "b.jpg", seed=2)
        ),
    ]
    before = {path: path.read_bytes() for path in backup.folder.rglob("*") if path.is_file()}
    made = collected(tmp_path / "w", backup.folder)
    assert (made["messages"], made["attachments"]) == (5, 3)
    messages = exported(tmp_path / "w")
    assert {each["sender"] for each in messages} == {"Maya Lin", "Theo"}
    paths = [each["attachments"][0]["path"] for each in messages if each["attachments"]]
    assert paths == [*map(str, places), None]
    assert {path: path.read_bytes() for path in backup.folder.rglob("*") if path.is_file()} == before
    do("describe", Workspace(tmp_path / "w"))
    described = [file["description"] for each in exported(tmp_path / "w") for file in each["attachments"]]
    assert described[:2] == ["A photo", "A photo"]


def test_files_without_a_suffix_are_converted(tmp_path: Path) -> None:
    """A picture, a video and a sound, as a captioner gets them."""
    from ventriloquist.media.convert import convert

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    made = {"image": media_samples.jpeg(tmp_path / "a.jpg"), "video": media_samples.video(tmp_path / "a.mp4")}
    for kind, path in {**made, "audio": media_samples.audio(tmp_path / "a.m4a")}.items():
        bare = path.rename(tmp_path / hashlib.sha1(kind.encode()).hexdigest())
        assert convert(str(bare), kind, scratch).content  # type: ignore[arg-type]


def test_the_folder_of_one_backup_will_do(tmp_path: Path) -> None:
    backup = BackupWriter(tmp_path / "Backup" / "0001")
    backup.put(SMS, messages_file(tmp_path / "phone").close())
    (tmp_path / "Backup" / "notes").mkdir()
    assert collected(tmp_path / "w", tmp_path / "Backup")["messages"] == 2


def test_several_backups_are_named(tmp_path: Path) -> None:
    for number in range(3):
        BackupWriter(tmp_path / "Backup" / f"000{number}")
    BackupWriter(tmp_path / "Backup" / "0003").write_list("Info.plist", {"Device Name": "iPad\x1b[31m\nof Eve"})
    (tmp_path / "Backup" / "0001" / "Info.plist").write_bytes(b"nothing")
    with pytest.raises(UsageFault) as refused:
        find_backup(tmp_path / "Backup")
    told = str(refused.value)
    assert "holds 4 backups" in told and "0000 (Aidan's iPhone of 2026-05-04 21:30); 0001; 0002 (" in told
    assert "\x1b" not in told and "\n" not in told


@pytest.mark.parametrize("form", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_an_encrypted_backup_says_how_to_make_another(tmp_path: Path, form: Any) -> None:
    backup = BackupWriter(tmp_path / "b")
    backup.write_list("Manifest.plist", {"IsEncrypted": True}, form)
    backup.put(SMS, os.urandom(5000))
    told = ventriloquist(tmp_path / "w", "collect", "--backup", backup.folder)
    assert told.returncode == Exit.NO_INPUT and "Traceback" not in told.stderr
    last = told.stderr.splitlines()[-1]
    assert "is encrypted" in last and 'turn off "Encrypt local backup"' in last


def test_what_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    unfinished = BackupWriter(tmp_path / "unfinished")
    torn = BackupWriter(tmp_path / "torn")
    (torn.folder / "Manifest.plist").write_bytes(b"bplist00" + bytes(50))
    odd = BackupWriter(tmp_path / "odd")
    odd.write_list("Manifest.plist", ["not", "a", "dictionary"])
    other = BackupWriter(tmp_path / "other")
    other.put(SMS, b"SQLite format 3\0" + bytes(100))
    expected = {
        tmp_path / "gone": "There is no folder",
        tmp_path / "file": "is no folder",
        tmp_path / "file" / "below": "There is no folder",
        tmp_path / "empty": "holds no iPhone backup",
        unfinished.folder: "holds no messages",
        torn.folder: "Manifest.plist cannot be read",
        odd.folder: "Manifest.plist cannot be read",
        other.folder: "is damaged",
    }
    for place, words in expected.items():
        with pytest.raises(NoInput, match=words) as refused:
            collected(tmp_path / "w", place)
        assert str(refused.value).count("\n") == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<plist>",
        b"<?xml version='1.0'?><plist version='1.0'><dict><key>IsEncrypted</key><date>never</date></dict></plist>",
        b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><plist><string>&b;</string></plist>",
        b"<plist><dict><true/></dict></plist>",
        b"<plist>" + b"<array>" * 5000,
        b"\xff\xfe<\x00p\x00",
    ],
)
def test_lists_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    backup = BackupWriter(tmp_path / "b")
    backup.put(SMS, messages_file(tmp_path / "phone").close())
    (backup.folder / "Manifest.plist").write_bytes(content)
    with pytest.raises(NoInput, match=r"Manifest\.plist cannot be read"):
        find_backup(backup.folder)


def test_a_log_in_the_backup_is_read(tmp_path: Path) -> None:
    writer = messages_file(tmp_path / "phone")
    writer.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.db.execute("PRAGMA wal_autocheckpoint = 0")
    for number in range(50):
        writer.message(1, f"in the log {number}", 1)
    backup = BackupWriter(tmp_path / "b")
    backup.put(SMS, writer.path)
    backup.put(f"{SMS}-wal", writer.path.with_name("chat.db-wal"))
    before = {path: path.read_bytes() for path in backup.folder.rglob("*") if path.is_file()}
    assert collected(tmp_path / "w", backup.folder)["messages"] == 52
    assert {path: path.read_bytes() for path in backup.folder.rglob("*") if path.is_file()} == before


def test_a_damaged_backup_is_salvaged(tmp_path: Path) -> None:
    writer = messages_file(tmp_path / "phone")
    for number in range(900):
        writer.message(1, f"message {number} " * 9, 1)
    content = bytearray(writer.close().read_bytes())
    places = [
        at for at in range(0, len(content), 4096) if content[at] == 13 and b"message 5" in content[at : at + 4096]
    ]
    content[places[0] : places[0] + 4096] = bytes(4096)
    backup = BackupWriter(tmp_path / "b")
    backup.put(SMS, bytes(content))
    made = collected(tmp_path / "w", backup.folder)
    assert made["source_rows"] == 902 and 850 < made["messages"] < 902
    assert any("salvaged" in note for note in notes(tmp_path / "w"))


def test_two_histories_at_once(tmp_path: Path) -> None:
    told = ventriloquist(tmp_path / "w", "collect", "--backup", tmp_path, "--db", tmp_path / "chat.db")
    assert told.returncode == Exit.USAGE and "--db and --backup" in told.stderr


def test_folders_of_ones_own_come_first(tmp_path: Path) -> None:
    backup = BackupWriter(tmp_path / "b")
    backup.put(SMS, messages_file(tmp_path / "phone", PHOTO).close())
    theirs = tmp_path / "Attachments" / "ab" / "10" / "UUID"
    theirs.mkdir(parents=True)
    (theirs / "IMG_0001.jpg").write_bytes(b"x")
    collected(tmp_path / "w", backup.folder, attachments=tmp_path / "Attachments")
    assert exported(tmp_path / "w")[2]["attachments"][0]["path"] == str(theirs / "IMG_0001.jpg")


def test_no_name_leads_out_of_a_backup(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    backup = BackupWriter(tmp_path / "b")
    backup.put(SMS, messages_file(tmp_path / "phone").close())
    link = backup.place("MediaDomain-Library/SMS/Attachments/link.jpg")
    link.symlink_to(secret)
    linked = hashlib.sha1(b"MediaDomain-Library/SMS/Attachments/folder.jpg").hexdigest()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / linked).write_text("canary")
    shutil.rmtree(backup.folder / linked[:2], ignore_errors=True)
    (backup.folder / linked[:2]).symlink_to(outside)
    files = BackupFolder(Backup(backup.folder))
    for name in (
        "~/Library/SMS/Attachments/link.jpg", "~/Library/SMS/Attachments/folder.jpg", str(secret), "~/.ssh/id_ed25519",
        "~/Library/SMS/../../../secret", "~/Library/SMS/Attachments/\0", "~/Library/SMS/\udcff",
        "~/Library/SMS/" + "a" * 10**6, "", None,
    ):  # fmt: skip
        assert files.find(name) is None, name


def test_a_link_in_the_place_of_the_messages(tmp_path: Path) -> None:
    backup = BackupWriter(tmp_path / "b")
    backup.place(SMS).symlink_to(messages_file(tmp_path / "phone").close())
    with pytest.raises(Fault, match="holds no messages"):
        find_backup(backup.folder)
