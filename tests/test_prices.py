"""Money in whole micro-dollars, and bounds that real requests stay under; PDFs whose pages are counted."""

from __future__ import annotations

import random
import zlib
from fractions import Fraction

import pytest

from ventriloquist.faults import UsageFault
from ventriloquist.media import prices
from ventriloquist.media.captioner import Usage
from ventriloquist.media.pages import MOST_PAGES, most_pages
from ventriloquist.media.prices import FREE, PRICES, Price, estimate, output_room, price_for_budget, price_of
from ventriloquist.media.prompts import GUARD, PROMPTS, prompts, version

LITE = "gemini-3.5-flash-lite"


def test_money_is_whole_micro_dollars_rounded_up() -> None:
    chance = random.Random(3)
    for _ in range(2000):
        usage = Usage(chance.randrange(2_000_000), chance.randrange(70_000))
        price = Price(chance.randrange(10_000_000), chance.randrange(50_000_000))
        exact = Fraction(usage.input_tokens * price.input + usage.output_tokens * price.output, 1_000_000)
        assert isinstance(price.cost(usage), int) and 0 <= price.cost(usage) - exact < 1
    assert Price(1, 0).cost(Usage(1, 0)) == 1 and FREE.cost(Usage(10**9, 10**9)) == 0
    assert not FREE.is_charged and Price(0, 1).is_charged


def test_the_table_has_a_date_and_the_price_of_the_default_model() -> None:
    assert prices.PRICES_AS_OF.year >= 2026
    assert price_of(LITE, {}) == price_of(f"models/{LITE}", {}) == Price(300_000, 2_500_000)
    assert PRICES[LITE].cost(Usage(1_000_000, 1_000_000)) == 2_800_000


def test_own_prices_come_first_and_amounts_are_exact() -> None:
    own = {LITE: (0.1 + 0.2, 0.0), "new": (1.5, 12.0), "free": (0.0, 0.0)}
    assert price_of(LITE, own) == Price(300_000, 0)
    assert price_of("models/new", own) == Price(1_500_000, 12_000_000)
    assert price_of("free", own) == FREE
    with pytest.raises(UsageFault):
        price_of("bad", {"bad": (-1.0, 0.0)})


def test_without_a_price_a_budget_cannot_be_held() -> None:
    assert price_of("gemini-3.8-flash", {}) is None
    with pytest.raises(UsageFault, match=r"No price is known for 'gemini-3\.8-flash'.*leave out the budget"):
        price_for_budget("gemini-3.8-flash", {})
    assert price_for_budget("gemini-3.8-flash", {"gemini-3.8-flash": (1, 2)}) == Price(1_000_000, 2_000_000)


def test_estimates_grow_with_what_is_sent_and_unknown_lengths_count_as_long() -> None:
    assert estimate("image").input_tokens >= 1120 + len(PROMPTS["image"] + GUARD)
    assert estimate("audio", seconds=600).input_tokens >= 600 * 32
    assert estimate("audio", seconds=600).input_tokens > estimate("audio", seconds=60).input_tokens
    assert estimate("video", seconds=15).input_tokens >= 15 * (258 + 32)
    assert estimate("pdf", pages=3).input_tokens >= 3 * 560
    assert estimate("text", text_bytes=5000).input_tokens >= 5000
    assert estimate("audio") == estimate("audio", seconds=3600)
    assert estimate("pdf") == estimate("pdf", pages=1000)
    for medium in PROMPTS:
        assert estimate(medium).output_tokens == output_room(medium)
        assert len((PROMPTS[medium] + GUARD).encode()) <= prices.PROMPT_BYTES


def test_the_longest_recordings_still_fit_what_a_model_can_write() -> None:
    assert output_room("image") == output_room("video", 15) == 1024
    assert output_room("audio", 60) >= 60 * 10
    assert output_room("audio", 1e6) * 2 <= 65_536


def test_prompts_can_be_replaced_but_not_their_guard_and_have_versions() -> None:
    own = prompts({"image": " Was ist das? ", "audio": ""})
    assert own["image"] == "Was ist das?" + GUARD and own["audio"] == PROMPTS["audio"] + GUARD
    assert set(own) == set(PROMPTS)
    versions = {version(prompt) for prompt in [*own.values(), prompts({})["image"]]}
    assert len(versions) == 6 and all(len(digits) == 12 for digits in versions)
    assert version("\ud800")  # whatever a settings file holds
    with pytest.raises(UsageFault, match=r"no prompt for 'smell'.*image, video, audio, pdf, text"):
        prompts({"smell": "what?"})


def pdf(pages: int, *, packed: bool) -> bytes:
    """A PDF's objects: a tree of that many pages, in an object stream if they are packed."""
    tree = b"<< /Type /Pages /Count %d /Kids [] >>\n" % pages
    objects = tree + b"".join(b"<< /Type /Page /Parent 1 0 R >>\n" for _ in range(pages))
    if not packed:
        return b"%PDF-1.7\n" + objects + b"%%EOF"
    stream = zlib.compress(objects)
    head = b"9 0 obj\n<< /Type /ObjStm /N %d /Length %d >>\nstream\r\n" % (pages, len(stream))
    return b"%PDF-1.7\n" + head + stream + b"\nendstream\nendobj\n%%EOF"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("pages", [1, 7, 400])
def test_pages_are_counted_wherever_they_stand(pages: int, packed: bool) -> None:
    assert most_pages(pdf(pages, packed=packed)) == pages
    assert most_pages(pdf(pages, packed=packed) * 2) == 2 * pages


def test_what_a_tree_names_is_believed_if_it_is_more() -> None:
    assert most_pages(b"%PDF-1.4 /Type/Pages/Count 12 /Type/Page /Type /Page /Type/PageLabel") == 12


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"%PDF-1.7 nothing in it",
        pdf(3, packed=False) + b"/Encrypt 5 0 R",
        pdf(3, packed=True).replace(b"stream\r\n", b"stream\r\nbroken", 1),
        b"%PDF /Type /ObjStm",
        b"%PDF /Type /Page /Type /ObjStm >> stream\n" + zlib.compress(b" " * 80_000_000) + b"endstream",
        pdf(3, packed=True)[:-60],
        b"%PDF /Type /Pages /Count 999999",
    ],
)
def test_what_cannot_be_counted_is_as_long_as_it_may_be(document: bytes) -> None:
    assert most_pages(document) == MOST_PAGES


def test_random_bytes_are_counted_without_an_error() -> None:
    chance = random.Random(1)
    whole = pdf(5, packed=True)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        assert 1 <= most_pages(bytes(damaged)) <= MOST_PAGES
