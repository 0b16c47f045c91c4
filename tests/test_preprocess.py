"""Preprocess: what becomes of a store's messages, and that the report accounts for every one of them."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import do
from tests.hostile import hostile_strings
from tests.storing import replace_history
from ventriloquist.faults import NoInput, UsageFault
from ventriloquist.media.words import content_type
from ventriloquist.people import find_conversations, find_people, normaliser
from ventriloquist.pipeline.included import holdouts
from ventriloquist.records import Attachment, Chat, ChatKind, Contact, Kind, Ledger, Message, Reaction
from ventriloquist.runs import list_runs, read_events
from ventriloquist.settings import PreprocessSettings
from ventriloquist.speech import FEW, Speech, talks_in, words
from ventriloquist.store import Store
from ventriloquist.windows import render
from ventriloquist.windows.file import read_report, read_windows
from ventriloquist.windows.lines import Header, Line, read, split_lines, write
from ventriloquist.windows.split import SPLITS, Latest, Since
from ventriloquist.workspace import Workspace

MICROSECONDS = 1_000_000
MINUTE, HOUR = 60, 3600
START = 1_700_000_000
ANA, BEN, CY, ODD = "+12025550101", "+12025550102", "+12025550103", "odd\udc80"
CONTACTS = [
    Contact("Ana", (ANA, "ana@example.com")),
    Contact("Ben", (BEN,)),
    Contact("Lind, Cy", (CY,)),
    Contact("Odd", (ODD,)),
]
CHATS = {
    "ana": Chat("ana", "sample", ChatKind.DM, (ANA,)),
    "ana sms": Chat("ana sms", "sample", ChatKind.DM, ("ana@example.com",)),
    "ben": Chat("ben", "sample", ChatKind.DM, (BEN,)),
    "both": Chat("both", "sample", ChatKind.GROUP, (ANA, BEN)),
    "all": Chat("all", "sample", ChatKind.GROUP, (ANA, BEN, CY)),
    "me": Chat("me", "sample", ChatKind.DM, ()),
}
FILES = [
    Attachment("file-1", "image/jpeg", "IMG_1.jpeg", "/nowhere/IMG_1.jpeg"),
    Attachment("file-2", "audio/x-caf", "Audio Message.caf", None, "call me when you are there"),
    Attachment("file-3", "image/png", "cat.png", None, is_sticker=True),
    Attachment("file-4", "text/vcard", "Nora Sample.vcf"),
    Attachment("file-5", "text/x-vlocation", "CL.loc.vcf"),
    Attachment("file-\udc80", "application/pdf", "plan \ud83d.pdf"),
]
TEXTS = (
    "hey", "ok 🙂", "see you there\nat noon", "https://example.com/a", "one\r\ntwo\u2028three", "\ud83d half", " ",
    "\u3164", "née\x00", "", None,
)  # fmt: skip


def said(row: int, chat: str = "ana", at: float = 0, text: str | None = "hey", **more: Any) -> Message:
    """A message that was sent `at` seconds after the start; by me where the row's number is even."""
    mine = row % 2 == 0 or not CHATS[chat].handles
    message = Message(
        f"guid-{row}", "sample", row, chat, Kind.TEXT, mine, int((START + at) * MICROSECONDS),
        None if mine else CHATS[chat].handles[row % len(CHATS[chat].handles)], text,
    )  # fmt: skip
    return message._replace(**more)


def talk(chat: str, count: int, *, first: int = 0, every: float = HOUR, begin: float = 0) -> list[Message]:
    """So many messages in a chat, each with a text of its own."""
    return [said(row, chat, begin + (row - first) * every, f"{chat} says {row}") for row in range(first, first + count)]


def collected(workspace: Workspace, messages: Iterable[Message]) -> Workspace:
    """The workspace with these messages in its store."""
    handles = {handle for chat in CHATS.values() for handle in chat.handles} | {ODD}
    people = find_people(handles, [CONTACTS], set(), "Me", normaliser("US"))
    chats = list(CHATS.values())
    workspace.prepare()
    with Store.open(workspace, create=True) as store:
        replace_history(store, "sample", chats, find_conversations(chats, people), people, iter(messages), Ledger())
    return workspace


def invented(seed: int, count: int) -> list[Message]:
    """Messages of every kind in every chat; some at the same moment, without a date, or by somebody not in the chat."""
    chance = random.Random(seed)
    guids = defaultdict(lambda: ["nowhere"])
    found, at = [], 0
    for row in range(count):
        chat = chance.choice(list(CHATS))
        at += chance.choice((0, 1, 50, 4000, 90_000))
        kind = chance.choice([Kind.TEXT] * 8 + list(Kind))
        mine = chance.random() < 0.4 or not CHATS[chat].handles
        guids[chat].append(f"guid-{row}" if row % 17 else f"guid-\ud83d-{row}")
        target, emoji = chance.choice(guids[chat]), chance.choice(("🎉", "\ud83d", None))
        reaction = Reaction(chance.choice(("loved", "emoji", "sticker", "new")), target, chance.randrange(3), emoji)
        is_reaction = kind is Kind.REACTION
        found.append(
            said(
                row,
                chat,
                at,
                None if is_reaction else chance.choice((f"{row} is a text of its own", *TEXTS)),
                guid=guids[chat][-1],
                kind=kind,
                is_from_me=mine,
                sent_at=0 if row % 53 == 0 else (START + at) * MICROSECONDS,
                sender_handle=None if mine or row % 31 == 0 else chance.choice((*CHATS[chat].handles, CY, ODD)),
                reply_to=target if kind is Kind.TEXT and chance.random() < 0.3 else None,
                details={"reply_part": chance.randrange(3), "effect": "slam"} if chance.random() < 0.3 else None,
                reaction=reaction if is_reaction else None,
                attachments=tuple(chance.sample(FILES, chance.randrange(3))) if chance.random() < 0.2 else (),
                unsent=kind is Kind.UNSENT,
            )
        )
    return found


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A history of everything. Nobody may write to its store."""
    workspace = collected(Workspace(tmp_path_factory.mktemp("mixed")), invented(7, 2500))
    with Store.open(workspace) as store:
        store.describe("file-1", "A dog on the beach", "local")
    return workspace


def targets(workspace: Workspace, *splits: str) -> list[Line]:
    """The lines that are targets, in the file's order."""
    found = []
    for window in read_windows(workspace, *splits):
        lines = [read(line) for line in split_lines(window.text)]
        found += [line for line in lines[len(lines) - window.targets :] if isinstance(line, Line)]
    return found


def shown(messages: Iterable[Message]) -> int:
    """How many of these messages show something."""
    return sum(bool(render.parts_of(message, words)) for message in messages)


# --- rendering ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("remembered", [1, 40, 10_000])
def test_what_is_read_in_haste_is_what_the_records_say(
    mixed: Workspace, remembered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(mixed) as store:
        people = store.people()
        quick = Speech(store, people)
        for each in talks_in(store, people):
            messages = list(store.messages(each.id))
            wanted = render.entries_of(messages, lambda message: people[store.person_of(message)].name, words)
            with monkeypatch.context() as patched:
                patched.setattr(render, "REMEMBERED", remembered)
                patched.setattr("ventriloquist.store.reading.BATCH", 7)
                batches = list(quick.of(each))
            assert [entry for batch in batches for entry in batch] == wanted
            assert len(wanted) > 100 and sum(entry.reply_to is not None for entry in wanted) > 10
            assert sum(not entry.part for entry in wanted) == shown(messages)


def test_every_kind_of_thing_is_rendered(mixed: Workspace) -> None:
    do("preprocess", mixed, min_messages=1)
    lines = {(line.content_type, line.text) for line in targets(mixed)}
    for wanted in (
        ("image", "A dog on the beach"), ("audio", "call me when you are there"), ("sticker", "Sticker: cat"),
        ("contact", "Contact: Nora Sample"), ("location", "A location"), ("link", "https://example.com/a"),
        ("app", "hey"), ("reaction", "Loved"), ("reaction", "🎉"), ("reaction", "\ud83d"), ("reaction", "Sticker"),
        ("reaction", "Reacted"), ("text", "see you there"), ("text", "at noon"), ("text", "three"),
        ("text", "\ud83d half"), ("text", "née\x00"), ("document", "Document: plan"),
    ):  # fmt: skip
        assert wanted in lines, wanted
    assert not {text for _, text in lines if not text.strip("\u3164 ")}
    assert {content_type(file) for file in FILES} < {kind for kind, _ in lines}


def test_who_wrote_and_has_left_stands_in_the_header(workspace: Workspace) -> None:
    messages = [each._replace(sender_handle=CY) if each.source_row == 5 else each for each in talk("both", 40)]
    do("preprocess", collected(workspace, messages), size=16, stride=8)
    headers = [read(split_lines(window.text)[0]) for window in read_windows(workspace, "train")]
    assert [header.members for header in headers if isinstance(header, Header)][:2] == [
        ("Ana", "Ben", "Me", "Lind, Cy"),
        ("Ana", "Ben", "Me"),
    ]


# --- the split ----------------------------------------------------------------------------------------------------


def times_of(workspace: Workspace) -> dict[str, int]:
    """When each text of its own was sent."""
    with Store.open(workspace) as store:
        found = [message for each in store.conversations() for message in store.messages(each.id)]
    return {message.text: message.sent_at for message in found if message.text}


@given(st.integers(0, 10**6), st.integers(20, 400), st.sampled_from(["per-conversation", "global-time"]),
       st.floats(0, 0.4), st.integers(1, 20), st.integers(1, 40), st.integers(2, 20))  # fmt: skip
@settings(max_examples=25)
def test_splits_and_report_hold_for_any_history(
    seed: int, count: int, split: str, share: float, most: int, in_all: int, size: int
) -> None:
    messages = invented(seed, count)
    given_ = {"split": split, "holdout": share, "max_holdout": most, "max_holdout_in_all": in_all, "size": size}
    with TemporaryDirectory() as folder:
        workspace = collected(Workspace(Path(folder)), messages)
        try:
            makes = do("preprocess", workspace, min_messages=5, **given_)
        except NoInput:
            return
        the_report_adds_up(workspace, makes)
        report = read_report(workspace) or {}
        assert all(report["messages"][each] <= in_all for each in SPLITS[1:])
        with Store.open(workspace) as store:
            everything = {each.id: list(store.messages(each.id)) for each in store.conversations()}
        no_line_is_learnt_and_held_out(workspace, everything, split, share, most)


def no_line_is_learnt_and_held_out(
    workspace: Workspace, everything: dict[str, list[Message]], split: str, share: float, most: int
) -> None:
    """By texts that stand once in the history."""
    place = {
        message.text: (id_, number, message.sent_at)
        for id_, messages in everything.items()
        for number, message in enumerate(messages)
        if message.text and message.text.endswith("of its own") and message.kind is Kind.TEXT
    }
    learnt, held, contexts = [], defaultdict(list), []
    for window in read_windows(workspace):
        lines = [read(line) for line in split_lines(window.text)[1:]]
        texts = [line.text for line in lines if isinstance(line, Line)]
        if window.split == "train":
            learnt += [place[text] for text in texts[-window.targets :] if text in place]
            contexts += [place[text] for text in texts if text in place]
        elif texts[-1] in place:
            held[window.split].append(place[texts[-1]])
    assert len(learnt) == len(set(learnt))
    assert not set(contexts) & {each for places in held.values() for each in places}
    for id_ in everything if split == "per-conversation" else [""]:
        mine = [place for place in contexts if id_ in ("", place[0])]
        before = max((at for _, _, at in mine), default=0)
        for name in ("validation", "test"):
            then = [place for place in held[name] if id_ in ("", place[0])]
            assert all(at >= before for _, _, at in then)
            before = max([before, *(at for _, _, at in then)])
            if split == "per-conversation":
                assert len(then) <= min(int(share * shown(everything[id_])), most)


def the_report_adds_up(workspace: Workspace, makes: dict[str, Any]) -> None:
    """Everything that the report counts, counted again from the file and the store."""
    report = read_report(workspace)
    assert report
    content = workspace.windows.read_bytes()
    assert report["sha256"] == hashlib.sha256(content).hexdigest() and report["bytes"] == len(content)
    windows = list(read_windows(workspace))
    assert report["windows"] == {split: sum(window.split == split for window in windows) for split in SPLITS}
    assert report["targets"] == sum(window.targets for window in windows if window.split == "train")
    names = Counter(line.name for line in targets(workspace))
    assert report["people"] == names and report["lines"] == names.total()
    learnt = Counter(line.name for line in targets(workspace, "train"))
    assert report["targets_of"] == {name: learnt[name] for name in report["people"]}
    assert list(report["people"].values()) == sorted(report["people"].values(), reverse=True)
    assert {window.conversation for window in windows if window.split == "train"} <= {
        window.conversation for window in windows
    }
    with Store.open(workspace) as store:
        messages = store.counts()["messages"]
        conversations = len(store.conversations())
        assert report["store"] == store.fingerprint()
    left_out = report["left_out"].values()
    assert sum(report["messages"].values()) + sum(each.get("messages", 0) for each in left_out) == messages
    assert report["conversations"] + sum(each.get("conversations", 0) for each in left_out) == conversations
    for split in SPLITS:
        if report["dates"][split]:
            assert report["dates"][split]["first"] <= report["dates"][split]["last"]
        assert bool(report["windows"][split]) == bool(report["messages"][split])
    assert makes["left_out"] == {reason: each.get("messages", 0) for reason, each in report["left_out"].items()}
    assert {key: makes[key] for key in ("windows", "targets", "lines", "conversations")} == {
        key: report[key] for key in ("windows", "targets", "lines", "conversations")
    }


def test_the_report_of_a_history_of_everything(mixed: Workspace) -> None:
    makes = do("preprocess", mixed, min_messages=5)
    the_report_adds_up(mixed, makes)
    report = read_report(mixed) or {}
    assert report["left_out"].keys() >= {"nothing to show"} and report["me"] == "Me" and report["tokens"] is None
    assert set(report["people"]) == {"Me", "Ana", "Ben", "Lind, Cy", "Odd", "Unknown"}
    notes = [event["text"] for event in read_events(list_runs(mixed)[-1].folder) if event["kind"] == "note"]
    assert [note.partition(":")[0] for note in notes] == [
        "Learnt from", "Held out for validation", "Held out for test", "Left out",
    ]  # fmt: skip
    blank = report["left_out"]["nothing to show"]["messages"]
    assert f"{report['messages']['train']:,} messages, 2023-11-14 to " in notes[0]
    assert f"{blank} messages (nothing to show)" in notes[3]


@pytest.mark.parametrize("split", ["per-conversation", "global-time"])
def test_the_same_store_gives_the_same_bytes(mixed: Workspace, tmp_path: Path, split: str) -> None:
    do("preprocess", mixed, split=split)
    again = collected(Workspace(tmp_path / "again"), invented(7, 2500))
    with Store.open(again) as store:
        store.describe("file-1", "A dog on the beach", "local")
    do("preprocess", again, split=split)
    for path in ("windows", "windows_report"):
        first = getattr(mixed, path).read_bytes()
        assert first == getattr(again, path).read_bytes()
        do("preprocess", mixed, split=split)
        assert first == getattr(mixed, path).read_bytes()


def test_global_time_has_two_cuts_for_all(workspace: Workspace) -> None:
    ana = talk("ana", 100, every=HOUR)
    ben = talk("ben", 100, first=1000, every=HOUR, begin=60 * HOUR)
    late = talk("both", 10, first=2000, begin=155 * HOUR, every=MINUTE)
    do("preprocess", collected(workspace, [*ana, *ben, *late]), split="global-time", holdout=0.1)
    report, times = read_report(workspace) or {}, times_of(workspace)
    at = {split: [times[line.text] for line in targets(workspace, split)] for split in SPLITS}
    assert max(at["train"]) < min(at["validation"]) and max(at["validation"]) < min(at["test"])
    assert report["messages"] == {"train": 168, "validation": 21, "test": 21}
    held = {window.conversation for window in read_windows(workspace, "validation", "test")}
    learnt = {window.conversation for window in read_windows(workspace, "train")}
    assert len(learnt) == 2 and len(held - learnt) == 1  # the late group is held out whole
    first = next(window for window in read_windows(workspace, "validation"))
    assert first.text.count("\n") == 65 and first.targets == 1
    do("preprocess", workspace, split="global-time", holdout=0.1, max_holdout_in_all=5)
    assert (read_report(workspace) or {})["messages"] == {"train": 200, "validation": 5, "test": 5}
    do("preprocess", workspace, split="global-time", holdout=0.1, max_holdout=2)
    assert (read_report(workspace) or {})["messages"] == {"train": 198, "validation": 6, "test": 6}


def test_the_bound_in_all_is_shared(workspace: Workspace) -> None:
    history = [*talk("ana", 400), *talk("ben", 100, first=1000), *talk("both", 40, first=2000)]
    collected(workspace, history)
    for in_all, wanted in ((500, (20, 5, 2)), (20, (13, 5, 2)), (9, (4, 3, 2)), (2, (1, 1, 0))):
        do("preprocess", workspace, max_holdout_in_all=in_all)
        for split in SPLITS[1:]:
            counts = Counter(line.text.partition(" ")[0] for line in targets(workspace, split))
            assert tuple(counts[name] for name in ("ana", "ben", "both")) == wanted


# --- cross-posts --------------------------------------------------------------------------------------------------

LONG = "are you coming to the party?"


def crossposted(workspace: Workspace, text: str, held: float, learnt: float, chat: str = "ben") -> dict[str, Any]:
    """`text` is the last but one message of Ana's, and stands early in another chat, at these hours."""
    ana = talk("ana", 40, every=HOUR)
    ana[38] = said(38, "ana", held * HOUR, text)
    other = talk(chat, 40, first=1000, begin=(learnt - 4) * HOUR)
    other[4] = said(1004, chat, learnt * HOUR, text)
    do("preprocess", collected(workspace, [*ana, *other]), holdout=0.1)
    return read_report(workspace) or {}


def test_cross_posts_are_no_measure(workspace: Workspace) -> None:
    report = crossposted(workspace, LONG, 38, 38 + 23)
    assert report["left_out"] == {"cross-posts": {"messages": 1, "windows": 1}}
    assert report["messages"] == {"train": 64, "validation": 8, "test": 7}
    assert LONG not in {line.text for line in targets(workspace, "validation", "test")}
    assert LONG in {line.text for line in targets(workspace, "train")}
    the_report_adds_up(workspace, do("preprocess", workspace, holdout=0.1))
    texts = [window.text for window in read_windows(workspace, "test")]
    assert any(LONG in text for text in texts)  # as context it stays


@pytest.mark.parametrize(("text", "held", "learnt"), [
    (LONG[:19], 38, 38), (LONG, 38, 38 + 24.01), (LONG, 38, 38 - 24.01),
])  # fmt: skip
def test_what_is_no_cross_post(workspace: Workspace, text: str, held: float, learnt: float) -> None:
    report = crossposted(workspace, text, held, learnt)
    assert report["left_out"] == {} and report["messages"] == {"train": 64, "validation": 8, "test": 8}


def test_the_whole_of_a_cross_posted_message_is_left_out(workspace: Workspace) -> None:
    report = crossposted(workspace, f"{LONG}\nbring cake", 38, 38)
    assert report["left_out"] == {"cross-posts": {"messages": 1, "windows": 2}}
    assert report["targets_of"]["Me"] == 33 and "bring cake" not in {line.text for line in targets(workspace, "test")}


def test_what_is_held_out_twice_or_said_twice_in_one_conversation_is_measured(workspace: Workspace) -> None:
    ana, ben = talk("ana", 40), talk("ben", 40, first=1000)
    ana[38], ben[38] = said(38, "ana", 38 * HOUR, LONG), said(1038, "ben", 38 * HOUR, LONG)
    ana[20] = said(20, "ana sms", 20 * HOUR, LONG)
    do("preprocess", collected(workspace, [*ana, *ben]), holdout=0.1)
    assert (read_report(workspace) or {})["left_out"] == {
        "cross-posts": {"messages": 1, "windows": 1}  # Ben's, which Ana was told 18 hours before
    }
    assert [line.text for line in targets(workspace, "test")].count(LONG) == 1


# --- who is included ----------------------------------------------------------------------------------------------


@pytest.fixture
def several(workspace: Workspace) -> Workspace:
    """Conversations of everyone; Cy once wrote in the group of two others, and wrote a little from nowhere."""
    messages = [
        each for place, chat in enumerate(CHATS) for each in talk(chat, 20, first=100 * place, begin=place * MINUTE)
    ]
    messages[65] = messages[65]._replace(sender_handle=CY)
    assert messages[65].chat == "both" and not messages[65].is_from_me
    return collected(workspace, messages)


def who(workspace: Workspace, **given: Any) -> set[str]:
    """The chats that are learnt from, by what is said in them."""
    do("preprocess", workspace, **given)
    return {line.text.partition(" says")[0] for line in targets(workspace)}


@pytest.mark.parametrize(("given", "chats"), [
    ({}, {"ana", "ana sms", "ben", "both", "all", "me"}),
    ({"only": "Ana"}, {"ana", "ana sms"}),
    ({"only": "ana , BEN"}, {"ana", "ana sms", "ben"}),
    ({"only": "Ana,Ben,Lind, Cy"}, {"ana", "ana sms", "ben", "both", "all"}),
    ({"only": "ME"}, {"me"}),
    ({"only": "me,ben"}, {"me", "ben"}),
    ({"only": "(202) 555-0102"}, {"ben"}),
    ({"without": "lind, cy"}, {"ana", "ana sms", "ben", "me"}),
    ({"without": "Ana"}, {"ben", "me"}),
    ({"only": "Ana, Ben", "without": "Ana"}, {"ben"}),
    ({"min_messages": 21}, {"ana", "ana sms"}),
])  # fmt: skip
def test_who_is_included(several: Workspace, given: dict[str, Any], chats: set[str]) -> None:
    assert who(several, **given) == chats
    report = read_report(several) or {}
    assert sum(report["messages"].values()) + sum(each["messages"] for each in report["left_out"].values()) == 120


def test_what_was_left_out_is_told_by_its_reason(several: Workspace) -> None:
    do("preprocess", several, only="Ana,Ben", without="Ben", min_messages=30)
    assert (read_report(several) or {})["left_out"] == {
        "without": {"conversations": 3, "messages": 60},
        "not among --only": {"conversations": 1, "messages": 20},
    }


@pytest.mark.parametrize(("given", "words"), [
    ({"only": "Nora"}, "called Nora"), ({"without": "Ana, Nora"}, "called Nora"), ({"only": "An"}, "Did you mean Ana"),
    ({"only": " , "}, "--only names nobody"), ({"without": "me"}, "--without names you"),
])  # fmt: skip
def test_names_of_nobody_are_refused(several: Workspace, given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageFault, match=words):
        do("preprocess", several, **given)
    assert not several.windows.exists()


def test_messages_that_show_nothing_do_not_count_as_messages(workspace: Workspace) -> None:
    blank = [said(row, "ben", row, " ") for row in range(100, 110)]
    events = [said(row, "ben", row, "Ben left", kind=Kind.EVENT) for row in range(200, 210)]
    collected(workspace, [*talk("ana", 20), *talk("ben", 7, first=1000), *blank, *events])
    do("preprocess", workspace)
    assert (read_report(workspace) or {})["left_out"] == {"too short": {"conversations": 1, "messages": 27}}
    do("preprocess", workspace, min_messages=7)
    assert (read_report(workspace) or {})["left_out"] == {"nothing to show": {"messages": 20}}
    with pytest.raises(NoInput, match="min-messages"):
        do("preprocess", workspace, min_messages=28)
    assert (read_report(workspace) or {})["settings"]["min_messages"] == 7


def test_the_end_is_what_may_be_held_out(mixed: Workspace) -> None:
    with Store.open(mixed) as store:
        people = store.people()
        reading = Speech(store, people)
        for each in talks_in(store, people):
            everything = [entry for batch in reading.of(each) for entry in batch]
            messages = [list(group) for _, group in groupby(everything, lambda entry: entry.guid)]
            end = [(entry.sent_at, entry.text) for said in messages[-14:] for entry in said]
            assert sorted(reading.end_of(each, Latest(0.4, 7))) == sorted(end)
            cut = messages[len(messages) // 2][0].sent_at
            after = [(entry.sent_at, entry.text) for entry in everything if entry.sent_at >= cut]
            assert sorted(reading.end_of(each, Since(cut, cut + 1))) == sorted(after)
        assert FEW < 14
        settings_ = PreprocessSettings.load(mixed, max_holdout_in_all=10)
        assert sum(each.most for each in holdouts(store, talks_in(store, people), settings_).values()) == 10  # type: ignore[union-attr]


# --- tokens -------------------------------------------------------------------------------------------------------


def base(folder: Path, *, bos: bool = False) -> Path:
    """The folder of a base that has a tokenizer: the tiny one's, or one that begins every text with a token."""
    from tokenizers import AddedToken, processors

    from ventriloquist.model import tiny

    lines = [write(Line("Ann", "<1m", None, "text", text)) for _, text in hostile_strings()[:60]]
    tokenizer = tiny.build_tokenizer(lines, 700)
    tokenizer.backend_tokenizer.add_tokens([AddedToken("<think>", special=False)])
    if bos:
        tokenizer.add_special_tokens({"bos_token": "<s>"})
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.convert_tokens_to_ids("<s>"))]
        )
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("bos", [False, True])
def test_tokens_are_counted_as_training_counts_them(tmp_path: Path, bos: bool) -> None:
    from transformers import AutoTokenizer

    from ventriloquist.model.count import TokenCounter
    from ventriloquist.model.tokens import LineTokenizer

    folder = base(tmp_path / "base", bos=bos)
    counter, theirs = TokenCounter(folder), LineTokenizer(AutoTokenizer.from_pretrained(folder))
    texts = [text for _, text in hostile_strings()] + ["hi <|endoftext|> there", "<s>", "so <think> I", "\ud83d"]
    lines = [write(Line(text[:100] or "A", "<1h", text[:50], "text", text[:5000])) for text in texts]
    lines.append(write(Header("group", ("<|endoftext|>", "Ann"), "2024-01-01")))
    assert counter.count(lines) == [len(ids) for ids in theirs.encode_lines(lines)]
    assert counter.lead == len(theirs.lead) == int(bos)
    assert counter.count([]) == []


def test_the_report_has_tokens_if_the_base_is_at_hand(workspace: Workspace, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from ventriloquist.model.tokens import LineTokenizer

    folder = base(tmp_path / "base")
    collected(workspace, invented(3, 600))
    do("preprocess", workspace, base=str(folder))
    tokens = (read_report(workspace) or {})["tokens"]
    theirs = LineTokenizer(AutoTokenizer.from_pretrained(folder))
    total, learnt, longest = Counter[str](), 0, 0
    for window in read_windows(workspace):
        counts = [len(ids) for ids in theirs.encode_lines(split_lines(window.text))]
        total[window.split] += sum(counts)
        longest = max(longest, sum(counts))
        learnt += sum(counts[-window.targets :]) if window.split == "train" else 0
    assert tokens == {"base": str(folder), **{split: total[split] for split in SPLITS}, "targets": learnt,
                      "longest": longest}  # fmt: skip
    assert any("Tokens by" in text for text in notes_of(workspace))
    workspace.settings_file.write_text(f"[train]\nbase = {json.dumps(str(folder))}\n")
    do("preprocess", workspace)
    assert (read_report(workspace) or {})["tokens"] == tokens


def notes_of(workspace: Workspace) -> list[str]:
    return [event["text"] for event in read_events(list_runs(workspace)[-1].folder) if event["kind"] == "note"]


def test_without_the_base_there_are_no_tokens_and_no_error(workspace: Workspace, tmp_path: Path) -> None:
    collected(workspace, talk("ana", 40))
    do("preprocess", workspace)
    assert (read_report(workspace) or {})["tokens"] is None
    assert not any("okens" in text for text in notes_of(workspace))  # the tiny base has none before it is trained
    empty, damaged = tmp_path / "empty", tmp_path / "damaged"
    for folder in (empty, damaged):
        folder.mkdir()
        (folder / "config.json").write_text("{}")
    (damaged / "tokenizer.json").write_text("{")
    for name in ("nobody/has-this", str(empty), str(damaged)):
        do("preprocess", workspace, base=name)
        assert (read_report(workspace) or {})["tokens"] is None
        assert any(text.startswith("Tokens are not counted. ") for text in notes_of(workspace))


def test_preprocess_loads_neither_torch_nor_transformers(workspace: Workspace, tmp_path: Path) -> None:
    collected(workspace, talk("ana", 40))
    folder = base(tmp_path / "base")
    program = (
        "import sys; from ventriloquist.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'transformers', 'textual', 'tokenizers'} & set(sys.modules)))"
    )
    for given_, loaded in (([], "[]"), (["--base", str(folder)], "['tokenizers']")):
        command = [sys.executable, "-c", program, "--workspace", str(workspace.root), "preprocess", *given_]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == loaded
