"""Small files of training windows, written as preprocess writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ventriloquist.windows.build import Window
from ventriloquist.windows.lines import Header, Line, quote, write
from ventriloquist.workspace import Workspace


def said(name: str, text: str, delta: str = "<1m", reply_to: str | None = None, kind: str = "text") -> Line:
    """A message's line."""
    return Line(name, delta, reply_to, kind, text)


def window(lines: Sequence[Line], targets: int, split: str = "train", of: str = "dm-maya", kind: str = "dm") -> Window:
    """A window of these lines; its members are those who speak in it, and Alex."""
    members = tuple(dict.fromkeys([line.name for line in lines] + ["Alex"]))
    text = "".join(map(write, [Header(kind, members, "2024-03-15"), *lines]))
    return Window(text, targets, of, split)


def window_line(window: Window) -> bytes:
    """A window as it stands in the file."""
    fields = {name: getattr(window, name) for name in ("text", "targets", "conversation", "split")}
    return quote(fields).encode() + b"\n"


def write_windows(workspace: Workspace, windows: Sequence[Window], me: str = "Alex") -> None:
    """Make these the workspace's windows, with a report that says who I am."""
    workspace.prepare()
    workspace.windows.write_bytes(b"".join(map(window_line, windows)))
    report = {"sha256": "", "store": "", "settings": {}, "windows": {}, "targets": 0, "people": {}, "me": me}
    workspace.windows_report.write_text(json.dumps(report))


def a_few() -> list[Window]:
    """Two windows with Maya, one of each held-out split, and one of a group."""
    talk = [
        said("Maya", "did you feed Pickle?"),
        said("Alex", "yes", "<5m", "did you feed Pickle?"),
        said("Maya", "Loved", "<1m", "yes", "reaction"),
        said("Alex", "A photo", "1d+", None, "image"),
        said("Maya", "Crème brûlée!", "<1h"),
    ]
    theo, nico = said("Theo", "pizza?", "<12h"), said("Nico", "https://example.org", "<1d", None, "link")
    return [
        window(talk, 5),
        window([*talk[2:], said("Alex", "omg 😂")], 2),
        window([theo, nico, said("Maya", "yes pizza")], 3, of="group-1", kind="group"),
        window([*talk, said("Maya", "crème")], 1, "validation"),
        window([theo, nico], 1, "test", of="group-1", kind="group"),
    ]
