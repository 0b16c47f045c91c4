"""Reading a run while it grows: its events folded, its output line by line, whether its process lives."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from ventriloquist.locks import is_locked
from ventriloquist.runevents import (
    TAIL_BYTES,
    Event,
    is_event,
    is_exchange,
    latest_exchanges,
    tail,
    tail_exchanges,
)
from ventriloquist.runfold import RunState, status_of
from ventriloquist.tui.paint import log_line

LOG_BYTES = 256 * 1024
"""How much of the end of a long output, or of many exchanges, is shown at first."""
EXCHANGES = 50
"""How many exchanges are kept, the newest ones."""
DEAD_LOOKS = 3
"""A run whose lock is free this often, one look after the other, and that wrote no end, is lost."""


class Follower:
    """One run's directory, read again and again; each look takes at most 64 KB of events and of exchanges."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = RunState()
        self.unreadable = 0
        self.exchanges: deque[Event] = deque(maxlen=EXCHANGES)
        self._exchange_offset = -1
        self._offset = 0
        self._log_offset = -1
        self._dead_looks = 0

    @property
    def status(self) -> str:
        """running, done, stopped, failed or lost."""
        return status_of(self.state, self._dead_looks < DEAD_LOOKS)

    def catch_up(self) -> None:
        """Read everything there is so far. May take a while on a long run: not for the thread that paints."""
        alive = is_locked(self.folder / "lock")
        while self._read():
            pass
        if not alive and not self.state.end:
            self._dead_looks = DEAD_LOOKS - 1

    def look(self) -> bool:
        """Read what is new; True if something was, or if the run turned out to be lost."""
        alive = is_locked(self.folder / "lock")  # before the events: a run writes its end, then lets go
        before = self.status
        grown = self._read()
        self._dead_looks = 0 if alive or grown else self._dead_looks + 1
        return grown or self.status != before

    def log_lines(self) -> list[str]:
        """The whole lines that the output has grown by, fit for a screen."""
        try:
            with (self.folder / "output.log").open("rb") as file:
                if self._log_offset < 0:
                    self._log_offset = max(file.seek(0, 2) - LOG_BYTES, 0)
                file.seek(self._log_offset)
                chunk = file.read(LOG_BYTES)
        except OSError:
            return []
        whole = chunk[: chunk.rfind(b"\n") + 1] or (chunk if len(chunk) == LOG_BYTES else b"")
        self._log_offset += len(whole)
        return [log_line(line.decode(errors="replace")) for line in whole.split(b"\n")[:-1]]

    def look_for_exchanges(self) -> bool:
        """Read what the model wrote meanwhile; True if there is something new."""
        if self._exchange_offset < 0:
            self._exchange_offset = latest_exchanges(self.folder, LOG_BYTES)
        found, self._exchange_offset = tail_exchanges(self.folder, self._exchange_offset, TAIL_BYTES)
        new = [each for each in found if is_exchange(each)]
        self.exchanges.extend(new)
        return bool(new)

    def _read(self) -> bool:
        events, after = tail(self.folder, self._offset, TAIL_BYTES)
        grown = after > self._offset
        self._offset = after
        for event in filter(is_event, events):
            self.state.add(event)
        self.unreadable += sum(not is_event(event) for event in events)
        return grown
