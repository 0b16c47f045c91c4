"""What it costs to make training windows: `python -m benchmarks.preprocess [--json] [--quick]`.

Beside the preprocess stage stands the predecessor's recipe, written from what is known of it: for every message a
window of the 50 messages up to it, header and JSON lines rendered anew for each, stored in a SQLite table and again in
a JSONL file. Both read the same store with the same reader. CPU time (user and system), each in a process of its own,
start of Python and imports not counted. The store's fingerprint is known beforehand, as `ventriloquist status` and the
app leave it. Without --quick a round of theirs writes more than a gigabyte, which is deleted after it.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import history
from benchmarks.measuring import Measured, interleave, options, report, times_less
from ventriloquist.records import MICROSECONDS, moment
from ventriloquist.speech import Speech, talks_in
from ventriloquist.store import Store
from ventriloquist.windows.lines import delta_for
from ventriloquist.windows.render import Entry
from ventriloquist.workspace import Workspace

MESSAGES, HELD_OUT = 90_000, 500
"""And how many of them are held out for each split, as is the default; --quick takes a tenth of both."""
QUICK = 10
WINDOW = 50
CPU_GOAL, BYTES_GOAL = 25.0, 40.0
QUICK_CPU_GOAL = 20.0
"""What a run costs whatever it does (its folder, its events, syncing) weighs ten times as much."""
CHATS = history.PEOPLE + history.GROUPS
STAGE = """
import resource, sys
from pathlib import Path
from ventriloquist.pipeline.{stage} import {stage}
from ventriloquist.runs import perform
from ventriloquist.settings import STAGES
from ventriloquist.workspace import Workspace
workspace = Workspace(Path(sys.argv[1]))
settings = STAGES["{stage}"].load(workspace, **dict(each.split("=") for each in sys.argv[2:]))
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
before = cpu()
perform("{stage}", {stage}, settings, workspace, ["{stage}"])
print(cpu() - before)
"""
THEIRS = """
import resource, sys
from pathlib import Path
from benchmarks.preprocess import recipe
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
before = cpu()
recipe(Path(sys.argv[1]), Path(sys.argv[2]))
print(cpu() - before)
"""


def prepare(folder: Path, every: int = 1) -> Path:
    """A workspace with a collected and described history, in which people react and reply within their chats; with
    `every` 10, of each tenth chat only."""
    chat_db = history.write(folder / "chat.db", MESSAGES)
    with closing(sqlite3.connect(chat_db)) as connection, connection:
        before = "(SELECT guid FROM message AS other WHERE other.ROWID = message.ROWID - ?)"
        for column, start in (("associated_message_guid", "'p:0/' ||"), ("thread_originator_guid", "")):
            connection.execute(
                f"UPDATE message SET {column} = {start} {before} "  # noqa: S608 - our names
                f"WHERE {column} IS NOT NULL AND ROWID > ?",
                [CHATS, CHATS],
            )
        connection.execute("DELETE FROM chat_message_join WHERE chat_id % ?", [every])
    root = folder / "work"
    Workspace(root).prepare()
    _run(STAGE.format(stage="collect"), root, f"db={chat_db}", "region=US")
    _run(STAGE.format(stage="describe"), root)
    return root


def _run(program: str, *arguments: object) -> float:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


# --- theirs ---------------------------------------------------------------------------------------------------------


def recipe(root: Path, out: Path) -> None:
    """Every window of the predecessor, into `out`/windows.db and `out`/windows.jsonl."""
    connection = sqlite3.connect(out / "windows.db", isolation_level=None)
    connection.execute(
        "CREATE TABLE windows (number INTEGER PRIMARY KEY, conversation TEXT, position INTEGER, text TEXT)"
    )
    with Store.open(Workspace(root)) as store, (out / "windows.jsonl").open("w", encoding="utf-8") as file:
        people = store.people()
        speech = Speech(store, people)
        for talk in talks_in(store, people):
            entries = [entry for batch in speech.of(talk) for entry in batch]
            connection.execute("BEGIN")
            for position, text in enumerate(_windows(talk.conversation.kind, talk.names, entries)):
                connection.execute("INSERT INTO windows VALUES (NULL, ?, ?, ?)", (talk.id, position, text))
                file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            connection.execute("COMMIT")
    connection.close()


def _windows(kind: str, members: Sequence[str], entries: Sequence[Entry]) -> Iterator[str]:
    for end in range(1, len(entries) + 1):
        shown = entries[max(end - WINDOW, 0) : end]
        start = moment(shown[0].sent_at).strftime("%Y-%m-%d")
        lines = [json.dumps({"type": kind, "members": members, "start": start}, ensure_ascii=False)]
        before = shown[0].sent_at
        for entry in shown:
            fields = {
                "name": entry.name,
                "delta": delta_for((entry.sent_at - before) / MICROSECONDS),
                "reply_to": entry.reply_to,
                "content_type": entry.content_type,
                "text": entry.text,
            }
            before = entry.sent_at
            lines.append(json.dumps(fields, ensure_ascii=False))
        yield "\n".join(lines) + "\n"


# --- side by side ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Sizes:
    """Bytes on disk after each round."""

    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    jsonl: list[float] = field(default_factory=list)


def ours_once(root: Path, held_out: int, sizes: Sizes) -> float:
    workspace = Workspace(root)
    seconds = _run(STAGE.format(stage="preprocess"), root, f"max_holdout_in_all={held_out}")
    made = (workspace.windows, workspace.windows_report)
    sizes.ours.append(sum(path.stat().st_size for path in made))
    for path in made:
        path.unlink()
    return seconds


def theirs_once(root: Path, out: Path, sizes: Sizes) -> float:
    out.mkdir()
    seconds = _run(THEIRS, root, out)
    sizes.jsonl.append((out / "windows.jsonl").stat().st_size)
    sizes.theirs.append(sizes.jsonl[-1] + (out / "windows.db").stat().st_size)
    shutil.rmtree(out)
    return seconds


def compare(folder: Path, every: int, rounds: int) -> list[Measured]:
    root, sizes = prepare(folder, every), Sizes()
    ours, theirs = interleave(
        partial(ours_once, root, HELD_OUT // every, sizes),
        partial(theirs_once, root, folder / "theirs", sizes),
        rounds,
    )
    what = f"preprocess of {MESSAGES // every:,} messages against every stride-1 window of {WINDOW}"
    mine, both, jsonl = ([size / 1e6 for size in each[-rounds:]] for each in (sizes.ours, sizes.theirs, sizes.jsonl))
    goal = CPU_GOAL if every == 1 else QUICK_CPU_GOAL
    return [
        times_less(f"{what}: the work, start of Python not counted", ours, theirs, "CPU seconds", goal),
        times_less(f"{what}: on disk, theirs in SQLite and in JSONL", mine, both, "MB", BYTES_GOAL),
        times_less(f"{what}: on disk, against their JSONL alone", mine, jsonl, "MB", BYTES_GOAL / 2),
    ]


def main() -> int:
    as_json, quick = options(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        results = compare(Path(name), *((QUICK, 3) if quick else (1, 5)))
    return report(results, as_json=as_json)


if __name__ == "__main__":
    sys.exit(main())
