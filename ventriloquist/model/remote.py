"""The only file that speaks with Hugging Face: which commit a base is at, which files make it up, and their bytes.

Everything that a server says is a stranger's word: names and digests that could lead out of the cache are refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from ventriloquist import __version__
from ventriloquist.faults import Fault, NoInput
from ventriloquist.model.hub import CONFIG, INDEX, SINGLE, is_commit
from ventriloquist.text import one_line

TOKENIZER = (
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja",
)  # fmt: skip
_TOKENIZERS = {"tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"}
_TEXTS = re.compile(r"(?:LICENSE|LICENCE|NOTICE|USE_POLICY|README)(?:\.(?:md|txt))?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
RETRIED = (408, 425, 429, 500, 502, 503, 504)
"""Answers that may be others a moment later."""


class Broken(Exception):
    """The connection broke off, or the server asked to wait: worth another try. Its text names what happened."""

    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a base. `digest` is the sha256 of its bytes (64 digits), or its git id (40), which is the sha1 of a
    short header and its bytes; the cache calls it by that."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Remote:
    """What the hub says of a base at one commit. `files` are all that could be of use, by name."""

    id: str
    revision: str
    commit: str
    license: str
    files: dict[str, RemoteFile]

    def without_weights(self) -> list[RemoteFile]:
        """Config, tokenizer, licence and model card, and the index that names the weights."""
        wanted = {CONFIG, "generation_config.json", INDEX, *TOKENIZER}
        return [file for name, file in self.files.items() if name in wanted or _TEXTS.fullmatch(name)]

    def weights(self, named: list[str] | None) -> list[RemoteFile]:
        """The files that hold the weights: those that the index has `named`, else the one file."""
        names = named if named is not None else [SINGLE]
        missing = [name for name in names if name not in self.files or not name.endswith(".safetensors")]
        if missing or not names:
            raise Fault(
                f"{self.id} has no safetensors weights, which are the only ones that Ventriloquist loads: "
                "other formats can hold code."
            )
        return [self.files[name] for name in names]


@contextmanager
def online() -> Iterator[None]:
    """While this lasts, and at no other time, this process may speak with the hub."""
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, False
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def host() -> str:
    """The hub's name: huggingface.co, or what HF_ENDPOINT says."""
    endpoint: str = constants.ENDPOINT
    return urlsplit(endpoint).netloc or endpoint


def look(name: str, revision: str) -> Remote:
    """What a base is made of; raises NoInput where there is no such base or revision, or it may not be read."""
    try:
        info = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except HTTPError as error:
        raise _told(error, name, revision) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _no_hub() from None
    commit = info.sha
    if not isinstance(commit, str) or not is_commit(commit):
        raise _no_hub()
    files = {file.name: file for sibling in info.siblings or () if (file := _file(sibling)) is not None}
    if CONFIG not in files:
        raise NoInput(f"{name} is no model that Transformers can load: it has no {CONFIG}.")
    if not _TOKENIZERS & files.keys():
        raise NoInput(f"{name} has no tokenizer, so it cannot be trained.")
    return Remote(name, revision, commit, _license(info), files)


def _file(sibling: Any) -> RemoteFile | None:
    """A file at the top of the repository with a size and a digest; None for any other."""
    name, size = sibling.rfilename, sibling.size
    digest = sibling.lfs.sha256 if sibling.lfs is not None else sibling.blob_id
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name:
        return None
    if not isinstance(size, int) or size < 0 or not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        return None
    return RemoteFile(name, size, digest)


def _license(info: Any) -> str:
    """The licence as the model card or a tag has it, on one line; empty where neither tells."""
    card = info.card_data.to_dict() if info.card_data is not None else {}
    told = card.get("license")
    if told == "other":
        told = card.get("license_name") or told
    if not told:
        tags = [tag for tag in info.tags or () if isinstance(tag, str) and tag.startswith("license:")]
        told = tags[0].removeprefix("license:") if tags else ""
    return one_line(", ".join(map(str, told)) if isinstance(told, list) else str(told), 60)


@contextmanager
def opened(remote: Remote, file: RemoteFile, at: int) -> Iterator[tuple[int, Iterator[bytes]]]:
    """The bytes of a file from `at` on, and where they really begin, which is 0 where the server cannot continue.

    Raises Broken where another try may help, and a fault where none can.
    """
    url = hf_hub_url(remote.id, file.name, revision=remote.commit)
    headers = build_hf_headers(library_name="ventriloquist", library_version=__version__)
    headers["Accept-Encoding"] = "identity"
    if at:
        headers["Range"] = f"bytes={at}-"
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    try:
        with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
            if response.status_code in RETRIED:
                raise _asked_to_wait(response)
            hf_raise_for_status(response)
            yield (at if _continues(response, at) else 0), response.iter_bytes()
    except HfHubHTTPError as error:
        raise _told(error, remote.id, remote.revision) from None
    except HTTPError as error:
        raise Broken(type(error).__name__) from None


def _continues(response: Any, at: int) -> bool:
    told: str = response.headers.get("Content-Range", "")
    return at > 0 and response.status_code == 206 and told.startswith(f"bytes {at}-")


def _asked_to_wait(response: Any) -> Broken:
    broken = Broken(f"answer {response.status_code}")
    told = response.headers.get("Retry-After", "")
    broken.wait = min(float(told), 120.0) if told.isascii() and told.isdigit() else 0.0
    return broken


def _no_hub() -> Fault:
    return Fault(f"{host()} does not answer as Hugging Face does. Check HF_ENDPOINT, if it is set, and the network.")


def _told(error: HTTPError, name: str, revision: str) -> Fault:
    """The sentence for an error of the hub or of the way to it."""
    if isinstance(error, GatedRepoError):
        return NoInput(
            f"{name} is given only to those who accept its terms: accept them at {constants.ENDPOINT}/{name}, "
            "then set HF_TOKEN to a token of that account."
        )
    if isinstance(error, RevisionNotFoundError):
        return NoInput(f"{name} has no revision {revision}.")
    code = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    if isinstance(error, RepositoryNotFoundError) or code in (401, 404):
        return NoInput(
            f"There is no model {name} at {host()}, or it is private: check its id, or set HF_TOKEN to a token that "
            "may read it."
        )
    if code == 403:
        return NoInput(
            f"{host()} refuses {name} (403): accept its terms at {constants.ENDPOINT}/{name}, or set HF_TOKEN to a "
            "token that may read it."
        )
    if code:
        return Fault(f"{host()} answered {code} when asked for {name}. Try again later.")
    return Fault(f"{host()} cannot be reached ({type(error).__name__}). Check the network; what is already here stays.")
