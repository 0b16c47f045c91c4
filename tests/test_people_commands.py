"""ventriloquist people list | merge | rename | split | apart | import | suggest, as commands on a small history."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.collecting import exported, run_collect
from tests.commands import ventriloquist
from tests.people_history import (
    BUSINESS,
    CODE,
    HOME,
    INGRID,
    MAYA,
    MAYA_MAIL,
    MAYA_NEW,
    ME,
    NEW,
    PRIYA,
    SHOP,
    THEO_TWIN,
    write_history,
)  # fmt: skip
from tests.test_people import address_book
from ventriloquist.faults import Exit
from ventriloquist.records import ChatKind
from ventriloquist.sources.imessage.addressbook import FILE
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

VCARDS = """BEGIN:VCARD
VERSION:3.0
FN:Nora Sample
TEL:(202) 555-0107
EMAIL:nora@example.com
END:VCARD
BEGIN:VCARD
FN:Mina
TEL:(202) 555-0101
EMAIL:maya@work.example
END:VCARD
BEGIN:VCARD
FN:Stranger
TEL:+12025550190
END:VCARD
BEGIN:VCARD
FN:Priya
TEL:202.555.0106
END:VCARD
"""


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    write_history(folder)
    return folder


@pytest.fixture
def work(collected: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(collected, tmp_path / "copy")
    return Workspace(tmp_path / "copy" / "work")


def said(work: Workspace, *words: object) -> str:
    done = ventriloquist(work, "people", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(work: Workspace, *words: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said(work, *words, "--json").splitlines()]


def refused(work: Workspace, *words: object, code: Exit = Exit.USAGE) -> str:
    done = ventriloquist(work, "people", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    return done.stderr


def people(work: Workspace) -> dict[str, list[str]]:
    return {each["name"]: each["handles"] for each in objects(work, "list")}


def lines(work: Workspace) -> list[dict[str, Any]]:
    return [json.loads(line) for line in work.contacts.read_text().splitlines()]


def test_list_names_counts_and_keeps_everyone(work: Workspace) -> None:
    listed = {each["name"]: each for each in objects(work, "list")}
    assert listed["Ingrid Sample"] == {
        "name": "Ingrid Sample", "handles": [INGRID, HOME], "is_me": False, "messages": 42,
    }  # fmt: skip
    assert listed["Me"] == {"name": "Me", "handles": [ME], "is_me": True, "messages": 446}
    assert {CODE, BUSINESS, SHOP, "Theo", "Theo (2)"} <= set(listed)
    shown = said(work, "list").splitlines()
    assert shown[0].split() == ["Ingrid", "Sample", "42", f"{INGRID},", HOME]
    assert shown[-1].split() == ["Me", "(you)", "446", ME]
    assert sum(each["messages"] for each in listed.values()) == len(exported(work.root))


def test_merge_makes_one_person_and_one_conversation(work: Workspace) -> None:
    with Store.open(work) as store:
        before = {each.id for each in store.conversations()}
    assert "Maya Lind is one person now" in said(work, "merge", "Maya Lind", "maya", MAYA_MAIL.upper())
    assert people(work)["Maya Lind"] == sorted([MAYA, MAYA_NEW, MAYA_MAIL])
    assert lines(work)[0] == {"contact": "Maya Lind", "ids": ["(202) 555-0101", MAYA_NEW, MAYA_MAIL]}
    assert len(lines(work)) == 5
    with Store.open(work) as store:
        after = store.conversations()
        maya = next(each.key for each in store.people().values() if each.name == "Maya Lind")
        dm = next(each for each in after if each.kind is ChatKind.DM and maya in each.members)
        assert len(list(store.messages(dm.id))) == 2 * (100 + 80 + 1)
        fingerprint = store.fingerprint()
    assert len(after) == len(before) - 3  # two chats of two, and two groups, are one now
    run_collect(work.root, work.root.parent / "source" / "chat.db")
    with Store.open(work) as store:
        assert store.fingerprint() == fingerprint  # as a collect with this file would have it


def test_a_merge_is_taken_back_by_a_split(work: Workspace) -> None:
    with Store.open(work) as store:
        before = store.fingerprint()
    said(work, "merge", "Maya Lind", "Maya")
    assert "Two people now" in said(work, "split", "Maya Lind", "(202) 555-0102", "--as", "Maya")
    with Store.open(work) as store:
        assert store.fingerprint() == before


def test_merging_into_me_and_taking_it_back(work: Workspace) -> None:
    assert "Me (you) is one person now" in said(work, "merge", "Me", MAYA_MAIL)
    assert {"contact": "Me", "ids": [ME, MAYA_MAIL], "me": True} in lines(work)
    assert people(work)["Me"] == [ME, MAYA_MAIL]
    done = ventriloquist(work, "people", "split", "me", MAYA_MAIL)
    assert (done.returncode, "Collect again" in done.stderr) == (0, True)
    assert people(work)["Me"] == [ME]
    assert "is you. To make the others' addresses yours" in refused(work, "merge", "Maya", "Me")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("merge", "Maya", "Nobody"), "Nobody here is called Nobody; see: ventriloquist people list"),
        (("merge", "Maya", "Ingrid"), "Did you mean Ingrid Sample?"),
        (("merge", "Maya", "Thea"), "Did you mean Theo?"),
        (("merge", "Maya", "maya"), "cannot be merged with themselves"),
        (("merge", MAYA_NEW, "Maya"), "cannot be merged with themselves"),
        (("merge", "Maya"), "Name at least two people"),
        (("merge", "Maya", " "), "A name is missing."),
        (("merge", "Maya", "Unknown"), "nobody in particular"),
        (("rename", "Maya", "maya lind"), "ventriloquist people merge 'Maya Lind' Maya"),
        (("rename", "Maya", "Unknown"), "somebody else here"),
        (("rename", "Maya", "\u200b"), "at least one letter"),
        (("rename", "Maya", "x" * 101), "at most 100"),
        (("split", "Ingrid Sample", MAYA), f"whose addresses are: {INGRID}, {HOME}"),
        (("split", "Ingrid Sample", INGRID, HOME), "but not all of them"),
        (("split", "Ingrid Sample", HOME, "--as", "Theo"), "people merge Theo ADDRESS"),
        (("apart", "Theo", "Theo"), "is one person here"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_sentence_and_changes_nothing(
    work: Workspace, words: tuple[str, ...], sentence: str
) -> None:
    before = work.contacts.read_bytes()
    assert sentence in refused(work, *words)
    assert work.contacts.read_bytes() == before


def test_a_name_that_two_people_share_but_for_its_letters(work: Workspace) -> None:
    said(work, "rename", "Theo (2)", "Théodor")
    said(work, "rename", "Theo", "Teo")
    work.contacts.write_text(work.contacts.read_text().replace("Teo", "Theodor"))
    sentence = refused(work, "merge", "Maya", "THEODOR")
    assert "THEODOR may be " in sentence and "Theodor" in sentence and "Théodor" in sentence
    assert "is one person now" in said(work, "merge", "Maya", "Théodor")


def test_rename_names_a_number_and_me(work: Workspace) -> None:
    assert said(work, "rename", NEW, "Nora  Sample") == f"Nora Sample: {NEW}\n"
    assert objects(work, "rename", "Me", "Alex") == [{"name": "Alex", "handles": [ME], "is_me": True}]
    assert people(work)["Nora Sample"] == [NEW]
    assert {"contact": "Alex", "ids": [ME], "me": True} in lines(work)


def test_my_name_of_the_settings_is_not_renamed(collected: Path, tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work").prepare()
    run_collect(work.root, collected / "source" / "chat.db", my_name="Alex")
    assert "MY_NAME" in refused(work, "rename", "Alex", "Sam")


def test_a_number_that_a_merge_began_with_takes_the_name_of_the_other(work: Workspace) -> None:
    assert said(work, "merge", NEW, "Ingrid Sample").startswith("Ingrid Sample is one person now")


def test_split_without_a_name_shows_the_address(work: Workspace) -> None:
    assert [each["name"] for each in objects(work, "split", "Ingrid Sample", HOME)] == ["Ingrid Sample", HOME]
    assert {"contact": "", "ids": [HOME], "apart": [INGRID]} in lines(work)


def test_lines_that_cannot_be_read_outlive_every_command(work: Workspace) -> None:
    work.contacts.write_bytes(b"half a li\n" + work.contacts.read_bytes() + b"\xff\n")
    said(work, "rename", "Theo", "Theodor")
    said(work, "merge", "Theodor", THEO_TWIN)
    content = work.contacts.read_bytes().splitlines()
    assert (content[0], content[-1]) == (b"half a li", b"\xff")
    assert not list(work.data.glob(".*partial"))


def test_import_vcards(work: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "my cards.vcf"
    file.write_text(VCARDS)
    assert objects(work, "import", file) == [
        {"contacts": 4, "in_history": 3, "known": 1, "unreadable": 0, "is_collected": True}
    ]
    found = people(work)
    assert found["Nora Sample"] == [NEW]
    assert found["Maya Lind"] == [MAYA]  # the decision of before keeps her name
    assert lines(work)[0] == {"contact": "Maya Lind", "ids": ["(202) 555-0101", "maya@work.example"]}
    assert lines(work)[-2:] == [
        {"contact": "Nora Sample", "ids": ["(202) 555-0107", "nora@example.com"]},
        {"contact": "Stranger", "ids": ["+12025550190"]},
    ]
    before = work.contacts.read_bytes()
    assert said(work, "import", file) == "4 contacts with an address; 3 of them in the history; 4 known before.\n"
    assert work.contacts.read_bytes() == before


def test_collect_takes_a_card_file_for_an_address_book(collected: Path, tmp_path: Path) -> None:
    file = tmp_path / "cards.vcf"
    file.write_text(VCARDS)
    work = Workspace(tmp_path / "work")
    words = ("--db", collected / "source" / "chat.db", "--address-book", file, "--region", "US")
    assert ventriloquist(work, "collect", *words).returncode == 0
    assert (people(work)["Nora Sample"], people(work)["Mina"]) == ([NEW], [MAYA])
    assert not work.contacts.exists()
    said(work, "merge", "Mina", MAYA_NEW)
    assert people(work)["Mina"] == [MAYA, MAYA_NEW]
    assert people(work)["Nora Sample"] == [NEW]  # the cards are remembered without the file


def test_import_does_not_merge_a_family(work: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "family.vcf"
    cards = [("Mum", NEW, HOME), ("Dad", SHOP, HOME)]
    file.write_text("".join(f"BEGIN:VCARD\nFN:{n}\nTEL:{a}\nTEL:{b}\nEND:VCARD\n" for n, a, b in cards))
    work.contacts.write_text("")
    said(work, "import", file)
    assert (people(work)["Mum"], people(work)["Dad"]) == ([NEW, HOME], [SHOP])


def test_import_before_anything_is_collected(collected: Path, tmp_path: Path) -> None:
    work, file = Workspace(tmp_path / "work"), tmp_path / "c.vcf"
    file.write_text(VCARDS)
    done = ventriloquist(work, "people", "import", file)
    assert (done.returncode, done.stdout) == (0, "4 contacts with an address; 0 known before.\n")
    assert "ventriloquist collect" in done.stderr
    assert work.contacts.stat().st_mode & 0o777 == 0o600
    run_collect(work.root, collected / "source" / "chat.db")
    assert {"Nora Sample", "Mina", "Priya"} <= set(people(work))


def test_import_of_databases_and_of_another_file_of_decisions(work: Workspace, tmp_path: Path) -> None:
    cards = [("Nora", None, False, [NEW]), ("Priya", None, False, [PRIYA]), ("Alex", None, True, [ME])]
    address_book(tmp_path / "book", cards)
    assert said(work, "import", tmp_path / "book" / FILE).startswith("3 contacts")
    assert {"contact": "Alex", "ids": [ME], "me": True} in lines(work)
    iphone = tmp_path / "AddressBook.sqlitedb"
    with sqlite3.connect(iphone) as connection:
        connection.executescript(
            "CREATE TABLE ABPerson (ROWID INTEGER PRIMARY KEY, First TEXT, Last TEXT);"
            "CREATE TABLE ABMultiValue (record_id INTEGER, property INTEGER, value TEXT);"
            f"INSERT INTO ABPerson VALUES (7, 'Code', NULL); INSERT INTO ABMultiValue VALUES (7, 3, '{CODE}');"
        )
    connection.close()
    assert said(work, "import", iphone).startswith("1 contact with an address; 1 of them in the history")
    other = tmp_path / "contacts_to_ids.jsonl"
    other.write_text(f'{{"contact": "Shop", "ids": ["{SHOP}"]}}\nno line\n')
    done = ventriloquist(work, "people", "import", other)
    assert "1 contact with an address" in done.stdout and "cannot be read: 1 line." in done.stderr
    found = people(work)
    assert (found["Nora"], found["Code"], found["Shop"], found["Alex"]) == ([NEW], [CODE], [SHOP], [ME])


@pytest.mark.parametrize("content", [None, b"", b"hello", b"SQLite format 3\0 and no more", b"BEGIN:VCARD\nFN:x\n"])
def test_import_of_what_holds_no_contact(work: Workspace, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    before = work.contacts.read_bytes()
    refused(work, "import", file, code=Exit.NO_INPUT)
    assert work.contacts.read_bytes() == before


def test_nothing_is_collected_yet(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work").prepare()
    for words in (("list",), ("merge", "a", "b"), ("rename", "a", "b"), ("split", "a", "b"), ("suggest",)):
        assert "ventriloquist collect" in refused(work, *words, code=Exit.NO_INPUT)


def test_a_run_that_holds_the_workspace_is_not_disturbed(work: Workspace) -> None:
    program = (
        "import sys; from pathlib import Path; from ventriloquist.locks import hold\n"
        "with hold(Path(sys.argv[1]), 'a test'): print('held', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    holder = subprocess.Popen([sys.executable, "-c", program, str(work.lock)], **pipes)
    assert holder.stdout and holder.stdout.readline()
    before = work.contacts.read_bytes()
    try:
        for words in (("merge", "Maya", "Priya"), ("import", work.contacts)):
            assert "Another run holds" in refused(work, *words, code=Exit.BUSY)
        assert "Maya" in people(work)
    finally:
        holder.communicate()
    assert work.contacts.read_bytes() == before


def test_suggest_gives_evidence_and_the_command(work: Workspace) -> None:
    found = objects(work, "suggest")
    assert [(each["people"][0]["name"], each["people"][1]["name"], each["confidence"]) for each in found] == [
        ("Maya Lind", "Maya", "very likely"),
        ("Maya Lind", MAYA_MAIL, "likely"),
        ("Ingrid Sample", NEW, "possible"),
    ]
    assert "4 days later" in " ".join(found[0]["evidence"])
    shown = said(work, "suggest", "--limit", 1)
    assert shown.startswith("Maya Lind and Maya: very likely\n  + ") and "day 1" not in shown
    words = shlex.split(found[0]["command"])
    assert words[:2] == ["ventriloquist", "people"]
    assert "is one person now" in said(work, *words[2:])
    assert len(objects(work, "suggest")) == 2


def test_what_was_kept_apart_or_split_is_not_suggested(work: Workspace) -> None:
    said(work, "apart", "Maya", "Maya Lind")
    said(work, "merge", "Maya Lind", MAYA_MAIL)
    said(work, "split", "Maya Lind", MAYA_MAIL)
    assert [each["people"][0]["name"] for each in objects(work, "suggest")] == ["Ingrid Sample"]


def test_every_command_has_help(tmp_path: Path) -> None:
    assert "people" in said(Workspace(tmp_path), "--help")
    for verb in ("list", "merge", "rename", "split", "apart", "import", "suggest"):
        assert "--json" in said(Workspace(tmp_path), verb, "--help")
