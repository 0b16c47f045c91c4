"""What each command of a chat does; those that go to another conversation are in `switching`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ventriloquist.chat import switching
from ventriloquist.chat.commands import (
    ANY,
    BY_NAME,
    REACTIONS,
    help_lines,
    match_name,
    number_of,
    numbered,
    split_names,
)
from ventriloquist.chat.events import Changed, ChatEvent, Choice, Choose, Failed, Offered, Quit, Told, TurnEnded, Wrote
from ventriloquist.chat.options import option_in, option_lines
from ventriloquist.chat.process import Asked
from ventriloquist.faults import UsageFault
from ventriloquist.text import clean_name, is_blank, one_line
from ventriloquist.windows.lines import Line

if TYPE_CHECKING:
    from ventriloquist.chat.session import Session

CANDIDATES = 3
MOST_CANDIDATES = 16
AUTO = 8
MOST_LINES = 256
LONGEST_REACTION = 16

Events = Iterator[ChatEvent]


def answer(session: Session, command: str, rest: str) -> Events:
    """Do a command; raises UsageFault where it makes no sense as it was typed."""
    if rest and not BY_NAME[command].takes:
        raise UsageFault(f"/{command} takes nothing after it.")
    yield from _ANSWERS[command](session, rest)


# --- who is there ---------------------------------------------------------------------------------------------------


def _target(session: Session, rest: str) -> Events:
    talk, waits = session.conversation, ""
    if not rest:
        yield Choose(
            "Who answers?", (*_people(session, "target"), Choice("anyone", "the model chooses", "/target any"))
        )
        return
    if rest == ANY and ANY not in talk.members:
        session.do(talk.cast(target=None))
    else:
        name = match_name(rest, talk.answering)
        if name not in talk.answering:
            name = match_name(rest, session.others_known)
            if not name or name in (talk.me, talk.speaker):
                raise UsageFault("Name who shall answer: /target NAME, or /target any")
            waits = session.recast(talk.cast_of([name] if talk.kind == "dm" else [*talk.others, name]))
        session.do(session.conversation.cast(target=name))
    yield switching.cast(session, f"{switching.called(session.conversation.target)} answers. {waits}".rstrip())


def _members(session: Session, rest: str) -> Events:
    talk = session.conversation
    if not rest:
        yield Told(tuple((one_line(name, 60), _part(session, name)) for name in talk.members))
        return
    names = split_names(rest, list(dict.fromkeys([*talk.members, *session.known])))
    if not [name for name in names if name != talk.me]:
        raise UsageFault("Name at least one member besides you: /members NAME, NAME")
    waits = session.recast(talk.cast_of(names))
    yield switching.cast(session, f"In the conversation: {_listed(session.conversation.members)}. {waits}".rstrip())


def _sender(session: Session, rest: str) -> Events:
    talk = session.conversation
    if not rest:
        yield Choose("Whom do you speak as?", _people(session, "sender", everyone=True))
        return
    name = match_name(rest, talk.members)
    if name not in talk.members:
        raise UsageFault(f"{one_line(name, 40)} is not in the conversation: /members adds people.")
    target = talk.target
    if target == name:
        target = next(other for other in [*talk.others, talk.me] if other != name)
    session.do(talk.cast(sender="" if name == talk.me else name, target=target))
    yield Changed(f"You speak as {one_line(name, 40)}; {switching.called(target)} answers.")


def _type(session: Session, rest: str) -> Events:
    talk = session.conversation
    if rest not in ("dm", "group"):
        now = "a dm, a conversation of two" if talk.kind == "dm" else "a group"
        raise UsageFault(f"This is {now}; /type dm and /type group change it.")
    if rest == "dm" and len(talk.others) > 1:
        raise UsageFault("There are more than two people in it; /members NAME leaves one.")
    session.do(talk.cast(kind=rest))
    yield Changed(f"It is a {'conversation of two' if rest == 'dm' else 'group'} now.")


def _people(session: Session, command: str, *, everyone: bool = False) -> tuple[Choice, ...]:
    talk = session.conversation
    names = talk.members if everyone else [*talk.answering, *session.others_known]
    return tuple(
        Choice(name, _part(session, name), f"/{command} {name}")
        for name in dict.fromkeys(names)
        if everyone or name != talk.speaker
    )


def _part(session: Session, name: str) -> str:
    talk = session.conversation
    parts = [
        "you" if name == talk.me else "",
        "you speak as" if name == talk.sender else "",
        "answers" if name == talk.target else "",
        "" if name in session.known else "unknown to the model",
        "" if name in talk.members else "not here",
    ]
    return ", ".join(filter(None, parts)) or "may answer"


def _listed(names: list[str]) -> str:
    return ", ".join(one_line(name, 40) for name in names)


# --- what is said ---------------------------------------------------------------------------------------------------


def _send(session: Session, rest: str) -> Events:
    if is_blank(rest):
        yield from session.reply()
    else:
        yield from session.say(session.conversation.words(rest), f"/send {rest}")


def _continue(session: Session, rest: str) -> Events:
    yield from session.reply(count=number_of(rest, "/continue", 1, MOST_LINES) if rest else None)


def _auto(session: Session, rest: str) -> Events:
    count = number_of(rest, "/auto", 1, MOST_LINES) if rest else AUTO
    yield from session.reply(count=count, everyone=True)


def _retry(session: Session, rest: str) -> Events:
    """Take back the reply and ask again; if nothing comes, the old one is put back."""
    talk, count = session.conversation, session.conversation.last_turn(mine=False)
    taken = talk.said[len(talk.said) - count :]
    _drop(session, count)
    yield Changed("")
    wrote = False
    for event in session.reply():
        wrote = wrote or isinstance(event, Wrote)
        if isinstance(event, Failed | TurnEnded) and taken and not wrote:
            session.do(*(talk.says(*utterance) for utterance in taken))
            yield Changed("The reply that was there is back.")
        yield event


def _undo(session: Session, rest: str) -> Events:
    count = session.conversation.last_turn(mine=True)
    if not count:
        raise UsageFault("There is nothing to take back.")
    _drop(session, count)
    yield Changed(f"Took back {'the last message' if count == 1 else f'the last {count} messages'}.")


def _drop(session: Session, count: int) -> None:
    if count:
        session.do({"do": "drop", "count": count})


def _candidates(session: Session, rest: str) -> Events:
    """Ways in which the reply could begin; nothing changes until one is picked."""
    count = number_of(rest, "/candidates", 1, MOST_CANDIDATES) if rest else CANDIDATES
    yield from session.revive()
    talk = session.conversation
    given = talk.before(talk.last_turn(mine=False))
    context, names = given.context(), given.speakers(0)
    found = []
    if not session.stopping:
        found = session.process.offer(context, names, given.replies(), session.sampling(), count)
    session.offered = [(Line(**each["line"]), Asked(context, names, each["raw"], each["cost"])) for each in found]
    if session.offered:
        yield Offered(tuple(line for line, _ in session.offered))
    yield TurnEnded(stopped=not session.offered)


def _pick(session: Session, rest: str) -> Events:
    if not session.offered:
        raise UsageFault("There is nothing to pick from; /candidates asks for some.")
    line, asked = session.offered[number_of(rest, "/pick", 1, len(session.offered)) - 1]
    _drop(session, session.conversation.last_turn(mine=False))
    session.do(session.conversation.line(line))
    session.asked = asked
    yield Changed("")


def _reply(session: Session, rest: str) -> Events:
    number, words = numbered(rest)
    if number is None or is_blank(words):
        raise UsageFault("Name the message and what you say to it: /reply #1 WORDS (#1 is the last one).")
    session.conversation.check(number)
    yield from session.say(session.conversation.words(words, reply_to=number), f"/reply {rest}")


def _react(session: Session, rest: str) -> Events:
    number, said = numbered(rest)
    sign = clean_name(said)
    if not sign or len(sign) > LONGEST_REACTION:
        raise UsageFault(f"A reaction is one of {', '.join(REACTIONS)}, or an emoji: /react #1 Loved")
    sign = next((known for known in REACTIONS if known.casefold() == sign.casefold()), sign)
    number = 1 if number is None else number
    session.conversation.check(number)
    session.do(session.conversation.reaction(number, sign))
    yield Changed("")


def _edit(session: Session, rest: str) -> Events:
    number, words = numbered(rest)
    if is_blank(words):
        raise UsageFault("Say what it is to be: /edit WORDS for the last message, /edit #3 WORDS for another.")
    talk, number = session.conversation, 1 if number is None else number
    talk.check(number)
    if talk.numbered(number).entry.content_type == "reaction":
        raise UsageFault(f"#{number} is a reaction, which has no words; /undo takes the last one back.")
    session.do({"do": "edit", "index": len(talk.said) - number, "text": one_line(words)})
    yield Changed("Edited.")


# --- how it works ---------------------------------------------------------------------------------------------------


def _set(session: Session, rest: str) -> Events:
    if not rest:
        yield Told(option_lines(session.options))
        return
    name, value = option_in(rest)
    session.options[name] = value
    if name == "seed":
        session.process.seed(value)
    yield Changed(f"{name} is {value}.")


def _context(session: Session, rest: str) -> Events:
    header, *lines = session.conversation.context()
    numbers = range(len(lines), 0, -1)
    yield Told(
        (("", header.rstrip("\n")), *((f"#{n}", line.rstrip("\n")) for n, line in zip(numbers, lines, strict=True)))
    )


def _debug(session: Session, rest: str) -> Events:
    asked = session.asked
    if not asked.context:
        raise UsageFault("The model has written nothing yet.")
    cost = asked.cost
    told = [("prompt", line.rstrip("\n")) for line in asked.context]
    told.append(("may speak", _listed(asked.names)))
    told.append(("raw output", asked.raw.rstrip("\n")))
    told.append(("tokens", f"{cost['tokens']} written, {cost['sampled']} of them drawn, {cost['read']} read before"))
    told.append(("passes", f"{cost['forwards']} through the model"))
    told.append(("time", f"{cost['seconds']:.3f} s, {cost['first_seconds']:.3f} s to the first character"))
    told.append(("model", f"{session.checkpoint}, {session.facts['device']}, {session.facts['precision']}"))
    yield Told(tuple(told))


def _help(session: Session, rest: str) -> Events:
    yield Told(tuple(help_lines()))


def _quit(session: Session, rest: str) -> Events:
    yield Quit()


_ANSWERS: dict[str, Callable[[Session, str], Events]] = {
    "target": _target,
    "members": _members,
    "sender": _sender,
    "type": _type,
    "send": _send,
    "continue": _continue,
    "auto": _auto,
    "retry": _retry,
    "candidates": _candidates,
    "pick": _pick,
    "reply": _reply,
    "react": _react,
    "edit": _edit,
    "undo": _undo,
    "branch": switching.branch,
    "clear": switching.clear,
    "live": switching.live,
    "open": switching.open,
    "save": switching.save,
    "checkpoint": switching.checkpoint,
    "set": _set,
    "context": _context,
    "debug": _debug,
    "help": _help,
    "quit": _quit,
}
