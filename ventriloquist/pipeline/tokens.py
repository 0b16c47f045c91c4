"""How many tokens the windows have by the tokenizer of the base that is to be trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from ventriloquist.faults import NoInput
from ventriloquist.model.count import TokenCounter
from ventriloquist.model.hub import base_folder, pinned
from ventriloquist.runs import Run
from ventriloquist.settings import PreprocessSettings, TrainSettings
from ventriloquist.windows.build import Window
from ventriloquist.windows.file import read_windows
from ventriloquist.windows.lines import split_lines
from ventriloquist.windows.split import SPLITS, TRAIN
from ventriloquist.workspace import Workspace

TINY = "tiny"
BATCH = 256
"""Windows that are counted together."""
KNOWN = 100_000
"""So many lines are remembered with their count; people say the same things again and again."""


class TokensOf(NamedTuple):
    """The base whose tokenizer counts, by its name, and what counts."""

    base: str
    counter: TokenCounter

    @classmethod
    def chosen(cls, settings: PreprocessSettings, workspace: Workspace, run: Run | None = None) -> TokensOf | None:
        """The base of `--base`, or the one that train is set to; None, and a note in the run, if its tokenizer is not
        at hand."""
        base = settings.base or TrainSettings.load(workspace).base
        if base == TINY:  # whose tokenizer is made when it is trained
            return None
        try:
            return cls(base, TokenCounter(base_folder(base, pinned(workspace, base))))
        except NoInput as fault:
            if run:
                run.note(f"Tokens are not counted. {fault}")
            return None


def tokens_in(workspace: Workspace, tokens_of: TokensOf, run: Run) -> dict[str, Any]:
    """`{"base", "train", "validation", "test", "targets", "longest"}`: tokens of all windows of each split, of the
    lines that bear loss in training, and of the longest window."""
    counter, known = tokens_of.counter, dict[str, int]()
    total: Counter[str] = Counter()
    longest = targets = done = 0
    for windows in _batches(read_windows(workspace)):
        lines = [split_lines(window.text) for window in windows]
        _learn_counts(counter, known, {line for each in lines for line in each})
        for window, its_lines in zip(windows, lines, strict=True):
            counts = [known[line] for line in its_lines]
            tokens = counter.lead + sum(counts)
            total[window.split] += tokens
            targets += sum(counts[-window.targets :]) if window.split == TRAIN else 0
            longest = max(longest, tokens)
        done += len(windows)
        run.progress(done, None, "windows")
    run.note(f"Tokens by {tokens_of.base}: {total[TRAIN]:,} in training windows, {targets:,} of them learnt.")
    return {"base": tokens_of.base, **{split: total[split] for split in SPLITS}, "targets": targets, "longest": longest}


def _learn_counts(counter: TokenCounter, known: dict[str, int], lines: set[str]) -> None:
    """Count those lines that are not known yet."""
    if len(known) > KNOWN:
        known.clear()
    new = [line for line in lines if line not in known]
    known.update(zip(new, counter.count(new), strict=True))


def _batches(windows: Iterable[Window]) -> Iterator[list[Window]]:
    iterator = iter(windows)
    while batch := list(islice(iterator, BATCH)):
        yield batch
