"""Getting a base: only what is needed, every byte verified, broken off and gone on with, one commit for good."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import OfflineModeIsEnabled

from tests.basing import ID, NEEDED, biggest, environment, get, notes, own_cache, point_at, published, shards
from tests.commands import command, until, ventriloquist
from tests.conftest import do
from tests.fake_hub import FakeHub, commit, digest, serving
from tests.test_imports import loaded_by
from ventriloquist.faults import Exit, Fault, NoInput, Stopped
from ventriloquist.model import fetch as fetching
from ventriloquist.model import hub, remote
from ventriloquist.model.base import find_base
from ventriloquist.model.blobs import PARTIAL
from ventriloquist.runs import list_runs, read_events
from ventriloquist.workspace import Workspace


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return published(tmp_path_factory.mktemp("published"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return own_cache(tmp_path / "hf", monkeypatch)


@pytest.fixture
def fake(files: dict[str, bytes], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with serving(ID, dict(files)) as served:
        point_at(served.url, monkeypatch)
        yield served


def test_only_what_is_needed_is_fetched_verified_and_pinned(
    fake: FakeHub, files: dict[str, bytes], cache: Path, workspace: Workspace
) -> None:
    assert len(shards(files)) >= 3
    makes = get(workspace)
    snapshot = cache / "snapshots" / commit(1)
    assert {path.name for path in snapshot.iterdir()} == NEEDED | shards(files)
    assert fake.files_asked() == NEEDED | shards(files)
    for name in NEEDED | shards(files):
        assert (snapshot / name).read_bytes() == files[name]
        assert (snapshot / name).resolve() == (cache / "blobs" / digest(files[name])).resolve()
    assert not list(cache.rglob(f"*{PARTIAL}"))
    assert (cache / "refs" / "main").read_text() == commit(1)
    pins = json.loads(workspace.bases.read_text())
    assert pins[ID]["revision"] == makes["revision"] == commit(1) == hub.pinned(workspace, ID)
    assert pins[ID]["license"] == "apache-2.0"
    assert pins[ID]["bytes"] == sum(len(files[name]) for name in NEEDED | shards(files))
    assert workspace.bases.stat().st_mode & 0o777 == 0o600
    assert hub.base_folder(ID) == snapshot == Path(makes["folder"])


def test_what_was_fetched_is_found_by_every_other_program(fake: FakeHub, cache: Path, workspace: Workspace) -> None:
    get(workspace)
    found = huggingface_hub.try_to_load_from_cache(ID, "config.json", cache_dir=cache.parent)
    assert isinstance(found, str) and Path(found) == cache / "snapshots" / commit(1) / "config.json"
    assert find_base(ID, hub.pinned(workspace, ID)).described["revision"] == commit(1)
    scanned = huggingface_hub.scan_cache_dir(cache.parent)
    (repo,) = scanned.repos
    assert repo.repo_id == ID and not scanned.warnings
    assert find_base(ID).shape.hidden == 96


def test_progress_is_told_in_bytes_and_adds_up(fake: FakeHub, workspace: Workspace) -> None:
    fake.rate = 900_000
    makes = get(workspace)
    events = read_events(list_runs(workspace)[-1].folder)
    steps = [event for event in events if event["kind"] == "progress"]
    assert len(steps) > 3 and {step["unit"] for step in steps} == {"bytes"}
    assert [step["done"] for step in steps] == sorted(step["done"] for step in steps)
    assert steps[-1]["done"] == steps[-1]["total"] == makes["bytes"]


def test_a_second_fetch_sends_for_nothing_and_verifies_everything(fake: FakeHub, workspace: Workspace) -> None:
    get(workspace)
    fake.asked.clear()
    get(workspace)
    assert fake.files_asked() == set()
    assert "verify what is here" in [e.get("name") for e in read_events(list_runs(workspace)[-1].folder)]


def test_a_damaged_file_is_noticed_and_fetched_again(
    fake: FakeHub, files: dict[str, bytes], cache: Path, workspace: Workspace
) -> None:
    get(workspace)
    name = sorted(shards(files))[0]
    blob = cache / "blobs" / digest(files[name])
    blob.write_bytes(files[name][:-1] + b"?")
    fake.asked.clear()
    get(workspace)
    assert blob.read_bytes() == files[name] and fake.files_asked() == {name}
    assert f"{name} was damaged, and is fetched again." in notes(workspace)


def test_the_same_commit_is_used_when_main_has_moved(
    fake: FakeHub, files: dict[str, bytes], cache: Path, workspace: Workspace, tmp_path: Path
) -> None:
    get(workspace)
    newer = json.loads(files["config.json"]) | {"rope_theta": 77}
    fake.commits[commit(2)] = fake.commits[commit(1)] | {"config.json": json.dumps(newer).encode()}
    fake.refs["main"] = commit(2)
    other = Workspace(tmp_path / "other").prepare()
    fake.asked.clear()
    get(other)
    assert fake.files_asked() == {"config.json"}  # all else is the same, and here
    assert hub.pinned(workspace, ID) == commit(1) and hub.pinned(other, ID) == commit(2)
    assert hub.commit_of(ID, "main") == commit(2)
    first, second = (hub.base_folder(ID, hub.pinned(each, ID)) for each in (workspace, other))
    assert hub.fingerprint(first) != hub.fingerprint(second)
    assert hub.read_config(first) == json.loads(files["config.json"])
    get(workspace, commit(1))
    assert hub.pinned(workspace, ID) == commit(1) and hub.commit_of(ID, "main") == commit(2)


# --- broken off, and gone on with -------------------------------------------------------------------------------


def broken_off(fake: FakeHub, cache: Path, workspace: Workspace, by: signal.Signals) -> tuple[int, int]:
    """Send a signal to a slow fetch once it has got some bytes; how many it held in parts, and its exit code."""
    fake.rate = 60_000
    child = subprocess.Popen(
        command(workspace, "base", "fetch", ID, "--yes"), env=environment(fake), stderr=subprocess.DEVNULL
    )

    def held() -> int:
        return sum(path.stat().st_size for path in cache.rglob(f"*{PARTIAL}"))

    before = held()
    until(lambda: held() > before + 60_000 or child.poll() is not None, "the first bytes")
    child.send_signal(by)
    code = child.wait(60)
    fake.rate = 0
    return held(), code


def still_to_send(files: dict[str, bytes], cache: Path) -> int:
    """How many bytes are not here, neither in whole files nor in parts."""
    here = sum(path.stat().st_size for path in cache.glob("blobs/*"))
    return sum(len(files[name]) for name in NEEDED | shards(files)) - here


def sent(fake: FakeHub) -> int:
    return sum(each.sent for each in fake.asked if "/api/" not in each.path)


def test_a_killed_fetch_goes_on_where_it_was(
    fake: FakeHub, files: dict[str, bytes], cache: Path, workspace: Workspace
) -> None:
    for _ in range(3):
        held, code = broken_off(fake, cache, workspace, signal.SIGKILL)
        assert code == -signal.SIGKILL and held > 0
    expected = still_to_send(files, cache)
    fake.asked.clear()
    done = ventriloquist(workspace, "base", "fetch", ID, "--yes", env=environment(fake))
    assert done.returncode == Exit.DONE, done.stderr
    assert any(each.range for each in fake.asked) and sent(fake) == expected
    for name in shards(files):
        assert (hub.base_folder(ID) / name).read_bytes() == files[name]


def test_a_stopped_fetch_says_so_and_is_resumed(
    fake: FakeHub, files: dict[str, bytes], cache: Path, workspace: Workspace
) -> None:
    held, code = broken_off(fake, cache, workspace, signal.SIGTERM)
    assert code == Exit.STOPPED and held > 0
    run = list_runs(workspace)[-1]
    assert read_events(run.folder)[-1]["status"] == "stopped" and hub.pinned(workspace, ID) is None
    expected = still_to_send(files, cache)
    fake.asked.clear()
    resumed = ventriloquist(workspace, "runs", "resume", run.id, env=environment(fake))
    watched = ventriloquist(workspace, "runs", "watch", resumed.stdout.split()[0], env=environment(fake))
    assert watched.returncode == Exit.DONE, watched.stderr
    assert hub.pinned(workspace, ID) == commit(1) and sent(fake) == expected


def test_a_connection_that_breaks_is_taken_up_again(
    fake: FakeHub, files: dict[str, bytes], workspace: Workspace
) -> None:
    fake.cuts = [0, 5000, 17, 100_000, 1, 60_000]
    get(workspace)
    assert not fake.cuts and any(each.range == "bytes=5000-" for each in fake.asked)
    for name in shards(files):
        assert fake.sent(name) == len(files[name])
        assert (hub.base_folder(ID) / name).read_bytes() == files[name]


def test_a_server_that_cannot_continue_sends_from_the_beginning(
    fake: FakeHub, files: dict[str, bytes], workspace: Workspace
) -> None:
    fake.ranges, fake.cuts = False, [100_000, 50_000]
    makes = get(workspace)
    assert all((hub.base_folder(ID) / name).read_bytes() == files[name] for name in shards(files))
    steps = [event for event in read_events(list_runs(workspace)[-1].folder) if event["kind"] == "progress"]
    assert steps[-1]["done"] == steps[-1]["total"] == makes["bytes"]


def test_a_server_that_is_busy_is_asked_again(fake: FakeHub, files: dict[str, bytes], workspace: Workspace) -> None:
    later: list[tuple[int, dict[str, str]]] = [(429, {"Retry-After": "0"}), (503, {}), (500, {}), (302, {})]
    name = biggest(files)
    fake.codes = {f"/resolve/{commit(1)}/{name}": later[:3]}
    with pytest.raises(Fault, match=r"broke off again and again .answer 500.*start again to go on"):
        get(workspace)
    assert len([each for each in fake.asked if each.path.endswith(name)]) == fetching.TRIES
    fake.codes = {}
    get(workspace)
    assert (hub.base_folder(ID) / name).read_bytes() == files[name]


def test_a_partial_file_that_is_longer_or_damaged_begins_anew(
    fake: FakeHub, files: dict[str, bytes], cache: Path, workspace: Workspace
) -> None:
    long, damaged = sorted(shards(files))[:2]
    (cache / "blobs").mkdir(parents=True)
    (cache / "blobs" / f"{digest(files[long])}{PARTIAL}").write_bytes(files[long] + b"more")
    (cache / "blobs" / f"{digest(files[damaged])}{PARTIAL}").write_bytes(bytes(len(files[damaged]) // 2))
    (cache / "blobs" / f"{'a' * 64}{PARTIAL}").write_bytes(b"of an older commit")
    get(workspace)
    assert all((hub.base_folder(ID) / name).read_bytes() == files[name] for name in (long, damaged))
    assert not list(cache.rglob(f"*{PARTIAL}"))


def test_two_files_of_one_content_are_fetched_once(
    fake: FakeHub, files: dict[str, bytes], workspace: Workspace
) -> None:
    first, second = sorted(shards(files))[:2]
    fake.commits[commit(1)] |= {second: files[first], "NOTICE": files["LICENSE"], "USE_POLICY.md": b""}
    makes = get(workspace)
    snapshot = hub.base_folder(ID)
    assert (snapshot / second).read_bytes() == files[first] and (snapshot / "USE_POLICY.md").read_bytes() == b""
    assert (snapshot / "NOTICE").read_bytes() == files["LICENSE"]
    assert fake.sent(first) + fake.sent(second) == len(files[first])
    steps = [event for event in read_events(list_runs(workspace)[-1].folder) if event["kind"] == "progress"]
    assert steps[-1]["done"] == steps[-1]["total"] == makes["bytes"]


# --- found again ------------------------------------------------------------------------------------------------


def test_a_base_in_part_is_told_from_one_that_is_not_here(
    fake: FakeHub, files: dict[str, bytes], cache: Path, workspace: Workspace
) -> None:
    with pytest.raises(NoInput, match=f"not on this machine.*ventriloquist base fetch {ID}"):
        hub.base_folder(ID)
    get(workspace)
    with pytest.raises(NoInput, match=f"not on this machine.*base fetch {ID} --revision {commit(3)}"):
        hub.base_folder(ID, commit(3))
    (cache / "blobs" / digest(files[biggest(files)])).unlink()
    with pytest.raises(NoInput, match=f"only in part .{biggest(files)} is missing"):
        hub.base_folder(ID)


def test_pins_that_cannot_be_read_and_pins_that_lead_out(workspace: Workspace) -> None:
    assert hub.pins(workspace) == {}
    workspace.bases.write_text(json.dumps({"../x": {"revision": commit(1)}, ID: {"revision": "../../x"}, "a/b": 3}))
    assert hub.pins(workspace) == {}
    workspace.bases.write_text("{")
    with pytest.raises(NoInput, match="cannot be read"):
        hub.pinned(workspace, ID)


def test_the_list_tells_presets_and_what_is_here(fake: FakeHub, files: dict[str, bytes], workspace: Workspace) -> None:
    get(workspace)
    listed = ventriloquist(workspace, "base", "list", "--json", env=environment(fake))
    found = {each["id"]: each for each in map(json.loads, listed.stdout.splitlines())}
    ours, eight = found[ID], found["Qwen/Qwen3-8B-Base"]
    assert ours["here"] and ours["revision"] == commit(1) and not ours["preset"] and ours["license"] == "apache-2.0"
    assert ours["bytes"] == sum(len(files[name]) for name in NEEDED | shards(files))
    assert eight["preset"] and not eight["here"] and eight["revision"] is None
    assert eight["parameters"] == 8_190_735_360
    assert eight["memory"]["least"] < eight["memory"]["less"] < eight["memory"]["fast"]
    shown = ventriloquist(workspace, "base", "list", env=environment(fake))
    assert f"* {ID}" in shown.stdout and max(map(len, shown.stdout.splitlines())) <= 80
    unpinned = ventriloquist(workspace.root / "other", "base", "list", env=environment(fake))
    assert f"+ {ID}" in unpinned.stdout


def test_listing_loads_no_model_library(tmp_path: Path) -> None:
    words = ["ventriloquist", "--workspace", str(tmp_path), "base", "list"]
    loaded = loaded_by(f"sys.argv = {words}\nfrom ventriloquist.cli import main\nmain()")
    assert "click" in loaded and not loaded & {"torch", "transformers", "peft", "textual", "httpx2", "numpy"}


# --- asked ------------------------------------------------------------------------------------------------------


def test_nobody_to_ask_is_a_usage_fault(fake: FakeHub, workspace: Workspace) -> None:
    done = ventriloquist(workspace, "base", "fetch", ID, env=environment(fake))
    assert done.returncode == Exit.USAGE and "--yes" in done.stderr and not fake.asked


@pytest.mark.parametrize(("answer", "code"), [("n\n", Exit.STOPPED), ("y\n", Exit.DONE)])
def test_the_question_tells_what_would_come(
    fake: FakeHub, files: dict[str, bytes], workspace: Workspace, answer: str, code: Exit
) -> None:
    near, far = pty.openpty()
    child = subprocess.Popen(
        command(workspace, "base", "fetch", ID), env=environment(fake), stdin=far, stdout=subprocess.DEVNULL, stderr=far
    )
    os.close(far)
    shown, asked = io.StringIO(), False
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([near], [], [], 0.1)[0]:
            try:
                shown.write(os.read(near, 4096).decode(errors="replace"))
            except OSError:
                break
        if not asked and "Fetch it?" in shown.getvalue():
            assert not fake.files_asked() & shards(files)
            os.write(near, answer.encode())
            asked = True
    os.close(near)
    assert asked and child.wait(60) == code, shown.getvalue()
    assert f"{ID} at {commit(1)[:12]}, licence apache-2.0" in shown.getvalue()
    assert "To fetch: " in shown.getvalue() and "free." in shown.getvalue()
    assert bool(fake.files_asked() & shards(files)) == (code == Exit.DONE)


def test_a_detached_fetch_is_a_run(fake: FakeHub, workspace: Workspace) -> None:
    started = ventriloquist(workspace, "base", "fetch", ID, "--yes", "--detach", env=environment(fake))
    run = started.stdout.split()[0]
    assert run.endswith("-base")
    assert ventriloquist(workspace, "runs", "watch", run, env=environment(fake)).returncode == Exit.DONE
    assert hub.pinned(workspace, ID) == commit(1)


# --- everything else works without a network --------------------------------------------------------------------


def test_the_hub_is_out_of_reach_but_while_fetching(fake: FakeHub) -> None:
    assert constants.is_offline_mode()
    with pytest.raises(OfflineModeIsEnabled):
        huggingface_hub.HfApi().model_info(ID)
    with pytest.raises(Stopped), remote.online():
        assert not constants.is_offline_mode()
        raise Stopped("x")
    assert constants.is_offline_mode() and not fake.asked


def test_whoever_says_otherwise_is_not_heard() -> None:
    code = "import ventriloquist.model, huggingface_hub.constants as c"
    code += "; print(c.HF_HUB_OFFLINE, c.HF_HUB_DISABLE_TELEMETRY)"
    env = dict(os.environ, HF_HUB_OFFLINE="0", HF_HUB_DISABLE_TELEMETRY="0", DO_NOT_TRACK="0")
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


WATCH = """
import os, sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "socket.sendto"):
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {arguments[1:]}\\n")
    elif event == "import" and arguments[0] == "torch":
        with open(os.environ["WATCHED"], "a") as file:
            file.write("torch\\n")
sys.addaudithook(watch)
"""


def test_training_and_chat_on_a_fetched_base_open_no_socket(
    fake: FakeHub, learnt: Workspace, tmp_path: Path, workspace: Workspace
) -> None:
    """Watched from within every process of it, the model's own among them."""
    shutil.copytree(learnt.data, workspace.data, dirs_exist_ok=True)
    get(workspace)
    fake.asked.clear()
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    watched = tmp_path / "watched"
    env = {**environment(fake), "PYTHONPATH": str(tmp_path / "watch"), "WATCHED": str(watched)}
    train = ("train", "--base", ID, "--max-steps", 1, "--threads", 1, "--lora-r", 2, "--validation-windows", 2)
    for words, given in ((train, ""), (("chat", "--max-messages", 1, "--max-tokens", 24, "--threads", 1), "hello\n")):
        watched.write_text("")
        done = ventriloquist(workspace, *words, env=env, stdin=given)
        assert done.returncode == Exit.DONE, done.stderr
        seen = watched.read_text().splitlines()
        assert "torch" in seen and set(seen) == {"torch"}
    assert fake.asked == []


def test_the_pinned_commit_is_the_one_that_is_trained(fake: FakeHub, learnt: Workspace, workspace: Workspace) -> None:
    shutil.copytree(learnt.data, workspace.data, dirs_exist_ok=True)
    get(workspace)
    (hub.cache_of(ID) / "refs" / "main").write_text(commit(2))  # as another program's download would
    makes = do("train", workspace, base=ID, max_steps=1, threads=1, lora_r=2, validation_windows=2, voices=False)
    told = json.loads((workspace.checkpoints / makes["checkpoint"] / "final" / "ventriloquist.json").read_text())
    assert told["base"]["revision"] == commit(1)
