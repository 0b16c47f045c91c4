"""The codec: exact there and back, and the same bytes for ever."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import hostile_strings
from ventriloquist.windows import lines
from ventriloquist.windows.lines import CONTENT_TYPES, DELTAS, Header, Line, LineError

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))  # type: ignore[arg-type]
LINES = st.builds(
    Line,
    name=st.text(),
    delta=st.sampled_from(DELTAS),
    reply_to=st.none() | st.text(),
    content_type=st.sampled_from(CONTENT_TYPES),
    text=st.text(),
)


def test_golden_bytes() -> None:
    window = [
        Header("dm", ("Aidan", "John"), "2024-03-15"),
        Line("Aidan", "<1m", None, "text", "hey what's up"),
        Line("John", "<5m", None, "image", "A sunset photo over the ocean"),
        Line("Aidan", "<1m", "A sunset photo over the ocean", "text", "beautiful!"),
        Line("John", "<1m", "beautiful!", "reaction", "Loved"),
        Line('Zoë "Z"', "1d+", None, "text", 'tab\there, "quotes", back\\slash, 😂\u2028 and \x1b'),
    ]
    assert "".join(map(lines.write, window)) == (
        '{"type": "dm", "members": ["Aidan", "John"], "start": "2024-03-15"}\n'
        '{"name": "Aidan", "delta": "<1m", "reply_to": null, "content_type": "text", "text": "hey what\'s up"}\n'
        '{"name": "John", "delta": "<5m", "reply_to": null, "content_type": "image", '
        '"text": "A sunset photo over the ocean"}\n'
        '{"name": "Aidan", "delta": "<1m", "reply_to": "A sunset photo over the ocean", "content_type": "text", '
        '"text": "beautiful!"}\n'
        '{"name": "John", "delta": "<1m", "reply_to": "beautiful!", "content_type": "reaction", "text": "Loved"}\n'
        '{"name": "Zoë \\"Z\\"", "delta": "1d+", "reply_to": null, "content_type": "text", '
        '"text": "tab\\there, \\"quotes\\", back\\\\slash, 😂\u2028 and \\u001b"}\n'
    )


@given(LINES)
def test_lines_come_back(line: Line) -> None:
    written = lines.write(line)
    assert written.count("\n") == 1 and written.endswith("\n")
    assert lines.read(written) == line
    assert lines.split_lines(written) == [written]


@pytest.mark.parametrize(("name", "text"), hostile_strings(), ids=lambda value: None)
def test_hostile_text_and_names_come_back(name: str, text: str) -> None:
    line = Line(text, "<1m", text[:200], "text", text)
    written = lines.write(line)
    assert lines.read(written.encode().decode()) == line
    header = Header("group", (text, "Ann"), "2024-01-01")
    assert lines.read(lines.write(header).encode().decode()) == header


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "[]",
        "{}",
        "[" * 100_000,
        '{"name": "A"}',
        '{"name": "A", "delta": "now", "reply_to": null, "content_type": "text", "text": ""}',
        '{"name": "A", "delta": "<1m", "reply_to": null, "content_type": "poem", "text": ""}',
        '{"name": 1, "delta": "<1m", "reply_to": null, "content_type": "text", "text": ""}',
        '{"delta": "<1m", "name": "A", "reply_to": null, "content_type": "text", "text": ""}',
        '{"name": "A", "delta": "<1m", "reply_to": null, "content_type": "text", "text": ""} and more',
        '{"type": "crowd", "members": [], "start": "2024-01-01"}',
    ],
)
def test_what_is_no_line_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(LineError) as refused:
        lines.read(text)
    assert len(text) < 10 or text not in str(refused.value)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(-5, "<1m"), (0, "<1m"), (59.9, "<1m"), (60, "<5m"), (299, "<5m"), (300, "<1h"), (3599, "<1h"), (3600, "<12h"),
     (43199, "<12h"), (43200, "<1d"), (86399, "<1d"), (86400, "1d+"), (1e12, "1d+")],
)  # fmt: skip
def test_deltas(seconds: float, bucket: str) -> None:
    assert lines.delta_for(seconds) == bucket


def test_a_reply_is_cut_to_fifty_characters() -> None:
    assert lines.reply_quote("x" * 50) == "x" * 50
    assert lines.reply_quote("x" * 51) == "x" * 50 + "..."


@given(ANY_TEXT)
def test_lone_surrogates_are_written_as_escapes(text: str) -> None:
    written = lines.write(Line("A", "<1m", None, "text", text))
    back = lines.read(written.encode().decode())
    assert isinstance(back, Line)
    # Two halves that stand side by side are read as the one character they are halves of.
    assert back.text == json.loads(json.dumps(text))
