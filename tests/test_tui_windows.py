"""The preview of training windows on the screen: keys, filters, search, both forms, strangers' words, damage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from tests.hostile import hostile_strings
from tests.some_windows import a_few, said, window, write_windows
from tests.test_tui_screens import home, onto, until
from tests.tui_helpers import CONTROLS, SIZES, assert_clean, screen_lines, screen_text
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.tui.screens.ask import AskScreen
from ventriloquist.tui.screens.help import HelpScreen
from ventriloquist.tui.screens.home import HomeScreen
from ventriloquist.tui.screens.pick import PickScreen
from ventriloquist.tui.screens.windows import WindowsScreen
from ventriloquist.tui.widgets.window_text import LONGEST, WindowText
from ventriloquist.windows.build import Window
from ventriloquist.windows.lines import Line, write
from ventriloquist.workspace import Workspace


@pytest.fixture
def few(workspace: Workspace) -> Workspace:
    """A workspace with five small windows."""
    write_windows(workspace, a_few())
    return workspace


async def open_windows(app: App[Any], pilot: Pilot[Any], first: str = "window 1 of") -> WindowsScreen:
    """The preview, when it shows its first window."""
    await home(app, pilot)
    await pilot.press("v")
    screen: WindowsScreen = await onto(app, pilot, WindowsScreen)
    await until(pilot, lambda: first in " ".join(screen_text(app).split()))
    return screen


def gutter(app: App[Any]) -> list[str]:
    """The marks down the left side of the window that is shown, each row's."""
    region = app.screen.query_one(WindowText).region
    return [line[2:4].strip() for line in screen_lines(app)[region.y : region.bottom]]


# --- what is shown ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [*SIZES, (140, 40)])
async def test_a_window_is_shown_with_its_marks(few: Workspace, size: tuple[int, int]) -> None:
    app = VentriloquistApp(few)
    async with app.run_test(size=size) as pilot:
        screen = await open_windows(app, pilot)
        shown = screen_text(app)
        for words in (
            "window 1 of 5",
            "train · Maya",
            "5 lines, 5 learnt",
            "Crème brûlée!",
            "(<1m)",
            "delta not learnt",
        ):
            assert words in shown, words
        assert "↪ did you feed Pickle?" in shown and "[image] A photo" in shown and "from 2024-03-15" in shown
        assert gutter(app)[:8] == ["≡", *["┃"] * 6, ""]  # the reply has a row of its own
        await pilot.press("right")
        await until(pilot, lambda: "window 2 of 5" in screen_text(app))
        assert gutter(app)[:6] == ["≡", "·", "·", "┃", "┃", ""] and "not learnt" not in screen_text(app)
        text = screen.query_one(WindowText)
        assert text.region.right <= size[0] and not text.show_horizontal_scrollbar
        assert all(len(line.rstrip()) <= size[0] for line in screen_lines(app))


@pytest.mark.parametrize("size", [(60, 20), (140, 40)])
async def test_the_raw_form_is_the_json_that_the_model_reads(few: Workspace, size: tuple[int, int]) -> None:
    app = VentriloquistApp(few)
    async with app.run_test(size=size) as pilot:
        screen = await open_windows(app, pilot)
        await pilot.press("r")
        await until(pilot, lambda: '{"name": "Maya"' in screen_text(app))
        text = screen.query_one(WindowText)
        rows = "".join(row.plain[3:].lstrip() + (" " if not row.plain.endswith("}") else "") for row in text._rows)
        rows = rows.replace("↑ its delta is not learnt: a window's first line has none of its own ", "")
        if size[0] == 140:
            assert rows == a_few()[0].text.replace("\n", "") and "its delta is not learnt" in screen_text(app)
        await pilot.press("r")
        await until(pilot, lambda: '{"name"' not in screen_text(app))


async def test_held_out_windows_open_at_their_target(workspace: Workspace) -> None:
    talk = [said("Maya", f"message {number}") for number in range(200)]
    write_windows(workspace, [window(talk, 1, "test"), window(talk, 100)])
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_windows(app, pilot)
        await until(pilot, lambda: "message 199" in screen_text(app))
        assert gutter(app)[-1] == "┃" and "1 measured" in screen_text(app)
        await pilot.press("home")
        await until(pilot, lambda: "message 0" in screen_text(app))
        await pilot.press("n")
        await until(pilot, lambda: "message 100" in screen_text(app))
        assert {"·", "┃"} <= set(gutter(app))
        top = screen.query_one(WindowText)._line_of_row[screen.query_one(WindowText).scroll_offset.y]
        await pilot.press("r")
        await pilot.pause()
        text = screen.query_one(WindowText)
        assert text._line_of_row[text.scroll_offset.y] == top
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert text._line_of_row[text.scroll_offset.y] == top and all(row.cell_length <= 57 for row in text._rows)


# --- keys -------------------------------------------------------------------------------------------------------


async def test_keys_move_jump_and_stop_at_the_ends(few: Workspace) -> None:
    app = VentriloquistApp(few)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_windows(app, pilot)
        await pilot.press("left")
        await until(pilot, lambda: "the first one" in screen_text(app))
        await pilot.press(*["n"] * 9)
        await until(pilot, lambda: "window 5 of 5" in screen_text(app) and "the last one" in screen_text(app))
        for typed, at in (("2", 1), ("99", 1), ("x", 1), ("4", 3)):
            await pilot.press("g")
            await onto(app, pilot, AskScreen)
            await pilot.press(*typed, "enter")
            await onto(app, pilot, WindowsScreen)
            await until(pilot, lambda at=at: screen.at == at)
        await until(pilot, lambda: "window 4 of 5" in screen_text(app))
        await pilot.press("p", "question_mark")
        keys = dict((await onto(app, pilot, HelpScreen)).keys)
        assert {"← p", "→ n", "r", "s", "w", "/", "g", "esc"} <= keys.keys()
        await pilot.press("escape", "escape")
        await onto(app, pilot, HomeScreen)


async def test_filters_leave_what_fits_and_escape_takes_them_away(few: Workspace) -> None:
    app = VentriloquistApp(few)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = await open_windows(app, pilot)
        for split, count in (("train", 3), ("validation", 1), ("test", 1)):
            await pilot.press("s")
            await until(
                pilot,
                lambda split=split, count=count: (
                    f"of {count}" in screen_text(app) and f"only {split}" in screen_text(app)
                ),
            )
        assert "1 measured" in screen_text(app)
        await pilot.press("s")
        await until(pilot, lambda: "of 5" in screen_text(app) and "only" not in screen_text(app))
        await pilot.press("w")
        picked = await onto(app, pilot, PickScreen)
        assert picked.query_one(OptionList).option_count == 6
        await pilot.press(*"NICO")
        await until(pilot, lambda: picked.query_one(OptionList).option_count == 2)
        await pilot.press("down", "up", "enter")
        await until(pilot, lambda: "of 2" in screen_text(app) and "only with Nico" in screen_text(app))
        await pilot.press("s", "s")
        await until(pilot, lambda: "No window fits" in screen_text(app))
        await pilot.press("right", "g", "r", "escape")
        await until(pilot, lambda: "of 5" in screen_text(app) and "learnt" in screen_text(app))
        assert app.screen is screen
        await pilot.press("escape")
        await onto(app, pilot, HomeScreen)


async def test_a_search_leaves_windows_that_hold_the_words(few: Workspace) -> None:
    app = VentriloquistApp(few)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_windows(app, pilot)
        await pilot.press("slash", *"CREME", "enter")
        await until(pilot, lambda: "of 3" in screen_text(app) and "only “CREME”" in screen_text(app))
        assert [mark for mark in gutter(app) if "*" in mark] == ["┃*"] and "* has the words" in screen_text(app)
        await pilot.press("s", "s")
        await until(pilot, lambda: "window 1 of 1" in screen_text(app))
        assert [mark for mark in gutter(app) if "*" in mark] == ["·*", "┃*"]
        await pilot.press("slash", *"nothing like it", "enter")
        await until(pilot, lambda: "No window fits" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "only validation" in screen_text(app) and not screen.query_one("#search").display)
        assert screen.query_one("#search", Input).value == "" and isinstance(screen.focused, WindowText)
        await pilot.press("escape", "escape")
        await onto(app, pilot, HomeScreen)


# --- what is wrong ----------------------------------------------------------------------------------------------


async def test_a_missing_or_damaged_file_is_a_sentence(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20), notifications=True) as pilot:
        await open_windows(app, pilot, "There are no training windows yet.")
        await pilot.press("right", "r", "s", "w", "g", "escape")
        await onto(app, pilot, HomeScreen)
        workspace.windows.write_bytes(b"\xff\xfe\n{}\n")
        await open_windows(app, pilot, "holds no window")
        await pilot.press("escape")
        await onto(app, pilot, HomeScreen)
        write_windows(workspace, a_few())
        with workspace.windows.open("ab") as file:
            file.write(b"{}\n{\n")
        await open_windows(app, pilot)
        await until(pilot, lambda: "2 lines of the windows are damaged" in " ".join(screen_text(app).split()))
        assert app.return_code is None


async def test_windows_that_were_cut_anew_are_read_anew(few: Workspace) -> None:
    app = VentriloquistApp(few)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_windows(app, pilot)
        await pilot.press("w", *"Nico", "enter")
        await until(pilot, lambda: "of 2" in screen_text(app))
        write_windows(few, [*a_few(), window([said("Nico", "new")], 1, of="dm-nico")])
        await pilot.press("right")
        await until(pilot, lambda: "cut anew" in screen_text(app) and "of 3" in screen_text(app))
        few.windows.unlink()
        await pilot.press("left")
        await until(pilot, lambda: "There are no training windows yet" in " ".join(screen_text(app).split()))
        assert app.screen is screen


def hostile_window(texts: Sequence[str]) -> list[Window]:
    lines = [
        said(text[:300], text[:3000], reply_to=text[:50], kind="image" if text[:1] == "s" else "text") for text in texts
    ]
    foreign = '{"name": "\x1b[31m\u202e", "text": [@click=app.quit]x[/]}\n'
    shown = window(lines, len(lines) // 2, of="[/]\x1b[2J", kind="group")
    return [Window(shown.text + foreign, shown.targets, shown.conversation, "train")]


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_hostile_strings_pass_every_view(workspace: Workspace, size: tuple[int, int]) -> None:
    write_windows(workspace, hostile_window([text for _, text in hostile_strings()]), me="[b]\x1b[1m")
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = await open_windows(app, pilot)
        text = screen.query_one(WindowText)
        for _ in range(2):
            assert len(text._rows) > 600
            assert not any(CONTROLS.search(row.plain) or row.cell_length > text.size.width for row in text._rows)
            for y in range(0, len(text._rows), len(text._rows) // 12):
                text.scroll_to(y=y, animate=False)
                await pilot.pause()
                assert_clean(app)
            await pilot.press("r")
            await pilot.pause()
        await pilot.press("w")
        await onto(app, pilot, PickScreen)
        assert_clean(app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "only with" in screen_text(app))
        assert_clean(app)
        screen.query_one("#search", Input).display = True
        screen.query_one("#search", Input).value = "[bold red]\x1b[31m[/]"
        screen.query_one("#search", Input).focus()
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert_clean(app)
        assert app.return_code is None


async def test_a_huge_window_opens(workspace: Workspace) -> None:
    """Thousands of lines, and lines of megabytes: shown as far as a person, or the model, would read."""
    long = Line("Maya", "<1m", None, "text", "word " * 400_000)
    talk = [said("Maya", f"line {number} 😂" * 3) for number in range(4000)]
    write_windows(workspace, [window([*talk, said("Maya", "last")], 4001), window([long], 1)])
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = await open_windows(app, pilot)
        await pilot.press("end")
        await until(pilot, lambda: "last" in screen_text(app))
        await pilot.press("right")
        await until(pilot, lambda: "window 2 of 2" in screen_text(app))
        await pilot.press("r")
        text = screen.query_one(WindowText)
        await until(
            pilot, lambda: f"{len(write(long)) - 1 - LONGEST:,} more" in "".join(row.plain for row in text._rows)
        )
        assert sum(len(row.plain) for row in text._rows) < 2 * LONGEST


async def test_the_real_windows_are_paged_through(learnt: Workspace) -> None:
    app = VentriloquistApp(learnt)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_windows(app, pilot)
        await until(pilot, lambda: "tokens" in screen_text(app))
        for number in range(2, 30):
            await pilot.press("right")
            if number % 5 == 0:
                await until(pilot, lambda number=number: f"window {number} of" in screen_text(app))
                assert_clean(app)
        assert screen.index and len(screen.places) == len(screen.index.places)
