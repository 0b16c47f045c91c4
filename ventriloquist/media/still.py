"""A program of its own: reads one picture on stdin, writes it on stdout as a small JPEG that holds nothing but pixels.

A stranger's picture is decoded here and not in the process that holds the key and the messages: whatever it does to
the decoder ends this process alone. It imports nothing of the project, and is started with `convert.still_jpeg`.
"""

from __future__ import annotations

import resource
import sys
import warnings
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO

LONG_SIDE = 768
MOST_PIXELS = 64_000_000
MEMORY = 2 * 1024**3
CPU_SECONDS = 20
FORMATS = ("JPEG", "PNG", "GIF", "HEIF", "AVIF", "WEBP", "TIFF", "BMP")
QUALITY = 85


def limit_myself() -> None:
    """Bound this process's memory and time, where the system lets us."""
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # macOS knows no limit of address space
            resource.setrlimit(what, (most, most))


def small_jpeg(file: BinaryIO) -> bytes:
    """The first frame of a picture, upright, at most `LONG_SIDE` pixels long, on white, without any metadata.

    Raises whatever Pillow raises for something that is no picture of `FORMATS` or has over `MOST_PIXELS`.
    """
    import pillow_heif
    from PIL import Image, ImageOps

    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    with Image.open(file, formats=FORMATS) as picture:
        picture.thumbnail((LONG_SIDE, LONG_SIDE), reducing_gap=2.0)
        upright = ImageOps.exif_transpose(picture)
        colours = upright.convert("RGBA")
        # pixels are pasted into a new image: a converted one would carry comments and profiles along
        page = Image.new("RGB", colours.size, "white")
        page.paste(colours, mask=colours.getchannel("A"))
    jpeg = BytesIO()
    page.save(jpeg, "JPEG", quality=QUALITY)
    return jpeg.getvalue()


def main() -> None:
    limit_myself()
    sys.stdout.buffer.write(small_jpeg(sys.stdin.buffer))


if __name__ == "__main__":
    main()
