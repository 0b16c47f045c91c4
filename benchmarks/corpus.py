"""The sample history as training reads it: collected and cut by the product's own stages, in a folder of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ventriloquist import demo
from ventriloquist.pipeline.collect import collect
from ventriloquist.pipeline.preprocess import preprocess
from ventriloquist.runs import perform
from ventriloquist.settings import CollectSettings, PreprocessSettings
from ventriloquist.windows.build import Window
from ventriloquist.windows.file import read_windows, spread
from ventriloquist.windows.lines import split_lines
from ventriloquist.workspace import Workspace

RECIPE_SIZE = 50
"""Messages in a window of the predecessor's recipe; held-out messages are scored with as much context, by both."""


class Corpus:
    """A history of about `messages` messages, written and collected in `folder`; cut again for each reader.

    `only` are the friends whose conversations are read, separated by commas, none meaning all; `holdout` is the share
    of each conversation that is held out twice.
    """

    def __init__(
        self, folder: Path, messages: int, *, seed: int = 7, only: str = "", holdout: float | None = None
    ) -> None:
        sample = demo.write(folder / "history", messages=messages, seed=seed)
        self.workspace = Workspace(folder / "work").prepare()
        self.chosen = {"only": only or None, "holdout": holdout}
        settings = CollectSettings.load(self.workspace, db=sample.chat_db, region="US")
        perform("collect", collect, settings, self.workspace, ["collect"])

    def cut(self, size: int, stride: int, *splits: str) -> list[Window]:
        """The windows of these splits, of `size` messages, one each `stride`."""
        settings = PreprocessSettings.load(self.workspace, size=size, stride=stride, **self.chosen)
        perform("preprocess", preprocess, settings, self.workspace, ["preprocess"])
        return list(read_windows(self.workspace, *splits))

    def dense(self, size: int | None = None, stride: int | None = None) -> list[Window]:
        """Ours: training windows in which each message is a target once; of the default size and stride."""
        size, stride = size or default("size"), stride or default("stride")
        return self.cut(size, stride, "train")

    def single(self) -> list[Window]:
        """The recipe's: a window of 50 messages for each message, learnt from for its last message alone."""
        windows = self.cut(RECIPE_SIZE, 1, "train")
        return [Window(window.text, 1, window.conversation, window.split) for window in windows]

    def held_out(self, count: int, size: int = RECIPE_SIZE) -> list[str]:
        """At most `count` held-out messages in windows of `size`, their full context, none of them seen in training."""
        return spread([window.text for window in self.cut(size, size - 1, "test")], count)


def default(name: str) -> Any:
    """What preprocess is set to when nothing is given."""
    return PreprocessSettings.model_fields[name].default


def lines_of(windows: Sequence[Window]) -> list[str]:
    """The lines of windows, one after the other: what a tokenizer is learnt from."""
    return [line for window in windows for line in split_lines(window.text)]
