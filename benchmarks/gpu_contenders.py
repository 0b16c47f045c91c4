"""One way to train a LoRA on a GPU, timed in a process of its own: see `benchmarks.gpu_training`.

`python -m benchmarks.gpu_contenders CONTENDER ...` prints one JSON object: tokens and seconds of the timed steps, the
most memory held, and whether activations were computed twice. All contenders get the same windows of token ids, four
of them a step, and the same adapter on the same shape of model with random weights.
"""

from __future__ import annotations

import sys

if sys.argv[1:2] == ["unsloth"]:
    import unsloth  # noqa: F401 - it patches transformers, and must come first

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, DataCollatorForSeq2Seq, Qwen3Config, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback, TrainerCallback

from benchmarks import recipe
from benchmarks.ours import Ours
from ventriloquist.model import tiny
from ventriloquist.model.adapt import add_adapter
from ventriloquist.model.tokenised import Tokenised
from ventriloquist.settings import TrainSettings
from ventriloquist.workspace import Workspace

CONTENDERS = ("ours", "ours-checkpointed", "trainer", "trainer-checkpointed", "unsloth")
OUT_OF_MEMORY = 9
"""The exit code of a contender that did not fit."""
BATCH = 4
LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a Qwen3 model decides its speed, the adapter's rank, and the windows' longest length in tokens."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool
    rank: int
    window: int


SHAPES = {
    "1.7b": Shape(2048, 6144, 28, 16, 8, 128, 151_936, tied=True, rank=128, window=2048),
    "8b": Shape(4096, 12_288, 36, 32, 8, 128, 151_936, tied=False, rank=128, window=2048),
    "toy": Shape(64, 160, 2, 2, 1, 32, 1024, tied=True, rank=4, window=128),
}

PEAKS = {
    "B200": 2250, "GH200": 989, "H200": 989, "H100 NVL": 835, "H100 PCIe": 756, "H100": 989, "A100": 312, "A800": 312,
    "L40S": 362, "L40": 181, "L4": 121, "RTX 6000 Ada": 364, "5090": 210, "4090": 165, "3090": 71, "A6000": 155,
    "A40": 150, "A10G": 70, "A10": 125,
}  # fmt: skip
"""Dense bf16 TFLOP/s by the makers' data sheets; the first name counts that the device's name holds."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What one process measured: `windows` of `tokens`, padding not counted, in `seconds`, and the most `gigabytes`
    (1e9 bytes) held."""

    windows: int
    tokens: int
    targets: int
    seconds: float
    gigabytes: float
    checkpointed: bool


class Timer:
    """The time between the end of step `warm` and the end of step `warm + timed`, by the device's own clock."""

    def __init__(self, device: torch.device, warm: int, timed: int) -> None:
        self.on_gpu = device.type == "cuda"
        self.warm, self.timed, self.done = warm, timed, 0
        self.marks: list[Any] = []

    def step(self) -> None:
        self.done += 1
        if self.done in (self.warm, self.warm + self.timed):
            self.marks.append(self._mark())

    def _mark(self) -> Any:
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    @property
    def seconds(self) -> float:
        start, end = self.marks
        if not self.on_gpu:
            return float(end - start)
        torch.cuda.synchronize()
        return float(start.elapsed_time(end)) / 1000


def model_of(shape: Shape, device: torch.device) -> Any:
    """Random weights, bf16 on a GPU."""
    config = Qwen3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=8192,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
        use_cache=False,
    )
    with device:
        return AutoModelForCausalLM.from_config(config, dtype=dtype_on(device))


def dtype_on(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def windows_of(shape: Shape, count: int) -> Tokenised:
    """Random windows as dense ones are: 88 to 100 % of the longest length, the last seven eighths learnt."""
    draw = np.random.default_rng(5)
    lengths = draw.integers(shape.window * 88 // 100, shape.window, count, endpoint=True)
    ids = draw.integers(1, shape.vocabulary, int(lengths.sum()), dtype=np.int32)
    bears = np.concatenate([np.arange(length) >= length // 8 for length in lengths])
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokenised(ids, bears, starts, np.full(count, 56, np.int32), np.arange(count, dtype=np.int32))


def ours(shape: Shape, device: torch.device, warm: int, timed: int, *, checkpointed: bool) -> Timed:
    """The product's steps on its own batches."""
    data = windows_of(shape, (warm + timed) * BATCH)
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainSettings.load(
            Workspace(Path(folder)), base="shape", lora_r=shape.rank, windows_per_step=BATCH, epochs=2
        )
    model = add_adapter(model_of(shape, device), settings)
    if checkpointed:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    training = Ours(model, None, data, settings, level=True, on_gpu=device.type == "cuda")
    timer = Timer(device, warm, timed)
    _forget_peak(device)
    for _ in range(warm + timed):
        training.step()
        timer.step()
    learnt = [index for step in training.schedule.steps[warm : warm + timed] for index in step]
    tokens, targets = int(data.lengths[learnt].sum()), int(data.targets()[learnt].sum())
    return Timed(len(learnt), tokens, targets, timer.seconds, _peak(device), checkpointed)


def trainer(shape: Shape, device: torch.device, warm: int, timed: int, *, checkpointed: bool) -> Timed:
    """Plain `Trainer` and PEFT: padded, with a mask, logits at every position."""
    from peft import LoraConfig, get_peft_model

    adapter = LoraConfig(r=shape.rank, lora_alpha=2 * shape.rank, target_modules=LAYERS, task_type="CAUSAL_LM")
    model = get_peft_model(model_of(shape, device), adapter)
    if checkpointed:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return _with_trainer(model, padding_tokenizer(), shape, device, warm, timed, checkpointed=checkpointed)


def with_unsloth(shape: Shape, device: torch.device, warm: int, timed: int, weights: Path) -> Timed:
    """Unsloth as its notebooks use it: its own kernels, adapter and checkpointing, under `Trainer`."""
    from unsloth import FastLanguageModel

    model, tokenizer = FastLanguageModel.from_pretrained(
        str(weights), max_seq_length=shape.window, dtype=torch.bfloat16, load_in_4bit=False
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=shape.rank,
        lora_alpha=2 * shape.rank,
        lora_dropout=0,
        bias="none",
        target_modules=LAYERS,
        use_gradient_checkpointing="unsloth",
    )
    return _with_trainer(model, tokenizer, shape, device, warm, timed, checkpointed=True)


class _Steps(TrainerCallback):
    def __init__(self, timer: Timer) -> None:
        self.timer = timer

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self.timer.step()


def _with_trainer(
    model: Any, tokenizer: Any, shape: Shape, device: torch.device, warm: int, timed: int, *, checkpointed: bool
) -> Timed:
    dataset = recipe.samples(windows_of(shape, (warm + timed) * BATCH))
    pad = DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=8, label_pad_token_id=recipe.IGNORED)
    counts: list[tuple[int, int]] = []

    def collate(samples: list[recipe.Sample]) -> Any:
        counts.append((sum(len(s["input_ids"]) for s in samples), sum(_learnt(s) for s in samples)))
        return pad(samples)

    timer = Timer(device, warm, timed)
    on_gpu = device.type == "cuda"
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            max_steps=warm + timed,
            learning_rate=2e-4,
            optim="adamw_torch_fused",
            bf16=on_gpu,
            use_cpu=not on_gpu,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        training = Trainer(
            model=model, args=arguments, train_dataset=dataset, data_collator=collate, callbacks=[_Steps(timer)]
        )
        training.remove_callback(PrinterCallback)
        _forget_peak(device)
        training.train()
    tokens, targets = (sum(column) for column in zip(*counts[warm : warm + timed], strict=True))
    return Timed(timed * BATCH, tokens, targets, timer.seconds, _peak(device), checkpointed)


def _learnt(sample: recipe.Sample) -> int:
    return sum(label != recipe.IGNORED for label in sample["labels"])


def padding_tokenizer() -> Any:
    """A tokenizer that is there to pad, its padding no end."""
    tokenizer = tiny.build_tokenizer(["a"], 384)
    tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
    return tokenizer


def save(shape: Shape, device: torch.device, folder: Path) -> None:
    """Random weights and a tokenizer as files, for those who can only load."""
    model_of(shape, device).save_pretrained(folder)
    padding_tokenizer().save_pretrained(folder)


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak(device: torch.device) -> float:
    """The most gigabytes that tensors held; 0 on a CPU, where nobody counts."""
    return torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else 0.0


def card() -> dict[str, object]:
    """The GPU's name, and the dense bf16 TFLOP/s that its maker states, or else what a large matrix product reaches."""
    name = torch.cuda.get_device_name()
    stated = next((float(peak) for known, peak in PEAKS.items() if known in name), None)
    return {"name": name, "peak": stated or _probed()}


def _probed() -> float:
    side, times = 8192, 10
    a, b = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    timer = Timer(a.device, 1, times)
    for _ in range(1 + times):
        a @ b
        timer.step()
    return 2 * side**3 * times / timer.seconds / 1e12


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=(*CONTENDERS, "save", "card"))
    parser.add_argument("--shape", choices=SHAPES, default="toy")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--warm", type=int, default=1)
    parser.add_argument("--timed", type=int, default=1)
    parser.add_argument("--weights", type=Path, help="where random weights are kept for Unsloth")
    given = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(0)
    shape, device = SHAPES[given.shape], torch.device(given.device)
    name, _, checkpointed = given.contender.partition("-")
    if name == "card":
        print(json.dumps(card()))
        return 0
    if name == "save":
        save(shape, device, given.weights)
        return 0
    try:
        if name == "unsloth":
            found = with_unsloth(shape, device, given.warm, given.timed, given.weights)
        else:
            train = ours if name == "ours" else trainer
            found = train(shape, device, given.warm, given.timed, checkpointed=bool(checkpointed))
    except torch.cuda.OutOfMemoryError:
        return OUT_OF_MEMORY
    print(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
