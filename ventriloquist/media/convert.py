"""Attachments made small and anonymous for a captioner: pixels and sound, no name, no place, no metadata.

Strangers' files are only ever decoded in child processes, with bounded time, memory and output, no network protocol,
no playlist format, and an environment that holds no secrets.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from ventriloquist.media import still
from ventriloquist.media.captioner import Material
from ventriloquist.media.words import Medium

MEGABYTE = 1_000_000
LARGEST_FILE: dict[Medium, int] = {
    "image": 200 * MEGABYTE,
    "video": 8_000 * MEGABYTE,
    "audio": 2_000 * MEGABYTE,
    "pdf": 30 * MEGABYTE,  # inline requests may hold 50 MB of PDF, in base64
}
LARGEST_MATERIAL = 40 * MEGABYTE
VIDEO_SECONDS = 30
VIDEO_LONG_SIDE = 480
VIDEO_FRAMES_A_SECOND = 2
STILL_SECONDS = 30
VIDEO_CONVERSION_SECONDS = 120
AUDIO_CONVERSION_SECONDS = 300
FFMPEG_MEMORY = 4 * 1024**3
MOST_VIDEO_PIXELS = 36_000_000

_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,flv,asf,h264,hevc,"
    "caf,amr,mp3,aac,wav,w64,aiff,au,ogg,flac,gif"
)
_KEPT_VARIABLES = (
    "PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH",
)  # fmt: skip


class Unconvertible(Exception):
    """The file cannot be made into something a captioner understands."""


class Cancelled(Exception):
    """The run is stopping; the conversion was given up."""


def convert(path: str, medium: Medium, scratch: Path, cancelled: threading.Event | None = None) -> Material:
    """What a captioner gets of the file: a JPEG, an MP4 of its first half minute, an MP3, or the PDF itself.

    `scratch` is a private directory. Raises Unconvertible, or Cancelled once `cancelled` is set.
    """
    stopping = cancelled or threading.Event()
    with _opened(path, LARGEST_FILE[medium]) as file:
        match medium:
            case "image":
                content = still_jpeg(file, stopping)
                material = Material(medium, "image/jpeg", content)
            case "video":
                content = _transcoded(path, _TO_VIDEO, "mp4", VIDEO_CONVERSION_SECONDS, scratch, stopping)
                material = Material(medium, "video/mp4", content)
            case "audio":
                content = _transcoded(path, _TO_AUDIO, "mp3", AUDIO_CONVERSION_SECONDS, scratch, stopping)
                material = Material(medium, "audio/mpeg", content)
            case "pdf":
                content = file.read(LARGEST_FILE[medium])
                if b"%PDF-" not in content[:1024]:
                    raise Unconvertible
                material = Material(medium, "application/pdf", content)
    if not content:
        raise Unconvertible
    return material


def size_on_disk(path: str | None) -> int:
    """Bytes of the regular file, and no link, that lies there now; 0 if there is none."""
    try:
        status = os.lstat(path or "")
    except (OSError, ValueError):
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _opened(path: str, most_bytes: int) -> IO[bytes]:
    """The file, open for reading, if it is a regular one of a size that makes sense."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):
        raise Unconvertible from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= most_bytes:
        os.close(descriptor)
        raise Unconvertible
    return os.fdopen(descriptor, "rb")


def still_jpeg(file: IO[bytes], stopping: threading.Event) -> bytes:
    """The picture as a small JPEG, decoded by `still` in a process of its own."""
    command = [sys.executable, "-P", "-W", "ignore", str(Path(still.__file__).resolve())]
    return _finished(command, file, STILL_SECONDS, still.MEMORY, stopping)


_TO_VIDEO = (
    "-map", "0:v:0", "-map", "0:a:0?", "-sn", "-dn",
    "-vf", f"fps={VIDEO_FRAMES_A_SECOND},scale='min({VIDEO_LONG_SIDE},iw)':'min({VIDEO_LONG_SIDE},ih)'"
    ":force_original_aspect_ratio=decrease:force_divisible_by=2",
    "-c:v", "libx264", "-preset", "veryfast", "-crf", "30", "-pix_fmt", "yuv420p",
    "-c:a", "aac", "-ac", "1", "-ar", "16000", "-b:a", "32k", "-t", str(VIDEO_SECONDS), "-movflags", "+faststart",
)  # fmt: skip
_TO_AUDIO = (
    "-map", "0:a:0", "-vn", "-sn", "-dn",
    "-c:a", "libmp3lame", "-ac", "1", "-ar", "16000", "-b:a", "32k", "-id3v2_version", "0", "-write_xing", "0",
)  # fmt: skip


def _transcoded(
    path: str, how: Sequence[str], form: str, seconds: float, scratch: Path, stopping: threading.Event
) -> bytes:
    """The file as ffmpeg re-encodes it `how`, without metadata, chapters, subtitles and data streams."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        output = Path(folder) / f"out.{form}"
        command = [
            _ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "quiet", "-y",
            "-protocol_whitelist", "file,pipe", "-format_whitelist", _DEMUXERS,
            "-max_pixels", str(MOST_VIDEO_PIXELS), "-threads", "1",
            *(("-t", str(VIDEO_SECONDS)) if form == "mp4" else ()), "-i", f"file:{Path(path).absolute()}",
            *how, "-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags", "+bitexact",
            "-threads", "1", "-fs", str(LARGEST_MATERIAL), "-f", form, f"file:{output}",
        ]  # fmt: skip
        _finished(command, None, seconds, FFMPEG_MEMORY, stopping)
        try:
            return output.read_bytes()
        except OSError:
            raise Unconvertible from None


def _ffmpeg() -> str:
    import imageio_ffmpeg

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        raise Unconvertible from None


def _finished(
    command: Sequence[str], stdin: IO[bytes] | None, seconds: float, memory: int, stopping: threading.Event
) -> bytes:
    """What the command writes to stdout; raises Unconvertible if it fails or takes too long, Cancelled on a stop."""
    child = subprocess.Popen(
        command,
        stdin=stdin or subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what decoders say may name files
        env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
        start_new_session=True,
    )
    _limit(child.pid, memory, int(seconds) + 1)
    deadline = time.monotonic() + seconds
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                output, _ = child.communicate(timeout=0.25)
                break
            if stopping.is_set():
                raise Cancelled
            if time.monotonic() > deadline:
                raise Unconvertible
    finally:
        if child.returncode is None:
            child.kill()
            child.communicate()
    if child.returncode != 0:
        raise Unconvertible
    return output


def _limit(process: int, memory: int, cpu_seconds: int) -> None:
    """Bound a child's memory and processor time, where the system can do that from outside (Linux)."""
    import resource

    if sys.platform == "linux":
        with suppress(OSError, ValueError):  # it has ended already, or has less than this anyway
            resource.prlimit(process, resource.RLIMIT_AS, (memory, memory))
            resource.prlimit(process, resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
