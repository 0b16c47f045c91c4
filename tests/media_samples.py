"""Small real media files, made on the spot."""

from __future__ import annotations

import random
import struct
import subprocess
import zlib
from pathlib import Path

import imageio_ffmpeg
import pillow_heif
from PIL import Image

CANARY = "CANARY-of-a-private-name"
LATITUDE = (48.0, 51.0, 29.5)


def picture(size: tuple[int, int] = (640, 480), seed: int = 1) -> Image.Image:
    """Coloured squares, different for each seed."""
    small = Image.frombytes("RGB", (8, 6), random.Random(seed).randbytes(8 * 6 * 3))
    return small.resize(size, Image.Resampling.NEAREST)


def exif() -> Image.Exif:
    """Camera, artist and a place."""
    tags = Image.Exif()
    tags[0x010F] = CANARY
    tags[0x013B] = CANARY
    tags[0x0112] = 6  # to be turned by a quarter
    tags.get_ifd(0x8825).update({1: "N", 2: LATITUDE, 3: "E", 4: (2.0, 17.0, 40.2)})
    return tags


def jpeg(path: Path, size: tuple[int, int] = (1600, 1200), seed: int = 1) -> Path:
    picture(size, seed).save(path, "JPEG", exif=exif(), comment=CANARY.encode())
    return path


def heic(path: Path, seed: int = 2) -> Path:
    pillow_heif.register_heif_opener()
    picture((1024, 640), seed).save(path, "HEIF", exif=exif())
    return path


def png_of(pixels: int, data: bytes = b"", chunk: bytes = b"") -> bytes:
    """A PNG that says it is `pixels` wide and high, one bit each, with that compressed data (or for 8 x 8 of them)
    and another chunk (its name, then its content) before it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", pixels, pixels, 1, 0, 0, 0, 0)
    chunks = [header, *filter(None, [chunk]), b"IDAT" + (data or zlib.compress(bytes(16))), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in chunks
    )


def ffmpeg(*arguments: str) -> None:
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-y", "-loglevel", "error", *arguments], check=True, timeout=60
    )


def video(path: Path, seconds: float = 1.0) -> Path:
    ffmpeg(
        "-f", "lavfi", "-i", f"testsrc=size=960x540:rate=10:duration={seconds}",
        "-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}",
        "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest",
        "-movflags", "use_metadata_tags", "-metadata", f"title={CANARY}",
        "-metadata", "com.apple.quicktime.location.ISO6709=+48.8582+002.2945/", str(path),
    )  # fmt: skip
    return path


def audio(path: Path, seconds: float = 2.0) -> Path:
    """A tone with a title; as AMR, which not every ffmpeg writes, frames of 20 ms that hold nothing."""
    if path.suffix == ".amr":
        path.write_bytes(b"#!AMR\n" + (b"\x3c" + bytes(31)) * round(seconds * 50))
        return path
    ffmpeg(
        "-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds}", "-metadata", f"title={CANARY}", str(path)
    )  # fmt: skip
    return path


def pdf(path: Path, title: str = "minutes") -> Path:
    picture((200, 200)).save(path, "PDF", title=title)
    return path
