"""Bad input, refused permissions and full disks: an exit code, one sentence that says what to do, nothing lost."""

from __future__ import annotations

import ctypes
import hashlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands import command, ventriloquist
from tests.conftest import SMALL, do
from tests.messages_db import ChatDbWriter
from ventriloquist import demo
from ventriloquist.faults import Exit, Fault, from_os_error, unforeseen
from ventriloquist.runs import list_runs
from ventriloquist.store import Store
from ventriloquist.windows.file import read_report
from ventriloquist.workspace import Workspace

CANARY = "purple elephants at midnight"
TRAIN = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def refused(told: subprocess.CompletedProcess[str], code: Exit, *words: str) -> None:
    """Check that a command failed as it should: its code, and at last one sentence with these words in it."""
    assert told.returncode == code, told.stderr
    assert "Traceback" not in told.stderr and told.stderr.count("Error: ") == 1
    last = told.stderr.splitlines()[-1]
    assert last.startswith("Error: ") and all(word in last for word in words), last


def kept(workspace: Workspace) -> dict[str, str]:
    """The digest of every file that matters, by name: not the runs, the lock, and SQLite's own scratch files."""
    found = {}
    for path in sorted(workspace.root.rglob("*")):
        name = path.relative_to(workspace.root).as_posix()
        passing = name.startswith("data/runs/") or name in ("data/lock", "ballast") or name.endswith(("-wal", "-shm"))
        if path.is_file() and not passing:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def exported(workspace: Workspace) -> list[object]:
    with Store.open(workspace) as store:
        return list(store.export())


# --- the history ------------------------------------------------------------------------------------------------


def make_history(folder: Path, kind: str, sample: demo.Sample) -> Path:
    """A chat.db that something is wrong with."""
    path = folder / "chat.db"
    if kind == "none":
        return path
    if kind == "empty":
        return ChatDbWriter(folder).close()
    if kind == "other":
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE recipes (title TEXT)")
        return path
    content = sample.chat_db.read_bytes()
    if kind == "text":
        content = b"Dear diary, " * 1000
    elif kind == "nothing":
        content = b""
    elif kind == "short":
        content = content[: len(content) // 2]
    elif kind == "holes":
        pages = bytearray(content)
        for page in range(3, len(pages) // 4096, 2):
            pages[page * 4096 : page * 4096 + 4096] = bytes([page % 256]) * 4096
        content = bytes(pages)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("none", ("There is no Messages history at", "--db PATH")),
        ("empty", ("holds no messages", "unchanged")),
        ("text", ("is no SQLite database", "--db PATH")),
        ("nothing", ("is no SQLite database", "--db PATH")),
        ("short", ("damaged", ".recover")),
        ("holes", ("damaged", ".recover")),
        ("other", ("not of Messages", "--db PATH")),
    ],
)
def test_a_history_that_is_none_changes_nothing(
    workspace: Workspace, sample: demo.Sample, tmp_path: Path, kind: str, words: tuple[str, ...]
) -> None:
    path = make_history(tmp_path, kind, sample)
    refused(ventriloquist(workspace, "collect", "--db", path), Exit.NO_INPUT, *words)
    do("collect", workspace, db=sample.chat_db, region="US")
    before, messages, source = kept(workspace), exported(workspace), path.read_bytes() if path.exists() else None
    refused(ventriloquist(workspace, "collect", "--db", path), Exit.NO_INPUT, *words)
    assert exported(workspace) == messages and kept(workspace) == before
    assert (path.read_bytes() if path.exists() else None) == source


# --- stages without what they need ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["describe"], "Run: ventriloquist collect"),
        (["preprocess"], "Run: ventriloquist collect"),
        (["messages"], "Run: ventriloquist collect"),
        (["people", "list"], "Run: ventriloquist collect"),
        (["train"], "Run: ventriloquist preprocess"),
        (["evaluate"], "Run: ventriloquist preprocess"),
        (["chat"], "Run: ventriloquist train"),
    ],
)
def test_a_stage_names_the_one_before_it(workspace: Workspace, words: list[str], said: str) -> None:
    refused(ventriloquist(workspace, *words), Exit.NO_INPUT, said)
    assert kept(workspace) == {}


def test_no_checkpoint_yet(copy_of_learnt: Workspace) -> None:
    shutil.rmtree(copy_of_learnt.checkpoints)
    before = kept(copy_of_learnt)
    refused(ventriloquist(copy_of_learnt, "evaluate"), Exit.NO_INPUT, "Run: ventriloquist train")
    refused(ventriloquist(copy_of_learnt, "chat", stdin="hey\n"), Exit.NO_INPUT, "Run: ventriloquist train")
    assert kept(copy_of_learnt) == before


def test_a_damaged_checkpoint_is_named(copy_of_learnt: Workspace) -> None:
    (weights,) = copy_of_learnt.checkpoints.glob("*/final/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-10])
    for words in (["chat"], ["evaluate", "--checkpoint", weights.parents[1].name]):
        refused(ventriloquist(copy_of_learnt, *words, stdin="hey\n"), Exit.FAILED, "model.safetensors", "Train again")


def test_a_damaged_store_is_named(copy_of_learnt: Workspace) -> None:
    path = copy_of_learnt.messages_db
    good = path.read_bytes()
    for bad in (good[: len(good) // 3], good[:100] + os.urandom(len(good) - 100)):
        path.write_bytes(bad)
        for words in (["messages"], ["preprocess"], ["status"], ["describe"]):
            refused(
                ventriloquist(copy_of_learnt, *words), Exit.FAILED, "messages.db is damaged", "ventriloquist collect"
            )
        assert path.read_bytes() == bad


def test_changed_windows_are_not_trained_on(copy_of_learnt: Workspace) -> None:
    content = copy_of_learnt.windows.read_bytes()
    for bad in (content[:-20], content.replace(b"train", b"tram_"), b""):
        copy_of_learnt.windows.write_bytes(bad)
        refused(ventriloquist(copy_of_learnt, "train", *TRAIN), Exit.NO_INPUT, "ventriloquist preprocess")
    copy_of_learnt.windows.write_bytes(b'{"text": ' + content)
    refused(ventriloquist(copy_of_learnt, "evaluate"), Exit.NO_INPUT, "ventriloquist preprocess")


def test_nobody_left_to_learn_from(copy_of_learnt: Workspace) -> None:
    before = kept(copy_of_learnt)
    refused(ventriloquist(copy_of_learnt, "preprocess", "--min-messages", 10_000), Exit.NO_INPUT, "--min-messages")
    refused(ventriloquist(copy_of_learnt, "preprocess", "--only", "Nobody Here"), Exit.USAGE, "people list")
    assert kept(copy_of_learnt) == before


def test_places_that_are_no_workspace(tmp_path: Path, sample: demo.Sample) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for words in (["status"], ["collect", "--db", sample.chat_db], ["runs", "list"], ["chat"]):
        refused(ventriloquist(file, *words), Exit.NO_INPUT, "is a file", "--workspace")
    assert file.read_text() == "mine"


# --- permissions ------------------------------------------------------------------------------------------------


def without_privileges() -> None:
    """For root on Linux: after the next exec, file permissions count as they do for anyone else."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                os._exit(77)


def as_anyone(workspace: Workspace, *words: object) -> subprocess.CompletedProcess[str]:
    if os.geteuid() == 0 and sys.platform != "linux":
        pytest.skip("root is refused nothing here")
    told = subprocess.run(
        command(workspace, *words), capture_output=True, text=True, check=False, preexec_fn=without_privileges
    )
    if told.returncode == 77:
        pytest.skip("root may not give up its privileges here")
    return told


@pytest.fixture
def mode() -> Iterator[Callable[[Path, int], None]]:
    """Sets a mode, and gives it back after the test."""
    changed: list[tuple[Path, int]] = []

    def change(path: Path, to: int) -> None:
        changed.append((path, path.stat().st_mode & 0o777))
        path.chmod(to)

    yield change
    for path, before in reversed(changed):
        path.chmod(before)


def test_a_history_that_may_not_be_read(
    workspace: Workspace, sample: demo.Sample, tmp_path: Path, mode: Callable[[Path, int], None]
) -> None:
    do("collect", workspace, db=sample.chat_db, region="US")
    before = exported(workspace)
    folder = tmp_path / "Messages"
    shutil.copytree(sample.chat_db.parent, folder)
    mode(folder / "chat.db", 0o000)
    told = as_anyone(workspace, "collect", "--db", folder / "chat.db")
    refused(told, Exit.NO_INPUT, "Full Disk Access", "System Settings")
    mode(folder, 0o000)
    told = as_anyone(workspace, "collect", "--db", folder / "chat.db")
    refused(told, Exit.NO_INPUT, "Full Disk Access")
    assert exported(workspace) == before


def test_a_workspace_that_may_not_be_written(
    copy_of_learnt: Workspace, sample: demo.Sample, mode: Callable[[Path, int], None]
) -> None:
    before = kept(copy_of_learnt)
    for path in sorted(copy_of_learnt.root.rglob("*"), reverse=True):
        mode(path, 0o500 if path.is_dir() else 0o400)
    mode(copy_of_learnt.root, 0o500)
    for words in (["collect", "--db", sample.chat_db], ["describe"], ["preprocess"], ["train", *TRAIN], ["evaluate"]):
        refused(as_anyone(copy_of_learnt, *words), Exit.NO_INPUT, "Permission denied")
    assert as_anyone(copy_of_learnt, "runs", "list").returncode == 0
    assert kept(copy_of_learnt) == before


def test_a_workspace_that_may_not_be_entered(tmp_path: Path, mode: Callable[[Path, int], None]) -> None:
    (tmp_path / "theirs" / "w" / "data").mkdir(parents=True)
    mode(tmp_path / "theirs", 0o000)
    for words in (["status"], ["preprocess"], ["runs", "list"]):
        refused(as_anyone(Workspace(tmp_path / "theirs" / "w"), *words), Exit.NO_INPUT, "Permission denied")
    mode(tmp_path / "theirs", 0o700)
    mode(tmp_path / "theirs" / "w" / "data", 0o000)
    for words in (["status"], ["messages"], ["runs", "list"]):
        refused(as_anyone(Workspace(tmp_path / "theirs" / "w"), *words), Exit.NO_INPUT, "Permission denied")


# --- full disks -------------------------------------------------------------------------------------------------


class SmallDisk:
    """A workspace on a file system of its own (root on Linux), or under a limit on the size of each file."""

    def __init__(self, root: Path, megabytes: int) -> None:
        self.workspace, self._root, self._limit = Workspace(root), root, 0
        root.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(root)]
        can = os.geteuid() == 0 and sys.platform == "linux" and shutil.which("mount")
        self.mounted = bool(can) and subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def fill(self, leave: int) -> None:
        """Leave room for so many bytes."""
        self._limit = leave
        if self.mounted:
            with (self._root / "ballast").open("wb", buffering=0) as file:
                room = os.statvfs(self._root)
                for _ in range(max(room.f_bavail - -(-leave // room.f_bsize), 0)):
                    file.write(bytes(room.f_bsize))

    def free(self) -> None:
        self._limit = 0
        (self._root / "ballast").unlink(missing_ok=True)

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        def limit() -> None:
            if self._limit and not self.mounted:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self._limit, self._limit))

        return subprocess.run(
            command(self.workspace, *words), capture_output=True, text=True, check=False, preexec_fn=limit
        )

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self._root)], check=True)


@pytest.fixture(params=["best", "limited"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    small = SmallDisk(tmp_path / "disk", 12)
    if request.param == "limited" and small.mounted:
        small.close()
        small.mounted = False
    yield small
    small.close()


def fills_up(disk: SmallDisk, words: list[object], sizes: tuple[int, ...]) -> int:
    """Run a stage with less and less short of room; returns how often it had begun when the disk was full."""
    before, begun = kept(disk.workspace), 0
    for leave in sizes:
        disk.fill(leave)
        runs = len(list_runs(disk.workspace))
        told = disk.run(*words)
        refused(told, Exit.FAILED, "The disk is full: ", "what was there before is unchanged", "Free some space")
        begun += len(list_runs(disk.workspace)) > runs
        assert kept(disk.workspace) == before, f"something changed with {leave} bytes left"
        disk.free()
    told = disk.run(*words)
    assert told.returncode == 0, told.stderr
    assert kept(disk.workspace) != before and not list(disk.workspace.root.rglob(".*.partial"))
    return begun


def test_a_full_disk_at_collect(disk: SmallDisk, sample: demo.Sample, tmp_path: Path) -> None:
    writer = ChatDbWriter(tmp_path / "old")
    chat = writer.chat(writer.handle("+12025550101"))
    for number in range(50):
        writer.message(chat, f"hello {number}", number % 2)
    do("collect", disk.workspace, db=writer.close(), region="US")
    before = exported(disk.workspace)
    words = ["collect", "--db", sample.chat_db, "--region", "US"]
    assert fills_up(disk, words, (65_536, 131_072)) == 2
    assert exported(disk.workspace) != before
    do("collect", Workspace(tmp_path / "roomy"), db=sample.chat_db, region="US")
    assert exported(disk.workspace) == exported(Workspace(tmp_path / "roomy"))


def test_a_full_disk_at_preprocess(disk: SmallDisk, learnt: Workspace) -> None:
    shutil.copytree(learnt.data, disk.workspace.data)
    assert fills_up(disk, ["preprocess", "--size", 30, "--stride", 7], (49_152, 81_920)) == 2
    report = read_report(disk.workspace)
    assert report and report["sha256"] == hashlib.sha256(disk.workspace.windows.read_bytes()).hexdigest()


@pytest.mark.parametrize("disk", ["best"], indirect=True)
def test_a_disk_too_full_to_begin(disk: SmallDisk, learnt: Workspace) -> None:
    if not disk.mounted:
        pytest.skip("a limit on each file's size stops no run from beginning")
    shutil.copytree(learnt.data, disk.workspace.data)
    shutil.rmtree(disk.workspace.runs)
    assert fills_up(disk, ["preprocess", "--size", 30], (0, 4_096)) == 0
    assert len(list(disk.workspace.runs.iterdir())) == 1, "runs that could not begin leave nothing"


# --- what the sentences say -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 140))
def test_every_error_of_the_system_has_its_sentence(number: int) -> None:
    fault = from_os_error(OSError(number, os.strerror(number), "/somewhere"), "writing the windows")
    assert str(fault).endswith(".") and "\n" not in str(fault) and fault.exit in (Exit.FAILED, Exit.NO_INPUT)


def test_what_nobody_foresaw_tells_its_place_and_not_its_words() -> None:
    def unlucky() -> Fault:
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            return unforeseen(error, "the command")

    assert CANARY not in str(unlucky()) and "ValueError" in str(unlucky())
    full = unforeseen(Exception("Error while serializing: I/O error: No space left on device (os error 28)"), "the run")
    assert str(full).startswith("The disk is full: the run stopped")


# --- privacy ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def by_commands(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A small history through every stage's command, by someone whose new files are readable by all."""
    folder = tmp_path_factory.mktemp("private")
    workspace, writer = Workspace(folder / "w"), ChatDbWriter(folder / "source")
    chat = writer.chat(writer.handle("+12025550101"))
    for number in range(60):
        writer.message(chat, f"{CANARY} {number}", number % 2)
    cut = ["preprocess", "--size", 12, "--stride", 8]
    learn = [["train", *TRAIN, "--max-steps", 1], ["evaluate", "--limit", 2]]
    for words in (
        ["collect", "--db", writer.close()],
        ["describe"],
        cut,
        *learn,
        ["status", "--json"],
        [*cut, "--detach"],
    ):
        told = ventriloquist(workspace, *words, preexec_fn=lambda: os.umask(0o022))
        assert told.returncode == 0 and CANARY not in told.stdout + told.stderr, told.stderr
    assert ventriloquist(workspace, "runs", "watch", told.stdout.strip()).returncode == 0
    return workspace


def test_everything_belongs_to_its_owner_alone(by_commands: Workspace) -> None:
    found = [by_commands.data, by_commands.checkpoints]
    found += [*by_commands.data.rglob("*"), *by_commands.checkpoints.rglob("*")]
    assert {"messages.db", "training_windows.jsonl", "events.jsonl", "model.safetensors"} <= {
        path.name for path in found
    }
    for path in found:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_no_words_of_a_message_in_what_runs_keep(by_commands: Workspace, tmp_path: Path) -> None:
    shutil.copytree(by_commands.root, tmp_path / "w")
    workspace = Workspace(tmp_path / "w")
    assert CANARY in workspace.windows.read_text()
    content = workspace.messages_db.read_bytes()
    assert CANARY.encode() in content
    workspace.messages_db.write_bytes(content[: len(content) // 2])
    workspace.windows.write_bytes(workspace.windows.read_bytes()[:-30])
    for words in (["preprocess"], ["evaluate"], ["train"], ["train", "--base", CANARY]):
        told = ventriloquist(workspace, *words)
        assert told.returncode not in (0, 2) and (CANARY not in told.stderr or words[-1] == CANARY)
    named = workspace.runs / list_runs(workspace)[-1].id
    found = [file for file in workspace.runs.rglob("*") if file.is_file() and named not in file.parents]
    heard = [file for file in found if file.name == "exchanges.jsonl"]  # which is there to hold them
    assert heard and all(CANARY.encode() in file.read_bytes() for file in heard)
    found = [file for file in found if file not in heard]
    assert len(found) >= 9 * 3 and not [file.name for file in found if CANARY.encode() in file.read_bytes()]
