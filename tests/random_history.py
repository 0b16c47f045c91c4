"""Writes a random chat.db for a seed: valid, but with everything in it that years of Messages leave behind."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

from tests.hostile import hostile_strings
from tests.keyed import EXTENSION, LINK, app, link, poll_address, summary
from tests.messages_db import EL_CAPITAN, NANOSECONDS, SCHEMA, START, ChatDbWriter, plain_body
from ventriloquist.demo.typedstream import Body, Url, utf16_length

SLOT, APP_SLOT = "\ufffc", "\ufffd"

NUMBERS = ["+12025550101", "+12025550102", "+442079460018", "+12025550103", "22000", "urn:biz:0a1b", "AMZN"]
WRITTEN = ["(202) 555-0101", "2025550102", "+44 20 7946 0018", "+1 202-555-0103", "22000", "urn:biz:0a1b", "AMZN"]
MYSELF = "+12025550199"
MAILS = ["Maya@Example.com", "theo@example.com", "IVO@example.org"]
WORDS = [
    "ok", "see you at 8", "Liked “x”", "Loved “y”", "haha 😂", " two  spaces ", "ja,\nnein", "Reacted 🎉 to “z”", "\n",
]  # fmt: skip
EXTENSIONS = [
    "com.gamerdelights.gamepigeon.ext", "com.example.parrots", "com.apple.findmy.FindMyMessagesApp",
    "com.apple.PassbookUIService.PeerPaymentMessagesExtension",
]  # fmt: skip
BUNDLES = [EXTENSION + name for name in EXTENSIONS] + [
    "com.apple.Handwriting.HandwritingProvider", "com.apple.DigitalTouchBalloonProvider",
]  # fmt: skip
POLLS = EXTENSION + "com.apple.messages.Polls"
ADDRESS = "https://example.com/a?b=c"

DROPPABLE: dict[str, list[list[str]]] = {
    "message": [
        ["subject"], ["cache_has_attachments"], ["cache_roomnames"], ["share_status"], ["share_direction"], ["service"],
        ["group_title"], ["group_action_type"], ["other_handle"], ["expressive_send_style_id"], ["payload_data"],
        ["associated_message_guid", "associated_message_type", "associated_message_emoji"], ["is_audio_message"],
        ["associated_message_emoji"], ["balloon_bundle_id", "payload_data"], ["message_summary_info"],
        ["destination_caller_id"], ["reply_to_guid"], ["thread_originator_guid"], ["thread_originator_part"],
        ["date_edited"], ["date_retracted"], ["attributedBody"], ["item_type"], ["text"],
    ],
    "chat": [["style"], ["service_name"], ["room_name"], ["account_login"], ["last_addressed_handle"],
             ["display_name"], ["chat_identifier"]],
    "handle": [["person_centric_id"]],
    "attachment": [["filename"], ["uti"], ["mime_type"], ["transfer_name"], ["total_bytes"], ["is_sticker"],
                   ["hide_attachment"]],
    "chat_message_join": [["message_date"]],
}  # fmt: skip
TABLES = ["chat_recoverable_message_join", "chat_handle_join", "message_attachment_join", "attachment"]


class RandomHistory:
    """One history under construction. Every choice comes from the seed."""

    def __init__(self, folder: Path, seed: int, rows: int = 60) -> None:
        self.random = random.Random(seed)
        self.old = self.chance(0.15)
        schema = EL_CAPITAN if self.old else SCHEMA
        if self.chance(0.3):
            schema = schema.replace("guid TEXT UNIQUE NOT NULL, text", "guid TEXT, text")
        self.free_guids = "guid TEXT, text" in schema
        self.writer = ChatDbWriter(folder, schema, seconds=self.old and self.chance(0.7))
        self.db = self.writer.db
        self.hostile = [text for _, text in hostile_strings() if len(text) < 70_000]
        self.columns = {"ROWID", "date", *(row[1] for row in self.db.execute("PRAGMA table_info(message)"))}
        self.targets: list[str] = ["GONE", "12345678-1234-1234-1234-123456789012"]
        self.files = 0
        self.db.execute("BEGIN")
        if not self.old and self.chance(0.4):
            self.db.execute("ALTER TABLE attachment ADD COLUMN original_guid TEXT")
        self.people()
        for _ in range(rows):
            self.row()
        self.loose_ends()
        self.db.execute("COMMIT")
        self.drop_columns()
        self.path = self.writer.close()

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, values: Any) -> Any:
        return self.random.choice(values)

    # --- people and chats -----------------------------------------------------------------------------------------

    def people(self) -> None:
        """Handles, several for some people, and the chats of some of their sets."""
        self.handles: list[int] = []
        self.same: list[tuple[int, int]] = []
        for index, number in enumerate(NUMBERS):
            first = self.writer.handle(number, "iMessage", **self.person(index))
            self.handles.append(first)
            if self.chance(0.6):
                written = self.pick([number, WRITTEN[index]])
                second = self.writer.handle(written, self.pick(["SMS", "RCS"]), **self.person(index))
                self.handles.append(second)
                self.same.append((first, second))
        self.handles += [self.writer.handle(mail, "iMessage") for mail in MAILS]
        self.chats = [self.chat(index) for index in range(self.random.randint(2, 9))]
        self.notes = 0
        if not self.old and self.chance(0.5):
            self.chat_with_myself()

    def chat_with_myself(self) -> None:
        """Notes to self: every one is there twice, but for some that never came back."""
        me = self.writer.handle(MYSELF)
        chat = self.writer.chat(me, guid=f"any;-;{MYSELF}", last_addressed_handle=MYSELF)
        for _ in range(3):
            text = self.pick(["note", "note", "buy milk"])
            self.writer.message(chat, text, destination_caller_id=MYSELF)
            if self.chance(0.8):
                self.writer.message(chat, text, me, destination_caller_id=MYSELF)
        (self.notes,) = self.db.execute("SELECT max(ROWID) FROM message").fetchone()

    def person(self, index: int) -> dict[str, Any]:
        return {} if self.old or self.chance(0.6) else {"person_centric_id": f"person-{index}"}

    def chat(self, index: int) -> tuple[int, list[int]]:
        """A chat of two or a group; some without a style, some of a guid that names no service."""
        group = self.chance(0.4)
        members = self.random.sample(self.handles, self.random.randint(0 if self.chance(0.1) else 2, 4) if group else 1)
        if self.same and self.chance(0.3):
            members = list(self.pick(self.same)) if group else [self.pick(self.pick(self.same))]
        service = self.pick(["iMessage", "SMS", "RCS", "any"])
        name = self.pick([*NUMBERS, *WRITTEN, *MAILS])
        taken = {guid for (guid,) in self.db.execute("SELECT guid FROM chat")}
        guid = f"{service};+;chat{index}" if group else f"{service};-;{name}"
        if guid in taken:
            guid = f"{service};-;{index}"
            group = False
        more: dict[str, Any] = {
            "display_name": self.sane(self.pick([None, "", "Beach", self.pick(self.hostile)[:200]]))
        }
        if self.chance(0.25):
            more["style"] = None
        more |= {"service_name": self.pick([service, None]), "chat_identifier": self.pick([guid.split(";")[-1], None])}
        return self.writer.chat(*(members if group else members[:1]), guid=guid, group=group, **more), members

    # --- words ----------------------------------------------------------------------------------------------------

    @staticmethod
    def sane(text: str | None) -> str | None:
        """Without what neither SQLite nor the second reader can hold: halves of characters, and the slots."""
        if text is None:
            return None
        text = text.encode("utf-8", "ignore").decode()
        return text.replace(SLOT, "").replace(APP_SLOT, "")

    def words(self) -> str:
        text = self.pick(WORDS) if self.chance(0.5) else self.sane(self.pick(self.hostile)) or "x"
        return text * self.pick([1, 1, 1, 1, 2, 7]) if len(text) < 2000 else text

    def garbage(self) -> Any:
        """What is no body at all."""
        return self.pick([
            b"", b"\x00", b"\x04\x0bstreamtyped", self.random.randbytes(80), "a text value", 17, 3.5, b"bplist00",
            plain_body("x")[:60], b"\x04\x0bstreamtyped\x81\xe8\x03" + self.random.randbytes(40),
        ])  # fmt: skip

    def body_of(self, text: str) -> bytes:
        """A body of one part, plain or cut into runs by what Messages marks in it."""
        if self.chance(0.4):
            return plain_body(text)
        body = Body(mutable=self.chance(0.5))
        at = 0
        while at < len(text):
            step = self.random.randint(1, max(1, len(text)))
            marks: dict[str, Any] = self.pick([
                {}, {"mention": "+12025550101"}, {"link": Url(ADDRESS)},
                {"detected": b"bplist00\x86\x84+"}, {"direction": -1},
            ])  # fmt: skip
            body.add(text[at : at + step], part=0, **marks)
            at += step
        return body.archive()

    def said(self, text: str) -> dict[str, Any]:
        """The columns of a text: in the body, in `text`, in both, or in `text` beside a body that is garbage."""
        return self.pick([
            lambda: {"text": text}, lambda: {"text": None, "attributedBody": self.body_of(text)},
            lambda: {"text": text, "attributedBody": self.body_of(text)},
            lambda: {"text": text, "attributedBody": self.garbage()},
            lambda: {"text": self.pick(["stale", text, ""]), "attributedBody": self.body_of(text)},
        ])()  # fmt: skip

    # --- rows -----------------------------------------------------------------------------------------------------

    def put(self, text: str | None = None, **more: Any) -> int:
        """A row in some chat, from somebody, at some time; columns that this schema lacks are left out."""
        chat, members = self.pick(self.chats)
        sender = self.pick([0, 0, *members[:3], *self.pick(self.same or [(0, 0)])]) if members else 0
        more = {"text": text, "is_from_me": int(not sender), "handle_id": sender, **more}
        if self.chance(0.05):
            more["handle_id"] = self.pick([0, 0, members[0] if members else 0])
        if self.chance(0.1):
            more["service"] = self.pick(["SMS", "RCS", None, "iMessageLite"])
        if self.chance(0.15):
            more["thread_originator_guid"] = self.pick(self.targets)
            more["thread_originator_part"] = self.pick(["0:0:4", "1:0:2", None])
        if self.chance(0.5):
            more["reply_to_guid"] = self.pick(self.targets)
        if self.chance(0.05) and not more.get("item_type"):
            more["subject"] = self.pick(["S", "", self.words()])
        if self.free_guids and self.chance(0.06):
            more["guid"] = self.pick([None, None, "", self.pick(self.targets[2:] or [None])])
        if self.chance(0.1):  # blocks of rows are read one by one: let there be several
            (last,) = self.db.execute("SELECT max(ROWID) FROM message").fetchone()
            more["ROWID"] = (last or 0) + self.random.randint(1, 9000)
        row = self.writer.message(chat, **{name: value for name, value in more.items() if name in self.columns})
        (guid,) = self.db.execute("SELECT guid FROM message WHERE ROWID = ?", [row]).fetchone()
        if guid and not more.get("associated_message_type"):
            self.targets.append(guid)
        if self.chance(0.15):
            self.move(row)
        return row

    def move(self, row: int) -> None:
        """Another date: later, earlier, the same as another's, in seconds, unset."""
        seconds = START + self.random.randint(-500, 900)
        unit = self.pick([1, NANOSECONDS])
        date = self.pick([seconds * unit, seconds * unit, seconds * NANOSECONDS + 123_456_789, None, 0, 1, -5, 10**9])
        self.db.execute("UPDATE message SET date = ? WHERE ROWID = ?", [date, row])

    def row(self) -> None:
        kinds: list[tuple[int, Callable[[], Any]]] = [
            (8, self.text), (8, self.tapback), (4, self.attachments), (2, self.edit), (2, self.unsend), (2, self.event),
            (2, self.balloon), (2, self.link), (1, self.poll), (1, self.odd), (1, self.empty),
        ]  # fmt: skip
        weights, makers = zip(*kinds, strict=True)
        self.random.choices(makers, weights)[0]()

    def text(self) -> None:
        self.put(**self.said(self.words()))

    def empty(self) -> None:
        self.put(None, attributedBody=self.pick([None, plain_body(""), self.garbage()]))

    def odd(self) -> None:
        """Types of rows that nobody knows, and ordinary ones that say that they are."""
        self.put(**self.said(self.words()), **self.pick([
            {"associated_message_type": self.pick([1, 4, 999, 1001, 2008, 2999, 3008, 3999, 4000, 5000, -1])},
            {"associated_message_type": self.pick([0, 2, 3, None]), "associated_message_guid": self.pick(self.targets)},
            {"item_type": self.pick([7, 99, -1])},
        ]))  # fmt: skip

    def tapback(self) -> None:
        """A tapback of any kind, most of them on few targets, so that they meet."""
        target = self.pick(self.targets[-3:] if self.chance(0.3) else self.targets[:6])
        prefix = self.pick(["p:0/", "p:0/", "p:1/", "p:12/", "bp:", ""])
        kind = self.pick([1000, *[2000 + each for each in range(8)], *[3000 + each for each in range(8)]])
        emoji = self.pick(["🎉", "👩‍👩‍👧‍👦"]) if kind % 1000 == 6 else None
        more = {"thread_originator_guid": target} if self.chance(0.2) else {}
        row = self.put(
            f"Loved “{self.pick(WORDS)}”",
            attributedBody=self.pick([None, plain_body("Loved “x”")]),
            associated_message_type=kind, associated_message_guid=prefix + target, associated_message_emoji=emoji,
            **more,
        )  # fmt: skip
        if kind in (1000, 2007):
            self.attach(row, self.name(), is_sticker=1, uti="public.heic")

    def name(self) -> str:
        self.files += 1
        return f"at_{self.files}" if self.chance(0.5) else f"F-{self.random.randint(0, 10**9)}-{self.files}"

    def attach(self, row: int, guid: str, **more: Any) -> None:
        named = self.pick([
            {"mime_type": "image/jpeg"}, {"uti": "public.jpeg"}, {"transfer_name": "IMG.HEIC"},
            {"uti": "com.apple.coreaudio-format", "transfer_name": "Audio Message.caf"}, {"mime_type": "text/vcard"},
            {"filename": "~/Library/Messages/Attachments/ab/x|||y.pdf"}, {"filename": "/var/mobile/Library/SMS/z.mov"},
        ])  # fmt: skip
        hidden = {"is_sticker", "hide_attachment"} if not self.old else set()
        kept = {"filename", "uti", "mime_type", "transfer_name"} | hidden
        self.writer.attach(row, guid, **{key: value for key, value in (named | more).items() if key in kept})

    def attachments(self) -> None:
        """Texts and files in turn; the rows of the files in another order than their slots, some hidden, some gone."""
        body, names = Body(), []
        for part in range(self.random.randint(1, 5)):
            if self.chance(0.5):
                names.append(self.name())
                body.add(SLOT, part=part, file=names[-1])
            else:
                body.add(self.words()[:200], part=part)
        text = self.pick([None, body.text])
        row = self.put(text, attributedBody=body.archive() if text is None or self.chance(0.7) else None)
        self.random.shuffle(names)
        for name in names:
            self.attach(row, name, hide_attachment=int(self.chance(0.1)))
        if self.chance(0.2):
            self.attach(row, self.name(), transfer_name="x.pluginPayloadAttachment")
        if names and self.chance(0.1):
            self.attach(row, self.name())

    def edit(self) -> None:
        """Versions of one part or two; the body the last of them, or not there."""
        versions = {
            part: [self.words()[:500] for _ in range(self.random.randint(1, 3))] for part in range(self.pick([1, 2]))
        }
        if self.chance(0.2):
            versions = {part: [told[-1]] * len(told) for part, told in versions.items()}
        edits: Any = {part: [(5.5 + at, text) for at, text in enumerate(told)] for part, told in versions.items()}
        body = Body()
        for part, told in versions.items():
            body.add(told[-1], part=part)
        starts = accumulate((utf16_length(told[0]) for told in versions.values()), initial=0)
        ranges = {part: (at, utf16_length(told[0])) for at, (part, told) in zip(starts, versions.items(), strict=False)}
        info = summary(edits=edits, ranges=ranges)
        whole = body.archive() if self.chance(0.7) else None
        self.put(None, attributedBody=whole, message_summary_info=info, date_edited=5)

    def unsend(self) -> None:
        """All of a message taken back, or some of its parts."""
        parts = self.random.randint(1, 4)
        gone = sorted(self.random.sample(range(parts), self.random.randint(1, parts)))
        body = Body()
        for part in range(parts):
            if part not in gone or self.chance(0.1):
                body.add(f"part {part} ", part=part)
        ranges = {part: (part * 7, 7) for part in range(parts)}
        info = summary(ranges=ranges, retracted=gone)
        date = {"date_edited": 5, "date_retracted": self.pick([0, 0, 5])}
        self.put(None, attributedBody=body.archive() if body.runs else None, message_summary_info=info, **date)

    def event(self) -> None:
        item, action = self.pick(
            [(1, 0), (1, 1), (2, 0), (3, 0), (3, 1), (3, 2), (3, 4), (3, 6), (4, 0), (5, 0), (6, 0)]
        )
        self.put(
            None, item_type=item, group_action_type=action, other_handle=self.pick([0, *self.handles, 999]),
            group_title=self.pick([None, "", "Beach", self.words()]) if item == 2 else None,
            share_status=self.pick([0, 1]), share_direction=self.pick([0, 1]),
        )  # fmt: skip

    def balloon(self) -> None:
        payload = self.pick([
            None, b"garbage", app("data:?x", ldtext="Your move.", an="GamePigeon"), app(None, ldtext=self.words()),
        ])  # fmt: skip
        body = self.pick([None, Body().add(APP_SLOT, part=0, file="BOGUS").archive(), Body.of(APP_SLOT).archive()])
        text = self.pick([None, SLOT, APP_SLOT])
        row = self.put(text, attributedBody=body, balloon_bundle_id=self.pick(BUNDLES), payload_data=payload)
        if self.chance(0.3):
            self.attach(row, self.name(), transfer_name="p.pluginPayloadAttachment", hide_attachment=1)

    def link(self) -> None:
        text = self.pick([ADDRESS, f"see {ADDRESS}"])
        bundle = self.pick([LINK, LINK, None])
        payload = self.pick([None, link(ADDRESS, "A title"), link(ADDRESS), b"\x00"])
        row = self.put(**self.said(text), balloon_bundle_id=bundle, payload_data=payload)
        if self.chance(0.5):
            self.attach(row, self.name(), filename="~/x.pluginPayloadAttachment")

    def poll(self) -> None:
        item = {"title": "Where?", "orderedPollOptions": [{"optionIdentifier": "a", "text": "Here"}]}
        self.put(
            self.pick([None, APP_SLOT]), balloon_bundle_id=POLLS, payload_data=app(poll_address(item), ldtext="Poll"),
        )  # fmt: skip

    # --- afterwards -----------------------------------------------------------------------------------------------

    def loose_ends(self) -> None:
        """Some rows leave their chat, some are recently deleted, some are in a second chat."""
        for (row,) in self.db.execute("SELECT ROWID FROM message WHERE ROWID > ?", [self.notes]).fetchall():
            if self.chance(0.04):
                self.db.execute("DELETE FROM chat_message_join WHERE message_id = ?", [row])
                if not self.old and self.chance(0.6):
                    self.writer.insert("chat_recoverable_message_join", chat_id=1, message_id=row, delete_date=1)
            elif self.chance(0.05):
                chat = self.pick([*[chat for chat, _ in self.chats], 99])
                self.db.execute(
                    "INSERT OR IGNORE INTO chat_message_join (chat_id, message_id) VALUES (?, ?)", [chat, row]
                )
            elif self.chance(0.01):
                self.db.execute("UPDATE chat_message_join SET chat_id = 77 WHERE message_id = ?", [row])
        if not self.old and self.chance(0.2):
            self.db.execute("INSERT OR IGNORE INTO chat_recoverable_message_join VALUES (1, 1, 1)")

    def drop_columns(self) -> None:
        """The schema of some other release: columns and tables that are not there."""
        if self.chance(0.5):
            return
        needed = ["destination_caller_id", "chat_handle_join"] if self.notes else []
        for table, groups in DROPPABLE.items():
            have = {row[1] for row in self.db.execute(f"PRAGMA table_info({table})")}.difference(needed)
            for names in groups:
                if self.chance(0.1) and have.issuperset(names):
                    have.difference_update(names)
                    for name in names:
                        self.db.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        for table in TABLES:
            if self.chance(0.06) and table not in needed:
                self.db.execute(f"DROP TABLE IF EXISTS {table}")


def random_history(folder: Path, seed: int, rows: int = 60) -> Path:
    """The chat.db of a seed, in `folder`."""
    return RandomHistory(folder, seed, rows).path
