"""A run: one doing of a stage, kept as a directory of settings, events and output.

`run.json` is written once, `events.jsonl` only grows, `output.log` takes the raw stdout and stderr, and `lock` is
held (`fcntl.lockf`, which forked workers do not inherit) while the process lives. The state of a run is a fold of
its events (`runfold.fold`); nothing else stores progress. One run at a time may change a workspace: it holds
`data/lock`.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from ventriloquist import __version__
from ventriloquist.faults import Exit, Fault, Stopped, UsageFault, from_os_error, unforeseen
from ventriloquist.files import write_whole
from ventriloquist.locks import hold, holder_of, is_locked
from ventriloquist.runevents import TAIL_BYTES, Event, now, read_events, tail
from ventriloquist.runwriting import Run, SilentRun
from ventriloquist.workspace import Workspace

__all__ = [
    "TAIL_BYTES", "Event", "Run", "RunInfo", "find_run", "list_runs", "new_folder", "perform", "read_events", "resume",
    "start", "stop", "tail",
]  # fmt: skip

RUN_VARIABLE = "VENTRILOQUIST_RUN"
WATCHING = "watch"
"""The phase of a run that does nothing but wait for more to do, and holds nobody up."""
RESUMES_VARIABLE = "VENTRILOQUIST_RESUMES"


def is_first_process() -> bool:
    """False in all but one of the processes that a launcher (`accelerate launch`, `torchrun`) started together."""
    return int(os.environ.get("RANK", "0")) == 0


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What `run.json` says of a run, and whether its process lives."""

    id: str
    stage: str
    folder: Path
    started: str
    argv: tuple[str, ...]
    settings: dict[str, Any]
    resumes: str | None
    alive: bool


StageFunction = Callable[[Any, Workspace, Run], Mapping[str, Any]]


def perform(
    stage: str,
    function: StageFunction,
    settings: Any,
    workspace: Workspace,
    argv: Sequence[str],
    paint: Callable[[Event], None] | None = None,
) -> Mapping[str, Any]:
    """Do a stage as a run in this process, and return what it makes.

    Raises the stage's Fault after writing it as the run's end; any other exception becomes a Fault that names
    where it happened and keeps the message text out. stdout and stderr go to the run's `output.log` meanwhile.
    A run whose settings say `shares_workspace` takes the workspace's lock itself, when it changes something.
    """
    workspace.prepare()
    if not is_first_process():
        silent = SilentRun(workspace, stage)
        with _signals(silent):
            return function(settings, workspace, silent)
    try:
        with (
            contextlib.nullcontext() if getattr(settings, "shares_workspace", False) else hold(workspace.lock, stage),
            _folder_for(workspace, stage) as folder,
            hold(folder / "lock", stage),
            _output_to(folder / "output.log"),
        ):
            return _as_run(function, settings, workspace, Run(folder, stage, paint), argv)
    except OSError as error:
        raise from_os_error(error, "starting the run") from None


def _as_run(
    function: StageFunction, settings: Any, workspace: Workspace, run: Run, argv: Sequence[str]
) -> Mapping[str, Any]:
    try:
        with _signals(run):
            # The last of the preparations: whoever sees run.json sees a run that holds its lock and can be stopped.
            _describe(run.folder, run.stage, settings, argv)
            return _guarded(function, settings, workspace, run)
    finally:
        run.close()


def _guarded(function: StageFunction, settings: Any, workspace: Workspace, run: Run) -> Mapping[str, Any]:
    try:
        makes = function(settings, workspace, run)
        run.end("done", Exit.DONE, None, makes)
        return makes
    except KeyboardInterrupt:
        raise _ended(run, "stopped", Stopped("Interrupted; start it again to go on.")) from None
    except Stopped as stop:
        raise _ended(run, "stopped", stop) from None
    except Fault as fault:
        raise _ended(run, "failed", fault) from None
    except OSError as error:
        _log_traceback(error)
        raise _ended(run, "failed", from_os_error(error, f"the {run.stage} run")) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001
        # Whatever a stage did not foresee ends the run as failed; the message may hold private text, so only
        # the kind of error and its place are told.
        _log_traceback(error)
        told = unforeseen(error, f"the {run.stage} run")
        if type(told) is Fault:
            told = Fault(f"{told} See {run.folder / 'output.log'}.")
        raise _ended(run, "failed", told) from None


def _ended(run: Run, status: str, fault: Fault) -> Fault:
    try:
        run.end(status, fault.exit, str(fault), {})
    except OSError:
        sys.stderr.write(f"{fault}\n")  # not even the last event fits on the disk
    return fault


def _log_traceback(error: BaseException) -> None:
    """Frames and the kind of error only: an exception's message can quote what someone wrote."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    sys.stderr.write(f"{frames}{type(error).__name__}\n")


@contextlib.contextmanager
def _folder_for(workspace: Workspace, stage: str) -> Iterator[Path]:
    """The directory that a detached start prepared, or a new one, which goes again if the run cannot begin."""
    given = os.environ.pop(RUN_VARIABLE, "")
    if given and (workspace.runs / given).is_dir() and not (workspace.runs / given / "run.json").exists():
        yield workspace.runs / given
        return
    folder = new_folder(workspace, stage)
    try:
        yield folder
    finally:
        if not (folder / "run.json").exists():
            shutil.rmtree(folder, ignore_errors=True)


def new_folder(workspace: Workspace, stage: str) -> Path:
    """Make `data/runs/<MMDD-HHMMSS>-<stage>/`; runs of the same second get a number."""
    name = f"{datetime.now():%m%d-%H%M%S}-{stage}"
    for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
        folder = workspace.runs / (name + suffix)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise from_os_error(error, "starting the run") from error
        return folder
    raise Fault("Too many runs were started in one second.")


def _describe(folder: Path, stage: str, settings: Any, argv: Sequence[str]) -> None:
    description = {
        "stage": stage,
        "argv": list(argv),
        "settings": settings.public() if hasattr(settings, "public") else {},
        "version": __version__,
        "host": platform.node(),
        "started": now(),
        "resumes": os.environ.pop(RESUMES_VARIABLE, None),
    }
    try:
        write_whole(folder / "run.json", json.dumps(description, indent=1) + "\n")
    except OSError as error:
        raise from_os_error(error, "starting the run") from error


@contextlib.contextmanager
def _output_to(log: Path) -> Iterator[None]:
    """Send file descriptors 1 and 2 of this process to `log`, and put them back."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        os.close(saved[0])
        os.close(saved[1])


@contextlib.contextmanager
def _signals(run: Run) -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP asks the stage to save and end; a second SIGINT ends it at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        if run.stopping and number == signal.SIGINT:
            raise KeyboardInterrupt
        run.stopping = True

    try:
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    except ValueError:  # not the main thread: nobody can signal us
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start(workspace: Workspace, stage: str, argv: Sequence[str], resumes: str | None = None) -> str:
    """Start `ventriloquist ARGV` detached from this terminal and return its run's id.

    Raises the fault that the child met before it became a run (a wrong setting, a busy workspace).
    """
    workspace.prepare()
    if is_locked(workspace.lock):
        with hold(workspace.lock, stage):
            pass
    folder = new_folder(workspace, stage)
    environment = dict(os.environ, **{RUN_VARIABLE: folder.name})
    if resumes:
        environment[RESUMES_VARIABLE] = resumes
    command = [sys.executable, "-P", "-m", "ventriloquist", "--workspace", str(workspace.root), *argv]
    with (folder / "output.log").open("ab") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
        )
    while not (folder / "run.json").exists():
        if child.poll() is not None and not (folder / "run.json").exists():
            raise _fault_of(child.returncode, folder)
        time.sleep(0.02)
    return folder.name


def _fault_of(code: int, folder: Path) -> Fault:
    lines = (folder / "output.log").read_text(errors="replace").strip().splitlines()
    for leftover in folder.iterdir():
        leftover.unlink()
    folder.rmdir()
    fault = Fault(lines[-1].removeprefix("Error: ") if lines else "The run ended before it began.")
    fault.exit = Exit(code) if code in set(Exit) else Exit.FAILED
    return fault


def list_runs(workspace: Workspace) -> list[RunInfo]:
    """All runs of the workspace, oldest first."""
    if not workspace.runs.is_dir():
        return []
    found = [info for folder in workspace.runs.iterdir() if (info := _info(folder)) is not None]
    return sorted(found, key=lambda info: (info.started, info.id))


def find_run(workspace: Workspace, run_id: str) -> RunInfo:
    """The run of that id, or the only one whose id holds it; raises UsageFault."""
    runs = list_runs(workspace)
    matches = [run for run in runs if run.id == run_id] or [run for run in runs if run_id and run_id in run.id]
    if len(matches) != 1:
        problem = "No run is" if not matches else "Several runs are"
        raise UsageFault(f"{problem} called {run_id!r}; see: ventriloquist runs list.")
    return matches[0]


def _info(folder: Path) -> RunInfo | None:
    try:
        description = json.loads((folder / "run.json").read_text())
        return RunInfo(
            id=folder.name,
            stage=description["stage"],
            folder=folder,
            started=description["started"],
            argv=tuple(description["argv"]),
            settings=description["settings"],
            resumes=description.get("resumes"),
            alive=is_locked(folder / "lock"),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a directory that is no run, or was killed before its description was written


def stop(run: RunInfo) -> None:
    """Ask a living run to save and end (SIGTERM to its process group, or to it alone if it leads none)."""
    if not is_locked(run.folder / "lock"):
        raise UsageFault(f"{run.id} is not running.")
    process = holder_of(run.folder / "lock").get("pid")
    if not isinstance(process, int):
        raise UsageFault(f"{run.id} has just ended.")
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(process) == process:
            os.killpg(process, signal.SIGTERM)
        else:
            os.kill(process, signal.SIGTERM)


def resume(workspace: Workspace, run: RunInfo) -> str:
    """Start the same command again, detached; every stage goes on from what stands."""
    if run.alive:
        raise UsageFault(f"{run.id} is still running; watch it with: ventriloquist runs watch {run.id}.")
    argv = [word for word in run.argv if word != "--fresh"]  # what it had begun anew is what it goes on with
    return start(workspace, run.stage, argv, resumes=run.id)
