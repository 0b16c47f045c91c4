"""Statistics against a recount of `messages --jsonl` that shares no code with them."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.commands import ventriloquist
from tests.conftest import do
from tests.hostile import hostile_strings
from tests.storing import replace_history
from tests.tui_helpers import CONTROLS
from ventriloquist import demo
from ventriloquist.faults import Exit, Fault, UsageFault
from ventriloquist.people import find_conversations, find_people, normaliser
from ventriloquist.pipeline.portrait import read_talk
from ventriloquist.pipeline.stats import find_row, read_overview
from ventriloquist.pipeline.wording import EMOJI, Wording, median_of
from ventriloquist.records import Chat, ChatKind, Contact, Kind, Ledger, Message, Reaction
from ventriloquist.store import Store, zones
from ventriloquist.store.stats import stop_when
from ventriloquist.store.zones import find_zone
from ventriloquist.workspace import Workspace

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
COUNTED = ("text", "attachment", "app")
ANA, ANA_MAIL, BEN, CY = "+12025550101", "ana@example.com", "+12025550102", "+12025550103"
CONTACTS = [Contact("Ana", (ANA, ANA_MAIL)), Contact("Ben", (BEN,)), Contact("Cy", (CY,))]
CHATS = [
    Chat("iMessage;-;ana", "sample", ChatKind.DM, (ANA,), service="iMessage"),
    Chat("SMS;-;ana", "sample", ChatKind.DM, (ANA,), service="SMS"),
    Chat("iMessage;-;ana-mail", "sample", ChatKind.DM, (ANA_MAIL,), service="iMessage"),
    Chat("iMessage;-;ben", "sample", ChatKind.DM, (BEN,)),
    Chat("chat-lunch", "sample", ChatKind.GROUP, (ANA, BEN), "Lunch"),
    Chat("chat-unnamed", "sample", ChatKind.GROUP, (ANA_MAIL, BEN, CY)),
    Chat("chat-other-lunch", "sample", ChatKind.GROUP, (BEN, CY), "Lunch"),
    Chat("me", "sample", ChatKind.DM, ()),
]
EDGES = [  # around the hours that summer time takes away and gives twice, and around new year
    datetime(year, month, day, hour, minute, tzinfo=UTC)
    for year in (2019, 2024)
    for month, day in ((3, 31), (10, 27), (3, 10), (11, 3), (4, 7), (10, 6), (12, 31), (1, 1))
    for hour in (0, 1, 5, 6, 7, 14, 15, 23)
    for minute in (0, 29, 30, 59)
]


TYPES = ("loved", "laughed")
TEXTS = ("hey", "on my way 🙂", "see you there\nat noon", "👩‍👩‍👧‍👦👍🏽", "née", "\ud83d", "")


def invented() -> Iterator[Message]:
    """Every kind in every chat, at the edges of summer time and between, some without a date or a sender."""
    chance = random.Random(20)
    for row in range(3000):
        chat = chance.choice(CHATS)
        at = chance.choice(EDGES) if row % 2 else EDGES[0] + timedelta(minutes=chance.randrange(60 * 24 * 2400))
        mine = chance.random() < 0.4 or not chat.handles
        kind = chance.choice([Kind.TEXT] * 8 + list(Kind))
        text = (
            chance.choice(("hey", "on my way 🙂", "see you there\nat noon", "👩‍👩‍👧‍👦👍🏽", "née", "\ud83d", ""))
            or None
        )
        yield Message(
            guid=f"guid-{row}",
            source="sample",
            source_row=row,
            chat=chat.guid,
            kind=kind,
            is_from_me=mine,
            sent_at=0 if row % 97 == 0 else round(at.timestamp()) * 1_000_000 + chance.randrange(1_000_000),
            sender_handle=None if mine or row % 89 == 0 else chance.choice((*chat.handles, *chat.handles, CY)),
            text=text if kind is not Kind.REACTION else None,
            reaction=Reaction(chance.choice(("loved", "laughed")), f"guid-{row - 1}")
            if kind is Kind.REACTION
            else None,
        )


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The invented messages. Nobody may write to it."""
    workspace = Workspace(tmp_path_factory.mktemp("stats"))
    write(workspace, CHATS, CONTACTS, invented())
    return workspace


def write(workspace: Workspace, chats: list[Chat], contacts: list[Contact], messages: Iterator[Message]) -> None:
    handles = {handle for chat in chats for handle in chat.handles} | {CY}
    people = find_people(handles, [contacts], [], "Dana", normaliser("US"))
    with Store.open(workspace, create=True) as store:
        replace_history(store, "sample", chats, find_conversations(chats, people), people, messages, Ledger())


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory, sample: demo.Sample) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("collected"))
    do("collect", workspace, db=sample.chat_db, region="US")
    return workspace


def told(workspace: Workspace, *words: object) -> list[dict[str, Any]]:
    """The objects that a command writes."""
    done = ventriloquist(workspace, *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- the recount ------------------------------------------------------------------------------------------------


class Recount:
    """Everything counted again, one message after the other, from what `messages --jsonl` says."""

    def __init__(self, workspace: Workspace) -> None:
        self.messages = told(workspace, "messages", "--jsonl")
        self.counted = [each for each in self.messages if each["kind"] in COUNTED]
        with Store.open(workspace) as store:
            names = {key: person.name for key, person in store.people().items()}
            self.partner = {
                each.id: names[each.members[0]] for each in store.conversations() if each.kind is ChatKind.DM
            }

    def side(self, message: dict[str, Any], who: str) -> str | None:
        """On which side of `who` (a name, a conversation's id, or "" for everyone) a message stands, if on any."""
        mine = "to" if message["is_from_me"] else "from"
        if who in ("", message["conversation"], self.partner.get(message["conversation"])):
            return mine
        in_group = message["conversation"] not in self.partner
        return "in_groups" if in_group and not message["is_from_me"] and message["sender"] == who else None

    def of(self, who: str) -> dict[str, Any]:
        """What the table says."""
        sides = Counter(side for each in self.counted if (side := self.side(each, who)))
        dates = [each["sent_at"] for each in self.counted if self.side(each, who) and is_dated(each)]
        found = {side: sides[side] for side in ("to", "from", "in_groups")}
        share = round(sides.total() / len(self.counted), 4)
        first, last = (min(dates), max(dates)) if dates else (None, None)
        return {**found, "messages": sides.total(), "share": share, "first": first, "last": last}

    def in_full(self, who: str, zone: str) -> dict[str, Any]:
        """What the page of one says, but for the emoji."""
        week = [[0] * 24 for _ in range(7)]
        years: dict[str, dict[str, int]] = {}
        months: dict[str, dict[str, int]] = {}
        days: Counter[str] = Counter()
        texts: dict[str, list[str]] = {"to": [], "from": []}
        reactions: dict[str, Counter[str]] = {"to": Counter(), "from": Counter()}
        undated = 0
        for each in self.messages:
            side = self.side(each, who)
            if side is None:
                continue
            direction = "to" if side == "to" else "from"
            if each["kind"] == "reaction":
                reactions[direction][each["reaction"]["type"]] += 1
            if each["kind"] not in COUNTED:
                continue
            if each["text"] is not None:
                texts[direction].append(each["text"])
            if not is_dated(each):
                undated += 1
                continue
            at = datetime.fromisoformat(each["sent_at"]).astimezone(ZoneInfo(zone))
            week[at.weekday()][at.hour] += 1
            days[at.strftime("%Y-%m-%d")] += 1
            for named, key in ((years, "%Y"), (months, "%Y-%m")):
                named.setdefault(at.strftime(key), {"to": 0, "from": 0, "in_groups": 0})[side] += 1
        most = max(days.values(), default=0)
        busiest = min((day for day, count in days.items() if count == most), default="")
        return {
            "undated": undated, "week": week, "years": years, "months": months,
            "busiest_day": {"date": busiest, "messages": most} if days else None,
            "texts": {side: lengths(found) for side, found in texts.items()},
            "reactions": {side: dict(found) for side, found in reactions.items()},
            **self.turns(who),
        }  # fmt: skip

    def turns(self, who: str) -> dict[str, Any]:
        """Answers and the longest silence, in each conversation that is wholly about `who`."""
        gaps: dict[str, list[int]] = {"to": [], "from": []}
        silence: tuple[float, str, str] | None = None
        before: dict[str, dict[str, Any]] = {}
        for each in self.counted:
            if self.side(each, who) not in ("to", "from") or not is_dated(each):
                continue
            last = before.get(each["conversation"])
            before[each["conversation"]] = each
            if not last:
                continue
            gap = datetime.fromisoformat(each["sent_at"]) - datetime.fromisoformat(last["sent_at"])
            if silence is None or gap.total_seconds() > silence[0]:
                silence = gap.total_seconds(), last["sent_at"], each["sent_at"]
            if last["is_from_me"] != each["is_from_me"] and gap < timedelta(days=1):
                gaps["to" if each["is_from_me"] else "from"].append(int(gap.total_seconds()))
        shown = {"seconds": int(silence[0]), "from": silence[1], "to": silence[2]} if silence and who else None
        answers = {
            side: {"answers": len(found), "median_seconds": median(found) if found else None}
            for side, found in gaps.items()
        }
        return {"answers": answers, "longest_silence": shown}


def is_dated(message: dict[str, Any]) -> bool:
    return message["sent_at"] != "1970-01-01T00:00:00.000000Z"


def lengths(texts: list[str]) -> dict[str, Any]:
    words = median([len(re.findall(r"\S+", text)) for text in texts]) if texts else None
    return {"messages": len(texts), "words": words, "characters": median(map(len, texts)) if texts else None}


@pytest.mark.parametrize("of", ["history", "collected"])
def test_the_table_is_a_recount(of: str, request: pytest.FixtureRequest) -> None:
    workspace: Workspace = request.getfixturevalue(of)
    recount, rows = Recount(workspace), told(workspace, "stats", "--json")
    assert len(rows) > 5
    for row in rows:
        who = row["conversation"] if row["kind"] == "group" else row["name"]
        assert {key: row[key] for key in ("to", "from", "in_groups", "messages", "share", "first", "last")} == (
            recount.of(who)
        ), row["name"]
    assert sum(row["to"] + row["from"] for row in rows) == len(recount.counted)
    senders = {each["sender"] for each in recount.counted if not each["is_from_me"]}
    assert senders <= {row["name"] for row in rows}
    assert [row["messages"] for row in rows] == sorted((row["messages"] for row in rows), reverse=True)


@pytest.mark.parametrize("zone", ZONES)
def test_one_in_full_is_a_recount(history: Workspace, zone: str) -> None:
    recount = Recount(history)
    rows = {row["name"]: row["conversation"] for row in told(history, "stats", "--json", "--groups")}
    assert list(rows) and {"Lunch", "Lunch (2)", "Ana, Ben and Cy"} == set(rows)
    for said, who in (("Ana", "Ana"), ("Cy", "Cy"), ("Dana", "Dana"), ("Lunch", rows["Lunch"]), ("--all", "")):
        (found,) = told(history, "stats", said, "--json", "--timezone", zone)
        for side in ("to", "from"):
            for key in ("with_emoji", "emoji"):
                del found["texts"][side][key]
        expected = {**recount.of(who), **recount.in_full(who, zone), "timezone": zone}
        assert {key: found[key] for key in expected} == expected, (said, zone)


def test_one_of_the_sample_in_full_is_a_recount(collected: Workspace) -> None:
    recount = Recount(collected)
    (found,) = told(collected, "stats", "maya", "--json", "--timezone", "America/Denver")
    expected = recount.in_full("Maya", "America/Denver")
    assert found["messages"] > 20 and found["week"] == expected["week"] and found["months"] == expected["months"]


def test_the_recount_has_what_is_hard(history: Workspace) -> None:
    """Summer time, several handles, merged services, undated rows and unnamed senders are all in what is compared."""
    with Store.open(history) as store:
        ana = next(person for person in store.people().values() if person.name == "Ana")
        assert set(ana.handles) == {ANA, ANA_MAIL}
    recount = Recount(history)
    of_ana = [each for each in recount.counted if recount.partner.get(each["conversation"]) == "Ana"]
    assert {each["chat"] for each in of_ana} == {"iMessage;-;ana", "SMS;-;ana", "iMessage;-;ana-mail"}
    assert {each["sender_handle"] for each in of_ana} >= {ANA, ANA_MAIL, None, CY}
    offsets = {
        datetime.fromisoformat(each["sent_at"]).astimezone(ZoneInfo("Europe/Berlin")).utcoffset() for each in of_ana
    }
    assert offsets == {timedelta(hours=1), timedelta(hours=2)}
    assert recount.in_full("", "UTC")["undated"] > 10 and "Unknown" in {each["sender"] for each in recount.counted}


# --- the command ------------------------------------------------------------------------------------------------


def test_the_table_in_words(history: Workspace) -> None:
    shown = ventriloquist(history, "stats").stdout.splitlines()
    assert shown[0].split() == ["messages", "to", "from", "in", "groups", "share", "first", "last"]
    total = len(Recount(history).counted)
    assert shown[-1].startswith("everyone") and f"{total:,}" in shown[-1] and "100.0%" in shown[-1]
    groups = ventriloquist(history, "stats", "--groups", "--sort", "name", "--limit", "2").stdout.splitlines()
    assert [line.split("  ")[0] for line in groups[1:-1]] == ["Ana, Ben and Cy", "Lunch"]
    people = told(history, "stats", "--people", "--sort", "in-groups", "--json")
    assert {row["kind"] for row in people} == {"person"}
    assert [row["in_groups"] for row in people] == sorted((row["in_groups"] for row in people), reverse=True)
    newest = told(history, "stats", "--sort", "last", "--json")
    assert [row["last"] for row in newest] == sorted((row["last"] for row in newest), reverse=True)


def test_one_in_words(history: Workspace) -> None:
    shown = ventriloquist(history, "stats", "ANA", "--timezone", "Europe/Berlin").stdout
    assert shown.startswith("Ana: ") and "Europe/Berlin" in shown and "longest silence" in shown
    (found,) = told(history, "stats", "ana", "--json", "--timezone", "Europe/Berlin")
    week = [line[7:].ljust(48) for line in shown.splitlines() if re.match(r"  (Mon|Tue|Wed|Thu|Fri|Sat|Sun)  ", line)]
    most = max(map(max, found["week"]))
    assert len(week) == 7
    for cells, counts in zip(week, found["week"], strict=True):
        shades = [" ░▒▓█".index(letter) for letter in cells[::2]]
        assert [shade > 0 for shade in shades] == [count > 0 for count in counts]
        assert [shade == 4 for shade in shades] == [count > most * 3 / 4 for count in counts]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["Annna"], "Did you mean Ana?"),
        (["nobody at all"], "people list"),
        (["Lunch", "--groups"], "without a NAME"),
        (["--timezone", "Europe/Nowhere"], "no time zone called"),
        (["--timezone", "../../etc/passwd"], "no time zone called"),
        (["--timezone", "Europe"], "no time zone called"),
        (["--timezone", "a\x00b".replace("\x00", "\x1b[2J")], "no time zone called"),
        (["--sort", "age"], "--sort"),
    ],
)
def test_wrong_requests_are_a_sentence(history: Workspace, words: list[str], says: str) -> None:
    done = ventriloquist(history, "stats", *words)
    assert done.returncode == Exit.USAGE and done.stdout == "" and says in done.stderr and "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_collected(tmp_path: Path) -> None:
    for words in ([], ["Ana"], ["--all", "--json"]):
        done = ventriloquist(tmp_path / "new", "stats", *words)
        assert done.returncode == Exit.NO_INPUT and done.stdout == "" and "ventriloquist collect" in done.stderr


def test_names_that_fit_several(history: Workspace) -> None:
    with Store.open(history) as store:
        rows = read_overview(store).rows
        group = next(row for row in rows if row.name == "Lunch (2)")
        assert find_row(rows, f" {group.conversation} ", str) is group
        assert find_row(rows, "+1 (202) 555-0101", normaliser("US")).name == "Ana"
        with pytest.raises(UsageFault, match="Lunch"):
            find_row(rows, "lunc", str)


def test_hostile_names_reach_no_terminal(tmp_path: Path) -> None:
    """As people's names, groups' names, handles and texts."""
    words = [text for _, text in hostile_strings() if len(text) < 300]
    chats = [Chat(f"c{n}", "sample", ChatKind.DM, (f"h{n}",)) for n, _ in enumerate(words)]
    chats += [Chat(f"g{n}", "sample", ChatKind.GROUP, (f"h{n}", "other"), word) for n, word in enumerate(words)]
    contacts = [Contact(word, (f"h{n}",)) for n, word in enumerate(words)]
    messages = (
        Message(f"m{n}", "sample", n, chat.guid, Kind.TEXT, False, 10**15, chat.handles[0], words[n % len(words)])
        for n, chat in enumerate(chats)
    )
    workspace = Workspace(tmp_path / "hostile")
    write(workspace, chats, contacts, messages)
    shown = ventriloquist(workspace, "stats").stdout
    assert (
        not CONTROLS.search(shown.replace("\n", ""))
        and len(shown.splitlines()) == len(told(workspace, "stats", "--json")) + 2
    )
    for row in told(workspace, "stats", "--json", "--limit", "12"):
        name = row["name"]
        if "\x00" in name or not name.strip() or name.startswith("-") or CONTROLS.search(name):
            continue
        one = ventriloquist(workspace, "stats", "--", name)
        assert one.returncode == 0 and not CONTROLS.search(one.stdout.replace("\n", "")), ascii(name)


def test_reading_ends_when_nobody_waits_for_it(history: Workspace) -> None:
    asked = []
    with pytest.raises(Fault), Store.open(history) as store:
        stop_when(store, lambda: bool(asked.append(1)) or len(asked) > 1)
        for _ in range(50):
            read_talk(store, read_overview(store).everyone)
    assert len(asked) == 2
    with Store.open(history) as store:
        assert read_overview(store).everyone.messages


# --- wording and zones ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "emoji"),
    [
        ("see you 😂😂 there", ["😂", "😂"]),
        ("👩‍👩‍👧‍👦 and 👍🏽", ["👩‍👩‍👧‍👦", "👍🏽"]),
        ("🇩🇪🇯🇵", ["🇩🇪", "🇯🇵"]),
        ("1️⃣ or #️⃣", ["1️⃣", "#️⃣"]),
        ("🏴\U000e0067\U000e0062\U000e007f", ["🏴\U000e0067\U000e0062\U000e007f"]),
        ("❤ ❤️ ☺️ ✨", ["❤", "❤️", "☺️", "✨"]),
        ("no: 1 # → ☺ © a-z é 漢字", []),
    ],
)
def test_emoji_are_told_apart(text: str, emoji: list[str]) -> None:
    assert EMOJI.findall(text) == emoji


def test_wording_counts_messages_and_not_repetitions() -> None:
    wording = Wording()
    for text in ("one two three", "💃" * 5000, "💃 and 🙂", "🙂"):
        wording.add(text)
    assert wording.as_object() == {
        "messages": 4, "words": 2.0, "characters": 10.0, "with_emoji": 3, "emoji": {"💃": 2, "🙂": 2},
    }  # fmt: skip


def test_the_median_of_counts_is_the_median() -> None:
    chance = random.Random(3)
    assert median_of({}) is None
    for size in range(1, 60):
        values = [chance.randrange(12) for _ in range(size)]
        assert median_of(Counter(values)) == median(values)


@pytest.mark.parametrize("name", [*ZONES, "Africa/Casablanca", "Pacific/Apia", "America/St_Johns"])
def test_stretches_have_the_zones_own_offsets(name: str) -> None:
    zone = find_zone(name)
    first, last = int(datetime(2005, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())
    stretches = zone.stretches(first, last)
    for second in range(first, last, 7199):
        start, offset = max(each for each in stretches if each[0] <= second)
        expected = datetime.fromtimestamp(second, ZoneInfo(name)).utcoffset()
        assert expected is not None and offset == expected.total_seconds(), second - start
    for start, offset in stretches[1:]:
        assert zone.offset(start) == offset != zone.offset(start - 1)


def test_odd_dates_take_no_time_and_break_nothing(tmp_path: Path) -> None:
    latest = 253_402_300_799 * 1_000_000
    messages = (
        Message(f"m{n}", "sample", n, "iMessage;-;ana", Kind.TEXT, False, at, ANA, "hey")
        for n, at in enumerate((1, 86_400_000_000, latest))
    )
    workspace = Workspace(tmp_path / "odd")
    write(workspace, CHATS[:1], CONTACTS, messages)
    (found,) = told(workspace, "stats", "ana", "--json", "--timezone", "Pacific/Kiritimati")
    assert found["years"].keys() == {"1969", "1970", "9999"} and found["undated"] == 0
    assert ventriloquist(workspace, "stats", "ana", "--timezone", "Pacific/Kiritimati").returncode == 0


@pytest.mark.parametrize("rule", ["CET-1CEST,M3.5.0,M10.5.0/3", "Europe/Berlin", ":Europe/Berlin"])
def test_the_machines_own_zone(history: Workspace, rule: str) -> None:
    done = ventriloquist(history, "stats", "--all", "--json", env={"TZ": rule})
    (named,) = told(history, "stats", "--all", "--json", "--timezone", "Europe/Berlin")
    found = json.loads(done.stdout)
    assert done.stderr == "" and found["week"] == named["week"] and found["months"] == named["months"]


def test_without_a_time_zone_database_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise zones.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(zones, "ZoneInfo", missing)
    monkeypatch.setattr(zones, "available_timezones", set)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    zone = find_zone(None)
    assert zone.name == "UTC" and zone.note and "no time zone database" in zone.note and zone.offset(0) == 0
    with pytest.raises(UsageFault, match="no time zone database"):
        find_zone("Europe/Berlin")
    assert find_zone("utc").offset(10**9) == 0
