"""Numbers that `--report-to` sends elsewhere: numbers and nothing else, and a sentence where that is not installed."""

from __future__ import annotations

import importlib.util
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import do
from tests.trainings import LORA, TINY, make_base, stop_at, with_windows
from ventriloquist.faults import Fault, UsageFault
from ventriloquist.workspace import Workspace


@pytest.fixture
def workspace_(learnt: Workspace, tmp_path: Path) -> Workspace:
    """Windows, and nothing learnt."""
    return with_windows(learnt, tmp_path / "w")


@pytest.fixture
def base(workspace_: Workspace, tmp_path: Path) -> str:
    return str(make_base(workspace_, tmp_path / "base"))


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "trackio"])
def test_a_sink_that_is_not_installed_is_named(workspace_: Workspace, name: str) -> None:
    if importlib.util.find_spec(name):
        pytest.skip(f"{name} is installed here")
    with pytest.raises(UsageFault) as told:
        do("train", workspace_, report_to=name, **TINY)
    assert str(told.value).count(". ") == 1 and f"ventriloquist[{name}]" in str(told.value)
    assert not list(workspace_.checkpoints.glob("*"))


class FakeTracker:
    """Stands where accelerate keeps its trackers; remembers what it was given."""

    made: list[FakeTracker]

    def __init__(self, run_name: str, **given: Any) -> None:
        self.name, self.given = run_name, given
        self.settings: dict[str, Any] = {}
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.started = self.finished = False
        self.made.append(self)

    def start(self) -> None:
        self.started = True

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        assert self.started
        self.settings = values

    def log(self, values: dict[str, float], step: int) -> None:
        assert self.started and not self.finished
        self.logged.append((step, values))

    def finish(self) -> None:
        self.finished = True


@pytest.fixture(params=["wandb", "tensorboard", "trackio"])
def tracked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A place for numbers, as if it were installed."""
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    name: str = request.param
    package = tmp_path / "installed" / name
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(FakeTracker, "made", [], raising=False)
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, name, FakeTracker)
    yield name


def test_numbers_and_nothing_else_are_sent(workspace_: Workspace, base: str, tracked: str) -> None:
    given = {**LORA, "max_steps": 4, "validate_steps": 2, "base": base, "limit": 0}
    with pytest.raises(Fault):
        do("train", workspace_, report_to=tracked, paint=stop_at(3, signal.SIGTERM), **given)
    do("train", workspace_, report_to=tracked, **given)
    first, second = FakeTracker.made
    for tracker in (first, second):
        assert tracker.finished
        assert all(isinstance(value, float | int) for _, values in tracker.logged for value in values.values())
        assert base not in repr(vars(tracker)) and "Theo" not in repr(vars(tracker))
        place = tracker.given.get("logging_dir")
        assert place == workspace_.checkpoints / "run" / "numbers" if tracked == "tensorboard" else place is None
        assert tracker.settings.get("r") == (None if tracked == "tensorboard" else 4)
    steps = [step for tracker in (first, second) for step, values in tracker.logged if "loss" in values]
    assert steps == [1, 2, 3, 4]
    held_out = [step for tracker in (first, second) for step, values in tracker.logged if "validation_loss" in values]
    assert held_out == [2, 4]
