"""What a person types in a chat, understood and completed."""

from __future__ import annotations

import pytest

from tests.hostile import hostile_strings
from ventriloquist.chat.commands import (
    COMMANDS,
    LONGEST,
    Completions,
    complete,
    match_name,
    number_of,
    numbered,
    split_names,
    understand,
)
from ventriloquist.chat.options import OPTIONS, option_in
from ventriloquist.faults import UsageFault


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("hello", (None, "hello", None)),
        ("/target Ann", ("target", "Ann", None)),
        ("//shrug", (None, "/shrug", None)),
        ("ann: hi", (None, "hi", "Ann")),
        ("Ann Marie: hi", (None, "hi", "Ann Marie")),
        ("Bob: hi", (None, "Bob: hi", None)),
        ("a: b: c", (None, "c", "a: b")),
        ("/quit: I am called so", (None, "I am called so", "/quit")),
        ("/quit", ("quit", "", None)),
        ("//x: y", (None, "y", "//x")),
        ('😂 "Q": yes', (None, "yes", '😂 "Q"')),
        ("Ann:no space", (None, "Ann:no space", None)),
        ("", (None, "", None)),
    ],
)
def test_what_is_typed(typed: str, expected: tuple[str | None, str, str | None]) -> None:
    understood = understand(typed, ["Ann", "Ann Marie", "a: b", "Me", "/quit", "//x", '😂 "Q"'])
    assert (understood.command, understood.rest, understood.name) == expected


def test_an_unknown_command_is_told() -> None:
    with pytest.raises(UsageFault, match="/help"):
        understand("/nonsense", ["Ann"])


def test_ten_megabytes_are_one_sentence() -> None:
    with pytest.raises(UsageFault, match=r"10,000,000 characters long; a message may have 20,000\."):
        understand("x" * 10_000_000, ["Ann"])
    assert understand("x" * LONGEST, []).rest == "x" * LONGEST


def test_names_with_spaces_quotes_and_commas() -> None:
    known = ["Ann Marie", "Ann", 'Bob "B" Lee', "Zoë", "Lee, Kim", "Jo: Jo"]
    assert split_names("Ann Marie Zoë", known) == ["Ann Marie", "Zoë"]
    assert split_names('ann, bob "b" lee', known) == ["Ann", 'Bob "B" Lee']
    assert split_names("Lee, Kim, Zoe, Jo: Jo", known) == ["Lee, Kim", "Zoë", "Jo: Jo"]
    assert split_names("Zo Somebody", known) == ["Zoë", "Somebody"]
    assert split_names('"Mr Nobody", Ann', known) == ["Mr Nobody", "Ann"]
    assert split_names("", known) == [] and split_names(" , ,", known) == []


def test_a_name_is_meant_by_its_beginning_without_accents() -> None:
    assert match_name("zoe", ["Zoë", "Ann"]) == "Zoë"
    assert match_name("a", ["Ann", "Amy"]) == "a"
    assert match_name("ann", ["Ann Marie", "Ann"]) == "Ann"


def test_messages_by_number() -> None:
    assert numbered("#3 and more") == (3, "and more")
    assert numbered("#3") == (3, "") and numbered("3 apples") == (None, "3 apples")
    assert number_of("#4", "/pick", 1, 4) == 4
    for said in ("x", "0", "5", "-1", "1.5", "²", ""):
        with pytest.raises(UsageFault, match="1 to 4"):
            number_of(said, "/pick", 1, 4)


def test_completion() -> None:
    known = Completions(["Ann Marie", "Ben"], ["Ann Marie", "Ben", "Me"], list(OPTIONS), ["tiny-1", "big"])
    assert complete("/ta", known) == ["/target "]
    assert complete("/target A", known) == ["/target Ann Marie", "/target any"]
    assert complete("/members Ann Marie, b", known) == ["/members Ann Marie, Ben"]
    assert complete("/set te", known) == ["/set temperature"]
    assert complete("/react #3 lo", known) == ["/react #3 Loved"]
    assert complete("/type ", known) == ["/type dm", "/type group"]
    assert complete("/checkpoint t", known) == ["/checkpoint tiny-1"]
    assert complete("an", known) == ["Ann Marie: "]
    assert complete("hello", known) == [] and complete("", known) == []
    assert {line.split()[0] for line in complete("/", known)} == {f"/{command.name}" for command in COMMANDS}


@pytest.mark.parametrize(
    ("rest", "expected"),
    [("temperature 0.9", ("temperature", 0.9)), ("top-p=0.5", ("top_p", 0.5)), ("seed 7", ("seed", 7))],
)
def test_options(rest: str, expected: tuple[str, float]) -> None:
    assert option_in(rest) == expected


@pytest.mark.parametrize("rest", ["", "warmth 3", "temperature", "temperature hot", "temperature 99", "temperature nan",
                                  "max_messages 1.5", "delay -1", "seed 1e9"])  # fmt: skip
def test_options_that_are_none(rest: str) -> None:
    with pytest.raises(UsageFault, match="takes"):
        option_in(rest)


@pytest.mark.parametrize(("ident", "text"), hostile_strings(), ids=lambda value: None)
def test_hostile_input(ident: str, text: str) -> None:
    known = Completions([text[:200], "Ann"], [text[:200], "Ann"], [], [text[:50]])
    for typed in (
        text[:500],
        f"/target {text[:200]}",
        f"/members {text[:200]}",
        f"/set {text[:50]}",
        f"{text[:200]}: x",
    ):
        try:
            understood = understand(typed, known.members)
        except UsageFault as fault:
            assert len(str(fault)) < 200
        else:
            assert understood.name in (None, *known.members)
        complete(typed, known)
        assert all(split_names(typed, known.members))
