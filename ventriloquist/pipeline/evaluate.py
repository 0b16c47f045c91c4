"""Evaluate: the checkpoint on messages it never saw, before and after training."""

from __future__ import annotations

import json
from typing import Any

from ventriloquist.faults import NoInput
from ventriloquist.files import write_whole
from ventriloquist.runs import Run
from ventriloquist.settings import EvaluateSettings
from ventriloquist.windows.file import need_report, read_windows, spread
from ventriloquist.workspace import Workspace


def evaluate(settings: EvaluateSettings, workspace: Workspace, run: Run) -> dict[str, Any]:
    """Held-out loss for each part of a line, in nats a token, written to `data/evaluations/<checkpoint>.json`."""
    run.phase("read windows")
    report = need_report(workspace)
    windows = spread([window.text for window in read_windows(workspace, "test")], settings.limit)
    if not windows:
        raise NoInput("No message was held out. Run ventriloquist preprocess with a larger --holdout.")
    run.phase("load the model")
    from ventriloquist.model import checkpoint
    from ventriloquist.model.assess import assess

    folder = checkpoint.find(workspace, settings.checkpoint)
    description = checkpoint.Description.read(folder)
    if description.data.get("sha256") != report["sha256"]:
        run.note(
            "The windows have changed since this checkpoint was trained: some held-out messages may have been "
            "training messages then.",
            "warning",
        )
    given: dict[str, Any] = {
        "device": settings.device,
        "precision": settings.precision,
        "bits": settings.bits,
        "threads": settings.threads,
        "seed": settings.seed,
        "run": run,
    }
    run.phase("the trained model")
    trained = assess(folder, windows, trained=True, **given)
    result: dict[str, Any] = {
        "checkpoint": folder.parent.name,
        "fingerprint": description.fingerprint,
        "held_out": trained["lines"],
        "trained": trained["score"],
        "right_name": trained["right_name"],
        "wrong_name": trained["wrong_name"],
        "named": trained["named_lines"],
    }
    if settings.with_base:
        run.phase("the model before training")
        result["untrained"] = assess(folder, windows, trained=False, **given)["score"]
    workspace.evaluations.mkdir(mode=0o700, exist_ok=True)
    write_whole(
        workspace.evaluations / f"{folder.parent.name}.json", json.dumps(result, indent=1, ensure_ascii=True) + "\n"
    )
    return result
