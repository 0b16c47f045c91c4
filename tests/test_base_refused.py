"""What a hub may say or send that is not believed, and how errors are told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.basing import ID, NEEDED, biggest, environment, get, notes, own_cache, point_at, published, shards
from tests.commands import ventriloquist
from tests.fake_hub import FakeHub, commit, digest, serving
from ventriloquist.faults import Busy, DiskFull, Exit, Fault, NoInput, UsageFault
from ventriloquist.locks import hold
from ventriloquist.model import fetch as fetching
from ventriloquist.model import hub
from ventriloquist.model.blobs import PARTIAL
from ventriloquist.model.fetch import Fetch
from ventriloquist.runs import list_runs
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


@pytest.mark.parametrize("name", ["a file of weights", "config.json", "tokenizer.json"])
def test_bytes_that_are_not_what_the_hub_tells_are_thrown_away(
    fake: FakeHub, files: dict[str, bytes], cache: Path, workspace: Workspace, name: str
) -> None:
    name = biggest(files) if name == "a file of weights" else name
    for lie in (files[name][:-1] + b"!", files[name] + b"!"):
        fake.lies = {name: lie}
        with pytest.raises(Fault, match=f"{name} arrived other than .* says it is"):
            get(workspace)
        assert not (cache / "blobs" / digest(files[name])).exists()
        assert not (cache / "blobs" / f"{digest(files[name])}{PARTIAL}").exists()
    assert hub.pinned(workspace, ID) is None
    with pytest.raises(NoInput, match="ventriloquist base fetch Example/Small-Base"):
        hub.base_folder(ID)
    fake.lies = {}
    get(workspace)


def test_a_model_with_code_of_its_own_is_refused_before_its_weights_come(
    fake: FakeHub, files: dict[str, bytes], workspace: Workspace
) -> None:
    evil = json.loads(files["config.json"]) | {"auto_map": {"AutoModelForCausalLM": "modeling_evil.Evil"}}
    fake.commits[commit(1)]["config.json"] = json.dumps(evil).encode()
    with pytest.raises(Fault, match="code of its own"):
        get(workspace)
    assert fake.files_asked() == {"config.json"}


@pytest.mark.parametrize(
    ("index", "why"),
    [
        (None, "no safetensors weights"),
        ({"weight_map": {"a": "pytorch_model.bin"}}, "no safetensors weights"),
        ({"weight_map": {"a": "../../../../../tmp/evil.safetensors"}}, "no safetensors weights"),
        ({"weight_map": {"a": "model-00009-of-00003.safetensors"}}, "no safetensors weights"),
        ({"weight_map": {}}, "no safetensors weights"),
        ({"weight_map": "model.safetensors"}, "no safetensors weights"),
        ([], "cannot be read"),
    ],
)
def test_weights_in_other_formats_and_other_places_are_refused(
    fake: FakeHub, workspace: Workspace, index: Any, why: str
) -> None:
    if index is None:
        del fake.commits[commit(1)]["model.safetensors.index.json"]
    else:
        fake.commits[commit(1)]["model.safetensors.index.json"] = json.dumps(index).encode()
    with pytest.raises(Fault, match=why):
        get(workspace)
    assert hub.pinned(workspace, ID) is None


def test_one_file_of_weights_needs_no_index(fake: FakeHub, files: dict[str, bytes], workspace: Workspace) -> None:
    weights = files[biggest(files)]
    fake.commits[commit(1)] = {
        name: content for name, content in files.items() if name in NEEDED - {"model.safetensors.index.json"}
    } | {"model.safetensors": weights}
    get(workspace)
    assert (hub.base_folder(ID) / "model.safetensors").read_bytes() == weights


def test_names_and_digests_that_lead_out_are_not_followed(
    fake: FakeHub, files: dict[str, bytes], cache: Path, workspace: Workspace
) -> None:
    before = set(cache.parents[2].rglob("*"))
    tokenizer = {"rfilename": "tokenizer.json", "size": 9, "blobId": "../../../../../escaped"}
    outside = [
        {"rfilename": name, "size": 3, "blobId": digest(b"abc")}
        for name in ("../../../escaped", "/tmp/escaped", "a/../../README.md", ".", "..", "", "a\0b", "README.md\n", 7)
    ]
    wrong = [
        {"rfilename": "README.md", "size": -1, "blobId": digest(b"abc")},
        {"rfilename": "LICENSE", "size": 3, "lfs": {"sha256": "../x", "size": 3, "pointerSize": 1}},
    ]
    honest = [
        each for each in fake.siblings(files) if each["rfilename"] not in ("tokenizer.json", "README.md", "LICENSE")
    ]
    fake.told = {"siblings": [*honest, *outside, *wrong, tokenizer]}
    with pytest.raises(NoInput, match="no tokenizer"):
        get(workspace)
    fake.told = {"siblings": [*honest, *outside, *wrong, fake.siblings({"tokenizer.json": files["tokenizer.json"]})[0]]}
    get(workspace)
    snapshot = hub.base_folder(ID)
    assert {path.name for path in snapshot.iterdir()} == (NEEDED - {"README.md", "LICENSE"}) | shards(files)
    homes = {cache.parents[1], workspace.root}
    assert not [path for path in set(cache.parents[2].rglob("*")) - before if not homes & {path, *path.parents}]


@pytest.mark.parametrize("told", [{"sha": "../../x"}, {"sha": None}, {"siblings": "none"}, {"siblings": [3]}])
def test_an_answer_that_is_none_of_a_hub(fake: FakeHub, workspace: Workspace, told: dict[str, Any]) -> None:
    fake.told = told
    with pytest.raises(Fault, match="does not answer as Hugging Face does"):
        get(workspace)


@pytest.mark.parametrize(
    ("code", "headers", "exit_code", "sentence"),
    [
        (401, {"X-Error-Code": "GatedRepo"}, Exit.NO_INPUT, "accepts? .*its terms.*HF_TOKEN"),
        (403, {"X-Error-Code": "GatedRepo"}, Exit.NO_INPUT, "accepts? .*its terms.*HF_TOKEN"),
        (401, {}, Exit.NO_INPUT, "There is no model Example/Small-Base at .*HF_TOKEN"),
        (404, {"X-Error-Code": "RepoNotFound"}, Exit.NO_INPUT, "There is no model Example/Small-Base"),
        (404, {}, Exit.NO_INPUT, "There is no model Example/Small-Base"),
        (404, {"X-Error-Code": "RevisionNotFound"}, Exit.NO_INPUT, "has no revision main"),
        (403, {}, Exit.NO_INPUT, "refuses Example/Small-Base .403.*HF_TOKEN"),
        (500, {}, Exit.FAILED, "answered 500.*Try again later"),
    ],
)
def test_an_error_is_one_sentence(
    fake: FakeHub, workspace: Workspace, code: int, headers: dict[str, str], exit_code: Exit, sentence: str
) -> None:
    for part in ("/api/models/", f"/resolve/{commit(1)}/"):
        fake.codes = {part: [(code, headers)]}
        if code == 500 and "resolve" in part:
            continue  # asked again, see above
        with pytest.raises(Fault, match=sentence) as caught:
            get(workspace)
        assert caught.value.exit == exit_code and "\n" not in str(caught.value)


def test_no_server_at_all(fake: FakeHub, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(Fault, match=r"127\.0\.0\.1:9 cannot be reached"):
        get(workspace)


def test_the_token_goes_to_the_hub_and_not_to_where_it_sends_us(
    fake: FakeHub, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.token = "hf_secret"
    with pytest.raises(NoInput, match="HF_TOKEN"):
        get(workspace)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fake.asked.clear()
    get(workspace)
    elsewhere = [each for each in fake.asked if each.path.startswith("/cdn/")]
    assert elsewhere and not any(each.authorization for each in elsewhere)
    assert "hf_secret" not in "".join(path.read_text() for path in list_runs(workspace)[-1].folder.iterdir())


def test_only_the_model_is_spoken_of(fake: FakeHub, workspace: Workspace) -> None:
    assert ventriloquist(workspace, "base", "fetch", ID, "--yes", env=environment(fake)).returncode == Exit.DONE
    assert all(ID in each.path or each.path.startswith("/cdn/") for each in fake.asked)
    assert {each.method for each in fake.asked} == {"GET"}
    assert not any("torch" in each.agent or "agent/" in each.agent for each in fake.asked)


def test_a_licence_that_is_not_permissive_is_pointed_out(fake: FakeHub, workspace: Workspace) -> None:
    fake.told = {"cardData": {"license": "other", "license_name": "for\x1b[31m friends\nonly"}, "tags": []}
    get(workspace)
    assert any("licence: for[31m friends only." in note for note in notes(workspace))
    assert any(note.startswith("Read the licence") for note in notes(workspace))
    assert hub.pins(workspace)[ID]["license"] == "for[31m friends only"


def test_a_disk_without_room_is_told_before_anything_is_fetched(
    fake: FakeHub, files: dict[str, bytes], workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda path: full)
    with pytest.raises(DiskFull, match="HF_HOME"):
        get(workspace)
    assert not fake.files_asked() & shards(files)


def test_one_fetch_at_a_time_and_other_stages_meanwhile(fake: FakeHub, workspace: Workspace) -> None:
    workspace.prepare()
    with hold(workspace.bases_lock, "base fetch"), pytest.raises(Busy, match="being fetched already"):
        get(workspace)
    with hold(workspace.lock, "train"):
        get(workspace)
    assert hub.pinned(workspace, ID) == commit(1)


@pytest.mark.parametrize("name", ["", "../x", "a/b/c", "a--b/c", "-x/y", "a b", "a/b\n", "x" * 300, "/etc/passwd"])
def test_what_is_no_id(workspace: Workspace, name: str) -> None:
    with pytest.raises(UsageFault, match="no id of a model"):
        Fetch(name)
    with pytest.raises(NoInput):
        hub.base_folder(name or "nothing/here")
    for revision in ("../main", "", "a/../../b", "-x", "a\0"):
        with pytest.raises(UsageFault, match="no branch, tag or commit"):
            Fetch(ID, revision)
        assert hub.commit_of(ID, revision) is None
