"""Draws the README's pictures from the app itself, on the sample history.

`python docs/screenshots.py` draws the statistics, the ledger and what could be described, of a sample that it collects
into a temporary workspace; `python docs/screenshots.py WORKSPACE`, on one that `ventriloquist demo` made, home, a
training, a window and a chat.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Input

from ventriloquist import demo
from ventriloquist.pipeline.collect import collect
from ventriloquist.runs import perform
from ventriloquist.settings import CollectSettings
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.workspace import Workspace

IMAGES = Path(__file__).parent / "images"
SIZE = (90, 28)
PLOTS_SIZE = (120, 40)
PLACE = "America/Denver"
MESSAGES = 8000
CHAT_SIZE = (112, 32)
SAID = ("/live Maya", "hey, any plans this evening?", "did you feed the cat?", "/react #1 Loved")


async def draw(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=SIZE) as pilot:
        await seen(pilot, "evaluate", "done")
        save(app, "home")
        await pilot.press("r")
        await seen(pilot, "train")
        await open_training(pilot)
        await pilot.press("v")
        await seen(pilot, "generated")
        save(app, "run")
        await pilot.press("escape", "escape", "v")
        await seen(pilot, "window 1 of")
        save(app, "windows")


async def draw_chat(workspace: Workspace) -> None:
    """A real conversation, and how it goes on."""
    app = VentriloquistApp(workspace)
    async with app.run_test(size=CHAT_SIZE) as pilot:
        await seen(pilot, "evaluate", "done")
        await pilot.press("l")
        await seen(pilot, "You are")
        for words in SAID:
            app.screen.query_one("#prompt", Input).value = words
            await pilot.press("enter")
            await pilot.pause(6)
        save(app, "chat")


async def draw_numbers(workspace: Workspace) -> None:
    """The statistics of one person, the ledger, and what there is to describe."""
    app = VentriloquistApp(workspace)
    async with app.run_test(size=PLOTS_SIZE) as pilot:
        await seen(pilot, "collect", "done")
        await pilot.press("s")
        await seen(pilot, "Everyone", "time to answer")
        await pilot.press("down")
        await seen(pilot, "time to answer", "in groups")
        save(app, "stats")
        await pilot.press("escape", "g")
        await seen(pilot, "rows in the source")
        save(app, "ledger")
        await pilot.press("escape", "d")
        await seen(pilot, "what there is", "Enter asks")
        save(app, "describe")


def sample(root: Path) -> Workspace:
    """A workspace with the sample history, collected."""
    workspace, written = Workspace(root / "work"), demo.write(root / "sample", messages=MESSAGES)
    settings = CollectSettings.load(workspace, db=written.chat_db)
    perform("collect", collect, settings, workspace, ["collect", "--db", str(written.chat_db)])
    return workspace


async def open_training(pilot: Pilot[None]) -> None:
    """From the list of runs to the training."""
    for _ in range(10):
        await pilot.press("enter")
        await pilot.pause(1)
        if "million weights" in text(pilot):
            return
        await pilot.press("escape")
        await pilot.pause(0.5)
        await pilot.press("down")
    sys.exit("the workspace has no training to show")


async def seen(pilot: Pilot[None], *words: str) -> None:
    """Wait until the screen shows these words."""
    for _ in range(120):
        await pilot.pause(0.25)
        if all(word in text(pilot) for word in words):
            return
    sys.exit(f"the screen never showed {words}")


def text(pilot: Pilot[None]) -> str:
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def save(app: VentriloquistApp, name: str) -> None:
    """The screen as SVG, without the fonts that it would load from elsewhere, and with the same ids each time."""
    svg = app.export_screenshot(title="Ventriloquist")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+", f"terminal-{name}", svg)
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.svg").write_text(svg)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            with tempfile.TemporaryDirectory() as folder:
                os.environ.update(HOME=folder, TZ=PLACE)  # so that nothing of this machine is in the picture
                os.environ.update(GEMINI_API_KEY="none")  # nothing is sent: nobody says yes
                time.tzset()
                asyncio.run(draw_numbers(sample(Path(folder))))
        case [where] if not where.startswith("-"):
            asyncio.run(draw(Workspace.at(where)))
            asyncio.run(draw_chat(Workspace.at(where)))
        case _:
            sys.exit(__doc__)
