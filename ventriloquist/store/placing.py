"""Which chat and which conversation a message belongs to, by number, and who is in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from ventriloquist.records import ME, UNKNOWN, Chat, ChatKind, Conversation, Person
from ventriloquist.store.values import to_text, to_value, to_word

Row = tuple[object, ...]


class Places:
    """The chats of a source and the conversations they merge into. Numbers that were given out stay."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        source: str,
        chats: Sequence[Chat],
        people: Sequence[Person],
        conversations: Sequence[Conversation],
    ) -> None:
        self._connection = connection
        self.source = source
        self._chats = chats
        self._conversations = conversations
        self._person_of = {handle: person.key for person in people for handle in person.handles}
        numbers = self._conversation_numbers()
        by_people: dict[tuple[ChatKind, frozenset[str]], int] = {
            (conversation.kind, frozenset(conversation.members) - {ME}): numbers[conversation.id]
            for conversation in conversations
        }
        self._numbers = numbers
        before = self._chats_before()
        following = self._next("chats")
        self._places: dict[str, tuple[int, int]] = {}
        for chat in chats:
            number = before.get(chat.guid)
            if number is None:
                number, following = following, following + 1
            self._places[chat.guid] = number, by_people[chat.kind, self._others(chat)]
        self.of = self._places.__getitem__
        """(chat, conversation) by the guid of the chat."""

    def write(self, people: Sequence[Person]) -> None:
        """Write the chats, conversations and people that have messages, and put the messages of chats whose people
        turned out to be others into their conversations. Once all messages are written."""
        query = (
            "SELECT DISTINCT source, chat, CASE WHEN is_from_me THEN NULL ELSE coalesce(sender, '') END FROM messages"
        )
        written = self._connection.execute(query).fetchall()
        used = {chat for source, chat, _ in written if source == self.source}
        self._write_chats([chat for chat in self._chats if self._places[chat.guid][0] in used])
        in_use = {number for (number,) in self._connection.execute("SELECT DISTINCT conversation FROM chats")}
        kept = [each for each in self._conversations if self._numbers[each.id] in in_use]
        self._write_conversations(kept)
        self._write_people(people, kept, {to_text(sender) for _, _, sender in written} - {None})

    def _execute(self, query: str) -> sqlite3.Cursor:
        return self._connection.execute(query, [self.source])

    def _conversation_numbers(self) -> dict[str, int]:
        rows = self._connection.execute("SELECT id, number FROM conversations")
        numbers = {str(id_): int(number) for id_, number in rows}
        following = self._next("conversations")
        for id_ in sorted(conversation.id for conversation in self._conversations):
            if id_ not in numbers:
                numbers[id_], following = following, following + 1
        return numbers

    def _chats_before(self) -> dict[str, int]:
        rows = self._execute("SELECT guid, number FROM chats WHERE source = ?")
        return {to_word(guid): int(number) for guid, number in rows}

    def _others(self, chat: Chat) -> frozenset[str]:
        return frozenset(self._person_of[handle] for handle in chat.handles) - {ME}

    def _next(self, table: str) -> int:
        query = f"SELECT coalesce(max(number), 0) + 1 FROM {table}"  # noqa: S608 - names of our own tables
        return int(self._connection.execute(query).fetchone()[0])

    def _write_chats(self, chats: Sequence[Chat]) -> None:
        self._execute("DELETE FROM chat_handles WHERE chat IN (SELECT number FROM chats WHERE source = ?)")
        before = dict(self._execute("SELECT number, conversation FROM chats WHERE source = ?"))
        self._execute("DELETE FROM chats WHERE source = ?")
        moved = False
        for chat in chats:
            number, conversation = self._places[chat.guid]
            words = (to_value(chat.guid), chat.kind.value, to_value(chat.name), to_value(chat.service))
            self._insert("chats", [(number, self.source, *words, conversation)])
            handles = [(number, position, to_value(handle)) for position, handle in enumerate(chat.handles)]
            self._insert("chat_handles", handles)
            moved |= before.get(number, conversation) != conversation
        if moved:
            now = "(SELECT conversation FROM chats WHERE number = messages.chat)"
            self._execute(f"UPDATE messages SET conversation = {now} WHERE source = ? AND conversation <> {now}")  # noqa: S608

    def _write_conversations(self, conversations: Sequence[Conversation]) -> None:
        execute = self._connection.execute
        execute("DELETE FROM conversations WHERE number NOT IN (SELECT conversation FROM chats)")
        execute("DELETE FROM members WHERE conversation NOT IN (SELECT number FROM conversations)")
        for conversation in conversations:
            number = self._numbers[conversation.id]
            row = (number, conversation.id, conversation.kind.value, to_value(conversation.name))
            self._insert("conversations", [row], or_replace=True)
            execute("DELETE FROM members WHERE conversation = ?", [number])
            members = [(number, position, to_value(key)) for position, key in enumerate(conversation.members)]
            self._insert("members", members)

    def _write_people(
        self, people: Sequence[Person], conversations: Sequence[Conversation], senders: set[str | None]
    ) -> None:
        used = {ME} | {key for conversation in conversations for key in conversation.members}
        used |= {self._person_of.get(sender, UNKNOWN) for sender in senders if sender is not None}
        self._execute("DELETE FROM handles WHERE source = ?")
        self._connection.execute("DELETE FROM people WHERE key NOT IN (SELECT person FROM handles)")
        for person in people:
            if person.key in used:
                key = to_value(person.key)
                self._insert("people", [(key, to_value(person.name), int(person.is_me))], or_replace=True)
                handles = [(self.source, to_value(handle), key) for handle in person.handles]
                self._insert("handles", handles, or_replace=True)

    def _insert(self, table: str, rows: Iterable[Row], *, or_replace: bool = False) -> None:
        rows = list(rows)
        if rows:
            verb = "INSERT OR REPLACE" if or_replace else "INSERT"
            marks = ",".join("?" * len(rows[0]))
            self._connection.executemany(f"{verb} INTO {table} VALUES ({marks})", rows)
