"""An attachment is a file below the attachments folder, or none: whatever a row says, nothing else is opened."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.collecting import exported, run_collect
from tests.commands import ventriloquist
from tests.conftest import do
from tests.messages_db import ChatDbWriter
from ventriloquist.workspace import Workspace

CANARY = "canary-7f3a-of-a-private-file"
MARK = "~/Library/Messages/Attachments/"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home with a secret in it, and Messages' folder with links that lead to the secret."""
    secret = tmp_path / "home" / ".ssh" / "id_ed25519"
    secret.parent.mkdir(parents=True)
    secret.write_text(f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{CANARY}\r\nEND:VCARD\r\n")
    attachments = tmp_path / "home" / "Messages" / "Attachments"
    (attachments / "ab").mkdir(parents=True)
    (attachments / "ab" / "sound.vcf").write_text("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Maya Lin\r\nEND:VCARD\r\n")
    (attachments / "link.vcf").symlink_to(secret)
    (attachments / "folder").symlink_to(secret.parent)
    (attachments / "inside.vcf").symlink_to(attachments / "ab" / "sound.vcf")
    (attachments / "round").symlink_to(attachments / "round")
    return tmp_path / "home" / "Messages"


def outside_names(folder: Path) -> list[str]:
    secret = folder.parent / ".ssh" / "id_ed25519"
    return [
        f"{MARK}../../.ssh/id_ed25519", f"{MARK}ab/../../../.ssh/id_ed25519", f"{MARK}./.././../.ssh/id_ed25519",
        f"{folder}/Attachments/../../.ssh/id_ed25519", str(secret), f"//{secret}", "~/.ssh/id_ed25519",
        f"{MARK}link.vcf", f"{MARK}folder/id_ed25519", f"{folder}/Attachments/link.vcf", f"{MARK}round/x.vcf",
        f"{MARK}ab/sound.vcf\0", f"{MARK}\0", f"\0{secret}", MARK + "a" * 5000, MARK + "a/" * 5000, MARK, "", "/", "..",
        f"{MARK}/{secret}", f"file://{secret}", f"{MARK}ab", f"{MARK}\ufffd", f"../../.ssh/id_ed25519{MARK}x.vcf",
    ]  # fmt: skip


def write_history(folder: Path) -> Path:
    writer = ChatDbWriter(folder)
    chat = writer.chat(writer.handle("+12025550101"))
    for number, name in enumerate([*outside_names(folder), f"{MARK}ab/sound.vcf", f"{MARK}inside.vcf"]):
        row = writer.message(chat, "\ufffc", 1, guid=f"M-{number}")
        writer.attach(row, f"at_{number}", filename=name, mime_type="text/vcard", transfer_name="card.vcf")
    return writer.close()


def test_a_row_that_leads_out_has_no_file(folder: Path, tmp_path: Path) -> None:
    path, outside = write_history(folder), len(outside_names(folder))
    run_collect(tmp_path / "w", path)
    do("describe", Workspace(tmp_path / "w"))
    files = [file for message in exported(tmp_path / "w") for file in message["attachments"]]
    assert [file["path"] for file in files[:outside]] == [None] * outside
    assert all(file["path"] and file["description"] == "Contact: Maya Lin" for file in files[outside:])
    assert len(files) == outside + 2
    for words in (["messages", "--jsonl"], ["status", "--json"], ["describe", "--dry-run"]):
        told = ventriloquist(tmp_path / "w", *words)
        assert CANARY not in told.stdout + told.stderr
    kept = [each for each in (tmp_path / "w").rglob("*") if each.is_file()]
    assert kept and not [each for each in kept if CANARY.encode() in each.read_bytes()]


def test_nothing_outside_is_opened(folder: Path, tmp_path: Path) -> None:
    """As the interpreter itself tells: no file below the home but Messages' is opened by a collect and a describe."""
    path = write_history(folder)
    opened: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("open", "os.listdir", "os.scandir", "sqlite3.connect"):
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)  # there is no taking it back
    try:
        run_collect(tmp_path / "w", path)
        do("describe", Workspace(tmp_path / "w"))
    finally:
        watching = False
    home = [each for each in opened if str(folder.parent) in each]
    assert any("sound.vcf" in each for each in home), "describe reads the card that may be read"
    assert not [each for each in home if str(folder) not in each or "id_ed25519" in each or ".ssh" in each]
