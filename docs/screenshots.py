"""Draws the README's pictures from the app itself: `python docs/screenshots.py WORKSPACE`, on a demo's workspace."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from textual.pilot import Pilot

from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.workspace import Workspace

IMAGES = Path(__file__).parent / "images"
SIZE = (90, 28)
SAID = ("hey, any plans this evening?", "did you feed the cat?", "what is your favourite food?")


async def draw(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=SIZE) as pilot:
        await seen(pilot, "evaluate", "done")
        save(app, "home")
        await pilot.press("r")
        await seen(pilot, "train")
        await open_training(pilot)
        save(app, "run")
        await pilot.press("escape", "escape")
        await pilot.press("l")
        await seen(pilot, "Say something")
        await pilot.pause(8)
        for words in SAID:
            await pilot.press(*("space" if letter == " " else letter for letter in words), "enter")
            await pilot.pause(6)
        save(app, "chat")


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
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asyncio.run(draw(Workspace.at(sys.argv[1])))
