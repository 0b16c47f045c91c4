"""What preprocess says of its windows: who and what is in them, and what was left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ventriloquist.records import rfc3339
from ventriloquist.windows.render import Entry
from ventriloquist.windows.split import SPLITS, TRAIN

BLANK = "nothing to show"
CROSS_POSTS = "cross-posts"
UNITS = ("conversations", "messages", "windows")


class Account:
    """Counts messages, lines and windows as they are written. Every message of the store is counted once."""

    def __init__(self) -> None:
        self.conversations = 0
        self.messages: Counter[str] = Counter()
        self.windows: Counter[str] = Counter()
        self.bytes = 0
        self._targets: Counter[str] = Counter()
        self._held_out: Counter[str] = Counter()
        self._dates: dict[str, tuple[int, int]] = {}
        self._left_out: dict[str, Counter[str]] = {}

    def leave_out(self, reason: str, **amounts: int) -> None:
        """So many `conversations`, `messages` or `windows` are left out, for this reason."""
        if any(amounts.values()):
            self._left_out.setdefault(reason, Counter()).update(amounts)

    def add(self, split: str, entries: Sequence[Entry], *, messages: int, windows: int, size: int) -> None:
        """Windows of `size` bytes were written, whose targets are these lines, in their order."""
        (self._targets if split == TRAIN else self._held_out).update([entry.name for entry in entries])
        self.messages[split] += messages
        self.windows[split] += windows
        self.bytes += size
        if entries[-1].sent_at:  # those without a date come first
            first, last = next(entry.sent_at for entry in entries if entry.sent_at), entries[-1].sent_at
            before, after = self._dates.get(split, (first, last))
            self._dates[split] = min(first, before), max(last, after)

    @property
    def targets(self) -> int:
        return self._targets.total()

    def makes(self) -> dict[str, Any]:
        """What the run ends with, in short."""
        left_out = {reason: amounts["messages"] for reason, amounts in self._left_out.items()}
        return {
            "windows": self._by_split(self.windows),
            "targets": self.targets,
            "lines": self.targets + self._held_out.total(),
            "conversations": self.conversations,
            "left_out": left_out,
        }

    def report(self) -> dict[str, Any]:
        """What `training_windows.json` says of it; see docs/formats.md."""
        lines = self._targets + self._held_out
        return {
            "windows": self._by_split(self.windows),
            "targets": self.targets,
            "bytes": self.bytes,
            "conversations": self.conversations,
            "messages": self._by_split(self.messages),
            "lines": lines.total(),
            "dates": {split: self._first_and_last(split) for split in SPLITS},
            "people": dict(lines.most_common()),
            "targets_of": {name: self._targets[name] for name, _ in lines.most_common()},
            "left_out": {
                reason: {unit: amounts[unit] for unit in UNITS if unit in amounts}
                for reason, amounts in self._left_out.items()
            },
        }

    def _first_and_last(self, split: str) -> dict[str, str] | None:
        if split not in self._dates:
            return None
        first, last = self._dates[split]
        return {"first": rfc3339(first), "last": rfc3339(last)}

    @staticmethod
    def _by_split(counts: Mapping[str, int]) -> dict[str, int]:
        return {split: counts.get(split, 0) for split in SPLITS}

    def sentences(self) -> list[str]:
        """The same in words: what is in each split, then what was left out."""
        return [*map(self._split_told, SPLITS), *self._left_out_told()]

    def _split_told(self, split: str) -> str:
        what = {TRAIN: "Learnt from"}.get(split, f"Held out for {split}")
        if not self.messages[split]:
            return f"{what}: nothing."
        dates = self._first_and_last(split)
        span = f", {dates['first'][:10]} to {dates['last'][:10]}" if dates else ""
        return f"{what}: {several(self.messages[split], 'message')}{span}."

    def _left_out_told(self) -> list[str]:
        told = []
        for reason, amounts in self._left_out.items():
            units = [several(amounts[unit], unit[:-1]) for unit in ("messages", "conversations") if amounts[unit]]
            told.append(f"{units[0]} ({reason}{f', {units[1]}' if len(units) > 1 else ''})")
        return [f"Left out: {'; '.join(told)}."] if told else []


def several(count: int, noun: str) -> str:
    """A count and its noun: 1 message, 1,203 messages."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
