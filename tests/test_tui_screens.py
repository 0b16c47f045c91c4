"""Home, forms, runs and a run, driven by keys at the sizes that terminals have."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Collapsible, Input, Log, OptionList, Select, Switch, TabbedContent

from tests.hostile import hostile_strings
from tests.tui_helpers import (
    BEGAN,
    SIZES,
    add_events,
    assert_clean,
    ended,
    living,
    make_checkpoint,
    screen_text,
    training,
    write_run,
)  # fmt: skip
from ventriloquist import runs
from ventriloquist.settings import PIPELINE, STAGES
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.tui.screens.confirm import ConfirmScreen
from ventriloquist.tui.screens.form import FormScreen
from ventriloquist.tui.screens.help import HelpScreen
from ventriloquist.tui.screens.home import HomeScreen
from ventriloquist.tui.screens.run import RunScreen
from ventriloquist.tui.screens.runs import RunsScreen
from ventriloquist.tui.widgets.field import Field
from ventriloquist.tui.widgets.stage_row import StageRow
from ventriloquist.workspace import Workspace

HOSTILE = " ".join(text for _, text in hostile_strings() if len(text) < 200)


async def until(pilot: Pilot[Any], what: Callable[[], bool]) -> None:
    """Wait for something to show; fails with the screen if it does not come."""
    for _ in range(600):
        await pilot.pause()
        if what():
            await pilot.pause()
            return
        await pilot.pause(0.05)
    raise AssertionError(screen_text(pilot.app))


async def home(app: App[Any], pilot: Pilot[Any]) -> HomeScreen:
    """The home screen, when it has read the disk."""
    screen = app.screen
    assert isinstance(screen, HomeScreen)
    await until(pilot, lambda: screen.overview is not None)
    return screen


async def onto(app: App[Any], pilot: Pilot[Any], kind: type[Any]) -> Any:
    """The active screen, once it is of this kind."""
    await until(pilot, lambda: isinstance(app.screen, kind))
    return app.screen


def test_the_first_paint_loads_no_model_library(workspace: Workspace) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.workspace import Workspace

async def main():
    app = VentriloquistApp(Workspace(Path(sys.argv[1])))
    async with app.run_test(size=(80, 24)) as pilot:
        while app.screen.overview is None:
            await pilot.pause(0.02)
        assert app.export_screenshot()
asyncio.run(main())
heavy = ("torch", "transformers", "peft", "google.genai", "PIL")
print(sorted(name for name in heavy if name in sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(workspace.root)], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("size", SIZES)
async def test_home_shows_every_stage_and_what_to_do(workspace: Workspace, size: tuple[int, int]) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size, notifications=True) as pilot:
        await home(app, pilot)
        shown = screen_text(app)
        for stage in (*PIPELINE, "chat"):
            assert stage in shown
        assert "ready" in shown and "comes first" in shown and "No messages yet." in shown and "Quit" in shown
        assert not app.screen.query_one("#stages").show_vertical_scrollbar
        await pilot.press("l")
        await until(pilot, lambda: "no trained model" in screen_text(app))


async def test_home_is_walked_with_the_arrows(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        await home(app, pilot)
        seen = []
        for _ in range(7):
            seen.append(app.screen.focused)
            await pilot.press("down")
        stages = [row.stage for row in seen if isinstance(row, StageRow)]
        assert stages == [*PIPELINE, "chat", "collect"]
        await pilot.press("up")
        assert isinstance(app.screen.focused, StageRow) and app.screen.focused.stage == "collect"


async def test_a_real_workspace_is_told_on_home(learnt: Workspace) -> None:
    app = VentriloquistApp(learnt)
    async with app.run_test(size=(80, 24)) as pilot:
        await home(app, pilot)
        shown = screen_text(app)
        assert shown.count("done") >= 4 and "messages," in shown and "windows," in shown and "text loss" in shown
        assert "Press l" in shown
        assert_clean(app)


async def test_a_running_stage_shows_its_progress_and_its_end(workspace: Workspace) -> None:
    folder = write_run(workspace, "train", training(50, 200))
    app = VentriloquistApp(workspace)
    with living(folder):
        async with app.run_test(size=(80, 24)) as pilot:
            screen = await home(app, pilot)
            await until(pilot, lambda: "25%" in screen_text(app) and "left" in screen_text(app))
            focused = screen.focused
            assert isinstance(focused, StageRow) and focused.stage == "train"
            add_events(folder, [{"kind": "progress", "done": 150, "total": 200, "unit": "steps"}])
            await until(pilot, lambda: "75%" in screen_text(app))
            add_events(folder, [ended("failed", "The disk is full.")])
            await until(pilot, lambda: "The disk is full." in screen_text(app))
            assert "75%" not in screen_text(app)


async def test_a_run_that_takes_its_lock_late_is_found_running(workspace: Workspace) -> None:
    folder = write_run(workspace, "train", training(50, 200), began=round(time.time() - BEGAN.timestamp()))
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await home(app, pilot)
        assert "lost" in screen_text(app)
        with living(folder):
            await until(pilot, lambda: "25%" in screen_text(app))


async def test_enter_on_a_running_stage_opens_its_run(workspace: Workspace) -> None:
    folder = write_run(workspace, "train", training(60, 200), log="a line of output\n")
    app = VentriloquistApp(workspace)
    with living(folder):
        async with app.run_test(size=(80, 24)) as pilot:
            await home(app, pilot)
            await pilot.press("enter")
            screen = await onto(app, pilot, RunScreen)
            await until(pilot, lambda: "held-out loss" in screen_text(app))
            shown = screen_text(app)
            assert "30%" in shown and "60 of 200 steps" in shown and "train loss" in shown and "step 59" in shown
            assert "3.1 million weights" in shown
            add_events(folder, [{"kind": "progress", "done": 100, "total": 200, "unit": "steps"}])
            await until(pilot, lambda: "50%" in screen_text(app))
            await pilot.press("l")
            assert screen.query_one(TabbedContent).active == "log-tab"
            assert list(screen.query_one(Log).lines)[:1] == ["a line of output"]
            await pilot.press("s")
            await onto(app, pilot, ConfirmScreen)
            await pilot.press("n")
            await onto(app, pilot, RunScreen)
            await pilot.press("escape")
            await onto(app, pilot, HomeScreen)


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_an_ended_run_says_how_and_offers_resume(workspace: Workspace, size: tuple[int, int]) -> None:
    write_run(workspace, "train", [*training(10, 20), ended(checkpoint="tiny-x", steps=20)], began=0)
    write_run(workspace, "preprocess", [ended("failed", "No conversation has 8 messages.")], began=1)
    write_run(workspace, "evaluate", [{"kind": "phase", "name": "read"}], began=2)
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size) as pilot:
        await home(app, pilot)
        await pilot.press("r")
        listed = (await onto(app, pilot, RunsScreen)).query_one(OptionList)
        await until(pilot, lambda: listed.option_count == 3)
        shown = screen_text(app)
        assert "lost" in shown and "failed" in shown and "done" in shown and "checkpoint tiny-x" in shown
        for says, resumes in (("ended without a word", True), ("No conversation has 8", True), ("Made: ", False)):
            await pilot.press("enter")
            screen = await onto(app, pilot, RunScreen)
            await until(pilot, lambda says=says: says in " ".join(screen_text(app).split()))
            assert bool(screen.check_action("resume", ())) is resumes
            await pilot.press("escape")
            await onto(app, pilot, RunsScreen)
            await pilot.press("down")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stage", PIPELINE)
async def test_each_form_has_every_option(workspace: Workspace, stage: str, size: tuple[int, int]) -> None:
    settings = STAGES[stage]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size) as pilot:
        await home(app, pilot)
        app.push_screen(FormScreen(settings, workspace))
        form = await onto(app, pilot, FormScreen)
        assert {field.option for field in form.query(Field)} == set(settings.options())
        assert all(field.value is None for field in form.query(Field))
        for unfolded in (False, True):
            start = form.query_one("#start").region
            assert start.bottom <= size[1] and start.right <= size[0] and "Start" in screen_text(app)
            more = form.query(Collapsible)
            if more and not unfolded:
                more.first().collapsed = False
                await until(pilot, lambda: "-open" in form.query_one("#dialog").classes)
        await pilot.press("escape")
        await onto(app, pilot, HomeScreen)


async def test_a_form_starts_with_what_was_changed_only(workspace: Workspace) -> None:
    ended_with: list[Any] = []
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await home(app, pilot)
        app.push_screen(FormScreen(STAGES["train"], workspace), ended_with.append)
        form = await onto(app, pilot, FormScreen)
        fields = {field.option: field for field in form.query(Field)}
        fields["lora_r"].query_one(Input).value = "16"
        fields["device"].query_one(Select).value = "cpu"
        fields["fresh"].query_one(Switch).value = True
        await pilot.press("enter")
        await onto(app, pilot, HomeScreen)
    assert ended_with == [{"lora_r": "16", "device": "cpu", "fresh": True}]
    assert STAGES["train"].argv(**ended_with[0]) == ["train", "--lora-r", "16", "--device", "cpu", "--fresh"]


async def test_a_wrong_value_is_told_in_the_form(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        await home(app, pilot)
        await pilot.press("p")
        form = await onto(app, pilot, FormScreen)
        next(field for field in form.query(Field) if field.option == "size").query_one(Input).value = "1"
        await pilot.press("enter")
        await until(pilot, lambda: "--size" in screen_text(app))
        assert isinstance(app.screen, FormScreen)


async def test_a_wrong_settings_file_is_told_in_the_form(workspace: Workspace) -> None:
    workspace.settings_file.write_text("[preprocess]\nsiez = 5\n")
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await home(app, pilot)
        await pilot.press("p")
        await onto(app, pilot, FormScreen)
        await until(pilot, lambda: "siez" in screen_text(app))


async def test_a_stage_is_started_followed_and_resumed(workspace: Workspace, tmp_path: Path) -> None:
    """The real start: a process of its own, which fails since there is no chat.db where it was told to look."""
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await home(app, pilot)
        await pilot.press("c")
        form = await onto(app, pilot, FormScreen)
        next(field for field in form.query(Field) if field.option == "db").query_one(Input).value = str(
            tmp_path / "no.db"
        )
        await pilot.press("enter")
        first = await onto(app, pilot, RunScreen)
        await until(pilot, lambda: "no Messages history" in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, RunScreen) and app.screen is not first)
        await until(pilot, lambda: "no Messages history" in screen_text(app))
    assert [run.resumes for run in runs.list_runs(workspace)] == [None, first.info.id]


async def test_a_busy_workspace_is_a_sentence(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await home(app, pilot)
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(workspace.lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdout and holder.stdout.readline()
        await pilot.press("c", "enter")
        await until(pilot, lambda: "Another run holds" in screen_text(app))
        holder.communicate()
        assert app.return_code is None and isinstance(app.screen, HomeScreen)


HOLD = """
import sys
from pathlib import Path
from ventriloquist.locks import hold
with hold(Path(sys.argv[1]), "a test"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_hostile_strings_pass_every_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    """As notes, errors, phases, units, results, file names, checkpoint names and settings."""
    workspace = Workspace(tmp_path / "[/]\x1b[2J\u202e [@click=app.quit]x[/]").prepare()
    notes = [{"kind": "note", "level": "warning", "text": text[:3000]} for _, text in hostile_strings()]
    named = {"kind": "phase", "name": HOSTILE}
    counted = {"kind": "progress", "done": 1, "total": 3, "unit": HOSTILE}
    bad_run = "0101-000000-[red]\x1b[31m"
    log = "\n".join(text for _, text in hostile_strings())
    write_run(workspace, "train", [*notes, ended("failed", HOSTILE)], log=log, run_id=bad_run)
    write_run(workspace, "evaluate", [ended(**{HOSTILE[:90]: 1, "it": HOSTILE})], began=1)
    folder = write_run(workspace, "[b]\x1b[1m", [*notes[:5], named, counted], log=log, began=2)
    make_checkpoint(workspace, "[red]\x1b[31m\u202echeck[")
    workspace.settings_file.write_text('[train]\nbase = "[/]\\u001b[2J[@click=app.quit]x"\n')
    app = VentriloquistApp(workspace)
    with living(folder):
        async with app.run_test(size=size, notifications=True) as pilot:
            await home(app, pilot)
            await until(pilot, lambda: "[red][31mcheck[ · 3 people" in screen_text(app))
            assert_clean(app)
            await pilot.press("t")
            await onto(app, pilot, FormScreen)
            assert_clean(app)
            await pilot.press("escape")
            await onto(app, pilot, HomeScreen)
            await pilot.press("r")
            listed = (await onto(app, pilot, RunsScreen)).query_one(OptionList)
            await until(pilot, lambda: listed.option_count == 3)
            assert_clean(app)
            for _ in range(3):
                await pilot.press("enter")
                screen = await onto(app, pilot, RunScreen)
                await until(pilot, lambda screen=screen: "reading" not in screen_text(app))
                assert_clean(app)
                await pilot.press("l")
                await until(pilot, lambda screen=screen: screen.query_one(Log).is_on_screen)
                assert_clean(app)
                await pilot.press("escape")
                await onto(app, pilot, RunsScreen)
                await pilot.press("down")
            screen.problem(HOSTILE)
            await pilot.pause()
            assert_clean(app)


@pytest.mark.parametrize("size", SIZES)
async def test_help_names_the_keys(workspace: Workspace, size: tuple[int, int]) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size) as pilot:
        await home(app, pilot)
        await pilot.press("question_mark")
        screen = await onto(app, pilot, HelpScreen)
        assert ("↓ j", "Next row") in screen.keys and ("t", "Train") in screen.keys
        assert "From messages to a conversation" in screen_text(app)
        await pilot.press("escape")
        await onto(app, pilot, HomeScreen)


async def test_the_theme_is_kept_and_an_unknown_one_does_no_harm(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test() as pilot:
        app.theme = "nord"
        await pilot.pause()
    again = VentriloquistApp(workspace)
    async with again.run_test():
        assert again.theme == "nord"
    (workspace.data / "app.json").write_text('{"theme": "of another version"}')
    third = VentriloquistApp(workspace)
    async with third.run_test():
        assert third.theme == "ventriloquist"


@pytest.mark.parametrize("theme", ["ventriloquist-light", "ansi-dark", "textual-dark"])
async def test_other_themes_paint_every_part(workspace: Workspace, theme: str) -> None:
    folder = write_run(workspace, "train", training(20, 40))
    app = VentriloquistApp(workspace)
    with living(folder):
        async with app.run_test(size=(80, 24)) as pilot:
            app.theme = theme
            await home(app, pilot)
            await until(pilot, lambda: "50%" in screen_text(app))
            await pilot.press("enter")
            await onto(app, pilot, RunScreen)
            await until(pilot, lambda: "train loss" in screen_text(app))


async def test_a_broken_app_tells_no_private_words(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "meet me at the usual place"
    app = VentriloquistApp(workspace)
    with pytest.raises(RuntimeError):
        async with app.run_test() as pilot:
            await home(app, pilot)

            def breaks() -> None:
                raise RuntimeError(secret)

            app.call_later(breaks)
            await pilot.pause()
    told = "".join(str(part) for part in app._exit_renderables) + "".join(capsys.readouterr())
    assert secret not in told and app.return_code == 1
