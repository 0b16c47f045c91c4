"""Who is who: handles, contacts, people of one name, and the conversations they make."""

from __future__ import annotations

import plistlib
import sqlite3
from pathlib import Path

import pytest

from tests.hostile import hostile_strings
from ventriloquist.people import (
    find_conversations,
    find_people,
    identify,
    normaliser,
    read_contacts,
    region_of,
)
from ventriloquist.people import handles as handles_module
from ventriloquist.records import ME, UNKNOWN, Book, Chat, ChatKind, Contact, Person
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


@pytest.mark.parametrize(
    ("content", "region"),
    [
        (plistlib.dumps({"AppleLocale": "de_DE"}), "DE"),
        (plistlib.dumps({"AppleLocale": "en-GB"}, fmt=plistlib.FMT_BINARY), "GB"),
        (plistlib.dumps({"AppleLocale": "zh-Hant_TW"}), "TW"),
        (plistlib.dumps({"AppleLocale": "en_US@rg=atzzzz"}), "AT"),
        (plistlib.dumps({"AppleLocale": "en_US@calendar=japanese;rg=gbzzzz"}), "GB"),
        (plistlib.dumps({"AppleLocale": "eo"}), "US"),
        (plistlib.dumps({"AppleLocale": 5}), "US"),
        (plistlib.dumps(["AppleLocale"]), "US"),
        (b"bplist00 and then nothing", "US"),
        (b"<plist><dict>", "US"),
        (None, "US"),
    ],
)
def test_the_region_of_a_mac_is_its_own_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, region: str
) -> None:
    preferences = tmp_path / "preferences.plist"
    if content is not None:
        preferences.write_bytes(content)
    monkeypatch.setattr(handles_module, "MAC_PREFERENCES", preferences)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert region_of("") == region
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    assert region_of("") == "FR"


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


def test_cards_of_one_name_that_a_third_one_joins_are_one_person() -> None:
    book = [Contact("Maya", (MAYA,)), Contact("maya", (MAIL,)), Contact("Maya", (MAIL, MAYA, THEO))]
    people = people_of([MAYA, MAIL, THEO], book)
    assert people[MAYA] == Person(MAYA, "Maya", tuple(sorted((MAYA, MAIL, THEO))))


def test_a_number_on_several_cards_and_in_several_spellings_is_one_handle() -> None:
    book = [Contact("Maya", ("202-555-0101", "+1 (202) 555-0101")), Contact("Theo", ("12025550101", THEO))]
    people = people_of([MAYA, THEO], book)
    assert (people[MAYA].handles, people[THEO].handles) == ((MAYA,), (THEO,))


def test_a_card_that_decisions_have_taken_apart_joins_nothing() -> None:
    card = [Contact("Dad", (HOME, THEO, MAIL))]
    apart = [Contact("Dad", (THEO,)), Contact("", (HOME,))]
    people = people_of([HOME, THEO, MAIL], apart, card)
    assert (people[THEO].handles, people[HOME].name) == ((THEO, MAIL), HOME)


def test_short_codes_and_businesses_are_people_of_their_own() -> None:
    senders = ["22000", "urn:biz:7f7a-AB", "SAMPLESHOP"]
    assert {person.name for person in people_of(senders).values()} == {*senders, "Me", "Unknown"}


def book(*cards: Contact, mine: tuple[str, ...] = (HOME,), name: str = "") -> Book:
    return Book(name, "US", mine, (MAYA, MAIL, THEO, HOME), (tuple(cards),))


def identified(known: Book, *decisions: Contact) -> dict[str, Person]:
    return {person.key: person for person in identify(known, decisions)}


def test_my_name_is_the_setting_or_a_decision_or_my_card() -> None:
    card = Contact("Alex Card", (MAIL,), is_me=True)
    decision = Contact("Alex Decided", ("(202) 555-0177",))
    assert identified(book(card, name="Alex Set"), decision)[ME].name == "Alex Set"
    assert identified(book(card), decision)[ME] == Person(ME, "Alex Decided", tuple(sorted((HOME, MAIL))), is_me=True)
    assert identified(book(card))[ME].name == "Alex Card"
    assert identified(book())[ME] == Person(ME, "Me", (HOME,), is_me=True)


def test_a_decision_that_says_who_i_am_is_alone_in_that() -> None:
    mine, landline = Contact("Alex", (MAIL,), is_me=True), Contact("Home", (HOME,))
    people = identified(book(), mine, landline)
    assert people[ME].handles == (MAIL,)
    assert people[HOME].name == "Home"
    assert identified(book(), landline)[ME].name == "Home"  # without it, whoever has my address is me


def test_a_decision_takes_an_address_from_my_card() -> None:
    card = Contact("Alex", (HOME, MAIL), is_me=True)
    people = identified(book(card, mine=(HOME,)), Contact("Maya", (MAYA, MAIL)))
    assert (people[ME].handles, people[MAYA].handles) == ((HOME,), (MAYA, MAIL))


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
    (tmp_path / "book" / "more.VCF").write_text("BEGIN:VCARD\nFN:Theo\nTEL:+442079460018\nEND:VCARD\n")
    assert read_address_books(tmp_path / "book")[0] == [*contacts, Contact("Theo", (THEO,))]
    assert read_address_books(tmp_path / "book" / "more.VCF") == ([Contact("Theo", (THEO,))], [])
    (tmp_path / "book" / "more.VCF").write_text("no card")
    assert len(read_address_books(tmp_path / "book")[1]) == 2
    (tmp_path / "book" / "more.VCF").unlink()
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert read_address_books(tmp_path / "none") == ([], [])
