"""Training: `transformers.Trainer` over packed rows, logits only where there is loss, exact on resume."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from ventriloquist.faults import Fault, Stopped
from ventriloquist.model.checkpoint import FINAL, STAGING, Description, keep_newest, seal
from ventriloquist.model.state import load_optimizer, load_random, save_state
from ventriloquist.model.tokens import Row
from ventriloquist.runs import Run

KEPT_CHECKPOINTS = 2


class Rows(torch.utils.data.Dataset[Row]):
    """The rows of a whole training, in their order."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]


def collate(rows: list[Row]) -> dict[str, torch.Tensor]:
    """One row as model inputs. Positions are given only where they restart; an attention mask never is, since
    with one, packed windows would see each other."""
    (row,) = rows
    inputs = {
        "input_ids": torch.from_numpy(row.ids).long()[None],
        "keep": torch.from_numpy(row.keep).long(),
        "labels": torch.from_numpy(row.labels).long(),
    }
    inputs["shift_labels"] = inputs["labels"]
    if row.windows > 1:
        inputs["position_ids"] = torch.from_numpy(row.positions).long()[None]
    return inputs


def target_logits(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Logits at `keep` only, float32, (targets, vocabulary)."""
    positions = {"position_ids": inputs["position_ids"]} if "position_ids" in inputs else {}
    output = model(input_ids=inputs["input_ids"], logits_to_keep=inputs["keep"], use_cache=False, **positions)
    logits: torch.Tensor = output.logits[0].float()
    return logits


class RowTrainer(Trainer):
    """The Trainer with our loss, our order of data and our checkpoints."""

    def __init__(self, *, out: Path, describe: Callable[[int], Description], **given: Any) -> None:
        super().__init__(**given)
        self.out = out
        self.describe = describe
        self.model_accepts_loss_kwargs = True

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Sum of the targets' losses over the number of targets in the whole step, accumulation and ranks included."""
        loss = functional.cross_entropy(target_logits(model, inputs), inputs["labels"], reduction="sum")
        count = num_items_in_batch if num_items_in_batch is not None else inputs["labels"].numel()
        return loss / count * self.accelerator.num_processes

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.store_flos()
        step = self.state.global_step
        staging = self.out / STAGING
        shutil.rmtree(staging, ignore_errors=True)
        self.save_model(str(staging), _internal_call=True)
        save_state(staging, self.optimizer, self.lr_scheduler)
        self.state.save_to_json(str(staging / "trainer_state.json"))
        self.describe(step).write(staging)
        seal(staging, self.out / f"checkpoint-{step}")
        keep_newest(self.out, KEPT_CHECKPOINTS)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_optimizer(Path(checkpoint), self.optimizer, self.lr_scheduler)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            load_random(Path(checkpoint))


class Reporter(TrainerCallback):
    """Tells the run what the Trainer does, and the Trainer when the run shall stop."""

    def __init__(self, run: Run, validate: Callable[[], dict[str, float]], validate_steps: int) -> None:
        self.run = run
        self.validate = validate
        self.validate_steps = validate_steps
        self.stopped = False

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        try:
            self.run.progress(state.global_step, state.max_steps, "steps")
        except Stopped:
            self.stopped = control.should_save = control.should_training_stop = True
        if not self.stopped and state.global_step % self.validate_steps == 0:
            self.run.metric(state.global_step, **self.validate())

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **given: Any) -> None:
        if "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise Fault(
                f"The loss is no longer a number at step {state.global_step}. The last checkpoint is kept; "
                "start again with a lower --learning-rate."
            )
        self.run.metric(state.global_step, loss=logs["loss"], learning_rate=logs.get("learning_rate", 0.0))


def fit(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    *,
    out: Path,
    run: Run,
    device: torch.device,
    rows_per_step: int,
    learning_rate: float,
    max_steps: int,
    save_steps: int,
    validate_steps: int,
    seed: int,
    describe: Callable[[int], Description],
    validate: Callable[[], dict[str, float]],
    resume_from: Path | None,
) -> None:
    """Train `model` on `rows` for `max_steps` steps, checkpoints under `out`; raises Stopped when asked to stop."""
    arguments = TrainingArguments(
        output_dir=str(out / STAGING),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=rows_per_step,
        max_steps=max_steps,
        learning_rate=learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=min(0.05, 1 / max(max_steps, 1) * 20),
        weight_decay=0.0,
        max_grad_norm=1.0,
        adam_beta2=0.99,
        optim="adamw_torch",
        bf16=device.type == "cuda" and torch.cuda.is_bf16_supported(),
        use_cpu=device.type == "cpu",
        logging_steps=max(max_steps // 200, 1),
        save_strategy="steps",
        save_steps=save_steps,
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=device.type == "cuda",
        seed=seed,
        logging_nan_inf_filter=False,
    )
    reporter = Reporter(run, validate, validate_steps)
    trainer = RowTrainer(
        out=out,
        describe=describe,
        model=model,
        processing_class=tokenizer,
        args=arguments,
        train_dataset=Rows(rows),
        data_collator=collate,
        callbacks=[reporter],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
    shutil.rmtree(out / STAGING, ignore_errors=True)
    if reporter.stopped:
        raise Stopped("Stopped; the checkpoint is saved. Start it again to go on.")


def save_final(model: Any, tokenizer: Any, out: Path, description: Description) -> Path:
    """Seal the finished model as `out/final`."""
    staging = out / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    model.save_pretrained(staging, safe_serialization=True)
    tokenizer.save_pretrained(staging)
    description.write(staging)
    seal(staging, out / FINAL)
    keep_newest(out, 1)
    return out / FINAL
