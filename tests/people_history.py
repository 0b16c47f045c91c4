"""A small history with people who are one under two addresses, and some who only seem to be."""

from __future__ import annotations

import json
from pathlib import Path

from tests.collecting import run_collect
from tests.messages_db import DAY, START, ChatDbWriter
from ventriloquist.workspace import Workspace

ME, MAYA, MAYA_NEW, MAYA_MAIL = "+12025550100", "+12025550101", "+12025550102", "maya.lind@example.com"
THEO, THEO_TWIN, INGRID, PRIYA, NEW = "+12025550103", "+12025550104", "+12025550105", "+12025550106", "+12025550107"
HOME, CODE, BUSINESS, SHOP = "+12025550177", "22000", "urn:biz:3f9d2c1e", "SAMPLESHOP"
CONTACTS = [
    {"contact": "Maya Lind", "ids": ["(202) 555-0101"]},
    {"contact": "Maya", "ids": [MAYA_NEW]},
    {"contact": "Theo", "ids": [THEO]},
    {"contact": "Theo", "ids": [THEO_TWIN]},
    {"contact": "Ingrid Sample", "ids": [INGRID, HOME]},
    {"contact": "Priya", "ids": [PRIYA]},
]


def write_history(folder: Path, contacts: list[dict[str, object]] | None = None) -> Workspace:
    """Collect it into a workspace under `folder`.

    Maya Lind writes from her first number until day 100 and from the second from day 103 on, once from her mail
    address; two groups of hers are the same but for her numbers. The two Theos both write in one group. +12025550107
    begins when Ingrid falls silent.
    """
    writer = ChatDbWriter(folder / "source")
    numbers = {
        handle: writer.handle(handle, "SMS" if handle in (CODE, SHOP) else "iMessage")
        for handle in (MAYA, MAYA_NEW, MAYA_MAIL, THEO, THEO_TWIN, INGRID, HOME, PRIYA, NEW, CODE, BUSINESS, SHOP)
    }

    def dm(handle: str, first: int, days: int) -> None:
        chat = writer.chat(numbers[handle], guid=f"iMessage;-;{handle}", last_addressed_handle=ME)
        for day in range(first, first + days):
            date = START + day * DAY
            writer.message(chat, f"day {day}", numbers[handle], date=date, destination_caller_id=ME)
            writer.message(chat, "yes", date=date + 60, destination_caller_id=ME)

    dm(MAYA, 0, 100)
    dm(MAYA_NEW, 103, 80)
    dm(MAYA_MAIL, 50, 1)
    dm(THEO, 0, 10)
    dm(THEO_TWIN, 0, 10)
    dm(INGRID, 0, 40)
    dm(NEW, 42, 200)
    dm(HOME, 5, 2)
    for handle in (CODE, BUSINESS, SHOP):
        dm(handle, 3, 1)
    for number, members in enumerate(([MAYA, THEO, PRIYA], [MAYA_NEW, THEO, PRIYA], [THEO, THEO_TWIN])):
        chat = writer.chat(*(numbers[each] for each in members), guid=f"iMessage;+;chat{number}")
        for each in members:
            writer.message(chat, "hello all", numbers[each], date=START + (5 + 100 * number) * DAY)
    workspace = Workspace(folder / "work").prepare()
    lines = CONTACTS if contacts is None else contacts
    if lines:
        workspace.contacts.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run_collect(workspace.root, writer.close())
    return workspace
