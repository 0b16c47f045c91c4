"""Checkpoints on disk: written aside, sealed with a manifest, renamed; only what verifies is ever read.

`checkpoints/<name>/checkpoint-<step>/` while training, `checkpoints/<name>/final/` at the end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ventriloquist import __version__
from ventriloquist.faults import Fault, NoInput, from_os_error
from ventriloquist.files import sha256, sync_folder, write_whole
from ventriloquist.text import one_line
from ventriloquist.workspace import Workspace

MANIFEST = "MANIFEST.json"
DESCRIPTION = "ventriloquist.json"
FINAL = "final"
BEST = "best"
STAGING = ".staging"
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_LOADED = (".json", ".jinja", ".model", ".safetensors", *_PICKLES)
"""What a model or a tokenizer may be read from; no other file changes what a checkpoint does."""
_STEP = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True, slots=True)
class Description:
    """What `ventriloquist.json` says: what made this checkpoint, so that nothing has to be guessed later."""

    base: dict[str, Any]
    fingerprint: str
    settings: dict[str, Any]
    data: dict[str, Any]
    members: list[str]
    max_tokens: int
    size: int
    step: int = 0
    steps: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    version: str = __version__
    me: str = ""

    def write(self, folder: Path) -> None:
        fields = {name: getattr(self, name) for name in self.__slots__}
        write_whole(folder / DESCRIPTION, json.dumps(fields, indent=1, ensure_ascii=True) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Description:
        """Raises NoInput if the folder is no checkpoint of ours, or cannot be read."""
        try:
            fields = json.loads((folder / DESCRIPTION).read_text())
            described = cls(**{name: fields[name] for name in cls.__slots__ if name in fields})
            if described._is_whole():
                return described
        except FileNotFoundError:
            raise NoInput(_no_checkpoint(folder)) from None
        except PermissionError as error:
            raise from_os_error(error, "reading the checkpoint") from None
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            pass
        raise NoInput(f"{folder} is no checkpoint of Ventriloquist: its {DESCRIPTION} cannot be read.")

    def _is_whole(self) -> bool:
        """Whether everything is of the kind that its readers take it for."""
        needed: dict[str, type] = {"id": str, "hash": str}
        if self.base.get("kind") == "tiny":
            needed = {"hidden": int, "layers": int, "seed": int}
        members = isinstance(self.members, list) and all(isinstance(name, str) for name in self.members)
        return (
            self.base.get("kind") in ("tiny", "hf")
            and all(isinstance(self.base.get(name), kind) for name, kind in needed.items())
            and isinstance(self.base.get("revision", ""), str)
            and isinstance(self.settings, dict)
            and isinstance(self.data, dict)
            and members
            and isinstance(self.me, str)
            and all(isinstance(number, int) and number > 0 for number in (self.max_tokens, self.size))
        )


def _no_checkpoint(folder: Path) -> str:
    if any((folder / name).is_file() for name in ("adapter_config.json", "config.json")):
        return (
            f"{folder} holds a model that another program made; Ventriloquist loads only checkpoints that it trained "
            f"itself, which have a {DESCRIPTION}."
        )
    return f"{folder} is no checkpoint of Ventriloquist: there is no {DESCRIPTION} in it."


def refuse_pickles(folder: Path) -> None:
    """Refuse a checkpoint in which something lies that could run code if it were opened; nothing is."""
    try:
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
    except OSError as error:
        raise from_os_error(error, "reading the checkpoint") from None
    if pickles:
        raise Fault(
            f"{folder / pickles[0]} can hold code and was not opened: no checkpoint of Ventriloquist has such a file. "
            "Delete it, or name another checkpoint."
        )


def new_staging(folder: Path) -> Path:
    """An empty folder to write a checkpoint into before it is sealed."""
    staging = folder / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    return staging


def seal(staging: Path, final: Path) -> None:
    """Write the manifest of `staging`, sync everything, and rename it to `final`, replacing what was there."""
    for leftover in staging.rglob("*"):
        if leftover.suffix in _PICKLES:
            leftover.unlink()
    files = sorted(path for path in staging.rglob("*") if path.is_file() and path.name != MANIFEST)
    manifest = {}
    for path in files:
        path.chmod(0o600)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        manifest[path.relative_to(staging).as_posix()] = {"size": path.stat().st_size, "sha256": sha256(path)}
    write_whole(staging / MANIFEST, json.dumps({"files": manifest}, indent=1) + "\n")
    if final.exists():
        retired = final.with_name(f".old-{final.name}")
        shutil.rmtree(retired, ignore_errors=True)
        final.rename(retired)
        staging.rename(final)
        shutil.rmtree(retired)
    else:
        staging.rename(final)
    sync_folder(final.parent)


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint, in a few words, or None if every file is as the manifest says."""
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        for name, facts in files.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != facts["size"]:
                return f"{name} has {path.stat().st_size} of {facts['size']} bytes"
            if sha256(path) != facts["sha256"]:
                return f"{name} has changed"
        if DESCRIPTION not in files:
            return f"{MANIFEST} does not name {DESCRIPTION}"
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if name not in files and name != MANIFEST and path.suffix in _LOADED and not path.name.startswith("."):
                return f"{name} does not belong to it"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{MANIFEST} cannot be read"
    return None


def newest_sound(folder: Path) -> tuple[Path | None, list[str]]:
    """The checkpoint with the highest step that verifies, and a sentence for each damaged one set aside."""
    warnings: list[str] = []
    for _, path in sorted(_steps(folder), reverse=True):
        problem = damage(path)
        if problem is None:
            return path, warnings
        warnings.append(set_aside(path, problem))
    return None, warnings


def set_aside(path: Path, problem: str) -> str:
    """Take a damaged checkpoint out of the way; returns the sentence that says so."""
    aside = path.with_name(f"damaged-{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    return f"{path.name} is damaged ({problem}) and was set aside as {aside.name}."


def _steps(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    matches = ((_STEP.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir())
    return [(int(match[1]), path) for match, path in matches if match]


def keep_newest(folder: Path, count: int) -> None:
    """Delete all but the `count` newest step checkpoints."""
    for _, path in sorted(_steps(folder), reverse=True)[count:]:
        shutil.rmtree(path)


def clear_staging(folder: Path) -> None:
    """Delete what a killed training left half-written; put back a checkpoint that was being replaced."""
    for retired in folder.glob(".old-*"):
        original = folder / retired.name.removeprefix(".old-")
        if original.exists():
            shutil.rmtree(retired)
        else:
            retired.rename(original)
    shutil.rmtree(folder / STAGING, ignore_errors=True)


def finished(workspace: Workspace) -> list[Path]:
    """The folders of all finished trainings, oldest first."""
    finals = workspace.checkpoints.glob(f"*/{FINAL}/{DESCRIPTION}")
    return [path.parent for path in sorted(finals, key=lambda path: path.stat().st_mtime)]


def name_of(folder: Path) -> str:
    """What a checkpoint is called: the folder of its training, or its own if it is a step."""
    return folder.parent.name if folder.name == FINAL else folder.name


def find(workspace: Workspace, wanted: str) -> Path:
    """The checkpoint that `wanted` names (a name, a path, or nothing for the newest), verified.

    Raises NoInput when there is none, and Fault when it is damaged.
    """
    folder = locate(workspace, wanted)
    problem = damage(folder)
    if problem:
        raise Fault(f"The checkpoint {folder} is damaged: {problem}. Train again, or name another with --checkpoint.")
    return folder


def locate(workspace: Workspace, wanted: str) -> Path:
    """The folder of the checkpoint that `wanted` names, not verified; raises NoInput when there is none."""
    if not wanted:
        folders = finished(workspace)
        if not folders:
            raise NoInput("There is no checkpoint yet. Run: ventriloquist train")
        return folders[-1]
    named = workspace.checkpoints / wanted
    try:
        path = Path(wanted).expanduser()
        for folder in (named / FINAL, named, path / FINAL, path):
            if (folder / DESCRIPTION).is_file():
                return folder
        if path.is_dir() and path != Path():
            raise NoInput(_no_checkpoint(path))
    except PermissionError as error:
        raise from_os_error(error, "looking for the checkpoint") from None
    except (OSError, RuntimeError):
        pass  # no path that could be: too long, or no such user's home
    names = ", ".join(path.parent.name for path in finished(workspace)) or "none yet"
    raise NoInput(f"There is no checkpoint called {one_line(wanted, 80)} (there are: {names}).")
