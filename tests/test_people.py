"""Who is who: handles, contacts, people of one name, and the conversations they make."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.hostile import hostile_strings
from ventriloquist.people import (
    find_conversations,
    find_people,
    normaliser,
    read_contacts,
    region_of,
)
from ventriloquist.records import ME, UNKNOWN, Chat, ChatKind, Contact, Person
from ventriloquist.sources.imessage.addressbook import FILE, read_address_books

MAYA, MAIL, THEO, HOME = "+12025550101", "maya@example.com", "+442079460018", "+12025550177"
us = normaliser("US")


@pytest.mark.parametrize(
    ("written", "region", "normal"),
    [
        ("(202) 555-0101", "US", MAYA),
        ("202.555.0101", "US", MAYA),
        ("+1 202 555 0101", "GB", MAYA),
        ("1-202-555-0101", "US", MAYA),
        ("\u202a+1\u00a0202\u2011555\u20110101\u202c", "US", MAYA),
        ("020 7946 0018", "GB", THEO),
        ("+12345678900", "US", "+12345678900"),
        ("Maya@Example.COM ", "US", MAIL),
        ("22000", "US", "22000"),
        ("555-0101", "US", "555-0101"),
        ("urn:biz:7f7a-AB", "US", "urn:biz:7f7a-AB"),
        ("AMAZON", "US", "AMAZON"),
        ("99999999999999999999", "US", "99999999999999999999"),
        ("+0000000000", "US", "+0000000000"),
        ("", "US", ""),
    ],
)
def test_handles_are_normalised_and_never_lost(written: str, region: str, normal: str) -> None:
    assert normaliser(region)(written) == normal
    assert normaliser(region)(normal) == normal


def test_the_region_is_the_setting_or_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert region_of("") == "DE"
    assert region_of("gb") == "GB"
    monkeypatch.setenv("LC_ALL", "C")
    assert region_of("") == "US"


def people_of(
    handles: list[str], *books: list[Contact], mine: tuple[str, ...] = (), name: str = ""
) -> dict[str, Person]:
    return {person.key: person for person in find_people(handles, books, mine, name, us)}


def test_contacts_bring_handles_together_and_name_them() -> None:
    people = people_of([MAYA, MAIL, THEO], [Contact("Maya  Lind\n", ("(202) 555-0101", "MAYA@example.com"))])
    assert set(people) == {MAYA, THEO, ME, UNKNOWN}
    assert people[MAYA] == Person(MAYA, "Maya Lind", (MAYA, MAIL))
    assert people[THEO].name == THEO  # nobody says a name


def test_namesakes_without_a_link_stay_two() -> None:
    book = [Contact("Maya", (MAYA,)), Contact(" Maya ", (MAIL,)), Contact("Maya (2)", (THEO,))]
    people = people_of([MAYA, MAIL, THEO], book)
    assert sorted(person.name for person in people.values()) == ["Maya", "Maya (2)", "Maya (3)", "Me", "Unknown"]
    assert people[THEO].name == "Maya (2)"  # who is called so keeps it
    assert people_of([MAYA, MAIL, THEO], book) == people


def test_my_name_is_mine_alone() -> None:
    people = people_of([MAYA], [Contact("Alex", (MAYA,))], name="Alex")
    assert (people[ME].name, people[MAYA].name) == ("Alex", "Alex (2)")


def test_the_contacts_file_wins_over_the_address_book() -> None:
    card = Contact("Mum", (MAYA, MAIL))
    renamed = people_of([MAYA, MAIL], [Contact("Maya", (MAYA,))], [card])
    assert renamed[MAYA] == Person(MAYA, "Maya", (MAYA, MAIL))  # the card still says whose address it is
    split = people_of([MAYA, MAIL], [Contact("Maya", (MAYA,)), Contact("Theo", (MAIL,))], [card])
    assert (split[MAYA].name, split[MAIL].name) == ("Maya", "Theo")


def test_a_number_that_a_family_shares_does_not_merge_it() -> None:
    family = [Contact("Mum", (HOME, MAYA)), Contact("Dad", (HOME, THEO))]
    people = people_of([HOME, MAYA, THEO], family)
    assert people[MAYA].handles == (MAYA, HOME)
    assert people[THEO] == Person(THEO, "Dad", (THEO,))
    named = people_of([HOME, MAYA, THEO], [Contact("Mother", (HOME,))], family)
    assert (named[MAYA].name, named[THEO].name) == ("Mother", "Dad")


def test_the_same_card_in_two_accounts_is_one_person() -> None:
    people = people_of([MAYA, MAIL, THEO], [Contact("Maya", (MAYA, MAIL)), Contact("Maya", (MAIL, THEO))])
    assert people[MAYA].handles == tuple(sorted((MAYA, MAIL, THEO)))


def test_handles_that_messages_links_are_one_person() -> None:
    linked = [Contact("", (MAYA, MAIL))]
    assert people_of([MAYA, MAIL], [], linked)[MAYA].handles == (MAYA, MAIL)
    assert people_of([MAYA, MAIL], [Contact("Maya", (MAIL,))], linked)[MAYA].name == "Maya"


def test_everything_of_mine_is_me() -> None:
    card = Contact("Alex Lind", ("alex@example.com",), is_me=True)
    people = people_of([MAYA, "alex@example.com", HOME], [card], mine=(HOME,), name="Alex")
    assert people[ME] == Person(ME, "Alex", (HOME, "alex@example.com"), is_me=True)
    assert set(people) == {ME, MAYA, UNKNOWN}


def test_hostile_names_and_handles_make_unique_names() -> None:
    strings = [text[:500] for _, text in hostile_strings() if text]
    handles = [us(text) for text in strings]
    people = find_people(handles, [[Contact(text, (text,)) for text in strings]], [], "", us)
    assert len({person.name for person in people}) == len(people)
    assert len({person.key for person in people}) == len(people) == len(set(handles)) + 2
    assert all(person.name for person in people)
    for person in people:
        assert "\n" not in person.name
        assert "\x1b" not in person.name
    assert {"me", "unknown"} & {person.key for person in people if person.handles} == set()
    chats = [
        Chat(str(n), "imessage", ChatKind.DM, (handle,), text)
        for n, (handle, text) in enumerate(zip(handles, strings, strict=True))
    ]
    conversations = find_conversations(chats, people)
    assert len({conversation.id for conversation in conversations}) == len(set(handles))


def test_conversations_are_of_people_and_kind() -> None:
    people = find_people([MAYA, MAIL, THEO], [[Contact("Maya", (MAYA, MAIL))]], [HOME], "", us)
    chats = [
        Chat("sms", "imessage", ChatKind.DM, (MAYA,)),
        Chat("mail", "imessage", ChatKind.DM, (MAIL,)),
        Chat("left", "imessage", ChatKind.GROUP, (MAYA,)),
        Chat("one", "imessage", ChatKind.GROUP, (MAYA, THEO), "Beach"),
        Chat("two", "imessage", ChatKind.GROUP, (HOME, MAIL, THEO), " Beach\nhouse "),
        Chat("three", "imessage", ChatKind.GROUP, (MAIL, THEO)),
        Chat("self", "imessage", ChatKind.DM, (HOME,)),
    ]
    found = {(each.kind.value, each.members): each for each in find_conversations(chats, people)}
    assert set(found) == {
        ("dm", (MAYA, ME)),
        ("group", (MAYA, ME)),
        ("group", (MAYA, THEO, ME)),
        ("dm", (ME,)),
    }
    assert found["group", (MAYA, THEO, ME)].name == "Beach house"
    again = find_conversations(list(reversed(chats)), people)
    assert [each.id for each in again] == sorted(each.id for each in found.values())


def test_the_contacts_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "contacts_to_ids.jsonl"
    assert read_contacts(path) == ([], [])
    path.write_bytes(
        b'{"contact": "Maya", "ids": ["(202) 555-0101"]}\n\nnot json\n{"contact": 5, "ids": []}\n'
        b'{"contact": "Theo", "ids": "x"}\n\xff\xfe\n[1]\n{"contact": "T\\ud800", "ids": [], "more": 1}\n'
        + b"["
        * 99999
    )
    contacts, bad = read_contacts(path)
    assert contacts == [Contact("Maya", ("(202) 555-0101",)), Contact("T\ud800", ())]
    assert bad == [3, 4, 5, 6, 7, 9]


def address_book(folder: Path, cards: list[tuple[str | None, str | None, bool, list[str]]]) -> None:
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / FILE) as connection:
        connection.executescript(
            "CREATE TABLE ZABCDRECORD (Z_PK INTEGER PRIMARY KEY, ZFIRSTNAME VARCHAR, ZLASTNAME VARCHAR,"
            " ZORGANIZATION VARCHAR, ZCONTAINERWHERECONTACTISME INTEGER);"
            "CREATE TABLE ZABCDPHONENUMBER (Z_PK INTEGER PRIMARY KEY, ZOWNER INTEGER, ZFULLNUMBER VARCHAR);"
            "CREATE TABLE ZABCDEMAILADDRESS (Z_PK INTEGER PRIMARY KEY, ZOWNER INTEGER, ZADDRESS VARCHAR);"
        )
        for number, (first, organization, is_me, handles) in enumerate(cards, 1):
            connection.execute(
                "INSERT INTO ZABCDRECORD VALUES (?, ?, NULL, ?, ?)", [number, first, organization, 1 if is_me else None]
            )
            for handle in handles:
                table = "ZABCDEMAILADDRESS" if "@" in handle else "ZABCDPHONENUMBER"
                connection.execute(f"INSERT INTO {table} VALUES (NULL, ?, ?)", [number, handle])
    connection.close()


def test_address_books_of_all_accounts(tmp_path: Path) -> None:
    address_book(tmp_path / "book", [("Alex", None, True, ["+12025550177"])])
    address_book(
        tmp_path / "book" / "Sources" / "A-1",
        [
            ("Maya", None, False, ["(202) 555-0101", "maya@example.com"]),
            (None, "Plumber", False, ["1"]),
            ("X", None, False, []),
        ],
    )
    damaged = tmp_path / "book" / "Sources" / "B-2"
    damaged.mkdir()
    (damaged / FILE).write_bytes(b"SQLite format 3\0" + b"x" * 4000)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    contacts, problems = read_address_books(tmp_path / "book")
    assert contacts == [
        Contact("Alex", ("+12025550177",), True),
        Contact("Maya", ("(202) 555-0101", "maya@example.com")),
        Contact("Plumber", ("1",)),
    ]
    assert len(problems) == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert read_address_books(tmp_path / "none") == ([], [])
