"""The memory arithmetic beside what PyTorch really holds, for small models of the families that it knows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.profiler import ProfilerActivity, profile
from transformers import AutoConfig, AutoModelForCausalLM

from ventriloquist.model import loss, needs
from ventriloquist.model.adapt import share_inputs
from ventriloquist.model.batches import Batch
from ventriloquist.model.loss import TargetLoss
from ventriloquist.model.needs import FAMILIES, Shape, disk, memory
from ventriloquist.model.presets import PRESETS

SMALL: dict[str, Any] = {
    "vocab_size": 1000, "hidden_size": 192, "intermediate_size": 448, "num_hidden_layers": 3,
    "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 32,
}  # fmt: skip
OTHERS: list[dict[str, Any]] = [
    {"hidden_size": 128, "intermediate_size": 640, "num_hidden_layers": 2, "num_attention_heads": 8},
    {"hidden_size": 256, "intermediate_size": 320, "head_dim": 64, "num_attention_heads": 4, "num_key_value_heads": 4},
]


def config_of(family: str, **sizes: Any) -> Any:
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "use_cache": False}
    config = AutoConfig.for_model(family, **{**SMALL, **special, **sizes})
    config._attn_implementation = "sdpa"
    return config


def build(config: Any, *, rank: int = 8, half: bool = False, whole: bool = False, dropout: float = 0.0) -> Any:
    model = AutoModelForCausalLM.from_config(config)
    if half and not whole:
        model = model.to(torch.bfloat16)
    if not whole:
        lora = LoraConfig(r=rank, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, lora)
        if half:
            share_inputs(model)
    return model.train()


def batch_of(windows: int, length: int, targets: int) -> Batch:
    ids = torch.randint(3, 900, (windows, length))
    keep = torch.zeros(windows, length, dtype=torch.bool)
    keep.view(-1)[:targets] = True
    return Batch(ids, keep, torch.randint(3, 900, (targets,)))


def kept_by_autograd(model: Any, batch: Batch, half: bool) -> int:
    """Bytes of all tensors that autograd keeps of one forward pass, each storage once, the model's own left out."""
    own = {tensor.untyped_storage().data_ptr() for tensor in itertools.chain(model.parameters(), model.buffers())}
    held: dict[int, Any] = {}  # the storages stay alive, so that no address is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage
        return tensor

    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        losses = TargetLoss(model)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        losses.summed(batch)
    return sum(storage.nbytes() for storage in held.values())


def kept_and_expected(family: str, sizes: dict[str, Any], **how: Any) -> tuple[int, int]:
    config = config_of(family, **sizes)
    rank, half, whole = how.get("rank", 8), how.get("half", False), how.get("whole", False)
    dropout = how.get("dropout", 0.0)
    batch = batch_of(2, 160, 64)
    measured = kept_by_autograd(build(config, rank=rank, half=half, whole=whole, dropout=dropout), batch, half)
    shape = Shape.of(config.to_dict())
    needed = memory(
        shape, batch_tokens=320, loss_tokens=64, lora_r=rank, precision="bf16" if half else "fp32", whole=whole,
        dropout=dropout > 0, on_gpu=False,
    )  # fmt: skip
    copies = 2 * (shape.linear_weights if whole else shape.adapter_weights(rank)) * half
    return measured, needed.activations + copies


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_activations_are_what_autograd_keeps(family: str, half: bool) -> None:
    measured, expected = kept_and_expected(family, {}, half=half)
    assert expected == pytest.approx(measured, rel=0.06)


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("sizes", OTHERS, ids=["wide", "flat"])
def test_activations_at_other_sizes_and_ranks(sizes: dict[str, Any], half: bool) -> None:
    for rank in (2, 64):
        measured, expected = kept_and_expected("qwen3", sizes, half=half, rank=rank)
        assert expected == pytest.approx(measured, rel=0.06)


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("how", [{"whole": True}, {"dropout": 0.1}], ids=["whole", "dropout"])
def test_activations_of_other_trainings(how: dict[str, Any], half: bool) -> None:
    for family in ("qwen3", "llama"):
        measured, expected = kept_and_expected(family, {"num_hidden_layers": 5}, half=half, **how)
        assert expected == pytest.approx(measured, rel=0.08)


def allocations(model: Any, batch: Batch, half: bool, optimizer: torch.optim.Optimizer) -> Iterator[int]:
    """Bytes allocated (or, negative, freed) by one training step of two batches, in their order."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        losses = TargetLoss(model)

    def step() -> None:
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                nats = losses.summed(batch)
            nats.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()  # the optimizer's state and what is made once
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    yield from (event.nbytes() for event in sorted(events, key=lambda event: event.start_ns()))


@pytest.mark.parametrize("vocabulary", [1000, 8000], ids=["by the layers", "by the logits"])
@pytest.mark.parametrize(
    ("half", "whole", "checkpointing"),
    [
        (False, False, False),
        (True, False, False),
        (False, True, False),
        (True, True, False),
        (True, False, True),
        (False, False, True),
    ],
    ids=["fp32", "bf16", "whole fp32", "whole bf16", "bf16 checkpointed", "fp32 checkpointed"],
)
def test_the_total_is_the_peak_of_a_training_step(
    half: bool, whole: bool, checkpointing: bool, vocabulary: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((loss, "CHUNK"), (needs, "LOSS_CHUNK")):
        assert getattr(module, name) == 1024
        monkeypatch.setattr(module, name, 256)
    config = config_of("qwen3", vocab_size=vocabulary, num_hidden_layers=5, tie_word_embeddings=True)
    model = build(config, half=half, whole=whole)
    if checkpointing:
        model.activation_checkpointing_enable()
    targets = 64 if vocabulary == 1000 else 512
    batch = batch_of(3, 256, targets)
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learnt, fused=True)
    peak = max(itertools.accumulate(allocations(model, batch, half, optimizer)))
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    state = sum(tensor.numel() * tensor.element_size() for each in optimizer.state.values() for tensor in each.values())
    needed = memory(
        Shape.of(config.to_dict()), batch_tokens=768, loss_tokens=targets, lora_r=8,
        precision="bf16" if half else "fp32", whole=whole, checkpointing=checkpointing, on_gpu=False,
    )  # fmt: skip
    assert needed.total - needed.overhead == pytest.approx(weights + state + peak, rel=0.08)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_and_adapter_are_counted_exactly(family: str) -> None:
    for sizes in ({}, *OTHERS, {"tie_word_embeddings": True}, {"tie_word_embeddings": False}):
        config = config_of(family, **sizes)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
            shape = Shape.of(config.to_dict())
            assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
            learnt, _ = build(config, rank=5).get_nb_trainable_parameters()
        assert shape.adapter_weights(5) == learnt


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.id)
def test_presets_are_models_that_transformers_builds(preset: Any) -> None:
    shape = preset.shape
    config = AutoConfig.for_model(
        shape.family, vocab_size=shape.vocab, hidden_size=shape.hidden, intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim, tie_word_embeddings=shape.tied, pad_token_id=0,
    )  # fmt: skip
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert type(model).__module__.startswith("transformers.")
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert Shape.of(config.to_dict()) == shape


# --- what must hold of the arithmetic ---------------------------------------------------------------------------

EIGHT = Shape("qwen3", 4096, 36, 32, 8, 128, 12288, 151936, False)


def test_the_eight_billion_base_takes_what_was_reckoned_by_hand() -> None:
    """16.4 GB of weights; rank 128: 0.35 billion weights, 5.6 GB with gradients and Adam's states."""
    needed = memory(EIGHT, batch_tokens=8192, lora_r=128)
    assert needed.weights == 2 * 8_190_735_360
    learnt = EIGHT.adapter_weights(128)
    assert learnt == 349_175_808
    assert needed.adapter + needed.gradients + needed.optimizer == 16 * learnt + 2 * learnt
    assert disk(EIGHT, 128) == 12 * learnt + needs.TOKENIZER


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_weights_are_smaller_and_the_rest_stays(bits: Any) -> None:
    plain, small = memory(EIGHT, batch_tokens=1024), memory(EIGHT, batch_tokens=1024, quantised=bits)
    assert small.weights < plain.weights * (0.5 if bits == 4 else 0.7)
    assert small.weights > EIGHT.linear_weights * bits / 8
    assert (small.activations, small.optimizer) == (plain.activations, plain.optimizer)


def test_checkpointing_sharding_and_smaller_batches_take_less() -> None:
    plain = memory(EIGHT, batch_tokens=8192)
    assert memory(EIGHT, batch_tokens=8192, checkpointing=True).activations < plain.activations / 8
    assert memory(EIGHT, batch_tokens=4096).activations == pytest.approx(plain.activations / 2, rel=0.01)
    shared = memory(EIGHT, batch_tokens=8192, sharded_over=4)
    assert shared.optimizer == plain.optimizer // 4 and shared.activations == plain.activations
    assert plain.weights / 4 < shared.weights < plain.weights / 2
    assert memory(EIGHT, batch_tokens=8192, targets=("q", "v")).total < plain.total


def test_an_unknown_family_is_taken_for_more(tmp_path: Any) -> None:
    config = {"model_type": "newcomer", "hidden_size": 4096, "num_hidden_layers": 36, "num_attention_heads": 32,
              "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 12288, "vocab_size": 151936}  # fmt: skip
    stranger = Shape.of(config, weight_bytes=EIGHT.parameters * 2)
    assert not stranger.known and stranger.parameters == EIGHT.parameters
    for how in ({}, {"checkpointing": True}, {"precision": "fp32"}, {"quantised": 4}):
        ours = memory(EIGHT, batch_tokens=4096, **how)  # type: ignore[arg-type]
        theirs = memory(stranger, batch_tokens=4096, **how)  # type: ignore[arg-type]
        assert theirs.activations > ours.activations and theirs.total > ours.total
    nothing = Shape.of({"model_type": "newcomer"}, weight_bytes=EIGHT.parameters * 2)
    assert memory(nothing, batch_tokens=4096).activations > memory(EIGHT, batch_tokens=4096).activations
    assert Shape.of({"model_type": "x", "text_config": config}).hidden == 4096
    hostile = Shape.of({"model_type": ["x"], "hidden_size": -5, "num_hidden_layers": "many", "vocab_size": True})
    assert memory(hostile, batch_tokens=10).total > 0
