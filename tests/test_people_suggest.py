"""Likely duplicates: which signs add up, which speak against, and how fast they are found."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.hostile import hostile_strings
from ventriloquist.people import find_conversations, identify
from ventriloquist.people.evidence import DAY, Life, Scene, Sign, all_signs, counter_signs, succession
from ventriloquist.people.suggesting import Suggestion, suggest
from ventriloquist.records import (
    ME,
    MICROSECONDS,
    Book,
    Chat,
    ChatKind,
    Contact,
    Conversation,
    Kind,
    Ledger,
    Message,
    Person,
)  # fmt: skip
from ventriloquist.store import Store
from ventriloquist.text import clean_name
from ventriloquist.workspace import Workspace

CARD = "shared_cards"


def scene(*people: tuple[str, ...], groups: list[tuple[str, ...]] | None = None, cards: object = ()) -> Scene:
    """People by name and handles; the key is the first handle."""
    by_key = {
        handles[0]: Person(handles[0], name or handles[0], handles)
        for name, *rest in people
        for handles in [tuple(rest)]
    }
    conversations = [
        Conversation(f"group-{number}", ChatKind.GROUP, (*members, ME)) for number, members in enumerate(groups or [])
    ]
    return Scene(by_key, conversations, {}, {}, list(cards))  # type: ignore[call-overload]


def signs(found: Scene) -> dict[tuple[str, frozenset[str]], Sign]:
    return {(kind, frozenset((sign.one, sign.other))): sign for kind, sign in all_signs(found)}


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("Maya Lind", "Maya Lind", "same_names"),
        ("Maya", "Maya (2)", "same_names"),
        ("MÁYA Lind", "maya lind", "same_names"),
        ("Lind, Maya", "Maya Lind", "same_names"),
        ("Maya 🌻", "maya", "same_names"),
        ("Maya", "Maya Lind", "parts_of_names"),
        ("Maya L.", "Maya Lind", "parts_of_names"),
        ("Jonathan Sample", "Jonathon Sample", "near_names"),
        ("Jonathan Sample", "Jonathan Sampel", "near_names"),
        ("Maya", "Theo", None),
        ("Maya Lind", "Maya Berg", None),
        ("Ann", "Anna", None),
        ("🌻", "😀", None),
    ],
)
def test_names(one: str, other: str, kind: str | None) -> None:
    found = signs(scene((one, "+12025550101"), (other, "+12025550199")))
    assert [kind for kind, _ in found] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("name", "address", "spells"),
    [
        ("Maya Lind", "maya.lind@example.com", True),
        ("Maya Lind", "lindmaya88@example.com", True),
        ("Maya Lind", "mlind+news@example.com", True),
        ("Maya", "maya99@example.com", True),
        ("Zoë Łukasik", "zoe.lukasik@example.com", True),
        ("Maya Lind", "m@example.com", False),
        ("Info Sample", "info@example.com", False),
        ("Al", "al@example.com", False),
        ("Maya Lind", "urn:biz:maya.lind@x", False),
    ],
)
def test_addresses_that_spell_a_name(name: str, address: str, spells: bool) -> None:
    found = signs(scene((name, "+12025550101"), ("", address)))
    assert (("spelt_addresses", frozenset(("+12025550101", address))) in found) is spells


def test_addresses_and_numbers_that_are_alike() -> None:
    found = signs(
        scene(
            ("", "sample.person@example.com"), ("", "sample.person@work.example"), ("", "noreply@a.example"),
            ("", "noreply@b.example"), ("", "555-0188"), ("", "+12025550188"), ("", "+442025550188"), ("", "22000"),
        )
    )  # fmt: skip
    assert {(kind, *sorted(pair)) for kind, pair in found} == {
        ("like_addresses", "sample.person@example.com", "sample.person@work.example"),
        ("like_numbers", "+12025550188", "555-0188"),
        ("like_numbers", "+442025550188", "555-0188"),
        ("like_numbers", "+12025550188", "+442025550188"),
    }


def test_a_shared_card_counts_if_it_names_one_of_them() -> None:
    both = frozenset(("+12025550101", "+12025550102"))
    named = signs(scene(("Maya", "+12025550101"), ("", "+12025550102"), cards=[("Maya", both)]))
    family = signs(scene(("Mum", "+12025550101"), ("Dad", "+12025550102"), cards=[("Home", both)]))
    assert named[CARD, both].weight > 2 > family[CARD, both].weight


def test_groups_that_are_the_same_but_for_two() -> None:
    a, b, c, d = "+12025550101", "+12025550102", "+12025550103", "+12025550104"
    people = [("A", a), ("B", b), ("C", c), ("D", d)]
    once = signs(scene(*people, groups=[(a, c, d), (b, c, d)]))["equal_groups", frozenset((a, b))]
    twice = signs(scene(*people, groups=[(a, c, d), (b, c, d), (a, d), (b, d)]))["equal_groups", frozenset((a, b))]
    assert twice.weight > once.weight > 2
    assert "C and D" in once.sentence
    small = signs(scene(*people, groups=[(a, c), (b, c)]))["equal_groups", frozenset((a, b))]
    assert small.weight < 2


def test_one_falls_silent_when_the_other_begins() -> None:
    found = scene(("A", "a@example.com"), ("B", "b@example.com"))
    found.lives = {"a@example.com": Life(50, 0, 100 * DAY), "b@example.com": Life(50, 103 * DAY, 200 * DAY)}
    sign = succession(found, "b@example.com", "a@example.com")
    assert sign and sign.sentence == "A wrote until 1970-04-11, and B began 3 days later."
    found.lives = {"a@example.com": Life(50, 0, 150 * DAY), "b@example.com": Life(50, 103 * DAY, 200 * DAY)}
    assert succession(found, "a@example.com", "b@example.com") is None


def test_writing_in_one_group_speaks_against() -> None:
    found = scene(("A", "a@example.com"), ("B", "b@example.com"))
    wrote = counter_signs(found, "a@example.com", "b@example.com", Counter({True: 2, False: 1}))
    listened = counter_signs(found, "a@example.com", "b@example.com", Counter({False: 1}))
    assert wrote and listened and wrote.weight < listened.weight < 0
    assert counter_signs(found, "a@example.com", "b@example.com", Counter()) is None


def many(people: int, messages: int) -> tuple[Book, list[Chat], list[Message]]:
    """People with names that often begin alike, in chats of two and in groups."""
    handles = [f"+1202{5550000 + number}" if number % 3 else f"p{number}@example.com" for number in range(people)]
    firsts, lasts = [f"First{chr(97 + n % 26)}" for n in range(40)], [f"Last{n}" for n in range(400)]
    cards = [Contact(f"{firsts[n % 40]} {lasts[n * 7 % 400]}", (h,)) for n, h in enumerate(handles) if n % 4]
    chats = [Chat(f"dm;{handle}", "sample", ChatKind.DM, (handle,)) for handle in handles]
    chats += [
        Chat(f"g{n}", "sample", ChatKind.GROUP, tuple(sorted({handles[(n * k + k) % people] for k in range(1, 9)})))
        for n in range(people // 4)
    ]
    found = []
    for number in range(messages):
        chat = chats[number * 31 % len(chats)]
        sender = chat.handles[number % len(chat.handles)]
        at = 1_600_000_000 * MICROSECONDS + number * 900 * MICROSECONDS
        found.append(Message(f"m{number}", "sample", number, chat.guid, Kind.TEXT, False, at, sender, "x"))
    return Book("Me", "US", (), tuple(handles), (tuple(cards),)), chats, found


def fill(workspace: Workspace, book: Book, chats: list[Chat], messages: list[Message]) -> Store:
    people = identify(book, [])
    store = Store.open(workspace, create=True)
    ledger = Ledger()
    for message in messages:
        ledger.keep(message.kind, message.sent_at)
    with store.updating("sample", chats, people, find_conversations(chats, people)) as update:
        update.put(1, b"1", messages, ledger)
        update.finish(book)
        update.report({})
    return store


@pytest.mark.slow
def test_a_hundred_thousand_messages_take_a_moment(workspace: Workspace) -> None:
    with fill(workspace, *many(2_000, 100_000)) as store:
        began = time.process_time()
        found = suggest(store, workspace)
        assert time.process_time() - began < 5
    assert found == sorted(found, key=lambda each: ("very likely", "likely", "possible").index(each.confidence))


def test_hostile_names_and_addresses_make_plain_sentences(workspace: Workspace) -> None:
    texts = [text[:300] for _, text in hostile_strings() if text.strip()]
    handles = list(dict.fromkeys([*texts, *(f"{text[:40]}@example.com" for text in texts)]))
    cards = [Contact(text, (handle,)) for text, handle in zip([*texts, *texts], handles, strict=False)]
    chats = [Chat(f"dm;{number}", "sample", ChatKind.DM, (handle,)) for number, handle in enumerate(handles)]
    messages = [
        Message(f"m{n}", "sample", n, chat.guid, Kind.TEXT, False, n * MICROSECONDS, chat.handles[0], "x")
        for n, chat in enumerate(chats)
    ]
    with fill(workspace, Book("", "US", (), tuple(handles), (tuple(cards),)), chats, messages) as store:
        found = suggest(store, workspace)
    assert found
    for each in found:
        for sentence in (*each.evidence, *each.against):
            assert sentence == clean_name(sentence) or "\x1b" not in sentence
            assert "\n" not in sentence and len(sentence) < 400


def test_a_name_that_looks_like_an_option_gives_way_to_an_address(tmp_path: Path) -> None:
    one, other = Person("1", "--json", ("1",)), Person("2", "Maya Lind", ("2",))
    assert Suggestion(one, other, (1, 1), "likely", (), ()).command == "ventriloquist people merge 1 'Maya Lind'"
