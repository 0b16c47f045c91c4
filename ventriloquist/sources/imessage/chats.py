"""The chats of chat.db, who is in them, and which addresses are the owner's."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ventriloquist.records import Chat, ChatKind, Contact
from ventriloquist.sources import Normalise
from ventriloquist.sources.imessage.chatdb import ChatDb

SOURCE = "imessage"
_DM_STYLE, _GROUP_STYLE = 45, 43
_COLUMNS = (
    "ROWID:INTEGER",
    "guid:TEXT",
    "style:INTEGER",
    "chat_identifier:TEXT",
    "service_name:TEXT",
    "display_name:TEXT",
)


@dataclass(slots=True)
class People:
    """Handles by the number of their row, handles that Messages itself holds for one person, and my own."""

    handles: dict[int, str] = field(default_factory=dict)
    linked: list[Contact] = field(default_factory=list)
    mine: set[str] = field(default_factory=set)


def read_people(db: ChatDb, normalise: Normalise) -> People:
    """Everyone in the handle table. What names nobody (an empty handle) is left out."""
    people, linked = People(), defaultdict(list)
    columns = db.query("handle", ("ROWID:INTEGER", "id:TEXT", "person_centric_id:TEXT"))
    for number, handle, person in db.rows(f"SELECT {columns} FROM handle ORDER BY ROWID"):  # noqa: S608 - our names
        if handle:
            people.handles[number] = normalise(handle)
            if person:
                linked[person].append(people.handles[number])
    people.linked = [Contact("", tuple(dict.fromkeys(each))) for each in linked.values()]
    people.mine = _my_handles(db, people.handles, normalise)
    return people


def _my_handles(db: ChatDb, handles: dict[int, str], normalise: Normalise) -> set[str]:
    """The addresses that messages came to and went from.

    One that also takes part in chats is mine only if it is an account, or if at least as many messages came to it
    as it sent, and not from itself alone: then it is a chat with myself, and not a friend whom rows name by mistake.
    """
    named: set[str] = set()
    if "destination_caller_id" in db.columns("message"):
        for (address,) in db.rows("SELECT DISTINCT CAST(destination_caller_id AS TEXT) FROM message"):
            if address:
                named.add(normalise(_bare(address)))
    accounts: set[str] = set()
    columns = db.query("chat", ("last_addressed_handle:TEXT", "account_login:TEXT"))
    for last, login in db.rows(f"SELECT DISTINCT {columns} FROM chat"):  # noqa: S608 - our names
        if login and _bare(login) != login and _bare(login):
            accounts.add(normalise(_bare(login)))
        named.update(normalise(_bare(address)) for address in (last, login) if address and _bare(address))
    doubtful = named & (set(handles.values()) - accounts)
    if doubtful:
        received, sent = _rows_received(db, handles, normalise), _rows_sent(db, handles)
        doubtful = {
            address
            for address in doubtful
            if not 0 < received[address].total() >= sent[address]
            or (received[address].keys() == {address} and len(named) > 1)
        }
    return (named - doubtful) | accounts


def _rows_received(db: ChatDb, handles: dict[int, str], normalise: Normalise) -> dict[str, Counter[str]]:
    """How many messages came to each of the addresses that messages came to, by who sent them."""
    received: dict[str, Counter[str]] = defaultdict(Counter)
    if "destination_caller_id" in db.columns("message"):
        query = (
            "SELECT CAST(destination_caller_id AS TEXT), handle_id, count(*) FROM message WHERE NOT is_from_me "
            "GROUP BY 1, 2"
        )
        for address, handle, rows in db.rows(query):
            if address:
                received[normalise(_bare(address))][handles.get(handle, "")] += rows
    return received


def _rows_sent(db: ChatDb, handles: dict[int, str]) -> Counter[str]:
    sent: Counter[str] = Counter()
    for number, rows in db.rows("SELECT handle_id, count(*) FROM message WHERE NOT is_from_me GROUP BY 1"):
        if number in handles:
            sent[handles[number]] += rows
    return sent


def _bare(address: str) -> str:
    """Account names are written `E:a@example.com` and `P:+15550100`."""
    return address[2:] if address[:2] in ("E:", "P:", "e:", "p:") else address


def read_chats(db: ChatDb, people: People, normalise: Normalise) -> dict[int, Chat]:
    """The chats by the number of their row."""
    members: dict[int, list[str]] = defaultdict(list)
    if db.columns("chat_handle_join"):
        for chat, handle in db.rows("SELECT chat_id, handle_id FROM chat_handle_join ORDER BY 1, 2"):
            if handle in people.handles:
                members[chat].append(people.handles[handle])
    chats: dict[int, Chat] = {}
    guids: set[str] = set()
    for number, guid, style, identifier, service, name in _rows(db):
        kind = _kind(style, guid, len(set(members[number])))
        handles = members[number] or _missing_members(db, people, number, kind, identifier, normalise)
        guid = guid if guid and guid not in guids else f"{guid or 'chat'}#{number}"
        guids.add(guid)
        unique = tuple(sorted(set(handles)))
        chats[number] = Chat(guid, SOURCE, kind, unique, name or None, service or None)
    return chats


def _rows(db: ChatDb) -> Iterator[tuple[int, str | None, int | None, str | None, str | None, str | None]]:
    return iter(db.rows(f"SELECT {db.query('chat', _COLUMNS)} FROM chat ORDER BY ROWID"))  # noqa: S608 - our names


def _kind(style: int | None, guid: str | None, members: int) -> ChatKind:
    if style in (_DM_STYLE, _GROUP_STYLE):
        return ChatKind.DM if style == _DM_STYLE else ChatKind.GROUP
    for mark, kind in ((";-;", ChatKind.DM), (";+;", ChatKind.GROUP)):
        if mark in (guid or ""):
            return kind
    return ChatKind.GROUP if members > 1 else ChatKind.DM


def _missing_members(
    db: ChatDb, people: People, chat: int, kind: ChatKind, identifier: str | None, normalise: Normalise
) -> list[str]:
    """Who is in a chat that lists nobody: the address it is named for, or whoever wrote in it."""
    if kind is ChatKind.DM and identifier:
        return [normalise(identifier)]
    senders = db.rows(
        "SELECT DISTINCT m.handle_id FROM chat_message_join AS j JOIN message AS m ON m.ROWID = j.message_id "
        "WHERE j.chat_id = ? AND NOT m.is_from_me",
        [chat],
    )
    return [people.handles[number] for (number,) in senders if number in people.handles]


def sender_in(chat: Chat | None, handle: int | None, handles: Mapping[int, str]) -> str | None:
    """Who sent a row that is not mine: its handle, or the one other person of the chat where it names none."""
    sender = handles.get(handle or 0)
    if sender is None and chat and chat.kind is ChatKind.DM and len(chat.handles) == 1:
        return chat.handles[0]
    return sender
