"""Files are replaced whole or not at all, and belong to their owner alone."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import until
from ventriloquist.files import remove_partials, replacing, sha256, write_whole


def leftovers(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*.partial"))


def test_a_whole_file_replaces_the_old(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    before = os.umask(0o022)
    try:
        write_whole(path, "first, é\n")
        write_whole(path, b"second\n")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"second\n" and path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert sha256(path) == hashlib.sha256(b"second\n").hexdigest()


def test_readers_of_the_old_file_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_whole(path, "old")
    with path.open() as reader:
        write_whole(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "report.json"
    write_whole(path, "old")
    with pytest.raises(error), replacing(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_text() == "old"
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_whole(path, "old")
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        code = 1
        try:
            write_whole(path, b"x" * 1_000_000)
        except OSError:
            code = 7
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_killed_writers_leave_what_can_be_cleared(tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    write_whole(path, "old")
    write = "import sys; from pathlib import Path; from ventriloquist.files import replacing\n" \
            "with replacing(Path(sys.argv[1])) as file:\n" \
            "    while True: file.write(b'x' * 100_000)"  # fmt: skip
    for number in range(2):
        child = subprocess.Popen([sys.executable, "-c", write, str(path)])
        wanted = path.with_name(f".{path.name}.{child.pid}.partial")
        until(lambda wanted=wanted: wanted.exists() and wanted.stat().st_size, "a partial file")  # type: ignore[misc]
        child.kill()
        child.wait()
        assert path.read_text() == "old" and len(leftovers(tmp_path)) == number + 1
    assert len(leftovers(tmp_path)) == 2 and remove_partials(tmp_path) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_synced_before_and_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is renamed is on the disk already, and then the rename is: a power cut shows the old file or the new."""
    path, told = tmp_path / "report.json", []
    sync, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        told.append("folder" if status.st_nlink > 1 or status.st_mode & 0o40000 else f"file of {status.st_size}")
        sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        told.append("rename")
        return rename(self, target)

    monkeypatch.setattr("ventriloquist.files.os.fsync", fsync)
    monkeypatch.setattr("ventriloquist.files.Path.replace", replace)
    write_whole(path, "12345")
    assert told == ["file of 5", "rename", "folder"]
