"""How many tokens lines have by a base's tokenizer, without loading a model: the `tokenizers` library alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ventriloquist.faults import NoInput

TOKENIZER, CONFIG = "tokenizer.json", "tokenizer_config.json"


class TokenCounter:
    """Counts as `tokens.LineTokenizer` does: each line by itself, what somebody typed never a special token.

    `lead` is how many tokens stand before a window's header.
    """

    def __init__(self, folder: Path) -> None:
        """The tokenizer in a base's folder; raises NoInput if it cannot be read."""
        from tokenizers import Tokenizer  # takes as long to load as a small history to read

        if not has_tokenizer(folder):
            raise NoInput(f"There is no {TOKENIZER} in {folder}.")
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(folder / TOKENIZER))
            beginning = _beginning(folder)
        except Exception as error:
            raise NoInput(f"{folder / TOKENIZER} cannot be read.") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        leading = self._tokenizer.encode("", add_special_tokens=True).tokens
        self.lead = leading.count(beginning) if beginning else 0
        self._tokenizer.encode_special_tokens = True  # special tokens are not looked for in texts

    def count(self, lines: Sequence[str]) -> list[int]:
        """The number of tokens of each line; the library uses all cores."""
        found = self._tokenizer.encode_batch_fast(list(lines), add_special_tokens=False)
        return [len(each.ids) for each in found]


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a tokenizer that can be read without its model."""
    return (folder / TOKENIZER).is_file()


def _beginning(folder: Path) -> str:
    """The token that begins a text, as the base's settings name it, or nothing."""
    try:
        named = json.loads((folder / CONFIG).read_text()).get("bos_token")
    except FileNotFoundError:
        return ""
    content = named.get("content") if isinstance(named, dict) else named
    return content if isinstance(content, str) else ""
