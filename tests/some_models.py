"""Models of each kind that a base may be, tiny and random, for tests of reading and writing; and
tokenizers of each kind."""

from __future__ import annotations

import json
from typing import Any

import torch
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from ventriloquist.model import tiny
from ventriloquist.model.generate import Generator
from ventriloquist.windows.lines import Header, Line, write

VOCABULARY = 160
WINDOW = 12
"""Tokens: what the models with a sliding window look back on."""

_SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 2048,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": 0,
}


def model(kind: str, vocabulary: int = VOCABULARY) -> Any:
    """A float32 model in evaluation mode, the same at each call."""
    shape: dict[str, Any] = {**_SHAPE, "vocab_size": vocabulary}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        made = _made(kind, shape, vocabulary)
        for name, weights in made.named_parameters():
            if weights.dim() > 1 and "conv" not in name:
                torch.nn.init.normal_(weights, std=0.1)  # far enough from zero that a wrong state is seen
    return made.eval()


def _made(kind: str, shape: dict[str, Any], vocabulary: int) -> Any:
    match kind:
        case "qwen3":
            return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**shape))
        case "llama":
            return transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape))
        case "mistral":
            return transformers.MistralForCausalLM(transformers.MistralConfig(**shape, sliding_window=WINDOW))
        case "gemma3":
            return transformers.Gemma3ForCausalLM(
                transformers.Gemma3TextConfig(
                    **shape,
                    sliding_window=WINDOW,
                    layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                )
            )
        case "gpt2":
            return transformers.GPT2LMHeadModel(
                transformers.GPT2Config(
                    vocab_size=vocabulary,
                    n_embd=32,
                    n_layer=2,
                    n_head=4,
                    n_positions=2048,
                    bos_token_id=0,
                    eos_token_id=0,
                )
            )
        case "qwen3_5":
            return transformers.Qwen3_5ForCausalLM(
                transformers.Qwen3_5TextConfig(
                    **shape,
                    layer_types=["linear_attention", "linear_attention", "full_attention"],
                    linear_num_key_heads=2,
                    linear_num_value_heads=4,
                    linear_key_head_dim=8,
                    linear_value_head_dim=8,
                )
            )
        case "lfm2":
            return transformers.Lfm2ForCausalLM(
                transformers.Lfm2Config(
                    **{key: value for key, value in shape.items() if key not in ("head_dim",)},
                    layer_types=["conv", "full_attention", "conv"],
                )
            )
        case "mamba":
            return transformers.MambaForCausalLM(
                transformers.MambaConfig(
                    vocab_size=vocabulary, hidden_size=32, state_size=8, num_hidden_layers=2, eos_token_id=0
                )
            )
    raise KeyError(kind)


HEADER = write(Header("dm", ("Ann", "Me"), "2026-03-05"))
SAID = [
    HEADER,
    write(Line("Ann", "<1m", None, "text", "hey there")),
    write(Line("Me", "<5m", None, "text", "so (ok)! yes 😂")),
    write(Line("Ann", "<1h", "hey there", "text", "what are you up to tonight?")),
]


def byte_tokenizer() -> Any:
    """The embedded base's kind: it keeps to lines."""
    return tiny.build_tokenizer(SAID * 5, 600)


def splitting_tokenizer() -> Any:
    """One that splits words from signs and signs from words, as Qwen's and Llama's do."""
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    return _of_bytes(tokenizer, words)


def composing_tokenizer() -> Any:
    """One that composes letters and their accents before it reads them, as Qwen's does."""
    tokenizer = splitting_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def merging_tokenizer() -> Any:
    """One that reads the end of a line and the start of the next as one token."""
    tokenizer = Tokenizer(models.BPE())
    return _of_bytes(tokenizer, Regex(r"[\s\p{P}\p{S}]+|[\p{L}\p{N}]+"))


def _of_bytes(tokenizer: Tokenizer, words: Regex) -> Any:
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    _learn(tokenizer, special_tokens=["</s>"], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="</s>")


def sentence_tokenizer() -> Any:
    """One as SentencePiece's: spaces are letters, a text begins with one, and what is unknown falls to bytes."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    all_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    _learn(tokenizer, special_tokens=["<unk>", "<s>", "</s>", *all_bytes], max_token_length=12)
    definition = json.loads(tokenizer.to_str())
    definition["added_tokens"] = [token for token in definition["added_tokens"] if token["content"] not in all_bytes]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(definition)),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="</s>",
    )


def _learn(tokenizer: Tokenizer, **given: Any) -> None:
    trainer = trainers.BpeTrainer(vocab_size=700, show_progress=False, **given)
    tokenizer.train_from_iterator(["".join(SAID)] * 5, trainer)


def generator(kind: str = "qwen3", tokenizer: Any = None, max_tokens: int = 1024, seed: int = 1) -> Generator:
    """A generator on a random model of a kind."""
    tokenizer = tokenizer or byte_tokenizer()
    return Generator(model(kind, len(tokenizer)), tokenizer, torch.device("cpu"), max_tokens, seed)


def whole_logits(model: Any, ids: list[int]) -> torch.Tensor:
    """The logits after `ids`, read at once and without any cache."""
    with torch.inference_mode():
        logits: torch.Tensor = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
    return logits
