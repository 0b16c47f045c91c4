"""What a training takes, by arithmetic alone: memory on the device, and disk. No model is loaded for it.

The activations are counted tensor by tensor, as autograd keeps them for the decoder families of `FAMILIES` under
SDPA attention (no mask) and PEFT's LoRA; `tests/test_needs.py` compares them with what autograd really keeps.
All sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

LINEAR = ("q", "k", "v", "o", "gate", "up", "down")
"""The linear layers of a decoder layer, all of which get an adapter by default; the head gets none."""
LOSS_CHUNK = 1024
"""Targets whose logits are held at a time (see `loss.CHUNK`)."""
LOGIT = 12
"""For each logit of a chunk: the last chunk's float32 and slope, the new one's, and what log-sum-exp needs."""
FRAGMENTS = 0.05
"""Share of the activations that the allocator's rounding and holes take on top."""
CONTEXT = {True: 900 << 20, False: 600 << 20}
"""The CUDA context with its libraries' workspaces; on the CPU, the interpreter with PyTorch loaded."""
TOKENIZER = 20 << 20
UNKNOWN = 1.5
"""By how much more is counted for the activations of a family that is not known."""


@dataclass(frozen=True, slots=True)
class Family:
    """What tells the layers of one family from another's.

    `norms` a layer; `qk_norm` over each head, over the full width, or none; `tied` where its config does not say.
    """

    norms: int = 2
    qk_norm: Literal["none", "head", "full"] = "none"
    qkv_bias: bool = False
    tied: bool = False


FAMILIES = {
    "qwen3": Family(qk_norm="head"),
    "qwen2": Family(qkv_bias=True),
    "llama": Family(),
    "mistral": Family(),
    "smollm3": Family(tied=True),
    "granite": Family(),
    "olmo2": Family(qk_norm="full"),
    "olmo3": Family(qk_norm="full"),
    "gemma3_text": Family(norms=4, qk_norm="head", tied=True),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model, as its `config.json` has them.

    `stored` is the number of weights that its files hold, where the family is not known and they cannot be counted.
    """

    family: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool
    stored: int = 0

    @classmethod
    def of(cls, config: Mapping[str, Any], weight_bytes: int = 0) -> Shape:
        """The shape that a `config.json` tells; `weight_bytes` is the size of the weight files.

        What an unknown family does not tell is guessed from the number of its weights, in the proportions of a Qwen3.
        """
        text = config.get("text_config")
        config = text if isinstance(text, Mapping) else config
        family = str(config.get("model_type", ""))
        known = FAMILIES.get(family)
        per_weight = 4 if str(config.get("dtype") or config.get("torch_dtype")).endswith("float32") else 2
        stored = weight_bytes // per_weight
        layers = _number(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers") or 36
        guess = int((max(stored, 1 << 20) / (layers * 12)) ** 0.5)
        hidden = _number(config, "hidden_size", "n_embd", "d_model", "dim") or guess
        heads = _number(config, "num_attention_heads", "n_head", "n_heads") or max(hidden // 128, 1)
        tied = config.get("tie_word_embeddings")
        return cls(
            family=family,
            hidden=hidden,
            layers=layers,
            heads=heads,
            kv_heads=_number(config, "num_key_value_heads", "n_head_kv") or heads,
            head_dim=_number(config, "head_dim") or max(hidden // heads, 1),
            intermediate=_number(config, "intermediate_size", "ffn_hidden_size", "n_inner") or 4 * hidden,
            vocab=_number(config, "vocab_size") or 150_000,
            tied=tied if isinstance(tied, bool) else (known or Family()).tied,
            stored=0 if known else stored,
        )

    @property
    def known(self) -> bool:
        """Whether the family's layers are counted tensor by tensor."""
        return self.family in FAMILIES

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """(inputs, outputs) of each linear layer of a decoder layer."""
        q, k, h, f = self.heads * self.head_dim, self.kv_heads * self.head_dim, self.hidden, self.intermediate
        return {"q": (h, q), "k": (h, k), "v": (h, k), "o": (q, h), "gate": (h, f), "up": (h, f), "down": (f, h)}

    @property
    def linear_weights(self) -> int:
        """Weights in the linear layers of all decoder layers: what quantisation makes smaller."""
        counted = self.layers * sum(inputs * outputs for inputs, outputs in self.linears.values())
        return counted if self.known else max(self.parameters - self.vocab * self.hidden * (2 - self.tied), 0)

    @property
    def parameters(self) -> int:
        """All weights of the model, tied ones once."""
        if self.stored:
            return self.stored
        family = FAMILIES.get(self.family, Family())
        q, k, h = self.heads * self.head_dim, self.kv_heads * self.head_dim, self.hidden
        normed = {"none": 0, "head": 2 * self.head_dim, "full": q + k}[family.qk_norm]
        layer = sum(inputs * outputs for inputs, outputs in self.linears.values())
        layer += family.norms * h + normed + (q + 2 * k if family.qkv_bias else 0)
        return self.layers * layer + self.vocab * h * (2 - self.tied) + h

    def adapter_weights(self, lora_r: int, targets: Sequence[str] = LINEAR) -> int:
        """Weights of a LoRA adapter of rank `lora_r` on these linear layers."""
        linears = self.linears
        return lora_r * self.layers * sum(sum(linears[name]) for name in targets)


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes that a training takes at its peak, by what they are for.

    `adapter` is what learns beside the base, with its half-precision copies; `activations` are kept from the forward
    to the backward pass; `logits` is the larger of what the loss needs for a moment, and then a layer's backward pass.
    """

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    overhead: int

    @property
    def total(self) -> int:
        """The sum of them all."""
        return sum(asdict(self).values())

    def as_object(self) -> dict[str, int]:
        """For JSON, the total among them."""
        return {**asdict(self), "total": self.total}


def memory(
    shape: Shape,
    *,
    batch_tokens: int,
    lora_r: int = 32,
    precision: Literal["bf16", "fp32"] = "bf16",
    quantised: Literal[0, 4, 8] = 0,
    checkpointing: bool = False,
    whole: bool = False,
    targets: Sequence[str] = LINEAR,
    sharded_over: int = 1,
    loss_tokens: int | None = None,
    dropout: bool = False,
    on_gpu: bool = True,
) -> Needs:
    """The memory of one process of a training.

    `batch_tokens` go through the model at once, padding included (windows times the longest one's tokens);
    `loss_tokens` of them are targets (default: all). `precision` is what is computed in: bf16 means autocast over a
    bf16 base with a float32 adapter, or over float32 weights where the model is trained `whole`. `quantised` is the
    bits of the base's linear layers (0: as they are). `targets` have an adapter of rank `lora_r`. `sharded_over`
    processes share weights, adapter, gradients and optimizer (FSDP), and gather two layers at a time.
    """
    half = precision == "bf16"
    held = _weights(shape, half, quantised, whole)
    learnt = shape.parameters if whole else shape.adapter_weights(lora_r, targets)
    copies = 2 * (shape.linear_weights if whole else learnt) * half
    own_adapter = copies if whole else 4 * learnt + copies
    per_layer = _layer_bytes(shape, half, whole, () if whole else targets, lora_r, dropout, on_gpu)
    kept = 2 if half and not whole else 4
    tokens_of_loss = batch_tokens if loss_tokens is None else loss_tokens
    activations = batch_tokens * shape.layers * (kept * shape.hidden if checkpointing else per_layer)
    activations += batch_tokens * ((4 + kept) * shape.hidden + 4) + 2 * tokens_of_loss * kept * shape.hidden
    again = per_layer if checkpointing else 0
    backward = batch_tokens * (again + _backward_bytes(shape, half, whole))
    if not shape.known:
        activations, backward = int(activations * UNKNOWN), int(backward * UNKNOWN)
    if quantised:
        backward += 2 * max(inputs * outputs for inputs, outputs in shape.linears.values())
    loss = LOGIT * min(tokens_of_loss, LOSS_CHUNK) * shape.vocab
    logits = max(loss + 4 * shape.vocab * shape.hidden * whole, backward)
    gathered = 0
    if sharded_over > 1:
        gathered = 2 * (held - _unlayered(shape, half, whole)) // shape.layers + _unlayered(shape, half, whole)
    return Needs(
        weights=held // sharded_over + gathered,
        adapter=own_adapter // sharded_over,
        gradients=4 * learnt // sharded_over,
        optimizer=8 * learnt // sharded_over,
        activations=activations,
        logits=logits,
        overhead=CONTEXT[on_gpu] + int(FRAGMENTS * (activations + logits)),
    )


def disk(shape: Shape, lora_r: int = 32, whole: bool = False, *, resumable: bool = True) -> int:
    """Bytes of one checkpoint: the adapter (or, `whole`, the model) in float32 and the tokenizer; and, where training
    can be resumed from it, Adam's two states."""
    learnt = shape.parameters if whole else shape.adapter_weights(lora_r)
    return learnt * (12 if resumable else 4) + TOKENIZER


def _weights(shape: Shape, half: bool, quantised: int, whole: bool) -> int:
    if whole:
        return 4 * shape.parameters
    size = 2 if half else 4
    if not quantised:
        return size * shape.parameters
    # bitsandbytes: 4 bits and a float32 scale for each 64 weights, or 8 bits and a float32 scale for each row.
    linear = shape.linear_weights
    rows = shape.layers * sum(outputs for _, outputs in shape.linears.values())
    small = linear * 9 // 16 if quantised == 4 else linear + 4 * rows
    return small + size * (shape.parameters - linear)


def _unlayered(shape: Shape, half: bool, whole: bool) -> int:
    return (2 if half and not whole else 4) * shape.vocab * shape.hidden * (2 - shape.tied)


def _layer_bytes(
    shape: Shape, half: bool, whole: bool, targets: Sequence[str], lora_r: int, dropout: bool, on_gpu: bool
) -> int:
    """Bytes that autograd keeps of one decoder layer for each token."""
    family = FAMILIES.get(shape.family, Family(qk_norm="head"))
    q, k, f, h = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim, shape.intermediate, shape.hidden
    c = 2 if half else 4
    # Norms: the float32 input and 1/rms; where the norm learns, what it multiplies too. The residual stream is
    # float32 where the weights are.
    kept = family.norms * (4 * h + 4)
    if whole:
        kept += family.norms * 4 * h
    if family.qk_norm != "none":
        scales = shape.heads + shape.kv_heads if family.qk_norm == "head" else 2
        kept += 4 * (q + k) + 4 * scales + (c * (q + k) if whole else 0)
    kept += c * (2 * q + 2 * k) + 4 * shape.heads  # attention: q, k, v, output and log-sum-exp
    kept += 3 * c * f  # gate, silu(gate), up
    return kept + _input_bytes(shape, half, whole, targets, lora_r, dropout, on_gpu)


def _input_bytes(
    shape: Shape, half: bool, whole: bool, targets: Sequence[str], lora_r: int, dropout: bool, on_gpu: bool
) -> int:
    """What is kept for the gradients of weights: the inputs of the linear layers that learn.

    A frozen layer keeps no input. Of adapters q, k and v share one, gate and up share one (see `adapt.share_inputs`),
    and the input of o is the output of attention.
    """
    c = 2 if half else 4
    linears = shape.linears
    learning = LINEAR if whole else targets
    kept = 0 if whole else sum(c * lora_r for _ in targets)
    if dropout and not whole:
        mask = 1 if on_gpu else c
        return kept + sum((c + mask) * linears[name][0] for name in targets)
    if half and whole:  # the output of attention and of silu(gate) * up are in half precision already
        return kept + sum(c * linears[name][0] for name in learning if name != "o")
    shared = (("q", "k", "v"), ("gate", "up"), ("down",))
    return kept + sum(c * linears[names[0]][0] for names in shared if any(name in learning for name in names))


def _backward_bytes(shape: Shape, half: bool, whole: bool) -> int:
    """Bytes for each token that the backward pass of a layer needs for a moment (measured on the CPU)."""
    if half and not whole:
        return 6 * shape.hidden + 2 * shape.intermediate
    return max(20 * shape.hidden, (4 if half else 8) * shape.intermediate)


def _number(config: Mapping[str, Any], *names: str) -> int:
    """The first of these that is a positive whole number, or 0."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0
