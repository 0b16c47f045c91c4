"""What becomes of each attachment, whose files may be sent, and what commands and screens are told of it."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests import fake_gemini as fake
from tests import fake_openai
from tests import media_samples as samples
from tests.commands import ventriloquist
from tests.describing import KEY, MODEL, captioner, collected, notes, one_run, photos, settings, states, stored
from tests.storing import replace_history
from ventriloquist.faults import UsageFault
from ventriloquist.media import transcoding
from ventriloquist.pipeline.audience import has_name
from ventriloquist.pipeline.destination import Destination, captioner_for
from ventriloquist.pipeline.survey import failures, latest, survey
from ventriloquist.records import ME, Attachment, Chat, ChatKind, Conversation, Kind, Ledger, Message, Person
from ventriloquist.settings import DescribeSettings
from ventriloquist.store import Store
from ventriloquist.store.describing import Answer, Description
from ventriloquist.store.schema import blocks_and_reports, first_tables
from ventriloquist.store.spending import Request
from ventriloquist.workspace import Workspace


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "Attachments"
    folder.mkdir()
    return folder


# --- files that are not there -----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["offloaded", "missing", "zero", "short"])
def test_a_file_that_appears_later_is_described_then(workspace: Workspace, files: Path, state: str) -> None:
    [whole] = photos(files, 1)
    path = Path(whole.path or "")
    content = path.read_bytes()
    before = {
        "offloaded": replace(whole, path=None, is_offloaded=True),
        "missing": whole,
        "zero": whole,
        "short": replace(whole, total_bytes=len(content)),
    }[state]
    if state == "missing":
        path.unlink()
    elif state in ("zero", "short"):
        path.write_bytes(content[: len(content) // 2] if state == "short" else b"")
    collected(workspace, [before])
    with fake.serving(fake.caption("A dog")) as server:
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert server.received == [] and makes["left"] == 0
        [(words, found)] = stored(workspace).values()
        assert found == state and words.startswith(("A photo", "Photo: "))
        [failure] = failures(workspace)
        assert (failure.state, failure.files) == (state, 1) and failure.advice
        path.write_bytes(content)
        collected(workspace, [replace(whole, total_bytes=len(content))])
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == 1
    assert stored(workspace) == {whole.guid: ("A dog", "described")}
    assert failures(workspace) == []


def test_a_failure_is_tried_again_only_on_demand_and_a_refusal_never(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 3))
    script = [fake.caption("ok"), fake.BLOCKED, fake.error(400, "INVALID_ARGUMENT")]
    with fake.serving(fake.caption("at last"), script) as server:
        one_run(workspace, captioner(server.url), key=KEY, yes=True, concurrency=1)
        assert sorted(states(workspace).values()) == ["blocked", "described", "failed"]
        assert {(each.state, each.files) for each in failures(workspace)} == {("blocked", 1), ("failed", 1)}
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == 3
        one_run(workspace, captioner(server.url), key=KEY, yes=True, retry_failed=True)
        assert len(server.received) == 4
        assert sorted(states(workspace).values()) == ["blocked", "described", "described"]
        one_run(workspace, captioner(server.url), key=KEY, yes=True, retry_failed=True, model="gemini-other")
        assert len(server.received) == 5 and "gemini-other" in server.received[-1].path
    assert set(states(workspace).values()) == {"described"}


def test_a_refusal_that_an_older_version_noted_is_final_too(workspace: Workspace, files: Path) -> None:
    """It knows nothing of the content, only who refused."""
    [photo] = photos(files, 1)
    collected(workspace, [photo])
    with Store.open(workspace) as store:
        store.keep_descriptions([Description(photo.guid, "A photo", MODEL, "blocked", "blocked")])
    with fake.serving() as server:
        one_run(workspace, captioner(server.url), key=KEY, yes=True, retry_failed=True)
        assert server.received == [] and set(states(workspace).values()) == {"blocked"}


def test_a_file_that_cannot_be_converted_says_why_and_is_not_sent(workspace: Workspace, files: Path) -> None:
    (files / "damaged.jpg").write_bytes(b"\xff\xd8\xff no picture")
    broken = Attachment("broken", "image/jpeg", "beach day.jpg", str(files / "damaged.jpg"))
    collected(workspace, [broken, replace(broken, guid="copy")])
    with fake.serving() as server:
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert server.received == [] and makes["failed"] == 2
        assert set(stored(workspace).values()) == {("Photo: beach day", "failed")}
        [failure] = failures(workspace)
        assert failure.reason and failure.files == 2
        samples.jpeg(files / "damaged.jpg", (160, 120))
        one_run(workspace, captioner(server.url), key=KEY, yes=True, retry_failed=True)
        assert len(server.received) == 1
    assert set(states(workspace).values()) == {"described"}


# --- identical files --------------------------------------------------------------------------------------------


def test_a_copy_that_comes_later_costs_nothing(workspace: Workspace, files: Path) -> None:
    [photo] = photos(files, 1)
    collected(workspace, [photo])
    with fake.serving(fake.caption("A dog")) as server:
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
        shutil.copy(photo.path or "", files / "forwarded.jpeg")
        copy = Attachment("copy", "image/jpeg", "x.jpeg", str(files / "forwarded.jpeg"))
        collected(workspace, [photo, copy])
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True, model="gemini-other")
        assert len(server.received) == 1 and (makes["known"], makes["requests"]) == (1, 0)
    assert stored(workspace) == {photo.guid: ("A dog", "described"), "copy": ("A dog", "described")}


def test_what_an_answer_cost_stands_beside_it(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 1))
    with fake.serving(fake.caption("A dog"), [fake.text("no json")]) as server:
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == makes["requests"] == 2
    with Store.open(workspace) as store:
        [spent] = store.spent()
        [row] = store.connection.execute("SELECT * FROM captions").fetchall()
        columns = [name for _, name, *_ in store.connection.execute("PRAGMA table_info(captions)")]
    asked = dict(zip(columns, row, strict=True))
    tokens = fake.USAGE["candidatesTokenCount"] + fake.USAGE["thoughtsTokenCount"]
    assert (asked["input_tokens"], asked["output_tokens"]) == (2 * fake.USAGE["promptTokenCount"], 2 * tokens)
    assert (asked["model"], asked["provider"], asked["requests"], asked["state"]) == (MODEL, "gemini", 2, "described")
    assert len(asked["hash"]) == 64 and asked["prices_as_of"] and asked["at"].endswith("Z")
    assert asked["micro_usd"] == spent.micro_usd == round(makes["usd"] * 1e6) > 0
    assert (spent.requests, spent.described) == (2, 1)


def test_a_long_recording_is_written_down_whole_and_no_part_is_paid_twice(
    workspace: Workspace, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcoding, "PART_SECONDS", 3)
    long = samples.audio(files / "talk.m4a", 8)
    collected(workspace, [Attachment("talk", "audio/x-m4a", "Audio Message.m4a", str(long))])
    said = [fake.caption(words) for words in ("first part", "second part", "third part")]
    with fake.serving(fake.caption("never"), [said[0], *[fake.error(500, "INTERNAL")] * 5, *said[1:]]) as server:
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert states(workspace) == {"talk": "retry"} and len(server.received) == 6
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == 8
    assert stored(workspace) == {"talk": ("first part second part third part", "described")}
    with Store.open(workspace) as store:
        assert [spent.described for spent in store.spent()] == [1]


def test_a_live_photo_is_described_once(workspace: Workspace, files: Path) -> None:
    still = Attachment("still", "image/heic", "IMG_0001.HEIC", str(samples.heic(files / "IMG_0001.HEIC")))
    moving = Attachment("moving", "video/quicktime", "IMG_0001.MOV", str(samples.video(files / "IMG_0001.MOV")))
    chat, conversation = Chat("c", "sample", ChatKind.DM, ("+15550100",)), Conversation("c", ChatKind.DM, ("a", ME))
    people = [Person("a", "Ada", ("+15550100",)), Person(ME, "Me", is_me=True)]
    message = Message(
        "m", "sample", 1, "c", Kind.ATTACHMENT, False, 1, "+15550100", attachments=(still, moving)
    )  # fmt: skip
    with Store.open(workspace, create=True) as store:
        replace_history(store, "sample", [chat], [conversation], people, iter([message]), Ledger())
    with fake.serving(fake.caption("A dog")) as server:
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert [request.mime_type for request in server.received] == ["image/jpeg"] and makes["left"] == 0
    assert states(workspace) == {"still": "described", "moving": "local"}


# --- who is included --------------------------------------------------------------------------------------------


def test_strangers_files_are_sent_on_demand_only(workspace: Workspace, files: Path) -> None:
    known, unknown = photos(files, 2), photos(files, 3, first=2)
    collected(workspace, known, unknown)
    with fake.serving() as server:
        makes, events = one_run(workspace, key=KEY, dry_run=True)
        assert makes["left"] == 2 and makes["survey"]["left_out"] == {"strangers": 3}
        assert "--strangers" in notes(events)
        one_run(workspace, captioner(server.url), key=KEY, yes=True)
        assert len(server.received) == 2
        one_run(workspace, captioner(server.url), key=KEY, yes=True, strangers=True)
        assert len(server.received) == 5


def test_only_and_without_choose_conversations(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 2), photos(files, 3, first=2))

    def left(**options: object) -> int:
        return survey(settings(KEY, **options), workspace).total.files

    assert left() == 2 and left(strangers=True) == 5
    assert left(only="Ada") == 2 and left(without="Ada") == 0
    assert left(without="Ada", strangers=True) == 3
    assert left(only="+15550199", strangers=True) == 3
    with pytest.raises(UsageFault, match="Nobody here"):
        left(only="Nobody Known")


def test_a_file_of_someone_left_out_is_not_sent_wherever_else_it_stands(workspace: Workspace, files: Path) -> None:
    [photo] = photos(files, 1)
    collected(workspace, [photo], [photo])
    assert survey(settings(KEY), workspace).total.files == 1
    assert survey(settings(KEY, without="+15550199"), workspace).left_out == {"without": 1}


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("Ada", True), ("Ada (2)", True), ("🦄", True), ("24/7 Plumber", True), ("+15550100", False),
        ("+1 (555) 010-0100", False), ("a@example.com", False), ("urn:biz:1", False), ("12345", False),
    ],
)  # fmt: skip
def test_a_name_is_more_than_an_address(name: str, named: bool) -> None:
    assert has_name(Person("key", name, ("+15550100", "urn:biz:1"))) is named


# --- what is told -----------------------------------------------------------------------------------------------


def test_a_survey_counts_identical_files_once_and_stops_at_the_limit(workspace: Workspace, files: Path) -> None:
    [first, *others] = photos(files, 4)
    video = Attachment("video", "video/quicktime", "a.mov", str(samples.video(files / "a.mov")))
    collected(workspace, [first, replace(first, guid="copy"), *others, video])
    found = survey(settings(KEY), workspace)
    rows = {row.noun: (row.files, row.requests) for row in found.rows}
    assert rows == {"photo": (5, 4), "video": (1, 1)} and found.missing == ""
    assert found.total.micro_usd == sum(row.micro_usd or 0 for row in found.rows) > 0
    assert found.total.likely_micro_usd is None and found.needs_consent
    limited = survey(settings(KEY, limit=2), workspace)
    assert (limited.total.files, limited.total.requests, limited.beyond_limit) == (3, 2, 3)
    unpriced = survey(settings(KEY, model="gemini-unknown"), workspace)
    assert unpriced.total.micro_usd is None and unpriced.total.requests == 5
    priced = survey(settings(KEY, model="gemini-unknown", prices={"gemini-unknown": (1000, 1000)}), workspace)
    assert priced.total.micro_usd == 1000 * (priced.total.input_tokens + priced.total.output_tokens)


def test_what_was_paid_says_what_the_rest_will_cost(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 8))
    with fake.serving() as server:
        makes, _ = one_run(workspace, captioner(server.url), key=KEY, yes=True, limit=5)
        assert len(server.received) == 5
    row = survey(settings(KEY), workspace).total
    assert row.likely_micro_usd == round(3 * makes["usd"] * 1e6 / 5)
    assert row.micro_usd and row.likely_micro_usd < row.micro_usd


def test_the_latest_come_first_with_their_file_names(workspace: Workspace, files: Path) -> None:
    collected(workspace, [replace(photo, name=f"{photo.guid}\x1b[2J.jpg") for photo in photos(files, 4)])
    with fake.serving(fake.caption("A \x1b]0;x\x07 dog")) as server:
        one_run(workspace, captioner(server.url), key=KEY, yes=True, concurrency=1, limit=3)
    found = latest(workspace, 2)
    assert [each.at for each in found] == sorted({each.at for each in latest(workspace, 9)}, reverse=True)[:2]
    assert {each.name for each in found} < {f"photo-{number}[2J.jpg" for number in range(4)}
    assert len(found) == 2 and len(latest(workspace, 9)) == 3
    assert {(each.noun, each.by) for each in found} == {("photo", MODEL)}
    assert all("\x1b" not in each.text and "dog" in each.text for each in found)


def test_the_command_tells_what_there_is(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 3), photos(files, 1, first=3))
    with fake.serving() as server:
        one_run(workspace, captioner(server.url), key=KEY, yes=True, limit=1)
    workspace.env_file.write_text(f"GEMINI_API_KEY={KEY}\n")
    dry = ventriloquist(workspace, "describe", "--dry-run")
    assert dry.returncode == 0 and "nothing was sent" in dry.stderr
    assert "photo" in dry.stdout and "1 left out" in dry.stdout and "$" in dry.stdout
    told = ventriloquist(workspace, "describe", "--stats")
    assert told.returncode == 0 and MODEL in told.stdout and "described" in told.stdout
    as_json = json.loads(ventriloquist(workspace, "describe", "--stats", "--json").stdout)
    assert as_json["states"] == {"photo": {"described": 1, "local": 3}}
    assert as_json["spent"][0]["requests"] == 1 and as_json["failures"] == []
    for result in (dry, told, ventriloquist(workspace, "doctor")):
        assert KEY not in result.stdout + result.stderr


def test_without_a_key_the_command_says_so_and_ends_well(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 2))
    result = ventriloquist(workspace, "describe", "--yes", env={"GEMINI_API_KEY": ""})
    assert result.returncode == 0 and "No key" in result.stderr and "GEMINI_API_KEY" in result.stderr
    assert set(states(workspace).values()) == {"local"}


# --- where files go ---------------------------------------------------------------------------------------------


def test_a_server_on_this_machine_is_asked_without_a_question(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 2))
    with fake_openai.serving(fake_openai.saying("A dog")) as server:
        options = DescribeSettings(provider="local", base_url=server.url, concurrency=1)
        assert Destination.of(options).stays_here
        makes, events = one_run(workspace, captioner_for, provider="local", base_url=server.url, model="")
        assert len(server.received) == 2 and makes["usd"] == 0
    phases = [event["name"] for event in events if event["kind"] == "phase"]
    assert any("on this machine (127.0.0.1:" in name for name in phases)
    assert {text for text, _ in stored(workspace).values()} == {"A dog"}
    with Store.open(workspace) as store:
        assert [(each.provider, each.model, each.micro_usd) for each in store.spent()] == [("openai", "local-model", 0)]


def test_a_server_elsewhere_is_not_asked_without_a_yes(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 1))
    makes, events = one_run(workspace, provider="local", base_url="http://10.0.0.9:8000/v1", model="m")
    assert makes["requests"] == 0 and "--yes sends these files to the server at 10.0.0.9:8000" in notes(events)


@pytest.mark.parametrize(
    "given", [{"base_url": "http://127.0.0.1:1"}, {"provider": "local", "base_url": "ftp://x"},
              {"provider": "local", "base_url": "file:///etc/passwd"}, {"prompts": {"smell": "what?"}},
              {"budget": 1.0, "model": "gemini-unknown"}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(UsageFault):
        Destination.of(settings(KEY, **given))


@pytest.mark.parametrize("url", ["http://user:secret-canary@10.0.0.1/v1", "http://10.0.0.1/v1?key=secret-canary"])
def test_a_key_in_an_address_is_written_nowhere(workspace: Workspace, files: Path, url: str) -> None:
    collected(workspace, photos(files, 1))
    result = ventriloquist(workspace, "describe", "--provider", "local", "--base-url", url)
    assert result.returncode == 2 and "secret-canary" not in result.stdout + result.stderr
    for path in workspace.runs.rglob("*"):
        assert not path.is_file() or b"secret-canary" not in path.read_bytes()


def test_a_prompt_of_ones_own_is_what_is_asked(workspace: Workspace, files: Path) -> None:
    collected(workspace, photos(files, 1))
    with fake.serving() as server:
        one_run(workspace, captioner(server.url), key=KEY, yes=True, prompts={"image": "Which colours are there?"})
        assert b"Which colours are there?" in server.received[0].body
    with Store.open(workspace) as store:
        [(prompt,)] = store.connection.execute("SELECT prompt FROM captions").fetchall()
    assert prompt == Destination.of(settings(KEY, prompts={"image": "Which colours are there?"})).prompt_version(
        "image"
    )
    assert prompt != Destination.of(settings(KEY)).prompt_version("image")


# --- the store --------------------------------------------------------------------------------------------------


def test_only_words_change_the_fingerprint(workspace: Workspace, files: Path) -> None:
    [photo] = photos(files, 1)
    collected(workspace, [photo])
    one_run(workspace)
    with Store.open(workspace) as store:
        first = store.fingerprint()
        number = store.reserve(Request("run", "gemini", MODEL, 500), [])
        store.settle([(number, 20)])
        assert store.open_spending() == 20
        store.close_spending()
        assert store.fingerprint() == first and store.open_spending() == 0
        answer = Answer("0" * 64, "image", "gemini", MODEL, "p", "described", "A dog", requests=1, micro_usd=5)
        store.keep_answer(answer, [Description(photo.guid, "A dog", MODEL, "described")], [])
        assert store.fingerprint() != first
        store.keep_answer(replace(answer, text="A cat"), [], [])
        store.connection.execute("SELECT 1")
        [(text, requests, cost)] = store.connection.execute("SELECT text, requests, micro_usd FROM captions")
    assert (text, requests, cost) == ("A cat", 2, 10)


OLDER = """
INSERT INTO messages (number, conversation, sent_at, source_row, source, guid, chat, kind, is_from_me, attachments)
  VALUES (1, 1, 1, 1, 'sample', 'm', 1, 'attachment', 0, 4);
INSERT INTO attachments (message, position, guid) VALUES (1, 0, 'a'), (1, 1, 'b'), (1, 2, 'c'), (1, 3, 'd');
INSERT INTO descriptions VALUES ('a', 'A photo', 'local'), ('b', 'A dog', 'gemini-x'),
  ('c', 'A photo', 'gemini-x: blocked'), ('d', 'A video', 'gemini-x: declined');
INSERT INTO collects (source, at) VALUES ('sample', '2026-01-01T00:00:00Z');
"""


@pytest.mark.parametrize("version", [1, 2])
def test_descriptions_of_older_databases_have_states(workspace: Workspace, version: int) -> None:
    steps: list[Callable[[sqlite3.Connection], None]] = [first_tables, blocks_and_reports]
    connection = sqlite3.connect(workspace.messages_db, isolation_level=None)
    for migration in steps[:version]:
        migration(connection)
    connection.executescript(OLDER)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with Store.open(workspace) as store:
        rows = store.connection.execute('SELECT attachment, text, "by", state, reason FROM descriptions ORDER BY 1')
        assert rows.fetchall() == [
            ("a", "A photo", "local", "local", None),
            ("b", "A dog", "gemini-x", "described", None),
            ("c", "A photo", "gemini-x", "blocked", "blocked"),
            ("d", "A video", "gemini-x", "failed", "declined"),
        ]
        assert store.descriptions_by() == {"gemini-x": 1, "local": 3}
        assert store.counts()["described"] == 4 and store.spent() == []
    assert workspace.messages_db.with_name(f"messages.db.version-{version}").exists()
