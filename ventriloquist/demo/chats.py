"""The handles and chats of the sample, and which chat a post belongs to."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass, field

from ventriloquist.demo.cast import CAST, OWNER, STRANGERS
from ventriloquist.demo.chatdb import insert
from ventriloquist.demo.script import IMESSAGE, Post, Script, new_guid

DIRECT, GROUP = 45, 43


def address_of(who: str, service: str) -> str:
    """The handle id that someone writes from: an e-mail address for iMessage if they have one, else the phone."""
    if who in STRANGERS:
        return STRANGERS[who]
    person = CAST[who]
    return person.email if person.email and service == IMESSAGE else person.phone


@dataclass(slots=True)
class Chats:
    """Rows of `handle` and `chat`, made when first needed."""

    connection: sqlite3.Connection
    rng: random.Random
    _handles: dict[tuple[str, str], int] = field(default_factory=dict)
    _chats: dict[tuple[str, str], int] = field(default_factory=dict)
    _rooms: dict[str, str] = field(default_factory=dict)

    def open(self, script: Script, services: tuple[str, ...]) -> None:
        """Make the chats of a conversation, one for each service it was held on."""
        for service in services:
            chat = self._new_chat(script, service)
            self._chats[script.key, service] = chat
            for member in script.members:
                handle = self._handle_for(member, service)
                insert(self.connection, "chat_handle_join", {"chat_id": chat, "handle_id": handle})

    def _new_chat(self, script: Script, service: str) -> int:
        if script.is_group:
            identifier = f"chat{self.rng.randrange(10**17, 10**18)}"
            self._rooms[script.key] = identifier
            guid = f"{service};+;{identifier}"
        else:
            identifier = address_of(script.members[0], service)
            guid = f"{service};-;{identifier}"
        group_id = new_guid(self.rng)
        row: dict[str, object] = {
            "guid": guid,
            "style": GROUP if script.is_group else DIRECT,
            "state": 3,
            "account_id": new_guid(self.rng),
            "chat_identifier": identifier,
            "service_name": service,
            "room_name": identifier if script.is_group else None,
            "account_login": f"E:{OWNER.email}" if service == IMESSAGE else f"P:{OWNER.phone}",
            "last_addressed_handle": OWNER.phone,
            "display_name": script.title or "",
            "group_id": group_id,
            "original_group_id": group_id if script.is_group else None,
            "is_filtered": int(script.members[0] in STRANGERS),
        }
        return insert(self.connection, "chat", row)

    def _handle_for(self, who: str, service: str) -> int:
        key = (address_of(who, service), service)
        if key not in self._handles:
            country = "gb" if key[0].startswith("+44") else "us"
            row: dict[str, object] = {"id": key[0], "service": service, "country": country}
            self._handles[key] = insert(self.connection, "handle", row)
        return self._handles[key]

    def handle(self, script: Script, who: str, service: str) -> int:
        """The handle of `who`; for the owner in a dm that of the other one, as Messages has it, and 0 in a group."""
        if who == OWNER.name:
            return 0 if script.is_group else self._handle_for(script.members[0], service)
        return self._handle_for(who, service)

    def room(self, script: Script) -> str | None:
        return self._rooms.get(script.key)

    def rows_for(self, script: Script, post: Post) -> tuple[int, ...]:
        """The chat that a post is joined to."""
        return (self._chats[script.key, post.service],)

    def other_than(self, chat: int) -> int:
        """Another chat of the same people than `chat`; the lowest other chat if there is none."""
        key = next(key for (key, _), number in self._chats.items() if number == chat)
        same = [number for (other, _), number in self._chats.items() if other == key and number != chat]
        return same[0] if same else min(number for number in self._chats.values() if number != chat)

    def rename(self, script: Script) -> None:
        """Give a group's chat the last name that it was given."""
        titles = [post.event.title for post in script.posts if post.event and post.event.title]
        if titles:
            chat = self._chats[script.key, IMESSAGE]
            self.connection.execute("UPDATE chat SET display_name = ? WHERE ROWID = ?", (titles[-1], chat))
