"""The people screen and the likely duplicates, driven by keys on a small history."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, SelectionList

from tests.hostile import hostile_strings
from tests.people_history import HOME, INGRID, MAYA, MAYA_MAIL, MAYA_NEW, NEW, PRIYA, THEO, THEO_TWIN, write_history
from tests.test_tui_screens import home, onto, until
from tests.tui_helpers import SIZES, assert_clean, screen_lines, screen_text
from ventriloquist.locks import hold
from ventriloquist.store import Store
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.tui.screens.ask import AskScreen
from ventriloquist.tui.screens.confirm import ConfirmScreen
from ventriloquist.tui.screens.duplicates import DuplicatesScreen
from ventriloquist.tui.screens.help import HelpScreen
from ventriloquist.tui.screens.home import HomeScreen
from ventriloquist.tui.screens.people import PeopleScreen
from ventriloquist.tui.screens.split import SplitScreen
from ventriloquist.workspace import Workspace


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    write_history(folder)
    return folder / "work"


@pytest.fixture
def work(collected: Path, tmp_path: Path) -> Iterator[Workspace]:
    shutil.copytree(collected, tmp_path / "copy")
    yield Workspace(tmp_path / "copy")


def people(work: Workspace) -> dict[str, tuple[str, ...]]:
    with Store.open(work) as store:
        return {each.name: each.handles for each in store.people().values()}


async def people_screen(app: App[Any], pilot: Pilot[Any]) -> PeopleScreen:
    """The people screen, opened from home, when it has read the people."""
    await home(app, pilot)
    await pilot.press("w")
    screen: PeopleScreen = await onto(app, pilot, PeopleScreen)
    await until(pilot, lambda: bool(screen.listed))
    return screen


async def go_to(screen: PeopleScreen, pilot: Pilot[Any], name: str) -> None:
    """Put the cursor on someone."""
    at = next(number for number, each in enumerate(screen.shown) if each.person.name == name)
    screen.query_one(OptionList).highlighted = at
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_everyone_is_on_one_line_with_what_they_wrote(work: Workspace, size: tuple[int, int]) -> None:
    app = VentriloquistApp(work)
    async with app.run_test(size=size) as pilot:
        await people_screen(app, pilot)
        lines = screen_lines(app)
        ingrid = next(line for line in lines if "Ingrid Sample" in line)
        assert INGRID in ingrid and ingrid.split()[-1] == "42"
        assert "12 people" in lines[0] + lines[1]
        await pilot.press("end")
        await until(pilot, lambda: any("Me (you)" in line and "446" in line for line in screen_lines(app)))
        assert "Merge" in screen_lines(app)[-1]
        await pilot.press("question_mark")
        keys = (await onto(app, pilot, HelpScreen)).keys
        assert {("d", "Likely duplicates, with the evidence"), ("i", "Import names from a contacts file")} <= set(keys)
        await pilot.press("escape")
        await onto(app, pilot, PeopleScreen)
        await pilot.press("escape")
        await onto(app, pilot, HomeScreen)


async def test_search_by_name_number_and_address(work: Workspace) -> None:
    app = VentriloquistApp(work)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await people_screen(app, pilot)
        for typed, found in (
            ("MÁYA", ["Maya", "Maya Lind", MAYA_MAIL]),
            ("555-0106", ["Priya"]),
            ("lind@", [MAYA_MAIL]),
            ("nobody", []),
        ):
            await pilot.press("slash")
            screen.query_one("#search", Input).value = typed
            await until(pilot, lambda found=found: [each.person.name for each in screen.shown] == found)
            await pilot.press("escape")
            await until(pilot, lambda: len(screen.shown) == 12)
            assert isinstance(screen.focused, OptionList)


async def test_marked_people_are_merged_after_a_yes(work: Workspace) -> None:
    app = VentriloquistApp(work)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await people_screen(app, pilot)
        await pilot.press("m")
        await until(pilot, lambda: "Mark two people" in screen_text(app))
        await go_to(screen, pilot, "Maya Lind")
        await pilot.press("space")
        await go_to(screen, pilot, "Maya")
        await pilot.press("enter")
        await until(pilot, lambda: "2 marked" in screen_text(app))
        await pilot.press("m")
        await onto(app, pilot, ConfirmScreen)
        assert "Is Maya the same person as Maya Lind?" in screen_text(app)
        await pilot.press("n")
        await onto(app, pilot, PeopleScreen)
        assert screen.marked == [MAYA, MAYA_NEW]
        await pilot.press("m")
        await onto(app, pilot, ConfirmScreen)
        await pilot.press("y")
        await until(pilot, lambda: len(screen.listed) == 11)
        assert screen.chosen and screen.chosen.handles == (MAYA, MAYA_NEW)
        assert people(work)["Maya Lind"] == (MAYA, MAYA_NEW)


async def test_one_mark_and_the_cursor_and_me_first(work: Workspace) -> None:
    app = VentriloquistApp(work)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await people_screen(app, pilot)
        await go_to(screen, pilot, MAYA_MAIL)
        await pilot.press("space")
        await go_to(screen, pilot, "Me")
        await pilot.press("m")
        await onto(app, pilot, ConfirmScreen)
        assert f"Is {MAYA_MAIL} you?" in screen_text(app)
        await pilot.press("y")
        await until(pilot, lambda: len(screen.listed) == 11)
        assert MAYA_MAIL in people(work)["Me"]


async def test_rename_and_the_fault_of_a_name_that_is_taken(work: Workspace) -> None:
    app = VentriloquistApp(work)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await people_screen(app, pilot)
        await go_to(screen, pilot, "Priya")
        await pilot.press("r")
        ask = await onto(app, pilot, AskScreen)
        assert ask.query_one(Input).value == "Priya"
        ask.query_one(Input).value = "maya lind"
        await pilot.press("enter")
        await until(pilot, lambda: "somebody else here" in screen_text(app))
        await pilot.press("r")
        (await onto(app, pilot, AskScreen)).query_one(Input).value = "Priya Sample"
        await pilot.press("enter")
        await until(pilot, lambda: bool(screen.chosen and screen.chosen.name == "Priya Sample"))
        assert people(work)["Priya Sample"] == (PRIYA,)


@pytest.mark.parametrize("size", SIZES)
async def test_split_takes_chosen_addresses(work: Workspace, size: tuple[int, int]) -> None:
    app = VentriloquistApp(work)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = await people_screen(app, pilot)
        await go_to(screen, pilot, "Priya")
        await pilot.press("s")
        await until(pilot, lambda: "has one address only" in screen_text(app))
        await go_to(screen, pilot, "Ingrid Sample")
        await pilot.press("s")
        split = await onto(app, pilot, SplitScreen)
        split.query_one("#yes").press()
        await until(pilot, lambda: "Choose some of them" in screen_text(app))
        button = split.query_one("#yes").region
        assert button.bottom <= size[1] and button.right <= size[0]
        await pilot.press("down", "space")
        assert split.query_one(SelectionList).selected == [1]
        split.query_one(Input).value = "Old house"
        split.query_one(Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: "Old house" in people(work))
        assert (people(work)["Old house"], people(work)["Ingrid Sample"]) == ((HOME,), (INGRID,))


async def test_import_says_what_came(work: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "c.vcf"
    file.write_text(f"BEGIN:VCARD\nFN:Nora Sample\nTEL:{NEW}\nEND:VCARD\n")
    app = VentriloquistApp(work)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await people_screen(app, pilot)
        for path, words in ((tmp_path / "none.vcf", "There is no file"), (file, "1 contact came")):
            await pilot.press("i")
            (await onto(app, pilot, AskScreen)).query_one(Input).value = str(path)
            await pilot.press("enter")
            await until(pilot, lambda words=words: words in screen_text(app))
        await until(pilot, lambda: any(each.person.name == "Nora Sample" for each in screen.listed))


@pytest.mark.parametrize("size", SIZES)
async def test_duplicates_are_walked_through(work: Workspace, size: tuple[int, int]) -> None:
    app = VentriloquistApp(work)
    async with app.run_test(size=size, notifications=True) as pilot:
        await people_screen(app, pilot)
        await pilot.press("d")
        screen = await onto(app, pilot, DuplicatesScreen)
        await until(pilot, lambda: "1 of 3" in screen_text(app))
        shown = " ".join(screen_text(app).split())
        assert "very likely" in shown and "+ Maya may be short for Maya Lind." in shown and "101 messages" in shown
        await pilot.press("right", "right")
        await until(pilot, lambda: "3 of 3" in screen_text(app))
        await pilot.press("n")
        await until(pilot, lambda: screen.current is None)
        assert "last one" in screen_text(app)
        await pilot.press("left", "left")
        await until(pilot, lambda: "1 of 2" in screen_text(app))
        await pilot.press("y")
        await until(pilot, lambda: "1 of 1" in screen_text(app))
        await pilot.press("y")
        await until(pilot, lambda: "Nobody here seems" in screen_text(app))
        assert people(work)["Maya Lind"] == (MAYA, MAYA_NEW, MAYA_MAIL)
        assert any(line.get("apart") for line in map(json.loads, work.contacts.read_text().splitlines()))
        await pilot.press("escape")
        await until(pilot, lambda: "10 people" in screen_text(app))


async def test_nothing_collected_and_a_held_workspace_are_sentences(work: Workspace, tmp_path: Path) -> None:
    app = VentriloquistApp(Workspace(tmp_path / "empty").prepare())
    async with app.run_test(size=(60, 20)) as pilot:
        await home(app, pilot)
        await pilot.press("w")
        await onto(app, pilot, PeopleScreen)
        await until(pilot, lambda: "Nothing is collected yet" in screen_text(app))
        await pilot.press("m", "r", "s", "d", "space")
    app = VentriloquistApp(work)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await people_screen(app, pilot)
        await pilot.press("d")
        screen = await onto(app, pilot, DuplicatesScreen)
        await until(pilot, lambda: screen.current is not None)
        with hold(work.lock, "a test"):
            await pilot.press("y")
            await until(pilot, lambda: "Another run holds" in screen_text(app))
        await pilot.press("y")
        await until(pilot, lambda: "1 of 2" in screen_text(app))


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_hostile_names_do_no_harm(tmp_path: Path, size: tuple[int, int]) -> None:
    texts = [text for _, text in hostile_strings() if text.strip() and len(text) < 90]
    names = ["[/]\x1b[2J\u202e [@click=app.quit]x[/]", *(" ".join(texts[number::6]) for number in range(6))]
    handles = (MAYA, THEO, THEO_TWIN, PRIYA, NEW, MAYA_NEW, MAYA_MAIL)
    contacts: list[dict[str, object]] = [
        {"contact": name, "ids": [handle, *texts[:3]]} for name, handle in zip(names, handles, strict=True)
    ]
    work = write_history(tmp_path, [*contacts, {"contact": names[0] * 9, "ids": [INGRID, HOME]}])
    app = VentriloquistApp(work)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = await people_screen(app, pilot)
        assert_clean(app)
        for number in range(len(screen.shown)):
            screen.query_one(OptionList).highlighted = number
            await pilot.pause()
            assert_clean(app)
        await pilot.press("home", "space", "down", "space", "m")
        await onto(app, pilot, ConfirmScreen)
        assert_clean(app)
        await pilot.press("n")
        await onto(app, pilot, PeopleScreen)
        at = next(number for number, each in enumerate(screen.shown) if INGRID in each.person.handles)
        screen.query_one(OptionList).highlighted = at
        for key, modal in (("r", AskScreen), ("s", SplitScreen)):
            await pilot.press(key)
            await onto(app, pilot, modal)
            assert_clean(app)
            await pilot.press("escape")
            await onto(app, pilot, PeopleScreen)
        await pilot.press("r")
        (await onto(app, pilot, AskScreen)).query_one(Input).value = names[0]
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen)
        await pilot.pause(0.2)
        assert_clean(app)
        await pilot.press("d")
        await onto(app, pilot, DuplicatesScreen)
        await pilot.pause(0.2)
        assert_clean(app)
