"""Nothing private leaves with a request, and nothing private is written where it does not belong: the whole command,
with a key in .env, searched for canaries."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import fake_gemini as fake
from tests import media_samples as samples
from tests.describing import states
from tests.storing import replace_history
from ventriloquist.records import ME, Attachment, Chat, ChatKind, Conversation, Kind, Ledger, Message, Person
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

KEY = "AIza-CANARY-key-0123456789"
FOLDER, NAME, WORDS, PERSON = "CANARY-folder", "CANARY-file-name", "CANARY message words", "CANARY Person"
CAPTION = "CANARY caption of a picture"
PROGRAM = """
import sys
from ventriloquist.media import gemini
gemini.ADDRESS = sys.argv.pop(1)
from ventriloquist.cli import main
main()
"""


@pytest.fixture
def canaries(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A history in which everything private is a canary, and a key in .env."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8 CANARY")
    (folder / "notes.txt").write_text("The words of a document, which are what is sent.\n")
    paths = [
        samples.jpeg(folder / f"{NAME}-1.jpg", seed=1), samples.jpeg(folder / f"{NAME}-2.jpg", seed=2),
        samples.heic(folder / f"{NAME}.heic"), samples.video(folder / f"{NAME}.mov"),
        samples.audio(folder / f"{NAME}.m4a"), samples.pdf(folder / f"{NAME}.pdf", title=samples.CANARY),
        folder / "notes.txt", folder / "damaged.jpg", folder / f"{NAME}-not-there.jpg",
    ]  # fmt: skip
    files = [Attachment(f"CANARY-guid-{n}", None, path.name, str(path)) for n, path in enumerate(paths)]

    def messages() -> Iterator[Message]:
        for row, file in enumerate(files, 1):
            yield Message(
                f"m{row}", "sample", row, "CANARY-chat", Kind.ATTACHMENT, False, row, "+15550100", f"{WORDS} {row}",
                attachments=(file,),
            )  # fmt: skip

    people = [Person("+15550100", PERSON, ("+15550100",)), Person(ME, "Me", is_me=True)]
    conversation = Conversation("c", ChatKind.DM, ("+15550100", ME), "CANARY group")
    chat = Chat("CANARY-chat", "sample", ChatKind.DM, ("+15550100",))
    with Store.open(workspace, create=True) as store:
        replace_history(store, "sample", [chat], [conversation], people, messages(), Ledger())
    workspace.env_file.write_text(f"GEMINI_API_KEY={KEY}\n")
    return workspace


def command(workspace: Workspace, url: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, url, "--workspace", str(workspace.root), *words],
        capture_output=True, text=True, timeout=120, check=False, env=environment,
    )  # fmt: skip


def check(workspace: Workspace, server: fake.FakeGemini, outputs: list[subprocess.CompletedProcess[str]]) -> None:
    """No canary in a request but the key in its own header; none in what was said, or written about the runs."""
    for request in server.received:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "x-goog-api-key"}
        sent = request.path.encode() + repr(headers).encode() + request.body
        sent += request.media if b"inlineData" in request.body else b""  # a document goes as its words
        for private in (b"CANARY", KEY.encode(), str(workspace.root).encode(), b"Exif", b"48.8582", b"+15550100"):
            assert private not in sent, private
    for output in outputs:
        assert "CANARY" not in output.stdout + output.stderr
        assert "Traceback" not in output.stderr
    written = [path for path in workspace.runs.rglob("*") if path.is_file()]
    assert {path.name for path in written} >= {"events.jsonl", "run.json", "output.log"}
    for path in written:
        content = path.read_bytes()
        assert b"CANARY" not in content and b"+15550100" not in content, path.name
    for path in workspace.root.rglob("*"):
        if path.is_file() and path != workspace.env_file:
            assert KEY.encode() not in path.read_bytes(), path.name


def test_no_canary_is_sent_or_written(canaries: Workspace) -> None:
    lines: set[bytes] = set()

    def look_around(handler: fake.Handler) -> None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                lines.add(process.read_bytes())
            except OSError:
                continue  # it has just ended
        fake.caption(CAPTION)(handler)

    script = [look_around, fake.BLOCKED, fake.error(400, "INVALID_ARGUMENT", {"reason": CAPTION}), fake.text(CAPTION)]
    with fake.serving(look_around, script) as server:
        outputs = [
            command(canaries, server.url, *words)
            for words in (
                ("describe", "--dry-run"), ("describe", "--yes", "--concurrency", "1"), ("describe", "--stats"),
                ("describe", "--yes", "--json"), ("doctor",), ("status", "--json"), ("runs", "list"),
            )
        ]  # fmt: skip
        assert [output.returncode for output in outputs] == [0] * len(outputs)
        assert len(server.received) > 5
        check(canaries, server, outputs)
    found = states(canaries)
    assert found.pop("CANARY-guid-7") == "failed" and found.pop("CANARY-guid-8") == "missing"
    assert set(found.values()) == {"described", "blocked", "failed"}
    if Path("/proc/self/cmdline").exists():
        ours = [line for line in lines if str(canaries.root).encode() in line]
        assert ours and not any(KEY.encode() in line for line in lines)


@pytest.mark.parametrize("answer", [fake.BAD_KEY, fake.error(404, "NOT_FOUND"), fake.DAY_IS_OVER])
def test_no_canary_is_in_the_words_of_a_fault(canaries: Workspace, answer: fake.Answer) -> None:
    with fake.serving(fake.caption(CAPTION), [fake.caption(CAPTION), answer]) as server:
        output = command(canaries, server.url, "describe", "--yes", "--concurrency", "1")
        assert output.returncode == 1 and output.stderr.count("Error: ") == 1
        check(canaries, server, [output])


CRASHING = """
import sys
from ventriloquist.cli import main
from ventriloquist.media.gemini import GeminiCaptioner
def describe(self, material):
    raise ZeroDivisionError("CANARY of an error's own words, " + repr(vars(self._client._api_client)))
GeminiCaptioner.describe = describe
sys.argv.pop(1)
main()
"""


def test_no_canary_is_in_what_a_crash_leaves(canaries: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PROGRAM", CRASHING)
    with fake.serving() as server:
        output = command(canaries, server.url, "describe", "--yes")
        assert output.returncode == 1 and "ZeroDivisionError" in output.stderr
        check(canaries, server, [output])


@pytest.mark.parametrize(("said", "is_sent"), [("n\n", False), ("\n", False), ("y\n", True)])
def test_nothing_is_sent_before_a_yes(canaries: Workspace, said: str, is_sent: bool) -> None:
    """At a terminal the command shows what it would send, to whom and for how much, and asks."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with fake.serving(fake.caption(CAPTION)) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, server.url, "--workspace", str(canaries.root), "describe"],
            stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        shown = read_until(ours, b"[y/N]")
        assert b"Google" in shown and b"photo" in shown and b"$" in shown and b"CANARY" not in shown
        assert server.received == []
        os.write(ours, said.encode())
        read_until(ours, None)
        assert child.wait(60) == 0
        assert bool(server.received) is is_sent
    os.close(ours)


def read_until(terminal: int, words: bytes | None) -> bytes:
    """What a terminal shows, up to these words, or (None) to its end."""
    shown = b""
    while words is None or words not in shown:
        try:
            some = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            some = b""
        if not some:
            assert words is None, shown
            break
        shown += some
    return shown
