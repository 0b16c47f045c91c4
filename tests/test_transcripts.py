"""Kept conversations: they come back as they were, whatever happens to their file."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hostile import hostile_strings
from ventriloquist.chat import transcript
from ventriloquist.chat.conversation import Conversation, Doing
from ventriloquist.chat.transcript import Transcript, find_kept, kept, read, replay
from ventriloquist.faults import Busy, DiskFull, UsageFault
from ventriloquist.windows.lines import Line
from ventriloquist.workspace import Workspace


def begun(workspace: Workspace, *words: str) -> tuple[Conversation, Transcript]:
    talk, file = Conversation("Me", ["Ann", "Me"], target="Ann"), Transcript(workspace)
    file.keep(*talk.as_doings())
    for text in words:
        do(talk, file, *talk.words(text))
    return talk, file


def do(talk: Conversation, file: Transcript, *doings: Doing) -> None:
    for doing in doings:
        talk.do(doing)
    file.keep(*doings)


def again(path: Path) -> Conversation:
    talk = Conversation("")
    assert replay(talk, read(path)) == 0
    return talk


def test_a_conversation_comes_back_as_it_was(workspace: Workspace) -> None:
    talk, file = begun(workspace, "hey", "are you there?\nhello")
    do(talk, file, talk.line(Line("Ann", "1d+", "hey", "image", "A sunset")), talk.reaction(1, "Loved"))
    do(talk, file, {"do": "edit", "index": 0, "text": "hi"}, {"do": "drop", "count": 1}, {"do": "title", "text": "T"})
    do(talk, file, talk.cast_of(["Ann", "Ben"]))
    assert file.path is not None
    back = again(file.path)
    assert (back.said, back.members, back.target, back.kind, back.title) == (
        talk.said, talk.members, talk.target, "group", "T",
    )  # fmt: skip
    assert file.path.stat().st_mode & 0o777 == 0o600 and file.path.parent.stat().st_mode & 0o777 == 0o700


def test_nothing_said_leaves_no_file(workspace: Workspace) -> None:
    _, file = begun(workspace)
    assert file.path is None and not workspace.conversations.exists()


@pytest.mark.parametrize("torn", [b'{"do": "say", "na', b'{"do": "drop", "count": 1}', b"\xff\xfe\x00", b"{"])
def test_a_torn_last_line_is_ignored_and_the_file_goes_on(workspace: Workspace, torn: bytes) -> None:
    talk, file = begun(workspace, "one", "two")
    file.close()
    assert file.path is not None
    with file.path.open("ab") as end:
        end.write(torn)
    assert again(file.path).said == talk.said
    second = Transcript(workspace, file.path)
    do(talk, second, *talk.words("three"))
    assert again(file.path).said == talk.said


def test_damaged_lines_are_counted_and_the_rest_is_kept(workspace: Workspace) -> None:
    _, file = begun(workspace, "one", "two", "three")
    file.close()
    assert file.path is not None
    lines = file.path.read_bytes().split(b"\n")
    lines[3] = lines[3][:10]
    lines.insert(4, b'{"do": "edit", "index": 99, "text": "x"}')
    lines.insert(5, b'["no", "object"]')
    file.path.write_bytes(b"\n".join(lines))
    talk = Conversation("")
    assert replay(talk, read(file.path)) == 3
    assert [entry.text for entry in talk.entries] == ["one", "three"]


def test_two_cannot_write_into_one(workspace: Workspace) -> None:
    _, file = begun(workspace, "one")
    assert file.path is not None
    script = (
        "import sys; from pathlib import Path\n"
        "from ventriloquist.chat.transcript import Transcript; from ventriloquist.workspace import Workspace\n"
        "from ventriloquist.faults import Busy\n"
        "try: Transcript(Workspace(Path(sys.argv[1])), Path(sys.argv[2])).keep()\n"
        "except Busy as fault: print(fault); sys.exit(4)\n"
    )
    command = [sys.executable, "-c", script, str(workspace.root), str(file.path)]
    turned_away = subprocess.run(command, capture_output=True, text=True)
    assert turned_away.returncode == Busy.exit and "open elsewhere" in turned_away.stdout
    file.close()
    assert subprocess.run(command).returncode == 0


def test_reading_what_is_open_lets_nobody_else_in(workspace: Workspace) -> None:
    _, file = begun(workspace, "one")
    assert file.path is not None and [each.path for each in kept(workspace)] == [file.path]
    with pytest.raises(Busy, match="open elsewhere"):
        Transcript(workspace, file.path).keep()


@pytest.mark.parametrize("time", [10**30, -(10**25), 2**63, True, 1.5, None])
def test_times_that_are_none_are_damage(workspace: Workspace, time: object) -> None:
    talk, file = begun(workspace, "one", "two")
    file.close()
    assert file.path is not None
    bad = {**talk.as_doings()[-1], "sent_at": time}
    with file.path.open("a") as end:
        end.write(json.dumps(bad) + "\n")
    back = Conversation("")
    lost = replay(back, read(file.path))
    assert (lost, back.entries) == ((1, talk.entries) if time is not True else (0, back.entries))
    assert back.context()


def test_a_conversation_whose_cast_is_lost_is_still_there(workspace: Workspace) -> None:
    talk, file = begun(workspace, "hey")
    do(talk, file, talk.line(Line("Ann", "<1m", None, "text", "hi")))
    file.close()
    assert file.path is not None
    lines = [line for line in file.path.read_bytes().splitlines() if b'"cast"' not in line]
    file.path.write_bytes(b"\n".join(lines) + b"\n")
    (found,) = kept(workspace)
    assert (found.conversation.me, found.conversation.others) == ("Me", ["Ann"]) and found.conversation.context()


def test_two_in_the_same_second_are_two_files(workspace: Workspace) -> None:
    files = [begun(workspace, f"number {n}")[1].path for n in range(5)]
    assert len(set(files)) == 5


def test_a_full_disk_leaves_whole_lines(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    talk, file = begun(workspace, "one")
    assert file.path is not None
    before, write, room = file.path.read_bytes(), os.write, [20]

    def full(descriptor: int, data: bytes) -> int:
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = write(descriptor, bytes(data)[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(transcript.os, "write", full)
    with pytest.raises(DiskFull):
        file.keep(*talk.words("two"))
    assert file.path.read_bytes() == before
    room[0] = 10**6
    file.keep(*talk.words("three"))
    said = [entry.text for entry in again(file.path).entries]
    assert said == ["one", "two", "three"], "what could not be written waits for room"


def test_finding_them(workspace: Workspace) -> None:
    first, one = begun(workspace, "about the beach")
    do(first, one, {"do": "title", "text": "Beach Zoë"})
    _, two = begun(workspace, "something else")
    assert one.path and two.path
    os.utime(one.path, (1, 1))
    (workspace.conversations / "garbage.jsonl").write_bytes(b"\x00\xff\n{}\n")
    (workspace.conversations / "empty.jsonl").write_bytes(b"")
    listed = kept(workspace)
    assert [each.path for each in listed] == [two.path, one.path]
    assert listed[0].title == "Ann: something else" and listed[1].title == "Beach Zoë"
    assert find_kept(workspace, "beach zoe").path == one.path
    assert find_kept(workspace, listed[0].id).path == two.path
    assert find_kept(workspace, "someth").path == two.path
    for said in ("nothing of the kind", "", "../../etc/passwd"):
        with pytest.raises(UsageFault, match="/open"):
            find_kept(workspace, said)


@pytest.mark.parametrize(("ident", "text"), hostile_strings()[::7], ids=lambda value: None)
def test_hostile_words_come_back_exactly(workspace: Workspace, ident: str, text: str) -> None:
    talk, file = begun(workspace, "begin")
    do(talk, file, talk.line(Line(text[:100] or "x", "<1m", text[:50], "text", text)), {"do": "title", "text": text})
    assert file.path is not None
    back = again(file.path)
    assert back.said == talk.said and back.title == text
    assert [each.title for each in kept(workspace)]


WRITER = """
import sys
from pathlib import Path
from ventriloquist.chat.conversation import Conversation
from ventriloquist.chat.transcript import Transcript
from ventriloquist.workspace import Workspace
talk, file = Conversation("Me", ["Ann", "Me"], target="Ann"), Transcript(Workspace(Path(sys.argv[1])))
file.keep(*talk.as_doings())
number = 0
while True:
    (doing,) = talk.words(f"{number} " + "x" * 3000)
    talk.do(doing)
    file.keep(doing)
    print(number, flush=True)
    number += 1
"""


@pytest.mark.slow
def test_killed_at_any_moment_all_that_was_said_is_there(workspace: Workspace) -> None:
    rng = random.Random(5)
    for _ in range(int(os.environ.get("KILLS", "3"))):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(workspace.root)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.random() * 0.05)
        child.send_signal(signal.SIGKILL)
        told = [int(line) for line in child.stdout.read().split()]
        child.wait()
        path = max(workspace.conversations.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        said = [int(entry.text.split()[0]) for entry in again(path).entries]
        assert said == list(range(len(said))) and len(said) >= (told[-1] + 1 if told else 1)
        assert json.loads(path.read_bytes().split(b"\n")[0])["do"] == "begin"
