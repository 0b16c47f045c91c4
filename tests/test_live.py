"""Live conversations: a real one is to the chat, byte for byte, what preprocess writes, at any moment of it."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.collecting import run_collect
from tests.conftest import do
from tests.hostile import hostile_strings
from tests.random_history import RandomHistory
from tests.storing import replace_history
from tests.test_preprocess import CHATS, collected, invented, said, talk
from ventriloquist import demo
from ventriloquist.chat.live import Real, collect_again, find_real, latest, real_conversations
from ventriloquist.faults import Fault, NoInput, UsageFault
from ventriloquist.people import find_conversations, find_people, normaliser
from ventriloquist.records import Chat, ChatKind, Contact, Kind, Ledger, Message, Reaction
from ventriloquist.speech import Speech, Talk, talks_in
from ventriloquist.store import Store, reading
from ventriloquist.store.schema import MIGRATIONS, first_tables
from ventriloquist.store.spoken import Batch
from ventriloquist.text import one_line, plain
from ventriloquist.windows.build import cut_windows
from ventriloquist.windows.file import read_windows
from ventriloquist.windows.lines import Header, read, split_lines
from ventriloquist.windows.render import render
from ventriloquist.windows.split import Since
from ventriloquist.workspace import Workspace

SIZES = (2, 8, 24, 64)


def prompt(workspace: Workspace, real: Real, count: int) -> str:
    """What the model reads of a real conversation."""
    return render(real.kind, real.members, latest(workspace, real, count)[1])


def every_window(store: Store, size: int) -> Iterator[tuple[Talk, list[str]]]:
    """Of each conversation, the window of `size` lines that ends with each of its lines, as preprocess writes it."""
    people = store.people()
    speech = Speech(store, people)
    for each in talks_in(store, people):
        stretches = cut_windows(Since(-(2**62), -(2**62)).assign(speech.of(each)), size, 1)
        lines = [stretch.file_line(each.conversation.kind, each.names, each.id) for stretch in stretches]
        yield each, [json.loads(line)["text"] for line in lines]


def forget_the_end(workspace: Workspace, conversation: str, messages: int) -> None:
    """Take the last messages out of the store, as if they were never sent."""
    query = (
        "DELETE FROM messages WHERE number IN (SELECT number FROM messages WHERE conversation = "
        "(SELECT number FROM conversations WHERE id = ?) ORDER BY sent_at DESC, source_row DESC LIMIT ?)"
    )
    with closing(sqlite3.connect(workspace.messages_db)) as connection, connection:
        connection.execute(query, [conversation, messages])


def lines_of(workspace: Workspace, conversation: str) -> int:
    """How many lines the conversation has."""
    with Store.open(workspace) as store:
        people = store.people()
        (each,) = (each for each in talks_in(store, people) if each.id == conversation)
        return sum(map(len, Speech(store, people).of(each)))


def is_what_preprocess_writes(workspace: Workspace, root: Path, cuts: int, seed: int) -> set[str]:
    """Compare the end of each conversation, and of what it was at `cuts` earlier moments; returns all windows seen."""
    shutil.copytree(workspace.root, root)
    copy, chance, seen = Workspace(root), random.Random(seed), set[str]()
    with Store.open(workspace) as store:
        windows = {size: {each.id: texts for each, texts in every_window(store, size)} for size in SIZES}
    reals = real_conversations(copy)
    assert {real.id for real in reals} == {id_ for id_, texts in windows[2].items() if texts}
    for real in reals:
        for _ in range(cuts + 1):
            end = lines_of(copy, real.id)
            for size in SIZES if end else ():
                expected = windows[size][real.id][end - 1]
                assert prompt(copy, real, size) == expected
                seen.add(expected)
            forget_the_end(copy, real.id, chance.randint(1, 9))
    return seen


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory, sample: demo.Sample) -> Workspace:
    """The sample history, described. Nobody may write to it."""
    workspace = Workspace(tmp_path_factory.mktemp("history"))
    do("collect", workspace, db=sample.chat_db, region="US")
    do("describe", workspace)
    return workspace


# --- the same bytes -------------------------------------------------------------------------------------------------


def test_the_sample_history(history: Workspace, tmp_path: Path) -> None:
    seen = is_what_preprocess_writes(history, tmp_path / "copy", cuts=12, seed=1)
    lines = [read(line) for text in seen for line in split_lines(text)[1:]]
    kinds = {line.content_type for line in lines if not isinstance(line, Header)}
    assert kinds >= {"text", "reaction", "image", "link"}, kinds
    deltas = {line.delta for line in lines if not isinstance(line, Header)}
    assert deltas == {"<1m", "<5m", "<1h", "<12h", "<1d", "1d+"}
    assert any(line.reply_to for line in lines if not isinstance(line, Header))


def test_the_file_of_windows(history: Workspace, tmp_path: Path) -> None:
    """Each held-out window stands, line for line, in what is read of its conversation; the last one is the end of it,
    unless that is a cross-post, which is no fair measure and left out."""
    shutil.copytree(history.root, tmp_path / "copy")
    copy = Workspace(tmp_path / "copy")
    reals = {real.id: real for real in real_conversations(copy)}
    whole = {id_: split_lines(prompt(copy, real, 10_000)) for id_, real in reals.items()}
    for size in (6, 40):
        do("preprocess", copy, size=size, stride=size - 1, holdout=0.1)
        windows = list(read_windows(copy, "validation", "test"))
        for window in windows:
            lines = split_lines(window.text)[2:]  # after the header and the first line, whose delta is by rule
            end = next(
                at for at in range(len(lines), 10_000) if whole[window.conversation][at - len(lines) : at] == lines
            )
            assert end <= len(whole[window.conversation])
        last = {window.conversation: window.text for window in windows}
        assert sum(prompt(copy, reals[id_], size) == text for id_, text in last.items()) > len(last) / 2 > 2


@pytest.mark.parametrize("seed", [7, 8])
def test_a_history_of_everything(tmp_path: Path, seed: int) -> None:
    workspace = collected(Workspace(tmp_path / "mixed"), invented(seed, 900))
    with Store.open(workspace) as store:
        store.describe("file-1", "A dog on the beach", "local")
    seen = is_what_preprocess_writes(workspace, tmp_path / "copy", cuts=15, seed=seed)
    assert any("A dog on the beach" in text for text in seen) and any("\\ud83d" in text for text in seen)


@pytest.mark.parametrize("seed", range(6))
def test_random_histories(tmp_path: Path, seed: int) -> None:
    path = RandomHistory(tmp_path / "history", seed, rows=150).path
    try:
        run_collect(tmp_path / "work", path)
    except NoInput:
        pytest.skip("this one holds no message that is kept")
    is_what_preprocess_writes(Workspace(tmp_path / "work"), tmp_path / "copy", cuts=6, seed=seed)


def test_what_was_said_long_ago_is_still_quoted(workspace: Workspace) -> None:
    """By a reply and by a reaction, with its part, the later one of two of the same guid; a reaction is not quoted,
    nor what is nowhere."""
    history = talk("ben", 3000)
    history[5] = history[5]._replace(text="first\nsecond")
    history[9] = history[9]._replace(guid="twice", text="the earlier one")
    history[90] = history[90]._replace(guid="twice", text="the later one")
    history[7] = history[7]._replace(kind=Kind.REACTION, text=None, reaction=Reaction("loved", "guid-6"))
    at, end = 3000 * 3600, []
    for row, target in enumerate(("guid-5", "twice", "guid-7", "nowhere", "guid-3003", "guid-3010"), 3000):
        end.append(said(row, "ben", at, "a reply", reply_to=target, details={"reply_part": 1}))
    loved = Reaction("loved", "guid-5", 0)
    end.append(said(3006, "ben", at + 60, None, kind=Kind.REACTION, reaction=loved))
    end.append(said(3010, "ben", at + 120, "after what replies to it"))
    collected(workspace, [*history, *end])
    (real,) = real_conversations(workspace)
    replies = [entry.reply_to for entry in latest(workspace, real, len(end))[1]]
    assert replies == ["second", "the later one", None, None, "a reply", None, "first", None]
    with Store.open(workspace) as store:
        ((_, windows),) = every_window(store, len(end))
    assert prompt(workspace, real, len(end)) == windows[-1]


def test_who_has_left_stands_in_the_header(workspace: Workspace) -> None:
    messages = [
        each._replace(sender_handle="+12025550103") if each.source_row == 37 else each for each in talk("both", 40)
    ]
    collected(workspace, messages)
    (real,) = real_conversations(workspace)
    assert real.members == ("Ana", "Ben", "Me") and real.kind == "group"
    for count, members in ((2, ("Ana", "Ben", "Me")), (8, ("Ana", "Ben", "Me", "Lind, Cy"))):
        header = read(split_lines(prompt(workspace, real, count))[0])
        assert isinstance(header, Header) and header.members == members


def test_no_more_is_read_than_it_takes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = [each._replace(kind=Kind.EVENT) for each in talk("ana", 40, first=30_000)]
    collected(workspace, [*talk("ben", 20_000), *quiet, said(50_001, "ana", 9e6)])
    (ana, ben) = sorted(real_conversations(workspace), key=lambda real: real.label)
    asked: list[int] = []
    spoken_last = Store.spoken_last

    def counted(store: Store, conversation: str, limit: int) -> Batch:
        asked.append(limit)
        return spoken_last(store, conversation, limit)

    monkeypatch.setattr(Store, "spoken", None)
    monkeypatch.setattr(Store, "messages", None)
    monkeypatch.setattr(Store, "spoken_last", counted)
    assert len(latest(workspace, ben, 63)[1]) == 63
    assert len(asked) == 1 and asked[0] < 100
    assert latest(workspace, ben, 0) == ("Me", []) and len(asked) == 1
    assert len(latest(workspace, ana, 63)[1]) == 1
    monkeypatch.setattr(reading, "BATCH", 7)
    assert len(latest(workspace, ben, 63)[1]) == 63


# --- which there are ------------------------------------------------------------------------------------------------


def test_they_are_listed_newest_first(workspace: Workspace) -> None:
    history = [
        *talk("ana", 10), *talk("ben", 5, first=100, begin=9e6), *talk("both", 3, first=200, begin=8e6),
        *talk("me", 2, first=300, begin=7e6), *[said(400, "all", 9.9e6, kind=Kind.EVENT)],
    ]  # fmt: skip
    long = said(101, "ana sms", 9.5e6, "see\tyou \x1b[31m" + "there " * 30)
    collected(workspace, [*history, long])
    reals = real_conversations(workspace)
    assert [(real.label, real.kind, real.messages) for real in reals] == [
        ("Ana", "dm", 11), ("Ben", "dm", 5), ("Ana and Ben", "group", 3), ("Me", "dm", 2),
    ]  # fmt: skip
    assert reals[0].members == ("Ana", "Me") and reals[3].members == ("Me",)
    assert reals[0].last.startswith("see you") and len(reals[0].last) == 60 and "\x1b" not in reals[0].last
    assert reals[1].last == "ben says 104"
    assert reals[0].last_at == latest(workspace, reals[0], 1)[1][0].sent_at


def test_they_are_found_by_what_people_call_them(workspace: Workspace) -> None:
    chats = {**CHATS, "club": Chat("club", "sample", ChatKind.GROUP, CHATS["both"].handles, "Café Club")}
    history = [*talk("ana", 9), *talk("ben", 9, first=100), *talk("both", 9, first=200), *talk("all", 9, first=300)]
    collected(workspace, history)
    reals = real_conversations(workspace)
    by_label = {real.label: real for real in reals}
    assert set(by_label) == {"Ana", "Ben", "Ana and Ben", "Ana, Ben and Lind, Cy"}
    for said_, label in (
        ("ana", "Ana"), (" BEN ", "Ben"), ("Ana and Ben", "Ana and Ben"), ("lind", "Ana, Ben and Lind, Cy"),
        (by_label["Ben"].id, "Ben"),
    ):  # fmt: skip
        assert find_real(reals, said_) == by_label[label], said_
    for said_, told in (
        ("an", "Did you mean"), ("Benn", "Did you mean Ben"), ("", "name is missing"), ("Zoe", "/live lists"),
        ("\x1b[2J", "Nobody here is called"),
    ):  # fmt: skip
        with pytest.raises(UsageFault, match=told) as fault:
            find_real(reals, said_)
        assert plain(str(fault.value)) == str(fault.value)
    named = [Real("group-1", "group", chats["club"].name or "", ("Ana", "Me"), 1, 1, "hey"), *reals]
    assert find_real(named, "cafe club").id == "group-1"


def test_hostile_names_and_texts(workspace: Workspace) -> None:
    strings = [text[:3000] for _, text in hostile_strings()]
    numbers = [f"+1415555{number:04}" for number in range(len(strings))]
    contacts = [Contact(text, (number,)) for text, number in zip(strings, numbers, strict=True)]
    chats = [Chat(f"chat {number}", "sample", ChatKind.DM, (number,)) for number in numbers]
    pairs = zip(numbers[::2], numbers[1::2], strict=False)
    chats += [Chat(f"group {each}", "sample", ChatKind.GROUP, pair, strings[each]) for each, pair in enumerate(pairs)]
    messages = [
        Message(f"{row}", "sample", row, chat.guid, Kind.TEXT, row % 2 == 0, row * 10**9, None if row % 2 == 0
                else chat.handles[0], strings[row % len(strings)] or "empty")
        for row, chat in enumerate([chat for chat in chats for _ in range(2)])
    ]  # fmt: skip
    people = find_people(numbers, [contacts], set(), strings[5], normaliser("US"))
    with Store.open(workspace.prepare(), create=True) as store:
        conversations = find_conversations(chats, people)
        replace_history(store, "sample", chats, conversations, people, iter(messages), Ledger())
        windows = {each.id: texts for each, texts in every_window(store, 2)}
    reals = real_conversations(workspace)
    assert len(reals) > len(strings)
    assert len({real.label for real in reals}) == len(reals)
    for real in reals:
        assert one_line(real.last) == real.last and len(real.last) <= 60
        assert plain(real.label) == real.label and find_real(reals, real.id) == real
    for real in reals[::9]:
        assert find_real(reals, real.label) == real
        assert prompt(workspace, real, 2) == windows[real.id][-1]


# --- stores that are none -------------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_read_is_one_sentence(workspace: Workspace) -> None:
    real = Real("dm-1", "dm", "Ana", ("Ana", "Me"), 1, 1, "hey")
    path = workspace.messages_db
    nothing, newer = "Nothing is collected yet", f"PRAGMA user_version = {len(MIGRATIONS) + 1}"
    for write, told in (
        (lambda: None, nothing),
        (lambda: path.write_bytes(b""), nothing),
        (lambda: sqlite3.connect(path).executescript(newer).close(), "newer Ventriloquist"),
        (lambda: path.write_bytes(b"no database at all" * 100), "damaged"),
    ):
        path.unlink(missing_ok=True)
        write()
        for act in (lambda: real_conversations(workspace), lambda: latest(workspace, real, 5)):
            with pytest.raises(Fault, match=told):
                act()
        assert list(collect_again(workspace)) == []


def test_a_store_of_the_first_version(workspace: Workspace) -> None:
    with closing(sqlite3.connect(workspace.messages_db, isolation_level=None)) as connection:
        first_tables(connection)
        connection.executescript(
            "INSERT INTO people VALUES ('me', 'Me', 1), ('+12025550101', 'Ana', 0);"
            "INSERT INTO handles VALUES ('sample', '+12025550101', '+12025550101');"
            "INSERT INTO conversations VALUES (1, 'dm-1', 'dm', NULL);"
            "INSERT INTO members VALUES (1, 0, '+12025550101'), (1, 1, 'me');"
            "INSERT INTO chats VALUES (1, 'sample', 'ana', 'dm', NULL, NULL, 1);"
            "INSERT INTO messages (number, conversation, sent_at, source_row, source, guid, chat, kind, is_from_me, "
            "sender, text, edited, unsent, attachments) "
            "VALUES (1, 1, 5, 1, 'sample', 'g', 1, 'text', 0, '+12025550101', 'hey', 0, 0, 0);"
            "INSERT INTO collects VALUES ('sample', '2026-01-01T00:00:00.000000Z');"
            "PRAGMA user_version = 1;"
        )
    (real,) = real_conversations(workspace)
    assert real == Real("dm-1", "dm", "Ana", ("Ana", "Me"), 1, 5, "hey")
    assert [entry.text for entry in latest(workspace, real, 5)[1]] == ["hey"]


def test_one_that_is_gone_is_said_to_be(workspace: Workspace) -> None:
    collected(workspace, talk("ana", 9))
    (real,) = real_conversations(workspace)
    collected(workspace, talk("ben", 9))
    with pytest.raises(NoInput, match="no longer in the history"):
        latest(workspace, real, 5)
