"""A program of its own: makes pictures small, each in a fork that ends with it.

A stranger's picture is decoded there and not in the process that holds the key and the messages: whatever it does to
the decoder ends that fork alone. Pillow is loaded once, before the first fork, so that a picture costs no start of an
interpreter. Files come as open descriptors on the socket that is stdin; no name is known here. It imports nothing of
the project, and is used through `stills`.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
import warnings
from io import BytesIO
from typing import BinaryIO

LONG_SIDE = 768
MOST_PIXELS = 64_000_000
CPU_SECONDS = 20
WALL_SECONDS = 28
FORMATS = ("JPEG", "PNG", "GIF", "HEIF", "AVIF", "WEBP", "TIFF", "BMP")
QUALITY = 85


def small_jpeg(file: BinaryIO) -> bytes:
    """The first frame of a picture, upright, at most `LONG_SIDE` pixels long, on white, without any metadata.

    Raises whatever Pillow raises for something that is no picture of `FORMATS` or has over `MOST_PIXELS`.
    """
    from PIL import Image, ImageOps

    with Image.open(file, formats=FORMATS) as opened:
        picture = opened.convert("L") if opened.mode.startswith("I;16") else opened  # which cannot be reduced
        picture.thumbnail((LONG_SIDE, LONG_SIDE), reducing_gap=2.0)
        upright = ImageOps.exif_transpose(picture)
        # pixels are pasted into a new image: a converted one would carry comments and profiles along
        page = Image.new("RGB", upright.size, "white")
        if upright.has_transparency_data:
            colours = upright.convert("RGBA")
            page.paste(colours, mask=colours.getchannel("A"))
        else:
            page.paste(upright.convert("RGB"))
    jpeg = BytesIO()
    page.save(jpeg, "JPEG", quality=QUALITY)
    return jpeg.getvalue()


def load() -> None:
    """Get Pillow ready; a picture with too many pixels is an error from here on."""
    import pillow_heif
    from PIL import Image

    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    Image.init()


def answer(file: BinaryIO) -> bytes:
    """The mark and the JPEG, or why there is none; see `limits.answered`."""
    from PIL import Image, UnidentifiedImageError

    try:
        return b"=" + small_jpeg(file)
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return b"!too large"
    except UnidentifiedImageError:
        return b"!unsupported"


def main() -> None:
    """Serve one picture after the other until the other end of the socket is closed."""
    load()
    gc.freeze()
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as channel:
        channel.sendall(b"\0")  # ready
        while True:
            asked, descriptors, _, _ = socket.recv_fds(channel, 1, 2)
            if not asked:
                return
            child = os.fork()
            if not child:
                _decode(channel, *descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            _, status = os.waitpid(child, 0)
            channel.sendall(bytes([os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0]))


def _decode(channel: socket.socket, reading: int, writing: int) -> None:
    """In the fork: write the answer for the picture, and end without a word whatever the decoder raises."""
    try:
        signal.alarm(WALL_SECONDS)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 1))
        channel.close()
        os.close(sys.stdin.fileno())
        with open(reading, "rb") as file, open(writing, "wb") as output:
            output.write(answer(file))
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
