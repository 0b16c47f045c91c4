"""What was said in the conversations of the store, as windows show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ventriloquist.media.words import content_type, local_description
from ventriloquist.pipeline.included import Talk, name_of
from ventriloquist.records import ME, UNKNOWN, Attachment, Person
from ventriloquist.store import Store
from ventriloquist.windows.render import Entry, Rendering, Sender, parts_of
from ventriloquist.windows.split import Holdout

FEW = 10
"""Messages to read at a time from a conversation's end."""


class _Names(dict[Sender, str]):
    """The names by (is_from_me, sender_handle), each looked up once."""

    def __init__(self, people: Mapping[str, Person]) -> None:
        self._people = people
        self._owner = {handle: person.key for person in people.values() for handle in person.handles}

    def __missing__(self, sender: Sender) -> str:
        is_from_me, handle = sender
        key = ME if is_from_me else self._owner.get(handle, UNKNOWN) if handle else UNKNOWN
        self[sender] = name = name_of(key, self._people)
        return name


class Speech:
    """Reads conversations as entries."""

    def __init__(self, store: Store, people: Mapping[str, Person]) -> None:
        self._store = store
        self._names = _Names(people)

    def of(self, talk: Talk) -> Iterator[list[Entry]]:
        """Everything that was said, in order, some hundred messages at a time."""
        rendering = Rendering(self._names, words, self._store.earlier)
        return map(rendering.entries, self._store.spoken(talk.id))

    def end_of(self, talk: Talk, holdout: Holdout) -> Iterator[tuple[int, str]]:
        """(sent_at, text) of every line that may be held out, newest first."""
        place = 0
        for message in self._store.backwards(talk.id, FEW):
            parts = parts_of(message, words)
            place += bool(parts)
            if parts and not holdout.may_hold(place, message.sent_at):
                break
            for _, text in parts:
                yield message.sent_at, text


def words(attachment: Attachment) -> tuple[str, str]:
    """An attachment's content type, and its description or what can be said without one."""
    return content_type(attachment), attachment.description or local_description(attachment)
