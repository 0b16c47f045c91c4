"""Train: the windows become a checkpoint."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ventriloquist.faults import NoInput, UsageFault
from ventriloquist.files import sha256
from ventriloquist.model import hub
from ventriloquist.runs import Run
from ventriloquist.settings import TrainSettings
from ventriloquist.windows.file import need_report, read_windows, spread
from ventriloquist.windows.lines import split_lines
from ventriloquist.windows.sample import sample
from ventriloquist.workspace import Workspace

if TYPE_CHECKING:
    from ventriloquist.model.base import Base
    from ventriloquist.model.learn import Learner
    from ventriloquist.model.parallel import World
    from ventriloquist.model.planning import Outlook
    from ventriloquist.model.schedule import Schedule
    from ventriloquist.model.tokenised import Tokenised
    from ventriloquist.model.train import Training


@dataclass(frozen=True, slots=True)
class Task:
    """What one training is made from and where it goes. `revision` is the base's commit, if it is pinned."""

    settings: TrainSettings
    workspace: Workspace
    report: dict[str, Any]
    fingerprint: str
    revision: str | None
    continue_from: Path | None
    out: Path


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a training needs before the base's weights are loaded."""

    base: Base
    device: Any
    data: Tokenised
    schedule: Schedule
    outlook: Outlook


def train(settings: TrainSettings, workspace: Workspace, run: Run) -> dict[str, Any]:
    """Train, or go on where a training with the same base, data and settings was cut off."""
    if settings.load_in_8bit and settings.load_in_4bit:
        raise UsageFault("Choose one of --load-in-8bit and --load-in-4bit.")
    if settings.bits and settings.is_tiny:
        raise UsageFault("The tiny base is trained whole, which 8 or 4 bits are too few for. Name another with --base.")
    if settings.resume and settings.fresh:
        raise UsageFault("Choose one of --resume and --fresh.")
    run.phase("read windows")
    report = need_report(workspace)
    if sha256(workspace.windows) != report["sha256"]:
        raise NoInput("The training windows have changed since they were made. Run: ventriloquist preprocess")
    run.phase("load PyTorch")
    from ventriloquist.model import parallel
    from ventriloquist.model.sinks import need_sink

    need_sink(settings.report_to)
    world = parallel.join(settings.shard, settings.device)
    try:
        if settings.bits and settings.shard and world.size > 1:
            raise UsageFault("A base in 8 or 4 bits cannot be sharded over several processes. Add --no-shard.")
        wide = max(settings.windows_per_step, world.size)  # no process is left without a window
        task = _task(settings.model_copy(update={"windows_per_step": wide}), workspace, report)
        parallel.must_agree(task.fingerprint, "training windows or settings", world)
        with parallel.company(world):
            return _plan(task, run, world) if settings.plan else _train(task, run, world)
    finally:
        parallel.leave()


def _task(settings: TrainSettings, workspace: Workspace, report: dict[str, Any]) -> Task:
    from ventriloquist.model import checkpoint

    revision = None if settings.is_tiny else hub.pinned(workspace, settings.base)
    base = None if settings.is_tiny else hub.fingerprint(hub.base_folder(settings.base, revision))
    before = checkpoint.find(workspace, settings.continue_from) if settings.continue_from else None
    made_from = [
        settings.of_the_model(),
        report["sha256"],
        base,
        sha256(before / checkpoint.MANIFEST) if before else None,
    ]
    fingerprint = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    out = workspace.checkpoints / (settings.name or f"{_base_name(settings.base)}-{fingerprint[:6]}")
    if before and before.resolve().parent == out.resolve():
        raise UsageFault(f"A training cannot continue from itself; give it another --name than {out.name}.")
    return Task(settings, workspace, report, fingerprint, revision, before, out)


def _train(task: Task, run: Run, world: World) -> dict[str, Any]:
    from ventriloquist.model import checkpoint, parallel

    done, resume_from = parallel.agree(_what_stands(task, run) if world.first else None, world)
    if done:
        return dict(done)
    if resume_from is None and task.settings.resume:
        raise NoInput(
            f"There is no checkpoint in {task.out} to resume from. Leave --resume out to start from the beginning."
        )
    try:
        return _fit(task, run, world, resume_from)
    finally:
        if world.first:
            checkpoint.clear_staging(task.out)  # a checkpoint that a full disk cut short must not keep it full


def _what_stands(task: Task, run: Run) -> tuple[dict[str, Any] | None, Path | None]:
    """What a finished training of the same made, or the checkpoint to go on from."""
    from ventriloquist.model import best, checkpoint

    if task.settings.fresh:
        return None, None
    checkpoint.clear_staging(task.out)
    done = _already_done(task.out / checkpoint.FINAL, task.fingerprint, run)
    if done:
        return done, None
    resume_from, warnings = best.find_resumable(task.out)
    for warning in warnings:
        run.note(warning, "warning")
    if resume_from is not None:
        _must_fit(resume_from, task.fingerprint)
        run.note(f"Going on from {resume_from.name}.")
    return None, resume_from


def _fit(task: Task, run: Run, world: World, resume_from: Path | None) -> dict[str, Any]:
    from ventriloquist.model import learn, planning

    prepared = _prepare(task, run, world)
    outlook = prepared.outlook
    for sentence in outlook.sentences():
        run.note(sentence)
    with planning.enough_memory(outlook.wanted, prepared.device):
        learner, training = _start(task, prepared, run, world)
        run.phase("train")
        if world.first:  # not before it is known that it can begin
            if task.settings.fresh:
                shutil.rmtree(task.out, ignore_errors=True)
            task.out.mkdir(mode=0o700, parents=True, exist_ok=True)
        metrics = learn.fit(training, learner, _validation(task), task.settings, resume_from)
    return {"checkpoint": task.out.name, "steps": outlook.steps, "tokens": outlook.tokens, **metrics}


def _plan(task: Task, run: Run, world: World) -> dict[str, Any]:
    """What the training would take; some of its steps are done for that, and thrown away."""
    from ventriloquist.model import planning

    prepared = _prepare(task, run, world)
    with planning.enough_memory(prepared.outlook.wanted, prepared.device):
        _, training = _start(task, prepared, run, world)
        run.phase("probe")
        outlook = planning.probe(training, prepared.outlook)
    for sentence in outlook.sentences():
        run.note(sentence)
    return {"plan": outlook.as_object()}


def _prepare(task: Task, run: Run, world: World) -> Prepared:
    """The windows as tokens of the base, what is done with them in which step, and what that will take."""
    from ventriloquist.model import learn, planning
    from ventriloquist.model.base import choose_device
    from ventriloquist.model.schedule import schedule
    from ventriloquist.model.tokenised import cached, tokenise

    settings, sha = task.settings, task.report["sha256"]
    device = choose_device(settings.device)
    windows = sample(list(read_windows(task.workspace, "train")), settings.limit, settings.seed)
    run.phase("tokenise")
    base = learn.open_base(
        settings,
        lambda: [line for window in windows for line in split_lines(window.text)],
        task.revision,
        task.continue_from,
    )
    data = cached(
        task.workspace.tokens,
        [sha, settings.limit and [settings.limit, settings.seed], base.described["hash"], base.max_tokens],
        lambda: tokenise(
            base.tokenizer,
            [(window.text, window.targets) for window in windows],
            base.max_tokens,
            lambda done: run.progress(done, len(windows), "windows"),
        ),
    )
    if not len(data):
        raise NoInput("No training window fits into the model. Run preprocess with a smaller --size.")
    planned = schedule(data, settings, on_gpu=device.type == "cuda", world=world.size)
    outlook = planning.look(base, data, planned, settings, device, world.size, task.workspace.checkpoints)
    return Prepared(base, device, data, planned, outlook)


def _start(task: Task, prepared: Prepared, run: Run, world: World) -> tuple[Learner, Training]:
    """Load the base's weights and put everything in its place."""
    from ventriloquist.model import learn

    settings, report = task.settings, task.report
    run.phase("load the base")
    learner = learn.prepare(
        prepared.base,
        settings,
        continue_from=task.continue_from,
        checkpointing=prepared.outlook.wanted.checkpointing,
        world=world,
    )
    run.note(learner.summary)
    facts = {
        "fingerprint": task.fingerprint,
        "settings": settings.public(),
        "data": {"sha256": report["sha256"], "store": report["store"]},
        "members": list(report["people"]),
        "size": report["settings"]["size"],
        "me": report.get("me", ""),
    }
    training = learn.training_of(
        learner, prepared.data, prepared.schedule, settings, out=task.out, run=run, facts=facts
    )
    return learner, training


def _validation(task: Task) -> list[str]:
    """Held-out messages to choose the best checkpoint by, spread over all conversations."""
    windows = [window.text for window in read_windows(task.workspace, "validation")]
    return spread(windows, task.settings.validation_windows)


def _base_name(base: str) -> str:
    name = Path(base).name.lower()
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip("-._")[:48] or "base"


def _already_done(final: Path, fingerprint: str, run: Run) -> dict[str, Any] | None:
    from ventriloquist.model.best import leave_last
    from ventriloquist.model.checkpoint import Description, damage, set_aside

    if not final.is_dir():
        return None
    problem = damage(final)
    if problem:
        run.note(set_aside(final, problem), "warning")
        return None
    _must_fit(final, fingerprint)
    leave_last(final.parent)
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
