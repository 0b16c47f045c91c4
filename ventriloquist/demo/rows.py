"""From posts to the rows of `message`, `attachment` and their joins."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from dataclasses import dataclass, field

from ventriloquist.demo import archives
from ventriloquist.demo.attachments import Shelf
from ventriloquist.demo.bodies import body_of, has_detected
from ventriloquist.demo.cast import OWNER
from ventriloquist.demo.chatdb import insert
from ventriloquist.demo.chats import Chats
from ventriloquist.demo.script import IMESSAGE, SECOND, SMS, File, Post, Script, Tapback, new_guid
from ventriloquist.demo.typedstream import OBJECT_SLOT, Body, utf16_length

Row = dict[str, object]

ACCOUNT = "E:alex@example.com"
REMOVAL = 1000


@dataclass(frozen=True, slots=True)
class _Tap:
    """A kind of tapback: its number, how its echo begins, and what its removal is called."""

    number: int
    echo: str
    gone: str


_TAPS = {
    "loved": _Tap(2000, "Loved", "a heart"),
    "liked": _Tap(2001, "Liked", "a like"),
    "disliked": _Tap(2002, "Disliked", "a dislike"),
    "laughed": _Tap(2003, "Laughed at", "a laugh"),
    "emphasized": _Tap(2004, "Emphasized", "an exclamation"),
    "questioned": _Tap(2005, "Questioned", "a question mark"),
    "emoji": _Tap(2006, "Reacted to", "a reaction"),
    "sticker": _Tap(2007, "Reacted with a sticker to", "a sticker"),
}
_EVENTS = {"added": (1, 0), "removed": (1, 1), "renamed": (2, 0), "left": (3, 0), "photo": (3, 1), "kept audio": (5, 0)}
_STICKER = File("sticker", "parrot", "Sticker.png")


@dataclass(slots=True)
class Made:
    """A row to be, with where it goes: its chats, its files, and what it counts as."""

    row: Row
    counts_as: str
    chats: tuple[int, ...] = ()
    files: tuple[Row, ...] = ()
    recovered_from: int = 0
    late: bool = False


@dataclass(slots=True)
class RowMaker:
    """Turns the posts of all conversations into rows and counts what it made."""

    chats: Chats
    shelf: Shelf
    rng: random.Random
    oldest: int
    made: list[Made] = field(default_factory=list)
    marks: Counter[str] = field(default_factory=Counter)

    def add_script(self, script: Script) -> None:
        """The rows of one conversation."""
        before: Post | None = None
        for post in script.posts:
            post.guid = post.guid or new_guid(self.rng)
        for post in script.posts:
            self._add_post(script, post, before)
            for tapback in post.tapbacks:
                self._add_tapback(script, post, tapback)
            before = post

    def _common(self, script: Script, who: str, at: int, service: str) -> Row:
        """The columns that every row of a conversation has."""
        mine = who == OWNER.name
        handle = 0 if mine and (script.is_group or self.rng.random() < 0.4) else self.chats.handle(script, who, service)
        read = at + self.rng.randrange(20, 4000) * SECOND
        row: Row = {
            "handle_id": handle,
            "service": service,
            "account": ACCOUNT if service == IMESSAGE else f"P:{OWNER.phone}",
            "account_guid": "5A3C1D7E-8B42-4F60-9E1A-7C2D4B6F8091",
            "version": 10,
            "date": at,
            "date_read": 0 if mine and self.rng.random() < 0.5 else read,
            "date_delivered": at + self.rng.randrange(1, 5) * SECOND if mine and service == IMESSAGE else 0,
            "is_delivered": 1,
            "is_finished": 1,
            "is_from_me": int(mine),
            "is_read": int(not mine),
            "is_sent": int(mine),
            "destination_caller_id": self.rng.choice((OWNER.phone, OWNER.phone, OWNER.phone, OWNER.email, None)),
            "cache_roomnames": self.chats.room(script) if self.rng.random() < 0.9 else None,
            "ck_sync_state": 1,
        }
        return row

    def _add_post(self, script: Script, post: Post, before: Post | None) -> None:
        row = self._common(script, post.who, post.at, post.service)
        row["guid"] = post.guid
        if before is not None and self.rng.random() < 0.85:
            row["reply_to_guid"] = before.guid
        files = tuple(self._file(post, file, number) for number, file in enumerate(post.files))
        counts_as = self._fill(row, script, post, [str(file["guid"]) for file in files])
        if files:
            row["cache_has_attachments"] = 1
            row["is_audio_message"] = int(any(file.transcript for file in post.files))
        if post.link:
            files += (self._file(post, File("preview", "coffee", f"{new_guid(self.rng)}.pluginPayloadAttachment"), 1),)
            row["cache_has_attachments"] = 1
        made = Made(row, counts_as, self.chats.rows_for(script, post), files)
        self._place(made, post)
        self.made.append(made)

    def _place(self, made: Made, post: Post) -> None:
        """Where a row of a special fate goes."""
        if post.fate == "recoverable":
            made.recovered_from, made.chats, made.counts_as = made.chats[0], (), "recoverable"
        elif post.fate == "orphan":
            made.chats, made.counts_as = (), "orphan"
        elif post.fate == "two chats":
            made.chats = (*made.chats, self.chats.other_than(made.chats[0]))
            self.marks["in_two_chats"] += 1
        elif post.fate == "late":
            made.late = True
            self.marks["backfilled"] += 1

    def _fill(self, row: Row, script: Script, post: Post, file_guids: list[str]) -> str:
        """Set the columns that say what the post is; returns what its row counts as."""
        if post.event:
            return self._fill_event(row, script, post)
        if post.fate == "empty":
            return "empty"
        self._mark(row, post)
        body = body_of(post, file_guids, mutable=post.at < self.oldest)
        row["part_count"] = body.parts
        if post.unsent:
            row["message_summary_info"] = archives.unsend_summary([post.text], [0])
            row["date_edited"] = post.at + 40 * SECOND
            row["part_count"] = 0
            return "unsent"
        if post.unsent_file:
            body = self._without_files(row, post, body)
        if post.app:
            row["balloon_bundle_id"] = archives.APP_BALLOON
            row["payload_data"] = archives.app_balloon(post.app.name, post.app.caption, post.app.label, "data:?turn=3")
        if post.link:
            row["balloon_bundle_id"] = archives.URL_BALLOON
            row["payload_data"] = archives.link_preview(
                post.link.address, post.link.title, post.link.summary, post.link.site
            )
        row["has_dd_results"] = int(has_detected(body))
        if post.earlier:
            self._fill_edits(row, post, body)
        self._store_body(row, post, body)
        return _kind(post)

    def _mark(self, row: Row, post: Post) -> None:
        if post.reply_to is not None:
            length = utf16_length(post.reply_to.text) or 1
            row["thread_originator_guid"] = (post.reply_to.reply_to or post.reply_to).guid
            row["thread_originator_part"] = f"0:0:{length}"
            self.marks["replies"] += 1
        if post.effect:
            row["expressive_send_style_id"] = post.effect
        if post.subject:
            row["subject"] = post.subject
        self.marks["sms"] += post.service == SMS
        self.marks["mentions"] += post.mention is not None
        for file in post.files:
            self.marks["offloaded_files"] += file.offloaded
            self.marks["missing_files"] += not file.on_disk
            self.marks["voice_memos"] += file.transcript is not None

    def _without_files(self, row: Row, post: Post, body: Body) -> Body:
        """The body after its attachment was unsent and its words were left."""
        texts = [text for text, _ in body.runs]
        row["message_summary_info"] = archives.unsend_summary(texts, [0])
        row["date_edited"] = post.at + 50 * SECOND
        self.marks["partly_unsent"] += 1
        return Body([run for run in body.runs if run[0] != OBJECT_SLOT], body.mutable)

    def _fill_edits(self, row: Row, post: Post, body: Body) -> None:
        times = [post.at / SECOND + 25.0 * number for number in range(len(post.earlier) + 1)]
        versions = [(time, Body.of(text)) for time, text in zip(times, post.earlier, strict=False)]
        versions.append((times[-1], body))
        row["message_summary_info"] = archives.edit_summary(0, versions)
        row["date_edited"] = round(times[-1]) * SECOND
        self.marks["edited"] += 1

    def _store_body(self, row: Row, post: Post, body: Body) -> None:
        """Most bodies stand in `attributedBody` only, some in `text` as well, the oldest in `text` alone."""
        if post.at < self.oldest and _kind(post) == "text" and not (post.mention or post.earlier or post.unsent_file):
            row["text"] = body.text
            self.marks["text_only"] += 1
            return
        row["attributedBody"] = body.archive()
        if post.service == SMS or (not post.earlier and self.rng.random() < 0.2):
            row["text"] = body.text
            self.marks["text_and_body"] += 1

    def _fill_event(self, row: Row, script: Script, post: Post) -> str:
        assert post.event is not None
        item_type, action = _EVENTS[post.event.what]
        row.update(item_type=item_type, group_action_type=action)
        if post.event.title:
            row["group_title"] = post.event.title
        if post.event.whom:
            row["other_handle"] = self.chats.handle(script, post.event.whom, IMESSAGE)
        return "event"

    def _file(self, post: Post, file: File, number: int) -> Row:
        mine = post.who == OWNER.name
        guid = new_guid(self.rng) if mine else f"at_{number}_{post.guid}"
        return self.shelf.put(file, guid, post.at, mine)

    def _add_tapback(self, script: Script, post: Post, tapback: Tapback) -> None:
        target = self._target(post, tapback)
        if not tapback.only_removal:
            state = {"": "reaction", "removed": "reaction_removed", "replaced": "reaction_replaced"}[tapback.undone]
            self._add_reaction(script, post, tapback, target, tapback.at, 0, state)
        if tapback.undone == "removed":
            later = tapback.at + self.rng.randrange(5, 90) * SECOND
            self._add_reaction(script, post, tapback, target, later, REMOVAL, "reaction_removal")

    def _target(self, post: Post, tapback: Tapback) -> str:
        if post.link or post.app:
            return f"bp:{post.guid}"
        return post.guid if tapback.bare_target else f"p:{tapback.part}/{post.guid}"

    def _add_reaction(
        self, script: Script, post: Post, tapback: Tapback, target: str, at: int, offset: int, state: str
    ) -> None:
        row = self._common(script, tapback.who, at, IMESSAGE)
        guid = new_guid(self.rng)
        echo = _echo(tapback, post, gone=bool(offset))
        row.update(
            guid=guid,
            associated_message_guid=target,
            associated_message_type=_TAPS[tapback.what].number + offset,
            associated_message_range_length=utf16_length(post.text) or 1,
            attributedBody=Body.of(echo).archive(),
            part_count=1,
        )
        if tapback.emoji:
            row["associated_message_emoji"] = tapback.emoji
        files: tuple[Row, ...] = ()
        if tapback.what == "sticker" and not offset:
            files = (self.shelf.put(_STICKER, f"at_0_{guid}", at, tapback.who == OWNER.name),)
        if tapback.part:
            self.marks["reactions_to_later_parts"] += 1
        self.made.append(Made(row, state, self.chats.rows_for(script, post), files))


def _kind(post: Post) -> str:
    if post.app:
        return "app"
    if post.link:
        return "link"
    if post.files and not post.unsent_file:
        return "captioned" if post.text else "attachment"
    return "text"


def _echo(tapback: Tapback, post: Post, *, gone: bool) -> str:
    """The words that Messages writes for devices that know no tapbacks."""
    quoted = f"“{post.text}”" if post.text else "an image"
    if gone:
        return f"Removed {tapback.emoji or _TAPS[tapback.what].gone} from {quoted}"
    if tapback.emoji:
        return f"Reacted {tapback.emoji} to {quoted}"
    return f"{_TAPS[tapback.what].echo} {quoted}"


def write_rows(connection: sqlite3.Connection, made: list[Made]) -> Counter[str]:
    """Insert the rows in the order they came, those marked late after all others; returns what they count as."""
    counts: Counter[str] = Counter()
    for piece in sorted(made, key=lambda piece: (piece.late, piece.row["date"], piece.row["guid"])):
        number = insert(connection, "message", piece.row)
        for chat in piece.chats:
            insert(
                connection,
                "chat_message_join",
                {"chat_id": chat, "message_id": number, "message_date": piece.row["date"]},
            )
        for file in piece.files:
            attachment = insert(connection, "attachment", file)
            insert(connection, "message_attachment_join", {"message_id": number, "attachment_id": attachment})
        if piece.recovered_from:
            _bury(connection, piece, number)
        counts[piece.counts_as] += 1
    return counts


def write_bookkeeping(connection: sqlite3.Connection, rng: random.Random) -> None:
    """What daemons leave behind: tombstones of deleted messages, a task, a value."""
    for _ in range(3):
        guid = new_guid(rng)
        insert(connection, "deleted_messages", {"guid": guid})
        insert(connection, "sync_deleted_messages", {"guid": guid, "recordID": ""})
    insert(connection, "message_processing_task", {"guid": new_guid(rng), "task_flags": 2})
    insert(connection, "kvtable", {"key": "lastFailedMessageDate", "value": b"0"})


def _bury(connection: sqlite3.Connection, piece: Made, number: int) -> None:
    """Put a message among the recently deleted."""
    deleted = int(str(piece.row["date"])) + 86_400 * SECOND
    where: Row = {"chat_id": piece.recovered_from, "message_id": number}
    insert(connection, "chat_recoverable_message_join", {**where, "delete_date": deleted})
    part: Row = {"part_index": 0, "delete_date": deleted, "part_text": piece.row.get("attributedBody") or b""}
    insert(connection, "recoverable_message_part", {**where, **part})
