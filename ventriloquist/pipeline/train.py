"""Train: the windows become a checkpoint."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ventriloquist.faults import NoInput, UsageFault
from ventriloquist.files import sha256
from ventriloquist.runs import Run
from ventriloquist.settings import TrainSettings
from ventriloquist.windows.file import need_report, read_windows, spread
from ventriloquist.windows.lines import split_lines
from ventriloquist.workspace import Workspace

TINY = "tiny"
EPOCHS = {True: 8.0, False: 3.0}
LEARNING_RATE = {True: 6e-3, False: 2e-4}
VALIDATION_WINDOWS = 32
_NOT_OF_THE_MODEL = {"name", "resume", "fresh", "threads", "device", "save_steps", "validate_steps"}


def train(settings: TrainSettings, workspace: Workspace, run: Run) -> dict[str, Any]:
    """Train, or go on where a training with the same base, data and settings was cut off."""
    run.phase("read windows")
    report = need_report(workspace)
    if sha256(workspace.windows) != report["sha256"]:
        raise NoInput("The training windows have changed since they were made. Run: ventriloquist preprocess")
    fingerprint = _fingerprint(settings, report)
    out = workspace.checkpoints / (settings.name or f"{_base_name(settings.base)}-{fingerprint[:6]}")
    run.phase("load PyTorch")
    from ventriloquist.model import checkpoint

    if settings.fresh and out.exists():
        shutil.rmtree(out)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    checkpoint.clear_staging(out)
    done = _already_done(out / checkpoint.FINAL, fingerprint, run)
    if done:
        return done
    resume_from, warnings = checkpoint.newest_sound(out)
    for warning in warnings:
        run.note(warning, "warning")
    if resume_from is None and settings.resume:
        raise NoInput(
            f"There is no checkpoint in {out} to resume from. Leave --resume out to start from the beginning."
        )
    if resume_from is not None:
        _must_fit(resume_from, fingerprint)
        run.note(f"Going on from {resume_from.name}.")
    try:
        return _train(settings, workspace, run, out, fingerprint, report, resume_from)
    finally:
        checkpoint.clear_staging(out)  # a checkpoint that a full disk cut short must not keep it full


def _train(
    settings: TrainSettings,
    workspace: Workspace,
    run: Run,
    out: Path,
    fingerprint: str,
    report: dict[str, Any],
    resume_from: Path | None,
) -> dict[str, Any]:
    from ventriloquist.model import learn

    is_tiny = settings.base == TINY
    texts = list(read_windows(workspace, "train"))
    held_out = spread([window.text for window in read_windows(workspace, "validation")], VALIDATION_WINDOWS)
    run.phase("load the base")
    learner = learn.prepare(settings, is_tiny, [line for window in texts for line in split_lines(window.text)])
    run.note(learner.summary)
    run.phase("tokenise")
    plan = learn.plan(
        learner,
        [(window.text, window.targets) for window in texts],
        settings,
        epochs=settings.epochs or EPOCHS[is_tiny],
        run=run,
    )
    run.note(plan.summary)
    run.phase("train")
    metrics = learn.fit(
        learner,
        plan,
        held_out,
        settings,
        out=out,
        run=run,
        learning_rate=settings.learning_rate or LEARNING_RATE[is_tiny],
        resume_from=resume_from,
        facts={
            "fingerprint": fingerprint,
            "settings": settings.public(),
            "data": {"sha256": report["sha256"], "store": report["store"]},
            "members": list(report["people"]),
            "size": report["settings"]["size"],
            "me": report.get("me", ""),
        },
    )
    return {"checkpoint": out.name, "steps": plan.steps, "tokens": plan.tokens, **metrics}


def _fingerprint(settings: TrainSettings, report: dict[str, Any]) -> str:
    """What the result depends on: the data and every setting that changes the weights."""
    chosen = {name: value for name, value in settings.public().items() if name not in _NOT_OF_THE_MODEL}
    return hashlib.sha256(json.dumps([chosen, report["sha256"]], sort_keys=True).encode()).hexdigest()


def _base_name(base: str) -> str:
    name = Path(base).name.lower()
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip("-._")[:48] or "base"


def _already_done(final: Path, fingerprint: str, run: Run) -> dict[str, Any] | None:
    from ventriloquist.model.checkpoint import Description, damage

    if not final.is_dir():
        return None
    problem = damage(final)
    if problem:
        aside = final.with_name("damaged-final")
        shutil.rmtree(aside, ignore_errors=True)
        final.rename(aside)
        run.note(f"The finished checkpoint is damaged ({problem}); it was set aside as {aside.name}.", "warning")
        return None
    _must_fit(final, fingerprint)
    description = Description.read(final)
    run.note("This training is finished already: same base, same data, same settings. --fresh does it again.")
    return {"checkpoint": final.parent.name, "steps": description.steps, **description.metrics}


def _must_fit(folder: Path, fingerprint: str) -> None:
    from ventriloquist.model.checkpoint import Description

    if Description.read(folder).fingerprint != fingerprint:
        raise UsageFault(
            f"The checkpoint {folder.parent.name} was made from other data or settings. "
            "Choose another --name, or start it over with --fresh."
        )
