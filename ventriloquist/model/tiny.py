"""The embedded base: a Qwen3-shaped model of a few million weights with a byte-level BPE, built from the windows.

Its tokenizer reads the fixed parts of a line (`{"name": "`, `", "delta": "`, ...) as single tokens: JSON escapes
every quote inside a value, so these strings occur nowhere else, and a line costs about half the tokens.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

END = "<|endoftext|>"
MAX_POSITIONS = 8192
LONGEST_TOKEN = 48
"""Bytes. Without a bound, one message of a thousand equal emoji would become tokens that the grammar refuses."""
EMBEDDING_STD = 0.2
LAST_NORM = 0.15

_FIXED = (
    r'\{"(?:name|type)": "'
    r'|", "(?:delta|members|reply_to|content_type|start|text)": "?\[?"?'
    r'|, "content_type": "'
    r'|"\], "start": "'
    r'|"\}\n'
    r"|(?:<1m|<5m|<1h|<12h|<1d|1d\+)(?=\")"
)
_WORDS = (
    r"| ?\p{L}\p{M}*(?:[\p{L}\p{M}'’])*"  # words with their space, marks and apostrophes
    r"|\p{N}{1,2}"
    r"|\\(?:u[0-9a-f]{4}|.)"  # one JSON escape
    r'| ?[^\s\p{L}\p{N}"\\]+'  # punctuation and emoji
    r'| ?"'
    r"|\s+"
)


def build_tokenizer(lines: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most `vocabulary` tokens learnt from lines of windows."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_FIXED + _WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=LONGEST_TOKEN,
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END, model_max_length=10**9)


def config(vocabulary: int, hidden: int, layers: int) -> Qwen3Config:
    """The shape of the model: heads of 32, half as many of them for keys and values."""
    heads = max(hidden // 32, 1)
    return Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3 // 32 * 32,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=max(heads // 2, 1),
        head_dim=32,
        max_position_embeddings=MAX_POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
        use_cache=True,
    )


def build_model(vocabulary: int, hidden: int, layers: int, seed: int) -> Qwen3ForCausalLM:
    """The untrained model: float32 weights drawn from `seed`, the same on every machine of one torch version."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config(vocabulary, hidden, layers))
        # Larger embeddings let so small a model tell names and words apart within a few hundred steps (held-out
        # text loss after the same 363,000 tokens: 2.65 against 3.09); the smaller last norm keeps its first
        # guesses near uniform.
        torch.nn.init.normal_(model.model.embed_tokens.weight, std=EMBEDDING_STD)
        torch.nn.init.constant_(model.model.norm.weight, LAST_NORM)
        return model


def fingerprint(tokenizer: PreTrainedTokenizerFast, hidden: int, layers: int, seed: int) -> str:
    """Tells two tiny bases apart: sha256 over the tokenizer and what the weights are drawn from."""
    recipe: dict[str, Any] = {"hidden": hidden, "layers": layers, "seed": seed}
    text = tokenizer.backend_tokenizer.to_str() + json.dumps(recipe, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
