"""What was said in the conversations of the store, as windows show it, and what the conversations are called.

Preprocess and chat both read here, so that a real conversation is to a chat what it was to training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ventriloquist.media.livephotos import moving_halves
from ventriloquist.media.words import content_type, local_description
from ventriloquist.records import ME, UNKNOWN, Attachment, ChatKind, Conversation, Person
from ventriloquist.store import Store
from ventriloquist.store.spoken import Batch
from ventriloquist.store.stats import numbers, sizes
from ventriloquist.windows.render import Entry, Part, Rendering, Sender, parts_of
from ventriloquist.windows.split import Holdout

NOBODY = "Unknown"
"""Who speaks where the source does not say."""
NAMED_MEMBERS = 3
FEW = 10
"""Messages to read at a time from a conversation's end."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation. `names` are its members', mine among them, and `messages` counts all that the store holds."""

    conversation: Conversation
    number: int
    names: tuple[str, ...]
    messages: int

    @property
    def id(self) -> str:
        return self.conversation.id


def talks_in(store: Store, people: Mapping[str, Person]) -> list[Talk]:
    """All conversations, in the order of their ids."""
    number_of, messages = numbers(store), sizes(store)
    return [
        Talk(
            conversation,
            number_of[conversation.id],
            tuple(dict.fromkeys(name_of(key, people) for key in conversation.members)),
            messages.get(number_of[conversation.id], 0),
        )
        for conversation in store.conversations()
    ]


def name_of(key: str, people: Mapping[str, Person]) -> str:
    """What the person of this key is called."""
    return people[key].name if key in people else NOBODY


def partner_in(conversation: Conversation) -> str | None:
    """The key of the other one in a conversation of two (mine, where I am alone), None in a group."""
    others = [key for key in conversation.members if key != ME]
    return (others[0] if others else ME) if conversation.kind is ChatKind.DM and len(others) < 2 else None


def titles(conversations: Iterable[Conversation], people: Mapping[str, Person]) -> dict[str, str]:
    """What each conversation is called, by its id: as the other one, or as the group.

    A group that has no name has those of its people; one whose name is taken, by a person too, gets a number after it.
    """
    taken, found = dict.fromkeys((person.name for person in people.values()), 1), {}
    for conversation in conversations:
        partner = partner_in(conversation)
        others = [people[key].name for key in conversation.members if key in people and key != ME]
        title = conversation.name or _listed(others)
        found[conversation.id] = _numbered(title, taken) if partner is None else name_of(partner, people)
    return found


def _numbered(title: str, taken: dict[str, int]) -> str:
    """`taken` are the names that are given, with the number that the next of that name may have."""
    name = title
    while name in taken:
        taken[title] += 1
        name = f"{title} ({taken[title]})"
    taken[name] = 1
    return name


def _listed(names: list[str]) -> str:
    if not names:
        return "A group without others"
    if len(names) > NAMED_MEMBERS + 1:
        return f"{', '.join(names[:NAMED_MEMBERS])} and {len(names) - NAMED_MEMBERS} more"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


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

    def latest(self, conversation_id: str, count: int) -> list[Entry]:
        """The last `count` entries of `of`, or as many as there are; no more of the conversation is read than they and
        what they quote lie in."""
        if count < 1:
            return []
        messages = count + FEW
        while True:
            batch = self._store.spoken_last(conversation_id, messages)
            entries = self._rendered(batch)
            if len(entries) >= count or len(batch.spoken) < messages:
                return entries[-count:]
            messages *= 4  # many of them show nothing

    def _rendered(self, batch: Batch) -> list[Entry]:
        """The entries of messages in the middle of a conversation."""
        asked = _asked_of_earlier(batch)
        found = self._store.all_earlier(asked, batch.spoken[0][0]) if asked else {}
        rendering = Rendering(self._names, words, lambda guid, number: found.get(guid), from_the_start=False)
        return rendering.entries(batch)

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

    def last_of(self, talk: Talk) -> tuple[int, str] | None:
        """(sent_at, text) of the last line; None where nothing shows."""
        shown = ((message.sent_at, parts_of(message, words)) for message in self._store.backwards(talk.id, FEW))
        return next(((sent_at, parts[-1][1]) for sent_at, parts in shown if parts), None)


def _asked_of_earlier(batch: Batch) -> set[str]:
    """The guids that messages of the batch reply or react to, and that none before them in the batch bears."""
    asked, seen = set[str](), set[str]()
    for number, guid, _, _, _, _, _, target, _, _, is_whole in batch.spoken:
        if is_whole:
            message = batch.whole[number]
            guid, target = message.guid, message.reaction.target if message.reaction else message.reply_to
        if target and target not in seen:
            asked.add(target)
        seen.add(guid)
    return asked


def words(attachments: Sequence[Attachment]) -> list[Part]:
    """The content type of each attachment of a message, and its description or what can be said without one; a Live
    Photo is one picture, though it is two files."""
    moving = moving_halves(attachments) if len(attachments) > 1 else {}
    return [
        (content_type(each), each.description or local_description(each))
        for each in attachments
        if each.guid not in moving
    ]
