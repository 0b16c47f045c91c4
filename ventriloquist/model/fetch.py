"""Getting a base: its files into the Hugging Face cache of this machine, each verified, and its commit pinned.

A file grows beside its place under a name of our own and moves there when its digest is right, so that a fetch that
was broken off, stopped or killed goes on at the byte where it was (the hub's own client starts files over).
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, BinaryIO

from ventriloquist.faults import Busy, DiskFull, Fault, NoInput, UsageFault
from ventriloquist.files import write_whole
from ventriloquist.locks import hold
from ventriloquist.model import hub, remote
from ventriloquist.model.blobs import Digest, Place
from ventriloquist.model.presets import preset
from ventriloquist.model.remote import Broken, Remote, RemoteFile
from ventriloquist.runs import Run
from ventriloquist.workspace import Workspace

STAGE = "base"
WORKERS = 4
"""Files at a time."""
TRIES = 6
"""Breaks in a row, without a byte between them, before a fetch gives up."""
LONGEST_WAIT = 30.0
SPARE = 256 << 20
"""Bytes that shall stay free on the disk."""
LARGEST_TEXT = 64 << 20
"""No config and no index of weights is larger."""
PERMISSIVE = {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "unlicense", "isc"}


@dataclass(frozen=True, slots=True)
class Fetch:
    """Which base to get: the settings of the run. `revision` is a branch, a tag or a commit."""

    base: str
    revision: str = "main"

    def __post_init__(self) -> None:
        if not hub.is_id(self.base):
            raise UsageFault(f"{self.base!r} is no id of a model on Hugging Face, such as Qwen/Qwen3-8B-Base.")
        if not hub.is_revision(self.revision):
            raise UsageFault(f"{self.revision!r} is no branch, tag or commit.")

    @property
    def shares_workspace(self) -> bool:
        """Other stages may work meanwhile."""
        return True

    def public(self) -> dict[str, Any]:
        """For `run.json`."""
        return {"base": self.base, "revision": self.revision}


@dataclass(frozen=True, slots=True)
class Offer:
    """What a fetch would bring: all files of the base."""

    remote: Remote
    files: list[RemoteFile]

    @property
    def contents(self) -> list[RemoteFile]:
        """One of the files for each different content."""
        return list({file.digest: file for file in self.files}.values())

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.contents)

    @property
    def missing(self) -> int:
        """How many bytes are not here, neither in whole files nor in parts."""
        place = Place(self.remote.id)
        return sum(file.size - place.present(file) for file in self.contents)

    @property
    def free(self) -> int:
        """Bytes free on the disk of the cache."""
        folder = hub.cache_of(self.remote.id)
        return shutil.disk_usage(next(each for each in (folder, *folder.parents) if each.exists())).free


def offer(wanted: Fetch) -> Offer:
    """Ask the hub what the base is made of. Brings its config and index, which are small, and refuses what could not
    be loaded: models that run code of their own, and weights that are no safetensors."""
    with remote.online():
        found = remote.look(wanted.base, wanted.revision)
        place = Place(found.id)
        place.prepare()
        config = _parsed(place, found, hub.CONFIG)
        if "auto_map" in config:
            raise Fault(f"{found.id} wants to run code of its own; Ventriloquist never does that.")
        named = None
        if hub.INDEX in found.files:
            weight_map = _parsed(place, found, hub.INDEX).get("weight_map")
            named = sorted({str(name) for name in weight_map.values()}) if isinstance(weight_map, dict) else []
    return Offer(found, [*found.without_weights(), *found.weights(named)])


def _parsed(place: Place, found: Remote, name: str) -> dict[str, Any]:
    """A small JSON file of the base, from here or from the hub."""
    file, content = found.files[name], b""
    if file.size > LARGEST_TEXT:
        raise Fault(f"{found.id} has a {name} of {file.size:,} bytes, which cannot be right.")
    with suppress(FileNotFoundError):
        content = place.blob(file).read_bytes()
    if not Digest(file, content).right():
        content = _small(found, file)
        write_whole(place.blob(file), content)
    try:
        parsed = json.loads(content)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise NoInput(f"{found.id} has a {name} that cannot be read.")
    return parsed


def _small(found: Remote, file: RemoteFile) -> bytes:
    """The bytes of a small file, held in memory."""
    content = bytearray()
    try:
        with remote.opened(found, file, 0) as (_, chunks):
            for chunk in chunks:
                content += chunk
                if len(content) > file.size:
                    break
    except Broken as broken:
        raise Fault(f"The connection to {remote.host()} broke off ({broken}). Start again.") from None
    if not Digest(file, content).right():
        raise _wrong(file)
    return bytes(content)


def _wrong(file: RemoteFile) -> Fault:
    return Fault(
        f"{file.name} arrived other than {remote.host()} says it is, and was thrown away. Start again; if it happens "
        "again, the server is at fault."
    )


def fetch(wanted: Fetch, workspace: Workspace, run: Run) -> dict[str, Any]:
    """Bring a base to this machine and pin its commit for this workspace; the only stage that speaks with the hub."""
    try:
        with hold(workspace.bases_lock, "base fetch"):
            run.phase("look for the base")
            found = offer(wanted)
            _describe(found, run)
            with hold(Place(wanted.base).folder / ".ventriloquist.lock", "base fetch"):
                _fetch_files(found, run)
            return _pin(found, workspace)
    except Busy:
        raise Busy("A base is being fetched already. Wait for it (ventriloquist runs list).") from None


def _describe(found: Offer, run: Run) -> None:
    told = found.remote
    run.note(
        f"{told.id} at {told.commit[:12]}: {len(found.files)} files, {found.bytes:,} bytes, {found.missing:,} of them "
        f"to fetch; licence: {told.license or 'not told'}."
    )
    if told.license.lower() not in PERMISSIVE:
        run.note("Read the licence before you use this base: it may not allow everything.", "warning")
    checked = preset(told.id)
    if checked and checked.revision != told.commit:
        run.note(f"The preset was checked at {checked.revision[:12]}; this is another commit.")
    if found.missing + SPARE > found.free:
        raise DiskFull(
            f"The base needs {found.missing / 1e9:.1f} GB more, and {found.free / 1e9:.1f} GB are free in "
            f"{hub.cache_of(told.id).parent}. Free some space, or set HF_HOME to a folder on another disk."
        )


def _fetch_files(found: Offer, run: Run) -> None:
    place = Place(found.remote.id)
    here = sum(place.present(file) for file in found.contents)
    reached: dict[str, Digest] = {}
    if here:
        run.phase("verify what is here")
        counted = _Counter(run, here)
        for file in found.contents:
            reached[file.name] = place.reached(file, counted)
            if place.blob(file).exists() and not reached[file.name].right():
                run.note(f"{file.name} was damaged, and is fetched again.", "warning")
                place.blob(file).unlink()
                reached[file.name] = Digest(file)
    run.phase("fetch")
    with remote.online():
        _Fetching(place, found, run, reached).all()
    place.link(found.remote, found.files)
    place.sweep()


class _Counter:
    """Counts bytes up to a run."""

    def __init__(self, run: Run, total: int) -> None:
        self.run, self.done, self.total = run, 0, total

    def __call__(self, count: int) -> None:
        self.done += count
        self.run.progress(self.done, self.total, "bytes")


@dataclass(slots=True)
class _Fetching:
    """Several files at a time, in threads of their own; the main thread tells the run and hears when to stop."""

    place: Place
    found: Offer
    run: Run
    reached: dict[str, Digest]
    done: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)

    def all(self) -> None:
        """Returns when every file is in its place."""
        missing = [file for file in self.found.contents if not self.place.blob(file).exists()]
        self.done = sum(reached.size for reached in self.reached.values())
        with ThreadPoolExecutor(WORKERS) as pool:
            tasks = {pool.submit(self._one, file) for file in sorted(missing, key=lambda file: -file.size)}
            try:
                while tasks:
                    ended, tasks = wait(tasks, timeout=0.2)
                    for task in ended:
                        task.result()
                    self.run.progress(self.done, self.found.bytes, "bytes")
            finally:
                self.stop.set()
                pool.shutdown(cancel_futures=True)

    def _one(self, file: RemoteFile) -> None:
        with suppress(_StoppedHere):
            reached = self.reached.get(file.name) or Digest(file)
            began_before = reached.size > 0
            while not self._whole(file, reached):
                if not began_before:
                    raise _wrong(file)
                began_before, reached = False, Digest(file)  # what was here before may be what is damaged

    def _whole(self, file: RemoteFile, reached: Digest) -> bool:
        """All bytes of a file, however often the connection breaks, in its place; False if they are not the right
        ones, and are thrown away."""
        path = self.place.partial(file)
        with path.open("ab") as partial:
            breaks = 0
            while reached.size < file.size:
                before = reached.size
                try:
                    self._more(file, reached, partial)
                except Broken as broken:
                    breaks = 0 if reached.size > before else breaks + 1
                    if breaks >= TRIES:
                        raise Fault(
                            f"The connection to {remote.host()} broke off again and again ({broken}). What has "
                            "arrived stays; start again to go on."
                        ) from None
                    self._pause(broken.wait or min(0.5 * 2**breaks, LONGEST_WAIT))
            partial.flush()
            os.fsync(partial.fileno())
        if not reached.right():
            self._count(-reached.size)
            path.unlink()
            return False
        path.replace(self.place.blob(file))
        return True

    def _more(self, file: RemoteFile, reached: Digest, partial: BinaryIO) -> None:
        with remote.opened(self.found.remote, file, reached.size) as (begins, chunks):
            if begins != reached.size:  # a server that cannot continue sends the file from its beginning
                self._count(-reached.size)
                partial.truncate(0)
                reached.restart()
            for chunk in chunks:
                partial.write(chunk)
                reached.add(chunk)
                self._count(len(chunk))
                if reached.size > file.size:
                    return
        if reached.size < file.size:
            raise Broken("the answer ended early")

    def _count(self, count: int) -> None:
        with self.lock:
            self.done += count
        if self.stop.is_set():
            raise _StoppedHere

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise _StoppedHere


class _StoppedHere(Exception):
    """Another file failed, or the run was asked to stop."""


def _pin(found: Offer, workspace: Workspace) -> dict[str, Any]:
    told = found.remote
    folder = hub.base_folder(told.id, told.commit)
    hub.refuse_code(folder)
    entry = {
        "revision": told.commit,
        "fetched": datetime.now(UTC).isoformat(timespec="seconds"),
        "bytes": found.bytes,
        "license": told.license,
    }
    hub.pin(workspace, told.id, entry)
    return {"base": told.id, "folder": str(folder), **entry}
