"""What a model has read so far: kept from turn to turn, cut back where the context changed, never wrong.

Attention layers keep their states in slabs that are allocated ahead, so that a token is written in place and a cut
moves no byte. Layers with a sliding window keep what has left the window too, so that they can be cut back as well.
Layers that cannot be cut (recurrent states) are copied at the end of a context; a cut goes back to the last copy
before it and reads on from there, or from the start.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers.cache_utils import (
    DummyLayer,
    DynamicCache,
    DynamicIndexedLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

CHUNK = 512
"""Tokens read in one forward; between two, a reading can be cancelled."""
MORE_ROOM = 256
"""Tokens that a layer has room for at least whenever it grows."""
KEPT_STATES = 4
PROBE = 6
ROUNDING = 8.0
"""How much further than reading one by one a reading in chunks may be from reading at once."""


SLOTS = ("past_key_values", "cache_params")
"""What a model calls its cache."""


class _Slabs:
    """The tensors behind a layer's keys and values, with room at the end: (rows, heads, room, width) each."""

    keys: torch.Tensor | None
    values: torch.Tensor | None
    most = 0
    """Tokens up to which room is doubled."""
    _slabs: tuple[torch.Tensor, torch.Tensor] | None = None

    def _append(self, held: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write states behind the first `held`; returns all of them, as views."""
        length = held + keys.shape[-2]
        slabs = self._slabs
        if slabs is None or slabs[0].shape[-2] < length:
            room = max(length + MORE_ROOM, min(2 * length, self.most))
            slabs = self._slabs = (_with_room(self.keys, keys, held, room), _with_room(self.values, values, held, room))
        slabs[0].narrow(-2, held, keys.shape[-2]).copy_(keys)
        slabs[1].narrow(-2, held, keys.shape[-2]).copy_(values)
        self.keys, self.values = slabs[0].narrow(-2, 0, length), slabs[1].narrow(-2, 0, length)
        return self.keys, self.values


def _with_room(held: torch.Tensor | None, like: torch.Tensor, length: int, room: int) -> torch.Tensor:
    slab = like.new_empty((*like.shape[:-2], room, like.shape[-1]))
    if held is not None and length:
        slab.narrow(-2, 0, length).copy_(held)
    return slab


class SlabLayer(_Slabs, DynamicLayer):
    """Full attention. What `DynamicLayer` does, without a copy of all states for each token."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        return self._append(self.get_seq_length(), key_states, value_states)

    def reset(self) -> None:
        super().reset()
        self._slabs = None

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._slabs = None

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        super().batch_select_indices(indices)
        self._slabs = None

    def reorder_cache(self, beam_idx: torch.Tensor) -> None:
        super().reorder_cache(beam_idx)
        self._slabs = None

    def expanded(self, rows: int) -> SlabLayer:
        """The same states in each of `rows` rows, in memory of its own."""
        layer = SlabLayer()
        assert self.keys is not None and self.values is not None
        layer.lazy_initialization(self.keys, self.values)
        layer.update(*(states.expand(rows, *states.shape[1:]) for states in (self.keys, self.values)))
        return layer


class SlidingSlabLayer(_Slabs, DynamicSlidingWindowLayer):
    """Attention within a window. Only the window is looked at; what left it is kept, so that any cut is exact."""

    cumulative_length: int

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        keys, values = self._append(self.cumulative_length, key_states, value_states)
        self.cumulative_length = keys.shape[-2]
        visible = min(self.cumulative_length, self.sliding_window - 1 + key_states.shape[-2])
        return keys[..., -visible:, :], values[..., -visible:, :]

    def crop(self, tokens_to_remove: int) -> None:
        if tokens_to_remove and self.is_initialized:
            DynamicLayer.crop(self, tokens_to_remove)
            self.cumulative_length += tokens_to_remove

    def reset(self) -> None:
        super().reset()
        self._slabs = None


CUTTABLE = (SlabLayer, SlidingSlabLayer, DynamicIndexedLayer, DummyLayer)
"""Layers whose cut is exact at any length."""


class TokenCache:
    """A model and the ids that it has read, in one row.

    `cuttable`: any part of the end can be taken back. `stacks`: several rows that began alike can be read together.
    `keeps`: the model has a cache that we know; without one, everything is read anew for each forward.
    """

    def __init__(self, model: Any, device: torch.device, max_tokens: int) -> None:
        self.model = model
        self.device = device
        self.max_tokens = max_tokens
        self.ids: list[int] = []
        self._states: list[tuple[int, dict[int, Any]]] = []
        self._takes = _parameters(model)
        self._slot = next((name for name in SLOTS if name in self._takes), "")
        self.keeps = bool(self._slot)
        self._past = self._empty()
        kinds = [type(layer) for layer in self._past.layers]
        self.cuttable = self.keeps and all(kind in CUTTABLE for kind in kinds)
        self.stacks = self.keeps and "position_ids" in self._takes and all(kind is SlabLayer for kind in kinds)
        self.forwards = 0
        """How often the model was run."""
        self._one_by_one = False
        if self.keeps and not self.cuttable:
            self._one_by_one = not self._takes_chunks()

    def clear(self) -> None:
        """Forget everything that was read, and free its memory."""
        self.ids, self._states, self._past = [], [], self._empty()

    def keep(self, ids: Sequence[int]) -> int:
        """Cut back to what was read of `ids`; returns how many of them are left."""
        alike = shared(self.ids, ids)
        if alike < len(self.ids):
            self._cut(alike)
        return len(self.ids)

    def mark(self) -> None:
        """A later cut may come back to here: keeps a copy of the states that cannot be cut."""
        marked = bool(self._states) and self._states[-1][0] == len(self.ids)
        if self.cuttable or not self.keeps or not self.ids or marked:
            return
        layers = {
            number: copy.deepcopy(layer)
            for number, layer in enumerate(self._past.layers)
            if type(layer) not in CUTTABLE
        }
        self._states = [*self._states, (len(self.ids), layers)][-KEPT_STATES:]

    def advance(self, ids: Sequence[int], cancelled: Callable[[], bool]) -> bool:
        """Read more, in chunks; False if cancelled between two of them."""
        step = len(ids) if self._one_by_one and not self.ids else CHUNK
        for start in range(0, len(ids), max(step, 1)):
            if cancelled():
                return False
            self.read(ids[start : start + step])
        return True

    @torch.inference_mode()
    def read(self, ids: Sequence[int]) -> torch.Tensor:
        """Append `ids`; the logits after the last one, (vocabulary,), where the model left them."""
        try:
            step = 1 if self._one_by_one and self.ids else len(ids)
            for start in range(0, len(ids), step):
                part = list(ids[start : start + step])
                logits = self._forward(part)
                self.ids += part
        except BaseException:
            self.clear()  # some layers may have read what others have not
            raise
        return logits

    @torch.inference_mode()
    def read_ahead(self, ids: Sequence[int], ahead: Sequence[int]) -> torch.Tensor:
        """Append `ids` and what may follow them; the logits after the last of `ids` and after each of `ahead`,
        (1 + ahead, vocabulary). Only where the cache is `cuttable`: `cut_to` takes back what did not follow."""
        both = [*ids, *ahead]
        try:
            given = torch.tensor([both], device=self.device)
            logits = self.forward(given, self._past, wanted=1 + len(ahead))[0]
            self.ids += both
        except BaseException:
            self.clear()  # some layers may have read what others have not
            raise
        return logits

    def cut_to(self, length: int) -> None:
        """Take back all but the first `length` ids."""
        if length < len(self.ids):
            self._cut(length)

    def _forward(self, ids: list[int]) -> torch.Tensor:
        if not self.keeps:
            ids = [*self.ids, *ids]
        logits: torch.Tensor = self.forward(torch.tensor([ids], device=self.device), self._past)[0, -1]
        if self.keeps and not self.ids and not self._past_is(len(ids)):
            self.keeps = self.cuttable = self.stacks = False
        return logits

    def forward(self, ids: torch.Tensor, past: DynamicCache, wanted: int = 1, **given: Any) -> torch.Tensor:
        """One forward of ids, (rows, tokens), behind `past`; the logits after the last `wanted` of them,
        (rows, wanted, vocabulary)."""
        if self.keeps:
            given |= {self._slot: past}
        if "logits_to_keep" in self._takes:
            given |= {"logits_to_keep": wanted}
        self.forwards += 1
        output = self.model(input_ids=ids, use_cache=self.keeps, **given)
        logits: torch.Tensor = output.logits[:, -wanted:]
        return logits

    def rows(self, count: int) -> RowsCache:
        """`count` rows that have read what this one has; this one stays as it is."""
        return RowsCache(self, [layer.expanded(count) for layer in self._past.layers], count)

    def _cut(self, length: int) -> None:
        if not self.keeps:
            self.ids = self.ids[:length]
            return
        if not self.cuttable:
            self._states = [state for state in self._states if state[0] <= length]
            if not self._states:
                self.clear()
                return
            length, layers = self._states[-1]
            for number, layer in layers.items():
                self._past.layers[number] = copy.deepcopy(layer)
        for layer in self._past.layers:
            if type(layer) in CUTTABLE:
                layer.crop(length - len(self.ids))
        self.ids = self.ids[:length]

    def _empty(self) -> DynamicCache:
        past = DynamicCache(config=self.model.config)
        past.layers = [self._our(layer) for layer in past.layers]
        return past

    def _our(self, layer: Any) -> Any:
        ours: Any = layer
        if type(layer) is DynamicLayer:
            ours = SlabLayer()
        elif type(layer) is DynamicSlidingWindowLayer:
            ours = SlidingSlabLayer(layer.sliding_window)
        ours.most = self.max_tokens
        return ours

    def _past_is(self, length: int) -> bool:
        """True if the model put what it read into the cache that it was given."""
        held = [layer.get_seq_length() for layer in self._past.layers if isinstance(layer, DynamicLayer)]
        return all(count == length for count in held)

    def _takes_chunks(self) -> bool:
        """True if a chunk behind others is read as it should be: not every model with recurrent states lets them
        reach into one. Told by how far reading one by one is from reading at once."""
        ids = [token % self.model.config.get_text_config().vocab_size for token in range(3, 3 + PROBE)]
        at_once, in_chunks, singly = (self._probed(ids, step) for step in (PROBE, PROBE // 2, 1))
        self.clear()
        rounding = (singly - at_once).abs().max().clamp(min=torch.finfo(at_once.dtype).eps * at_once.abs().max())
        return bool((in_chunks - at_once).abs().max() <= ROUNDING * rounding)

    def _probed(self, ids: list[int], step: int) -> torch.Tensor:
        self.clear()
        for start in range(0, len(ids), step):
            logits = self.read(ids[start : start + step])
        return logits.float()


class RowsCache:
    """Rows that began alike and go on differently, each as if it were alone.

    Rows are given different numbers of tokens; the shorter chunks are padded on the left, the padding is masked,
    and each token has the position that it has in its own row.
    """

    def __init__(self, cache: TokenCache, layers: list[SlabLayer], count: int) -> None:
        self._cache = cache
        self._past = DynamicCache(config=cache.model.config)
        self._past.layers = layers
        self._lengths = [len(cache.ids)] * count
        self._seen = torch.ones((count, len(cache.ids)), dtype=torch.long, device=cache.device)

    @torch.inference_mode()
    def read(self, chunks: Sequence[Sequence[int]]) -> torch.Tensor:
        """Append a chunk of at least one token to each row; the logits after each, (rows, vocabulary)."""
        width = max(map(len, chunks))
        pads = [width - len(chunk) for chunk in chunks]
        ids = [[0] * pad + list(chunk) for pad, chunk in zip(pads, chunks, strict=True)]
        positions = [
            [0] * pad + list(range(length, length + len(chunk)))
            for pad, length, chunk in zip(pads, self._lengths, chunks, strict=True)
        ]
        given = torch.tensor([ids, positions, [[0] * pad + [1] * (width - pad) for pad in pads]])
        tokens, where, seen = given.to(self._cache.device)
        self._seen = torch.cat([self._seen, seen], -1)
        self._lengths = [length + len(chunk) for length, chunk in zip(self._lengths, chunks, strict=True)]
        return self._cache.forward(tokens, self._past, attention_mask=self._seen, position_ids=where)[:, -1]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        if rows and len(rows) < len(self._lengths):
            chosen = torch.tensor(list(rows), device=self._cache.device)
            self._past.batch_select_indices(chosen)
            self._seen = self._seen[chosen]
            self._lengths = [self._lengths[row] for row in rows]


def shared(mine: Sequence[int], theirs: Sequence[int]) -> int:
    """How many ids two sequences share at their start."""
    if list(mine) == list(theirs[: len(mine)]):
        return len(mine)
    return next((number for number, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), len(theirs))


def _parameters(model: Any) -> frozenset[str]:
    """What the model's forward takes; behind an adapter, the base's."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return frozenset(inspect.signature(base.forward).parameters)
