"""Runs: events and their fold, how a run ends, who holds the workspace, detached starts, secrets."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.commands import stage_process, until, ventriloquist
from tests.conftest import do
from ventriloquist import demo, locks
from ventriloquist.faults import Busy, DiskFull, Exit, Fault, NoInput, Stopped, UsageFault
from ventriloquist.runfold import RunState, fold, read_state, status_of
from ventriloquist.runs import (
    TAIL_BYTES,
    Run,
    find_run,
    list_runs,
    new_folder,
    perform,
    read_events,
    resume,
    start,
    stop,
    tail,
)
from ventriloquist.workspace import Workspace

CANARY = "purple elephants at midnight"


def at(seconds: float, kind: str, **fields: Any) -> dict[str, Any]:
    return {"t": f"2026-01-01T00:{int(seconds) // 60:02}:{seconds % 60:06.3f}+00:00", "kind": kind, **fields}


def done(workspace: Workspace, function: Any, stage: str = "train") -> Any:
    return perform(stage, function, None, workspace, [stage])


def only_state(workspace: Workspace) -> tuple[RunState, str]:
    (run,) = list_runs(workspace)
    return read_state(run)


# --- events and their fold --------------------------------------------------------------------------------------


def test_the_fold_of_a_whole_run() -> None:
    state = fold(
        [
            at(0, "phase", name="read"),
            at(1, "progress", done=100, total=1000, unit="rows"),
            at(3, "progress", done=500, total=1000, unit="rows"),
            at(4, "metric", step=1, values={"loss": 2.5}),
            at(5, "metric", step=2, values={"loss": 2.0, "validation": 2.25}),
            at(6, "note", level="warning", text="mind the gap"),
        ]
    )
    assert (state.phase, state.done, state.total, state.unit, state.fraction) == ("read", 500, 1000, "rows", 0.5)
    assert state.rate == pytest.approx(80.0)  # 400 rows in the 5 s since the first word of progress
    assert state.eta == pytest.approx(500 / 80)
    assert [value for _, value in state.points("loss")] == [2.5, 2.0] and state.newest["validation"][1] == 2.25
    assert state.notes == [("warning", "mind the gap")] and state.seconds == pytest.approx(6.0)
    assert status_of(state, alive=True) == "running" and status_of(state, alive=False) == "lost"
    state.add(at(7, "phase", name="write"))
    assert (state.done, state.total, state.fraction, state.rate, state.eta) == (0, None, None, None, None)
    state.add(at(8, "end", status="done", exit=0, error=None, makes={"steps": 2}))
    assert (state.end, state.exit, state.makes, state.eta) == ("done", 0, {"steps": 2}, None)
    assert status_of(state, alive=True) == "done"


def test_what_a_newer_version_wrote_is_let_pass() -> None:
    state = fold(
        [
            at(0, "phase", name="read", colour="blue"),
            at(1, "weather", rain=True),
            at(2, "progress", done=1, total=None, unit="rows", of="x"),
        ]
    )
    assert (state.phase, state.done, state.total, state.latest - state.started) == ("read", 1, None, 2.0)


NONSENSE = (
    b"5\n", b"[]\n", b"null\n", b'"x"\n', b"{}\n", b'{"t": "x", "kind": "phase", "name": "y"}\n', b"\n", b"\xff\xfe\n",
    b'{"t": "2026-01-01T00:00:00+00:00", "kind": "end"}\n', b'{"t": "2026-01-01T00:00:00+00:00", "kind": 5}\n',
    b'{"kind": "progress", "done": 1, "total": 2, "unit": "rows"}\n', b'{"t": 1, "kind": "note"}\n',
    b'{"t": "2026-01-01T00:00:00+00:00", "kind": "progress", "done": "1", "total": 2, "unit": "rows"}\n',
    b'{"t": "2026-01-01T00:00:00+00:00", "kind": "metric", "step": 1, "values": [1]}\n',
    b'{"t": "2026-01-01T00:00', b"",
)  # fmt: skip


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_damaged_lines_cost_themselves_only(workspace: Workspace, nonsense: bytes) -> None:
    def stage(settings: Any, workspace: Workspace, run: Run) -> dict[str, Any]:
        run.phase("one")
        with (run.folder / "events.jsonl").open("ab") as file:
            file.write(nonsense if nonsense.endswith(b"\n") else nonsense + b"\n")
        run.phase("two")
        return {"made": 1}

    done(workspace, stage)
    state, status = only_state(workspace)
    assert (state.phase, state.makes, status) == ("two", {"made": 1}, "done")
    (run,) = list_runs(workspace)
    with (run.folder / "events.jsonl").open("ab") as file:
        file.write(nonsense)
    assert only_state(workspace)[0].makes == {"made": 1}
    shown = ventriloquist(workspace, "runs", "list", "--json") if nonsense in NONSENSE[:2] else None
    assert shown is None or (shown.returncode, json.loads(shown.stdout)["status"]) == (0, "done")


def test_a_line_cut_short_by_a_full_disk_is_ended_before_the_next(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may write a part of a line and refuse the rest; the run's end must not be glued to that part."""
    run = Run(new_folder(workspace, "train"), "train")
    write, calls = os.write, 0

    def full_for_a_moment(descriptor: int, content: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left on device")
        return write(descriptor, content[:20] if calls == 1 else content)

    with monkeypatch.context() as patch:
        patch.setattr("ventriloquist.runs.os.write", full_for_a_moment)
        with pytest.raises(OSError, match="No space"):
            run.note("this one is torn")
        run.end("failed", 1, "The disk is full.", {})
    assert [event["kind"] for event in read_events(run.folder)] == ["end"]
    run.close()


def test_tail_gives_whole_lines_in_pieces(tmp_path: Path) -> None:
    events = [at(n % 60, "note", level="info", text="é漢😂" * random.Random(n).randrange(60)) for n in range(2000)]
    lines = [json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events]
    content, path = b"".join(lines), tmp_path / "events.jsonl"
    assert tail(tmp_path) == ([], 0)  # not yet there
    path.write_bytes(content)
    found: list[Any] = []
    offset, pieces = 0, 0
    while True:
        more, after = tail(tmp_path, offset)
        if after == offset:
            break
        assert after - offset <= TAIL_BYTES == 64 * 1024
        assert content[:after].endswith(b"\n")
        found, offset, pieces = found + more, after, pieces + 1
    assert found == events and offset == len(content) and pieces >= len(content) // TAIL_BYTES
    for cut in (len(content) - 1, len(content) - len(lines[-1]) + 1, len(content) - len(lines[-1])):
        path.write_bytes(content[:cut])
        assert tail(tmp_path, len(content) - len(lines[-1])) == ([], len(content) - len(lines[-1]))
    path.write_bytes(content)
    assert tail(tmp_path, len(content) - len(lines[-1])) == ([events[-1]], len(content))


def test_a_line_longer_than_a_piece_still_comes_whole(tmp_path: Path) -> None:
    long = at(1, "note", level="info", text="x" * 300_000)
    (tmp_path / "events.jsonl").write_text(json.dumps(long) + "\n" + json.dumps(at(2, "phase", name="p")) + "\n")
    first, offset = tail(tmp_path)
    assert first[0] == long
    assert first[1:] + tail(tmp_path, offset)[0] == [at(2, "phase", name="p")]


def test_a_reader_never_sees_half_an_event(workspace: Workspace) -> None:
    body = """
for n in range(3000):
    run.metric(n, loss=1.0 / (n + 1))
return {}
"""
    child = stage_process(workspace, body)
    until(lambda: list_runs(workspace), "the run")
    (run,) = list_runs(workspace)
    steps: list[int] = []
    offset = 0
    while child.poll() is None or tail(run.folder, offset)[1] > offset:
        events, offset = tail(run.folder, offset)
        steps += [event["step"] for event in events if event["kind"] == "metric"]
    assert child.communicate()[1] == "" and steps == list(range(3000))


def test_progress_is_written_now_and_then_and_at_the_end(workspace: Workspace) -> None:
    def stage(settings: Any, workspace: Workspace, run: Run) -> dict[str, Any]:
        run.phase("count")
        for n in range(100_000):
            run.progress(n, 200_000, "rows")
        run.phase("next")
        return {}

    done(workspace, stage)
    (run,) = list_runs(workspace)
    told = [event["done"] for event in read_events(run.folder) if event["kind"] == "progress"]
    assert told[-1] == 99_999 and len(told) < 200


# --- how a run ends ---------------------------------------------------------------------------------------------


def test_done_and_all_that_was_printed_is_in_the_log(workspace: Workspace) -> None:
    body = """
print("a library talks")
os.write(2, b"a C library warns" + bytes([10]))
os.system("echo a child speaks")
run.note("to be seen")
return {"made": "x"}
"""
    child = stage_process(workspace, body)
    assert child.communicate() == ("", "") and child.returncode == 0
    (run,) = list_runs(workspace)
    log = (run.folder / "output.log").read_text()
    assert {"a library talks", "a C library warns", "a child speaks"} == set(log.splitlines())
    state, status = only_state(workspace)
    assert (status, state.exit, state.error, run.alive) == ("done", 0, None, False)
    assert state.makes == {"made": "x"} and not locks.is_locked(workspace.lock)


def test_standard_streams_come_back_after_a_run(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    done(workspace, lambda *_: os.write(1, b"into the log") and {})
    os.write(1, b"after")
    assert capfd.readouterr() == ("after", "")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault("It broke."), "failed"),
        (NoInput("It is not there."), "failed"),
        (DiskFull("No room."), "failed"),
        (Stopped("Enough."), "stopped"),
    ],
)
def test_a_fault_is_the_runs_end(workspace: Workspace, fault: Fault, status: str) -> None:
    def stage(settings: Any, workspace: Workspace, run: Run) -> dict[str, Any]:
        raise fault

    with pytest.raises(type(fault)) as caught:
        done(workspace, stage)
    state, found = only_state(workspace)
    assert (found, state.error, state.exit) == (status, str(fault), fault.exit) and str(caught.value) == str(fault)


@pytest.mark.parametrize(
    "raised",
    [
        f"ValueError({CANARY!r})",
        f"KeyError({CANARY!r})",
        f"SystemExit({CANARY!r})",
        f"UnicodeEncodeError('utf-8', {CANARY!r}, 0, 1, 'reason')",
    ],
)
def test_what_nobody_foresaw_tells_no_message_text(workspace: Workspace, raised: str) -> None:
    body = f"secret = {CANARY!r}\nraise {raised}"
    child = stage_process(workspace, body)
    said, complained = child.communicate()
    state, status = only_state(workspace)
    kind = raised.partition("(")[0]
    assert (child.returncode, status) == (Exit.FAILED, "failed")
    assert kind in str(state.error) and "output.log" in str(state.error) and complained == state.error
    (run,) = list_runs(workspace)
    log = (run.folder / "output.log").read_text()
    assert kind in log and "File" in log  # where it happened is kept, for a report of the mistake
    for text in (said, complained, *(path.read_text() for path in run.folder.iterdir())):
        assert CANARY not in text


def test_an_error_of_the_disk_names_itself(workspace: Workspace) -> None:
    def stage(settings: Any, workspace: Workspace, run: Run) -> dict[str, Any]:
        raise OSError(28, "No space left on device")

    with pytest.raises(DiskFull, match=r"^The disk is full: .*Free some space"):
        done(workspace, stage)
    assert only_state(workspace)[1] == "failed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_at_the_next_word(workspace: Workspace, number: signal.Signals) -> None:
    body = """
run.phase("count")
for n in range(10**9):
    run.progress(n, None, "rows")
    time.sleep(0.005)
"""
    child = stage_process(workspace, body)
    until(lambda: any(read_events(run.folder) for run in list_runs(workspace)), "the first event")
    child.send_signal(number)
    said = child.communicate(timeout=60)
    assert (child.returncode, said[0]) == (Exit.STOPPED, "") and said[1].startswith("Stopped; ")
    state, status = only_state(workspace)
    assert (status, state.exit) == ("stopped", Exit.STOPPED) and not locks.is_locked(workspace.lock)


def test_a_second_interrupt_ends_it_at_once(workspace: Workspace) -> None:
    body = """
run.phase("deaf")
end = time.monotonic() + 100
while time.monotonic() < end:
    time.sleep(0.01)
return {}
"""
    child = stage_process(workspace, body)
    until(lambda: any(read_events(run.folder) for run in list_runs(workspace)), "the first event")
    child.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert child.poll() is None, "the first interrupt only asks"
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert (child.returncode, only_state(workspace)[1]) == (Exit.STOPPED, "stopped")


def test_killed_is_lost_and_frees_the_workspace(workspace: Workspace) -> None:
    child = stage_process(workspace, "run.phase('wait')\ntime.sleep(100)")
    until(lambda: any(read_events(run.folder) for run in list_runs(workspace)), "the first event")
    (run,) = list_runs(workspace)
    assert run.alive and read_state(run)[1] == "running"
    with pytest.raises(Busy):
        done(workspace, lambda *_: {})
    child.kill()
    child.communicate()
    assert only_state(workspace)[1] == "lost"
    watched = ventriloquist(workspace, "runs", "watch", run.id)
    assert watched.returncode == Exit.FAILED and f"runs resume {run.id}" in watched.stderr
    assert done(workspace, lambda *_: {"made": 1}) == {"made": 1}


# --- locks ------------------------------------------------------------------------------------------------------


def test_a_lock_holds_against_this_process_and_others(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    ask = [sys.executable, "-c", "import sys; from pathlib import Path; from ventriloquist.locks import *\n"
           "print(is_locked(Path(sys.argv[1])), holder_of(Path(sys.argv[1])).get('pid'))", str(path)]  # fmt: skip
    assert not locks.is_locked(path) and locks.holder_of(path) == {}
    with locks.hold(path, "train"):
        assert locks.is_locked(path) and locks.holder_of(path) == {"pid": os.getpid(), "what": "train"}
        with pytest.raises(Busy, match=rf"train \(process {os.getpid()}\)"), locks.hold(path, "collect"):
            pass
        assert locks.is_locked(path), "asking must not let go of it"
        said = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
        assert said == f"True {os.getpid()}\n"
    assert not locks.is_locked(path) and path.exists()
    with locks.hold(path, "again"):
        assert locks.is_locked(path)


def test_a_worker_forked_while_it_is_held_does_not_keep_it(workspace: Workspace) -> None:
    body = """
if os.fork() == 0:
    os.dup2(os.open(os.devnull, os.O_RDWR), 1); os.dup2(1, 2)
    time.sleep(30)
    os._exit(0)
run.note(str(os.getpid()))
time.sleep(100)
"""
    child = stage_process(workspace, body, start_new_session=True, stdout=None, stderr=None)
    until(lambda: any(read_events(run.folder) for run in list_runs(workspace)), "the first event")
    child.kill()
    child.wait()
    try:
        assert not locks.is_locked(workspace.lock)
    finally:
        os.killpg(child.pid, signal.SIGKILL)


def test_asking_for_a_lock_never_turns_anyone_away(tmp_path: Path) -> None:
    """Readers look at a run's lock all the time; to look must not be to hold it for a moment."""
    path = tmp_path / "lock"
    path.touch()
    look = "import sys; from pathlib import Path; from ventriloquist.locks import is_locked\n" \
           "print(flush=True)\nwhile True: is_locked(Path(sys.argv[1]))"  # fmt: skip
    reader = subprocess.Popen([sys.executable, "-c", look, str(path)], stdout=subprocess.PIPE)
    try:
        assert reader.stdout is not None and reader.stdout.readline()
        for _ in range(5000):
            with locks.hold(path, "train"):
                pass
    finally:
        reader.kill()
        reader.communicate()


def test_of_two_that_race_one_wins(workspace: Workspace) -> None:
    """Twenty pairs that start on a signal: in each, one run goes on and the other is told who holds the workspace."""
    for _ in range(20):
        pair = []
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                _race(workspace)
            pair.append(pid)
        codes = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pair)
        assert codes == [Exit.DONE, Exit.BUSY]
    assert [read_state(run)[1] for run in list_runs(workspace)] == ["done"] * 20


def _race(workspace: Workspace) -> None:
    """Exit with 0 for the winner, which goes on until the other has lost, and with 4 for one that was told properly."""
    code, lost = 99, workspace.root / "lost"

    def hold_on(*_: Any) -> dict[str, Any]:
        until(lost.exists, "the other to lose")
        lost.unlink()
        return {}

    try:
        done(workspace, hold_on)
        code = 0
    except Busy as busy:
        code = 4 if "train (process " in str(busy) and "runs stop" in str(busy) else 98
        lost.touch()
    finally:
        os._exit(code)


def test_the_loser_is_told_in_one_sentence(workspace: Workspace, sample: demo.Sample) -> None:
    holder = stage_process(workspace, "run.phase('wait')\ntime.sleep(100)")
    until(lambda: any(run.alive for run in list_runs(workspace)), "the first run")
    for words in (
        ("collect", "--db", sample.chat_db),
        ("preprocess",),
        ("collect", "--db", sample.chat_db, "--detach"),
    ):
        second = ventriloquist(workspace, *words)
        assert second.returncode == Exit.BUSY and second.stdout == ""
        assert second.stderr.count("\n") == 1 and f"train (process {holder.pid})" in second.stderr
    assert len(list_runs(workspace)) == 1 and len(list(workspace.runs.iterdir())) == 1
    readers = [ventriloquist(workspace, "runs", "list"), ventriloquist(workspace, "status", "--json")]
    assert [each.returncode for each in readers] == [0, 0]
    holder.kill()
    holder.communicate()


# --- starting, stopping, resuming -------------------------------------------------------------------------------


def test_runs_of_one_second_have_ids_of_their_own(workspace: Workspace) -> None:
    folders = [new_folder(workspace, "train") for _ in range(30)]
    assert len({folder.name for folder in folders}) == 30
    assert all(folder.is_dir() and folder.stat().st_mode & 0o777 == 0o700 for folder in folders)
    assert list_runs(workspace) == []  # folders without a run.json are no runs


def test_a_damaged_description_is_no_run(workspace: Workspace) -> None:
    done(workspace, lambda *_: {})
    (run,) = list_runs(workspace)
    for content in ("", "{", "[]", "{}", '{"stage": "train"}', "\xff"):
        folder = new_folder(workspace, "train")
        (folder / "run.json").write_text(content, encoding="latin-1")
    assert [each.id for each in list_runs(workspace)] == [run.id]


def test_find_run(workspace: Workspace) -> None:
    for stage in ("collect", "train"):
        done(workspace, lambda *_: {}, stage)
    collected = list_runs(workspace)[0]
    assert find_run(workspace, collected.id) == find_run(workspace, "collect") == collected
    for wanted, problem in (("nothing", "No run"), ("", "No run"), (collected.id[:5], "Several runs")):
        with pytest.raises(UsageFault, match=f"{problem}.*runs list"):
            find_run(workspace, wanted)


def test_detached_start_and_resume(workspace: Workspace, sample: demo.Sample) -> None:
    argv = ["collect", "--db", str(sample.chat_db), "--region", "US"]
    run_id = start(workspace, "collect", argv)
    until(lambda: not find_run(workspace, run_id).alive, "the run's end")
    run = find_run(workspace, run_id)
    state, status = read_state(run)
    assert (status, run.stage, list(run.argv)) == ("done", "collect", argv)
    assert run.settings["db"] == str(sample.chat_db) and state.makes["source_rows"] == sample.message_rows
    again = resume(workspace, run)
    until(lambda: not find_run(workspace, again).alive, "the second run's end")
    assert again != run_id and find_run(workspace, again).resumes == run_id
    assert read_state(find_run(workspace, again))[1] == "done"


def test_files_of_the_current_directory_are_never_run(
    workspace: Workspace, sample: demo.Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json.py", "ventriloquist.py", "sqlite3.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'was run')!r}, 'w').close()\nraise SystemExit(1)\n")
    monkeypatch.chdir(tmp_path)
    run_id = start(workspace, "collect", ["collect", "--db", str(sample.chat_db)])
    until(lambda: not find_run(workspace, run_id).alive, "the run's end")
    assert read_state(find_run(workspace, run_id))[1] == "done" and not (tmp_path / "was run").exists()


def test_a_detached_start_that_fails_early_tells_its_fault_and_leaves_nothing(workspace: Workspace) -> None:
    with pytest.raises(Fault, match="size") as caught:
        start(workspace, "preprocess", ["preprocess", "--size", "1"])
    assert caught.value.exit == Exit.USAGE and list(workspace.runs.iterdir()) == []


@pytest.mark.parametrize("leads_a_group", [True, False])
def test_stop_asks_and_refuses_what_does_not_run(workspace: Workspace, leads_a_group: bool) -> None:
    loop = "while True:\n    run.check()\n    time.sleep(0.01)"
    child = stage_process(workspace, loop, start_new_session=leads_a_group)
    until(lambda: any(run.alive for run in list_runs(workspace)), "the run")
    (run,) = list_runs(workspace)
    with pytest.raises(UsageFault, match="still running"):
        resume(workspace, run)
    stop(run)
    child.communicate(timeout=60)
    assert (child.returncode, only_state(workspace)[1]) == (Exit.STOPPED, "stopped")
    with pytest.raises(UsageFault, match="is not running"):
        stop(run)


# --- secrets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["environment", ".env", "toml"])
def test_a_key_is_written_nowhere(workspace: Workspace, sample: demo.Sample, place: str) -> None:
    key = "AIza-canary-of-a-key-0123456789"
    do("collect", workspace, db=sample.chat_db)
    own = {
        workspace.env_file: f"GEMINI_API_KEY={key}\n",
        workspace.settings_file: f'[describe]\ngemini_api_key = "{key}"\n',
    }
    if place != "environment":
        path = workspace.env_file if place == ".env" else workspace.settings_file
        path.write_text(own[path])
    env = {"GEMINI_API_KEY": key} if place == "environment" else {}
    for words in (("describe", "--json"), ("status", "--json")):
        result = ventriloquist(workspace, *words, env=env)
        assert result.returncode == 0 and key not in result.stdout + result.stderr
    wrong = ventriloquist(workspace, "describe", "--concurrency", "0", env=env)
    assert wrong.returncode == Exit.USAGE and key not in wrong.stderr
    dry = ventriloquist(workspace, "describe", "--dry-run", env=env)
    assert "No key" not in dry.stderr + dry.stdout
    for path in workspace.root.rglob("*"):
        if path.is_file() and path not in own:
            assert key.encode() not in path.read_bytes(), path.name


def test_a_key_is_in_no_command_line(
    workspace: Workspace, sample: demo.Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "AIza-canary-of-a-key-0123456789"
    monkeypatch.setenv("GEMINI_API_KEY", key)
    seen: set[bytes] = set()
    started = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ventriloquist",
            "--workspace",
            workspace.root,
            "collect",
            "--db",
            sample.chat_db,
            "--detach",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while started.poll() is None or any(run.alive for run in list_runs(workspace)):
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(process.read_bytes())
            except OSError:
                continue
    started.communicate()
    ours = [line for line in seen if str(workspace.root).encode() in line]
    if Path("/proc/self/cmdline").exists():
        assert any(b"collect" in line for line in ours)
    assert not any(key.encode() in line for line in seen)
