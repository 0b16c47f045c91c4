"""From settings and windows to a trained model: the base, the plan of rows, and the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, get_peft_model

from ventriloquist.faults import NoInput
from ventriloquist.model import train
from ventriloquist.model.base import Base, build_tiny, choose_device, choose_dtype, load_base, use_threads
from ventriloquist.model.checkpoint import Description
from ventriloquist.model.score import Scorer, score_windows
from ventriloquist.model.tokens import LineTokenizer, Row, TokenWindow, pack, shuffled
from ventriloquist.runs import Run
from ventriloquist.settings import TrainSettings
from ventriloquist.windows.lines import split_lines

TOKENIZER_LINES = 200_000
GPU_ROW_TOKENS = 8192
KNOWN_LINES = 65_536


@dataclass(frozen=True, slots=True)
class Learner:
    """A base ready to learn: `model` with its adapter, if any."""

    base: Base
    model: Any
    device: torch.device
    summary: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Every row of the training in its order, and how many optimizer steps they make."""

    rows: list[Row]
    steps: int
    tokens: int
    targets: int
    summary: str


def prepare(settings: TrainSettings, is_tiny: bool, lines: Sequence[str]) -> Learner:
    """Load or build the base, and put a LoRA adapter on it unless it is trained whole."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    use_threads(settings.threads)
    device = choose_device(settings.device)
    transformers.set_seed(settings.seed)
    if is_tiny:
        step = max(len(lines) // TOKENIZER_LINES, 1)
        base = build_tiny(
            list(lines[::step]), settings.tiny_vocab, settings.tiny_hidden, settings.tiny_layers, settings.seed
        )
        model = base.model.to(device)
        weights = sum(parameter.numel() for parameter in model.parameters())
        summary = f"The tiny base: {weights / 1e6:.1f} million weights, {len(base.tokenizer)} tokens, on {device.type}."
    else:
        base = load_base(settings.base, device, choose_dtype(device))
        model = get_peft_model(base.model, _lora(settings))
        learnt, weights = model.get_nb_trainable_parameters()
        summary = (
            f"LoRA of rank {settings.lora_r}: {learnt / 1e6:.1f} of {weights / 1e6:.0f} million weights learn, "
            f"on {device.type}."
        )
    return Learner(base, model, device, summary)


def _lora(settings: TrainSettings) -> LoraConfig:
    return LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha or 2 * settings.lora_r,
        lora_dropout=settings.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def plan(
    learner: Learner, windows: Sequence[tuple[str, int]], settings: TrainSettings, *, epochs: float, run: Run
) -> Plan:
    """Tokenise every line once and lay out the rows of all epochs; raises NoInput if no window fits the model."""
    tokenised = tokenise(LineTokenizer(learner.base.tokenizer), windows, learner.base.max_tokens, run)
    if not tokenised:
        raise NoInput("No training window fits into the model. Run preprocess with a smaller --size.")
    lengths = sorted(len(window.ids) for window in tokenised)
    usual = lengths[len(lengths) * 9 // 10]
    limit = settings.tokens_per_row or (GPU_ROW_TOKENS if learner.device.type == "cuda" else usual)
    rows: list[Row] = []
    whole, part = int(epochs), epochs - int(epochs)
    for epoch in range(whole + (part > 0)):
        order = shuffled(tokenised, epoch, settings.seed)
        rows += pack(order if epoch < whole else order[: max(round(len(order) * part), 1)], limit)
    steps = max(len(rows) // settings.rows_per_step, 1)
    if settings.max_steps:
        steps = min(steps, settings.max_steps)
    tokens = sum(len(row.ids) for row in rows[: steps * settings.rows_per_step])
    targets = sum(len(row.labels) for row in rows[: steps * settings.rows_per_step])
    summary = f"{len(tokenised):,} windows, {steps:,} steps, {tokens / 1e6:.2f} million tokens."
    return Plan(rows, steps, tokens, targets, summary)


def tokenise(lines: LineTokenizer, windows: Sequence[tuple[str, int]], max_tokens: int, run: Run) -> list[TokenWindow]:
    """The windows as ids. Lines that several windows share are tokenised once."""
    result = []
    known: dict[str, list[int]] = {}
    for number, (text, targets) in enumerate(windows, 1):
        parts = split_lines(text)
        new = [part for part in dict.fromkeys(parts) if part not in known]
        known.update(zip(new, lines.encode_lines(new), strict=True))
        window = lines.assemble(parts, [known[part] for part in parts], targets, max_tokens)
        if window is not None:
            result.append(window)
        if len(known) > KNOWN_LINES:
            known.clear()
        run.progress(number, len(windows), "windows")
    return result


def fit(
    learner: Learner,
    plan: Plan,
    held_out: Sequence[str],
    settings: TrainSettings,
    *,
    out: Path,
    run: Run,
    learning_rate: float,
    resume_from: Path | None,
    facts: dict[str, Any],
) -> dict[str, float]:
    """Train, save `out/final`, and return the last validation's figures."""
    save_steps = settings.save_steps or max(plan.steps // 10, 1)
    tokenizer = learner.base.tokenizer

    def validate() -> dict[str, float]:
        if not held_out:
            return {}
        learner.model.eval()
        scorer = Scorer(learner.model, tokenizer, learner.device, learner.base.max_tokens)
        score = score_windows(scorer, held_out)
        learner.model.train()
        return {"validation_text_loss": score.mean("text"), "validation_loss": score.summary()["all"]}

    def describe(step: int, metrics: dict[str, float] | None = None) -> Description:
        return Description(
            base=learner.base.described,
            max_tokens=learner.base.max_tokens,
            step=step,
            steps=plan.steps,
            metrics=metrics or {},
            **facts,
        )

    train.fit(
        learner.model,
        tokenizer,
        plan.rows,
        out=out,
        run=run,
        device=learner.device,
        rows_per_step=settings.rows_per_step,
        learning_rate=learning_rate,
        max_steps=plan.steps,
        save_steps=save_steps,
        validate_steps=settings.validate_steps or save_steps,
        seed=settings.seed,
        describe=describe,
        validate=validate,
        resume_from=resume_from,
    )
    run.phase("save")
    metrics = validate()
    train.save_final(learner.model, tokenizer, out, describe(plan.steps, metrics))
    return metrics
