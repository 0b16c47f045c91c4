"""Says of every row of the message table what it is, or why it is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

from ventriloquist.records import Attachment, Chat, Kind, Ledger, Message, Reaction, year_of
from ventriloquist.sources.imessage import balloons, events, tapbacks
from ventriloquist.sources.imessage.attachments import FileRow, Found, read_attachment
from ventriloquist.sources.imessage.bodies import APP_SLOT, OBJECT_SLOT, Said, raw_text, read_said
from ventriloquist.sources.imessage.chats import SOURCE, sender_in
from ventriloquist.sources.imessage.dates import sent_at
from ventriloquist.sources.imessage.details import Details, app_details, link_details, said_details, sending_details
from ventriloquist.sources.imessage.edits import read_summary
from ventriloquist.sources.imessage.rows import PLAIN, AnyRow, Row
from ventriloquist.sources.imessage.tapbacks import target_of
from ventriloquist.sources.imessage.typedstream import MENTION, TypedStreamError, text_of
from ventriloquist.sources.imessage.verdicts import SELF_COPY

DELETED = "recently deleted"
NO_CHAT = "in no chat"
EMPTY = "empty"
UNREADABLE = "text that could not be read"
UNKNOWN_KIND = "a kind of row that is not known yet"
_ORDINARY = (0, 2, 3)
_MENTIONED = MENTION.encode()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A stretch of the message table with all that its messages are made of, by the numbers of the rows.

    `files` are rows of attachments, each with the path of its file; `verdicts` are the reasons to leave a row out.
    """

    rows: list[AnyRow]
    chats: dict[int, int]
    deleted_from: dict[int, int]
    files: dict[int, list[tuple[FileRow, str | None]]]
    verdicts: dict[int, str]


class Reading:
    """Makes messages of rows. The same rows give the same messages, whatever was read before."""

    def __init__(
        self, chats: Mapping[int, Chat], handles: Mapping[int, str], to_myself: Set[int], *, include_deleted: bool
    ) -> None:
        self._chats = chats
        self._handles = handles
        self._to_myself = to_myself
        self._notes = {chats[number].guid for number in to_myself}
        """The guids of those chats: whatever stands in them is mine, sent or received."""
        self._include_deleted = include_deleted

    def messages(self, loaded: Loaded, ledger: Ledger) -> list[Message]:
        """Every message that is one; `ledger` counts each row."""
        found: list[Message] = []
        plain: Counter[int] = Counter()
        make, text_kind = Message._make, Kind.TEXT
        for row in loaded.rows:
            number, guid, text, body, handle, service, date, is_from_me, thread = row[:PLAIN]
            sent = sent_at(date)
            text = self._plain_text(row, text, body, loaded)
            if text is not None:
                place = loaded.chats[number]
                chat, is_from_me = self._chats[place], is_from_me or place in self._to_myself
                sender = None if is_from_me else sender_in(chat, handle, self._handles)
                plain[year_of(sent)] += 1
                found.append(make((
                    guid, SOURCE, number, chat.guid, text_kind, bool(is_from_me), sent, sender, text, thread or None,
                    None, (), False, False, service or None, None,
                )))  # fmt: skip
                continue
            read = self._read(Row._make(row), sent, loaded, ledger)
            if isinstance(read, str):
                ledger.drop(read, sent)
            else:
                ledger.keep(read.kind, sent)
                found.append(read)
        for year, rows in plain.items():
            ledger.kept[text_kind.value, year] += rows
        return found

    def _plain_text(self, row: AnyRow, text: str | None, body: bytes | None, loaded: Loaded) -> str | None:
        """The text of a row that is text and nothing else, as nearly all are; None for any other."""
        number = row[0]
        if any(row[PLAIN:]) or number not in loaded.chats or number in loaded.files or number in loaded.verdicts:
            return None
        if body:
            if _MENTIONED in body:
                return None
            try:
                text = text_of(body) or text
            except TypedStreamError:
                return None
        if not text or not row[1] or OBJECT_SLOT in text or APP_SLOT in text:
            return None
        return text

    def _read(self, row: Row, sent: int, loaded: Loaded, ledger: Ledger) -> Message | str:
        """The message of a row, or the reason to leave it out."""
        place = loaded.chats.get(row.number)
        if place is None:
            place = loaded.deleted_from.get(row.number)
            if place is None:
                return NO_CHAT
            if not self._include_deleted:
                return DELETED
        verdict = loaded.verdicts.get(row.number)
        if verdict is not None and (verdict != SELF_COPY or place in self._to_myself):
            return verdict
        chat = self._chats[place]
        if (row.associated_type or 0) not in _ORDINARY:
            return self._tapback(row, sent, chat, loaded)
        if not events.is_known(row):
            return UNKNOWN_KIND
        if events.is_event(row):
            other = events.other_of(row, self._handles)
            details: Details = {"other": other} if other else {}
            return self._message(row, sent, chat, Kind.EVENT, text=events.event_text(row, other), details=details)
        return self._said(row, sent, chat, _found(loaded, row.number), ledger)

    def _message(
        self,
        row: Row,
        sent: int,
        chat: Chat,
        kind: Kind,
        *,
        text: str | None = None,
        attachments: tuple[Attachment, ...] = (),
        reaction: Reaction | None = None,
        edited: bool = False,
        unsent: bool = False,
        details: Details | None = None,
    ) -> Message:
        mine = chat.guid in self._notes or (events.is_mine(row) if kind is Kind.EVENT else bool(row.is_from_me))
        if kind not in (Kind.REACTION, Kind.UNSENT):
            details = {**(details or {}), **sending_details(row)}
        return Message(
            guid=row.guid or f"{SOURCE}-{row.number}",
            source=SOURCE,
            source_row=row.number,
            chat=chat.guid,
            kind=kind,
            is_from_me=mine,
            sent_at=sent,
            sender_handle=None if mine else sender_in(chat, row.handle, self._handles),
            text=text or None,
            reply_to=None if reaction else row.thread or None,
            reaction=reaction,
            attachments=attachments,
            edited=edited,
            unsent=unsent,
            service=row.service or None,
            details=details or None,
        )

    def _tapback(self, row: Row, sent: int, chat: Chat, loaded: Loaded) -> Message | str:
        number = row.associated_type or 0
        if number == tapbacks.POLL_VOTE:
            vote = balloons.read_vote(row.payload)
            return self._message(row, sent, chat, Kind.APP, text=vote.text, details=app_details(row, vote))
        if tapbacks.is_removed(number):
            return tapbacks.REMOVAL
        if not tapbacks.is_added(number) and number != tapbacks.STICKER_ON_BUBBLE:
            return UNKNOWN_KIND
        emoji = row.associated_emoji or tapbacks.emoji_in(raw_text(row)[0])
        reaction = tapbacks.reaction(number, row.associated_guid, emoji)
        visible = tuple(each.attachment for each in _found(loaded, row.number) if not each.is_hidden)
        return self._message(row, sent, chat, Kind.REACTION, attachments=visible, reaction=reaction)

    def _said(self, row: Row, sent: int, chat: Chat, found: list[Found], ledger: Ledger) -> Message | str:
        summary = read_summary(row.summary)
        raw, readable = raw_text(row, summary)
        unsent = summary.unsent if summary else frozenset()
        if (summary and summary.all_unsent) or (row.date_retracted and not unsent):
            return self._message(row, sent, chat, Kind.UNSENT, unsent=True)
        if not readable:
            ledger.unreadable += 1
        said = read_said(row, raw, found, summary, is_app=bool(row.balloon or row.payload))
        kind, text, details = _shown(row, said)
        if kind is None and readable and (unsent or row.date_edited):
            return self._message(row, sent, chat, Kind.UNSENT, unsent=True)
        if kind is None:
            return EMPTY if readable else UNREADABLE
        edited = summary.text_changed if summary else bool(row.date_edited)
        details |= said_details(row, said, summary)
        return self._message(
            row, sent, chat, kind, text=text, attachments=said.attachments, edited=edited, unsent=bool(unsent),
            details=details,
        )  # fmt: skip


def _found(loaded: Loaded, number: int) -> list[Found]:
    return [read_attachment(row, path) for row, path in loaded.files.get(number, ())]


def _shown(row: Row, said: Said) -> tuple[Kind | None, str, Details]:
    """The kind, the text and the details of what is neither a tapback nor an event; no kind where nothing shows.

    A link is what was written, its address. An app is shown in brackets, since its words are nobody's.
    """
    is_link = bool(row.balloon) and balloons.is_link(row.balloon or "")
    link = balloons.read_link(row.payload) if is_link or not row.balloon else None
    if link or is_link:
        wordless = not said.text or said.text == row.subject
        text = said.text or (link or balloons.Link()).text
        if row.subject and wordless and link and link.url:
            text = f"{row.subject}\n{link.url}"
        kind = Kind.TEXT if said.text or (link and link.url) else Kind.APP
        return kind, text, link_details(row, link) if link else {}
    if row.balloon or (row.payload and not said.text and not said.attachments):
        is_update = target_of(row.associated_guid)[0] not in ("", row.guid)
        balloon = balloons.read_app(row.balloon or "", row.payload, is_update=is_update)
        if said.attachments and not row.payload and said.text in ("", row.subject):  # a sticker, which apps send too
            return Kind.ATTACHMENT, "", app_details(row, balloon)
        if not balloon.caption:
            balloon = replace(balloon, caption=balloons.one_line(said.text))
        if row.balloon or balloon.caption:
            return Kind.APP, balloon.text, app_details(row, balloon)
    if said.attachments and not said.text.strip():
        return Kind.ATTACHMENT, said.text, {}
    return (Kind.TEXT if said.text else None), said.text, {}
