"""What it costs to make photos small in processes with limits: `python -m benchmarks.conversion [--json] [--quick]`.

Beside it stands Pillow's own loop: one process that opens each photo, makes it as small, and writes the same JPEG, with
no limits and nothing that would survive a hostile file. Whole programs are measured, the start of Python and of what
decodes among it, and the JPEGs of both sides are compared. Processor time is judged; time on the clock is shown too,
since it depends on what else the machine does.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.measuring import Measured, at_least, options, report, unjudged

PHOTOS, QUICK = 300, 6
SIZE = (4032, 3024)
GOAL = 0.8
ROUNDS, QUICK_ROUNDS = 3, 2
DIFFERENT = 3
OURS = """
import hashlib, json, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from ventriloquist.media.convert import convert, release
workers, *paths = sys.argv[1:]
with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(int(workers)) as threads:
    made = threads.map(lambda path: convert(path, "image", Path(scratch)).content, paths)
    digests = [hashlib.sha256(jpeg).hexdigest() for jpeg in made]
release()
print(json.dumps(digests))
"""
THEIRS = """
import hashlib, io, json, sys
import pillow_heif
from PIL import Image, ImageOps
pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
digests = []
for path in sys.argv[2:]:
    with Image.open(path) as photo:
        photo.thumbnail((768, 768))
        small = ImageOps.exif_transpose(photo).convert("RGB")
    small.info.clear()
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG", quality=85)
    digests.append(hashlib.sha256(jpeg.getvalue()).hexdigest())
print(json.dumps(digests))
"""


class Cost(NamedTuple):
    """Seconds that a program took, of the processor (with its children) and on the clock."""

    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Sides:
    """The rounds of the bare loop, and of ours with one worker and with two."""

    bare: list[Cost]
    one: list[Cost]
    two: list[Cost]


def photos(folder: Path, form: str, count: int) -> list[str]:
    """Files of phone photos with noise and edges in them; a few different ones, under `count` names."""
    import pillow_heif
    from PIL import Image

    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    made: list[Path] = []
    for number in range(min(DIFFERENT, count)):
        noise = Image.effect_noise((SIZE[0] // 4, SIZE[1] // 4), 40 + 10 * number)
        bands = [noise.rotate(90 * turn) for turn in (0, 2)] + [noise.transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
        photo = Image.merge("RGB", bands).resize(SIZE, Image.Resampling.BICUBIC)
        made.append(folder / f"{form}-{number}")
        photo.save(made[-1], form, quality=90 if form == "JPEG" else 60, exif=exif)
    paths = [folder / f"photo-{form}-{number}" for number in range(count)]
    for number, path in enumerate(paths):
        os.link(made[number % len(made)], path)
    return [str(path.resolve()) for path in paths]


def cost(program: str, workers: int, paths: Sequence[str]) -> tuple[Cost, list[str]]:
    """What a program takes for the photos, and the digest of each JPEG that it made."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-c", program, str(workers), *paths]
    done = subprocess.run(command, capture_output=True, check=True)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall), json.loads(done.stdout)


def measure(paths: Sequence[str], rounds: int) -> Sides:
    """All three in turn, one warm-up of each first; raises ValueError if they do not make the same JPEGs."""
    sides = Sides([], [], [])
    for number in range(rounds + 1):
        made = []
        for kept, program, workers in ((sides.bare, THEIRS, 1), (sides.one, OURS, 1), (sides.two, OURS, 2)):
            taken, digests = cost(program, workers, paths if number else paths[:2])
            made.append(digests)
            if number:
                kept.append(taken)
        if made[0] != made[1] or made[0] != made[2]:
            raise ValueError("the two sides do not make the same pictures")
    return sides


def compare(folder: Path, count: int, rounds: int) -> list[Measured]:
    results = []
    for form in ("JPEG", "HEIF"):
        sides = measure(photos(folder, form, count), rounds)
        what = f"{count} {form} photos of 12 megapixels made small, beside Pillow's bare loop"
        bare = [count / each.cpu for each in sides.bare]
        for told, each in (("one worker", sides.one), ("two workers", sides.two)):
            rates = [count / taken.cpu for taken in each]
            results.append(at_least(f"{what}: {told}", rates, bare, "photos a CPU second", GOAL))
        clock = [count / each.wall / 2 for each in sides.two]
        alone = [count / each.wall for each in sides.bare]
        shown = at_least(f"{what}: on the clock, for each of two workers", clock, alone, "photos a second", 0.0)
        results.append(shown)
    return results


def main(arguments: Sequence[str]) -> int:
    as_json, quick = options(arguments)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        results = compare(Path(name), *((QUICK, QUICK_ROUNDS) if quick else (PHOTOS // 2, ROUNDS)))
    return report([unjudged(each) for each in results] if quick else results, as_json=as_json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
