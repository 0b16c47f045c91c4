"""A second reader of chat.db, slow and simple, to hold against the real one.

It was written from the specification alone and shares no code with ventriloquist.sources: every table is read whole,
bodies are decoded by pytypedstream, property lists by plistlib. `expected` says what becomes of every row.
"""

from __future__ import annotations

import plistlib
import re
import sqlite3
import string
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import phonenumbers
import typedstream

Row = dict[str, Any]

SLOT, APP_SLOT = "\ufffc", "\ufffd"
PART, FILE = "__kIMMessagePartAttributeName", "__kIMFileTransferGUIDAttributeName"
APPLE_EPOCH = 978_307_200
ORDINARY = {None, 0, 2, 3}
TAPBACKS = ["loved", "liked", "disliked", "laughed", "emphasized", "questioned", "emoji", "sticker"]
LINK = "com.apple.messages.URLBalloonProvider"
EVENTS = range(1, 7)
TYPES = {
    "public.jpeg": "image/jpeg", "public.png": "image/png", "public.heic": "image/heic",
    "com.adobe.pdf": "application/pdf",
    "com.apple.coreaudio-format": "audio/x-caf", "com.apple.quicktime-movie": "video/quicktime",
    ".jpg": "image/jpeg", ".png": "image/png", ".heic": "image/heic", ".pdf": "application/pdf", ".caf": "audio/x-caf",
    ".mov": "video/quicktime",
}  # fmt: skip


class Any_:
    """Equal to everything: a value that the specification leaves open."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return "anything"


class Bracketed(Any_):
    """Equal to any words in brackets, which stand for what nobody wrote."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and len(other) > 2 and other.startswith("[") and other.endswith("]")

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return "[something]"


ANYTHING, BRACKETED = Any_(), Bracketed()


def tables(path: Path) -> dict[str, list[Row]]:
    """Every table of the file; a table that it lacks is empty."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    db.row_factory = sqlite3.Row
    found: dict[str, list[Row]] = defaultdict(list)
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        found[name] = [dict(row) for row in db.execute(f'SELECT rowid AS "_row", * FROM "{name}"')]
    db.close()
    return found


# --- values -------------------------------------------------------------------------------------------------------


def microseconds(date: Any) -> int:
    """A date as microseconds since 1970: it is nanoseconds or seconds since 2001, as its size tells; 0 is unset."""
    if not isinstance(date, int) or not date:
        return 0
    return APPLE_EPOCH * 1_000_000 + (date // 1000 if abs(date) > 10**11 else date * 1_000_000)


def address(written: str) -> str:
    """E-mail in lower case, phone numbers in E.164, everything else as it is."""
    if "@" in written:
        return written.lower()
    digits = sum(each in string.digits for each in written)
    if digits < 7 or any(each.isalpha() for each in written):
        return written
    try:
        number = phonenumbers.parse(written, "US")
    except phonenumbers.NumberParseException:
        return written
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def property_list(blob: Any) -> dict[str, Any]:
    """A property list's dictionary, empty if there is none."""
    try:
        found = plistlib.loads(blob)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is none
        return {}
    return found if isinstance(found, dict) else {}


Run = tuple[str, dict[str, Any]]


def plain(value: Any) -> Any:
    """What an archived object holds, for those that matter here."""
    return getattr(value, "value", value)


def runs_of(blob: Any) -> list[Run] | None:
    """The stretches of an attributed string with their attributes, or None if it is none."""
    try:
        root = typedstream.unarchive_from_data(blob)
        values = [each.values for each in root.contents]
        units = str(plain(values[0][0])).encode("utf-16-le")
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is none
        return None
    runs: list[Run] = []
    known: dict[int, dict[str, Any]] = {}
    at, place = 0, 1
    while place < len(values):
        number, length = values[place]
        place += 1
        if number not in known:
            known[number] = {plain(key): plain(value) for key, value in values[place][0].contents.items()}
            place += 1
        runs.append((units[2 * at : 2 * (at + length)].decode("utf-16-le"), known[number]))
        at += length
    if 2 * at < len(units):
        runs.append((units[2 * at :].decode("utf-16-le"), {}))
    return runs


def joined(runs: list[Run] | None) -> str:
    return "".join(text for text, _ in runs or [])


# --- rows ---------------------------------------------------------------------------------------------------------


class Naive:
    """All of one file; `result` maps each ROWID to a message or to why there is none."""

    def __init__(self, path: Path) -> None:
        self.tables = tables(path)
        self.messages = sorted(self.tables["message"], key=lambda row: row["_row"])
        self.handles = {row["_row"]: address(row["id"]) for row in self.tables["handle"]}
        self.chats = {row["_row"]: row for row in self.tables["chat"]}
        self.result: dict[int, Row | str] = {}
        self._seen: set[str] = set()
        for row in self.messages:
            self.result[row["_row"]] = self.place(row)
        self.replay()
        self.leave_out_second_copies()

    def ids(self, table: str, given: str, wanted: str, value: int) -> list[int]:
        return [row[wanted] for row in self.tables[table] if row[given] == value]

    def place(self, row: Row) -> Row | str:
        """A row's fate, once it is known to be in a chat and to be the first of its guid."""
        number = row["_row"]
        joined_to = sorted(set(self.ids("chat_message_join", "message_id", "chat_id", number)) & set(self.chats))
        if not joined_to:
            deleted = self.ids("chat_recoverable_message_join", "message_id", "chat_id", number)
            return "recently deleted" if deleted else "orphan"
        guid, chat = row.get("guid"), self.chats[joined_to[0]]
        if guid and guid in self._seen:
            return "copy"
        self._seen.add(guid)
        found = self.message(row, chat)
        if isinstance(found, str):
            return found
        is_from_me, sender = self.sender(row, chat)
        common = {
            "guid": guid or ANYTHING, "chat": chat["guid"], "is_from_me": is_from_me, "sender_handle": sender,
            "sent_at": microseconds(row.get("date")), "service": row.get("service"), "text": None, "reply_to": None,
            "reaction": None, "attachments": [], "edited": False, "unsent": False,
        }  # fmt: skip
        return common | found

    def sender(self, row: Row, chat: Row) -> tuple[bool, str | None]:
        """Whether it is mine, and else whose it is: in a chat of two the other's, if the row does not say."""
        if row.get("is_from_me"):
            return True, None
        if row.get("item_type") == 4 and row.get("other_handle") and row.get("share_direction") == 0:
            return True, None
        if row.get("handle_id") in self.handles:
            return False, self.handles[row["handle_id"]]
        there = [self.handles[each] for each in self.ids("chat_handle_join", "chat_id", "handle_id", chat["_row"])
                 if each in self.handles]  # fmt: skip
        alone = there[0] if len(set(there)) == 1 else ANYTHING
        return False, None if self.is_group(chat, len(set(there))) else alone

    @staticmethod
    def is_group(chat: Row, members: int) -> bool:
        if chat.get("style") in (43, 45):
            return bool(chat["style"] == 43)
        if ";+;" in chat["guid"] or ";-;" in chat["guid"]:
            return ";+;" in chat["guid"]
        return members > 1

    def message(self, row: Row, chat: Row) -> Row | str:
        """What kind of row it is, and what that kind holds."""
        kind = row.get("associated_message_type")
        if kind == 1000 or (isinstance(kind, int) and kind // 1000 in (2, 3) and kind % 1000 < len(TAPBACKS)):
            return self.tapback(row, kind)
        not_said = {"text": BRACKETED, "reply_to": row.get("thread_originator_guid") or None}
        if kind == 4000:
            return not_said | {"kind": "app"}
        if row.get("item_type") in EVENTS:
            return not_said | {"kind": "event"}
        return "unknown kind" if row.get("item_type") or kind not in ORDINARY else self.ordinary(row)

    # --- tapbacks -------------------------------------------------------------------------------------------------

    def tapback(self, row: Row, kind: int) -> Row:
        """A tapback, of which `replay` will say whether it stands."""
        target = row.get("associated_message_guid") or ""
        part = 0
        if match := re.fullmatch(r"p:(\d+)/(.*)", target, re.DOTALL):
            part, target = int(match[1]), match[2]
        elif target.startswith("bp:"):
            target = target[3:]
        name = "sticker" if kind == 1000 else TAPBACKS[kind % 1000]
        emoji = row.get("associated_message_emoji") if name == "emoji" else None
        reaction = {"type": name, "emoji": emoji, "target": target, "part": part}
        files, _ = self.files(row)
        return {"kind": "reaction", "reaction": reaction, "attachments": self.told(files), "code": kind}

    def replay(self) -> None:
        """Follow the clock: of each sender on each part the last tapback stands, unless it was taken back."""
        standing: dict[tuple[Any, ...], int] = {}
        for _, number in sorted((microseconds(row.get("date")), row["_row"]) for row in self.messages):
            found = self.result[number]
            if isinstance(found, str) or "code" not in found:
                continue
            code, told = found.pop("code"), found["reaction"]
            if code == 1000:
                continue
            key = (told["target"], told["part"], found["is_from_me"], found["sender_handle"])
            before = standing.pop(key, None)
            if code < 3000:
                standing[key] = number
                if before is not None:
                    self.result[before] = "replaced"
                continue
            self.result[number] = "removal"
            if before is not None:
                reaction = self.result[before]["reaction"]  # type: ignore[index]
                emojis = {reaction["emoji"], told["emoji"]} - {None}
                if reaction["type"] == told["type"] and len(emojis) < 2:
                    self.result[before] = "taken back"
                else:
                    standing[key] = before

    def leave_out_second_copies(self) -> None:
        """In a chat with myself everything is there twice, sent and received; the one received is left out."""
        mine = {address(row["destination_caller_id"]) for row in self.messages if row.get("destination_caller_id")}
        for chat in self.chats.values():
            members = self.ids("chat_handle_join", "chat_id", "handle_id", chat["_row"])
            if not members or not mine.issuperset(self.handles.get(each, "") for each in members):
                continue
            said = [(number, row) for number, row in self.result.items()
                    if not isinstance(row, str) and row["chat"] == chat["guid"]]  # fmt: skip
            sent = Counter(row["text"] for _, row in said if row["is_from_me"])
            for number, row in said:
                if not row["is_from_me"] and sent[row["text"]] > 0:
                    sent[row["text"]] -= 1
                    self.result[number] = "second copy"

    # --- ordinary rows --------------------------------------------------------------------------------------------

    def ordinary(self, row: Row) -> Row | str:
        info = property_list(row.get("message_summary_info"))
        retracted = {int(part) for part in info.get("rp") or []}
        body = row.get("attributedBody")
        decoded = runs_of(body)
        runs = [(text, each) for text, each in decoded or [] if each.get(PART, 0) not in retracted]
        visible, hidden = self.files(row)
        slots = [each[FILE] for _, each in runs if FILE in each]
        text = self.words(row, info, retracted, decoded, runs, bool(visible or hidden))
        files = self.in_order(visible, hidden, slots)
        edited: Any = any(self.was_changed(history) for history in (info.get("ec") or {}).values())
        found: Row = {
            "reply_to": row.get("thread_originator_guid") or None,
            "edited": ANYTHING if row.get("date_edited") and not info else edited,
            "unsent": bool(retracted),
            "attachments": files,
        }
        if row.get("date_retracted") and not retracted:
            return found | {"kind": "unsent", "unsent": True, "attachments": []}
        bundle = row.get("balloon_bundle_id")
        if bundle and bundle != LINK:
            real = [each for each in files if each in self.told(visible)]
            if real and not row.get("payload_data") and not text:  # a sticker, which apps send too
                return found | {"kind": "attachment", "attachments": real}
            return found | {"kind": "app", "text": BRACKETED, "attachments": real}
        if not (text or "").strip():
            text = self.link(row) or text
            if bundle and not (text or "").strip() and not row.get("subject"):
                return found | {"kind": "app", "text": BRACKETED}
        subject = row.get("subject")
        all_gone = bool(retracted) and retracted.issuperset(map(int, info.get("otr") or []))
        if subject and not all_gone:
            text = f"{subject}\n{text}" if text else subject
        if files and not (text or "").strip():
            return found | {"kind": "attachment", "text": text or None}
        if text:
            return found | {"kind": "text", "text": text}
        if retracted or row.get("date_edited"):
            return found | {"kind": "unsent", "unsent": True}
        return "undecodable" if body and decoded is None else "empty"

    def words(self, row: Row, info: Row, gone: set[int], decoded: Any, runs: list[Run], has_files: bool) -> str | None:
        """The final words: of the body; else of the last version of every part; else of the text column."""
        if joined(decoded):
            return "".join(self.spoken(text, attributes, has_files, row) for text, attributes in runs)
        history = {int(part): versions for part, versions in (info.get("ec") or {}).items()}
        if history and not row.get("text"):
            last = [runs_of(history[part][-1].get("t")) for part in sorted(history) if part not in gone]
            return "".join(joined(each) for each in last)
        text = row.get("text")
        if not isinstance(text, str) or (gone and not decoded):
            return None
        return self.spoken(text, {}, has_files, row)

    @staticmethod
    def spoken(text: str, attributes: Row, has_files: bool, row: Row) -> str:
        """A stretch without the placeholders of files and apps; somebody may have typed such a character."""
        if FILE in attributes or row.get("balloon_bundle_id"):
            return text.replace(SLOT, "").replace(APP_SLOT, "")
        return text.replace(SLOT, "") if has_files or not text.strip(SLOT) else text

    @staticmethod
    def was_changed(versions: list[Row]) -> bool:
        return len({joined(runs_of(version.get("t"))) for version in versions}) > 1

    @staticmethod
    def link(row: Row) -> str | None:
        """The address of a link's preview: of the first URL in its archive that is one of the metadata's."""
        objects = property_list(row.get("payload_data")).get("$objects") or []

        def at(uid: Any) -> Any:
            return objects[uid.data] if isinstance(uid, plistlib.UID) else uid

        for each in objects:
            if isinstance(each, dict):
                for key in ("originalURL", "URL"):
                    url = at(each.get(key))
                    if isinstance(url, dict) and "NS.relative" in url:
                        return str(at(url["NS.relative"]))
        return None

    # --- attachments ----------------------------------------------------------------------------------------------

    def files(self, row: Row) -> tuple[list[Row], list[Row]]:
        """The attachment rows of a message by ROWID: those that are shown, and those that are not."""
        wanted = set(self.ids("message_attachment_join", "message_id", "attachment_id", row["_row"]))
        found = [each for each in self.tables["attachment"] if each["_row"] in wanted]
        return [each for each in found if not self.is_hidden(each)], [each for each in found if self.is_hidden(each)]

    @staticmethod
    def is_hidden(file: Row) -> bool:
        names = (file.get("filename") or "", file.get("transfer_name") or "")
        return bool(file.get("hide_attachment")) or any(name.endswith(".pluginPayloadAttachment") for name in names)

    def in_order(self, visible: list[Row], hidden: list[Row], slots: list[str]) -> list[tuple[str, Any]]:
        """Files as their slots stand, then those of no slot; a slot of no row is a file, unless all pair in order."""
        names = {name for each in visible for name in (each["guid"], each.get("original_guid"))}
        if len(slots) == len(set(slots)) == len(visible) and not names & set(slots):
            return self.told(visible)
        left, found = list(visible), []
        not_shown = {name for each in hidden for name in (each["guid"], each.get("original_guid"))}
        for slot in slots:
            match = next((each for each in left if slot in (each["guid"], each.get("original_guid"))), None)
            if match:
                left.remove(match)
                found += self.told([match])
            elif slot not in not_shown:
                found.append((slot, ANYTHING))
        return found + self.told(left)

    @staticmethod
    def told(files: list[Row]) -> list[tuple[str, Any]]:
        """Each file's guid and media type: what the row says, else what its uti, else what its name says."""
        found = []
        for each in files:
            suffix = Path(each.get("transfer_name") or each.get("filename") or "").suffix.lower()
            found.append((each["guid"], each.get("mime_type") or TYPES.get(each.get("uti")) or TYPES.get(suffix)))
        return found


def expected(path: Path) -> dict[int, Row | str]:
    """What becomes of each row, by ROWID: a message's keys, or in a word why it is none."""
    return Naive(path).result
