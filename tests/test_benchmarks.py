"""The benchmarks of training: they run, they say what they shall, and the recipe is what it claims to be."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
import torch

from benchmarks import choices, gpu_contenders, gpu_training, recipe, training
from benchmarks.corpus import Corpus
from benchmarks.curves import Curve, Judge, Point, meetings, spaced
from benchmarks.gpu_contenders import SHAPES, Timed
from benchmarks.trial import Shape, Trial
from ventriloquist.faults import Exit
from ventriloquist.model.state import trained
from ventriloquist.windows.lines import split_lines

CPU = torch.device("cpu")
SMALL = Shape(32, 1, 512)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial.new(Corpus(tmp_path_factory.mktemp("trial"), 600), SMALL, 12, seed=3)


def test_rows_have_the_shape_of_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert training.main(["--json", "--quick", "--parts", "speed,padding"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(row) for row in rows] == [
        ["what", "ours", "theirs", "unit", "ratio", "goal", "rounds", "spread"] for _ in rows
    ]
    whole, adapter, tokens, *waste = rows
    assert whole["ratio"] > 1 and adapter["ratio"] > 1 and tokens["ratio"] > 10
    assert waste and all(row["ours"] <= training.PADDING_GOAL for row in waste)
    assert all("too small to judge" in row["what"] for row in rows)


def test_the_recipe_learns_the_last_message_of_each_window_alone(trial: Trial) -> None:
    single = trial.single
    assert {window.targets for window in single} == {1}
    for window, sample in zip(single[:40], recipe.samples(_tokens(trial, 40)), strict=True):
        lines = split_lines(window.text)
        assert len(lines) == 51  # the header and fifty messages
        learnt = [token for token in sample["labels"] if token != recipe.IGNORED]
        assert learnt == trial.tokenizer(lines[-1], add_special_tokens=False)["input_ids"]
        assert sample["labels"][-len(learnt) :] == learnt


def test_the_recipe_with_gathered_logits_learns_the_same(trial: Trial) -> None:
    """What the curves use to save time must not change a weight."""
    learnt = []
    for gathered in (False, True):
        model = trial.model()
        done, _ = recipe.train(
            model, trial.tokenizer, trial.samples(16), batch=8, learning_rate=6e-3, gathered=gathered, seed=1
        )
        assert (done.state.global_step, done.targets) == (2, 16)
        learnt.append(trained(model))
    for name, weights in learnt[0].items():
        assert torch.allclose(weights, learnt[1][name], atol=1e-6), name


def test_both_sides_begin_with_the_same_weights_and_no_held_out_message_is_learnt(trial: Trial) -> None:
    first, second = trained(trial.model()), trained(trial.model())
    assert all(torch.equal(first[name], second[name]) for name in first)
    adapter = trial.settings(base="known", lora_r=4)
    one, other = trained(trial.model(adapter)), trained(trial.model(adapter))
    assert all(torch.equal(one[name], other[name]) for name in one)
    said = {"".join(split_lines(text)[-3:]) for text in trial.corpus.held_out(12)}
    assert len(said) == len(trial.held_out.data) == 12
    learnt = "".join(window.text for window in [*trial.single, *trial.corpus.dense()])
    assert not any(words in learnt for words in said)


def test_tokens_are_interpolated_between_points() -> None:
    ours = Curve("ours", [Point(100, 1, 8, 4.0, 4.5), Point(200, 2, 16, 3.0, 3.5), Point(400, 3, 24, 2.0, 2.5)])
    assert ours.tokens_to(3.0) == pytest.approx(200)
    assert ours.tokens_to(2.5) == pytest.approx(math.sqrt(200 * 400))
    assert ours.tokens_to(5.0) == 100  # it was there before it was first judged
    assert ours.tokens_to(1.9) is None
    losses = {900: 5, 1500: 3.5, 2000: 3, 4000: 1}
    theirs = Curve("theirs", [Point(tokens, 1, 1, loss, loss + 0.5) for tokens, loss in losses.items()])
    assert [(met.loss, met.theirs) for met in meetings(ours, theirs)] == [(3.5, 1500), (3, 2000), (1, 4000)]
    assert [round(met.ratio, 2) for met in meetings(ours, theirs)] == [10.61, 10, 0]
    assert [met.ours for met in meetings(ours, theirs, "text")] == [met.ours for met in meetings(ours, theirs)]


def test_a_model_is_judged_at_the_counts_that_were_asked_for(trial: Trial) -> None:
    judge = Judge("ours", trial.model(), trial.held_out, spaced(100, 400, 2))
    assert [judge(tokens, 1, 1) for tokens in (50, 100, 150, 420)] == [False, False, False, True]
    assert [point.tokens for point in judge.curve.points] == [100, 420]
    untrained = math.log(len(trial.tokenizer))
    assert all(abs(point.loss - untrained) < 0.5 for point in judge.curve.points)


def test_choices_tell_what_each_came_to(trial: Trial) -> None:
    rows = list(choices.whole(trial, [choices.Choice(24, 21), choices.Choice(64, 56, 2)], 4000, 12))
    assert [(row.size, row.stride, row.windows) for row in rows] == [(24, 21, 1), (64, 56, 2)]
    for row in rows:
        assert 3000 < row.tokens < 6000
        assert abs(row.loss - math.log(len(trial.tokenizer))) < 0.5  # so few steps learn little
        assert "CPU seconds" in choices.told(row)


def test_without_a_gpu_the_gpu_benchmark_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_training.main([]) == Exit.NO_INPUT
    said = capsys.readouterr()
    assert not said.out and said.err.count("\n") == 1


@pytest.mark.parametrize("checkpointed", [False, True])
def test_gpu_contenders_run_on_toy_shapes(checkpointed: bool) -> None:
    shape = SHAPES["toy"]
    ours = gpu_contenders.ours(shape, CPU, 1, 2, checkpointed=checkpointed)
    plain = gpu_contenders.trainer(shape, CPU, 1, 2, checkpointed=checkpointed)
    for timed in (ours, plain):
        assert timed.seconds > 0 and timed.checkpointed is checkpointed
        assert 0.88 * shape.window <= timed.tokens / timed.windows <= shape.window
        assert 0.8 < timed.targets / timed.tokens < 0.9


def test_model_flops_are_counted_from_the_model_that_is_trained() -> None:
    shape = SHAPES["toy"]
    model = gpu_contenders.model_of(shape, CPU)
    linear = sum(module.weight.numel() for module in model.model.modules() if isinstance(module, torch.nn.Linear))
    assert gpu_training.body_weights(shape) == linear
    head = model.lm_head.weight.numel()
    assert gpu_training.useful(shape, Timed(4, 1000, 300, 1.0, 0.0, False)) == 4 * (linear * 1000 + head * 300)
    assert 6.9e9 < gpu_training.body_weights(SHAPES["8b"]) < 7.0e9


def test_what_was_measured_on_a_gpu_is_compared() -> None:
    course = gpu_training.Course("8b", "cuda", 5, 20)
    timed = {"ours": (2.0, 80.0), "ours-checkpointed": (2.6, 40.0), "trainer": (4.0, 90.0), "unsloth": (3.0, 45.0)}
    for name, (seconds, gigabytes) in timed.items():
        course.found[name] = [Timed(80, 160_000, 140_000, seconds, gigabytes, name != "ours")] * 3
    rows = gpu_training.results_of(course, 989)
    assert [row.ratio for row in rows[:3]] == [2.0, 1.15, 0.89]  # against Unsloth, what takes no more memory
    assert [row.met for row in rows[:3]] == [True, False, True]
    used = gpu_training.useful(course.shape, course.found["ours"][0]) / 2.0
    assert rows[3].ours == pytest.approx(100 * used / 989e12, abs=0.1)
    del course.found["unsloth"], course.found["ours"]
    (row,) = gpu_training.results_of(course, None)
    assert row.ratio == 1.54 and "computed twice" in row.what


def test_the_picture_is_drawn_from_the_curves(tmp_path: Path) -> None:
    ours = Curve("ours & <co>", [Point(20_000 * 2**n, n, n, 5 - n, 6 - n) for n in range(4)])
    drawn = _docs_curves().draw([ours.as_json()], "A title")
    root = ElementTree.fromstring(drawn)
    assert [element.text for element in root.iter() if element.text and "&" in element.text] == ["ours & <co>"]
    assert len([element for element in root.iter() if element.tag.endswith("circle")]) == 4


def _tokens(trial: Trial, count: int) -> object:
    from benchmarks.trial import tokens_of

    return tokens_of(trial.tokenizer, trial.single[:count])


def _docs_curves() -> ModuleType:
    path = Path(__file__).parent.parent / "docs" / "curves.py"
    spec = importlib.util.spec_from_file_location("docs_curves", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
