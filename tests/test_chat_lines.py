"""The chat in lines: real processes, pipes and terminals."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

import pytest

from tests.commands import command, ventriloquist
from ventriloquist.chat import events
from ventriloquist.chat.transcript import kept
from ventriloquist.cli import chat as chat_command
from ventriloquist.cli.chat import open_session
from ventriloquist.faults import Exit
from ventriloquist.settings import ChatSettings
from ventriloquist.workspace import Workspace

SMALL = ("--target", "Theo", "--max-tokens", "24", "--threads", "1", "--seed", "1", "--max-messages", "1")


def started(workspace: Workspace, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(workspace, "chat", *SMALL, *words),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def type_in(chat: subprocess.Popen[str], *lines: str) -> None:
    assert chat.stdin is not None
    chat.stdin.write("".join(f"{line}\n" for line in lines))
    chat.stdin.flush()


def read_until(stream: IO[str] | None, found: str) -> str:
    assert stream is not None
    lines = []
    for line in stream:
        lines.append(line)
        if found in line:
            return "".join(lines)
    raise AssertionError(f"{found!r} never came: {''.join(lines)[-500:]!r}")


def test_objects_for_programs_and_everything_else_beside_them(copy_of_learnt: Workspace) -> None:
    told = ventriloquist(
        copy_of_learnt, "chat", "--json", *SMALL,
        stdin="hey\nTheo: what?\n/continue 2\n/candidates 3\n/pick 1\n/live Theo\nhello\n/context\n/nonsense\nbye\n",
    )  # fmt: skip
    objects = [json.loads(line) for line in told.stdout.splitlines()]
    assert told.returncode == Exit.DONE and len(objects) == 1 + 2 + 3 + 1 + 1
    assert all(list(each) == ["name", "delta", "reply_to", "content_type", "text"] for each in objects)
    assert {each["name"] for each in objects} == {"Theo"}
    assert "There is no command /nonsense" in told.stderr and '"members": ["Theo", "Alex"]' in told.stderr
    assert "Going on" not in told.stderr and "new messages" in told.stderr.lower()
    again = ventriloquist(copy_of_learnt, "chat", "--json", *SMALL, "--open", "Theo: hey", stdin="/context\n")
    assert again.returncode == Exit.DONE and '"text": "what?"' in again.stderr


@pytest.mark.parametrize("words", [("--live", "nobody of this name"), ("--open", "nothing of this name")])
def test_what_is_not_there_ends_it(copy_of_learnt: Workspace, words: tuple[str, str]) -> None:
    told = ventriloquist(copy_of_learnt, "chat", *SMALL, *words, stdin="hey\n")
    assert told.returncode == Exit.USAGE and re.search("Nobody|No conversation", told.stderr)
    assert told.stdout == ""


def test_ten_megabytes_in_one_line(copy_of_learnt: Workspace) -> None:
    told = ventriloquist(copy_of_learnt, "chat", "--json", *SMALL, stdin="x" * 10_000_000 + "\nhey\n")
    assert told.returncode == Exit.DONE and "10,000,000 characters" in told.stderr
    assert len(told.stdout.splitlines()) == 1 and len(told.stderr) < 2000


def test_control_c_stops_the_reply_and_keeps_the_chat(copy_of_learnt: Workspace) -> None:
    chat = started(copy_of_learnt, "--json")
    type_in(chat, "/auto 256")
    read_until(chat.stdout, "{")
    chat.send_signal(signal.SIGINT)
    type_in(chat, "/save after all", "hey")
    read_until(chat.stderr, "after all")
    out, _ = chat.communicate()
    assert chat.returncode == Exit.DONE and json.loads(out.splitlines()[-1])["name"] == "Theo"
    talk = kept(copy_of_learnt)[0]
    assert talk.title == "after all" and len(talk.conversation.said) < 256


def test_control_c_while_a_request_is_being_sent(copy_of_learnt: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal may come while the pipe to the model is locked for writing: it waits, and blocks nothing."""
    settings = ChatSettings.load(copy_of_learnt, threads=1, max_tokens=24, device="cpu")
    session = open_session(copy_of_learnt, settings)
    child = session.process._child
    assert child is not None and child.stdin is not None
    write, struck = child.stdin.write, []

    def interrupted(text: str) -> int:
        if not struck:
            struck.append(signal.raise_signal(signal.SIGINT))
        return write(text)

    monkeypatch.setattr(child.stdin, "write", interrupted)
    try:
        with chat_command._interruptible(session):
            happened = list(session.submit("hello"))
        assert struck and isinstance(happened[-1], events.TurnEnded)
        with chat_command._interruptible(session):
            assert any(isinstance(event, events.Wrote) for event in session.submit("and now?"))
    finally:
        session.close()


def test_killed_it_leaves_its_conversation_and_no_process(copy_of_learnt: Workspace) -> None:
    chat = started(copy_of_learnt, "--json")
    type_in(chat, "remember me", "/auto 256")
    first = read_until(chat.stdout, "{")
    children = Path(f"/proc/{chat.pid}/task/{chat.pid}/children")
    workers = [int(number) for number in children.read_text().split()] if children.exists() else []
    chat.kill()
    chat.communicate()
    talk = kept(copy_of_learnt)[0]
    said = [each.entry.text for each in talk.conversation.said]
    assert said[:2] == ["remember me", json.loads(first)["text"]]
    for _ in range(100):
        if not [pid for pid in workers if Path(f"/proc/{pid}").exists()]:
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the model's process goes on without anyone to talk to")


def test_on_a_terminal_tab_completes_names_with_spaces(copy_of_learnt: Workspace) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests may ignore it, and that is inherited
        argv = command(copy_of_learnt, "chat", *SMALL, "--members", "Ann Marie O'Neil, Theo")
        os.execv(argv[0], argv)
    seen = b""

    def until(wanted: str, *, after: str = "") -> None:
        nonlocal seen
        if after:
            os.write(terminal, after.encode())
        end = time.monotonic() + 60
        while wanted.encode() not in seen:
            assert time.monotonic() < end, seen[-2000:]
            if select.select([terminal], [], [], 0.2)[0]:
                seen += os.read(terminal, 4096)
        assert b"Traceback" not in seen
        seen = seen.partition(wanted.encode())[2]

    until("Alex: ")
    until("/target ", after="/targ\t")
    until("Ann Marie O'Neil", after="ann\t")
    until("Ann Marie O'Neil answers", after="\n")
    until("end the chat", after="/hel\t\n")
    until("Alex: ")
    for told in ("again leaves", "Alex: "):
        time.sleep(0.5)  # a signal between the prompt and the wait behind it is only seen with the next key
        until(told, after="\x03" if told != "Alex: " else "")
    time.sleep(0.5)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == Exit.DONE
