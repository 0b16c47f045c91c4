"""Where a training's numbers may go besides the run: nowhere, unless `--report-to` names a place."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ventriloquist.faults import UsageFault

PROJECT = "ventriloquist"
_NUMBERS_ONLY = {
    "console": "off", "disable_code": True, "disable_git": True, "host": "training", "x_disable_machine_info": True,
    "x_disable_meta": True, "x_save_requirements": False,
}  # fmt: skip
"""Settings of wandb, which by itself also sends the command line, folders, the host's name and what is printed."""

Sink = Callable[[int, dict[str, float]], None]


def need_sink(name: str) -> None:
    """Raise UsageFault when what `--report-to` names is not installed."""
    if name != "none" and importlib.util.find_spec(name) is None:
        raise UsageFault(f"--report-to {name} needs {name}. Install it with: pip install 'ventriloquist[{name}]'")


@contextmanager
def open_sink(name: str, run_name: str, settings: dict[str, Any], folder: Path) -> Iterator[Sink | None]:
    """What takes the numbers of a step, or None. Sent are numbers and settings, never text."""
    if name == "none":
        yield None
        return
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    PartialState()
    tracker_class = LOGGER_TYPE_TO_CLASS[name]
    if name == "tensorboard":
        tracker = tracker_class(run_name, logging_dir=folder)
    elif name == "wandb":
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tracker = tracker_class(PROJECT, name=run_name, dir=str(folder), settings=_NUMBERS_ONLY)
    else:
        tracker = tracker_class(PROJECT, name=run_name)
    tracker.start()
    if name != "tensorboard":
        tracker.store_init_configuration(settings)
    try:
        yield lambda step, values: tracker.log(values, step=step)
    finally:
        tracker.finish()
