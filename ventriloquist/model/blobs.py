"""A base's files in the Hugging Face cache of this machine: bytes by their digest, names as links to them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ventriloquist.files import sync_folder, write_whole
from ventriloquist.model import hub
from ventriloquist.model.remote import Remote, RemoteFile

PARTIAL = ".ventriloquist.incomplete"
"""What a file is called while it grows. The hub's own client has names of its own for that, and starts them over."""
BLOCK = 1 << 20


class Digest:
    """The digest of a file while its bytes come."""

    def __init__(self, file: RemoteFile, content: bytes | bytearray = b"") -> None:
        self.file = file
        self.restart()
        self.add(content)

    def restart(self) -> None:
        """As if nothing had come yet."""
        self.size = 0
        self.hash = hashlib.sha256() if len(self.file.digest) == 64 else hashlib.sha1(usedforsecurity=False)
        if len(self.file.digest) == 40:
            self.hash.update(f"blob {self.file.size}\0".encode())

    def add(self, chunk: bytes | bytearray) -> None:
        self.hash.update(chunk)
        self.size += len(chunk)

    def right(self) -> bool:
        """Whether these are the bytes that the hub tells of."""
        return self.size == self.file.size and self.hash.hexdigest() == self.file.digest


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cache keeps a base: bytes in `blobs/` by their digest, names in `snapshots/<commit>/` as links."""

    id: str

    @property
    def folder(self) -> Path:
        return hub.cache_of(self.id)

    def prepare(self) -> None:
        (self.folder / "blobs").mkdir(parents=True, exist_ok=True)

    def blob(self, file: RemoteFile) -> Path:
        return self.folder / "blobs" / file.digest

    def partial(self, file: RemoteFile) -> Path:
        return self.folder / "blobs" / f"{file.digest}{PARTIAL}"

    def present(self, file: RemoteFile) -> int:
        """How many bytes of a file are here."""
        for path in (self.blob(file), self.partial(file)):
            with suppress(FileNotFoundError):
                return min(path.stat().st_size, file.size)
        return 0

    def reached(self, file: RemoteFile, count: Callable[[int], None]) -> Digest:
        """The digest of what is here of a file; a partial one that is longer than the file begins anew."""
        reached = Digest(file)
        path = self.blob(file) if self.blob(file).exists() else self.partial(file)
        with suppress(FileNotFoundError), path.open("rb") as stream:
            while chunk := stream.read(BLOCK):
                reached.add(chunk)
                count(len(chunk))
        if path == self.partial(file) and reached.size > file.size:
            path.unlink()
            reached.restart()
        return reached

    def sweep(self) -> None:
        """Delete parts of files that this commit has no more."""
        for leftover in (self.folder / "blobs").glob(f"*{PARTIAL}"):
            leftover.unlink()

    def link(self, found: Remote, files: Sequence[RemoteFile]) -> None:
        """Give the blobs their names, and remember which commit the revision was."""
        snapshot = self.folder / "snapshots" / found.commit
        snapshot.mkdir(parents=True, exist_ok=True)
        for file in files:
            link, fresh = snapshot / file.name, snapshot / f".{file.name}.link"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(Path("..", "..", "blobs", file.digest))
            fresh.replace(link)
        sync_folder(snapshot)
        if not hub.is_commit(found.revision):
            reference = self.folder / "refs" / found.revision
            reference.parent.mkdir(parents=True, exist_ok=True)
            write_whole(reference, found.commit)
