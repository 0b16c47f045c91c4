"""Preprocess: the collected conversations become `data/training_windows.jsonl`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ventriloquist.faults import NoInput, UsageFault
from ventriloquist.files import remove_partials, replacing, write_whole
from ventriloquist.media.words import content_type, local_description
from ventriloquist.records import Attachment, Conversation, Message, Person
from ventriloquist.runs import Run
from ventriloquist.settings import PreprocessSettings
from ventriloquist.store import Store
from ventriloquist.text import clean_name
from ventriloquist.windows.build import Window, cut_windows, split_by_time
from ventriloquist.windows.lines import quote
from ventriloquist.windows.render import Entry, entries_of

NOBODY = "Unknown"
"""Who speaks where the source does not say."""


def preprocess(settings: PreprocessSettings, workspace: Any, run: Run) -> dict[str, Any]:
    """Write the windows and, last, a report of what they were made from. The same store gives the same bytes."""
    with Store.open(workspace) as store:
        remove_partials(workspace.data)
        people = store.people()
        run.phase("choose conversations")
        chosen, left_out = _choose(store, people, settings)
        run.phase("cut windows")
        counts: Counter[str] = Counter()
        speakers: Counter[str] = Counter()
        digest = hashlib.sha256()
        with replacing(workspace.windows) as file:
            for number, conversation in enumerate(chosen, 1):
                entries = list(conversation_entries(store, conversation, people))
                if len(entries) < settings.min_messages:
                    left_out["too short"] += 1
                    continue
                speakers.update(entry.name for entry in entries)
                counts["lines"] += len(entries)
                for window in _windows(entries, conversation, people, settings):
                    line = _as_json(window).encode()
                    digest.update(line)
                    file.write(line)
                    counts[window.split] += 1
                    counts["targets"] += window.targets if window.split == "train" else 0
                run.progress(number, len(chosen), "conversations")
            if not counts["train"]:  # before the windows of an earlier run are replaced
                raise NoInput(
                    "No conversation is long enough to learn from: every one has fewer than "
                    f"{settings.min_messages} messages or was left out. Collect more, or lower --min-messages."
                )
        fingerprint = store.fingerprint()
    report = {
        "sha256": digest.hexdigest(),
        "store": fingerprint,
        "settings": settings.public(),
        "windows": {split: counts[split] for split in ("train", "validation", "test")},
        "targets": counts["targets"],
        "lines": counts["lines"],
        "people": dict(speakers.most_common()),
        "me": next((person.name for person in people.values() if person.is_me), ""),
        "conversations": len(chosen) - left_out["too short"],
        "left_out": dict(left_out),
    }
    write_whole(workspace.windows_report, json.dumps(report, indent=1, ensure_ascii=True) + "\n")
    return {key: report[key] for key in ("windows", "targets", "lines", "conversations", "left_out")}


def conversation_entries(store: Store, conversation: Conversation, people: dict[str, Person]) -> Iterator[Entry]:
    """Everything said in a conversation, as entries."""

    def name_of(message: Message) -> str:
        person = people.get(store.person_of(message))
        return person.name if person else NOBODY

    return entries_of(store.messages(conversation.id), name_of, words)


def words(attachment: Attachment) -> tuple[str, str]:
    """An attachment's content type, and its description or what can be said without one."""
    return content_type(attachment), attachment.description or local_description(attachment)


def member_names(conversation: Conversation, people: dict[str, Person], entries: Sequence[Entry] = ()) -> list[str]:
    """Everyone in the conversation, and whoever spoke in it and has since left."""
    names = [people[key].name for key in conversation.members if key in people]
    return list(dict.fromkeys([*names, *(entry.name for entry in entries)]))


def _choose(
    store: Store, people: dict[str, Person], settings: PreprocessSettings
) -> tuple[list[Conversation], Counter[str]]:
    only, without = _names(settings.only, people), _names(settings.without, people)
    chosen: list[Conversation] = []
    left_out: Counter[str] = Counter()
    for conversation in store.conversations():
        names = {people[key].name for key in conversation.members if key in people and not people[key].is_me}
        if without & names:
            left_out["without"] += 1
        elif only and not names <= only:
            left_out["not among --only"] += 1
        else:
            chosen.append(conversation)
    return chosen, left_out


def _names(given: str, people: dict[str, Person]) -> set[str]:
    known = {person.name.casefold(): person.name for person in people.values()}
    names = set()
    for name in filter(None, (clean_name(part) for part in given.split(","))):
        if name.casefold() not in known:
            raise UsageFault(f"Nobody in the history is called {name}; see: ventriloquist people list.")
        names.add(known[name.casefold()])
    return names


def _windows(
    entries: list[Entry], conversation: Conversation, people: dict[str, Person], settings: PreprocessSettings
) -> Iterator[Window]:
    regions = split_by_time(entries, settings.holdout, settings.max_holdout)
    return cut_windows(
        entries,
        regions,
        kind=conversation.kind,
        members=member_names(conversation, people, entries),
        size=settings.size,
        stride=settings.stride,
        id=conversation.id,
    )


def _as_json(window: Window) -> str:
    fields = {
        "text": window.text,
        "targets": window.targets,
        "conversation": window.conversation,
        "split": window.split,
    }
    return quote(fields) + "\n"
