"""A base as it would be published, a Hugging Face cache of a test's own, and fetching from one to the other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from tests.fake_hub import FakeHub
from ventriloquist.model import fetch as fetching
from ventriloquist.model import tiny
from ventriloquist.model.fetch import Fetch, fetch
from ventriloquist.runs import list_runs, perform, read_events
from ventriloquist.workspace import Workspace

ID = "Example/Small-Base"
NEEDED = {
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json",
    "README.md", "LICENSE",
}  # fmt: skip
NOT_NEEDED = {
    "pytorch_model.bin", "model.gguf", "model.onnx", "consolidated.safetensors", "modeling_evil.py", "notes.pdf",
    "original/consolidated.00.pth", "onnx/model.onnx",
}  # fmt: skip


def published(folder: Path) -> dict[str, bytes]:
    """A model made on the spot, in several files of weights, with much beside it that nobody needs."""
    tokenizer = tiny.build_tokenizer([f"hello you, number {number}" for number in range(300)], 500)
    tiny.build_model(len(tokenizer), 96, 3, 4).save_pretrained(folder, max_shard_size="300KB")
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A base\n")
    (folder / "LICENSE").write_text("Do what you like.\n")
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    return content | dict.fromkeys(NOT_NEEDED, b"never fetched" * 1000)


def own_cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `home` the home of Hugging Face; returns where its cache keeps the base."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(fetching, "LONGEST_WAIT", 0.02)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(home))
    return home / "hub" / "models--Example--Small-Base"


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_ENDPOINT, for this process, where it was read already, and for others."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setenv("HF_ENDPOINT", url)


def get(workspace: Workspace, revision: str = "main", paint: Any = None) -> dict[str, Any]:
    """Fetch the base as the command does, in this process."""
    return dict(perform("base", fetch, Fetch(ID, revision), workspace, ["base", "fetch", ID], paint))


def shards(files: dict[str, bytes]) -> set[str]:
    return {name for name in files if name.startswith("model-") and name.endswith(".safetensors")}


def notes(workspace: Workspace) -> list[str]:
    return [event["text"] for event in read_events(list_runs(workspace)[-1].folder) if event["kind"] == "note"]


def biggest(files: dict[str, bytes]) -> str:
    return max(shards(files), key=lambda name: len(files[name]))


def environment(fake: FakeHub) -> dict[str, str]:
    return {**os.environ, "HF_ENDPOINT": fake.url, "HF_HUB_OFFLINE": "0"}
