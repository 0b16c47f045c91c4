"""Hostile files: whatever they are given to, the parent lives, in time and in memory, and nothing else is touched."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from tests import hostile_media
from tests import media_samples as samples
from ventriloquist.media import convert, limits, stills, transcoding
from ventriloquist.media.convert import Cancelled, Unconvertible
from ventriloquist.media.limits import GIGABYTE, Limits

MOST_SECONDS = 30
OPENED_OR_READ = 0x21
"""IN_OPEN and IN_ACCESS of inotify(7)."""


@dataclass(frozen=True)
class Attack:
    """What came of all the hostile files."""

    files: list[str]
    rows: list[dict[str, Any]]
    memory: dict[str, int]
    connections: int
    touched: bytes
    code: int

    def reason(self, file: str, medium: str) -> str:
        (row,) = [row for row in self.rows if (row["file"], row["medium"]) == (file, medium)]
        return str(row["reason"])


class Watch:
    """Sees on Linux whether a file of a folder is opened or read, by any process."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = -1
        if sys.platform == "linux":
            libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = libc.inotify_init1(os.O_NONBLOCK)
            assert libc.inotify_add_watch(self._descriptor, bytes(folder), OPENED_OR_READ) >= 0

    def seen(self) -> bytes:
        """The events; there are none elsewhere."""
        with suppress(BlockingIOError):
            return os.read(self._descriptor, 65_536) if self._descriptor >= 0 else b""
        return b""


class Listener:
    """A server that counts who connects to it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._callers: list[int] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, (_, caller) = self._socket.accept()
                self._callers.append(caller)
                connection.close()

    def connections(self) -> int:
        """Stop, and say how many there were before; it comes last itself, so that the count can be believed."""
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            caller = last.getsockname()[1]
            deadline = time.monotonic() + 20
            while caller not in self._callers and time.monotonic() < deadline:
                time.sleep(0.01)
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)
        return self._callers.index(caller)


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", hostile_media.__name__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Attack:
    folder = tmp_path_factory.mktemp("attack").resolve()
    listener = Listener()
    written = program("write", str(folder), str(listener.port))
    assert written.returncode == 0, written.stderr
    watch = Watch(folder / "foreign")
    done = program("convert", str(folder))
    connections = listener.connections()
    assert done.returncode == 0, done.stderr
    *rows, memory = map(json.loads, done.stdout.splitlines())
    touched = watch.seen()
    (folder / "foreign" / "secret.txt").read_bytes()
    assert watch.seen() or sys.platform != "linux", "the watch sees"
    files = [path.name for path in (folder / "hostile").iterdir()]
    return Attack(files, rows, memory, connections, touched, done.returncode)


def test_every_hostile_file_is_given_to_every_conversion(attack: Attack) -> None:
    assert len(attack.files) >= 80
    assert {(row["file"], row["medium"]) for row in attack.rows} >= {
        (file, medium) for file in attack.files for medium in ("image", "video", "audio", "text")
    }
    pdfs = {row["file"] for row in attack.rows if row["medium"] == "pdf"}
    assert {"launch.pdf", "external.pdf", "bomb.pdf", "picture-first.pdf", "laughs.docx", "through"} <= pdfs
    assert attack.memory["left"] == 0, "nothing is left in the folder of what is under conversion"


def test_each_ends_in_time_and_memory(attack: Attack) -> None:
    slowest = max(attack.rows, key=lambda row: float(row["seconds"]))
    assert slowest["seconds"] <= MOST_SECONDS, slowest
    assert attack.memory["children"] <= 1_000_000_000
    assert attack.memory["parent"] <= 300_000_000, "nothing is unpacked in the parent"


def test_no_connection_is_made_and_no_foreign_byte_is_read(attack: Attack) -> None:
    assert attack.connections == 0
    assert attack.touched == b""
    assert not [row for row in attack.rows if row["foreign"]]


def test_a_careless_ffmpeg_falls_for_them(tmp_path: Path) -> None:
    """Without which the absence of connections and of reads would say nothing."""
    foreign, listener = tmp_path / "foreign", Listener()
    foreign.mkdir()
    samples.video(foreign / "secret.mp4")
    for name, text in hostile_media.pointers(foreign, listener.port).items():
        (tmp_path / name).write_text(text)
    watch = Watch(foreign)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "quiet", "-protocol_whitelist", "file,http,tcp", "-y"]
    for name, output in (("list-port.m3u8", "a.mp4"), ("list-file.m3u8", "b.mp4"), ("concat.mov", "c.mp4")):
        careless = ["-allowed_extensions", "ALL", "-extension_picky", "0"] if "list" in name else ["-safe", "0"]
        given = [*careless, "-i", str(tmp_path / name), str(tmp_path / output)]
        subprocess.run([*command, *given], stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert listener.connections() >= 1
    assert watch.seen() or sys.platform != "linux"


@pytest.mark.parametrize(
    ("file", "medium", "reason"),
    [
        *((f"bomb.{form}", "image", "too large") for form in ("png", "jpg", "gif", "webp", "tif", "bmp", "heic")),
        ("real-bomb.png", "image", "too large"),
        ("text.heic", "image", "unsupported"),
        ("empty.jpg", "image", "empty"),
        ("picture.eps", "image", "unsupported"),
        ("picture.fits", "image", "unsupported"),
        ("entities.svg", "image", "unsupported"),
        ("truncated-half.jpg", "image", "damaged"),
        ("truncated-half.heic", "image", "unsupported"),
        ("grid.heic", "image", "unsupported"),
        ("list-port.mp4", "video", "damaged"),
        ("list-file.mp4", "video", "damaged"),
        ("concat.mov", "video", "damaged"),
        ("list-port.mp3", "audio", "damaged"),
        ("absurd.avi", "video", "damaged"),
        ("sparse.mov", "video", "damaged"),
        ("truncated-half.mp4", "video", "damaged"),
        ("giant-picture.mp3", "audio", "damaged"),
        ("laughs.docx", "text", "damaged"),
        ("laughs.xlsx", "text", "damaged"),
        ("bomb.docx", "text", "too large"),
        ("encrypted.docx", "text", "encrypted"),
        ("members.docx", "text", "unsupported"),
        ("bomb.pdf", "pdf", "too large"),
        ("preview-bomb.pages", "text", "too large"),
        ("deep.rtf", "text", "damaged"),
        ("zeros.txt", "text", "unsupported"),
        ("circular.pdf", "pdf", "damaged"),
        ("picture-first.pdf", "image", "damaged"),
        *(
            (name, "image", "missing")
            for name in ("pipe.jpg", "folder.mov", "link.mp4", "through", "zero", "secret.txt")
        ),
        ("-i.mp4", "video", ""),
        ("frames.gif", "image", ""),
        ("wrong-suffix.mov", "image", ""),
        ("zip-inside.jpg", "image", ""),
        ("words-bomb.docx", "text", ""),
        ("launch.pdf", "pdf", ""),
    ],
)
def test_why_each_was_refused_is_told_in_one_word(attack: Attack, file: str, medium: str, reason: str) -> None:
    assert attack.reason(file, medium) == reason


def test_every_reason_is_one_of_those_that_are_kept(attack: Attack) -> None:
    assert {row["reason"] for row in attack.rows} <= {"", *limits.REASONS}


def run_python(code: str, how: Limits, stopping: threading.Event | None = None) -> bytes:
    return limits.finished(limits.python("-c", code), subprocess.DEVNULL, how, stopping or threading.Event())


@pytest.mark.parametrize(
    ("code", "how", "reason"),
    [
        ("while True: pass", Limits(30, 1), "slow"),
        ("import time; time.sleep(60)", Limits(0.4, 30), "slow"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", Limits(0.6, 30), "slow"),
        ("import os\nwhile True: os.write(1, bytes(1 << 20))", Limits(30, 30, written=3_000_000), "too large"),
        ("open('f', 'wb').write(bytes(9_000_000))", Limits(30, 30, written=3_000_000), "damaged"),
        ("raise SystemExit(3)", Limits(30, 30), "damaged"),
        ("import os; os.abort()", Limits(30, 30), "damaged"),
    ],
)  # fmt: skip
def test_children_keep_within_their_limits(code: str, how: Limits, reason: str) -> None:
    started = time.monotonic()
    with pytest.raises(Unconvertible) as failure:
        run_python(code, how)
    assert failure.value.reason == reason
    assert time.monotonic() - started < 25


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds memory")
def test_children_get_no_more_memory() -> None:
    assert run_python("print(len(bytes(100_000_000)))", Limits(30, 30)) == b"100000000\n"
    with pytest.raises(Unconvertible):
        run_python("print(len(bytes(1_100_000_000)))", Limits(30, 30))


def test_what_a_child_has_started_ends_with_it(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    code = f"import subprocess, time; p = subprocess.Popen(['sleep', '60']); open({str(told)!r}, 'w').write(str(p.pid))"
    with pytest.raises(Unconvertible):
        run_python(f"{code}; time.sleep(60)", Limits(3, 30))
    assert gone(int(told.read_text()))


def test_a_conversion_ends_when_the_run_stops() -> None:
    stopping = threading.Event()
    threading.Timer(0.3, stopping.set).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        run_python("import time; time.sleep(60)", Limits(60, 30), stopping)
    assert time.monotonic() - started < 20


def test_the_clock_runs_out_without_the_parent_too() -> None:
    child = subprocess.Popen(limits.limited(["sleep", "60"], Limits(0.5, 30)), start_new_session=True)
    assert child.wait(20) == -signal.SIGALRM


def test_children_see_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "canary-key")
    shown = limits.finished(["env"], subprocess.DEVNULL, Limits(20, 20), threading.Event())
    assert b"PATH=" in shown and b"canary-key" not in shown


def gone(process: int, seconds: float = 15) -> bool:
    """Whether the process ends in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{process}/stat")
        with suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":  # nobody has asked for it yet
                return True
        time.sleep(0.05)
    return False


@pytest.fixture
def picture(tmp_path: Path) -> Iterator[Callable[[], bytes]]:
    path = samples.jpeg(tmp_path / "a.jpg")
    stills.release()
    yield lambda: convert.convert(str(path), "image", tmp_path).content
    stills.release()


def decoder_process() -> int:
    (decoder,) = stills._idle
    return decoder._child.pid


def test_pictures_share_a_process_that_stands_ready(picture: Callable[[], bytes], tmp_path: Path) -> None:
    first = picture()
    process = decoder_process()
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(Unconvertible):
        convert.convert(str(tmp_path / "b.jpg"), "image", tmp_path)
    assert picture() == first and decoder_process() == process
    stills.release()
    assert gone(process) and not stills._idle


def test_a_decoder_that_was_killed_is_replaced(picture: Callable[[], bytes]) -> None:
    first = picture()
    process = decoder_process()
    os.kill(process, signal.SIGKILL)
    stills._idle[0]._child.wait()
    assert picture() == first and decoder_process() != process


@pytest.mark.skipif(sys.platform != "linux", reason="forks are found in /proc")
def test_a_picture_that_kills_its_fork_costs_itself(picture: Callable[[], bytes], tmp_path: Path) -> None:
    first = picture()
    process = decoder_process()
    (tmp_path / "b.png").write_bytes(samples.png_of(8000, zlib.compress(bytes(8000 * 1001), 1)))
    failures: list[str] = []

    def decode() -> None:
        try:
            convert.convert(str(tmp_path / "b.png"), "image", tmp_path)
        except Unconvertible as failure:
            failures.append(failure.reason)

    thread = threading.Thread(target=decode)
    thread.start()
    children = Path(f"/proc/{process}/task/{process}/children")
    while not (fork := children.read_text().split()) and thread.is_alive():
        time.sleep(0.001)
    os.kill(int(fork[0]), signal.SIGSEGV)
    thread.join(30)
    assert failures == ["damaged"]
    assert picture() == first and decoder_process() == process


def test_a_decoder_that_hangs_costs_one_picture(picture: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    first = picture()
    process = decoder_process()
    os.kill(process, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(stills, "SECONDS", 0.5)
        with pytest.raises(Unconvertible) as failure:
            picture()
    assert failure.value.reason == "slow" and gone(process)
    assert picture() == first


def test_a_stop_while_a_picture_is_decoded(picture: Callable[[], bytes], tmp_path: Path) -> None:
    picture()
    process = decoder_process()
    os.kill(process, signal.SIGSTOP)
    stopping = threading.Event()
    threading.Timer(0.3, stopping.set).start()
    with pytest.raises(Cancelled):
        convert.convert(str(tmp_path / "a.jpg"), "image", tmp_path, stopping)
    assert gone(process)


def test_several_threads_each_have_a_decoder(picture: Callable[[], bytes]) -> None:
    made: list[bytes] = []
    threads = [threading.Thread(target=lambda: made.append(picture())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 4 and len(set(made)) == 1
    assert 1 <= len(stills._idle) <= 4


def test_decoders_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    path = samples.jpeg(tmp_path / "a.jpg")
    code = (
        "import os, pathlib, signal, sys; from ventriloquist.media import convert, stills; "
        f"convert.convert({str(path)!r}, 'image', pathlib.Path({str(tmp_path)!r})); "
        "print(stills._idle[0]._child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))


def test_a_video_that_is_slow_to_decode_is_shown_by_its_key_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no time for all of its frames, which stands for a video that needs more of it."""
    path = samples.video(tmp_path / "a.mp4", 3)
    monkeypatch.setattr(transcoding, "WHOLE_VIDEO", Limits(0.000001, 1))
    material = convert.convert(str(path), "video", tmp_path)
    assert material.mime_type == "video/mp4" and material.seconds > 1
    assert transcoding.WHOLE_VIDEO.memory == GIGABYTE
