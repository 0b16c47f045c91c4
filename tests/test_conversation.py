"""The conversation: the same bytes as training, whose turn it is, and what can be done to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import hostile_strings
from ventriloquist.chat.conversation import SPARE, Conversation
from ventriloquist.faults import UsageFault
from ventriloquist.windows.lines import CONTENT_TYPES, DELTAS, Line, read, split_lines
from ventriloquist.windows.render import Entry, render

NOW = 1_700_000_000_000_000
MINUTE = 60_000_000


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def conversation(size: int = 8, *others: str) -> tuple[Conversation, Clock]:
    clock = Clock()
    made = Conversation("Me", ["Me"], size=size, clock=clock)
    made.do(made.cast_of(others or ["Ann"]))
    made.do(made.cast(target=made.others[0]))
    return made, clock


def say(talk: Conversation, text: str, name: str | None = None, reply_to: int | None = None) -> None:
    for doing in talk.words(text, name, reply_to):
        talk.do(doing)


def hear(
    talk: Conversation, name: str, text: str, delta: str = "<1m", kind: str = "text", to: str | None = None
) -> None:
    talk.do(talk.line(Line(name, delta, to, kind, text)))


def deltas(talk: Conversation) -> list[str]:
    return [line.delta for line in map(read, talk.context()) if isinstance(line, Line)]


def test_the_prompt_is_what_preprocess_would_write() -> None:
    talk, clock = conversation()
    say(talk, "hey\nare you there?")
    clock.now += 130_000_000
    hear(talk, "Ann", "yes", "<5m")
    hear(talk, "Ann", "A sunset", "<1h", "image", "are you there?")
    say(talk, "nice", reply_to=1)
    talk.do(talk.reaction(2, "Loved"))
    assert "".join(talk.context()) == render("dm", ["Ann", "Me"], talk.entries)
    assert deltas(talk) == ["<1m", "<1m", "<5m", "<1h", "<1m", "<1m"]
    quoting = [line.reply_to for line in map(read, talk.context()) if isinstance(line, Line)]
    assert quoting == [None, None, None, "are you there?", "A sunset", "A sunset"]


def test_a_generated_line_stays_in_the_context_as_it_was_written() -> None:
    talk, _ = conversation(64)
    say(talk, "hey")
    for delta in DELTAS:
        line = Line("Ann", delta, None, "text", f"after {delta}")
        talk.do(talk.line(line))
        assert read(talk.context()[-1]) == line


def test_my_delta_is_the_time_that_passed() -> None:
    talk, clock = conversation()
    say(talk, "hey")
    hear(talk, "Ann", "hi", "1d+")
    clock.now += 40 * MINUTE
    say(talk, "still there?")
    assert deltas(talk)[-1] == "<1h"


def test_what_was_taken_back_leaves_no_time_behind() -> None:
    talk, clock = conversation()
    say(talk, "hey")
    hear(talk, "Ann", "hi", "1d+")
    talk.do({"do": "drop", "count": 1})
    clock.now += 2 * MINUTE
    say(talk, "hello?")
    assert deltas(talk) == ["<1m", "<5m"]


def test_real_messages_and_the_time_since() -> None:
    talk, _ = conversation()
    talk.do(talk.real(Entry("Ann", NOW - 3 * 3600 * 1_000_000, "text", "see you later")))
    say(talk, "back again")
    assert deltas(talk) == ["<1m", "<12h"]


def test_the_window_slides_by_half_and_never_outgrows_training() -> None:
    talk, _ = conversation(8)
    starts = set()
    for number in range(40):
        say(talk, f"message {number}")
        assert 1 <= len(talk.context()) - 1 <= 7
        starts.add(talk.start)
    assert len(starts) < 12
    assert "message 39" in talk.context()[-1]


def test_between_two_turns_room_is_made_for_the_next() -> None:
    talk, _ = conversation(64)
    for number in range(63 - SPARE):
        say(talk, f"message {number}")
        talk.settle()
    assert talk.start == 0
    say(talk, "one more")
    talk.settle()
    assert talk.start > 0 and len(talk.context()) == 1 + 32


def test_what_the_model_had_no_room_for_is_left_out_from_then_on() -> None:
    talk, _ = conversation(64)
    for number in range(10):
        say(talk, f"message {number}")
    talk.left_out(4)
    assert len(talk.context()) == 7 and "message 4" in talk.context()[1]
    assert "".join(talk.context()) == render("dm", ["Ann", "Me"], talk.entries[4:])
    talk.left_out(100)
    assert len(talk.context()) == 2


def test_no_words_yet() -> None:
    talk, _ = conversation()
    (header,) = talk.context()
    assert header.startswith('{"type": "dm", "members": ["Ann", "Me"]') and split_lines(header) == [header]


def test_whose_turn_it_is() -> None:
    talk, _ = conversation()
    assert talk.speakers(0) == ["Ann"] and talk.speakers(1) == ["Ann", "Me"]
    assert talk.ends_turn("Me", 1) and not talk.ends_turn("Ann", 1) and not talk.ends_turn("Me", 0)
    talk.do(talk.cast_of(["Ann", "Ben"]))
    talk.do(talk.cast(target=None))
    assert talk.kind == "group" and talk.speakers(0) == ["Ann", "Ben"]
    assert talk.ends_turn("Me", 1) and not talk.ends_turn("Ben", 1)


def test_speaking_as_another() -> None:
    talk, _ = conversation(8, "Ann", "Ben")
    talk.do(talk.cast(sender="Ben", target=None))
    say(talk, "hi, Ben here")
    assert talk.said[-1].entry.name == "Ben" and talk.speakers(0) == ["Ann", "Me"]
    assert talk.ends_turn("Ben", 1) and not talk.ends_turn("Me", 1)


def test_whoever_left_answers_no_more() -> None:
    talk, _ = conversation(8, "Ann", "Ben")
    talk.do(talk.cast(target="Ben", sender="Ben"))
    talk.do(talk.cast_of(["Ann"]))
    assert talk.target == "Ann" and talk.speaker == "Me" and talk.kind == "dm"


def test_a_turn_is_the_reply_and_with_mine_what_it_replied_to() -> None:
    talk, _ = conversation()
    say(talk, "one")
    hear(talk, "Ann", "two")
    say(talk, "three\nfour")
    hear(talk, "Ann", "five")
    hear(talk, "Ann", "Loved", kind="reaction")
    assert talk.last_turn(mine=False) == 2 and talk.last_turn(mine=True) == 4
    before = talk.before(2)
    assert [entry.text for entry in before.entries] == ["one", "two", "three", "four"] and len(talk.said) == 6


def test_an_edit_changes_the_message_and_who_quotes_it() -> None:
    talk, _ = conversation()
    say(talk, "tea or cofee?")
    hear(talk, "Ann", "tea", to="tea or cofee?")
    talk.do({"do": "edit", "index": 0, "text": "tea or coffee?"})
    assert [(entry.text, entry.reply_to) for entry in talk.entries] == [
        ("tea or coffee?", None), ("tea", "tea or coffee?"),
    ]  # fmt: skip


def test_numbers_count_from_the_end() -> None:
    talk, _ = conversation()
    with pytest.raises(UsageFault, match="Nothing was said"):
        talk.check(1)
    say(talk, "one\ntwo")
    assert talk.numbered(1).entry.text == "two" and talk.numbered(2).entry.text == "one"
    for number in (0, 3):
        with pytest.raises(UsageFault, match="to #2"):
            talk.check(number)


SAY = {
    **{"do": "say", "name": "A", "sent_at": 0, "at": 0},
    **{"reply_to": None, "content_type": "text", "text": "", "origin": ""},
}


@pytest.mark.parametrize(
    "doing",
    [
        {"do": "nothing"}, {"do": "say"}, {"do": "drop", "count": "x"}, {"do": "edit", "index": 9, "text": "x"},
        {"do": "cast", "members": "Ann"}, {"do": "cast", "members": [1]}, {"do": "cast", "kind": "crowd"},
        {"do": "cast", "boss": "Ann"}, {"do": "title"}, SAY, {**SAY, "origin": "typed", "name": 1},
        {**SAY, "origin": "typed", "content_type": "t"}, {**SAY, "origin": "typed", "at": "now"},
    ],
)  # fmt: skip
def test_what_is_no_doing_changes_nothing(doing: dict[str, Any]) -> None:
    talk, _ = conversation()
    say(talk, "hey")
    before = talk.as_doings()
    with pytest.raises((KeyError, TypeError, ValueError, IndexError)):
        talk.do(doing)
    assert talk.as_doings() == before


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from(["a", "b\nc", "A sunset"])),
        st.tuples(st.just("hear"), st.sampled_from(DELTAS), st.sampled_from(CONTENT_TYPES)),
        st.tuples(st.just("drop"), st.integers(0, 9)),
        st.tuples(st.just("edit"), st.integers(0, 30)),
        st.tuples(st.just("settle")),
        st.tuples(st.just("left out"), st.integers(0, 9)),
        st.tuples(st.just("wait"), st.integers(0, 10**11)),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_the_context_is_a_window(steps: list[tuple[Any, ...]]) -> None:
    talk, clock = conversation(12)
    copy, _ = conversation(12)
    for step in steps:
        doings: list[dict[str, Any]] = []
        match step:
            case ("say", text):
                doings = talk.words(text)
            case ("hear", delta, kind):
                doings = [talk.line(Line("Ann", delta, None, kind, "hi"))]
            case ("drop", count):
                doings = [{"do": "drop", "count": count}]
            case ("edit", index) if index < len(talk.said):
                doings = [{"do": "edit", "index": index, "text": "changed"}]
            case ("settle",):
                talk.settle()
            case ("left out", lines):
                talk.left_out(lines)
            case ("wait", time):
                clock.now += time
        for doing in doings:
            talk.do(doing)
            copy.do(doing)
        assert len(talk.context()) <= 12
        shown = talk.entries[talk.start :]
        assert not talk.said or shown
        assert "".join(talk.context()[1:]) == "".join(
            split_lines(render("dm", ["Ann", "Me"], shown))[1:] if shown else []
        )
    assert copy.said == talk.said


@pytest.mark.parametrize(("ident", "text"), hostile_strings(), ids=lambda value: None)
def test_hostile_words_and_names(ident: str, text: str) -> None:
    talk, _ = conversation(64)
    talk.do(talk.cast_of([text[:200], "Ann"]))
    talk.do(talk.cast(target=None))
    say(talk, text[:2000])
    hear(talk, talk.others[0], text[:500])
    talk.do(talk.reaction(1, text[:16] or "x"))
    assert all(read(line) for line in talk.context())
    again = Conversation("")
    for doing in talk.as_doings():
        again.do(doing)
    assert again.said == talk.said and again.members == talk.members
