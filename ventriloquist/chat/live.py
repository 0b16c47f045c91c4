"""Live conversations: the real ones of the store, to go on from, and collecting what is new in them first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ventriloquist import runs
from ventriloquist.faults import Fault, NoInput, unforeseen
from ventriloquist.locks import is_locked
from ventriloquist.records import ME, Person
from ventriloquist.runevents import is_event, read_events, tail
from ventriloquist.runfold import RunState
from ventriloquist.runs import WATCHING, RunInfo
from ventriloquist.speech import Speech, name_of, talks_in, titles
from ventriloquist.store import Store
from ventriloquist.text import one_line
from ventriloquist.windows.render import Entry
from ventriloquist.workspace import Workspace

COLLECT = "collect"
SHOWN = 60
"""Characters of a conversation's last line."""
LOOK_SECONDS = 0.1
DEAD_LOOKS = 3
"""A run whose lock is free this often, one look after the other, and that wrote no end, is lost."""
TELL_SECONDS = 2.0
"""How often it is told how far a collect is."""
COLLECTING = "Collecting new messages…"
_PLACES = ("db", "backup", "attachments", "address_book")
"""The settings that say where a history lies."""


@dataclass(frozen=True, slots=True)
class Real:
    """A conversation of the store. `members` are in the order of a window's header, me among them; `messages` counts
    all that the store holds; `last_at` is when its last line was sent (microseconds since 1970), `last` its text."""

    id: str
    kind: str
    label: str
    members: tuple[str, ...]
    messages: int
    last_at: int
    last: str


def real_conversations(workspace: Workspace) -> list[Real]:
    """Every conversation in which something shows, the newest first; raises NoInput where nothing was collected."""
    with Store.open(workspace) as store, store.moment():
        people = store.people()
        speech, talks = Speech(store, people), talks_in(store, people)
        called = titles((talk.conversation for talk in talks), people)
        found = [
            Real(talk.id, talk.conversation.kind.value, called[talk.id], talk.names, talk.messages, at, _short(text))
            for talk in talks
            for at, text in [speech.last_of(talk) or (None, "")]
            if at is not None
        ]
    return sorted(found, key=lambda real: (-real.last_at, real.id))


def _short(text: str) -> str:
    return one_line(text, SHOWN)


def find_real(reals: Sequence[Real], said: str) -> Real:
    """The conversation of this id or name, or the only one in whose name the words are; raises a UsageFault that names
    which may have been meant."""
    from ventriloquist.people.finding import find_person, folded  # loads the tables of all phone numbers

    by_id = {real.id: real for real in reals}
    if said.strip() in by_id:
        return by_id[said.strip()]
    wanted = folded(said)
    holding = [real for real in reals if wanted and wanted in folded(real.label)]
    if len(holding) == 1:
        return holding[0]
    named = [Person(real.id, real.label) for real in reals]
    return by_id[find_person(named, said, str, "/live lists the conversations.").key]


def latest(workspace: Workspace, real: Real, count: int) -> tuple[str, list[Entry]]:
    """What I am called, and the conversation's last `count` entries exactly as preprocess renders them, older ones that
    they quote among what is looked up; raises NoInput if it is no longer in the store."""
    with Store.open(workspace) as store, store.moment():
        people = store.people()
        entries = Speech(store, people).latest(real.id, count)
    if count > 0 and not entries:
        raise NoInput("This conversation is no longer in the history; choose another one.")
    return name_of(ME, people), entries


# --- collecting -----------------------------------------------------------------------------------------------------


def collect_again(workspace: Workspace) -> Iterator[str]:
    """Do the last collect of this workspace again, as a run of its own, and say how it goes, in sentences.

    Says nothing where the history was collected elsewhere, or lies here no more. A collect that cannot be done, or
    fails, is told and never raised: the history that is there is as it was. Whoever stops listening leaves the run to
    end by itself.
    """
    try:
        known = runs.list_runs(workspace)
        if any(run.stage == COLLECT and run.alive and run.settings.get("watch") for run in known):
            yield "A collect is watching the history, so new messages are here already."
            return
        last = next((run for run in reversed(known) if run.stage == COLLECT and _has_collected(run)), None)
        if last is None or not _source_is_there(workspace, last):
            return
        yield COLLECTING
        run_id = runs.start(workspace, COLLECT, _argv(last))
        state = RunState()
        yield from _follow(workspace.runs / run_id, state)
    except (Fault, OSError) as error:
        yield _going_on(workspace, str(unforeseen(error, "collecting")))
        return
    if state.end == "done":
        yield _what_came(state.makes)
    else:
        yield _going_on(workspace, state.error or "The collect ended without a word.")


def _has_collected(run: RunInfo) -> bool:
    """True for a collect that came to its end, or, if it watched, to the end of its first one."""
    return any(
        (event["kind"], event.get("status") or event.get("name")) in (("end", "done"), ("phase", WATCHING))
        for event in read_events(run.folder)
    )


def _source_is_there(workspace: Workspace, run: RunInfo) -> bool:
    from ventriloquist.settings import CollectSettings  # with its libraries, no part of a chat's start
    from ventriloquist.sources import is_there

    return is_there(CollectSettings.load(workspace, **_named_places(run)))


def _named_places(run: RunInfo) -> dict[str, Any]:
    """Where the run found its history, wherever that was said."""
    return {name: run.settings[name] for name in _PLACES if run.settings.get(name)}


def _argv(run: RunInfo) -> list[str]:
    """The run's command, for once and not to watch, with the places that its environment may have named."""
    words = [word for word in run.argv if word not in ("--watch", "--no-watch", "--detach", "--json")]
    for name, place in _named_places(run).items():
        flag = f"--{name.replace('_', '-')}"
        if flag not in words:
            words += [flag, str(place)]
    return [*words, "--no-watch"]


def _follow(folder: Path, state: RunState) -> Iterator[str]:
    """Fold the events of a run into `state` until it ends or is lost, now and then telling how far it is."""
    offset, dead_looks, told = 0, 0, time.monotonic()
    while not state.end and dead_looks < DEAD_LOOKS:
        alive = is_locked(folder / "lock")  # before the events: a run writes its end, then lets go
        events, after = tail(folder, offset)
        for event in filter(is_event, events):
            state.add(event)
        dead_looks = 0 if alive or after > offset else dead_looks + 1
        if after > offset:
            offset = after
            continue
        if state.total and time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            yield f"{COLLECTING} {state.done:,} of {state.total:,} {one_line(state.unit)}"
        time.sleep(LOOK_SECONDS)


def _what_came(makes: Mapping[str, Any]) -> str:
    """Such as `3 new messages.` or `No new messages; 2 changed, 1 gone.`"""
    new, rest = makes.get("new", 0), [f"{makes[what]:,} {what}" for what in ("changed", "gone") if makes.get(what)]
    told = f"{new:,} new messages" if new > 1 else "1 new message" if new else "No new messages"
    return f"{told}; {', '.join(rest)}." if rest else f"{told}."


def _going_on(workspace: Workspace, why: str) -> str:
    """The sentence `why`, and what there is nevertheless."""
    sentence = one_line(why)
    try:
        with Store.open(workspace) as store:
            at = store.collected_at()
    except Fault:
        at = None
    if at is None:
        return sentence
    when = f"{datetime.fromisoformat(at).astimezone():%Y-%m-%d %H:%M}"
    return f"{sentence}{'' if sentence.endswith('.') else '.'} Going on with what was collected on {when}."
