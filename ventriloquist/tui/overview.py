"""What the home screen shows, read from the disk in one go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ventriloquist.faults import Fault, from_os_error
from ventriloquist.pipeline.status import Stage, newest_checkpoint, status
from ventriloquist.runs import RunInfo, list_runs
from ventriloquist.settings import PIPELINE
from ventriloquist.workspace import Workspace

CHAT = "chat"
YOUNG = 15.0
"""Seconds in which a run that holds no lock may still be about to take it."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The five stages and chat, the runs that live, and what is wrong with the workspace, if anything."""

    stages: dict[str, Stage]
    running: dict[str, RunInfo]
    latest: dict[str, RunInfo]
    fault: str | None = None

    def unsettled(self, now: float) -> bool:
        """True while it is worth reading again: a run lives, or one that has just begun looks lost."""
        for name, stage in self.stages.items():
            run = self.latest.get(name)
            young = run is not None and now - datetime.fromisoformat(run.started).timestamp() < YOUNG
            if stage["state"] == "running" or (stage["state"] == "lost" and young):
                return True
        return False


def read_overview(workspace: Workspace) -> Overview:
    """Read the workspace. Blocks on the disk; what is wrong comes as a sentence, never as an exception."""
    fault = None
    stages: dict[str, Stage] = {}
    latest: dict[str, RunInfo] = {}
    newest: tuple[Path, dict[str, Any]] | None = None
    try:
        newest = newest_checkpoint(workspace)
        stages = {stage["name"]: stage for stage in status(workspace)["stages"]}
        latest = {run.stage: run for run in list_runs(workspace)}
    except Fault as problem:
        fault = str(problem)
    except OSError as error:
        fault = str(from_os_error(error, "reading the workspace"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        fault = f"A file of this workspace is damaged ({type(error).__name__}). See: ventriloquist doctor"
    for name in PIPELINE:
        stages.setdefault(name, _unknown(name))
    stages[CHAT] = _chat(newest)
    running = {stage: run for stage, run in latest.items() if run.alive}
    for name, run in running.items():
        if name in stages and stages[name]["state"] == "lost":  # it took its lock a moment after status looked
            stages[name] = {**stages[name], "state": "running", "missing": None}
        if name in stages and stages[name]["state"] == "running":
            stages[name] = {**stages[name], "when": run.started}
    return Overview(stages, running, latest, fault)


def _unknown(name: str) -> Stage:
    return {"name": name, "state": "unknown", "makes": None, "when": None, "missing": None, "next": None}


def _chat(newest: tuple[Path, dict[str, Any]] | None) -> Stage:
    if newest is None:
        return {**_unknown(CHAT), "state": "waiting", "missing": "train comes first"}
    folder, description = newest
    members = description.get("members")
    people = f" · {len(members)} people" if isinstance(members, list) else ""
    return {**_unknown(CHAT), "state": "ready", "makes": f"{folder.parent.name}{people}"}


def advice(overview: Overview, *, on_mac: bool) -> str:
    """The one thing to do next, as a sentence with its key."""
    if overview.fault:
        return overview.fault
    for name in PIPELINE:
        if overview.stages[name]["state"] == "running":
            return f"{name} is running. Select it and press enter to watch; quitting does not stop it."
    collect = overview.stages["collect"]
    if not collect["makes"] and collect["state"] != "failed":
        return _first_step(on_mac)
    for name in PIPELINE:
        stage = overview.stages[name]
        if stage["state"] in ("failed", "stopped", "lost"):
            how = f"Press {name[0]} to start it again." if stage["state"] == "failed" else "Enter on it to resume."
            return f"{name}: {stage['missing'] or stage['state']} {how}"
    return _next_stage(overview)


def _first_step(on_mac: bool) -> str:
    if on_mac:
        return "No messages yet. Press c to collect your messages."
    return (
        "No messages yet. Copy chat.db from a Mac and press c to point collect at it, or try the sample history: "
        "quit and run ventriloquist demo."
    )


def _next_stage(overview: Overview) -> str:
    stages = overview.stages
    for name in ("preprocess", "train"):
        if stages[name]["state"] == "stale":
            return f"Press {name[0]} to {name} again: {stages[name]['missing']}."
    if stages["describe"]["state"] == "ready" and stages["preprocess"]["state"] == "ready":
        return f"Press d to give attachments words ({stages['describe']['missing']}), or p to go on without."
    sentences = {
        "preprocess": "Press p to cut the conversations into training windows.",
        "train": "Press t to train the model on the windows.",
        "evaluate": "Press l to talk with the model, or e to measure it on messages it never saw.",
    }
    for name, sentence in sentences.items():
        if stages[name]["state"] in ("ready", "stale"):
            return sentence
    return "All is done. Press l to talk with the model."
