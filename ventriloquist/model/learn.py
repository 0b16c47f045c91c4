"""From settings and windows to a trained model: the base, the windows as tokens, the fit, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from ventriloquist.faults import UsageFault
from ventriloquist.model import parallel
from ventriloquist.model.adapt import add_adapter, build_optimizer, continue_adapter, share_inputs
from ventriloquist.model.base import Base, choose_device, choose_dtype, find_base, new_tiny, trained_tiny, use_threads
from ventriloquist.model.best import find_best, leave_final
from ventriloquist.model.checkpoint import FINAL, Description
from ventriloquist.model.parallel import World
from ventriloquist.model.schedule import Schedule
from ventriloquist.model.sinks import open_sink
from ventriloquist.model.state import Progress
from ventriloquist.model.tokenised import Tokenised
from ventriloquist.model.train import Training
from ventriloquist.model.validate import hold_out, validate
from ventriloquist.model.voices import Voices
from ventriloquist.runs import Run
from ventriloquist.settings import TrainSettings

TOKENIZER_LINES = 200_000


@dataclass(frozen=True, slots=True)
class Learner:
    """A base ready to learn: `model` with its adapter, if any; `autocast` is what it computes in, if not float32."""

    base: Base
    model: Any
    device: torch.device
    autocast: torch.dtype | None
    world: World
    summary: str


def open_base(
    settings: TrainSettings, lines: Callable[[], Sequence[str]], revision: str | None, continue_from: Path | None
) -> Base:
    """The base that the settings name, its weights not loaded yet; the tiny one is built from `lines()`."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    use_threads(settings.threads)
    before = Description.read(continue_from) if continue_from else None
    if settings.is_tiny and continue_from and before:
        if before.base["kind"] != "tiny":
            raise UsageFault(f"The checkpoint {continue_from} was trained on another base than tiny: --base names it.")
        return trained_tiny(continue_from, before.base)
    if settings.is_tiny:
        given = lines()
        few = list(given[:: max(len(given) // TOKENIZER_LINES, 1)])
        return new_tiny(few, settings.tiny_vocab, settings.tiny_hidden, settings.tiny_layers, settings.seed)
    base = find_base(settings.base, revision)
    if before and before.base.get("hash") != base.described["hash"]:
        raise UsageFault(f"The checkpoint {continue_from} was trained on another base than {settings.base}.")
    return base


def prepare(
    base: Base,
    settings: TrainSettings,
    *,
    continue_from: Path | None = None,
    checkpointing: bool = False,
    world: World | None = None,
) -> Learner:
    """Load the base's weights, and put a LoRA adapter on it unless it is trained whole."""
    world = world or World()
    device = choose_device(settings.device)
    dtype = choose_dtype(device, settings.precision)
    transformers.set_seed(settings.seed)
    model = base.load(device, dtype, settings.bits)
    if settings.is_tiny:
        weights = sum(parameter.numel() for parameter in model.parameters())
        summary = f"The tiny base: {weights / 1e6:.1f} million weights, {len(base.tokenizer)} tokens, on {device.type}."
    else:
        model = continue_adapter(model, continue_from, settings) if continue_from else add_adapter(model, settings)
        learnt, weights = model.get_nb_trainable_parameters()
        if dtype is torch.bfloat16:
            share_inputs(model)
        adapter = model.active_peft_config
        summary = (
            f"LoRA of rank {adapter.r}, alpha {adapter.lora_alpha}: {learnt / 1e6:.1f} of {weights / 1e6:.0f} million "
            f"weights learn, on {device.type}."
        )
    if checkpointing:
        model.activation_checkpointing_enable()
    parallel.shard(model, world)
    return Learner(base, model, device, dtype if dtype is torch.bfloat16 else None, world, summary)


def training_of(
    learner: Learner,
    data: Tokenised,
    schedule: Schedule,
    settings: TrainSettings,
    *,
    out: Path,
    run: Run,
    facts: dict[str, Any],
) -> Training:
    """The training that these settings mean, at its beginning."""

    def describe(step: int, metrics: dict[str, float]) -> Description:
        return Description(
            base=learner.base.described,
            max_tokens=learner.base.max_tokens,
            step=step,
            steps=len(schedule.steps),
            metrics=metrics,
            **facts,
        )

    optimizer = build_optimizer(learner.model, settings)
    return Training(
        learner.model, learner.base.tokenizer, optimizer, data, schedule, settings.seed, learner.device, out, run,
        describe, autocast=learner.autocast, world=learner.world,
    )  # fmt: skip


def fit(
    training: Training, learner: Learner, held_out: Sequence[str], settings: TrainSettings, resume_from: Path | None
) -> dict[str, Any]:
    """Train, leave the best checkpoint as `out/final`, and return its validation's figures."""
    tokenizer, device, limit = learner.base.tokenizer, learner.device, learner.base.max_tokens
    out, run, world = training.out, training.run, learner.world
    if held := hold_out(tokenizer, held_out, limit):
        tokens = training.schedule.batch_tokens
        training.validate = lambda loss: validate(loss, held, tokens, device)
        if settings.voices and world.size == 1:
            voices = Voices(learner.model, tokenizer, device, limit, held_out, settings.seed)
            training.speak = voices.speak_to(run)
    if parallel.agree(resume_from is not None, world):
        training.resume(resume_from)
    told = settings.report_to if world.first else "none"
    numbers = {**settings.of_the_model(), "base": Path(settings.base).name, "continue_from": ""}
    with open_sink(told, out.name, numbers, out / "numbers") as training.sink:
        progress = training.fit()
    run.phase("save")
    return _finish(out, progress, run) if world.first else {}


def _finish(out: Path, progress: Progress, run: Run) -> dict[str, Any]:
    """Seal the checkpoint with the lowest validation loss as `final`, or the last one where there is no better."""
    last = out / f"checkpoint-{progress.step}"
    chosen = find_best(out, progress.best) if progress.best else last
    if chosen is None:
        run.note("The best checkpoint is damaged or gone; the last one is kept instead.", "warning")
    elif progress.best and progress.best < progress.step:
        run.note(f"Step {progress.best:,} did best on held-out messages; its weights are kept.")
    leave_final(out, chosen or last, progress)
    described = Description.read(out / FINAL)
    return {"best_step": described.step, **described.metrics}
