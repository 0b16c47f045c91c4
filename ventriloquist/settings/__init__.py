"""The options of every stage, each declared once (see `merging`)."""

from __future__ import annotations

from ventriloquist.settings.merging import MAIN, StageSettings
from ventriloquist.settings.stages import (
    ChatSettings,
    CollectSettings,
    DescribeSettings,
    EvaluateSettings,
    PreprocessSettings,
)
from ventriloquist.settings.training import TrainSettings

__all__ = [
    "MAIN", "PIPELINE", "STAGES", "ChatSettings", "CollectSettings", "DescribeSettings", "EvaluateSettings",
    "PreprocessSettings", "StageSettings", "TrainSettings",
]  # fmt: skip

STAGES: dict[str, type[StageSettings]] = {
    settings.stage: settings
    for settings in (
        CollectSettings,
        DescribeSettings,
        PreprocessSettings,
        TrainSettings,
        EvaluateSettings,
        ChatSettings,
    )
}
PIPELINE = ("collect", "describe", "preprocess", "train", "evaluate")
"""The five stages in their order."""
