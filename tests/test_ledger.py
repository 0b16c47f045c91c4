"""The ledger as it is told: sums that agree, words for every reason, every collect remembered."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.collecting import run_collect
from tests.commands import ventriloquist
from tests.hostile import hostile_strings
from tests.storing import replace_history
from tests.tui_helpers import CONTROLS
from ventriloquist import demo
from ventriloquist.pipeline.ledger import COLLECTS, KINDS, REASONS, empty_ledger, ledger_of
from ventriloquist.records import Book, Chat, ChatKind, Conversation, Kind, Ledger, Message, Person
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

SOURCE = Path(__file__).resolve().parents[1] / "ventriloquist" / "sources" / "imessage"


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory, sample: demo.Sample) -> Workspace:
    """The sample, collected twice. Nobody may write to it."""
    root = tmp_path_factory.mktemp("ledger")
    for _ in range(2):
        run_collect(root, sample.chat_db)
    return Workspace(root)


def told(workspace: Workspace) -> dict[str, Any]:
    ledger: dict[str, Any] = json.loads(ventriloquist(workspace, "status", "--json").stdout)["ledger"]
    return ledger


def reasons_in_use() -> set[str]:
    """The names under which rows are dropped: constants in words beside the rows' reading, all of which are used."""
    found = set()
    for name in ("reading", "tapbacks", "verdicts", "history"):
        for node in ast.parse((SOURCE / f"{name}.py").read_text()).body:
            match node:
                case ast.Assign(targets=[ast.Name(id=constant)], value=ast.Constant(value=str(text))):
                    if constant.isupper() and not constant.startswith("_") and re.fullmatch(r"[a-z ]+", text):
                        found.add(text)
    return found


def test_every_reason_and_every_kind_is_explained(collected: Workspace) -> None:
    assert reasons_in_use() == set(REASONS)
    assert set(KINDS) == {kind.value for kind in Kind}
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in REASONS.values())
    assert set(told(collected)["dropped"]) <= set(REASONS)


def test_sums_by_year_are_the_sums(collected: Workspace, sample: demo.Sample) -> None:
    ledger = told(collected)
    assert ledger["source_rows"] == sample.message_rows
    for verb in ("kept", "dropped"):
        by_year: dict[str, int] = {}
        for of in ledger["years"].values():
            for what, rows in of[verb].items():
                by_year[what] = by_year.get(what, 0) + rows
        assert by_year == ledger[verb] and by_year
    assert sum(ledger["kept"].values()) + sum(ledger["dropped"].values()) == sample.message_rows
    assert list(ledger["years"]) == sorted(ledger["years"])
    with Store.open(collected) as store:
        assert sum(ledger["attachments"].values()) == store.counts()["attachments"] > 0
        newest = max(each["sent_at"] for each in store.export())
    assert ledger["newest_message"] >= newest and ledger["source_changed"]


def test_every_collect_is_remembered(collected: Workspace, sample: demo.Sample) -> None:
    second, first = told(collected)["collects"]
    assert list(first) == ["at", "path", "rows", "new", "changed", "gone"]
    assert first["new"] == sum(told(collected)["kept"].values()) and first["at"] <= second["at"]
    assert (second["new"], second["changed"], second["gone"]) == (0, 0, 0)
    assert first["rows"] == second["rows"] == sample.message_rows and first["path"] == str(sample.chat_db)


def test_status_says_it_in_words(collected: Workspace) -> None:
    shown, ledger = ventriloquist(collected, "status").stdout, told(collected)
    assert f"Of {ledger['source_rows']:,} rows in the source:" in shown
    words = " ".join(shown.split())
    for verb in ("kept", "dropped"):
        for what, rows in ledger[verb].items():
            assert f"{rows:,} {verb} {what}" in words
    assert all(REASONS[reason] in words for reason in ledger["dropped"])
    states = ledger["attachments"]
    assert f"Attachments: {states['present']:,} on this disk, {states['offloaded']:,} in iCloud only" in words
    assert "Newest message: 20" in words and all(" ".join(each.split()) in words for each in ledger["warnings"])


def test_the_whole_ledger_is_a_table_that_adds_up(collected: Workspace) -> None:
    shown, ledger = ventriloquist(collected, "status", "--ledger").stdout, told(collected)
    lines = shown.splitlines()
    head = next(number for number, line in enumerate(lines) if line.rstrip().endswith("all"))
    years = lines[head].split()[:-1]
    assert years == list(ledger["years"])
    found: dict[str, list[int]] = {}
    for line in lines[head + 1 :]:
        if not line:
            break
        name, *cells = re.split(r"\s{2,}", line.strip())
        found[name] = [0 if cell == "·" else int(cell.replace(",", "")) for cell in cells]
    for name, cells in found.items():
        assert len(cells) == len(years) + 1 and sum(cells[:-1]) == cells[-1], name
    for verb in ("kept", "dropped"):
        assert {name: found[name][-1] for name in ledger[verb]} == ledger[verb]
        parts = [found[name] for name in ledger[verb]]
        assert found[verb] == [sum(column) for column in zip(*parts, strict=True)]
    assert found["all rows"] == [a + b for a, b in zip(found["kept"], found["dropped"], strict=True)]
    assert found["all rows"][-1] == ledger["source_rows"] and "Collected 2 times" in shown


def test_undated_rows_have_a_column_of_their_own(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    ledger = Ledger()
    ledger.keep(Kind.TEXT, 10**15)
    ledger.drop("empty", 0, 7)
    write(workspace, ledger)
    assert told(workspace)["years"] == {
        "0": {"kept": {}, "dropped": {"empty": 7}},
        "2001": {"kept": {"text": 1}, "dropped": {}},
    }
    shown = ventriloquist(workspace, "status", "--ledger").stdout
    assert re.search(r"no date +2001 +all", shown) and re.search(r"empty +7 +· +7", shown)


def test_nothing_collected_is_an_empty_ledger(tmp_path: Path) -> None:
    assert told(Workspace(tmp_path / "new")) == empty_ledger()
    done = ventriloquist(tmp_path / "new", "status", "--ledger")
    assert done.returncode == 0 and "ventriloquist collect" in done.stdout
    with Store.open(Workspace(tmp_path / "old"), create=True) as store:
        assert list(ledger_of(store)) == list(empty_ledger())


def test_at_most_so_many_collects_are_told(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write(workspace, Ledger())
    with Store.open(workspace) as store:
        for number in range(COLLECTS + 5):
            with store.updating("sample", CHATS, PEOPLE, CONVERSATIONS) as update:
                update.digest(0), update.digest(1)
                update.finish(Book("", "US", (), ()))
                update.report({"rows": number})
        found = ledger_of(store)["collects"]
    assert [each["rows"] for each in found] == [*range(COLLECTS + 4, 4, -1)]


@pytest.mark.parametrize("words", [["status"], ["status", "--ledger"]])
def test_hostile_paths_and_warnings_reach_no_terminal(tmp_path: Path, words: list[str]) -> None:
    hostile = [text for _, text in hostile_strings() if len(text) < 300]
    workspace = Workspace(tmp_path)
    ledger = Ledger()
    for text in hostile:
        ledger.drop(text.encode(errors="ignore").decode(), 10**15)
    write(workspace, ledger, {"path": " ".join(hostile), "warnings": hostile, "newest": "2024-01-01T00:00:00Z"})
    done = ventriloquist(workspace, *words)
    assert done.returncode == 0 and not CONTROLS.search(done.stdout.replace("\n", ""))


CHATS = [Chat("chat", "sample", ChatKind.DM, ("a@example.com",))]
PEOPLE = [Person("me", "Dana", (), is_me=True), Person("a@example.com", "Ana", ("a@example.com",))]
CONVERSATIONS = [Conversation("dm-1", ChatKind.DM, ("a@example.com", "me"))]


def write(workspace: Workspace, ledger: Ledger, report: dict[str, Any] | None = None) -> None:
    """A history of one message with this ledger."""
    message = Message("guid", "sample", 1, "chat", Kind.TEXT, True, 10**15, None, "hey")
    with Store.open(workspace, create=True) as store:
        replace_history(store, "sample", CHATS, CONVERSATIONS, PEOPLE, iter([message]), ledger)
        if report is not None:
            with store.updating("sample", CHATS, PEOPLE, CONVERSATIONS) as update:
                update.digest(0), update.digest(1)
                update.finish(Book("", "US", (), ()))
                update.report(report)
