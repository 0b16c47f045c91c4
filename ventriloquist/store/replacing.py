"""Writing a source's whole history in one transaction: whoever reads sees the old one or the new one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from ventriloquist.records import ME, UNKNOWN, Attachment, Chat, ChatKind, Conversation, Ledger, Message, Person
from ventriloquist.store.schema import ATTACHMENT_COLUMNS, MESSAGE_COLUMNS, drop_indexes, make_indexes
from ventriloquist.store.values import to_value

BATCH = 2000
Row = tuple[object, ...]


def replace_history(
    connection: sqlite3.Connection,
    source: str,
    chats: Sequence[Chat],
    conversations: Sequence[Conversation],
    people: Sequence[Person],
    messages: Iterator[Message],
    ledger: Ledger,
) -> None:
    """Put the history of `source` in the place of the one before; `ledger` is complete once `messages` is read.

    Chats, conversations and people without a single message are left out. Descriptions stay.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        _Replacing(connection, source, people).run(chats, conversations, messages, ledger)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class _Replacing:
    """One replacement under way: the numbers that were given out, and what turned out to be in use."""

    def __init__(self, connection: sqlite3.Connection, source: str, people: Sequence[Person]) -> None:
        self._connection = connection
        self._source = source
        self._people = people
        self._person_of = {handle: person.key for person in people for handle in person.handles}
        self._used_chats: set[str] = set()
        self._used_senders: set[str | None] = set()

    def run(
        self,
        chats: Sequence[Chat],
        conversations: Sequence[Conversation],
        messages: Iterator[Message],
        ledger: Ledger,
    ) -> None:
        drop_indexes(self._connection)
        self._delete_old()
        numbers = self._conversation_numbers(conversations)
        where = self._places(chats, conversations, numbers)
        self._write_messages(messages, where)
        self._write_chats(chats, where)
        used = {where[guid][1] for guid in self._used_chats}
        kept = [conversation for conversation in conversations if numbers[conversation.id] in used]
        self._write_conversations(kept, numbers)
        self._write_people(kept)
        self._write_ledger(ledger)
        make_indexes(self._connection)

    def _delete_old(self) -> None:
        mine = [self._source]
        execute = self._connection.execute
        if not execute("SELECT 1 FROM collects WHERE source <> ?", mine).fetchone():
            for table in ("attachments", "messages", "chat_handles", "chats", "handles", "members", "conversations"):
                execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own tables
        else:
            execute("DELETE FROM attachments WHERE message IN (SELECT number FROM messages WHERE source = ?)", mine)
            execute("DELETE FROM messages WHERE source = ?", mine)
            execute("DELETE FROM chat_handles WHERE chat IN (SELECT number FROM chats WHERE source = ?)", mine)
            execute("DELETE FROM chats WHERE source = ?", mine)
            execute("DELETE FROM handles WHERE source = ?", mine)
            execute("DELETE FROM conversations WHERE number NOT IN (SELECT conversation FROM chats)")
            execute("DELETE FROM members WHERE conversation NOT IN (SELECT number FROM conversations)")
        execute("DELETE FROM people WHERE key NOT IN (SELECT person FROM handles)")
        execute("DELETE FROM ledger WHERE source = ?", mine)

    def _conversation_numbers(self, conversations: Sequence[Conversation]) -> dict[str, int]:
        numbers = {
            str(id_): int(number) for id_, number in self._connection.execute("SELECT id, number FROM conversations")
        }
        following = self._next("conversations")
        for id_ in sorted(conversation.id for conversation in conversations):
            if id_ not in numbers:
                numbers[id_], following = following, following + 1
        return numbers

    def _places(
        self, chats: Sequence[Chat], conversations: Sequence[Conversation], numbers: dict[str, int]
    ) -> dict[str, tuple[int, int]]:
        """The chat's number and its conversation's, by the chat's guid."""
        by_people: dict[tuple[ChatKind, frozenset[str]], int] = {
            (conversation.kind, frozenset(conversation.members) - {ME}): numbers[conversation.id]
            for conversation in conversations
        }
        following = self._next("chats")
        return {
            chat.guid: (following + index, by_people[chat.kind, self._others(chat)]) for index, chat in enumerate(chats)
        }

    def _others(self, chat: Chat) -> frozenset[str]:
        return frozenset(self._person_of[handle] for handle in chat.handles) - {ME}

    def _next(self, table: str) -> int:
        query = f"SELECT coalesce(max(number), 0) + 1 FROM {table}"  # noqa: S608 - names of our own tables
        return int(self._connection.execute(query).fetchone()[0])

    def _write_messages(self, messages: Iterator[Message], where: dict[str, tuple[int, int]]) -> None:
        insert_messages = _insert("messages", len(MESSAGE_COLUMNS))
        insert_attachments = _insert("attachments", len(ATTACHMENT_COLUMNS))
        number = self._next("messages")
        while batch := list(islice(messages, BATCH)):
            rows, files = [], []
            for message in batch:
                rows.append(_message_row(number, message, where[message.chat]))
                files += [_attachment_row(number, place, file) for place, file in enumerate(message.attachments)]
                self._used_chats.add(message.chat)
                if not message.is_from_me:
                    self._used_senders.add(message.sender_handle)
                number += 1
            self._connection.executemany(insert_messages, rows)
            self._connection.executemany(insert_attachments, files)

    def _write_chats(self, chats: Sequence[Chat], where: dict[str, tuple[int, int]]) -> None:
        for chat in chats:
            if chat.guid not in self._used_chats:
                continue
            number, conversation = where[chat.guid]
            words = (to_value(chat.guid), chat.kind.value, to_value(chat.name), to_value(chat.service))
            self._insert("chats", [(number, self._source, *words, conversation)])
            handles = [(number, position, to_value(handle)) for position, handle in enumerate(chat.handles)]
            self._insert("chat_handles", handles)

    def _write_conversations(self, conversations: Sequence[Conversation], numbers: dict[str, int]) -> None:
        for conversation in conversations:
            number = numbers[conversation.id]
            row = (number, conversation.id, conversation.kind.value, to_value(conversation.name))
            self._insert("conversations", [row], or_replace=True)
            self._connection.execute("DELETE FROM members WHERE conversation = ?", [number])
            members = [(number, position, to_value(key)) for position, key in enumerate(conversation.members)]
            self._insert("members", members)

    def _write_people(self, conversations: Sequence[Conversation]) -> None:
        used = {ME} | {key for conversation in conversations for key in conversation.members}
        used |= {self._person_of.get(handle, UNKNOWN) if handle else UNKNOWN for handle in self._used_senders}
        for person in self._people:
            if person.key in used:
                key = to_value(person.key)
                self._insert("people", [(key, to_value(person.name), int(person.is_me))], or_replace=True)
                handles = [(self._source, to_value(handle), key) for handle in person.handles]
                self._insert("handles", handles, or_replace=True)

    def _write_ledger(self, ledger: Ledger) -> None:
        for kept, counter in ((1, ledger.kept), (0, ledger.dropped)):
            self._insert("ledger", [(self._source, kept, what, year, n) for (what, year), n in sorted(counter.items())])
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._insert("collects", [(self._source, now)], or_replace=True)

    def _insert(self, table: str, rows: Iterable[Row], *, or_replace: bool = False) -> None:
        rows = list(rows)
        if rows:
            self._connection.executemany(_insert(table, len(rows[0]), or_replace=or_replace), rows)


def _insert(table: str, columns: int, *, or_replace: bool = False) -> str:
    verb = "INSERT OR REPLACE" if or_replace else "INSERT"
    return f"{verb} INTO {table} VALUES ({','.join('?' * columns)})"


def _message_row(number: int, message: Message, place: tuple[int, int]) -> Row:
    chat, conversation = place
    reaction = message.reaction
    return (
        number,
        conversation,
        message.sent_at,
        message.source_row,
        message.source,
        to_value(message.guid),
        chat,
        message.kind.value,
        message.is_from_me,
        to_value(message.sender_handle),
        to_value(message.text),
        to_value(message.reply_to),
        reaction and reaction.type,
        reaction and to_value(reaction.target),
        reaction and reaction.part,
        reaction and to_value(reaction.emoji),
        message.edited,
        message.unsent,
        to_value(message.service),
        len(message.attachments),
    )


def _attachment_row(message: int, position: int, attachment: Attachment) -> Row:
    return (
        message,
        position,
        to_value(attachment.guid),
        to_value(attachment.mime_type),
        to_value(attachment.name),
        to_value(attachment.path),
        to_value(attachment.transcript),
        attachment.is_sticker,
        attachment.total_bytes,
    )
