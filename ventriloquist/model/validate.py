"""How surprised a model that is being trained is by held-out messages: many windows at once, their last lines only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ventriloquist.model.batches import collate, split_step
from ventriloquist.model.loss import TargetLoss
from ventriloquist.model.tokenised import Tokenised, tokenise
from ventriloquist.model.tokens import field_of_tokens
from ventriloquist.windows.lines import split_lines


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Held-out windows with one target each; `text` says which of the target tokens belong to what was said."""

    data: Tokenised
    text: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.int64]


def hold_out(tokenizer: Any, windows: Sequence[str], max_tokens: int) -> HeldOut | None:
    """The windows' last lines as something to validate on; None if there are none."""
    data = tokenise(tokenizer, [(window, 1) for window in windows], max_tokens)
    if not len(data):
        return None
    text: list[bool] = []
    for index, source in enumerate(data.sources):
        text += _is_text(tokenizer, split_lines(windows[int(source)]), int(data.window(index)[1].sum()))
    return HeldOut(data, np.array(text, np.bool_), np.concatenate([[0], np.cumsum(data.targets())]))


def _is_text(tokenizer: Any, lines: Sequence[str], learnt: int) -> list[bool]:
    """For each learnt token of a window's last line, whether it belongs to what the line says."""
    offsets = tokenizer(lines[-1], add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
    fields = field_of_tokens(lines[-1], offsets["offset_mapping"])
    if len(lines) == 2:
        fields = [field for field in fields if field != "delta"]  # a window's first delta is not learnt
    fields = [*fields, *["structure"] * learnt][:learnt]  # nor is the end of a line that had to be cut
    return [field == "text" for field in fields]


def validate(loss: TargetLoss, held_out: HeldOut, tokens_per_batch: int, device: torch.device) -> dict[str, float]:
    """Nats a token over all parts of the held-out lines, and over what they say."""
    was_training = loss.model.training
    loss.model.eval()
    lengths = held_out.data.lengths
    order = tuple(np.argsort(lengths, kind="stable").tolist())
    nats = np.zeros(int(held_out.starts[-1]))
    for indices in split_step(order, lengths, tokens_per_batch):
        found = loss.each(collate(held_out.data, indices).to(device)).cpu().double().numpy()
        at = 0
        for index in indices:
            span = slice(int(held_out.starts[index]), int(held_out.starts[index + 1]))
            nats[span] = found[at : at + span.stop - span.start]
            at += span.stop - span.start
    loss.model.train(was_training)
    return {
        "validation_loss": float(nats.mean()),
        "validation_text_loss": float(nats[held_out.text].mean()) if held_out.text.any() else float(nats.mean()),
    }
