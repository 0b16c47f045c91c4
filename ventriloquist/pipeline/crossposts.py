"""Texts that were sent to two conversations at about the same time: one that is learnt is no fair measure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from ventriloquist.windows.render import Entry

SHORTEST = 20
"""A text of fewer characters is said twice by chance."""
WITHIN = 24 * 3600 * 1_000_000
"""Microseconds between the two."""


class CrossPosts:
    """Finds the held-out texts that are verbatim a training text of another conversation, in one pass.

    `suspects` is whatever may be held out: (conversation, sent_at, text). What is learnt is told as it goes by.
    """

    def __init__(self, suspects: Iterable[tuple[str, int, str]]) -> None:
        self._suspects: dict[str, list[tuple[str, int]]] = {}
        for conversation, sent_at, text in suspects:
            if len(text) >= SHORTEST:
                self._suspects.setdefault(text, []).append((conversation, sent_at))
        self._times = sorted(sent_at for places in self._suspects.values() for _, sent_at in places)
        self._found: set[tuple[str, str, int]] = set()

    def learnt(self, conversation: str, entries: Sequence[Entry]) -> None:
        """These are training targets, in order of time."""
        suspects = self._suspects
        if not self._any_between(entries[0].sent_at - WITHIN, entries[-1].sent_at + WITHIN):
            return
        for entry in [entry for entry in entries if entry.text in suspects]:
            for where, sent_at in suspects[entry.text]:
                if where != conversation and abs(sent_at - entry.sent_at) <= WITHIN:
                    self._found.add((where, entry.text, sent_at))

    def _any_between(self, first: int, last: int) -> bool:
        """Whether any suspect was sent then."""
        at = bisect_left(self._times, first)
        return at < len(self._times) and self._times[at] <= last

    def has(self, conversation: str, entries: Iterable[Entry]) -> bool:
        """Whether one of these lines of a held-out message is a training text elsewhere; once all are told."""
        return any((conversation, entry.text, entry.sent_at) in self._found for entry in entries)
