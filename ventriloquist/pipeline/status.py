"""Where a workspace stands: what each stage has made, what is missing, and what to do next."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ventriloquist.faults import NoInput
from ventriloquist.model import checkpoint
from ventriloquist.pipeline.ledger import empty_ledger, ledger_of
from ventriloquist.runfold import read_state
from ventriloquist.runs import WATCHING, list_runs
from ventriloquist.settings import PIPELINE
from ventriloquist.store import Store
from ventriloquist.store.describing import LOCAL
from ventriloquist.windows.file import read_report
from ventriloquist.workspace import Workspace

_NEEDS = {"describe": "collect", "preprocess": "collect", "train": "preprocess", "evaluate": "train"}

Stage = dict[str, Any]
"""`{"name", "state", "makes", "when", "missing", "next"}`; state is done, ready, waiting, stale, running, failed,
stopped or lost; `next` is the command that moves it on."""


def status(workspace: Workspace) -> dict[str, Any]:
    """`{"stages": [...], "ledger": {...}}`, the shape of `ventriloquist status --json`."""
    stages = {name: _stage(name) for name in PIPELINE}
    ledger = empty_ledger()
    fingerprint = None
    if workspace.messages_db.is_file():
        with Store.open(workspace) as store:
            ledger = ledger_of(store)
            fingerprint = store.fingerprint()
            _collected(stages, store)
    try:
        report = read_report(workspace)
    except NoInput as fault:
        report = None
        stages["preprocess"].update(missing=str(fault))
    if report:
        _preprocessed(stages["preprocess"], report, fingerprint, workspace.windows_report)
        stages["train"].update(state="ready", missing=None, next="ventriloquist train")
        _trained(stages, workspace, report)
    _with_runs(stages, workspace)
    return {"stages": list(stages.values()), "ledger": ledger}


def _stage(name: str) -> Stage:
    before = _NEEDS.get(name)
    return {
        "name": name,
        "state": "waiting" if before else "ready",
        "makes": None,
        "when": None,
        "missing": f"{before} comes first" if before else None,
        "next": f"ventriloquist {before or name}",
    }


def _collected(stages: dict[str, Stage], store: Store) -> None:
    counts = store.counts()
    stages["collect"].update(
        state="done",
        makes=f"{counts['messages']:,} messages, {counts['people']:,} people",
        when=store.collected_at(),
        next="ventriloquist collect",
    )
    left = counts["attachments"] - counts["described"]
    by_captioners = sum(files for by, files in store.descriptions_by().items() if by != LOCAL)
    made = f"{counts['described']:,} of {counts['attachments']:,} attachments"
    made += f", {by_captioners:,} described by a model" if by_captioners else ""
    stages["describe"].update(
        state="ready" if left else "done",
        makes=made if counts["attachments"] else "none",
        missing=f"{left:,} attachments have no words yet" if left else None,
        next="ventriloquist describe",
    )
    stages["preprocess"].update(state="ready", missing=None, next="ventriloquist preprocess")


def _preprocessed(stage: Stage, report: dict[str, Any], fingerprint: str | None, path: Path) -> None:
    stale = fingerprint is not None and report["store"] != fingerprint
    stage.update(
        state="stale" if stale else "done",
        makes=f"{sum(report['windows'].values()):,} windows, {report['targets']:,} targets",
        when=_when(path),
        missing="the messages have changed since" if stale else None,
        next="ventriloquist preprocess",
    )


def _trained(stages: dict[str, Stage], workspace: Workspace, report: dict[str, Any]) -> None:
    newest = newest_checkpoint(workspace)
    if newest is None:
        return
    folder, description = newest
    stale = description["data"].get("sha256") != report["sha256"]
    stages["train"].update(
        state="stale" if stale else "done",
        makes=f"{folder.parent.name}, {description['steps']:,} steps",
        when=_when(folder / "ventriloquist.json"),
        missing="the windows have changed since" if stale else None,
        next="ventriloquist train",
    )
    stages["evaluate"].update(state="ready", missing=None, next="ventriloquist evaluate")
    evaluation = workspace.evaluations / f"{folder.parent.name}.json"
    try:
        result = json.loads(evaluation.read_text())
        loss = f"text loss {result['trained']['text']:.2f}"
        before = result.get("untrained")
        made = f"{loss} (before: {before['text']:.2f})" if before else loss
        fits = result["fingerprint"] == description["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    stages["evaluate"].update(
        state="done" if fits else "stale",
        makes=made,
        when=_when(evaluation),
        next="ventriloquist chat" if fits else "ventriloquist evaluate",
        missing=None if fits else "the checkpoint has changed since",
    )


def newest_checkpoint(workspace: Workspace) -> tuple[Path, dict[str, Any]] | None:
    """The newest finished checkpoint's folder and its `ventriloquist.json`; loads no PyTorch."""
    for folder in reversed(checkpoint.finished(workspace)):
        try:
            return folder, asdict(checkpoint.Description.read(folder))
        except NoInput:
            continue
    return None


def _with_runs(stages: dict[str, Stage], workspace: Workspace) -> None:
    """Let the latest run of each stage speak, where it says more than what stands on disk."""
    latest = {run.stage: run for run in list_runs(workspace)}
    for name, run in latest.items():
        if name not in stages:
            continue
        state, status = read_state(run)
        if status == "running" and state.phase != WATCHING:
            stages[name].update(state="running", missing=None, next=f"ventriloquist runs watch {run.id}")
        elif status in ("failed", "stopped", "lost"):
            said = state.error or "the run ended without a word (killed, or the machine went down)"
            stages[name].update(state=status, missing=said, next=f"ventriloquist runs resume {run.id}")


def _when(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def next_step(found: dict[str, Any]) -> str:
    """The one command to run next."""
    stages: list[Stage] = found["stages"]
    for wanted in (("running",), ("failed", "stopped", "lost"), ("ready", "stale")):
        for stage in stages:
            if stage["state"] in wanted:
                return str(stage["next"])
    return "ventriloquist chat"
