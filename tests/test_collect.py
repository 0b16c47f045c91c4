"""Collect from end to end: the sample history by its own account, kills, hostile strings, and what the user is told."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typedstream

from tests.collecting import exported, notes, run_collect
from tests.hostile import hostile_strings
from tests.messages_db import ChatDbWriter, plain_body
from ventriloquist import demo
from ventriloquist.faults import Fault, NoInput
from ventriloquist.runs import list_runs, read_events
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

MAYA, THEO = "+12025550101", "theo@example.com"
MADE_OF = {"text": ("text", "captioned", "link")}  # what the sample tells apart and a reader does not
REASONS = {
    "empty": "empty",
    "in no chat": "orphan",
    "recently deleted": "recoverable",
    "removal of a tapback": "reaction_removal",
    "tapback that a later one replaced": "reaction_replaced",
    "tapback that was taken back": "reaction_removed",
}


@dataclass
class Collected:
    sample: demo.Sample
    root: Path
    makes: dict[str, Any]
    messages: list[dict[str, Any]]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Collected:
    folder = tmp_path_factory.mktemp("sample")
    sample = demo.write(folder / "sample", messages=1500)
    makes = run_collect(folder / "workspace", sample.chat_db)
    return Collected(sample, folder / "workspace", makes, exported(folder / "workspace"))


def source(sample: demo.Sample, query: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{sample.chat_db}?immutable=1", uri=True)
    rows = connection.execute(query).fetchall()
    connection.close()
    return rows


# --- the sample history -----------------------------------------------------------------------------------------


def test_every_row_is_what_the_sample_says_it_is(collected: Collected) -> None:
    truth, makes = dict(collected.sample.rows), collected.makes
    assert makes["source_rows"] == collected.sample.message_rows == sum(truth.values())
    assert sum(makes["kept"].values()) + sum(makes["dropped"].values()) == makes["source_rows"]
    for kind, rows in makes["kept"].items():
        assert rows == sum(truth.pop(name, 0) for name in MADE_OF.get(kind, (kind,))), kind
    for reason, rows in makes["dropped"].items():
        assert rows == truth.pop(REASONS[reason]), reason
    assert truth == {}
    assert makes["messages"] == len(collected.messages) == sum(makes["kept"].values())


def test_the_ledger_in_the_store_is_complete(collected: Collected) -> None:
    with Store.open(Workspace.at(collected.root)) as store:
        ledger = store.ledger()
    assert ledger.source_rows == collected.sample.message_rows
    years = {int(each["sent_at"][:4]) for each in collected.messages}
    assert {year for _, year in ledger.kept} == years
    assert len(years) > 1


def test_text_is_what_an_independent_decoder_reads(collected: Collected) -> None:
    found = {each["guid"]: each for each in collected.messages}
    compared = 0
    query = "SELECT guid, subject, attributedBody FROM message WHERE attributedBody IS NOT NULL"
    for guid, subject, body in source(collected.sample, query):
        if guid not in found or found[guid]["kind"] not in ("text", "attachment"):
            continue
        text = typedstream.unarchive_from_data(body).contents[0].values[0].value
        expected = (f"{subject}\n" if subject else "") + text.replace("\ufffc", "").replace("\ufffd", "")
        assert (found[guid]["text"] or "") == expected, guid
        compared += 1
    assert compared > 1000


def test_names_come_from_the_address_book(collected: Collected) -> None:
    senders = {each["sender"] for each in collected.messages}
    assert senders >= {collected.sample.my_name, *collected.sample.names}
    assert {each["sender"] for each in collected.messages if each["is_from_me"]} == {collected.sample.my_name}


def makes_orphans(collected: Collected) -> int:
    return int(collected.makes["dropped"]["in no chat"])


def test_marks_of_the_sample_are_found(collected: Collected) -> None:
    marks, messages = collected.sample.marks, collected.messages
    assert sum(each["edited"] for each in messages) == marks["edited"]
    assert sum(each["unsent"] and each["kind"] != "unsent" for each in messages) == marks["partly_unsent"]
    threads = dict(source(collected.sample, "SELECT guid, thread_originator_guid FROM message"))
    replies = [each for each in messages if each["reply_to"]]
    assert all(each["reply_to"] == threads[each["guid"]] for each in replies)
    assert marks["replies"] - makes_orphans(collected) <= len(replies) <= marks["replies"]
    later = [each for each in messages if each["reaction"] and each["reaction"]["part"] > 0]
    assert len(later) == marks["reactions_to_later_parts"]
    files = [file for each in messages for file in each["attachments"]]
    assert sum(bool(file["transcript"]) for file in files) == marks["voice_memos"]
    assert sum(file["path"] is None for file in files) == marks["missing_files"] + marks["offloaded_files"]
    assert all(Path(file["path"]).is_file() for file in files if file["path"])


def test_order_and_shape_of_the_export(collected: Collected) -> None:
    rows = dict(source(collected.sample, "SELECT guid, ROWID FROM message"))
    order = [(each["sent_at"], rows[each["guid"]]) for each in collected.messages]
    assert order == sorted(order)
    lines = [json.dumps(each) for each in collected.messages]
    assert len(set(lines)) == len(lines)
    assert {tuple(each) for each in collected.messages} == {tuple(collected.messages[0])}


def test_collecting_again_gives_the_same_store(collected: Collected, tmp_path: Path) -> None:
    with Store.open(Workspace.at(collected.root)) as store:
        first = store.fingerprint()
    again = run_collect(collected.root, collected.sample.chat_db)
    assert collected.makes["new"] == collected.makes["messages"]
    assert again == {**collected.makes, "new": 0, "changed": 0, "gone": 0}
    assert exported(collected.root) == collected.messages
    run_collect(tmp_path / "other", collected.sample.chat_db)
    for root in (collected.root, tmp_path / "other"):
        with Store.open(Workspace.at(root)) as store:
            assert store.fingerprint() == first


def test_progress_is_in_rows(collected: Collected) -> None:
    events = read_events(list_runs(Workspace.at(collected.root))[0].folder)
    assert [event["name"] for event in events if event["kind"] == "phase"] == ["open", "read messages", "save"]
    last = [event for event in events if event["kind"] == "progress"][-1]
    assert (last["done"], last["total"], last["unit"]) == (
        collected.sample.message_rows,
        collected.sample.message_rows,
        "rows",
    )
    assert any("attachments are not on this disk" in note for note in notes(collected.root))


def test_rows_in_the_log_are_collected(tmp_path: Path) -> None:
    sample = demo.write(tmp_path / "sample", messages=300, wal=True)
    wal = sample.chat_db.with_name("chat.db-wal")
    before = sample.chat_db.read_bytes(), wal.read_bytes()
    assert before[1]
    assert run_collect(tmp_path / "workspace", sample.chat_db)["source_rows"] == sample.message_rows
    assert (sample.chat_db.read_bytes(), wal.read_bytes()) == before


# --- people -----------------------------------------------------------------------------------------------------


def small(folder: Path) -> ChatDbWriter:
    writer = ChatDbWriter(folder)
    maya, theo = writer.handle(MAYA), writer.handle(THEO)
    chat, group = writer.chat(maya, last_addressed_handle="alex@example.com"), writer.chat(maya, theo)
    for number in range(20):
        writer.message(chat, f"hello {number}", maya if number % 2 else 0)
        writer.message(group, None, theo, attributedBody=plain_body(f"hi {number}"))
    return writer


def test_contacts_and_my_name_by_hand(tmp_path: Path) -> None:
    path = small(tmp_path / "source").close()
    workspace = Workspace.at(tmp_path / "workspace").prepare()
    workspace.contacts.write_text('{"contact": "Maya", "ids": ["(202) 555-0101"]}\nbroken\n{"contact": "Theo"}\n')
    run_collect(workspace.root, path, my_name="Alex", user_identifiers="+1 202 555 0199, a2@example.com")
    with Store.open(workspace) as store:
        people = store.people()
    assert people[MAYA].name == "Maya"
    assert people["me"].handles == ("+12025550199", "a2@example.com", "alex@example.com")
    assert people["me"].name == "Alex"
    assert any("lines 2, 3 could not be read" in note for note in notes(workspace.root))


def test_an_address_book_by_setting(tmp_path: Path) -> None:
    sample = demo.write(tmp_path / "sample", messages=300)
    path = small(tmp_path / "source").close()
    run_collect(tmp_path / "workspace", path, address_book=sample.address_book)
    with Store.open(Workspace.at(tmp_path / "workspace")) as store:
        assert store.people()["me"].name == sample.my_name
    run_collect(tmp_path / "workspace", path, address_book=tmp_path / "nowhere")
    assert any("There is no address book" in note for note in notes(tmp_path / "workspace"))


def test_my_own_line_in_the_contacts_file_is_me(tmp_path: Path) -> None:
    path = small(tmp_path / "source").close()
    workspace = Workspace.at(tmp_path / "workspace").prepare()
    workspace.contacts.write_text('{"contact": "Alexandra", "ids": ["Alex@Example.com", "+12025550155"]}\n')
    run_collect(workspace.root, path)
    with Store.open(workspace) as store:
        me = store.people()["me"]
    assert (me.name, me.handles) == ("Alexandra", ("+12025550155", "alex@example.com"))


def test_hostile_text_names_and_titles(tmp_path: Path) -> None:
    writer = ChatDbWriter(tmp_path / "source")
    strings = [(name, text) for name, text in hostile_strings() if text and len(text) < 500_000]
    bindable = [text[:300] for _, text in strings if not any(0xD800 <= ord(c) <= 0xDFFF for c in text)]
    handles = [writer.handle(f"h{number} {text}") for number, text in enumerate(bindable)]
    for number, text in enumerate(bindable):
        chat = writer.chat(handles[number], handles[number - 1], display_name=text, guid=f"{number};+;{text}")
        writer.message(chat, text, handles[number], subject=None, service=text)
    chat = writer.chat(handles[0])
    for _, text in strings:
        writer.message(chat, None, attributedBody=plain_body(text))
    workspace = Workspace.at(tmp_path / "workspace").prepare()
    lines = [json.dumps({"contact": text, "ids": [f"h{number} {text}"]}) for number, text in enumerate(bindable)]
    workspace.contacts.write_text("\n".join(lines), encoding="utf-8")
    makes = run_collect(workspace.root, writer.close())
    messages = exported(workspace.root)
    assert makes["messages"] == len(bindable) + len(strings) == len(messages)
    texts = [each["text"] for each in messages]
    assert texts == [*bindable, *(text for _, text in strings)]
    with Store.open(workspace) as store:
        names = [person.name for person in store.people().values()]
        assert len(set(names)) == len(names)
        assert all(name and "\n" not in name for name in names)
    log = "".join(path.read_text(errors="replace") for path in workspace.runs.rglob("*") if path.is_file())
    assert "injected" not in log  # no message text where the run keeps its record


# --- faults -----------------------------------------------------------------------------------------------------


def test_an_empty_history_wipes_nothing(tmp_path: Path) -> None:
    run_collect(tmp_path / "workspace", small(tmp_path / "source").close())
    before = exported(tmp_path / "workspace")
    empty = ChatDbWriter(tmp_path / "empty")
    with pytest.raises(NoInput, match="holds no messages; what was collected before is unchanged"):
        run_collect(tmp_path / "workspace", empty.path)
    empty.message(None, "in no chat")
    with pytest.raises(NoInput, match="no message that can be kept"):
        run_collect(tmp_path / "workspace", empty.close())
    with pytest.raises(NoInput, match="There is no Messages history"):
        run_collect(tmp_path / "workspace", tmp_path / "nowhere.db")
    assert exported(tmp_path / "workspace") == before


def test_damage_met_while_reading_names_the_right_file(tmp_path: Path) -> None:
    writer = small(tmp_path / "source")
    for number in range(3000):
        writer.message(1, None, attributedBody=plain_body(f"filler {number} " * 20))
    path = writer.close()
    run_collect(tmp_path / "workspace", path)
    before = exported(tmp_path / "workspace")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 40_960] = os.urandom(40_960)
    path.write_bytes(content)
    with pytest.raises(Fault, match=r"source/chat\.db is damaged, and \d+ messages .* another workspace"):
        run_collect(tmp_path / "workspace", path)
    assert exported(tmp_path / "workspace") == before
    makes = run_collect(tmp_path / "another", path)
    assert 2000 < makes["messages"] < 3040 and makes["dropped"]["in a damaged part of the file"] > 0
    assert sum(makes["kept"].values()) + sum(makes["dropped"].values()) == makes["source_rows"] == 3040


def test_forty_damaged_files_never_end_in_a_traceback(tmp_path: Path) -> None:
    import random

    writer = small(tmp_path / "source")
    for number in range(200):
        writer.message(1, None, attributedBody=plain_body(f"filler {number} " * 20))
    good = writer.close().read_bytes()
    random_ = random.Random(3)
    outcomes: dict[str, int] = {}
    for number in range(40):
        damaged = bytearray(good)
        if number % 2:
            for _ in range(100):
                damaged[random_.randrange(100, len(damaged))] ^= 1 << random_.randrange(8)
        else:
            del damaged[random_.randrange(len(damaged)) :]
        path = tmp_path / f"{number}.db"
        path.write_bytes(damaged)
        try:
            run_collect(tmp_path / "workspace", path)
            outcome = "well"
        except Fault as fault:
            outcome = "fault"
            assert "See " not in str(fault), fault  # that would be a fault nobody foresaw
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert outcomes["fault"] >= 15
