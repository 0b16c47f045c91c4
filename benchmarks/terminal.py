"""A program on a pseudo-terminal, and what its screen shows: enough of a terminal to time a full-screen app.

Understands what such an app sends to draw: cursor moves, text, erasing; colours and modes are read over. Times are wall
time in seconds, taken when bytes came from the program.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence

from rich.cells import cell_len

_SEQUENCE = re.compile(
    r"\x1b\[(?P<given>[0-?]*)[ -/]*(?P<final>[@-~])"  # a control sequence
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # a title, the clipboard
    r"|\x1b[P_^X][^\x1b]*\x1b\\"  # device strings
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"  # two-character escapes
)
_CUT_OFF = re.compile(r"\x1b[^\x1b]{0,4096}\Z")


class Screen:
    """The characters on a terminal of `width` by `height`; row and column count from 0."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._cells = [[" "] * width for _ in range(height)]
        self._row = self._column = 0
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def rows(self) -> list[str]:
        """What each row shows, without the spaces at its end."""
        return ["".join(row).rstrip() for row in self._cells]

    def feed(self, sent: bytes) -> None:
        """Take in what the program sent, in pieces of any length."""
        text = self._rest + self._decoder.decode(sent)
        self._rest = ""
        position = 0
        while position < len(text):
            if text[position] != "\x1b":
                end = text.find("\x1b", position)
                end = len(text) if end < 0 else end
                self._write(text[position:end])
                position = end
            elif found := _SEQUENCE.match(text, position):
                if found["final"]:
                    self._control(found["given"], found["final"])
                position = found.end()
            elif _CUT_OFF.match(text, position):
                self._rest = text[position:]
                return
            else:
                position += 1

    def _write(self, text: str) -> None:
        for character in text:
            if character == "\r":
                self._column = 0
            elif character == "\n":
                self._row = min(self._row + 1, self.height - 1)
            elif character == "\b":
                self._column = max(self._column - 1, 0)
            elif character.isprintable():
                self._put(character)

    def _put(self, character: str) -> None:
        width = cell_len(character)
        if width == 0 or self._column + width > self.width:
            return
        row = self._cells[self._row]
        row[self._column] = character
        if width == 2:
            row[self._column + 1] = ""
        self._column += width

    def _control(self, given: str, final: str) -> None:
        numbers = [int(part) if part.isdigit() else 0 for part in given.split(";")]
        first = max(numbers[0], 1)
        match final:
            case "H" | "f":
                self._row = min(first, self.height) - 1
                self._column = min(max(numbers[1] if len(numbers) > 1 else 1, 1), self.width) - 1
            case "A":
                self._row = max(self._row - first, 0)
            case "B":
                self._row = min(self._row + first, self.height - 1)
            case "C":
                self._column = min(self._column + first, self.width - 1)
            case "D":
                self._column = max(self._column - first, 0)
            case "G":
                self._column = min(first, self.width) - 1
            case "K":
                self._cells[self._row][self._column :] = [" "] * (self.width - self._column)
            case "J" if numbers[0] == 2:
                self._cells = [[" "] * self.width for _ in range(self.height)]


class NotShownError(TimeoutError):
    """What was waited for did not come on the screen. What stood there instead is in `rows`, not in the message."""

    def __init__(self, what: str, rows: Sequence[str]) -> None:
        super().__init__(f"{what} did not come on the screen in time")
        self.rows = list(rows)


class Program:
    """A program on a pseudo-terminal of its own. Leave it with `close`, or use it in a `with`."""

    def __init__(self, command: Sequence[str], width: int, height: int, env: Mapping[str, str]) -> None:
        self.screen = Screen(width, height)
        self._terminal, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        given = {**os.environ, **env, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self._process = subprocess.Popen(
            command, stdin=inside, stdout=inside, stderr=inside, start_new_session=True, close_fds=True, env=given
        )
        os.close(inside)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def press(self, keys: str) -> float:
        """Send keys; returns when."""
        sent = time.perf_counter()
        os.write(self._terminal, keys.encode())
        return sent

    def until(self, shows: Callable[[list[str]], bool], what: str, seconds: float = 60) -> float:
        """Read until the screen shows it; returns when it did. Raises NotShownError."""
        ends = time.perf_counter() + seconds
        while not shows(self.screen.rows()):
            if not self._read(ends - time.perf_counter()):
                raise NotShownError(what, self.screen.rows())
        return time.perf_counter()

    def rest(self, seconds: float) -> None:
        """Read on for so long."""
        ends = time.perf_counter() + seconds
        while (left := ends - time.perf_counter()) > 0:
            self._read(left)

    def _read(self, seconds: float) -> bool:
        if seconds <= 0 or not select.select([self._terminal], [], [], seconds)[0]:
            return False
        try:
            sent = os.read(self._terminal, 1 << 16)
        except OSError:  # the program has left its terminal
            return False
        self.screen.feed(sent)
        return bool(sent)

    def close(self) -> None:
        """End the program if it has not ended."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._terminal)
