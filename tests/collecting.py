"""Runs collect in a test as the command would, or reads a chat.db alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ventriloquist.people import normaliser
from ventriloquist.pipeline.collect import collect
from ventriloquist.records import Ledger, Message
from ventriloquist.runs import list_runs, perform, read_events
from ventriloquist.settings import CollectSettings
from ventriloquist.sources import open_source
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


def read(path: Path, my_handles: set[str] | None = None, **settings: Any) -> tuple[list[Message], Ledger, list[str]]:
    """All messages, the ledger and the warnings; checks that the ledger accounts for every row."""
    loaded = CollectSettings.load(Workspace.at(path.parent / "workspace"), db=path, **settings)
    ledger = Ledger()
    with open_source(loaded, normaliser("US")) as source:
        messages = [
            message for block in source.blocks(my_handles or source.my_handles()) for message in block.messages(ledger)
        ]
        assert ledger.source_rows == source.rows()
        assert ledger.kept.total() == len(messages)
        return messages, ledger, list(source.warnings(ledger, states_of(messages)))


def states_of(messages: list[Message]) -> dict[str, int]:
    """How many attachments are on this disk, known to be elsewhere, and missing."""
    states = {"present": 0, "offloaded": 0, "missing": 0}
    for message in messages:
        for each in message.attachments:
            states["present" if each.path else "offloaded" if each.is_offloaded else "missing"] += 1
    return states


def dropped(ledger: Ledger) -> dict[str, int]:
    totals: dict[str, int] = {}
    for (reason, _), rows in ledger.dropped.items():
        totals[reason] = totals.get(reason, 0) + rows
    return totals
