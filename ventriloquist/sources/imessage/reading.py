"""Goes through the message table once and says of every row what it is, or why it is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ventriloquist.records import Chat, ChatKind, Kind, Ledger, Message, Reaction
from ventriloquist.sources.imessage import balloons, events, tapbacks
from ventriloquist.sources.imessage.attachments import Attachments
from ventriloquist.sources.imessage.bodies import APP_SLOT, OBJECT_SLOT, Said, raw_text, read_said
from ventriloquist.sources.imessage.chatdb import ChatDb
from ventriloquist.sources.imessage.chats import SOURCE
from ventriloquist.sources.imessage.dates import sent_at
from ventriloquist.sources.imessage.edits import Summary, read_summary
from ventriloquist.sources.imessage.rows import Light, Row, Rows
from ventriloquist.sources.imessage.typedstream import TypedStreamError, text_of

DELETED = "recently deleted"
NO_CHAT = "in no chat"
EMPTY = "empty"
UNREADABLE = "text that could not be read"
SELF_COPY = "second copy in a chat with yourself"
REPEATED = "second copy of the same message"
UNKNOWN_KIND = "a kind of row that is not known yet"
_ORDINARY = (0, 2, 3)


class Reading:
    """One pass over the messages."""

    def __init__(
        self,
        db: ChatDb,
        chats: dict[int, Chat],
        handles: dict[int, str],
        my_handles: set[str],
        attachments: Path,
        *,
        include_deleted: bool,
    ) -> None:
        self.unreadable = 0
        self.newest = 0
        self.files = Attachments(db, attachments)
        self._db = db
        self._rows = Rows(db)
        self._chats = chats
        self._handles = handles
        self._include_deleted = include_deleted
        self._chat_of = _Joined(db, "chat_message_join")
        self._deleted_from = _Joined(db, "chat_recoverable_message_join")
        self._ended = tapbacks.ended(self._tapback_rows())
        self._repeated = _repeated_guids(db)
        self._met: set[str] = set()
        self._to_myself = {
            number
            for number, chat in chats.items()
            if chat.kind is ChatKind.DM and chat.handles and my_handles.issuperset(chat.handles)
        }
        self._copies = self._sent_to_myself()

    def messages(self, ledger: Ledger) -> Iterator[Message]:
        """Every message that is one; `ledger` counts each row as it is read."""
        for light in self._rows.light():
            sent = sent_at(light.date)
            if sent > self.newest:
                self.newest = sent
            place = self._chat_of.at(light.number)
            read = self._plain(light, sent, place) or self._read(self._rows.full(light.number), sent, place)
            if isinstance(read, str):
                ledger.drop(read, sent)
            else:
                ledger.keep(read.kind, sent)
                yield read

    def _plain(self, light: Light, sent: int, place: int | None) -> Message | None:
        """The message of a row that is text and nothing else, as nearly all are; None for any other."""
        number, guid, text, body, handle, service, _, is_from_me, thread, special = light
        if special or place is None or place in self._to_myself or self._repeated or self.files.has(number):
            return None
        if body:
            try:
                text = text_of(body) or text
            except TypedStreamError:
                return None
        if not text or not guid or OBJECT_SLOT in text or APP_SLOT in text:
            return None
        chat = self._chats[place]
        sender = None if is_from_me else self._sender(handle, chat)
        return Message(
            guid, SOURCE, number, chat.guid, Kind.TEXT, bool(is_from_me), sent, sender, text, thread or None,
            service=service or None,
        )  # fmt: skip

    def _sender(self, handle: int | None, chat: Chat) -> str | None:
        sender = self._handles.get(handle or 0)
        if sender is None and chat.kind is ChatKind.DM and len(chat.handles) == 1:
            return chat.handles[0]
        return sender

    def _read(self, row: Row, sent: int, place: int | None) -> Message | str:
        """The message of a row, or the reason to leave it out."""
        live = place is not None
        if place is None:
            place = self._deleted_from.at(row.number)
            if place is None:
                return NO_CHAT
        if not live and not self._include_deleted:
            return DELETED
        if row.guid in self._repeated:
            if row.guid in self._met:
                return REPEATED
            self._met.add(str(row.guid))
        if place in self._to_myself and not row.is_from_me and self._is_copy(row, place):
            return SELF_COPY
        chat = self._chats[place]
        if (row.associated_type or 0) not in _ORDINARY:
            return self._tapback(row, sent, chat)
        if events.is_event(row):
            return self._message(row, sent, chat, Kind.EVENT, text=events.event_text(row))
        return self._said(row, sent, chat)

    def _message(
        self,
        row: Row,
        sent: int,
        chat: Chat,
        kind: Kind,
        *,
        text: str | None = None,
        said: Said | None = None,
        reaction: Reaction | None = None,
        edited: bool = False,
        unsent: bool = False,
    ) -> Message:
        mine = events.is_mine(row) if kind is Kind.EVENT else bool(row.is_from_me)
        return Message(
            guid=row.guid or f"{SOURCE}-{row.number}",
            source=SOURCE,
            source_row=row.number,
            chat=chat.guid,
            kind=kind,
            is_from_me=mine,
            sent_at=sent,
            sender_handle=None if mine else self._sender(row.handle, chat),
            text=text or None,
            reply_to=None if reaction else row.thread or None,
            reaction=reaction,
            attachments=said.attachments if said else (),
            edited=edited,
            unsent=unsent,
            service=row.service or None,
        )

    def _tapback(self, row: Row, sent: int, chat: Chat) -> Message | str:
        number = row.associated_type or 0
        if number == tapbacks.POLL_VOTE:
            return self._message(row, sent, chat, Kind.APP, text="[Poll: a vote]")
        if tapbacks.is_removed(number):
            return tapbacks.REMOVAL
        if not tapbacks.is_added(number) and number != tapbacks.STICKER_ON_BUBBLE:
            return UNKNOWN_KIND
        if row.number in self._ended:
            return self._ended[row.number]
        reaction = tapbacks.reaction(number, row.associated_guid, row.associated_emoji)
        visible = tuple(attachment for attachment, hidden in self.files.of(row.number) if not hidden)
        return self._message(row, sent, chat, Kind.REACTION, said=Said("", visible), reaction=reaction)

    def _said(self, row: Row, sent: int, chat: Chat) -> Message | str:
        raw, readable = raw_text(row)
        found = self.files.of(row.number)
        summary = read_summary(row.summary)
        is_app = row.balloon is not None and not balloons.is_link(row.balloon)
        said = read_said(row, raw, found, summary, is_app=row.balloon is not None)
        if not readable:
            self.unreadable += 1
        unsent = bool(row.date_retracted) or bool(summary and summary.unsent)
        kind, text = _kind_and_text(row, said, is_app=is_app)
        if (summary and summary.all_unsent) or (kind is None and readable and (unsent or row.date_edited)):
            return self._message(row, sent, chat, Kind.UNSENT, unsent=True)
        if kind is None:
            return EMPTY if readable else UNREADABLE
        edited = _is_edited(row, summary)
        return self._message(row, sent, chat, kind, text=text, said=said, edited=edited, unsent=unsent)

    def _tapback_rows(self) -> Iterator[tuple[int, int, str | None, str | None, str]]:
        """Tapbacks and their removals, oldest first; those of deleted chats have no say."""
        if "associated_message_type" not in self._db.columns("message"):
            return
        wanted = ("ROWID:INTEGER", "associated_message_type:INTEGER", "associated_message_guid:TEXT",
                  "associated_message_emoji:TEXT", "is_from_me:INTEGER", "handle_id:INTEGER")  # fmt: skip
        query = (
            f"SELECT {self._db.query('message', wanted)} FROM message "  # noqa: S608 - our names
            "WHERE associated_message_type BETWEEN ? AND ? "
            "AND (? OR ROWID IN (SELECT message_id FROM chat_message_join)) ORDER BY date, ROWID"
        )
        limits = (tapbacks.FIRST_ADDED, tapbacks.POLL_VOTE - 1, self._include_deleted)
        for number, type_, target, emoji, is_from_me, handle in self._db.rows(query, limits):
            sender = "" if is_from_me else self._handles.get(handle, f"#{handle}")
            yield number, type_, target, emoji, sender

    def _sent_to_myself(self) -> Counter[tuple[object, ...]]:
        """What I sent in chats with myself, where Messages keeps everything twice: sent and received."""
        sent: Counter[tuple[object, ...]] = Counter()
        for place in self._to_myself:
            sent.update(_content(row, place) for row in self._rows.sent_in(place))
        return sent

    def _is_copy(self, row: Row, place: int) -> bool:
        content = _content(row, place)
        self._copies[content] -= 1
        return self._copies[content] >= 0


def _content(row: Row, place: int) -> tuple[object, ...]:
    return place, raw_text(row)[0], row.associated_guid, row.associated_type, row.item_type


def _kind_and_text(row: Row, said: Said, *, is_app: bool) -> tuple[Kind | None, str]:
    if is_app:
        return Kind.APP, balloons.app_text(row.balloon or "", row.payload)
    if said.text:
        return Kind.TEXT, said.text
    if row.balloon:
        text = balloons.link_text(row.payload)
        return (Kind.APP if text.startswith("[") else Kind.TEXT), text
    return (Kind.ATTACHMENT if said.attachments else None), ""


def _is_edited(row: Row, summary: Summary | None) -> bool:
    """Whether the words changed; a new date alone can be a new text style."""
    return summary.text_changed if summary else bool(row.date_edited) and not row.date_retracted


def _repeated_guids(db: ChatDb) -> set[str]:
    """Guids of more than one row, which a chat.db of Apple's own never has."""
    for (index,) in db.rows("SELECT name FROM pragma_index_list('message') WHERE \"unique\"").fetchall():
        if db.rows("SELECT group_concat(name) FROM pragma_index_info(?)", [index]).fetchone() == ("guid",):
            return set()
    if "guid" not in db.columns("message"):
        return set()
    query = "SELECT CAST(guid AS TEXT) FROM message WHERE guid IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
    return {guid for (guid,) in db.rows(query)}


class _Joined:
    """The chat of each message by a join table, the lowest where there are several; asked in the order of messages."""

    def __init__(self, db: ChatDb, table: str) -> None:
        self._rows: Iterator[tuple[int, int]] = iter(())
        if {"chat_id", "message_id"} <= db.columns(table):
            query = (
                f"SELECT message_id, min(chat_id) FROM {table} "  # noqa: S608 - our names
                "WHERE typeof(message_id) = 'integer' AND chat_id IN (SELECT ROWID FROM chat) "
                "GROUP BY message_id ORDER BY message_id"
            )
            self._rows = iter(db.rows(query))
        self._next = next(self._rows, None)

    def at(self, message: int) -> int | None:
        """The number of the chat of that message."""
        while self._next is not None and self._next[0] < message:
            self._next = next(self._rows, None)
        return self._next[1] if self._next is not None and self._next[0] == message else None
