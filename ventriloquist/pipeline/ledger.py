"""The ledger: what became of every row of the source, in numbers and in words that a person understands."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ventriloquist.store import Store

COLLECTS = 50
"""How many past collects are told of."""
UNDATED = "0"
"""The year of the rows that have no date."""

KINDS = {
    "text": "messages in words",
    "attachment": "messages of files alone: photos, videos, voice memos, documents, stickers",
    "reaction": "tapbacks that still stand",
    "app": "games, polls, payments and whatever else an app wrote",
    "event": "who joined, left or renamed a group, and other lines that Messages itself writes",
    "unsent": "messages that were taken back; their words are not kept",
}
"""What each kind of row is that was kept."""

REASONS = {
    "recently deleted": "Deleted in Messages and still in its Recently Deleted; collect --include-deleted keeps them.",
    "in no chat": "Rows that Messages itself no longer shows anywhere, such as those of deleted conversations.",
    "empty": "Rows without words, file or anything else to show.",
    "text that could not be read": "There are words, in a form that could not be read. This should not happen.",
    "a kind of row that is not known yet": "Written by a newer Messages than this version knows of.",
    "tapback that was taken back": "Somebody gave a tapback and later took it away.",
    "tapback that a later one replaced": "Somebody changed their tapback; the last one is kept.",
    "removal of a tapback": "The row that takes a tapback away; it says nothing else.",
    "second copy in a chat with yourself": "What you send to yourself is stored as sent and as received; one is kept.",
    "second copy of the same message": "A row with the id of an earlier one, which is kept.",
    "in a damaged part of the file": "The file has come to harm, and nothing is left of these rows.",
}
"""What each reason to drop a row means for the user."""


def empty_ledger() -> dict[str, Any]:
    """The ledger of a workspace in which nothing was collected."""
    return {
        "source_rows": 0,
        "kept": {},
        "dropped": {},
        "years": {},
        "attachments": {"present": 0, "offloaded": 0, "missing": 0},
        "newest_message": None,
        "source_changed": None,
        "warnings": [],
        "collects": [],
    }


def ledger_of(store: Store) -> dict[str, Any]:
    """The ledger as `status --json` shows it; see docs/formats.md."""
    ledger, report = store.ledger(), store.report() or {}
    years: dict[str, dict[str, dict[str, int]]] = {}
    totals: dict[str, Counter[str]] = {}
    for verb, counter in (("kept", ledger.kept), ("dropped", ledger.dropped)):
        totals[verb] = Counter()
        for (what, year), rows in sorted(counter.items()):
            totals[verb][what] += rows
            years.setdefault(str(year), {"kept": {}, "dropped": {}})[verb][what] = rows
    return {
        "source_rows": ledger.source_rows,
        "kept": dict(totals["kept"]),
        "dropped": dict(totals["dropped"]),
        "years": dict(sorted(years.items(), key=lambda item: int(item[0]))),
        "attachments": store.attachment_states(),
        "newest_message": report.get("newest"),
        "source_changed": report.get("source_changed"),
        "warnings": report.get("warnings", []),
        "collects": [_collect(at, each) for at, each in store.past_collects(COLLECTS)],
    }


def _collect(at: str, report: dict[str, Any]) -> dict[str, Any]:
    return {"at": at, "path": report.get("path"), **{name: report.get(name, 0) for name in COUNTS}}


COUNTS = ("rows", "new", "changed", "gone")
"""What a past collect is told by: rows of the source, and messages that were not there, were otherwise, and went."""


def most_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    """Kinds or reasons with their rows, the most rows first."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
