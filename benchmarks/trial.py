"""One history, one model before training, and what both sides learn from: the ground that a comparison stands on."""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks import recipe
from benchmarks.corpus import Corpus, lines_of
from benchmarks.ours import Ours
from ventriloquist.model import tiny
from ventriloquist.model.adapt import add_adapter
from ventriloquist.model.tokenised import Tokenised, tokenise
from ventriloquist.model.validate import HeldOut, hold_out
from ventriloquist.settings import TrainSettings
from ventriloquist.windows.build import Window


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a tiny base is."""

    hidden: int
    layers: int
    vocabulary: int


@dataclass
class Trial:
    """`first` are the weights before training, `dense` what ours learns from, `held_out` what both are judged by."""

    corpus: Corpus
    tokenizer: Any
    first: Any
    dense: Tokenised
    held_out: HeldOut
    seed: int

    @classmethod
    def new(cls, corpus: Corpus, shape: Shape, held_out: int, *, seed: int) -> Trial:
        """On an untrained tiny base of this shape, its tokenizer learnt from the training windows."""
        tokenizer = tiny.build_tokenizer(lines_of(corpus.dense()), shape.vocabulary)
        model = tiny.build_model(len(tokenizer), shape.hidden, shape.layers, seed)
        return cls.on(tokenizer, model, corpus, held_out, seed=seed)

    @classmethod
    def on(cls, tokenizer: Any, model: Any, corpus: Corpus, held_out: int, *, seed: int) -> Trial:
        """On a model that there is."""
        held = hold_out(tokenizer, corpus.held_out(held_out), tiny.MAX_POSITIONS)
        assert held is not None
        return cls(corpus, tokenizer, model, tokens_of(tokenizer, corpus.dense()), held, seed)

    @functools.cached_property
    def single(self) -> list[Window]:
        """The recipe's windows, as text."""
        return self.corpus.single()

    def model(self, adapter: TrainSettings | None = None) -> Any:
        """The same first weights each time; with the same new adapter if its settings are given."""
        model = copy.deepcopy(self.first)
        if adapter is None:
            return model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return add_adapter(model, adapter)

    def ours(self, settings: TrainSettings, model: Any, *, level: bool = False, data: Tokenised | None = None) -> Ours:
        """A training of ours on this model."""
        return Ours(model, self.tokenizer, self.dense if data is None else data, settings, level=level)

    def samples(self, count: int | None = None) -> list[recipe.Sample]:
        """The recipe's first `count` windows in the order of a shuffled epoch (None: all of them), tokenised."""
        order = list(range(len(self.single)))
        random.Random(f"recipe/{self.seed}").shuffle(order)
        return recipe.samples(tokens_of(self.tokenizer, [self.single[index] for index in order[:count]]))

    def settings(self, **given: Any) -> TrainSettings:
        """Training's settings with its defaults, and these."""
        return TrainSettings.load(self.corpus.workspace, seed=self.seed, threads=1, device="cpu", **given)


def tokens_of(tokenizer: Any, windows: Sequence[Window]) -> Tokenised:
    """Windows as token ids."""
    return tokenise(tokenizer, [(window.text, window.targets) for window in windows], tiny.MAX_POSITIONS)
