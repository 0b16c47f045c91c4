"""All windows of a training as token ids in three flat arrays, made once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ventriloquist.files import sha256, write_whole
from ventriloquist.model.tokens import LineTokenizer, TokenWindow
from ventriloquist.windows.lines import split_lines

KNOWN_LINES = 65_536
KEPT = 2
_ARRAYS: dict[str, Any] = {
    "ids": np.int32, "bears": np.bool_, "starts": np.int64, "lines": np.int32, "sources": np.int32,
}  # fmt: skip
"""What is kept of each, as it lies in memory."""
_DIGESTS = "sha256.json"


@dataclass(frozen=True, slots=True)
class Tokenised:
    """Windows one behind the other: window i is `ids[starts[i]:starts[i + 1]]`.

    `bears` says which ids are learnt (those are predicted from what stands before them), `lines` how many message
    lines of each window are learnt, `sources` which window of the file each comes from: one that is too long for
    the model comes in pieces.
    """

    ids: npt.NDArray[np.int32]
    bears: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int32]
    sources: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each window."""
        return np.diff(self.starts)

    def window(self, index: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """The ids of one window and which of them are learnt."""
        span = slice(int(self.starts[index]), int(self.starts[index + 1]))
        return self.ids[span], self.bears[span]

    def targets(self) -> npt.NDArray[np.int64]:
        """How many tokens of each window are learnt."""
        counts = np.concatenate([[0], np.cumsum(self.bears, dtype=np.int64)])
        return np.asarray(counts[self.starts[1:]] - counts[self.starts[:-1]])


def tokenise(
    tokenizer: Any,
    windows: Iterable[tuple[str, int]],
    max_tokens: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Tokenised:
    """Every window (text, targets) as ids. A line that several windows share is tokenised once."""
    found: list[TokenWindow] = []
    sources: list[int] = []
    for number, pieces in enumerate(_pieces(LineTokenizer(tokenizer), windows, max_tokens)):
        found += pieces
        sources += [number] * len(pieces)
        progress(number + 1)
    nothing = np.zeros(0, np.int32)
    return Tokenised(
        np.concatenate([window.ids for window in found] or [nothing]),
        np.concatenate([window.target for window in found] or [nothing.astype(np.bool_)]),
        np.concatenate([[0], np.cumsum([len(window.ids) for window in found], dtype=np.int64)]).astype(np.int64),
        np.array([window.lines for window in found], np.int32),
        np.array(sources, np.int32),
    )


def _pieces(
    lines: LineTokenizer, windows: Iterable[tuple[str, int]], max_tokens: int
) -> Iterator[Sequence[TokenWindow]]:
    known: dict[str, list[int]] = {}
    for text, targets in windows:
        parts = split_lines(text)
        if not lines.by_line:
            yield lines.assemble(parts, lines.encode_window(parts), targets, max_tokens)
            continue
        new = [part for part in dict.fromkeys(parts) if part not in known]
        known.update(zip(new, lines.encode_lines(new), strict=True))
        yield lines.assemble(parts, [known[part] for part in parts], targets, max_tokens)
        if len(known) > KNOWN_LINES:
            known.clear()


def cached(folder: Path, made_from: Sequence[object], make: Callable[[], Tokenised]) -> Tokenised:
    """What `make` gives, kept under `folder` by a digest of everything it is made from, and read from there again.

    A change of data, tokenizer or limit is another digest, so that nothing stale can be read; what was damaged since
    it was written is made again.
    """
    kept = folder / hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:32]
    tokenised = _read(kept)
    if tokenised is not None:
        kept.touch()
        return tokenised
    tokenised = make()
    if len(tokenised):
        _write(kept, tokenised)
        # Those with a dot are being written by other processes of this training.
        for old in sorted(folder.glob("[!.]*"), key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
    return tokenised


def _read(folder: Path) -> Tokenised | None:
    """What was kept, or None if it is not there or not as it was written."""
    try:
        wanted = json.loads((folder / _DIGESTS).read_text())
        if wanted != _digests(folder):
            return None
    except (OSError, ValueError):
        return None
    return Tokenised(*(np.memmap(folder / name, kind, "r") for name, kind in _ARRAYS.items()))


def _write(folder: Path, tokenised: Tokenised) -> None:
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    partial.mkdir(mode=0o700)
    for name in _ARRAYS:
        with (partial / name).open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            getattr(tokenised, name).tofile(file)
            os.fsync(file.fileno())
    write_whole(partial / _DIGESTS, json.dumps(_digests(partial)))
    try:
        if folder.exists() and _read(folder) is None:
            shutil.rmtree(folder)
        partial.rename(folder)
    except OSError:
        shutil.rmtree(partial)
        if _read(folder) is None:
            raise  # not because another process of this training was first


def _digests(folder: Path) -> dict[str, str]:
    return {name: sha256(folder / name) for name in _ARRAYS}
