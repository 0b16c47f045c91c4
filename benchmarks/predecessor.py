"""The predecessor's way to answer, written from what is known of it.

Each turn the whole prompt goes through `model.generate` again with a fresh cache: header, the latest messages as JSON
lines without `reply_to`, a blank line, and the start of a line by the one who shall speak. 200 new tokens are drawn
whatever comes, nothing is shown before the end, and what was written is then searched for a message by counting
braces. One message a turn (its default of up to five would cost five times as much), and no adapter beside the weights
(its was not merged, which costs half as much again): both in its favour.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch

from ventriloquist.windows.lines import Header, Line, write

NEW_TOKENS = 200
CONTEXT = 99
"""Messages before the one that is written."""


class Predecessor:
    """A model and how it was asked; `written` counts the tokens that it drew."""

    def __init__(self, model: Any, tokenizer: Any, temperature: float, top_p: float) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.drawn = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
        self.written = 0
        # No window that it learnt from ended in this token, so that a trained model does not draw it; one with random
        # weights might, and would be done too soon.
        self.model.generation_config.eos_token_id = None

    @torch.inference_mode()
    def reply(self, header: Header, said: Sequence[Line], target: str) -> dict[str, Any] | None:
        """The message that was found in what the model wrote, if one was."""
        start = f'{{"name": "{target}"'
        inputs = self.tokenizer(self.prompt(header, said) + "\n" + start, return_tensors="pt")
        length = inputs["input_ids"].shape[1]
        output = self.model.generate(
            **inputs, max_new_tokens=NEW_TOKENS, pad_token_id=self.tokenizer.pad_token_id, **self.drawn
        )
        self.written += output.shape[1] - length
        return first_object(start + self.tokenizer.decode(output[0, length:], skip_special_tokens=True))

    @staticmethod
    def prompt(header: Header, said: Sequence[Line]) -> str:
        """The header and the latest messages."""
        lines = [
            {"name": line.name, "delta": line.delta, "content_type": line.content_type, "text": line.text}
            for line in said[-CONTEXT:]
        ]
        return write(header) + "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def first_object(text: str) -> dict[str, Any] | None:
    """The first stretch of `text` in which braces are closed, as JSON; strings are not looked into."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            try:
                found: dict[str, Any] = json.loads(text[: position + 1])
            except ValueError:
                return None
            return found
    return None
