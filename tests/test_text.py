"""The door to the terminal: what a message may hold never reaches it as a command."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import hostile_strings
from ventriloquist.text import clean_name, cut, escape_controls, is_blank, one_line, plain
from ventriloquist.windows.lines import quote

ANY = st.text(st.characters(exclude_categories=()), max_size=60)
DIRECTIONS = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_safe(text: str) -> bool:
    """No control but newline and tab, no change of direction, nothing that UTF-8 cannot write."""
    unsafe = ("Cc", "Cs")
    return not any((unicodedata.category(c) in unsafe and c not in "\n\t") or c in DIRECTIONS for c in text)


@pytest.mark.parametrize(("name", "text"), hostile_strings())
def test_hostile_strings_are_tamed(name: str, text: str) -> None:
    assert is_safe(plain(text)) and plain(plain(text)) == plain(text)
    line = one_line(text, 40)
    assert is_safe(line) and "\n" not in line and "\t" not in line and len(line) <= 40
    cleaned = clean_name(text)
    assert is_safe(cleaned) and "\n" not in cleaned and clean_name(cleaned) == cleaned


@given(ANY)
def test_plain_takes_away_and_adds_nothing(text: str) -> None:
    shown = plain(text)
    assert is_safe(shown) and plain(shown) == shown and len(shown) <= len(text)
    if is_safe(text) and not set(text) & set("\u2028\u2029\ufeff\ufff9\ufffa\ufffb"):
        assert shown == text


@given(ANY, st.integers(0, 30))
def test_one_line_fits(text: str, width: int) -> None:
    line = one_line(text, width)
    assert is_safe(line) and "\n" not in line and len(line) <= max(width, 1)
    assert one_line(one_line(text)) == one_line(text)


@given(ANY)
def test_names_have_one_form(text: str) -> None:
    name = clean_name(text)
    assert clean_name(name) == name and name == name.strip() and unicodedata.is_normalized("NFC", name)
    assert clean_name(unicodedata.normalize("NFD", name)) == clean_name(unicodedata.normalize("NFD", clean_name(name)))
    assert is_blank(text) == (not name)


@pytest.mark.parametrize("emoji", ["👩‍👩‍👧‍👦", "❤️", "🏳️‍🌈", "🇩🇪", "👍🏽", "1️⃣"])
def test_emoji_stay_whole(emoji: str) -> None:
    assert plain(emoji) == one_line(emoji) == clean_name(emoji) == emoji


@pytest.mark.parametrize(
    "blank", [None, "", " ", "\n\t", "\u200b", "\u2060\u3164", "\u202e", "\ufeff", "\u00ad", "\x00"]
)
def test_blank(blank: str | None) -> None:
    assert is_blank(blank)
    assert not is_blank((blank or "") + "x")


def test_ten_megabytes_are_no_matter() -> None:
    assert one_line("x" * 10_000_000, 20) == "x" * 19 + "…"
    assert one_line("\x1b[2J" * 2_000_000, 20).startswith("[2J[2J")


def test_cut() -> None:
    assert cut("12345", 5) == "12345" and cut("123456", 5) == "12345..."


@pytest.mark.parametrize(("ident", "string"), hostile_strings(), ids=lambda value: None)
def test_json_with_escaped_controls_is_the_same_document_and_safe(ident: str, string: str) -> None:
    document = escape_controls(quote({"text": string}))
    assert json.loads(document) == json.loads(quote({"text": string}))
    assert plain(document) == document
