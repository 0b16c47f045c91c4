"""The files of the sample history, laid out as Messages lays them out, and their rows.

Nothing here is a recording of anything: pictures are drawn, films are drawn frame by frame, voices are tones.
"""

from __future__ import annotations

import io
import random
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ventriloquist.demo import pictures
from ventriloquist.demo.script import SECOND, File
from ventriloquist.faults import Fault

APPLE_FOLDER = "~/Library/Messages/Attachments"
FILM_SIZE = (240, 180)
FILM_FRAMES = 12
SYNC_DONE, NOT_DOWNLOADED = 5, 0

# how it is made -> (uniform type identifier, MIME type as Messages stores it)
TYPES: dict[str, tuple[str, str | None]] = {
    "jpeg": ("public.jpeg", "image/jpeg"),
    "heic": ("public.heic", "image/heic"),
    "png": ("public.png", "image/png"),
    "sticker": ("public.png", "image/png"),
    "mov": ("com.apple.quicktime-movie", "video/quicktime"),
    "mp4": ("public.mpeg-4", "video/mp4"),
    "caf": ("com.apple.coreaudio-format", None),
    "m4a": ("com.apple.m4a-audio", "audio/x-m4a"),
    "pdf": ("com.adobe.pdf", "application/pdf"),
    "vcard": ("public.vcard", "text/vcard"),
    "location": ("public.vlocation", "text/x-vlocation"),
    "preview": ("dyn.age81a5dzq7y066dbtf0g82peqf4hk2pcrf10g4ud", None),
}


@dataclass(slots=True)
class Shelf:
    """The attachments folder being filled. A file made twice of the same topic is made once and copied."""

    folder: Path
    rng: random.Random
    _made: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def put(self, file: File, guid: str, at: int, outgoing: bool) -> dict[str, object]:
        """Write the file (unless it is one that is missing) and return its row of `attachment`."""
        uti, mime_type = TYPES[file.make]
        content = self._content(file)
        low = self.rng.randrange(256)
        place = f"{low:02x}/{low % 16:02d}/{guid}/{file.name}"
        if file.on_disk and not file.offloaded:
            path = self.folder / place
            _make_private(self.folder, path.parent)
            path.write_bytes(content)
            path.chmod(0o600)
        return {
            "guid": guid,
            "created_date": at // SECOND,
            "start_date": at // SECOND,
            "filename": None if file.offloaded else f"{APPLE_FOLDER}/{place}",
            "uti": uti,
            "mime_type": mime_type,
            "transfer_state": NOT_DOWNLOADED if file.offloaded else SYNC_DONE,
            "is_outgoing": int(outgoing),
            "transfer_name": file.name,
            "total_bytes": len(content),
            "is_sticker": int(file.make == "sticker"),
            "hide_attachment": int(file.make == "preview"),
            "original_guid": guid,
        }

    def _content(self, file: File) -> bytes:
        key = (file.make, file.topic)
        if key not in self._made:
            self._made[key] = _MAKERS[file.make](file.topic)
        return self._made[key]


def _make_private(root: Path, folder: Path) -> None:
    """Make `folder` and what lies between it and `root`, all 0700."""
    for step in reversed([folder, *folder.parents][: len(folder.relative_to(root).parts)]):
        step.mkdir(mode=0o700, exist_ok=True)


def _jpeg(topic: str) -> bytes:
    return pictures.encode(pictures.draw(topic), "JPEG", quality=82)


def _png(topic: str) -> bytes:
    return pictures.encode(pictures.draw(topic), "PNG")


def _sticker(topic: str) -> bytes:
    return pictures.encode(pictures.sticker(topic), "PNG")


def _heic(topic: str) -> bytes:
    import pillow_heif

    held = pillow_heif.from_pillow(pictures.draw(topic))
    out = io.BytesIO()
    held.save(out, quality=60)
    return out.getvalue()


def _film(topic: str, container: str) -> bytes:
    frames = b"".join(pictures.draw(topic, FILM_SIZE, step=step / FILM_FRAMES).tobytes() for step in range(FILM_FRAMES))
    width, height = FILM_SIZE
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "12", "-i", "pipe:0"]
    return _ffmpeg(source, ["-c:v", "mpeg4", "-q:v", "7", "-pix_fmt", "yuv420p"], container, frames)


def _voice(topic: str, container: str) -> bytes:
    """A second of a wavering tone whose pitch depends on the topic: a voice memo's shape, no one's voice."""
    pitch = 140 + sum(topic.encode()) % 120
    source = ["-f", "lavfi", "-i", f"sine=frequency={pitch}:duration=1:sample_rate=16000,tremolo=f=5:d=0.8"]
    codec = ["-c:a", "pcm_s16le"] if container == "caf" else ["-c:a", "aac", "-b:a", "24k"]
    return _ffmpeg(source, codec, container)


def _ffmpeg(source: list[str], codec: list[str], container: str, stdin: bytes = b"") -> bytes:
    """What ffmpeg makes of `source`; the same bytes every time (one thread, no dates, no version)."""
    import tempfile

    import imageio_ffmpeg

    with tempfile.TemporaryDirectory(prefix="ventriloquist-") as folder:
        made = Path(folder) / f"made.{container}"
        exact = ["-threads", "1", "-fflags", "+bitexact", "-flags", "+bitexact", "-map_metadata", "-1"]
        try:
            program = imageio_ffmpeg.get_ffmpeg_exe()
        except RuntimeError as error:
            raise Fault("The sample needs ffmpeg: install it, or reinstall imageio-ffmpeg.") from error
        quiet = [program, "-v", "error", "-nostdin" if not stdin else "-y"]
        done = subprocess.run([*quiet, *source, *codec, *exact, str(made)], input=stdin, capture_output=True)
        if done.returncode:
            raise Fault(f"ffmpeg could not make the sample's {container} file (exit code {done.returncode}).")
        return made.read_bytes()


def _pdf(topic: str) -> bytes:
    """A PDF of one page that says `topic`, with a cross-reference table that is right."""
    words = topic.replace("\\", "").replace("(", "").replace(")", "")
    drawing = f"BT /F1 24 Tf 72 720 Td ({words}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, starts = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        starts.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    count = len(objects) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n" % count + table + trailer


def _vcard(topic: str) -> bytes:
    phone = "TEL;type=CELL:+1 202 555 0199"
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"N:;{topic};;;", f"FN:{topic}", phone, "END:VCARD"]
    return "\r\n".join([*lines, ""]).encode()


def _location(topic: str) -> bytes:
    """The card Messages makes of a shared place: a map's address with the coordinates in `ll`."""
    lines = [
        "BEGIN:VCARD", "VERSION:3.0", f"N:;{topic};;;", f"FN:{topic}",
        "item1.URL;type=pref:https://maps.apple.com/?ll=38.889484\\,-77.035279&q=" + topic.replace(" ", "+"),
        "item1.X-ABLabel:map url", "END:VCARD",
    ]  # fmt: skip
    return "\r\n".join([*lines, ""]).encode()


_MAKERS: dict[str, Callable[[str], bytes]] = {
    "jpeg": _jpeg,
    "heic": _heic,
    "png": _png,
    "sticker": _sticker,
    "mov": lambda topic: _film(topic, "mov"),
    "mp4": lambda topic: _film(topic, "mp4"),
    "caf": lambda topic: _voice(topic, "caf"),
    "m4a": lambda topic: _voice(topic, "m4a"),
    "pdf": _pdf,
    "vcard": _vcard,
    "location": _location,
    "preview": _png,
}
