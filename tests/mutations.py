"""Makes damaged and hostile inputs out of sound ones; the same seed makes the same."""

from __future__ import annotations

import plistlib
import random
import struct
from collections.abc import Callable, Iterator, Sequence

BODY_MARKS = (
    b"\x84",
    b"\x85",
    b"\x86",
    b"\x81\xff\xff",
    b"\x82\xff\xff\xff\x7f",
    b"\x87",
    b"\x92",
    b"\x84\x84",
    b"[99c]",
    b"{a=@}",
    b"[9{}]",
)
PLIST_MARKS = (
    b"\xdf\x13\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xaf\x12\x7f\xff\xff\xff",
    b"\x80\x00",
    b"\xa1\x00",
    b"\x1f",
)


class Mutations:
    """Mutated inputs without end. Each has one to five changes of kinds that each meet another fault in a reader."""

    def __init__(self, sound: Sequence[bytes], marks: Sequence[bytes], seed: int) -> None:
        self._sound, self._marks = sound, marks
        self._random = random.Random(seed)
        self._ways: list[Callable[[bytearray], None]] = [
            self._flip_bits, self._set_byte, self._cut, self._cut_out, self._repeat, self._mark, self._splice,
            self._tamper_length, self._set_end,
        ]  # fmt: skip

    def __iter__(self) -> Iterator[bytes]:
        while True:
            mutated = bytearray(self._random.choice(self._sound))
            for _ in range(self._random.choice((1, 1, 1, 2, 3, 5))):
                self._random.choice(self._ways)(mutated)
            yield bytes(mutated)

    def _place(self, data: bytearray) -> int:
        return self._random.randrange(len(data) + 1)

    def _flip_bits(self, data: bytearray) -> None:
        for _ in range(self._random.choice((1, 1, 4, 16))):
            if data:
                data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)

    def _set_byte(self, data: bytearray) -> None:
        if data:
            data[self._random.randrange(len(data))] = self._random.choice((0, 1, 0x7F, 0x80, 0xFF, 0x0F, 0xF0))

    def _cut(self, data: bytearray) -> None:
        del data[self._place(data) :]

    def _cut_out(self, data: bytearray) -> None:
        place = self._place(data)
        del data[place : place + self._random.choice((1, 2, 8, 64))]

    def _repeat(self, data: bytearray) -> None:
        place = self._place(data)
        data[place:place] = data[place : place + self._random.choice((1, 8, 60, 400))] * self._random.choice((1, 2, 30))

    def _mark(self, data: bytearray) -> None:
        place = self._place(data)
        data[place : place + self._random.choice((0, 1, 4))] = self._random.choice(self._marks)

    def _splice(self, data: bytearray) -> None:
        other = self._random.choice(self._sound)
        start = self._random.randrange(len(other))
        data[self._place(data) :] = other[start:] if self._random.random() < 0.5 else other[start : start + 80]

    def _tamper_length(self, data: bytearray) -> None:
        """Where a number may stand, another one: longer than the input, at the limits, or nearly right."""
        if len(data) > 8:
            place, size = self._random.randrange(len(data) - 8), self._random.choice((1, 2, 4, 8))
            number = self._random.choice((2**31 - 1, 2**32 - 1, 2**63, len(data), 0, data[place] + 1))
            data[place : place + size] = (number % 256**size).to_bytes(size, self._random.choice(("big", "little")))

    def _set_end(self, data: bytearray) -> None:
        """A number of a property list's trailer."""
        if len(data) > 32:
            place, size = self._random.choice(((-26, 1), (-25, 1), (-24, 8), (-16, 8), (-8, 8)))
            number = self._random.choice((0, 1, 2, 8, 255, len(data), 2**40, 2**64 - 1)) % 256**size
            data[len(data) + place : len(data) + place + size] = number.to_bytes(size, "big")


def hostile_plists() -> list[bytes]:
    """Well-formed enough to be begun with: cycles, depth, the same bytes in many objects, counts beyond all bytes."""
    uid = plistlib.UID
    cycle = {
        "$top": {"root": uid(1)},
        "$objects": ["$null", {"richLinkMetadata": uid(2)}, {"URL": uid(1), "title": uid(2)}],
    }
    selves = {"$top": {"root": uid(0)}, "$objects": [uid(0), uid(99)]}
    keyed = {"$top": {"root": uid(1)}, "$objects": ["$null", {"NS.keys": [uid(1)] * 99, "NS.objects": [uid(1)] * 99}]}
    deep: list[object] = []
    for _ in range(300):
        deep = [deep]
    found = [plistlib.dumps(each, fmt=plistlib.FMT_BINARY) for each in (cycle, selves, keyed, {"a": deep})]
    return [*found, _listing(b"\xa1\x00"), _listing(b"\xa1\x01\xa1\x00", (8, 10)), shared_bytes(400, 40), *_deeper()]


def _listing(objects: bytes, offsets: Sequence[int] = (8,)) -> bytes:
    """A binary property list of these objects."""
    table = b"".join(struct.pack(">H", offset) for offset in offsets)
    trailer = struct.pack(">6xBBQQQ", 2, 1, len(offsets), 0, 8 + len(objects))
    return b"bplist00" + objects + table + trailer


def shared_bytes(size: int, objects: int) -> bytes:
    """Arrays that all take the same references for theirs: the work is the product of the two numbers."""
    array = b"\xaf\x11" + struct.pack(">H", size) + bytes([0, 1] * (size // 2))
    table = b"".join(struct.pack(">H", 8) for _ in range(objects))
    return b"bplist00" + array + table + struct.pack(">6xBBQQQ", 2, 1, objects, 0, 8 + len(array))


def _deeper() -> Iterator[bytes]:
    """Arrays in arrays, deeper than a recursive reader goes."""
    count = 3000
    objects = b"".join(b"\xa1" + struct.pack(">H", number + 1) for number in range(count)) + b"\x09"
    table = b"".join(struct.pack(">H", 8 + 3 * number) for number in range(count + 1))
    yield b"bplist00" + objects + table + struct.pack(">6xBBQQQ", 2, 2, count + 1, 0, 8 + len(objects))


def hostile_bodies(header: bytes) -> list[bytes]:
    """Streams that nest, refer to themselves, and pile up classes."""
    start = header + b"\x84\x01@"
    nested = start + b"\x84\x84\x84\x01A\x00\x85\x92" + b"\x84\x93\x92" * 2000
    classes = start + b"\x84" + b"\x84\x84\x01A\x00" * 3000 + b"\x85\x86"
    itself = start + b"\x84\x84\x84\x01A\x00\x85\x92\x92\x86"
    encodings = (b"[999999999{}]", b"[9999[9999{}]]", b"{a=" * 30 + b"}" * 30, b"[9c]", b"{a=[2c]@}")
    arrays = [header + b"\x84" + bytes([len(each)]) + each + b"\x00" * 300 for each in encodings]
    letters = header + b"\x84\x82" + struct.pack("<I", 4000) + b"@" * 4000 + b"\x85" * 4000
    return [nested, classes, itself, letters, *arrays]
