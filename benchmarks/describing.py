"""How well the describe stage keeps a captioner busy: `python -m benchmarks.describing [--json] [--quick]`.

2,000 different pictures (--quick: 100) go to a server on this machine that answers as Gemini does, each answer 300 ms
late and three of ten of them bad: errors 500 and 503, connections that break off before or within the answer, answers
that are no JSON, and empty ones. The real client asks, with the stage's own settings and waits. Counted at the server:
how many requests a picture takes, and how many of the requests that may be under way are (the mean from the first to
the last). Counted beside the stage: the most memory that it and its children take together, pages that they share
counted for each of them.
"""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from PIL import Image

from benchmarks.measuring import Measured, at_least, at_most, options, report, unjudged
from tests import fake_gemini as fake
from tests.storing import replace_history
from ventriloquist.records import ME, Attachment, Chat, ChatKind, Conversation, Kind, Ledger, Message, Person
from ventriloquist.settings import DescribeSettings
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

PICTURES, QUICK = 2_000, 100
SIZE = (640, 480)
LATENCY = 0.3
FAULTS = 0.3
REQUESTS_GOAL, BUSY_GOAL, GIGABYTES_GOAL = 1.6, 0.8, 1.0
STAGE = """
import sys
from ventriloquist.media import gemini
from ventriloquist.pipeline.describe import describe
from ventriloquist.runs import perform
from ventriloquist.settings import DescribeSettings
from ventriloquist.workspace import Workspace
gemini.ADDRESS = sys.argv[2]
workspace = Workspace.at(sys.argv[1])
settings = DescribeSettings.load(workspace, gemini_api_key="none", yes=True, model="gemini-3.5-flash-lite")
perform("describe", describe, settings, workspace, ["describe"])
"""


@dataclass
class Seen:
    """What the server saw: requests, and the seconds that they were under way, all together, from first to last."""

    requests: int = 0
    busy_seconds: float = 0.0
    first: float = 0.0
    last: float = 0.0
    most: int = 0
    under_way: int = 0


class Slow:
    """Answers late, and often badly; the first answer is good, since a run begins with a single request."""

    def __init__(self) -> None:
        self.seen = Seen()
        self._lock = threading.Lock()
        self._draw = random.Random(7)
        self._bad = (
            fake.error(500, "INTERNAL"), fake.error(503, "UNAVAILABLE"), fake.reset, fake.cut_off,
            fake.text("no json"), fake.answer(200, {}),
        )  # fmt: skip

    def __call__(self, handler: fake.Handler) -> None:
        began = time.monotonic()
        with self._lock:
            seen = self.seen
            handler.fake.received.clear()  # two thousand pictures are not to be kept
            seen.requests += 1
            seen.under_way += 1
            seen.most = max(seen.most, seen.under_way)
            seen.first = seen.first or began
            is_bad = seen.requests > 1 and self._draw.random() < FAULTS
            answer = self._draw.choice(self._bad) if is_bad else fake.caption("A picture of coloured squares")
        time.sleep(LATENCY)
        with self._lock:
            seen.under_way -= 1
            seen.last = time.monotonic()
            seen.busy_seconds += seen.last - began
        answer(handler)


def serve(pipe: Connection) -> None:
    """Serve until told to end, in a process of its own; tells where, and at the end what was seen."""
    slow = Slow()
    with fake.serving(slow) as server:
        pipe.send(server.url)
        pipe.recv()
        pipe.send(slow.seen)


def pictures(workspace: Workspace, folder: Path, count: int) -> None:
    """Different photos, and a history that holds them."""
    draw = random.Random(3)
    for number in range(count):
        small = Image.frombytes("RGB", (8, 6), draw.randbytes(8 * 6 * 3))
        small.resize(SIZE, Image.Resampling.BILINEAR).save(folder / f"{number}.jpg")

    def messages() -> Iterator[Message]:
        for row in range(count):
            file = Attachment(f"a{row}", "image/jpeg", f"IMG_{row}.jpg", str(folder / f"{row}.jpg"))
            yield Message(f"m{row}", "bench", row, "c", Kind.ATTACHMENT, False, row, "ada", attachments=(file,))

    people = [Person("ada", "Ada", ("ada",)), Person(ME, "Me", is_me=True)]
    chat, conversation = Chat("c", "bench", ChatKind.DM, ("ada",)), Conversation("c", ChatKind.DM, ("ada", ME))
    with Store.open(workspace, create=True) as store:
        replace_history(store, "bench", [chat], [conversation], people, messages(), Ledger())


def most_memory(process: subprocess.Popen[bytes]) -> float:
    """Gigabytes that a process and all below it took together at the worst moment; waits for its end."""
    most = 0
    root = psutil.Process(process.pid)
    while process.poll() is None:
        taken = 0
        try:
            for each in (root, *root.children(recursive=True)):
                taken += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it ended while it was asked
        most = max(most, taken)
        time.sleep(0.05)
    if process.returncode:
        sys.exit("the stage failed")
    return most / 1e9


def measure(count: int) -> tuple[Seen, float]:
    """Describe so many pictures; what the server saw, and gigabytes."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        folder = root / "pictures"
        folder.mkdir()
        workspace = Workspace.at(root / "workspace").prepare()
        pictures(workspace, folder, count)
        ours, theirs = multiprocessing.Pipe()
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
        server.start()
        url = str(ours.recv())
        stage = subprocess.Popen([sys.executable, "-c", STAGE, str(workspace.root), url], stderr=subprocess.DEVNULL)
        gigabytes = most_memory(stage)
        ours.send("end")
        seen: Seen = ours.recv()
        server.join()
        with Store.open(workspace) as store:
            described = sum(standing.state == "described" for standing in store.standings(described=True))
        if described < 0.97 * count:
            sys.exit(f"only {described} of {count} were described")
    return seen, gigabytes


def main(arguments: Sequence[str]) -> int:
    as_json, quick = options(arguments)
    count = QUICK if quick else PICTURES
    limit = DescribeSettings().concurrency
    seen, gigabytes = measure(count)
    busy = seen.busy_seconds / (seen.last - seen.first)
    results: list[Measured] = [
        at_most("requests a picture", [seen.requests], [float(count)], "requests", REQUESTS_GOAL),
        at_least("requests under way of those that may be", [busy], [float(limit)], "requests", BUSY_GOAL),
        at_most("memory of the stage and its children", [gigabytes], [GIGABYTES_GOAL], "GB", 1.0),
    ]
    if seen.most > limit:
        sys.exit(f"{seen.most} requests were under way at once, of {limit} that may be")
    if quick:  # its first and last second weigh too much
        results[1] = unjudged(results[1])
    return report(results, as_json=as_json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
