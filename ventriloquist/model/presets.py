"""Bases that are known to work: pre-trained (not instructed) models with a licence that lets anyone use them.

Every one is loaded by `AutoModelForCausalLM` of Transformers without code of its own, keeps no state between tokens
but a key-value cache that can be cut back, as chat does, and has plain linear layers, so that an adapter reaches each.
That leaves out some newer families: Qwen 3.5's linear attention cannot take tokens back and is slow without kernels of
its own, Gemma 3 and 4 and Ministral 3 come with a tower for pictures (Gemma 3 with terms of its own), and models
of experts keep their weights in blocks that an adapter does not reach.
Any other id can be fetched and trained all the same; a preset only saves the search.
"""

from __future__ import annotations

from dataclasses import dataclass

from ventriloquist.model.needs import Shape

DEFAULT = "Qwen/Qwen3-8B-Base"


@dataclass(frozen=True, slots=True)
class Preset:
    """A base by its Hugging Face id; `revision` is the commit that its shape was checked at."""

    id: str
    revision: str
    license: str
    why: str
    shape: Shape


def _qwen3(hidden: int, layers: int, heads: int, intermediate: int, *, tied: bool) -> Shape:
    return Shape("qwen3", hidden, layers, heads, 8, 128, intermediate, 151_936, tied)


PRESETS = (
    # Qwen3: one tokenizer, 119 languages and 36 trillion tokens over every size, so that what was tried on a small
    # one holds for a large one.
    Preset(
        "Qwen/Qwen3-0.6B-Base",
        "da87bfb608c14b7cf20ba1ce41287e8de496c0cd",
        "apache-2.0",
        "to try things out; trains on a laptop",
        _qwen3(1024, 28, 16, 3072, tied=True),
    ),
    Preset(
        "Qwen/Qwen3-1.7B-Base",
        "ea980cb0a6c2ae4b936e82123acc929f1cec04c1",
        "apache-2.0",
        "for a Mac or a small GPU",
        _qwen3(2048, 28, 16, 6144, tied=True),
    ),
    Preset(
        "Qwen/Qwen3-4B-Base",
        "906bfd4b4dc7f14ee4320094d8b41684abff8539",
        "apache-2.0",
        "for a GPU with 16 GB or more",
        _qwen3(2560, 36, 32, 9728, tied=True),
    ),
    Preset(
        "Qwen/Qwen3-8B-Base",
        "49e3418fbbbca6ecbdf9608b4d22e5a407081db4",
        "apache-2.0",
        "the one to choose where it fits: from 24 GB, or 16 GB in 4 bits",
        _qwen3(4096, 36, 32, 12288, tied=False),
    ),
    Preset(
        "Qwen/Qwen3-14B-Base",
        "0b0bd3732e2c374d483664439ea334928b65f304",
        "apache-2.0",
        "for a GPU with 48 GB or more, or 24 GB in 4 bits",
        _qwen3(5120, 40, 40, 17408, tied=False),
    ),
    # The strongest of its size whose data and recipe are public; six European languages.
    Preset(
        "HuggingFaceTB/SmolLM3-3B-Base",
        "d78a42f79198603e614095753484a04c10c2b940",
        "apache-2.0",
        "open down to its data; European languages",
        Shape("smollm3", 2048, 36, 16, 4, 128, 11008, 128_256, True),
    ),
    # For those who want to know every text that their model has read. English only.
    Preset(
        "allenai/Olmo-3-1025-7B",
        "a81bae42db3975be1671e27b9c9a56da1a9f980f",
        "apache-2.0",
        "open down to its data; English",
        Shape("olmo3", 4096, 32, 32, 32, 128, 11008, 100_278, False),
    ),
)
"""In the order in which they are listed."""


def preset(name: str) -> Preset | None:
    """The preset of that id, or None."""
    return next((each for each in PRESETS if each.id == name), None)
