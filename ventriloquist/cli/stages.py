"""The five stages as commands, their flags drawn from the settings."""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from ventriloquist import runs
from ventriloquist.cli.paint import painting
from ventriloquist.faults import UsageFault
from ventriloquist.settings import STAGES, StageSettings
from ventriloquist.workspace import Workspace


def command(name: str) -> click.Command:
    """The command of a stage."""
    settings = STAGES[name]

    @click.pass_obj
    def callback(workspace: Workspace, /, as_json: bool, detach: bool, **given: Any) -> None:
        run_stage(workspace, name, given, as_json=as_json, detach=detach)

    return click.Command(name, params=[*flags(settings), *ways()], callback=callback, help=settings.__doc__)


def ways() -> list[click.Parameter]:
    """The flags that say how a stage is run, which all stages have."""
    return [
        click.Option(["--json", "as_json"], is_flag=True, help="Print the run's events as JSON lines."),
        click.Option(["--detach"], is_flag=True, help="Start in the background, print the run's id, and return."),
    ]


def flags(settings: type[StageSettings]) -> list[click.Parameter]:
    """A flag for each option of a stage; None when not given, so that the other places are asked."""
    return [_flag(name, field) for name, field in settings.options().items()]


def _flag(name: str, field: FieldInfo) -> click.Parameter:
    flag = name.replace("_", "-")
    kind = _kind(field)
    if name == "source":
        return click.Argument(["source"], type=kind, required=False)
    shown = field.description or ""
    default = field.default
    if default not in (None, "") and "default:" not in shown and not isinstance(default, bool):
        shown = f"{shown.rstrip('.')} [default: {default}]."
    if kind is bool:
        return click.Option([f"--{flag}/--no-{flag}", name], default=None, help=shown)
    return click.Option([f"--{flag}", name], type=kind, default=None, help=shown)


def _kind(field: FieldInfo) -> Any:
    annotation: Any = field.annotation
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not type(None))
    if get_origin(annotation) is Literal:
        return click.Choice([str(choice) for choice in get_args(annotation)])
    # Whether a file may be read is for the stage to find out, which can say what to do about it.
    return click.Path(readable=False, path_type=Path) if annotation is Path else annotation


def run_stage(
    workspace: Workspace, name: str, given: Mapping[str, Any], *, as_json: bool = False, detach: bool = False
) -> Mapping[str, Any]:
    """Do a stage here, or start it detached; the same path for `ventriloquist NAME`, the demo and a resumed run."""
    values = {key: _absolute(key, value) for key, value in given.items() if value is not None}
    settings = STAGES[name].load(workspace, **values)
    argv = STAGES[name].argv(**values)
    if detach:
        run_id = runs.start(workspace, name, argv)
        click.echo(run_id)
        click.echo(f"Watch it with: ventriloquist runs watch {run_id}", err=True)
        return {}
    with painting(name, as_json=as_json) as paint:
        makes = runs.perform(name, stage_function(name), settings, workspace, argv, paint)
    if not as_json and sys.stderr.isatty():
        click.echo(f"{name}: done", err=True)
    return makes


def stage_function(name: str) -> Callable[..., Mapping[str, Any]]:
    """The function of a stage, imported now."""
    function: Callable[..., Mapping[str, Any]] = getattr(
        importlib.import_module(f"ventriloquist.pipeline.{name}"), name
    )
    return function


def _absolute(option: str, value: Any) -> Any:
    """Paths as they mean from anywhere, since a run may be resumed from another directory.

    A base or a checkpoint is a path only where it looks like one; `tiny` and other names stay.
    """
    if isinstance(value, Path):
        return _from_home(value).absolute()
    if (option == "base" and value != "tiny") or (option in ("checkpoint", "continue_from") and os.sep in value):
        folder = _from_home(Path(value))
        if any((folder / name).exists() for name in ("config.json", "ventriloquist.json", "final")):
            return str(folder.absolute())
    return value


def _from_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise UsageFault(f"There is no home directory for {path.parts[0]}.") from None
