"""data/contacts_to_ids.jsonl while it is edited: nothing in it is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import hostile_strings
from ventriloquist.faults import Fault
from ventriloquist.people import normaliser, read_contacts
from ventriloquist.people.decisions import Decisions

A, B, C, D = "+12025550101", "+12025550102", "+12025550103", "d@example.com"


def decisions_of(tmp_path: Path, *lines: bytes) -> Decisions:
    path = tmp_path / "contacts_to_ids.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return Decisions(path, normaliser("US"))


def written(decisions: Decisions) -> list[Any]:
    decisions.write()
    return [json.loads(line) for line in decisions.path.read_bytes().splitlines()]


def line(name: str, *ids: str, **more: object) -> bytes:
    return json.dumps({"contact": name, "ids": ids, **more}).encode()


def test_what_is_not_decided_about_stays_byte_for_byte(tmp_path: Path) -> None:
    lines = [
        b'{"ids":["+12025550101"],   "contact":"Maya", "note": 1}\r',
        b"not json at all",
        b"",
        b"\xff\xfe\x00",
        b'{"contact": "No ids"}',
        b'{"contact": "Theo", "ids": ["+12025550102"], "apart": 7, "me": "yes"}',
    ]
    decisions = decisions_of(tmp_path, *lines)
    decisions.write()
    assert decisions.path.read_bytes() == b"\n".join(lines) + b"\n"
    decisions.settle("Theodor", [B, C])
    decisions.write()
    content = decisions.path.read_bytes().split(b"\n")
    assert content[:5] == lines[:5]
    assert json.loads(content[5]) == {"contact": "Theodor", "ids": [B, C]}
    assert read_contacts(decisions.path)[1] == [2, 4, 5]
    assert decisions.path.stat().st_mode & 0o777 == 0o600


def test_settling_joins_lines_where_the_first_of_them_stood(tmp_path: Path) -> None:
    decisions = decisions_of(
        tmp_path,
        line("Other", "x@example.com"),
        line("Maya", "(202) 555-0101", "unseen@example.com", note="kept"),
        line("Between", "y@example.com"),
        line("Maya Lind", B, apart=[C, A]),
    )
    decisions.settle("Maya Lind", [B, A, D])
    assert written(decisions) == [
        {"contact": "Other", "ids": ["x@example.com"]},
        {"contact": "Maya Lind", "ids": ["(202) 555-0101", "unseen@example.com", B, D], "apart": [C], "note": "kept"},
        {"contact": "Between", "ids": ["y@example.com"]},
    ]


def test_an_address_of_an_earlier_line_is_left_to_it(tmp_path: Path) -> None:
    decisions = decisions_of(tmp_path, line("Mum", A, B), line("Dad", A, C))
    decisions.settle("Father", [C])
    assert written(decisions) == [{"contact": "Mum", "ids": [A, B]}, {"contact": "Father", "ids": [C]}]


def test_parting_stands_behind_and_before_whoever_claims_it_too(tmp_path: Path) -> None:
    decisions = decisions_of(tmp_path, line("Mum", A, B), line("Dad", A, C))
    decisions.part(decisions.settle("Mum", [A, B]), {A}, "Home")
    assert [each["contact"] for each in written(decisions)] == ["Mum", "Home", "Dad"]
    again = Decisions(decisions.path, normaliser("US"))
    assert [each.name for each in again.owners([A, B, C])] == ["Home", "Mum", "Dad"]


@pytest.mark.parametrize(("name", "text"), hostile_strings()[:70])
def test_hostile_names_come_back(tmp_path: Path, name: str, text: str) -> None:
    decisions = decisions_of(tmp_path)
    decisions.add(text, [A, text])
    decisions.add("After", [B])
    decisions.write()
    contacts, bad = read_contacts(decisions.path)
    assert bad == []
    assert [contact.name for contact in contacts] == [text, "After"]
    assert contacts[0].handles == (A, text)


def test_a_file_that_may_not_be_read_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "contacts_to_ids.jsonl"
    path.mkdir()
    with pytest.raises(Fault):
        Decisions(path, normaliser("US"))
    assert path.is_dir()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_a_fault(tmp_path: Path) -> None:
    decisions = decisions_of(tmp_path, line("Maya", A))
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(Fault, match="Permission denied"):
            decisions.write()
    finally:
        tmp_path.chmod(0o700)
