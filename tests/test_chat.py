"""The conversation: what one types, whose turn it is, and the same bytes as training; then a real model behind it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.hostile import hostile_strings
from ventriloquist.chat import events
from ventriloquist.chat.commands import COMMANDS, complete, split_names, understand
from ventriloquist.chat.conversation import Conversation
from ventriloquist.chat.process import ModelProcess
from ventriloquist.chat.session import Session
from ventriloquist.faults import Fault, UsageFault
from ventriloquist.model import checkpoint
from ventriloquist.settings import ChatSettings
from ventriloquist.windows.lines import Line, read, split_lines
from ventriloquist.windows.render import render
from ventriloquist.workspace import Workspace

NOW = 1_700_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def conversation(size: int = 8) -> tuple[Conversation, Clock]:
    clock = Clock()
    made = Conversation("Me", [], size=size, clock=clock)
    made.set_members(["Ann"])
    made.target = "Ann"
    return made, clock


def test_the_prompt_is_what_preprocess_would_write() -> None:
    talk, clock = conversation()
    talk.say("hey\nare you there?")
    clock.now += 130_000_000
    talk.add(Line("Ann", "<5m", None, "text", "yes"))
    talk.add(Line("Ann", "<1h", "are you there?", "image", "A sunset"))
    talk.say("nice")
    assert "".join(talk.context()) == render("dm", ["Ann", "Me"], talk.entries)
    assert [line.delta for line in map(read, talk.context()[1:]) if isinstance(line, Line)] == [
        "<1m", "<1m", "<5m", "<1h", "<1m",
    ]  # fmt: skip


def test_a_generated_line_stays_in_the_context_as_it_was_written() -> None:
    talk, _ = conversation(size=64)
    talk.say("hey")
    for delta in ("<1m", "<5m", "<1h", "<12h", "<1d", "1d+"):
        line = Line("Ann", delta, None, "text", f"after {delta}")
        talk.add(line)
        assert read(talk.context()[-1]) == line


def test_my_delta_is_the_time_that_passed() -> None:
    talk, clock = conversation()
    talk.say("hey")
    talk.add(Line("Ann", "1d+", None, "text", "hi"))
    clock.now += 40 * 60 * 1_000_000
    talk.say("still there?")
    last = read(talk.context()[-1])
    assert isinstance(last, Line) and last.delta == "<1h"


def test_the_window_slides_by_half_and_never_outgrows_training() -> None:
    talk, _ = conversation(size=8)
    starts = set()
    for number in range(40):
        talk.say(f"message {number}")
        assert 1 <= len(talk.context()) - 1 <= 7
        starts.add(talk.start)
    assert len(starts) < 12
    assert "message 39" in talk.context()[-1]


def test_no_words_yet() -> None:
    talk, _ = conversation()
    (header,) = talk.context()
    assert header.startswith('{"type": "dm", "members": ["Ann", "Me"]') and split_lines(header) == [header]


def test_whose_turn_it_is() -> None:
    talk, _ = conversation()
    assert talk.speakers(0) == ["Ann"] and talk.speakers(1) == ["Ann", "Me"]
    assert talk.ends_turn("Me", 1) and not talk.ends_turn("Ann", 1) and not talk.ends_turn("Me", 0)
    talk.set_members(["Ann", "Ben"])
    talk.target = None
    assert talk.kind == "group" and talk.speakers(0) == ["Ann", "Ben"]
    assert talk.ends_turn("Me", 1) and not talk.ends_turn("Ben", 1)


def test_other_people_are_another_conversation_that_waits() -> None:
    talk, _ = conversation()
    talk.say("hey Ann")
    talk.set_members(["Ben"])
    assert talk.entries == [] and talk.target == "Ben"
    talk.say("hey Ben")
    talk.set_members(["Ann"])
    assert [entry.text for entry in talk.entries] == ["hey Ann"]


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
        ("", (None, "", None)),
    ],
)
def test_what_is_typed(typed: str, expected: tuple[str | None, str, str | None]) -> None:
    understood = understand(typed, ["Ann", "Ann Marie", "a: b", "Me"])
    assert (understood.command, understood.rest, understood.name) == expected


def test_an_unknown_command_is_told_and_words_come_back() -> None:
    with pytest.raises(UsageFault, match="/help"):
        understand("/nonsense", ["Ann"])


def test_names_with_spaces_quotes_and_commas() -> None:
    known = ["Ann Marie", "Ann", 'Bob "B" Lee', "Zoë"]
    assert split_names("Ann Marie Zoë", known) == ["Ann Marie", "Zoë"]
    assert split_names('ann, bob "b" lee', known) == ["Ann", 'Bob "B" Lee']
    assert split_names("Zo Somebody", known) == ["Zoë", "Somebody"]
    assert split_names("", known) == []


def test_completion() -> None:
    assert complete("/ta", ["Ann"]) == ["/target "]
    assert complete("/target A", ["Ann Marie", "Ben"]) == ["/target Ann Marie", "/target any"]
    assert complete("/members Ann, b", ["Ann", "Ben"]) == ["/members Ann, Ben"]
    assert complete("hello", ["Ann"]) == []
    assert {line.split()[0] for line in complete("/", [])} == {f"/{command.name}" for command in COMMANDS}


@pytest.mark.parametrize(("ident", "text"), hostile_strings(), ids=lambda value: None)
def test_hostile_words_and_names(ident: str, text: str) -> None:
    talk, _ = conversation(size=64)
    talk.set_members([text[:200], "Ann"])
    talk.target = None
    talk.say(text[:2000])
    talk.add(Line(talk.others[0], "<1m", None, "text", text[:500]))
    assert all(read(line) for line in talk.context())
    for typed in (text[:500], f"/target {text[:200]}", f"/members {text[:200]}", f"/set {text[:50]}"):
        try:
            understand(typed, talk.members)
        except UsageFault as fault:
            assert len(str(fault)) < 200
        complete(typed, talk.members)
        split_names(typed, talk.members)


@pytest.fixture(scope="module")
def session(learnt: Workspace) -> Iterator[Session]:
    settings = ChatSettings.load(learnt, target="Theo", seed=3, max_messages=2, max_tokens=40, threads=1, device="cpu")
    made = Session(ModelProcess(checkpoint.find(learnt, ""), settings), settings)
    made.open()
    yield made
    made.close()


def kinds(heard: list[events.ChatEvent]) -> list[type]:
    return [type(event) for event in heard]


def test_a_word_and_an_answer(session: Session) -> None:
    heard = list(session.submit("hey, what are you up to tonight?"))
    assert kinds(heard)[0] is events.Said and kinds(heard)[-1] is events.TurnEnded
    wrote = [event for event in heard if isinstance(event, events.Wrote)]
    assert 1 <= len(wrote) <= 2 and {event.line.name for event in wrote} == {"Theo"}
    streamed = "".join(event.text for event in heard if isinstance(event, events.Text))
    assert streamed.startswith(wrote[0].line.text)
    assert wrote[0].cost["forwards"] <= wrote[0].cost["tokens"] + 1


def test_every_command_is_answered(session: Session) -> None:
    for typed in ("/help", "/context", "/target Maya", "/members Maya, Theo", "/target any", "/continue 2",
                  "/retry", "/undo", "/set temperature 0.5", "/clear"):  # fmt: skip
        heard = list(session.submit(typed))
        assert heard and not any(isinstance(event, events.Failed) for event in heard), typed
    assert kinds(list(session.submit("/quit"))) == [events.Quit]


@pytest.mark.parametrize(
    "typed", ["/nonsense", "/target", "/continue x", "/continue 900", "/set", "/set warmth 3", "/set temperature hot",
              "/set temperature 99", "/members Alex"],
)  # fmt: skip
def test_what_makes_no_sense_is_told_and_given_back(session: Session, typed: str) -> None:
    (told,) = session.submit(typed)
    assert isinstance(told, events.Failed) and told.typed == typed and told.sentence.endswith(("any", ".", "NAME"))


def test_a_member_the_model_never_saw(session: Session) -> None:
    (changed,) = session.submit('/members Ann "A" O\'Neil, Theo')
    assert isinstance(changed, events.Changed) and "never seen" in changed.notice
    session.conversation.target = 'Ann "A" O\'Neil'
    wrote = [event for event in session.submit("hello") if isinstance(event, events.Wrote)]
    assert wrote[0].line.name == 'Ann "A" O\'Neil'
    list(session.submit("/members Theo"))


def test_the_model_killed_in_the_middle_of_a_reply(session: Session) -> None:
    list(session.submit("/target Theo"))
    before = list(session.conversation.entries)
    heard = []
    for event in session.submit("are you there?"):
        heard.append(event)
        if isinstance(event, events.Writing):
            assert session.process._child is not None
            os.kill(session.process._child.pid, signal.SIGKILL)
    failed = [event for event in heard if isinstance(event, events.Failed)]
    if failed:  # the reply may have been whole before the signal arrived
        assert "SIGKILL" in failed[0].sentence and failed[0].typed == "are you there?"
        assert session.conversation.entries == before
    assert session.conversation.entries[: len(before)] == before
    again = list(session.submit("and now?"))
    assert any(isinstance(event, events.Wrote) for event in again)


def test_a_checkpoint_that_is_none(learnt: Workspace) -> None:
    settings = ChatSettings.load(learnt)
    with pytest.raises(Fault, match=r"ventriloquist\.json"):
        Session(ModelProcess(learnt.data, settings), settings).open()
