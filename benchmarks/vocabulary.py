"""Tokenizers of Qwen's kind, made here: its pre-tokenisation, a byte-level BPE, its special tokens.

The small one is learnt from message lines; the large one, of about 151 thousand tokens, from the sources of Python's
standard library and of transformers too, which are wherever this runs. Nothing is kept: it takes some ten seconds.
"""

from __future__ import annotations

import functools
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from ventriloquist.model.tiny import LONGEST_TOKEN

LARGE = 151_643
LOGITS = 151_936
"""How wide the logits of Qwen3 are: its vocabulary, rounded up."""
SMALL = 4096
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_PRE_TOKENS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def qwen_like(texts: Iterable[str], vocabulary: int = SMALL) -> Any:
    """A tokenizer of at most `vocabulary` tokens, special ones not counted, learnt from `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PRE_TOKENS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=LONGEST_TOKEN,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(list(_SPECIAL))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=_SPECIAL[0], pad_token=_SPECIAL[0], model_max_length=10**9
    )


@functools.cache
def _large(lines: tuple[str, ...]) -> Any:
    library = Path(sysconfig.get_path("stdlib"))
    sources = [path for path in sorted(library.rglob("*.py")) if "site-packages" not in path.parts]
    sources += sorted(Path(transformers.__file__).parent.glob("*.py"))
    return qwen_like([*lines, *(path.read_text("utf-8", errors="ignore") for path in sources)], LARGE)


def large(lines: Sequence[str]) -> Any:
    """A tokenizer as large as Qwen's, learnt from message lines and from sources; the same one for the same lines."""
    return _large(tuple(lines))
