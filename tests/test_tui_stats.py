"""The statistics and the ledger on the screen: what they show, the keys, plots that add up, strangers' names."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from tests.conftest import do
from tests.hostile import hostile_strings
from tests.test_ledger import write as write_ledger
from tests.test_stats import write as write_history
from tests.test_tui_screens import home, onto, until
from tests.tui_helpers import SIZES, assert_clean, screen_lines, screen_text
from ventriloquist import demo
from ventriloquist.pipeline.ledger import REASONS, ledger_of
from ventriloquist.pipeline.stats import Overview, read_overview
from ventriloquist.pipeline.telling import shade
from ventriloquist.records import Chat, ChatKind, Contact, Kind, Ledger, Message
from ventriloquist.store import Store
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.tui.screens.home import HomeScreen
from ventriloquist.tui.screens.ledger import LedgerScreen
from ventriloquist.tui.screens.stats import Rows, StatsScreen
from ventriloquist.tui.widgets.plots import EIGHTHS, THEM, YOU, Column, Week, columns_of, stacked, years_below
from ventriloquist.tui.widgets.portrait import Portrait
from ventriloquist.workspace import Workspace

HOSTILE = [text for _, text in hostile_strings() if len(text) < 300]


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory, sample: demo.Sample) -> Workspace:
    """The sample, collected. Its theme is nobody's."""
    workspace = Workspace(tmp_path_factory.mktemp("shown"))
    do("collect", workspace, db=sample.chat_db, region="US")
    return workspace


def overview_of(workspace: Workspace) -> Overview:
    with Store.open(workspace) as store:
        return read_overview(store)


async def open_stats(app: App[Any], pilot: Pilot[Any]) -> StatsScreen:
    """The statistics, when everyone's are painted."""
    await home(app, pilot)
    await pilot.press("s")
    screen: StatsScreen = await onto(app, pilot, StatsScreen)
    await until(pilot, lambda: bool(screen.query_one(Week).week) and any(screen.query_one(Week).week))
    return screen


# --- plots ------------------------------------------------------------------------------------------------------


def test_columns_hold_every_message_at_any_width() -> None:
    chance = random.Random(5)
    for _ in range(300):
        first, span, room = chance.randrange(1970 * 12, 2030 * 12), chance.randrange(1, 400), chance.randrange(1, 120)
        months = {divmod(first + chance.randrange(span), 12): [chance.randrange(9) for _ in range(3)] for _ in range(9)}
        months = {(year, month + 1): amounts for (year, month), amounts in months.items()}
        columns, each = columns_of(months, room)
        assert 0 < len(columns) <= room
        assert sum(column.to for column in columns) == sum(amounts[0] for amounts in months.values())
        assert sum(column.others for column in columns) == sum(sum(amounts[1:]) for amounts in months.values())
        starts = [column.year * 12 + column.month for column in columns]
        assert starts == [*range(starts[0], starts[0] + len(starts) * each, each)]
        assert all(0 <= column.month < 12 for column in columns)


def test_a_column_is_as_high_as_its_messages() -> None:
    columns = [Column(2024, 0, 0, 0), Column(2024, 1, 4, 4), Column(2024, 2, 0, 1), Column(2024, 3, 8, 8)]
    lines = stacked(columns, 4, 2)
    assert len(lines) == 2 and all(line.cell_length == 4 for line in lines)

    def seen(line: int, at: int) -> tuple[str, str]:
        letter = lines[line].plain[at]
        style = next((str(span.style) for span in lines[line].spans if span.start <= at < span.end), "")
        return letter, style

    assert seen(0, 0)[0] == seen(1, 0)[0] == " " and not seen(1, 0)[1]
    assert seen(0, 1)[0] == " " and seen(1, 1) == (EIGHTHS[4], f"{YOU} on {THEM}")
    assert seen(1, 2) == (EIGHTHS[1], THEM)
    assert seen(0, 3) == (" ", f"on {THEM}") and seen(1, 3) == (" ", f"on {YOU}")


def test_years_stand_under_their_januaries() -> None:
    columns, each = columns_of({(2022, 5): [1, 0, 0], (2024, 3): [1, 0, 0]}, 60)
    line = years_below(columns, each, 60)
    cells = 60 // len(columns)
    assert line.index("2022") == 0 and line.index("2023") == 8 * cells and line.index("2024") == 20 * cells
    for width in range(1, 60):
        assert len(years_below(*columns_of({(2000, 1): [1, 0, 0], (2024, 3): [1, 0, 0]}, width), width)) <= width


def test_shades_are_in_proportion() -> None:
    assert [shade(count, 8, 4) for count in range(9)] == [0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert shade(0, 0, 4) == 0 and shade(1, 10**6, 8) == 1


# --- the statistics ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_everyone_and_each_one_are_shown(collected: Workspace, size: tuple[int, int]) -> None:
    overview = overview_of(collected)
    first = overview.rows[0]
    app = VentriloquistApp(collected)
    async with app.run_test(size=size) as pilot:
        screen = await open_stats(app, pilot)
        shown = screen_text(app)
        assert f"{overview.everyone.messages:,} messages" in shown and first.name in shown
        for day in ("Mon", "Sun"):
            assert day in shown
        page = screen.query_one(Portrait)
        assert page.query_one(Week).region.right <= size[0] and not page.show_horizontal_scrollbar
        await pilot.press("down")
        await until(pilot, lambda: f"{first.messages:,} messages" in screen_text(app))
        await until(pilot, lambda: sum(screen.query_one(Week).week) == first.messages)
        if size == (120, 40):
            await until(pilot, lambda: "time to answer" in screen_text(app))
            assert "busiest day" in screen_text(app) and "messages a month" in screen_text(app)
        assert_clean(app)


async def test_enter_shows_one_alone_and_escape_goes_back(collected: Workspace) -> None:
    rows = overview_of(collected).rows
    app = VentriloquistApp(collected)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_stats(app, pilot)
        narrow = screen.query_one(Portrait).size.width
        await pilot.press("down", "enter")
        await until(pilot, lambda: screen.query_one(Portrait).size.width > narrow)
        assert rows[1].name not in "\n".join(screen_lines(app)[:3])
        await pilot.press("right")
        await until(pilot, lambda: f"{rows[1].messages:,} messages" in screen_text(app))
        await pilot.press("left", "left")
        await until(pilot, lambda: screen_lines(app)[1].lstrip().startswith("Everyone"))
        await pilot.press("escape")
        await until(pilot, lambda: screen.query_one(Portrait).size.width == narrow)
        assert app.screen is screen and isinstance(screen.focused, Rows)
        await pilot.press("escape")
        await onto(app, pilot, HomeScreen)


async def test_a_search_finds_and_escape_clears_it(collected: Workspace) -> None:
    app = VentriloquistApp(collected)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_stats(app, pilot)
        listed = screen.query_one(Rows)
        every = listed.option_count
        await pilot.press("slash", *"MAYA")
        await until(pilot, lambda: [row.name for row in listed.shown] == ["Maya"])
        await pilot.press("enter", "enter")
        await until(pilot, lambda: screen.alone)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: listed.option_count == every)
        assert screen.query_one("#filter", Input).value == "" and app.screen is screen
        await pilot.press("slash", *"nobody")
        await until(pilot, lambda: listed.option_count == 0)
        await pilot.press("enter", "enter", "right", "escape", "escape")
        await onto(app, pilot, HomeScreen)


async def test_what_was_read_once_is_not_read_again(collected: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    app = VentriloquistApp(collected)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_stats(app, pilot)
        await until(pilot, lambda: screen._known[""][1] is not None)
        await pilot.press("down")
        await until(pilot, lambda: len(screen._known) == 2 and all(talk for _, talk in screen._known.values()))
        monkeypatch.setattr(screen, "_read_row", lambda row: pytest.fail("read again"))
        await pilot.press("up", "down", "up")
        await pilot.pause(0.4)
        assert "Everyone" in screen_lines(app)[1]


@pytest.mark.parametrize("theme", ["ventriloquist-light", "ansi-dark", "ansi-light", "textual-dark"])
async def test_the_week_is_legible_in_other_themes(tmp_path: Path, sample: demo.Sample, theme: str) -> None:
    workspace = Workspace(tmp_path)
    do("collect", workspace, db=sample.chat_db, region="US")
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        app.theme = theme
        screen = await open_stats(app, pilot)
        row = screen.query_one(Week).region.y + 1
        strip = app.screen._compositor.render_strips()[row]
        looks = {(segment.text[:1] if theme.startswith("ansi") else segment.style.bgcolor) for segment in strip}
        assert len(looks) > 3
        await pilot.press("escape", "g")
        await onto(app, pilot, LedgerScreen)
        await until(pilot, lambda: "rows in the source" in screen_text(app))


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_hostile_names_pass_the_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    chats = [Chat(f"c{n}", "sample", ChatKind.DM, (f"h{n}",)) for n, _ in enumerate(HOSTILE)]
    chats += [Chat(f"g{n}", "sample", ChatKind.GROUP, (f"h{n}", "other"), word) for n, word in enumerate(HOSTILE)]
    contacts = [Contact(word, (f"h{n}",)) for n, word in enumerate(HOSTILE)]
    messages = (
        Message(
            f"m{n}", "sample", n, chat.guid, Kind.TEXT, False, 10**15 + n, chat.handles[0], HOSTILE[n % len(HOSTILE)]
        )
        for n, chat in enumerate(chats)
    )
    workspace = Workspace(tmp_path)
    write_history(workspace, chats, contacts, messages)
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = await open_stats(app, pilot)
        assert_clean(app)
        await pilot.press("enter")
        for _ in range(25):
            await pilot.press("right")
            await pilot.pause(0.02)
            assert_clean(app)
        await pilot.press("escape", "slash", *"[/]")
        await pilot.pause(0.3)
        assert_clean(app)
        assert app.screen is screen


# --- the ledger -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_the_ledger_is_shown_with_its_reasons(collected: Workspace, size: tuple[int, int]) -> None:
    with Store.open(collected) as store:
        ledger = ledger_of(store)
    app = VentriloquistApp(collected)
    async with app.run_test(size=size) as pilot:
        await home(app, pilot)
        await pilot.press("g")
        screen = await onto(app, pilot, LedgerScreen)
        await until(pilot, lambda: "rows in the source" in screen_text(app))
        seen = " ".join(screen_text(app).split())
        for _ in range(14):
            await pilot.press("pagedown")
            seen += " " + " ".join(screen_text(app).split())
        dropped = sum(ledger["dropped"].values())
        assert f"{ledger['source_rows']:,} rows in the source" in seen and f"{dropped:,} left out" in seen
        for what, rows in (*ledger["kept"].items(), *ledger["dropped"].items()):
            assert f"{rows:,} {what}" in seen or size[0] > 110, what
        assert all(REASONS[reason].split()[0] in seen for reason in ledger["dropped"])
        assert all(year in seen for year in ledger["years"]) and "newest message" in seen and "on this disk" in seen
        assert not screen.query_one("#ledger").show_horizontal_scrollbar
        await pilot.press("escape")
        await onto(app, pilot, HomeScreen)


@pytest.mark.parametrize("key", ["s", "g"])
async def test_nothing_collected_is_said(workspace: Workspace, key: str) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await home(app, pilot)
        await pilot.press(key)
        await until(pilot, lambda: "Nothing is collected yet" in screen_text(app))
        await pilot.press("down", "enter", "right", "escape")
        await onto(app, pilot, HomeScreen)


async def test_hostile_warnings_pass_the_ledger(tmp_path: Path) -> None:
    workspace, ledger = Workspace(tmp_path), Ledger()
    for text in HOSTILE:
        ledger.drop(text.encode(errors="ignore").decode(), 10**15)
    write_ledger(workspace, ledger, {"path": " ".join(HOSTILE), "warnings": HOSTILE, "newest": "2024-01-01T00:00:00Z"})
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await home(app, pilot)
        await pilot.press("g")
        await onto(app, pilot, LedgerScreen)
        await until(pilot, lambda: "rows in the source" in screen_text(app))
        for _ in range(12):
            assert_clean(app)
            await pilot.press("pagedown")
            await pilot.pause()


async def test_the_palette_opens_both(collected: Workspace) -> None:
    app = VentriloquistApp(collected)
    async with app.run_test(size=(80, 24)):
        titles = {command.title: command.callback for command in app.get_system_commands(app.screen)}
        assert {"Statistics", "Ledger"} <= set(titles)
