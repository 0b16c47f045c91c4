"""Exactness: the loss at targets alone is the loss, batches do not mix, and training is what `Trainer` would do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import Trainer, TrainingArguments

from ventriloquist.model import tiny
from ventriloquist.model.adapt import add_adapter, build_optimizer
from ventriloquist.model.batches import Indices, collate
from ventriloquist.model.checkpoint import Description
from ventriloquist.model.loss import TargetLoss
from ventriloquist.model.schedule import Schedule
from ventriloquist.model.state import trained
from ventriloquist.model.tokenised import Tokenised, tokenise
from ventriloquist.model.train import Training
from ventriloquist.runwriting import SilentRun
from ventriloquist.settings import TrainSettings
from ventriloquist.windows.file import read_windows
from ventriloquist.windows.lines import split_lines
from ventriloquist.workspace import Workspace


@pytest.fixture(scope="module")
def tokenizer(learnt: Workspace) -> Any:
    lines = [line for window in read_windows(learnt, "train") for line in split_lines(window.text)]
    return tiny.build_tokenizer(lines, 700)


@pytest.fixture(scope="module")
def data(learnt: Workspace, tokenizer: Any) -> Tokenised:
    windows = [(window.text, window.targets) for window in read_windows(learnt, "train")][:12]
    return tokenise(tokenizer, windows, 8192)


RATE = 3e-4


def model_for(tokenizer: Any) -> Any:
    return tiny.build_model(len(tokenizer), 64, 2, 1)


def test_windows_side_by_side_do_not_see_each_other(data: Tokenised, tokenizer: Any) -> None:
    loss = TargetLoss(model_for(tokenizer).eval())
    together = loss.each(collate(data, (0, 1, 2)))
    apart = torch.cat([loss.each(collate(data, (index,))) for index in (0, 1, 2)])
    assert len({len(data.window(index)[0]) for index in (0, 1, 2)}) > 1, "they are of different lengths"
    assert (together - apart).abs().max() < 1e-5


def test_the_loss_at_targets_is_the_loss_over_all_labels(data: Tokenised, tokenizer: Any) -> None:
    model = model_for(tokenizer)
    loss = TargetLoss(model)
    assert loss.plain
    batch = collate(data, (3, 4))
    full = padded(data, (3, 4))
    logits = model(input_ids=full["input_ids"], attention_mask=full["attention_mask"]).logits
    theirs = functional.cross_entropy(
        logits[:, :-1].reshape(-1, logits.shape[-1]), full["labels"][:, 1:].reshape(-1), reduction="sum"
    )
    theirs.backward()
    wanted = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    ours = loss.summed(batch)
    ours.backward()
    assert float(((ours - theirs).abs() / theirs).detach()) < 1e-6
    for name, parameter in model.named_parameters():
        assert (parameter.grad - wanted[name]).abs().max() < 1e-4 * wanted[name].abs().max(), name
    assert torch.allclose(loss.each(batch).sum(), theirs, rtol=1e-6)


def test_a_head_that_does_more_than_multiply_is_left_to_the_model(data: Tokenised, tokenizer: Any) -> None:
    model = model_for(tokenizer)
    head = model.get_output_embeddings()
    head.register_forward_hook(lambda module, given, logits: 3 * torch.tanh(logits / 3))
    loss = TargetLoss(model)
    assert not loss.plain
    batch = collate(data, (0,))
    logits = model(input_ids=batch.input_ids).logits[batch.keep]
    assert torch.allclose(loss.each(batch), functional.cross_entropy(logits, batch.labels, reduction="none"))


def test_a_batch_of_many_chunks_equals_one(monkeypatch: pytest.MonkeyPatch, data: Tokenised, tokenizer: Any) -> None:
    model = model_for(tokenizer)
    whole = TargetLoss(model).summed(collate(data, (0, 1)))
    monkeypatch.setattr("ventriloquist.model.loss.CHUNK", 7)
    parts = TargetLoss(model).summed(collate(data, (0, 1)))
    assert float(((whole - parts).abs() / whole).detach()) < 1e-6


def padded(data: Tokenised, indices: Indices) -> dict[str, torch.Tensor]:
    """Inputs as the usual collator makes them: padded to a multiple of 8, a mask, labels of -100 where none is."""
    rows = [data.window(index) for index in indices]
    longest = -(-max(len(ids) for ids, _ in rows) // 8) * 8
    input_ids = np.zeros((len(rows), longest), np.int64)
    labels = np.full((len(rows), longest), -100, np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    for row, (ids, bears) in enumerate(rows):
        input_ids[row, : len(ids)], mask[row, : len(ids)] = ids, 1
        labels[row, : len(ids)][bears] = ids[bears]
    given = {"input_ids": input_ids, "attention_mask": mask, "labels": labels}
    return {name: torch.from_numpy(array) for name, array in given.items()}


class Windows(torch.utils.data.Dataset[int]):
    """The windows of every step, one after the other."""

    def __init__(self, steps: list[Indices]) -> None:
        self.order = [index for step in steps for index in step]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, place: int) -> int:
        return self.order[place]


class InOrder(Trainer):
    """The Trainer, in the order given."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


def adapted(tokenizer: Any) -> Any:
    """A LoRA model in float32."""
    torch.manual_seed(5)
    settings = TrainSettings.load(Workspace(Path("unused")), base="any", lora_r=8)
    return add_adapter(model_for(tokenizer), settings)


def doubled(tokenizer: Any) -> Any:
    """A model that is trained whole, in float64: Adam makes much of the last bits of tiny gradients."""
    return model_for(tokenizer).double()


@pytest.mark.parametrize("make", [adapted, doubled])
def test_parameters_after_training_are_those_of_a_padded_run_with_all_logits(
    data: Tokenised, tokenizer: Any, tmp_path: Path, make: Callable[[Any], Any]
) -> None:
    steps: list[Indices] = [(i % 12, (i * 5 + 3) % 12) for i in range(8)]
    ours, theirs, start = make(tokenizer), make(tokenizer), make(tokenizer)
    settings = TrainSettings.load(Workspace(tmp_path), learning_rate=RATE)
    schedule = Schedule(steps, RATE, 10**6, 100, 100, 1)
    training = Training(
        ours, tokenizer, build_optimizer(ours, settings), data, schedule, 1, torch.device("cpu"), tmp_path,
        SilentRun(Workspace(tmp_path), "train"), lambda step, metrics: Description({}, "", {}, {}, [], 1, 1),
    )  # fmt: skip
    training.fit()
    learning = [parameter for parameter in theirs.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=RATE, betas=(0.9, 0.99), weight_decay=0.0)
    trainer = InOrder(
        model=theirs,
        args=TrainingArguments(
            output_dir=str(tmp_path / "theirs"), per_device_train_batch_size=2, max_steps=len(steps), report_to="none",
            use_cpu=True, save_strategy="no", remove_unused_columns=False, disable_tqdm=True, max_grad_norm=1.0,
            logging_steps=1, dataloader_pin_memory=False,
        ),
        train_dataset=Windows(steps),
        data_collator=lambda indices: padded(data, tuple(indices)),
        optimizers=(
            optimizer,
            torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule.rate(min(step, 7)) / RATE),
        ),
    )  # fmt: skip
    trainer.train()
    logged = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    assert np.allclose([row[0] for row in training.progress.log], logged, atol=1e-5)
    mine, others, before = (trained(model) for model in (ours, theirs, start))
    assert mine.keys() == others.keys()
    assert max(float((mine[name] - others[name]).detach().abs().max()) for name in mine) < 1e-6
    assert max(float((mine[name] - before[name]).detach().abs().max()) for name in mine) > RATE, "something was learnt"
