"""Commands that go to another conversation, real or kept, or to another checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from ventriloquist.chat import live as history
from ventriloquist.chat.commands import numbered
from ventriloquist.chat.conversation import SPARE
from ventriloquist.chat.events import Busy, Changed, ChatEvent, Choice, Choose, Failed
from ventriloquist.chat.process import ModelProcess
from ventriloquist.chat.transcript import Transcript, find_kept, kept
from ventriloquist.faults import Fault, UsageFault
from ventriloquist.model import checkpoint as checkpoints
from ventriloquist.records import MICROSECONDS
from ventriloquist.text import clean_name, one_line

if TYPE_CHECKING:
    from ventriloquist.chat.session import Session

Events = Iterator[ChatEvent]


def cast(session: Session, sentence: str) -> Changed:
    """A sentence about who is there, and who of them the model never saw."""
    return Changed(f"{sentence} {session.strangers()}".rstrip())


def called(name: str | None) -> str:
    """Who answers, in a sentence."""
    return "Anyone" if name is None else one_line(name, 40)


def clear(session: Session, rest: str) -> Events:
    """Begin anew with the same people."""
    talk = session.conversation
    fresh = session.fresh(talk.me)
    for doing in talk.as_doings()[:1]:
        fresh.do(doing)
    had = bool(talk.said)
    session.take_up(fresh, Transcript(session.workspace))
    yield Changed("A new conversation; the old one is kept, /open goes back to it." if had else "A new conversation.")


def branch(session: Session, rest: str) -> Events:
    """Go on from a message in a conversation of its own."""
    talk = session.conversation
    number, more = numbered(rest if rest.startswith("#") or not rest else f"#{rest}")
    if more or (rest and number is None):
        raise UsageFault("Name the last message that is kept: /branch #3, or /branch for all of them.")
    number = 1 if number is None else number
    talk.check(number)
    branch = talk.before(number - 1)
    branch.title = f"{talk.title} (branch)" if talk.title else ""
    session.take_up(branch, Transcript(session.workspace))
    yield Changed("You go on in a branch; the conversation as it was is kept, /open goes back to it.")


def save(session: Session, rest: str) -> Events:
    """Name the conversation, and tell where it is kept."""
    title = clean_name(rest)[:80]
    if title:
        session.do({"do": "title", "text": title})
    path = session.transcript.path
    where = f"It is kept in {path}." if path else "It will be kept from its first message on."
    if session.transcript.unsaved:
        where = "It cannot be written now; it is kept as soon as it can be."
    yield Changed(f"It is called {title}. {where}" if title else where)


def open(session: Session, rest: str) -> Events:
    """Go on with a kept conversation."""
    if not rest:
        choices = [
            Choice(each.title, f"{_minute(each.changed_at)}, {_count(len(each.conversation.said))}", f"/open {each.id}")
            for each in kept(session.workspace)
        ]
        if not choices:
            raise UsageFault("No conversation is kept yet; each is, from its first message on.")
        yield Choose("Which conversation?", tuple(choices))
        return
    found = find_kept(session.workspace, rest)
    if found.path == session.transcript.path:
        yield Changed("That is this one.")
        return
    lost = session.go_on_with(found.path)
    damaged = "" if not lost else f" {lost} damaged line{'s' if lost > 1 else ''} of it could not be read."
    yield cast(session, f"You go on with {found.title}.{damaged}")


def live(session: Session, rest: str) -> Events:
    """Go on from the end of a real conversation."""
    if not session.collected:
        yield Busy("looking for new messages")
        for sentence in history.collect_again(session.workspace):
            yield Busy(sentence)
            if session.stopping:  # the run goes on by itself
                break
        session.collected = True
    reals = history.real_conversations(session.workspace)
    if not rest:
        choices = (
            Choice(real.label, f"{_day(real.last_at / MICROSECONDS)}, {_count(real.messages)}", f"/live {real.id}")
            for real in reals
        )
        yield Choose("Which conversation of yours?", tuple(choices))
        return
    real = history.find_real(reals, rest)
    me, entries = history.latest(session.workspace, real, max(session.facts["size"] - 1 - SPARE, 1))
    conversation = session.fresh(me)
    others = [name for name in real.members if name != me]
    answering = next((entry.name for entry in reversed(entries) if entry.name != me), None)
    target = answering if answering in others else (others or [me])[0]
    conversation.do(conversation.cast(members=list(real.members), kind=real.kind, target=target))
    for entry in entries:
        conversation.do(conversation.real(entry))
    session.take_up(conversation, Transcript(session.workspace))
    session.process.warm(conversation.context())
    yield cast(session, f"The end of your conversation with {real.label}; {called(target)} answers.")


def checkpoint(session: Session, rest: str) -> Events:
    """Talk with another checkpoint; if it cannot be loaded, the one that was there is loaded again."""
    if not rest:
        folders = reversed(checkpoints.finished(session.workspace))
        names = [checkpoints.name_of(folder) for folder in folders]
        told = {session.checkpoint: "this one"}
        yield Choose(
            "Which checkpoint?", tuple(Choice(name, told.get(name, ""), f"/checkpoint {name}") for name in names)
        )
        return
    folder = checkpoints.find(session.workspace, rest)
    before = session.process
    before.close()
    yield Busy("loading the model")
    session.process = ModelProcess(folder, session.settings)
    try:
        session.load()
    except Fault as fault:
        session.process.close()
        session.process = before
        session.load()
        yield Failed(str(fault), f"/checkpoint {rest}")
        return
    session.process.warm(session.conversation.context())
    yield cast(session, f"You talk with {one_line(session.checkpoint, 60)}. {session.facts['notice']}".rstrip())


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d")


def _minute(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _count(messages: int) -> str:
    return "1 message" if messages == 1 else f"{messages:,} messages"
