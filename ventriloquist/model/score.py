"""How surprised a model is by held-out messages, part by part of a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional

from ventriloquist.model.tokens import LineTokenizer, field_of_tokens
from ventriloquist.windows.lines import Line, read, split_lines, write

FIELDS = ("name", "delta", "reply_to", "content_type", "text", "structure")


@dataclass(slots=True)
class Score:
    """Summed losses in nats, and the tokens they were summed over, for each part of a line.

    `text_bytes` counts the UTF-8 bytes of the texts, so that models with different tokenizers compare.
    """

    nats: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    text_bytes: int = 0
    lines: int = 0

    def add(self, line: str, fields: Sequence[str], nats: Sequence[float]) -> None:
        for name, value in zip(fields, nats, strict=True):
            self.nats[name] += value  # type: ignore[assignment]
            self.tokens[name] += 1
        parsed = read(line)
        if isinstance(parsed, Line):
            self.text_bytes += len(parsed.text.encode("utf-8", "surrogatepass"))
        self.lines += 1

    def mean(self, name: str) -> float:
        """Nats a token of one part; 0 where no token was scored."""
        return self.nats[name] / self.tokens[name] if self.tokens[name] else 0.0

    @property
    def bits_per_byte(self) -> float:
        """Bits to write one UTF-8 byte of the texts."""
        return self.nats["text"] / max(self.text_bytes, 1) / 0.6931471805599453

    def summary(self) -> dict[str, float]:
        """Each part's mean, the mean over all, and bits a byte of text."""
        means = {name: round(self.mean(name), 4) for name in FIELDS if self.tokens[name]}
        everything = sum(self.nats.values()) / max(self.tokens.total(), 1)
        return {**means, "all": round(everything, 4), "text_bits_per_byte": round(self.bits_per_byte, 4)}


class Scorer:
    """Scores last lines of windows with one model; the context is computed once for all variants of a line."""

    def __init__(self, model: Any, tokenizer: Any, device: torch.device, max_tokens: int) -> None:
        self.model = model
        self.lines = LineTokenizer(tokenizer)
        self.tokenizer = tokenizer
        self.device = device
        self.max_tokens = max_tokens

    @torch.inference_mode()
    def losses(self, window: str, variants: Sequence[str]) -> list[tuple[list[str], list[float]]]:
        """For each variant of the window's last line: the part of each token, and its loss in nats."""
        context = split_lines(window)[:-1]
        encoded = [self._encode(variant) for variant in variants]
        room = self.max_tokens - max(len(ids) for ids, _ in encoded)
        ids = self._context(context, room)
        output = self.model(input_ids=torch.tensor([ids], device=self.device), use_cache=True, logits_to_keep=1)
        results = []
        for line, fields in encoded:
            cache = output.past_key_values
            tail = torch.tensor([line], device=self.device)
            logits = output.logits[0].float()
            if len(line) > 1:
                more = self.model(input_ids=tail[:, :-1], past_key_values=cache, use_cache=True)
                logits = torch.cat([logits, more.logits[0].float()])
                cache.crop(-(len(line) - 1))
            nats = functional.cross_entropy(logits, tail[0], reduction="none")
            results.append((fields, nats.tolist()))
        return results

    def _context(self, lines: Sequence[str], room: int) -> list[int]:
        """Header and as many of the latest lines as fit."""
        fitted = self.lines.fit(lines, self.lines.encode_lines(lines), room)
        return [*self.lines.lead, *(token for line in fitted for token in line.ids)]

    def _encode(self, line: str) -> tuple[list[int], list[str]]:
        encoded = self.tokenizer(line, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        ids = encoded["input_ids"][: self.max_tokens // 2]
        return ids, field_of_tokens(line, encoded["offset_mapping"][: len(ids)])


def score_windows(scorer: Scorer, windows: Sequence[str]) -> Score:
    """The score of the last line of each window."""
    score = Score()
    for window in windows:
        line = split_lines(window)[-1]
        ((fields, nats),) = scorer.losses(window, [line])
        score.add(line, fields, nats)
    return score


def with_name(line: str, name: str) -> str:
    """The same line in another member's mouth."""
    parsed = read(line)
    assert isinstance(parsed, Line)
    return write(Line(name, parsed.delta, parsed.reply_to, parsed.content_type, parsed.text))
