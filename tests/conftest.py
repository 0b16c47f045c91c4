"""What many tests share: the sample history, and a workspace in which it was collected, cut and learnt."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from ventriloquist import demo
from ventriloquist.settings import STAGES
from ventriloquist.workspace import Workspace

settings.register_profile("project", deadline=None, max_examples=60)
settings.load_profile("project")

os.environ["HF_HUB_OFFLINE"] = "1"
for name in ("MY_NAME", "USER_IDENTIFIERS", "GEMINI_API_KEY", "GOOGLE_API_KEY", "VENTRILOQUIST_WORKSPACE"):
    os.environ.pop(name, None)

SMALL = {"tiny_hidden": 64, "tiny_layers": 2, "tiny_vocab": 1024, "max_steps": 12, "threads": 1}


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> demo.Sample:
    """The sample history, small. Nobody may write to it."""
    return demo.write(tmp_path_factory.mktemp("sample") / "history", messages=300)


@pytest.fixture(scope="session")
def learnt(tmp_path_factory: pytest.TempPathFactory, sample: demo.Sample) -> Workspace:
    """A workspace with every stage done by the real code, on the small sample. Nobody may write to it."""
    workspace = Workspace(tmp_path_factory.mktemp("learnt"))
    do("collect", workspace, db=sample.chat_db, region="US")
    do("describe", workspace)
    do("preprocess", workspace, size=24, stride=20)
    do("train", workspace, **SMALL)
    do("evaluate", workspace, limit=8, threads=1)
    return workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path / "work").prepare()


@pytest.fixture
def copy_of_learnt(learnt: Workspace, tmp_path: Path) -> Workspace:
    """`learnt`, to be changed freely."""
    shutil.copytree(learnt.root, tmp_path / "copy")
    return Workspace(tmp_path / "copy")


def do(stage: str, workspace: Workspace, paint: Callable[[Any], None] | None = None, **given: Any) -> dict[str, Any]:
    """Do a stage in this process, as its command does."""
    from ventriloquist.cli.stages import stage_function
    from ventriloquist.runs import perform

    settings = STAGES[stage].load(workspace, **given)
    argv = STAGES[stage].argv(**given)
    return dict(perform(stage, stage_function(stage), settings, workspace, argv, paint))
