"""How much it costs to read a Messages history: `python -m benchmarks.messages [--json] [--quick]`.

Beside it stands SQLite's own scan: the same columns of the same rows, fetched with Python's sqlite3 and thrown away.
CPU time (user and system) throughout. Without --quick, five million messages are collected too, which takes minutes
and some ten gigabytes of disk for the time being.
"""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import typedstream

from benchmarks import history
from benchmarks.measuring import Measured, at_least, at_most, cpu_of, interleave, options, report
from ventriloquist.sources.imessage.attachments import COLUMNS as ATTACHMENT_COLUMNS
from ventriloquist.sources.imessage.rows import COLUMNS as MESSAGE_COLUMNS
from ventriloquist.sources.imessage.typedstream import text_of

MESSAGES, NEW, LARGE = 100_000, 100, 5_000_000
COLLECT_GOAL, AGAIN_GOAL, BODIES_GOAL, MEMORY_GOAL = 10.0, 4.0, 60_000.0, 1000.0
PROGRAM = Path(sys.executable).with_name("ventriloquist")
COLLECT = """
import resource, sys
from pathlib import Path
from ventriloquist.pipeline.collect import collect
from ventriloquist.runs import perform
from ventriloquist.settings import CollectSettings
from ventriloquist.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
settings = CollectSettings.load(workspace, db=Path(sys.argv[2]), region="US")
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
before = cpu()
perform("collect", collect, settings, workspace, ["collect"])
print(cpu() - before)
"""


def scan(path: Path) -> float:
    """CPU seconds of fetching every row that a collect reads, with the columns it reads."""
    before = _cpu()
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    for query in _queries():
        for _ in connection.execute(query):
            pass
    connection.close()
    return _cpu() - before


def _queries() -> list[str]:
    message = [*_names(MESSAGE_COLUMNS), "payload_data", "message_summary_info"]
    attachment = [f"a.{name}" for name in _names(ATTACHMENT_COLUMNS)]
    return [
        f"SELECT {', '.join(message)} FROM message ORDER BY ROWID",  # noqa: S608 - our names
        "SELECT chat_id, message_id FROM chat_message_join",
        f"SELECT j.message_id, {', '.join(attachment)} FROM message_attachment_join AS j "  # noqa: S608 - our names
        "JOIN attachment AS a ON a.ROWID = j.attachment_id",
        "SELECT * FROM chat",
        "SELECT * FROM handle",
        "SELECT * FROM chat_handle_join",
    ]


def _names(columns: tuple[str, ...]) -> list[str]:
    return [column.partition(":")[0] for column in columns]


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def first_collect(folder: Path, path: Path) -> float:
    """CPU seconds of the stage itself, in a fresh process with a fresh workspace."""
    workspace = folder / "first"
    shutil.rmtree(workspace, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-c", COLLECT, str(workspace), str(path)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


class Again:
    """Collecting again after 100 new rows: the whole process, start of Python included."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.workspace, self.path = folder / "again", path
        self.rows = MESSAGES

    def __call__(self) -> float:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("BEGIN")
        history.add(connection, self.rows + 1, NEW)
        connection.execute("COMMIT")
        connection.close()
        self.rows += NEW
        return cpu_of(self.command())

    def command(self) -> list[str]:
        return [str(PROGRAM), "--workspace", str(self.workspace), "collect", "--db", str(self.path), "--region", "US"]


def against_scan(folder: Path, rounds: int) -> list[Measured]:
    path = history.write(folder / "chat.db", MESSAGES)
    ours, theirs = interleave(partial(first_collect, folder, path), partial(scan, path), rounds)
    what = f"collect of {MESSAGES:,} messages, against a scan of the same columns"
    found = [at_most(what, ours, theirs, "CPU seconds", COLLECT_GOAL)]
    again = Again(folder, path)
    ours, theirs = interleave(again, partial(scan, path), rounds)
    what = f"collect again, {NEW} new rows, start of Python included, against a scan"
    return [*found, at_most(what, ours, theirs, "CPU seconds", AGAIN_GOAL)]


def bodies(folder: Path, rounds: int) -> list[Measured]:
    """Message texts a CPU second, beside pytypedstream, which reads any typed stream."""
    found = list(history.bodies_in(folder / "chat.db"))
    few = found[:2000]
    for body in few:
        assert typedstream.unarchive_from_data(body).contents[0].values[0].value == text_of(body)
    ours, theirs = interleave(
        partial(_rate, text_of, found), partial(_rate, typedstream.unarchive_from_data, few), rounds
    )
    what = "message texts decoded in a CPU second"
    return [
        at_least(f"{what}, against pytypedstream", ours, theirs, "texts", 1.0),
        at_least(f"{what}, against the goal", ours, [BODIES_GOAL] * rounds, "texts", 1.0),
    ]


def _rate(decode: Callable[[bytes], object], found: list[bytes]) -> float:
    before = time.process_time()
    for body in found:
        decode(body)
    return len(found) / (time.process_time() - before)


def memory(folder: Path, messages: int) -> Measured:
    """The most memory that collecting holds, in MB."""
    path = history.write(folder / "large" / "chat.db", messages)
    command = [str(PROGRAM), "--workspace", str(folder / "large" / "work"), "collect", "--db", str(path)]
    child = subprocess.Popen([*command, "--region", "US"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"collecting {messages:,} messages failed ({child.returncode})")
    seconds = used.ru_utime + used.ru_stime
    megabytes = used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    what = f"peak memory of collecting {messages:,} messages ({seconds:.0f} CPU seconds), against 1 GB"
    return at_most(what, [megabytes], [MEMORY_GOAL], "MB", 1.0)


def main() -> int:
    as_json, quick = options(sys.argv[1:])
    rounds = 3 if quick else 9
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        results = against_scan(folder, rounds)
        results += bodies(folder, rounds)
        results.append(memory(folder, 300_000 if quick else LARGE))
        return report(results, as_json=as_json)


if __name__ == "__main__":
    sys.exit(main())
