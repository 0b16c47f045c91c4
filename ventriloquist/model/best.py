"""The checkpoint that did best on held-out messages: found again, made again, and left as `final` at the end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ventriloquist.model.checkpoint import (
    BEST,
    FINAL,
    MANIFEST,
    Description,
    damage,
    keep_newest,
    new_staging,
    newest_sound,
    seal,
    set_aside,
)
from ventriloquist.model.state import OPTIMIZER, PROGRESS, Progress


def find_best(out: Path, step: int) -> Path | None:
    """The folder with the weights of the best step so far, if it is sound: `best`, or that step's own checkpoint."""
    for folder in (out / BEST, out / f"checkpoint-{step}"):
        if folder.is_dir() and damage(folder) is None and Description.read(folder).step == step:
            return folder
    return None


def find_resumable(out: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint from which training ends as if nothing had happened, and what there is to say.

    It is sound, and so are the best weights up to there, or they will be found again: a best step that comes after a
    checkpoint comes again. Checkpoints that cannot be gone on from are set aside.
    """
    warnings: list[str] = []
    if (out / BEST).exists() and (problem := damage(out / BEST)):
        warnings.append(set_aside(out / BEST, problem))
    lost = 0
    while True:
        found, told = newest_sound(out)
        warnings += told
        if found is None:
            return None, warnings
        progress = Progress.read(found)
        lost = lost or _restore_best(out, progress)
        if not lost or progress.step < lost:
            return found, warnings
        unused = found.with_name(f"unused-{found.name}")
        shutil.rmtree(unused, ignore_errors=True)
        found.rename(unused)
        warnings.append(
            f"The best checkpoint, of step {lost:,}, is gone: training goes on from before it, and {found.name} "
            f"was set aside as {unused.name}."
        )


def _restore_best(out: Path, progress: Progress) -> int:
    """Have `best` hold the best weights up to this checkpoint, or those of a later step, which will come again.

    Returns the step whose weights are lost, or 0.
    """
    best = out / BEST
    held = Description.read(best).step if best.is_dir() else 0
    if held == progress.best or held > progress.step:
        return 0
    chosen = find_best(out, progress.best)
    if chosen is None:
        return progress.best
    _seal_copy(chosen, best)
    return 0


def leave_final(out: Path, chosen: Path, progress: Progress) -> None:
    """Seal a checkpoint's weights as `final`, with the whole loss log, and delete what is not needed any more."""
    _seal_copy(chosen, out / FINAL, progress)
    leave_last(out)


def leave_last(out: Path) -> None:
    """Delete what a finished training does not need: all checkpoints but the last."""
    shutil.rmtree(out / BEST, ignore_errors=True)
    keep_newest(out, 1)


def _seal_copy(source: Path, final: Path, progress: Progress | None = None) -> None:
    """Seal another checkpoint with the weights of `source`."""
    staging = new_staging(final.parent)
    for name in json.loads((source / MANIFEST).read_text())["files"]:
        if name not in (OPTIMIZER, PROGRESS):
            (staging / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(source / name, staging / name)
    if progress:
        progress.write(staging)
    seal(staging, final)
