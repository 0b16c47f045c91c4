"""The decoder of message bodies, beside an independent one and against damaged bytes."""

from __future__ import annotations

from typing import Any

import pytest
import typedstream
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import archiver
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


def _oracle(body: bytes) -> tuple[str, list[tuple[int, dict[str, Any]]]]:
    """The text and the (length, attributes) of each run, as an independent decoder has them."""
    groups = typedstream.unarchive_from_data(body).contents
    text = groups[0].values[0].value
    known: dict[int, dict[str, Any]] = {}
    runs = []
    for group in groups[1:]:
        if len(group.values) == 2:
            runs.append(tuple(group.values))
        else:
            known[runs[-1][0]] = _plain(group.values[0])
    words = {number: {k: v for k, v in each.items() if not isinstance(v, dict)} for number, each in known.items()}
    return text, [(length, words[number]) for number, length in runs]


def _plain(value: Any) -> Any:
    for name in ("contents", "data", "value"):
        if hasattr(value, name):
            held = getattr(value, name)
            return {_plain(key): _plain(each) for key, each in held.items()} if name == "contents" else held
    return value


ATTRIBUTES: list[dict[str, Any]] = [
    {PART: archiver.number(0, b"i")},
    {PART: archiver.number(1, b"q"), FILE: archiver.string("at_0_A"), "height": archiver.number(0.5, b"d")},
    {PART: archiver.number(2, b"c"), LINK: archiver.url("tel:1"), "flag": archiver.number(1, b"B")},
    {PART: archiver.number(-300, b"s"), "raw": archiver.data(b"bplist00" * 30), "byte": archiver.number(200, b"C")},
    {PART: archiver.number(70_000, b"l"), "float": archiver.number(1.5, b"f"), "u": archiver.number(5, b"I")},
    {PART: archiver.number(5, b"i"), "deep": archiver.dictionary({"a": archiver.dictionary({"b": archiver.url("c")})})},
    {MENTION: archiver.string("+15550100"), "mutable": archiver.data(b"\x86\x84", "NSMutableData")},
]  # fmt: skip


@pytest.mark.parametrize("mutable", [False, True])
def test_objects_of_every_class_and_number_decode_as_the_oracle_does(mutable: bool) -> None:
    pieces = ["NSString + \x86\x84 ", "\ufffc", "😂é", "ↄ\u2184\u0100", "x" * 300, "tail", " @ iI\x92"]
    name = "NSMutableDictionary" if mutable else "NSDictionary"
    runs = [
        (index + 1, len(piece.encode("utf-16-le")) // 2, archiver.dictionary(ATTRIBUTES[index], name))
        for index, piece in enumerate(pieces)
    ]
    again = [(1, 3, None), (7, 2, None), (1, 1, None)]
    body = archiver.archive(archiver.attributed("".join(pieces) + "abcdef", [*runs, *again], mutable=mutable))
    text, expected = _oracle(body)
    decoded = decode(body)
    assert text_of(body) == decoded.text == text
    assert [run.text for run in decoded.runs] == [*pieces, "abc", "de", "f"]
    assert [(_units(run.text), run.attributes) for run in decoded.runs] == expected
    assert decoded.runs[-1].attributes == {PART: 0}
    assert decoded.runs[3].attributes[PART] == -300


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1, max_size=40), st.integers(0, 6)), max_size=12), st.booleans())
def test_any_runs_decode_as_the_oracle_does(pieces: list[tuple[str, int]], mutable: bool) -> None:
    seen: set[int] = set()
    runs = []
    for piece, kind in pieces:
        runs.append((kind + 1, _units(piece), None if kind in seen else archiver.dictionary(ATTRIBUTES[kind])))
        seen.add(kind)
    body = archiver.archive(archiver.attributed("".join(piece for piece, _ in pieces), runs, mutable=mutable))
    text, expected = _oracle(body)
    decoded = decode(body)
    assert text_of(body) == decoded.text == text
    assert [(_units(run.text), run.attributes) for run in decoded.runs] == expected


def test_references_to_the_thousandth_object_and_string() -> None:
    runs = [
        (number, 2, archiver.dictionary({PART: archiver.number(number, b"i"), "raw": archiver.data(b"x" * number)}))
        for number in range(1, 1001)
    ]
    body = archiver.archive(archiver.attributed("ab" * 1001, [*runs, (500, 2, None)]))
    text, expected = _oracle(body)
    assert decode(body).text == text
    assert [(_units(run.text), run.attributes) for run in decode(body).runs] == expected
    assert decode(body).runs[-1].attributes == {PART: 500, "raw": b"x" * 500}


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def test_objects_that_are_met_again_are_references() -> None:
    guid, shared = archiver.string("at_0_A"), archiver.dictionary({PART: archiver.number(4, b"i")})
    runs = [
        (1, 1, archiver.dictionary({FILE: guid, "other": guid})),
        (2, 1, shared),
        (3, 1, shared),
    ]
    decoded = decode(archiver.archive(archiver.attributed("abc", runs)))
    assert [run.attributes for run in decoded.runs] == [{FILE: "at_0_A", "other": "at_0_A"}, {PART: 4}, {PART: 4}]


def test_a_number_of_eight_bytes_which_only_apple_writes() -> None:
    attributes = archiver.dictionary({PART: archiver.number(2**40, b"q"), "neg": archiver.number(-(2**40), b"q")})
    body = archiver.archive(archiver.attributed("a", [(1, 1, attributes)]))
    assert decode(body).runs[0].attributes == {PART: 2**40, "neg": -(2**40)}
    body = plain_body("").replace(b"\x01+\x00", b"\x01+\x87" + (5).to_bytes(8, "little") + b"hello")
    assert text_of(body) == decode(body).text == "hello"


def test_what_a_body_holds_besides_does_not_hide_its_text() -> None:
    extras = {
        "array": archiver.array([archiver.string("one"), None, archiver.number(1, b"i")]),
        "date": archiver.Instance("NSDate", [(b"d", [7.5])]),
        "range": archiver.Instance("NSValue", [(b"*", [b"{_NSRange=II}"]), (b"{_NSRange=II}", [(3, 40_000)])]),
        "relative": archiver.url("a.html", archiver.url("https://example.com/")),
        "none": None,
        "font": archiver.Instance("NSObject", [(b"[4C]", [b"abcd"]), (b"ffc", [1.0, 2.5, 1])]),
        PART: archiver.number(3, b"i"),
    }
    body = archiver.archive(archiver.attributed("hello", [(1, 5, archiver.dictionary(extras))]))
    (run,) = decode(body).runs
    assert (run.text, run.attributes) == ("hello", {PART: 3, "relative": "a.html"})
    assert text_of(body) == "hello"


def test_arrays_of_numbers_and_of_structures() -> None:
    odd = archiver.Instance("NSObject", [(b"[3i]", [b"\x01\x81\x00\x80\x05"]), (b"[2{p=cc}]", [b"\x01\x02\x03\x04"])])
    runs = [(1, 1, archiver.dictionary({"odd": odd, PART: archiver.number(6, b"i")}))]
    (run,) = decode(archiver.archive(archiver.attributed("a", runs))).runs
    assert run.attributes[PART] == 6


def test_a_plain_string_and_other_roots() -> None:
    assert (
        decode(archiver.archive(archiver.string("hi"))).text == text_of(archiver.archive(archiver.string("hi"))) == "hi"
    )
    mixed = archiver.archive(archiver.attributed("hi", [], mutable=True, spoken="NSString"))
    assert text_of(mixed) == decode(mixed).text == "hi"
    for root in (archiver.dictionary({}), archiver.number(3, b"i"), archiver.Instance("NSObject", [])):
        with pytest.raises(TypedStreamError):
            decode(archiver.archive(root))


def test_a_run_without_attributes_is_text() -> None:
    runs = [(1, 2, None), (2, 3, archiver.dictionary({PART: archiver.number(1, b"i")}))]
    decoded = decode(archiver.archive(archiver.attributed("abcde", runs)))
    assert [(run.text, run.attributes) for run in decoded.runs] == [("ab", {}), ("cde", {PART: 1})]


def test_no_run_ends_within_a_character() -> None:
    runs = [(1, 1, archiver.dictionary({PART: archiver.number(0, b"i")})), (2, 3, archiver.dictionary({}))]
    body = archiver.archive(archiver.attributed("😂ab", runs))
    assert [run.text for run in decode(body).runs] == ["😂", "ab"]


@pytest.mark.parametrize("lengths", [[1], [5, 9], [0, 3], [2**31 - 1]])
def test_runs_of_wrong_lengths_keep_the_text(lengths: list[int]) -> None:
    runs = [(number, length, archiver.dictionary({})) for number, length in enumerate(lengths, 1)]
    body = archiver.archive(archiver.attributed("hello", runs))
    assert "".join(run.text for run in decode(body).runs) == decode(body).text == "hello"


@pytest.mark.parametrize("element", [b"{}", b"!", b"[99999999{}]"])
def test_elements_of_no_size_end_soon(element: bytes) -> None:
    encoding = b"[99999999" + element + b"]"
    body = HEADER + b"\x84\x01@\x84\x84\x84\x01A\x00\x85\x84" + bytes([len(encoding)]) + encoding
    with pytest.raises(TypedStreamError):
        decode(body)


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


BODIES = [
    plain_body("hello"),
    plain_body("é😂" * 200),
    Body().add("\ufffc", part=0, file="at_0_A", transcript="t").add("x", part=1, link=Url("http://a.b")).archive(),
    Body(mutable=True).add("m", part=0, mention="+1", detected=b"1234567890").archive(),
]


@settings(max_examples=1500, deadline=None)
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


@settings(max_examples=500, deadline=None)
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
