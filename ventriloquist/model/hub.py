"""Where bases lie on this machine: folders, the Hugging Face cache, and which commit of a base this workspace uses.

Nothing here talks to a network or loads torch; `fetch` is what brings a base here.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from ventriloquist.faults import Fault, NoInput, from_os_error
from ventriloquist.files import write_whole
from ventriloquist.workspace import Workspace

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_ID = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,95}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,95}){0,3}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def base_folder(name: str, revision: str | None = None) -> Path:
    """The folder of a base: a local one, or a Hugging Face id's in the cache of this machine.

    `revision` is a commit, a branch or a tag (default: what `main` was when it was fetched), and means nothing for a
    local folder. Raises NoInput when the base is not here, or not all of it.
    """
    local = _local(name)
    if local:
        return local
    if not is_id(name):
        raise NoInput(f"There is no folder {name} that holds a model, and no base on Hugging Face is called so.")
    commit = commit_of(name, revision or "main")
    folder = cache_of(name) / "snapshots" / (commit or "")
    if commit is None or not (folder / CONFIG).is_file():
        raise NoInput(
            f"The base {name}{_at(revision)} is not on this machine. Get it with: {_fetch_words(name, revision)} "
            "(or give --base a folder that holds it, or --base tiny)"
        )
    if missing := missing_weights(folder):
        raise NoInput(
            f"The base {name} is here only in part ({missing} is missing). Go on with: {_fetch_words(name, revision)}"
        )
    return folder


def _local(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        if (path / CONFIG).is_file():
            return path.resolve()
        if path.is_dir():
            raise NoInput(f"{path} holds no model: there is no config.json in it.")
    except (RuntimeError, ValueError):
        return None  # no such user's home, or a NUL byte
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise from_os_error(error, "looking for the base") from None
    return None


def _at(revision: str | None) -> str:
    return f" at {revision[:12]}" if revision else ""


def _fetch_words(name: str, revision: str | None) -> str:
    return f"ventriloquist base fetch {name}" + (f" --revision {revision}" if revision else "")


def is_id(name: str) -> bool:
    """True for what can be a model's id on Hugging Face, and so can stand in a path of the cache."""
    return bool(_ID.fullmatch(name)) and "--" not in name and ".." not in name


def is_revision(name: str) -> bool:
    """True for what can be a commit, a branch or a tag, and so can stand in a path of the cache."""
    return bool(_REVISION.fullmatch(name)) and ".." not in name


def is_commit(name: str) -> bool:
    """True for the full id of a commit."""
    return bool(_COMMIT.fullmatch(name))


def cache_of(name: str) -> Path:
    """Where the cache of Hugging Face keeps a model: `blobs/`, `refs/` and `snapshots/<commit>/` (see HF_HUB_CACHE)."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"


def cached() -> list[str]:
    """The ids of all models that the cache knows of, whole or not."""
    from huggingface_hub import constants

    names = (path.name.removeprefix("models--") for path in Path(constants.HF_HUB_CACHE).glob("models--*"))
    return sorted(name.replace("--", "/") for name in names if is_id(name.replace("--", "/")))


def commit_of(name: str, revision: str) -> str | None:
    """The commit that a revision meant when it was last fetched, or None."""
    if is_commit(revision):
        return revision
    if not is_revision(revision):
        return None
    try:
        commit = (cache_of(name) / "refs" / revision).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return commit if is_commit(commit) else None


def weight_files(folder: Path) -> list[str]:
    """The names of the files that hold the weights: those in the index, or the one file, or whatever there is."""
    try:
        index = json.loads((folder / INDEX).read_text())
        return sorted({str(name) for name in index["weight_map"].values()})
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise NoInput(f"{folder / INDEX} cannot be read.") from None
    if (folder / SINGLE).is_file():
        return [SINGLE]
    return sorted(path.name for path in folder.glob("*.safetensors"))


def missing_weights(folder: Path) -> str | None:
    """The first file of weights that is not there, or None."""
    names = weight_files(folder) or [SINGLE]
    return next((name for name in names if not (folder / name).is_file()), None)


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a model; raises NoInput."""
    try:
        config = json.loads((folder / CONFIG).read_text())
    except (OSError, ValueError):
        raise NoInput(f"{folder / CONFIG} cannot be read.") from None
    if not isinstance(config, dict):
        raise NoInput(f"{folder / CONFIG} cannot be read.")
    return config


def refuse_code(folder: Path) -> None:
    """Refuse a model folder that wants to run code of its own, or that holds only pickled weights."""
    if "auto_map" in read_config(folder):
        raise Fault(f"The model in {folder} wants to run code of its own; Ventriloquist never does that.")
    if not list(folder.glob("*.safetensors")):
        raise Fault(f"The model in {folder} has no safetensors weights; other formats can hold code and are refused.")


def fingerprint(folder: Path) -> str:
    """sha256 over config, tokenizer, and each weight file's name, size and first MiB (its header and more)."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.json")) + sorted(folder.glob("*.safetensors")):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(1 << 20))
    return digest.hexdigest()


# --- which commit of a base this workspace uses -----------------------------------------------------------------


def pins(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """`data/bases.json`: `{id: {"revision", "fetched", "bytes", "license"}}`, for each base that was fetched."""
    try:
        found = json.loads(workspace.bases.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise NoInput(f"{workspace.bases} cannot be read; move it away and fetch the bases again.") from None
    entries = found.items() if isinstance(found, dict) else ()
    return {
        name: entry
        for name, entry in entries
        if isinstance(entry, dict) and is_commit(str(entry.get("revision"))) and is_id(name)
    }


def pinned(workspace: Workspace, name: str) -> str | None:
    """The commit of a base that this workspace fetched, so that it stays the same when `main` moves; else None."""
    entry = pins(workspace).get(name)
    return str(entry["revision"]) if entry else None


def pin(workspace: Workspace, name: str, entry: dict[str, Any]) -> None:
    """Remember the commit of a base; the caller holds the lock of `data/bases.json`."""
    write_whole(workspace.bases, json.dumps({**pins(workspace), name: entry}, indent=1, sort_keys=True) + "\n")
