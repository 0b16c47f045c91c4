"""What is learnt together: every window once an epoch, little padding, the same each time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ventriloquist.model import tiny
from ventriloquist.model.batches import WASTE, all_steps, collate, epoch_steps, padding, split_step
from ventriloquist.model.tokenised import Tokenised, cached, tokenise
from ventriloquist.windows.file import read_windows
from ventriloquist.windows.lines import split_lines
from ventriloquist.workspace import Workspace

LENGTHS = st.lists(st.integers(2, 4000), min_size=1, max_size=120).map(np.array)


@given(LENGTHS, st.integers(1, 16), st.integers(0, 5))
def test_an_epoch_has_every_window_once_and_hardly_any_padding(lengths: np.ndarray, most: int, epoch: int) -> None:
    steps = epoch_steps(lengths, most, 1, epoch)
    assert sorted(index for step in steps for index in step) == list(range(len(lengths)))
    assert all(1 <= len(step) <= most for step in steps)
    assert all(padding([step], lengths) <= WASTE + 1e-9 for step in steps)
    assert steps == epoch_steps(lengths, most, 1, epoch)


def test_only_seed_and_epoch_decide_the_order() -> None:
    lengths = np.random.default_rng(1).integers(300, 3000, 400)
    assert epoch_steps(lengths, 4, 1, 0) != epoch_steps(lengths, 4, 1, 1) != epoch_steps(lengths, 4, 2, 1)
    groups = [{frozenset(step) for step in epoch_steps(lengths, 4, 1, epoch)} for epoch in range(2)]
    assert len(groups[0] & groups[1]) < len(groups[0]) / 2, "windows should meet others in each epoch"


@given(LENGTHS, st.floats(0.1, 3.0))
def test_a_part_of_an_epoch_is_its_first_part(lengths: np.ndarray, epochs: float) -> None:
    steps = all_steps(lengths, 2, 1, epochs)
    seen = Counter(index for step in steps for index in step)
    assert max(seen.values()) <= int(epochs) + 1
    assert all(seen[index] >= int(epochs) for index in range(len(lengths)))


@given(LENGTHS, st.integers(1, 8), st.integers(2, 9000), st.integers(1, 4))
def test_a_step_is_split_to_fit_and_evenly(lengths: np.ndarray, most: int, tokens: int, world: int) -> None:
    for step in epoch_steps(lengths, most, 1, 0):
        batches = split_step(step, lengths, tokens, world)
        assert len(batches) % world == 0
        assert [index for batch in batches for index in batch] == list(step)
        for batch in batches:
            assert len(batch) <= 1 or len(batch) * lengths[list(batch)].max() <= tokens


@pytest.fixture(scope="module")
def data(learnt: Workspace) -> Tokenised:
    windows = [(window.text, window.targets) for window in read_windows(learnt, "train")]
    return tokenise(
        tiny.build_tokenizer([line for text, _ in windows for line in split_lines(text)], 800), windows, 400
    )


def test_each_training_message_is_a_target_exactly_once_an_epoch(learnt: Workspace, data: Tokenised) -> None:
    windows = list(read_windows(learnt, "train"))
    assert int(data.lines.sum()) == sum(window.targets for window in windows)
    assert len(data) > len(windows), "some windows are too long and come in pieces"
    seen = Counter(index for step in epoch_steps(data.lengths, 4, 1, 0) for index in step)
    assert set(seen) == set(range(len(data))) and set(seen.values()) == {1}
    assert padding(epoch_steps(data.lengths, 4, 1, 0), data.lengths) <= WASTE


def test_a_batch_holds_the_windows_and_their_targets(data: Tokenised) -> None:
    indices = epoch_steps(data.lengths, 4, 1, 0)[0]
    batch = collate(data, indices)
    at = 0
    for row, index in enumerate(indices):
        ids, bears = data.window(index)
        assert (batch.input_ids[row, : len(ids)].numpy() == ids).all() and not batch.input_ids[row, len(ids) :].any()
        learnt = ids[bears]
        assert (batch.labels[at : at + len(learnt)].numpy() == learnt).all()
        places = batch.keep[row].nonzero()[:, 0] + 1
        assert (places.numpy() == np.flatnonzero(bears)).all()
        at += len(learnt)
    assert at == len(batch.labels) == int(batch.keep.sum()) == int(data.targets()[list(indices)].sum())


def test_tokens_are_kept_by_what_they_were_made_from(data: Tokenised, tmp_path: Path) -> None:
    made = []

    def make() -> Tokenised:
        made.append(1)
        return data

    for made_from in (["a", 1], ["a", 1], ["b", 1], ["a", 2], ["a", 1]):
        found = cached(tmp_path / "tokens", made_from, make)
        assert all((getattr(found, name) == getattr(data, name)).all() for name in ("ids", "bears", "starts", "lines"))
    assert len(made) == 4, "two are kept: the oldest was forgotten"
    files = [path for path in (tmp_path / "tokens").rglob("*") if path.is_file()]
    assert files and all(path.stat().st_mode & 0o077 == 0 for path in files)


@pytest.mark.parametrize("harm", ["short", "zeroed", "missing"])
@pytest.mark.parametrize("name", ["ids", "bears", "starts", "lines", "sources", "sha256.json"])
def test_tokens_that_were_damaged_are_made_again(data: Tokenised, tmp_path: Path, name: str, harm: str) -> None:
    folder = tmp_path / "tokens"
    cached(folder, ["a"], lambda: data)
    (path,) = folder.glob(f"*/{name}")
    content = path.read_bytes()
    path.unlink()
    if harm != "missing":
        path.write_bytes(content[: len(content) // 2] if harm == "short" else bytes(len(content)))
    again = cached(folder, ["a"], lambda: data)
    assert again is data
    assert cached(folder, ["a"], lambda: pytest.fail("it was written anew")).ids[:99].tolist() == data.ids[:99].tolist()
    assert len(list(folder.iterdir())) == 1
