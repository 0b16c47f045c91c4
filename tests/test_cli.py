"""The commands through the installed script: what goes to stdout, what to stderr, and the exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.commands import SCRIPT, command, until, ventriloquist
from tests.conftest import SMALL, do
from ventriloquist import demo
from ventriloquist.cli import COMMANDS
from ventriloquist.faults import Exit
from ventriloquist.runs import find_run, list_runs, read_events, start
from ventriloquist.settings import PIPELINE
from ventriloquist.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
TRACEBACK = "Traceback (most recent call last)"
MESSAGE_KEYS = [
    "guid", "source", "conversation", "chat", "kind", "sender", "sender_handle", "is_from_me", "sent_at", "text",
    "reply_to", "reaction", "attachments", "edited", "unsent", "service",
]  # fmt: skip
LEDGER_KEYS = [
    "source_rows", "kept", "dropped", "years", "attachments", "newest_message", "source_changed", "warnings",
    "collects",
]  # fmt: skip


@pytest.fixture
def collected(workspace: Workspace, sample: demo.Sample) -> Workspace:
    do("collect", workspace, db=sample.chat_db, region="US")
    return workspace


def objects(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


# --- help -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), ["runs", "list"], ["runs", "watch"],
                                   ["runs", "stop"], ["runs", "resume"], ["people", "list"]])  # fmt: skip
def test_help(words: list[str], tmp_path: Path) -> None:
    told = ventriloquist(tmp_path / "nowhere", *words, "--help")
    assert told.returncode == 0 and told.stderr == "" and told.stdout.startswith("Usage: ventriloquist")
    assert re.search(r"^Options:\n +-", told.stdout, re.MULTILINE)
    assert not (tmp_path / "nowhere").exists()


def test_every_command_stands_in_the_help_and_in_the_documents() -> None:
    told = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, check=True).stdout
    readme = (ROOT / "README.md").read_text()
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", told, re.MULTILINE), name
        assert re.search(rf"ventriloquist {name}\b|`{name}\b", readme), f"README.md says nothing of {name}"


def test_version() -> None:
    from ventriloquist import __version__

    for argv in (
        [SCRIPT, "--version"],
        ["python", "-m", "ventriloquist", "--version"],
        ["python", "main.py", "--version"],
    ):
        environment = dict(os.environ, PATH=f"{Path(SCRIPT).parent}:{os.environ['PATH']}")
        said = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT, env=environment).stdout
        assert said.split() == ["ventriloquist,", "version", __version__]


# --- wrong requests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"], ["--nonsense"], ["runs", "nonsense"], ["runs", "watch"], ["status", "extra"],
        ["messages", "--json"],
        ["train", "--base"], ["runs", "watch", "nothing"], ["runs", "stop", ""], ["runs", "resume", "x"],
        ["people", "x"],
        ["collect", "whatsapp"], ["collect", "--region", "12"], ["preprocess", "--size", "many"], [],
        ["preprocess", "--size", "1"], ["train", "--name", "../up"], ["demo", "--messages", "1"],
        ["chat", "--top-p", "2"],
        *([stage, "--no-such-option"] for stage in ("collect", "train", "chat", "doctor")),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_request_is_exit_2_and_a_sentence(tmp_path: Path, words: list[str]) -> None:
    told = ventriloquist(tmp_path / "new", *words)
    assert told.returncode == Exit.USAGE and told.stdout == "" and TRACEBACK not in told.stderr
    assert told.stderr.splitlines()[-1].startswith("Error: ")
    assert not (tmp_path / "new" / "data" / "runs").exists() or not any((tmp_path / "new" / "data" / "runs").iterdir())


def test_without_a_terminal_there_is_no_app(tmp_path: Path) -> None:
    told = ventriloquist(tmp_path)
    assert told.returncode == Exit.USAGE and "needs a terminal" in told.stderr and "--help" in told.stderr
    assert list(tmp_path.iterdir()) == []


# --- stages -----------------------------------------------------------------------------------------------------


def test_a_stage_talks_on_stderr_or_prints_its_events(workspace: Workspace, sample: demo.Sample) -> None:
    quiet = ventriloquist(workspace, "collect", "imessage", "--db", sample.chat_db)
    assert quiet.returncode == 0 and quiet.stdout == "" and "collect: read messages" in quiet.stderr
    events = objects((told := ventriloquist(workspace, "collect", "--db", sample.chat_db, "--json")).stdout)
    assert told.stderr == "" and [event["kind"] for event in events][:: len(events) - 1] == ["phase", "end"]
    assert events == read_events(list_runs(workspace)[-1].folder)
    assert events[-1]["makes"]["source_rows"] == sample.message_rows
    failed = ventriloquist(workspace, "train", "--json")
    end = objects(failed.stdout)[-1]
    assert (failed.returncode, end["exit"], end["status"]) == (Exit.NO_INPUT, Exit.NO_INPUT, "failed")
    assert failed.stderr == f"Error: {end['error']}\n"


def test_settings_of_a_run_come_from_all_places(collected: Workspace) -> None:
    collected.settings_file.write_text("[preprocess]\nsize = 20\nstride = 10\nmin_messages = 3\n")
    collected.env_file.write_text("VENTRILOQUIST_PREPROCESS_STRIDE=11\nVENTRILOQUIST_PREPROCESS_MIN_MESSAGES=4\n")
    env = {"VENTRILOQUIST_PREPROCESS_MIN_MESSAGES": "5", "VENTRILOQUIST_PREPROCESS_HOLDOUT": "0.1"}
    assert ventriloquist(collected, "preprocess", "--holdout", "0.2", env=env).returncode == 0
    run = list_runs(collected)[-1]
    wanted = {"size": 20, "stride": 11, "min_messages": 5, "holdout": 0.2}
    assert {name: run.settings[name] for name in wanted} == wanted
    assert list(run.argv) == ["preprocess", "--holdout", "0.2"]


def test_the_workspace_may_come_from_the_environment_or_be_here(collected: Workspace, tmp_path: Path) -> None:
    for given in ({"env": {"VENTRILOQUIST_WORKSPACE": str(collected.root)}}, {"cwd": collected.root}):
        settled = dict(os.environ, **given.get("env", {}))  # type: ignore[dict-item]
        told = subprocess.run([SCRIPT, "status"], capture_output=True, text=True, check=True, env=settled,
                              cwd=given.get("cwd", tmp_path))  # type: ignore[arg-type] # fmt: skip
        assert str(collected.root) in told.stdout and "messages, " in told.stdout


# --- detached runs ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_detached_run_outlives_its_parent(workspace: Workspace, learnt: Workspace) -> None:
    do("collect", workspace, db=list_runs(learnt)[0].settings["db"])
    do("preprocess", workspace, size=24, stride=20)
    options = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    argv = command(workspace, "train", *options, "--max-steps", 100_000, "--save-steps", 50_000, "--detach")
    parent = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    said, talk = parent.communicate(timeout=60)
    run_id = said.removesuffix("\n")
    assert parent.returncode == 0 and "\n" not in run_id and f"runs watch {run_id}" in talk
    run = find_run(workspace, run_id)
    process = json.loads((run.folder / "lock").read_text())["pid"]
    assert run.alive and run.id == run_id and os.getsid(process) == process not in (parent.pid, os.getsid(0))
    until(lambda: [e for e in read_events(run.folder) if e["kind"] == "metric"], "the first step")
    (listed,) = [
        each for each in objects(ventriloquist(workspace, "runs", "list", "--json").stdout) if each["id"] == run_id
    ]
    assert (listed["status"], listed["stage"], listed["error"]) == ("running", "train", None)
    (stage,) = [
        s for s in objects(ventriloquist(workspace, "status", "--json").stdout)[0]["stages"] if s["name"] == "train"
    ]
    assert stage["state"] == "running" and stage["next"] == f"ventriloquist runs watch {run_id}"
    assert ventriloquist(workspace, "runs", "resume", run_id).returncode == Exit.USAGE
    stopped = ventriloquist(workspace, "runs", "stop", run_id)
    assert (stopped.returncode, stopped.stdout) == (0, "") and run_id in stopped.stderr
    watched = ventriloquist(workspace, "runs", "watch", run_id, "--json")
    events = [event for event in objects(watched.stdout) if event["kind"] != "exchange"]
    assert watched.returncode == Exit.STOPPED and events == read_events(run.folder)
    assert ventriloquist(workspace, "runs", "stop", run_id).returncode == Exit.USAGE
    saved = sorted(path.name for path in workspace.checkpoints.glob("*/checkpoint-*"))
    assert saved, "a stopped training saves what it has"
    again = ventriloquist(workspace, "runs", "resume", run_id)
    second = find_run(workspace, again.stdout.strip())
    assert again.returncode == 0 and second.resumes == run_id

    def learnt() -> list[int]:
        return [e["step"] for e in read_events(second.folder) if e["kind"] == "metric" and "loss" in e["values"]]

    until(learnt, "the first step after it")
    first_step = learnt()[0]
    assert first_step == int(saved[-1].removeprefix("checkpoint-")) + 1
    assert ventriloquist(workspace, "runs", "stop", second.id).returncode == 0
    assert ventriloquist(workspace, "runs", "watch", second.id).returncode == Exit.STOPPED


def test_watching_a_run_that_is_over(workspace: Workspace, sample: demo.Sample) -> None:
    run_id = start(workspace, "collect", ["collect", "--db", str(sample.chat_db)])
    watched = ventriloquist(workspace, "runs", "watch", run_id)
    assert (watched.returncode, watched.stdout) == (0, "") and watched.stderr.endswith(f"{run_id}: done\n")
    failed = start(workspace, "collect", ["collect", "--db", str(workspace.root / "nothing.db")])
    watched = ventriloquist(workspace, "runs", "watch", failed)
    assert watched.returncode == Exit.NO_INPUT and "There is no Messages history" in watched.stderr
    listed = ventriloquist(workspace, "runs", "list")
    assert [line.split()[1] for line in listed.stdout.splitlines()] == ["done", "failed"] and listed.stderr == ""


def test_no_runs_yet(workspace: Workspace) -> None:
    assert ventriloquist(workspace, "runs", "list", "--json").stdout == ""
    told = ventriloquist(workspace, "runs", "list")
    assert (told.returncode, told.stdout) == (0, "") and "ventriloquist collect" in told.stderr


# --- what other programs read -----------------------------------------------------------------------------------


def test_status_json_of_nothing_and_of_everything(workspace: Workspace, learnt: Workspace, sample: demo.Sample) -> None:
    for each, state in ((workspace, None), (learnt, "done")):
        (found,) = objects(ventriloquist(each, "status", "--json").stdout)
        assert list(found) == ["stages", "ledger"] and [stage["name"] for stage in found["stages"]] == list(PIPELINE)
        for stage in found["stages"]:
            assert list(stage) == ["name", "state", "makes", "when", "missing", "next"]
            assert state is None or (stage["state"], stage["missing"]) == (state, None), stage
            assert stage["next"].startswith("ventriloquist ")
        ledger = found["ledger"]
        assert list(ledger) == LEDGER_KEYS
        assert sum(ledger["kept"].values()) + sum(ledger["dropped"].values()) == ledger["source_rows"]
    assert ledger["source_rows"] == sample.message_rows


def test_status_of_a_workspace_that_is_not_there_makes_nothing(tmp_path: Path) -> None:
    told = ventriloquist(tmp_path / "nowhere", "status")
    assert told.returncode == 0 and told.stdout.endswith("Next: ventriloquist collect\n")
    assert list(tmp_path.iterdir()) == []


def test_messages_have_these_keys_in_this_order(learnt: Workspace, sample: demo.Sample) -> None:
    told = ventriloquist(learnt, "messages", "--jsonl")
    found = objects(told.stdout)
    (status,) = objects(ventriloquist(learnt, "status", "--json").stdout)
    assert told.stderr == "" and len(found) == sum(status["ledger"]["kept"].values())
    assert all(list(each) == MESSAGE_KEYS for each in found)
    times = [each["sent_at"] for each in found]
    assert times == sorted(times) and all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", each) for each in times
    )
    assert ventriloquist(learnt, "messages").stdout == told.stdout
    people = {each["name"] for each in objects(ventriloquist(learnt, "people", "list", "--json").stdout)}
    assert {each["sender"] for each in found} <= people


def test_chat_json(copy_of_learnt: Workspace) -> None:
    learnt = copy_of_learnt
    names = [
        each["name"] for each in objects(ventriloquist(learnt, "people", "list", "--json").stdout) if not each["is_me"]
    ]
    commands = f"/set temperature 0.5\n/target {names[1]}\n/continue 2\n/nonsense\n"
    lines = f"hey\n\n{names[0]}: I am {names[0]}\n{commands}bye\n/quit\nlost"
    told = ventriloquist(learnt, "chat", "--json", "--seed", 1, "--max-messages", 2, "--max-tokens", 24, "--threads", 1,
                         "--target", names[0], stdin=lines)  # fmt: skip
    said = objects(told.stdout)
    assert told.returncode == 0 and TRACEBACK not in told.stderr and "no command /nonsense" in told.stderr
    assert all(list(each) == ["name", "delta", "reply_to", "content_type", "text"] for each in said)
    assert 4 <= len(said) <= 8 and {each["name"] for each in said} <= {names[0], names[1]}
    assert said[0]["name"] == names[0] and said[-1]["name"] == names[1]


def test_chat_that_fails_says_so(learnt: Workspace, workspace: Workspace) -> None:
    told = ventriloquist(workspace, "chat", "--json", stdin="hey\n")
    assert (told.returncode, told.stdout) == (Exit.NO_INPUT, "") and "ventriloquist train" in told.stderr
    strict = {"PYTHONIOENCODING": "utf-8:strict"}
    told = subprocess.run(command(learnt, "chat", "--json"), input=b"\xff\xfe\n", capture_output=True, check=False,
                          env=dict(os.environ, **strict))  # fmt: skip
    assert told.returncode == Exit.NO_INPUT and b"not UTF-8" in told.stderr


# --- pipes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["messages"], ["people", "list", "--json"], ["status", "--json"], ["runs", "list"],
                                   ["preprocess", "--json"]], ids=" ".join)  # fmt: skip
def test_a_reader_that_leaves_early_is_no_error(collected: Workspace, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    told = subprocess.run(command(collected, *words), stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writing)
    assert (told.returncode, told.stderr) == (0, b"")
    assert [read_events(run.folder)[-1]["status"] for run in list_runs(collected)].count("done") == len(
        list_runs(collected)
    )


def test_messages_into_head(learnt: Workspace) -> None:
    line = " ".join(command(learnt, "messages"))
    told = subprocess.run(f"{line} | head -n 1", shell=True, capture_output=True, text=True, check=True)
    assert told.stderr == "" and list(json.loads(told.stdout)) == MESSAGE_KEYS


@pytest.mark.parametrize("words", [["messages"], ["status"], ["preprocess", "--json"]], ids=" ".join)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_an_error(collected: Workspace, words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(command(collected, *words), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert told.returncode == Exit.FAILED and told.stderr.startswith("Error: The disk is full")
    assert told.stderr.count("\n") == 1
    assert all(read_events(run.folder)[-1]["status"] == "done" for run in list_runs(collected))


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_streams_that_are_closed_from_the_start(collected: Workspace, closed: tuple[int, ...]) -> None:
    ends = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    line = " ".join(command(collected, "preprocess"))
    told = subprocess.run(f"{line} {ends}", shell=True, capture_output=True, text=True, check=False)
    assert told.returncode == 0 and TRACEBACK not in told.stderr + told.stdout
    assert read_events(list_runs(collected)[-1].folder)[-1]["status"] == "done"


# --- nothing that a workspace may hold makes a traceback --------------------------------------------------------


DAMAGED = {
    "data/training_windows.json": (["status"], ["evaluate"]),
    "data/training_windows.jsonl": (["train"], ["evaluate"]),
    "data/messages.db": (["status"], ["messages"], ["preprocess"]),
    "data/runs": (["status"], ["runs", "list"], ["preprocess"]),
    "checkpoints": (["status"], ["chat"]),
}


@pytest.mark.parametrize("content", [b"", b'{"a": 1}\n', b"\xff\xfe\x00", "folder"])
@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_a_sentence(collected: Workspace, name: str, content: Any) -> None:
    do("preprocess", collected)
    path = collected.root / name
    if path.is_dir():
        path.rename(path.with_name("aside"))
    path.unlink(missing_ok=True)
    path.mkdir() if content == "folder" else path.write_bytes(content)
    codes = set()
    for words in DAMAGED[name]:
        told = ventriloquist(collected, *words)
        assert TRACEBACK not in told.stderr and "output.log" not in told.stderr, told.stderr
        assert told.returncode in (0, 1, 3) and told.stderr.count("Error: ") == (told.returncode != 0)
        codes.add(told.returncode)
    assert codes != {0} or (name == "data/runs" and content == "folder")
