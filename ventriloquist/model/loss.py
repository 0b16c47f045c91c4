"""The loss at targets and nowhere else, without ever holding all logits.

The body runs over whole windows; its last hidden states are gathered at the positions whose next token is learnt,
and the head is applied to them in chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

from ventriloquist.model.batches import Batch
from ventriloquist.model.parallel import settle

CHUNK = 1024
"""Targets whose logits are held at a time."""
_AGREES = 0.02
"""Nats that the two ways to the loss may differ by in half precision."""


class TargetLoss:
    """The losses of one model. `plain` models have nothing but a linear head after their last hidden states; with
    others (that scale or cap their logits) the model's own logits are taken."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.head = model.get_output_embeddings()
        self.plain = True
        self.plain = self._agrees()

    def summed(self, batch: Batch) -> torch.Tensor:
        """The sum of the targets' losses in nats, with a gradient."""
        if self.plain:
            total: torch.Tensor = _HeadLoss.apply(self._hidden(batch), self.head.weight, batch.labels)
            return total
        return functional.cross_entropy(self._logits(batch), batch.labels, reduction="sum")

    @torch.no_grad()
    def each(self, batch: Batch) -> torch.Tensor:
        """The loss of every target in nats, float32, (targets,)."""
        if not self.plain:
            return functional.cross_entropy(self._logits(batch), batch.labels, reduction="none")
        hidden, weight = self._hidden(batch), self.head.weight
        found = []
        for at in range(0, len(batch.labels), CHUNK):
            logits = _logits(hidden[at : at + CHUNK], weight)
            found.append(functional.cross_entropy(logits, batch.labels[at : at + CHUNK], reduction="none"))
        return torch.cat(found)

    def _hidden(self, batch: Batch) -> torch.Tensor:
        with _without_head(self.head):
            output = self.model(input_ids=batch.input_ids, use_cache=False)
        hidden: torch.Tensor = output.logits[batch.keep]
        return hidden

    def _logits(self, batch: Batch) -> torch.Tensor:
        output = self.model(input_ids=batch.input_ids, logits_to_keep=batch.keep, use_cache=False)
        logits: torch.Tensor = output.logits.float()
        return logits

    @torch.no_grad()
    def _agrees(self) -> bool:
        """Whether both ways give the same loss on a few tokens."""
        if getattr(self.head, "bias", None) is not None or not isinstance(self.head, torch.nn.Linear):
            return False
        was_training = self.model.training
        self.model.eval()
        device = self.head.weight.device
        ids = torch.arange(24, device=device)[None] % self.head.weight.shape[0]
        batch = Batch(ids, ids >= 12, ids[0, 12:])
        ours = self.each(batch)
        theirs = functional.cross_entropy(self._logits(batch), batch.labels, reduction="none")
        self.model.train(was_training)
        settle(self.model)
        return bool((ours - theirs).abs().mean() < _AGREES)


@contextmanager
def _without_head(head: torch.nn.Module) -> Iterator[None]:
    """While this lasts, the model returns its last hidden states where it would return logits."""
    head.forward = torch.clone  # no view of what FSDP keeps its hooks on
    try:
        yield
    finally:
        del head.forward


def _logits(hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    with torch.autocast(hidden.device.type, enabled=False):
        logits = functional.linear(hidden.to(weight.dtype), weight)
        return logits if logits.dtype == torch.float64 else logits.float()


class _HeadLoss(torch.autograd.Function):
    """Summed cross entropy of a linear head. The gradients are made with the loss, chunk by chunk, so that no
    logits are kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float64 if hidden.device.type == "cpu" else torch.float32)
        total = total.to(hidden.device)
        by_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        by_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for at in range(0, len(labels), CHUNK):
            span = slice(at, at + CHUNK)
            logits, chosen = _logits(hidden[span], weight), labels[span, None]
            logits -= logits.logsumexp(dim=-1, keepdim=True)
            total -= logits.gather(1, chosen).sum()
            slope = logits.exp_().scatter_add_(1, chosen, torch.full_like(chosen, -1, dtype=logits.dtype))
            slope = slope.to(weight.dtype)
            with torch.autocast(hidden.device.type, enabled=False):
                if by_hidden is not None:
                    by_hidden[span] = slope @ weight
                if by_weight is not None:
                    by_weight += slope.T @ hidden[span].to(weight.dtype)
        ctx.save_for_backward(by_hidden, by_weight)
        return total.to(hidden.dtype if hidden.dtype == torch.float64 else torch.float32)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        (gradient,) = gradients
        by_hidden, by_weight = ctx.saved_tensors
        return (
            by_hidden * gradient if by_hidden is not None else None,
            by_weight * gradient if by_weight is not None else None,
            None,
        )
