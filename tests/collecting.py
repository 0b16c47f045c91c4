"""Runs collect in a test as the command would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ventriloquist.pipeline.collect import collect
from ventriloquist.runs import list_runs, perform, read_events
from ventriloquist.settings import CollectSettings
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace


def run_collect(root: Path, db: Path, **settings: Any) -> dict[str, Any]:
    """Collect `db` into the workspace at `root`; returns what it makes."""
    settings = {"region": "US", **settings}
    workspace = Workspace.at(root)
    return dict(perform("collect", collect, CollectSettings.load(workspace, db=db, **settings), workspace, ["collect"]))


def notes(root: Path) -> list[str]:
    """What the latest run told the user."""
    events = read_events(list_runs(Workspace.at(root))[-1].folder)
    return [event["text"] for event in events if event["kind"] == "note"]


def exported(root: Path) -> list[dict[str, Any]]:
    """Every message of the workspace, as `messages --jsonl` writes it."""
    with Store.open(Workspace.at(root)) as store:
        return list(store.export())
