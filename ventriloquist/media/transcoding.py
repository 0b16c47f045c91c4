"""Videos and sound re-encoded by ffmpeg: short, small, and without metadata, chapters, subtitles and data streams.

ffmpeg gets the file as an open descriptor and may open nothing else for reading: no protocol but that descriptor, no
playlist format, no name. What it makes is written into a private folder.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from ventriloquist.media.limits import GIGABYTE, Limits, finished
from ventriloquist.media.opening import Unconvertible

VIDEO_SECONDS = 15
VIDEO_LONG_SIDE = 480
VIDEO_FRAMES_A_SECOND = 2
STILLS_EVERY = 3
"""Seconds between the frames that stand for a video where a server takes only pictures."""
PART_SECONDS = 1200
"""Seconds of sound in one request: what is said in twenty minutes is written down whole by a model."""
MOST_PARTS = 36
LARGEST_OUTPUT = 12_000_000
MOST_VIDEO_PIXELS = 36_000_000

WHOLE_VIDEO = Limits(seconds=18, cpu_seconds=18, memory=GIGABYTE, written=LARGEST_OUTPUT)
KEY_FRAMES = Limits(seconds=10, cpu_seconds=10, memory=GIGABYTE, written=LARGEST_OUTPUT)
SOUND = Limits(seconds=28, cpu_seconds=25, memory=GIGABYTE // 2, written=LARGEST_OUTPUT)

_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,flv,asf,h264,hevc,"
    "caf,amr,mp3,aac,wav,w64,aiff,au,ogg,flac"
)
_TO_VIDEO = (
    "-map", "0:v:0", "-map", "0:a:0?", "-sn", "-dn",
    "-vf", f"fps={VIDEO_FRAMES_A_SECOND}:eof_action=pass,scale='min({VIDEO_LONG_SIDE},iw)':'min({VIDEO_LONG_SIDE},ih)'"
    ":force_original_aspect_ratio=decrease:force_divisible_by=2",
    "-c:v", "libx264", "-preset", "veryfast", "-crf", "30", "-pix_fmt", "yuv420p",
    "-c:a", "aac", "-ac", "1", "-ar", "16000", "-b:a", "32k", "-t", str(VIDEO_SECONDS), "-movflags", "+faststart",
)  # fmt: skip
_TO_SOUND = (
    "-map", "0:a:0", "-vn", "-sn", "-dn",
    "-c:a", "libmp3lame", "-ac", "1", "-ar", "16000", "-b:a", "32k", "-id3v2_version", "0", "-write_xing", "0",
)  # fmt: skip
_ONE_EVERY = f"fps=1/{STILLS_EVERY}:start_time=0:round=up:eof_action=pass"
_TO_FRAMES = ("-map", "0:v:0", "-an", "-vf", _ONE_EVERY, "-c:v", "mjpeg", "-q:v", "4")
_REACHED = re.compile(rb"^out_time_us=(\d{1,15})$", re.MULTILINE)
_JPEG_START = b"\xff\xd8\xff"


class Clip(NamedTuple):
    """What was made, and how many seconds long it is."""

    content: bytes
    seconds: float


def video(file: IO[bytes], scratch: Path, stopping: threading.Event) -> Clip:
    """The first `VIDEO_SECONDS` as H.264 and AAC in an MP4.

    A video that takes too long to decode is shown by its key frames.
    """
    first = ("-t", str(VIDEO_SECONDS))
    try:
        return _transcoded(file, first, _TO_VIDEO, "mp4", WHOLE_VIDEO, scratch, stopping)
    except Unconvertible as failure:
        if failure.reason != "slow":
            raise
    return _transcoded(file, ("-skip_frame", "nokey", *first), _TO_VIDEO, "mp4", KEY_FRAMES, scratch, stopping)


def frames(clip: Clip, scratch: Path, stopping: threading.Event) -> tuple[bytes, ...]:
    """JPEGs of what `video` made, the first and then one every `STILLS_EVERY` seconds."""
    with tempfile.TemporaryFile(dir=scratch) as file:
        file.write(clip.content)
        made = _transcoded(file, (), _TO_FRAMES, "mjpeg", KEY_FRAMES, scratch, stopping).content
    return tuple(_JPEG_START + jpeg for jpeg in made.split(_JPEG_START)[1:])


def sound(file: IO[bytes], scratch: Path, stopping: threading.Event) -> Iterator[Clip]:
    """All that can be heard, as MP3s of at most `PART_SECONDS`, one after the other."""
    for part in range(MOST_PARTS):
        wanted = ("-ss", str(part * PART_SECONDS), "-t", str(PART_SECONDS))
        try:
            clip = _transcoded(file, wanted if part else wanted[2:], _TO_SOUND, "mp3", SOUND, scratch, stopping)
        except Unconvertible:
            if part:  # a recording whose length is a whole number of parts ends here, or it is damaged from here on
                return
            raise
        yield clip
        if clip.seconds < PART_SECONDS - 1:
            return


def _transcoded(
    file: IO[bytes],
    reading: Sequence[str],
    how: Sequence[str],
    form: str,
    limits: Limits,
    scratch: Path,
    stopping: threading.Event,
) -> Clip:
    """The file as ffmpeg re-encodes it `how`, having been told `reading` of the input."""
    file.seek(0)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        output = (Path(folder) / f"out.{form}").absolute()
        command = [
            _ffmpeg(), "-hide_banner", "-nostdin", "-loglevel", "quiet", "-nostats", "-progress", "pipe:1", "-y",
            "-filter_threads", "1", "-protocol_whitelist", "fd", "-format_whitelist", _DEMUXERS,
            "-max_pixels", str(MOST_VIDEO_PIXELS), "-threads", "1", *reading, "-i", "fd:",
            *how, "-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags", "+bitexact",
            "-threads", "1", "-fs", str(LARGEST_OUTPUT), "-f", form, f"file:{output}",
        ]  # fmt: skip
        told = finished(command, file, limits, stopping)
        try:
            content = output.read_bytes()
        except OSError:
            raise Unconvertible("damaged") from None
    reached = _REACHED.findall(told)
    if not content or not reached or not int(reached[-1]):
        raise Unconvertible("damaged")
    return Clip(content, int(reached[-1]) / 1e6)


def _ffmpeg() -> str:
    import imageio_ffmpeg

    from ventriloquist.faults import Fault

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        raise Fault("There is no ffmpeg, which makes videos and sound small. Install Ventriloquist again.") from None
