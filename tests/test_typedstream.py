"""The decoder of message bodies, beside an independent one and against damaged bytes."""

from __future__ import annotations

import os
from typing import Any

import pytest
import typedstream
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile import hostile_strings
from tests.messages_db import plain_body
from ventriloquist import demo
from ventriloquist.demo.typedstream import Body, Url
from ventriloquist.sources.imessage.typedstream import (
    FILE,
    HEADER,
    LINK,
    MENTION,
    PART,
    TRANSCRIPT,
    TypedStreamError,
    decode,
    text_of,
)


def test_every_hostile_string_comes_back_exactly() -> None:
    strings = [(name, text) for name, text in hostile_strings() if len(text) < 2_000_000]
    assert len(strings) >= 60
    for name, text in strings:
        body = plain_body(text)
        assert text_of(body) == text, name
        assert decode(body).text == text, name
        assert "".join(run.text for run in decode(body).runs) == text, name


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 200_000])
def test_lengths_of_all_sizes(length: int) -> None:
    assert text_of(plain_body("x" * length)) == "x" * length


@pytest.mark.parametrize("length", [200, 0x8000, 0xFFFF])
def test_a_two_byte_length_is_unsigned(length: int) -> None:
    body = plain_body("").replace(b"\x01+\x00", b"\x01+\x81" + length.to_bytes(2, "little") + b"y" * length)
    assert text_of(body) == decode(body).text == "y" * length


def test_parts_attachments_mentions_links_and_transcripts_are_in_the_runs() -> None:
    body = Body(mutable=True)
    body.add("\ufffc", part=0, file="at_0_A", file_name="a.jpg")
    body.add("hey 😂 ", part=1).add("Maya", part=1, mention="+15550100").add(" see ", part=1)
    body.add("https://example.com", part=1, link=Url("https://example.com"))
    body.add("\ufffc", part=2, file="at_2_B", transcript="call me back")
    decoded = decode(body.archive())
    assert decoded.text == text_of(body.archive()) == "\ufffchey 😂 Maya see https://example.com\ufffc"
    by_text = {run.text: run.attributes for run in decoded.runs}
    assert by_text["hey 😂 "] == {PART: 1}
    assert by_text["Maya"][MENTION] == "+15550100"
    assert by_text["https://example.com"][LINK] == "https://example.com"
    assert [run.attributes[FILE] for run in decoded.runs if FILE in run.attributes] == ["at_0_A", "at_2_B"]
    assert decoded.runs[-1].attributes[TRANSCRIPT] == "call me back"


def test_runs_that_share_attributes_refer_to_them() -> None:
    body = Body().add("a", part=0).add("b", part=0, link=Url("tel:1")).add("c", part=0)
    decoded = decode(body.archive())
    assert [(run.text, run.attributes) for run in decoded.runs] == [
        ("a", {PART: 0}),
        ("b", {PART: 0, LINK: "tel:1"}),
        ("c", {PART: 0}),
    ]


def test_the_sample_history_decodes_as_the_oracle_does(sample_bodies: list[bytes]) -> None:
    assert len(sample_bodies) > 200
    for body in sample_bodies:
        expected = typedstream.unarchive_from_data(body).contents[0].values[0].value
        assert text_of(body) == decode(body).text == expected


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\x00", b"hello", HEADER, HEADER[:5], b"bplist00", HEADER + b"\x84" * 5000, HEADER + b"\x92" * 50]
    + [plain_body("hello there")[:cut] for cut in range(0, 75, 3)],
)
def test_garbage_is_the_declared_error(garbage: bytes) -> None:
    with pytest.raises(TypedStreamError):
        text_of(garbage)
    with pytest.raises(TypedStreamError):
        decode(garbage)


def test_a_deep_stream_ends_in_the_declared_error() -> None:
    nested = HEADER + b"\x84\x01@" + b"\x84\x84\x84\x01A\x00\x85\x92" + b"\x84\x93\x92" * 50_000
    with pytest.raises(TypedStreamError):
        decode(nested)


def _attempt(body: bytes) -> None:
    for read in (text_of, decode):
        try:
            read(body)
        except TypedStreamError as error:
            assert str(error).isascii()


FUZZ = int(os.environ.get("FUZZ", "0"))
"""How many inputs `make fuzz` tries."""

BODIES = [
    plain_body("hello"),
    plain_body("é😂" * 200),
    Body().add("\ufffc", part=0, file="at_0_A", transcript="t").add("x", part=1, link=Url("http://a.b")).archive(),
    Body(mutable=True).add("m", part=0, mention="+1", detected=b"1234567890").archive(),
]


@pytest.mark.fuzz
@settings(max_examples=FUZZ or 1500, deadline=None)
@given(st.data())
def test_mutated_bodies_raise_nothing_else(data: Any) -> None:
    body = bytearray(data.draw(st.sampled_from(BODIES)))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["flip", "insert", "delete", "cut", "copy"])):
            case "flip":
                body[place] = data.draw(st.integers(0, 255))
            case "insert":
                body[place:place] = data.draw(st.binary(min_size=1, max_size=8))
            case "delete":
                del body[place : place + data.draw(st.integers(1, 8))]
            case "cut":
                del body[place:]
            case "copy":
                body[place:place] = body[place : place + data.draw(st.integers(1, 60))]
        if not body:
            break
    _attempt(bytes(body))


@pytest.mark.fuzz
@settings(max_examples=FUZZ or 500, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_after_a_header_raise_nothing_else(tail: bytes) -> None:
    _attempt(HEADER + tail)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=400))
def test_any_text_comes_back(text: str) -> None:
    body = plain_body(text)
    assert text_of(body) == decode(body).text == text


@pytest.fixture(scope="module")
def sample_bodies(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    import sqlite3

    sample = demo.write(tmp_path_factory.mktemp("sample"), messages=300)
    connection = sqlite3.connect(f"file:{sample.chat_db}?immutable=1", uri=True)
    rows = connection.execute("SELECT attributedBody FROM message WHERE attributedBody IS NOT NULL").fetchall()
    connection.close()
    return [body for (body,) in rows]
