"""Reads the pages of an SQLite file without SQLite, so that what is sound in a damaged one can still be had.

From the published file format: a file is pages of one size, and a table or an index is a tree of pages. Each leaf holds
cells; a cell holds a record, whose end may lie on a chain of overflow pages. Nothing here trusts a number it reads:
each page is met once as a node and once as overflow, so the work grows with the file and never beyond it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence, Set
from typing import Any, BinaryIO, NamedTuple

INDEX_INNER, TABLE_INNER, INDEX_LEAF, TABLE_LEAF = 2, 5, 10, 13
_INNER = (INDEX_INNER, TABLE_INNER)
_SIZES: tuple[int, ...] = tuple(2**power for power in range(9, 17))
_ENCODINGS = {1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}
_HEADER = 100
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)
_CONSTANTS = {0: None, 8: 0, 9: 1}
_FLOAT, _FIRST_BLOB = 7, 12
_MOST_FIELDS = 2000
_DEEPEST = 20

Values = list[Any]


class Cell(NamedTuple):
    """A row of a table, or an entry of an index, whose last value is the number of its row.

    `whole` is False where its overflow is lost, and `values` are those at its start, or where the record does not add
    up, and there are none.
    """

    number: int
    values: Values
    whole: bool


class Tree(NamedTuple):
    """The leaves of a tree (for an index, its inner pages too), and whether any page of it could not be followed."""

    pages: list[int]
    broken: bool


class Image:
    """The pages of an open file, numbered from 1 as SQLite does."""

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self._bytes = os.fstat(self._descriptor).st_size
        header = os.pread(self._descriptor, _HEADER, 0).ljust(_HEADER, b"\0")
        self.size = self._page_size(int.from_bytes(header[16:18], "big"))
        self.usable = self.size - (header[20] if self.size - header[20] >= 480 else 0)
        self.count = -(-self._bytes // self.size)
        self.encoding = _ENCODINGS.get(int.from_bytes(header[56:60], "big"), "utf-8")
        self.nodes: set[int] = set()
        self.free, self.free_is_known = self._free_pages(*struct.unpack(">II", header[32:40]))
        self._certainly_free = self.free if self.free_is_known else set()
        self._overflow: set[int] = set()

    def _page_size(self, told: int) -> int:
        """As the header tells, or, where that cannot be, the size at whose multiples most trees' pages begin."""
        size = 65536 if told == 1 else told
        if size in _SIZES:
            return size

        def nodes(size: int) -> float:
            places = range(size, min(self._bytes, size * 2000), size)
            kinds = (os.pread(self._descriptor, 1, place) for place in places)
            return sum(kind in (b"\x02", b"\x05", b"\x0a", b"\x0d") for kind in kinds) / max(len(places), 1)

        return max(_SIZES[::-1], key=nodes)

    def page(self, number: int) -> bytes:
        """The bytes of a page; zeros for what lies behind the end of the file."""
        if not 0 < number <= self.count:
            return bytes(self.size)
        return os.pread(self._descriptor, self.size, (number - 1) * self.size).ljust(self.size, b"\0")

    def _free_pages(self, trunk: int, told: int) -> tuple[set[int], bool]:
        """The pages that hold nothing now, though old rows may still lie on them; False if not all are known."""
        free: set[int] = set()
        while 0 < trunk <= self.count and trunk not in free:
            free.add(trunk)
            page = self.page(trunk)
            following, leaves = struct.unpack_from(">II", page)
            room = min(leaves, self.usable // 4 - 2)
            free.update(struct.unpack_from(f">{room}I", page, 8))
            trunk = following
        return free, trunk == 0 and len(free) == told

    def node(self, number: int) -> tuple[int, Sequence[int], bytes]:
        """The kind of a tree's page (0 for no such page), the places of its cells, and its bytes."""
        page, start = self.page(number), _HEADER if number == 1 else 0
        kind = page[start]
        if kind not in (INDEX_INNER, TABLE_INNER, INDEX_LEAF, TABLE_LEAF):
            return 0, (), page
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        first = start + (12 if kind in _INNER else 8)
        if first + 2 * count > self.usable:
            return 0, (), page
        return kind, struct.unpack_from(f">{count}H", page, first), page

    def tree(self, root: int, *, index: bool = False) -> Tree:
        """The pages with rows below `root`, in their order; pages that any tree has had already are left out."""
        inner, leaf = (INDEX_INNER, INDEX_LEAF) if index else (TABLE_INNER, TABLE_LEAF)
        found: list[int] = []
        broken = False
        waiting = [(root, 0)]
        while waiting:
            number, depth = waiting.pop()
            kind, places, page = self.node(number)
            if kind not in (inner, leaf) or number in self.nodes or number in self._certainly_free or depth > _DEEPEST:
                broken = True
                continue
            self.nodes.add(number)
            if kind == leaf or index:
                found.append(number)
            if kind == inner:
                start = _HEADER if number == 1 else 0
                sound = [place for place in places if start + 12 <= place <= self.usable - 4]
                broken = broken or len(sound) < len(places)
                children = [int.from_bytes(page[place : place + 4], "big") for place in (*sound, start + 8)]
                waiting += [(child, depth + 1) for child in reversed(children)]
        return Tree(found, broken)

    def cells(self, number: int, met: Set[int] = frozenset()) -> Iterator[Cell]:
        """The cells of a page of a tree, without the entries of an index for rows that were `met`."""
        kind, places, page = self.node(number)
        for place in places:
            try:
                if kind == TABLE_LEAF:
                    length, at = _varint(page, place)
                    row, at = _varint(page, at)
                    payload, whole = self._payload(page, at, length, self.usable - 35)
                    values, adds_up = _record(payload, length, self.encoding)
                    yield Cell(row - 2**64 if row >= 2**63 else row, values, whole and adds_up)
                elif kind in (INDEX_LEAF, INDEX_INNER):
                    length, at = _varint(page, place + (4 if kind == INDEX_INNER else 0))
                    payload, whole = self._payload(page, at, length, (self.usable - 12) * 64 // 255 - 23)
                    if met and _last_integer(payload) in met:
                        continue
                    values, adds_up = _record(payload, length, self.encoding)
                    if whole and adds_up and values and isinstance(values[-1], int):
                        yield Cell(values[-1], values[:-1], True)
            except (IndexError, struct.error):
                continue  # the cell leads out of its page

    def _payload(self, page: bytes, at: int, length: int, most: int) -> tuple[bytes, bool]:
        """A cell's record, with as much of its overflow as is there, and whether that is all."""
        if length <= most:
            payload = page[at : min(at + length, self.usable)]
            return payload, len(payload) == length
        least = (self.usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (self.usable - 4)
        local = local if local <= most else least
        parts = [page[at : min(at + local, self.usable - 4)]]
        have = len(parts[0])
        following = int.from_bytes(page[at + local : at + local + 4], "big")
        while have < length and self._is_overflow(following):
            self._overflow.add(following)
            content = self.page(following)
            parts.append(content[4 : min(self.usable, 4 + length - have)])
            have += len(parts[-1])
            following = int.from_bytes(content[:4], "big")
        return b"".join(parts), have == length

    def _is_overflow(self, number: int) -> bool:
        taken = number in self._overflow or number in self.nodes or number in self._certainly_free
        return 1 < number <= self.count and not taken

    def strays(self) -> Iterator[int]:
        """Pages with a table's rows that no tree led to, as when the page above them is damaged."""
        for number in range(2, self.count + 1):
            if number not in self.nodes and number not in self.free and number not in self._overflow:
                first = os.pread(self._descriptor, 1, (number - 1) * self.size)
                if first == b"\x0d":
                    yield number


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, unsigned, and the place behind it; raises IndexError."""
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value &= 0x7F
    for place in range(at + 1, at + 8):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9


def _last_integer(payload: bytes) -> int | None:
    """The last value of a record that is whole, if it is an integer, without reading the others."""
    end = payload[0] if payload else 0
    kind = payload[end - 1] if 0 < end < 0x80 and end <= len(payload) else 0
    if 0 < kind < _FLOAT:
        return int.from_bytes(payload[-_INTEGER_BYTES[kind] :], "big", signed=True)
    return _CONSTANTS.get(kind)


def _record(payload: bytes, length: int, encoding: str) -> tuple[Values, bool]:
    """The values of a record, and whether they are all; none where their sizes do not add up to its length."""
    end, at = _varint(payload, 0)
    if not at <= end <= min(len(payload), 9 * _MOST_FIELDS):
        return [], False
    values: Values = []
    place, have = end, len(payload)
    while at < end:
        kind = payload[at]
        at += 1
        if kind in _CONSTANTS:
            values.append(_CONSTANTS[kind])
            continue
        if kind > 0x7F:
            kind, at = _varint(payload, at - 1)
        start = place
        if kind >= _FIRST_BLOB:
            place += (kind - _FIRST_BLOB) // 2
            content = payload[start:place]
            values.append(content.decode(encoding, "replace") if kind & 1 else content)
        elif kind < _FLOAT:
            place += _INTEGER_BYTES[kind]
            values.append(int.from_bytes(payload[start:place], "big", signed=True))
        elif kind == _FLOAT:
            place += 8
            values.append(struct.unpack(">d", payload[start:place].ljust(8, b"\0"))[0])
        else:
            return [], False
        if place > have:
            if have == length:
                return [], False
            # Its overflow is lost: text and bytes are given as far as they go, a cut number is none.
            return values if kind >= _FIRST_BLOB else values[:-1], False
    return (values, True) if place == length and at == end else ([], False)
