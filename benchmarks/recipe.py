"""The predecessor's recipe: a window of 50 messages for each message, padded, the loss on its last message alone.

Logits at every position with the model's own loss, `transformers.Trainer`, one shuffled epoch. What takes nothing
from the recipe is given to it: windows are tokenised before any clock starts, none is cut, and it runs in float32
without dropout on the CPU, as ours does.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.nn import functional
from transformers import DataCollatorForSeq2Seq, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from ventriloquist.model.tokenised import Tokenised

BATCH = 64
MICRO = 4
"""Windows in one pass of the recipe's own batch of 4 times 16."""
IGNORED = -100

Sample = dict[str, list[int]]


def samples(windows: Tokenised) -> list[Sample]:
    """Windows as the recipe's dataset: the labels are -100 but for what is learnt."""
    found = []
    for index in range(len(windows)):
        ids, bears = windows.window(index)
        labels = np.where(bears, ids, IGNORED)
        found.append({"input_ids": ids.tolist(), "attention_mask": [1] * len(ids), "labels": labels.tolist()})
    return found


class RecipeTrainer(Trainer):
    """The Trainer, counting what went through the model: `tokens` without padding, `padded` with it, and `targets`.

    With `gathered`, logits are computed at the targets only and no mask is made: the same loss and gradients in less
    time, for where tokens are counted and not seconds.
    """

    def __init__(self, *, gathered: bool, **given: Any) -> None:
        super().__init__(**given)
        self.gathered = gathered
        self.tokens = self.padded = self.targets = 0

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **given: Any) -> Any:
        self.tokens += int(inputs["attention_mask"].sum())
        self.padded += inputs["attention_mask"].numel()
        self.targets += len(inputs["labels"])
        if not self.gathered:
            return super().compute_loss(model, inputs, *args, **given)
        following = functional.pad(inputs["labels"][:, 1:], (0, 1), value=IGNORED)
        kept = following != IGNORED
        output = model(input_ids=inputs["input_ids"], logits_to_keep=kept, use_cache=False)
        logits = output.logits.reshape(-1, output.logits.shape[-1]).float()
        loss = functional.cross_entropy(logits, following[kept], reduction="sum")
        return loss / given["num_items_in_batch"]


class AfterStep(TrainerCallback):
    """Calls `done` after every optimizer step and keeps the CPU seconds of the steps."""

    def __init__(self, done: Callable[[int], bool] | None) -> None:
        self.done = done
        self.started = self.seconds = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self.started = time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self.seconds = time.process_time() - self.started
        if self.done is not None and self.done(state.global_step):
            control.should_training_stop = True


def train(
    model: Any,
    tokenizer: Any,
    dataset: Sequence[Sample],
    *,
    batch: int,
    micro: int = MICRO,
    learning_rate: float,
    schedule: str = "constant_with_warmup",
    warmup: float = 3,
    gathered: bool = False,
    seed: int = 0,
    done: Callable[[RecipeTrainer, int], bool] | None = None,
) -> tuple[RecipeTrainer, float]:
    """One epoch over `dataset` in its order; returns the trainer and the CPU seconds of its steps.

    `batch` windows make one optimizer step, `micro` of them at a time. `done` is called after each step with the
    trainer and the step's number, and ends the training when it returns True.
    """
    with tempfile.TemporaryDirectory(prefix="recipe-") as folder:
        arguments = TrainingArguments(
            output_dir=str(Path(folder)),
            per_device_train_batch_size=min(micro, batch),
            gradient_accumulation_steps=max(batch // micro, 1),
            num_train_epochs=1,
            learning_rate=learning_rate,
            lr_scheduler_type=schedule,
            warmup_steps=warmup,
            weight_decay=0.0,
            adam_beta2=0.99,
            max_grad_norm=1.0,
            optim="adamw_torch",
            use_cpu=True,
            logging_strategy="no",
            save_strategy="no",
            eval_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_drop_last=True,
            seed=seed,
        )
        after = AfterStep(None if done is None else lambda step: done(trainer, step))
        trainer = RecipeTrainer(
            gathered=gathered,
            model=model,
            args=arguments,
            train_dataset=dataset,
            data_collator=DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=8, label_pad_token_id=IGNORED),
            callbacks=[after],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return trainer, after.seconds
