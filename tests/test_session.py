"""A real model behind a conversation: every command, every fault, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ventriloquist.chat import events
from ventriloquist.chat.commands import COMMANDS
from ventriloquist.chat.conversation import Conversation
from ventriloquist.chat.process import ModelProcess
from ventriloquist.chat.session import Session
from ventriloquist.chat.transcript import kept, read, replay
from ventriloquist.faults import Fault
from ventriloquist.model import checkpoint
from ventriloquist.settings import ChatSettings
from ventriloquist.windows.lines import Header, Line, split_lines
from ventriloquist.windows.lines import read as read_line
from ventriloquist.workspace import Workspace

KILLS = int(os.environ.get("KILLS", "2"))
GIVEN: dict[str, Any] = {
    "target": "Theo", "seed": 3, "max_messages": 2, "max_tokens": 40, "threads": 1, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def workspace(learnt: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("talking") / "copy"
    shutil.copytree(learnt.root, root)
    return Workspace(root)


def opened(workspace: Workspace, **given: Any) -> Session:
    settings = ChatSettings.load(workspace, **{**GIVEN, **given})
    session = Session(ModelProcess(checkpoint.find(workspace, ""), settings), settings, workspace)
    session.open()
    return session


@pytest.fixture(scope="module")
def shared(workspace: Workspace) -> Iterator[Session]:
    session = opened(workspace)
    yield session
    session.close()


@pytest.fixture
def session(shared: Session) -> Session:
    """The session, in a conversation with Theo in which nothing was said."""
    list(shared.submit("/members Theo"))
    list(shared.submit("/target Theo"))
    list(shared.submit("/clear"))
    shared.options.update(temperature=0.8, max_messages=2, delay=0, seed=3)
    return shared


def heard(session: Session, typed: str) -> list[events.ChatEvent]:
    return list(session.submit(typed))


def failed(happened: list[events.ChatEvent]) -> list[events.Failed]:
    return [event for event in happened if isinstance(event, events.Failed)]


def wrote(happened: list[events.ChatEvent]) -> list[Line]:
    return [event.line for event in happened if isinstance(event, events.Wrote)]


def fine(session: Session, typed: str) -> list[events.ChatEvent]:
    happened = heard(session, typed)
    assert happened and not failed(happened), (typed, failed(happened))
    return happened


def texts(session: Session) -> list[str]:
    return [entry.text for entry in session.conversation.entries]


def test_a_word_and_an_answer(session: Session) -> None:
    happened = fine(session, "hey, what are you up to tonight?")
    assert isinstance(happened[0], events.Said) and isinstance(happened[-1], events.TurnEnded)
    lines = wrote(happened)
    assert 1 <= len(lines) <= 2 and {line.name for line in lines} == {"Theo"}
    streamed = "".join(event.text for event in happened if isinstance(event, events.Text))
    assert streamed.startswith(lines[0].text)
    (first, *_) = [event for event in happened if isinstance(event, events.Wrote)]
    assert first.cost["forwards"] <= first.cost["tokens"] + 1 and first.utterance.generated
    assert not session.conversation.said[0].generated


def test_the_prompt_is_a_window_and_debug_shows_it_to_the_byte(session: Session) -> None:
    fine(session, "hey")
    prompt = session.conversation.context()
    fine(session, "/continue 1")
    told = next(event for event in fine(session, "/debug") if isinstance(event, events.Told)).lines
    assert [right + "\n" for left, right in told if left == "prompt"] == prompt == session.asked.context
    raw = next(right for left, right in told if left == "raw output")
    line = session.conversation.entries[-1]
    assert isinstance(read_line(raw), Line) and read_line(raw).text == line.text  # type: ignore[union-attr]
    header = read_line(split_lines("".join(prompt))[0])
    assert isinstance(header, Header) and header.members == ("Theo", session.conversation.me)


EVERY_COMMAND = (
    "/help", "/context", "hey", "/debug", "/target Maya", "/members Maya, Theo", "/sender Theo", "one", "/sender Alex",
    "/type group", "/target any", "Maya: hello there", "/send", "/send and you?", "/continue 2", "/auto 2", "/retry",
    "/candidates 2", "/pick 2", "/reply #1 yes", "/react #1 loved", "/react 🎉", "/edit #3 changed", "/undo", "/set",
    "/set temperature 0.5", "/save My Talk", "/branch #1", "/open My Talk", "/open", "/live", "/live Theo",
    "/checkpoint", "/clear", "/quit",
)  # fmt: skip


def test_every_command_is_answered(session: Session) -> None:
    done = set()
    for typed in EVERY_COMMAND:
        happened = fine(session, typed)
        done.add(typed.split()[0].lstrip("/"))
        assert not any(isinstance(event, events.Quit) for event in happened) or typed == "/quit"
    assert {command.name for command in COMMANDS} <= done


@pytest.mark.parametrize(
    "typed", ["/nonsense", "/continue x", "/continue 900", "/auto 0", "/set warmth 3", "/set temperature hot",
              "/set temperature 99", "/members Alex", "/members ,", "/sender Nobody", "/type crowd", "/pick 1", "/undo",
              "/reply yes", "/reply #9 yes", "/react #4 Loved", "/react #1 this is no reaction at all", "/edit",
              "/edit #7 x", "/branch #3", "/open nothing of the kind", "/live nobody of the kind", "/checkpoint none",
              "/debug x" * 4000, "/candidates 99", "/target Alex", "x" * 30_000, "/branch foo", "/branch 2 3",
              "/retry now", "/quit now", "/react #0 Loved", "/edit #0 x", "/", "/ help", "/set max_tokens 8.5",
              "/type"],
)  # fmt: skip
def test_what_makes_no_sense_is_told_and_given_back(session: Session, typed: str) -> None:
    before = texts(session)
    (told,) = failed(heard(session, typed))
    assert told.typed == typed and len(told.sentence) < 250 and texts(session) == before
    assert wrote(fine(session, "still there?"))


def test_blank_lines_do_nothing(session: Session) -> None:
    for typed in ("", "   ", "\u200b", "\t"):
        assert heard(session, typed) == []


def test_words_put_into_a_mouth_wait_for_an_answer(session: Session) -> None:
    assert not wrote(fine(session, "Theo: I'm a horse"))
    assert not wrote(fine(session, f"{session.conversation.me}: no"))
    assert texts(session) == ["I'm a horse", "no"] and wrote(fine(session, "/send"))


def test_retry_undo_and_edit(session: Session) -> None:
    fine(session, "tell me something")
    first = texts(session)
    lines = wrote(fine(session, "/retry"))
    assert texts(session) == ["tell me something", *(line.text for line in lines)]
    fine(session, "/edit #1 something else")
    assert texts(session)[-1] == "something else"
    fine(session, "/undo")
    assert texts(session) == [] and first


def test_a_retry_that_fails_or_is_stopped_leaves_the_reply(session: Session) -> None:
    fine(session, "hello")
    fine(session, "/react #1 Loved")
    before = list(session.conversation.said)
    for event in session.submit("/retry"):
        if isinstance(event, events.Writing):
            os.kill(session.process._child.pid, signal.SIGKILL)  # type: ignore[union-attr]
    assert session.conversation.said == before
    for event in session.submit("/retry"):
        if isinstance(event, events.Changed):
            session.cancel()
    assert session.conversation.said == before
    fine(session, "/retry")
    assert session.conversation.said != before and session.conversation.entries[0] == before[0].entry
    assert not any(entry.text == "Loved" for entry in session.conversation.entries[1:2])
    back = Conversation("")
    assert session.transcript.path and replay(back, read(session.transcript.path)) == 0
    assert back.said == session.conversation.said


def test_undo_takes_back_one_message_and_its_reply(session: Session) -> None:
    for typed in ("Theo: one", "Theo: two", f"{session.conversation.me}: three"):
        fine(session, typed)
    fine(session, "four")
    fine(session, "/undo")
    assert texts(session) == ["one", "two", "three"]
    (told,) = fine(session, "/undo")
    assert texts(session) == ["one", "two"] and told == events.Changed("Took back the last message.")


def test_debug_after_a_pick_shows_what_was_picked(session: Session) -> None:
    fine(session, "what shall we eat?")
    fine(session, "/candidates 3")
    picked = session.offered[1][0]
    fine(session, "/pick 2")
    told = next(event for event in fine(session, "/debug") if isinstance(event, events.Told)).lines
    raw = next(right for left, right in told if left == "raw output")
    assert json.dumps(picked.text[:12], ensure_ascii=False)[1:-1] in raw


def test_a_conversation_that_waits_is_gone_on_with_as_its_file_has_it(session: Session) -> None:
    fine(session, "Theo: first")
    fine(session, "/save The First")
    fine(session, "/target Maya")
    fine(session, "Maya: hey")
    fine(session, "/open The First")
    fine(session, "Theo: second")
    fine(session, "/target Maya")
    fine(session, "/target Theo")
    assert texts(session) == ["first", "second"]
    back = Conversation("")
    assert session.transcript.path and replay(back, read(session.transcript.path)) == 0
    assert back.said == session.conversation.said


def test_a_seed_outlives_the_model(session: Session) -> None:
    fine(session, "/set temperature 1")
    said = []
    for _ in range(2):
        fine(session, "/clear")
        fine(session, "/set seed 23")
        session.process._child.kill()  # type: ignore[union-attr]
        session.process._child.wait()  # type: ignore[union-attr]
        happened = fine(session, "hello there")
        assert any(isinstance(event, events.Busy) for event in happened)
        said.append([line.text for line in wrote(happened)])
    assert said[0] == said[1]


def test_candidates_change_nothing_until_one_is_picked(session: Session) -> None:
    fine(session, "what shall we eat?")
    before = texts(session)
    (offered,) = [event for event in fine(session, "/candidates 4") if isinstance(event, events.Offered)]
    assert len(offered.lines) == 4 and {line.name for line in offered.lines} == {"Theo"}
    assert len({line.text for line in offered.lines}) > 1 and texts(session) == before
    fine(session, "/pick 3")
    assert texts(session) == ["what shall we eat?", offered.lines[2].text]
    assert failed(heard(session, "/pick 1")), "what was offered is gone once something happened"


def test_reactions_and_replies_quote_the_message(session: Session) -> None:
    fine(session, "Theo: look at this")
    fine(session, "/react #1 laughed")
    fine(session, "/reply #2 wow")
    reaction, reply = session.conversation.entries[1:3]
    assert (reaction.content_type, reaction.text, reaction.reply_to) == ("reaction", "Laughed", "look at this")
    assert (reply.text, reply.reply_to) == ("wow", "look at this")


def test_the_model_plays_everyone(session: Session) -> None:
    fine(session, "/members Theo, Maya")
    session.options["temperature"] = 1.2
    lines = wrote(fine(session, "/auto 6"))
    assert len(lines) == 6 and {line.name for line in lines} <= {"Theo", "Maya", session.conversation.me}


def test_the_same_seed_the_same_conversation(session: Session) -> None:
    talks = []
    for _ in range(2):
        fine(session, "/clear")
        fine(session, "/set seed 11")
        fine(session, "hello")
        fine(session, "/continue 2")
        talks.append(texts(session))
    assert talks[0] == talks[1]


def test_other_people_are_another_conversation_that_waits(session: Session) -> None:
    fine(session, "Theo: hey, Theo here")
    fine(session, "/target Maya")
    assert texts(session) == [] and session.conversation.target == "Maya"
    fine(session, "Maya: hey, Maya here")
    fine(session, "/target Theo")
    assert texts(session) == ["hey, Theo here"]


def test_a_member_the_model_never_saw(session: Session) -> None:
    changed = fine(session, '/members Ann "A" O\'Neil:, Theo')[-1]
    assert isinstance(changed, events.Changed) and "never seen" in changed.notice
    fine(session, '/target Ann "A" O\'Neil:')
    assert wrote(fine(session, "hello"))[0].name == 'Ann "A" O\'Neil:'


def test_everything_is_kept_and_opened_again(session: Session, workspace: Workspace) -> None:
    fine(session, "remember this")
    fine(session, "/save The Talk")
    fine(session, "/undo")
    fine(session, "and this")
    said, path = session.conversation.said, session.transcript.path
    assert path is not None and path.stat().st_mode & 0o777 == 0o600
    fine(session, "/branch #1")
    fine(session, "another way")
    assert session.transcript.path != path
    fine(session, "/open The Talk")
    assert session.conversation.said == said and session.transcript.path == path
    assert session.conversation.title == "The Talk" and wrote(fine(session, "going on"))
    assert next(each for each in kept(workspace) if each.path == path).conversation.said == session.conversation.said
    assert all(doing["do"] for doing in read(path).doings)


def test_a_real_conversation_goes_on(session: Session, workspace: Workspace) -> None:
    happened = fine(session, "/live")
    (choose,) = [event for event in happened if isinstance(event, events.Choose)]
    assert any("Theo" in choice.label for choice in choose.choices)
    typed = next(choice.typed for choice in choose.choices if choice.label == "Theo")
    fine(session, typed)
    talk = session.conversation
    assert len(talk.said) > 5 and {each.origin for each in talk.said} == {"real"}
    window = next(
        fields["text"]
        for fields in map(json.loads, workspace.windows.read_text().splitlines())
        if fields["split"] == "test" and json.loads(split_lines(fields["text"])[0])["members"] == talk.members
    )
    assert split_lines(window)[0].partition('"start"')[0] == talk.context()[0].partition('"start"')[0]
    assert set(split_lines(window)[2:-1]) & set(talk.context())
    assert wrote(fine(session, "so, what's new?"))
    deltas = [line.delta for line in map(read_line, talk.context()) if isinstance(line, Line)]
    assert deltas[-1 - len(wrote(fine(session, "/continue 1")))] and "1d+" in deltas


def test_a_learnt_delay_is_waited_for_and_can_be_cut_short(session: Session) -> None:
    session.options["delay"] = 0.2
    happened = fine(session, "hey")
    waits = [event for event in happened if isinstance(event, events.Waiting)]
    assert waits and all(0 <= wait.seconds <= 0.2 for wait in waits)
    kinds = [type(event) for event in happened]
    assert kinds.index(events.Waiting) < kinds.index(events.Writing) < kinds.index(events.Wrote)
    session.options["delay"] = 600
    before = len(texts(session))
    for event in session.submit("and now?"):
        if isinstance(event, events.Waiting):
            session.cancel()
    assert len(texts(session)) == before + 1


def test_stopped_in_the_middle_the_chat_goes_on(session: Session) -> None:
    session.options["max_messages"] = 64
    happened = []
    for event in session.submit("tell me everything"):
        happened.append(event)
        if isinstance(event, events.Wrote):
            session.cancel()
    assert happened[-1] == events.TurnEnded(stopped=True) or len(wrote(happened)) < 64
    assert wrote(fine(session, "ok"))


def test_the_model_killed_in_the_middle_of_a_reply(session: Session) -> None:
    struck = 0
    for attempt in range(KILLS):
        fine(session, "hello")
        before = texts(session)
        happened = []
        for event in session.submit(f"are you there? {attempt}"):
            happened.append(event)
            if isinstance(event, events.Said):
                os.kill(session.process._child.pid, signal.SIGSTOP)  # type: ignore[union-attr]
                os.kill(session.process._child.pid, signal.SIGKILL)  # type: ignore[union-attr]
        (told,) = failed(happened)
        struck += 1
        assert "SIGKILL" in told.sentence and told.typed == f"are you there? {attempt}" and texts(session) == before
    assert struck == KILLS
    assert wrote(fine(session, "and now?"))
    assert session.transcript.path and len(read(session.transcript.path).doings) > 6


def test_killed_while_a_second_message_comes_the_first_stays(session: Session) -> None:
    session.options["max_messages"] = 64
    session.options["temperature"] = 0.1
    happened: list[events.ChatEvent] = []
    for event in session.submit("/continue 40"):
        happened.append(event)
        if isinstance(event, events.Wrote):
            os.kill(session.process._child.pid, signal.SIGKILL)  # type: ignore[union-attr]
    assert failed(happened) and failed(happened)[0].typed == ""
    assert texts(session) == [line.text for line in wrote(happened)]
    assert wrote(fine(session, "and now?"))


def test_a_disk_that_is_full_ends_nothing(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    fine(session, "hello")
    before = texts(session)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ventriloquist.chat.transcript.os.write", full)
    told = fine(session, "one more")[-1]
    assert isinstance(told, events.Changed) and "disk is full" in told.notice and "talk on" in told.notice
    monkeypatch.undo()
    assert wrote(fine(session, "and now?")) and texts(session)[: len(before)] == before
    back = Conversation("")
    assert session.transcript.path and replay(back, read(session.transcript.path)) == 0
    assert back.said == session.conversation.said


def test_another_checkpoint_that_cannot_be_loaded_leaves_this_one(session: Session, workspace: Workspace) -> None:
    fine(session, "Theo: before")
    good = checkpoint.find(workspace, "")
    bad = workspace.checkpoints / "broken" / "final"
    shutil.copytree(good, bad)
    (bad / "tokenizer.json").write_text("{}")
    (told,) = failed(heard(session, "/checkpoint broken"))
    assert "damaged" in told.sentence
    manifest = json.loads((bad / "MANIFEST.json").read_text())
    for name in manifest["files"]:
        content = (bad / name).read_bytes()
        manifest["files"][name] = {"size": len(content), "sha256": __import__("hashlib").sha256(content).hexdigest()}
    (bad / "MANIFEST.json").write_text(json.dumps(manifest))
    (told,) = failed(heard(session, "/checkpoint broken"))
    assert len(told.sentence) < 300
    assert texts(session) == ["before"] and wrote(fine(session, "still there?"))
    shutil.rmtree(bad.parent)


def test_oneself_cannot_be_the_target(workspace: Workspace) -> None:
    with pytest.raises(Fault, match="You are Alex"):
        opened(workspace, target="Alex")


def test_a_checkpoint_that_is_none(learnt: Workspace) -> None:
    settings = ChatSettings.load(learnt)
    session = Session(ModelProcess(learnt.data, settings), settings, learnt)
    with pytest.raises(Fault, match=r"ventriloquist\.json"):
        session.open()
    session.close()


def test_nothing_is_left_of_a_session_that_ended(workspace: Workspace) -> None:
    session = opened(workspace)
    child = session.process._child
    fine(session, "hello")
    session.close()
    assert child is not None and child.poll() is not None
    assert not list(Path(workspace.conversations).glob("*.partial"))
