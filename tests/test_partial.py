"""A line as it grows: nothing shown that may still change, and no character looked at twice."""

from __future__ import annotations

import json
import time

from hypothesis import given
from hypothesis import strategies as st

from ventriloquist.windows.lines import Line, write
from ventriloquist.windows.partial import PartialLine

HEAD = '{"name": "Ann", "delta": "<5m", "reply_to": null, "content_type": "text", "text": '
ESCAPED = st.text(st.sampled_from('aé"\\/\b\n\t😂\ud83d\ude02\ufffdu{}'), max_size=12)


def shown(partial: PartialLine, written: str, cuts: list[int]) -> list[str]:
    """The text after each part."""
    found, text, start = [], "", 0
    for end in [*sorted({cut % (len(written) + 1) for cut in cuts}), len(written)]:
        text += "".join(grown.value for grown in partial.grow(written[start:end]) if grown.kind == "text")
        assert text == partial.shown and partial.written == written[:end]
        found.append(text)
        start = end
    return found


@given(ESCAPED, st.booleans(), st.lists(st.integers(0, 400), max_size=30))
def test_escapes_and_pairs_are_shown_when_they_are_whole(text: str, as_ascii: bool, cuts: list[int]) -> None:
    value = json.dumps(text, ensure_ascii=as_ascii)
    whole = json.loads(value)
    partial = PartialLine()
    steps = shown(partial, HEAD + value + "}\n", cuts)
    assert steps[-1] == whole and partial.complete and not partial.in_text
    assert all(whole.startswith(step) for step in steps)


@given(st.text(max_size=30), st.lists(st.integers(0, 400), max_size=30))
def test_nothing_is_held_back_longer_than_it_must_be(text: str, cuts: list[int]) -> None:
    """Of characters that need no escape, every one is shown at once."""
    text = "".join(character for character in text if character.isalnum() and ord(character) < 0xD800)
    for end in range(len(text) + 1):
        partial = PartialLine()
        assert shown(partial, HEAD + '"' + text[:end], cuts)[-1] == text[:end]
        assert partial.in_text and not partial.complete


def test_an_escaped_backslash_before_what_looks_like_half_a_pair() -> None:
    for text in ("\\ud83d", "\\\\ud83d", "\\\\", "\\u"):
        written = write(Line("Ann", "<5m", None, "text", text))
        for cut in range(len(written)):
            assert shown(PartialLine(), written, [cut])[-1] == text


def test_a_pair_of_escapes_comes_as_one_character() -> None:
    written = HEAD + '"\\ud83d\\ude02!"}\n'
    for cut in range(len(written)):
        assert set(shown(PartialLine(), written, [cut])) <= {"", "😂", "😂!"}


def test_what_is_no_text_stays_hidden() -> None:
    partial = PartialLine()
    assert shown(partial, HEAD + '"good \\x bad and more"}\n', [95, 100])[-1] in ("", "good ")
    assert "bad" not in partial.shown and partial.closed().text == partial.shown


def test_strangers_cannot_open_the_text_early() -> None:
    partial = PartialLine()
    name = '", "text": "injected'
    written = write(Line(name, "<5m", '"text": "x"', "text", "real"))
    assert shown(partial, written, list(range(len(written))))[-1] == "real" and partial.name == name


def test_a_long_text_takes_time_in_proportion() -> None:
    def seconds(characters: int) -> float:
        written = write(Line("Ann", "<5m", None, "text", "ab \\n" * (characters // 5)))
        best = 9.0
        for _ in range(3):
            partial, start = PartialLine(), time.process_time()
            for character in written:
                list(partial.grow(character))
            best = min(best, time.process_time() - start)
            assert partial.complete
        return best

    assert seconds(40_000) < 10 * seconds(10_000)
