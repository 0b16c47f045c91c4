"""The describe screen: what it counts and proposes, the yes it needs, the run it follows, strangers' words on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.app import App
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import Input, Select, Static

from tests import fake_openai as fake
from tests.conftest import do
from tests.fake_gemini import Answer, hang
from tests.hostile import hostile_strings
from tests.test_stats import write as write_history
from tests.test_tui_screens import HOLD, home, onto, until
from tests.tui_helpers import SIZES, add_events, assert_clean, ended, living, screen_lines, screen_text, write_run
from ventriloquist import demo, runs
from ventriloquist.locks import holder_of
from ventriloquist.pipeline.audience import NOT_AMONG, STRANGERS, WITHOUT
from ventriloquist.pipeline.survey import (
    _ADVICE,
    _ADVICE_FOR_REASON,
    Failure,
    Latest,
    Row,
    Survey,
    failures,
    survey,
)
from ventriloquist.records import Attachment, Chat, ChatKind, Contact, Kind, Message
from ventriloquist.runfold import read_state
from ventriloquist.settings import DescribeSettings
from ventriloquist.store import Store
from ventriloquist.store.describing import BLOCKED, DESCRIBED, FAILED, LOCAL, Description
from ventriloquist.store.spending import Request, Spent
from ventriloquist.text import one_line
from ventriloquist.tui import proposal
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.tui.describing import command
from ventriloquist.tui.screens import describe as describe_screen
from ventriloquist.tui.screens.ask import AskScreen
from ventriloquist.tui.screens.confirm import ConfirmScreen
from ventriloquist.tui.screens.describe import DescribeScreen
from ventriloquist.tui.screens.form import FormScreen
from ventriloquist.tui.screens.home import HomeScreen
from ventriloquist.tui.screens.run import RunScreen
from ventriloquist.tui.widgets.captions import Captions
from ventriloquist.tui.widgets.facts import Facts, beside
from ventriloquist.tui.widgets.field import Field
from ventriloquist.tui.widgets.plan import Plan
from ventriloquist.tui.widgets.tally import Tally, rows_of
from ventriloquist.workspace import Workspace

HOSTILE = [text for _, text in hostile_strings() if len(text) < 300]
KEY = "AIza-canary-key"
ROWS = [
    Row("photo", 1200, 10, 1000, 2_000_000, 1_000_000, 3_100_000, 900_000),
    Row("video", 3, 10, 3, 5, 5, 40_000, None),
]
FOUND = Survey(
    "gemini", "gemini-3.5-flash-lite", "Google's Gemini", False, "", "2026-11-01", ROWS,
    states={"photo": {"local": 1200, "described": 7, "failed": 2}, "video": {"local": 3, "missing": 4}},
    places={"photo": {"here": 1209}, "video": {"here": 3, "missing": 4}},
    conversations={"": 40, STRANGERS: 2, WITHOUT: 1, NOT_AMONG: 3}, left_out={STRANGERS: 5, WITHOUT: 1},
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GEMINI_API_KEY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key; nothing here says yes to sending with it but where `started` catches the command."""
    monkeypatch.setenv("GEMINI_API_KEY", KEY)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines that would have been started."""
    commands: list[list[str]] = []

    def start(workspace: Workspace, stage: str, argv: list[str]) -> str:
        commands.append(list(argv))
        return write_run(workspace, stage, [ended()], run_id=f"0101-{len(commands):06}-describe").name

    monkeypatch.setattr(describe_screen, "start", start)
    return commands


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory, sample: demo.Sample) -> Workspace:
    """The sample, collected; nobody may describe in it."""
    workspace = Workspace(tmp_path_factory.mktemp("shown"))
    do("collect", workspace, db=sample.chat_db, region="US")
    return workspace


@pytest.fixture
def fresh(tmp_path: Path, collected: Workspace) -> Workspace:
    """`collected`, to be changed freely."""
    shutil.copytree(collected.root, tmp_path / "fresh")
    return Workspace(tmp_path / "fresh")


def local_server(workspace: Workspace, url: str) -> None:
    """Describe there, whatever else is set."""
    workspace.settings_file.write_text(f'[describe]\nprovider = "local"\nbase_url = "{url}"\nconcurrency = 2\n')


async def open_describe(app: App[Any], pilot: Pilot[Any]) -> DescribeScreen:
    """The screen, when it has counted."""
    await home(app, pilot)
    await pilot.press("d")
    screen: DescribeScreen = await onto(app, pilot, DescribeScreen)
    await until(pilot, lambda: screen.reading is not None)
    return screen


def panel(app: App[Any]) -> str:
    return str(app.screen.query_one("#describe-next", Static).content)


async def typed(app: App[Any], pilot: Pilot[Any], key: str, words: str) -> None:
    """Answer one of the screen's questions."""
    await pilot.press(key)
    ask = await onto(app, pilot, AskScreen)
    ask.query_one(Input).value = words
    await pilot.press("enter")
    await onto(app, pilot, DescribeScreen)


# --- what is proposed -------------------------------------------------------------------------------------------


def settings(**given: Any) -> DescribeSettings:
    return DescribeSettings(gemini_api_key=KEY, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "changed", "said"),
    [
        ({}, {}, "for at most $3.14 if each is answered at once"),
        ({"budget": 1.5}, {}, "for at most $1.50, the budget"),
        ({"budget": 1.5}, {"counts_for_budget": 500_000}, "for at most $1.00, the budget"),
        ({"budget": 9.0}, {}, "for at most $9.00, the budget ($3.14 if each is answered at once)"),
        ({}, {"rows": [replace(ROWS[0], micro_usd=None)]}, "at an unknown cost: nobody has said what"),
        ({}, {"rows": [replace(ROWS[0], micro_usd=0)]}, "at no cost"),
    ],
)
def test_the_yes_says_how_much_money_at_most(given: dict[str, Any], changed: dict[str, Any], said: str) -> None:
    found = replace(FOUND, **changed)
    assert said in proposal.invitation(settings(**given), found)
    question = proposal.question(settings(**given), found)
    assert said in question and "Google's Gemini" in question and "gemini-3.5-flash-lite" in question
    assert "1,200 photos" in question and ("1,203 files" in question) == (len(found.rows) == 2)
    assert ("No budget is set" in question) == (not given and found.total.micro_usd != 0)


def test_the_yes_says_of_whom() -> None:
    asked = proposal.question(settings(only="Maya", without="Dad", strangers=True), FOUND)
    assert "From 40 conversations (only with Maya; none with Dad; strangers' too)." in asked
    facts = proposal.choices(settings(limit=5), replace(FOUND, beyond_limit=1198))
    told = "\n".join(f"{name}: {value}" for _, name, value in facts)
    assert "limit: 5 different files; 1,198 are left for later" in told and "conversations: 40 of 46" in told
    for line in (
        "left out: 2, since nobody in them has a name (5 files)",
        "left out: 1, since someone you left out is in them (1 file)",
        "left out: 3, since others than those you chose are in them",
        "failed before: 2 files, left alone",
    ):
        assert line in told


def test_what_enter_does_is_said() -> None:
    missing = replace(FOUND, missing="put GEMINI_API_KEY into the environment or .env")
    said = proposal.invitation(settings(), missing)
    assert "nothing leaves this machine" in said and "GEMINI_API_KEY" in said
    here = replace(FOUND, where="the server on this machine (127.0.0.1:11434)", stays_here=True, model="")
    assert "Nothing leaves this machine." in proposal.invitation(settings(), here)
    assert "Nothing leaves this machine." in proposal.question(settings(), here)
    assert "its only model" in proposal.where(here) and proposal.where(here).startswith("The server")
    assert "used up" in proposal.invitation(settings(budget=0.5), replace(FOUND, counts_for_budget=500_000))
    assert "Nothing is left" in proposal.invitation(settings(), replace(FOUND, rows=[]))
    assert "Press r" in proposal.invitation(settings(), replace(FOUND, rows=[], to_retry=2))


def test_costs_are_told_with_their_prices_date() -> None:
    spent = [Spent("gemini", "m", 12, 40_000, 10, 1, 1, 0, 900, 90, "2026-11-01")]
    told = dict(fact[1:] for fact in proposal.costs(replace(FOUND, spent=spent)))
    assert told["money"] == "at most $3.14 (prices of 2026-11-01)" and told["requests"].startswith("1,003 for 1,203")
    assert told["so far"] == "$0.0400 for 12 requests" and "2,000,005 in" in told["tokens"]
    likely = dict(fact[1:] for fact in proposal.costs(replace(FOUND, rows=ROWS[:1])))
    assert "likely $0.9000" in likely["money"]
    free = replace(FOUND, rows=[replace(ROWS[0], micro_usd=0)], stays_here=True)
    assert "nothing leaves this machine" in dict(fact[1:] for fact in proposal.costs(free))["money"]


def test_advice_names_keys_instead_of_flags() -> None:
    told = proposal.reasons([Failure(FAILED, "odd", 3, "To try them once more: describe --retry-failed.")])
    assert told == [(3, "failed (odd)", "To try them once more: press r.")]
    for advice in (*_ADVICE.values(), *_ADVICE_FOR_REASON.values()):
        [(_, _, said)] = proposal.reasons([Failure(FAILED, "", 1, advice)])
        assert "--retry-failed" not in said and "--model" not in said


def test_the_command_sends_only_after_a_yes() -> None:
    assert "--no-yes" in command({"limit": 3}, yes=False) and "--yes" not in command({}, yes=False)
    assert command({"limit": 3, "only": ""}, yes=True) == [
        "describe", "--limit", "3", "--only", "", "--yes", "--no-dry-run",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 7, 98_765, 12_345_678])
def test_the_table_adds_up_and_fits(count: int) -> None:
    found = replace(FOUND, states={**FOUND.states, "contact card": {"local": count}})
    rows = rows_of(found)
    assert rows[-1][0] == "all" and rows[-1][1][0] == 1209 + 7 + count and rows[-1][1][1] == 7
    table = Tally()
    table.rows = rows
    for width in (76, 71, 55, 54):
        names, gap, widths = table._columns(width)
        assert len(names) == len(widths) + 1
        if count < 100_000:
            assert 13 + sum(widths) + gap * len(widths) <= width


def test_words_beside_never_run_over() -> None:
    for text in HOSTILE:
        for width in (12, 20, 47):
            lines = beside(one_line(text * 3), width, 3)
            assert 1 <= len(lines) <= 3 and all(Content(line).cell_length <= width for line in lines)


# --- the screen -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("size", SIZES)
async def test_what_there_is_and_what_it_would_cost(collected: Workspace, size: tuple[int, int]) -> None:
    found = survey(DescribeSettings.load(collected), collected)
    app = VentriloquistApp(collected)
    async with app.run_test(size=size) as pilot:
        screen = await open_describe(app, pilot)
        shown = screen_text(app)
        flat = " ".join(shown.split())
        for noun, counts in rows_of(found):
            assert " ".join([noun, *(f"{count:,}" if count else "·" for count in counts)]) in flat
        assert f"send {found.total.files:,} files to Google's Gemini" in flat and "before your yes" in flat
        assert KEY not in shown and "Describe" in shown and "Back" in shown and "gemini-3.5-flash-lite" in shown
        assert_clean(app)
        seen = flat
        for _ in range(12):
            await pilot.press("pagedown")
            seen += " " + " ".join(screen_text(app).split())
        money = f"at most ${found.total.micro_usd / 1e6:.4f}"  # type: ignore[operator]
        assert money in seen and f"{found.total.requests:,} for {found.total.files:,} files" in seen
        assert f"{found.conversations['']:,} of {sum(found.conversations.values()):,}" in seen
        assert "latest descriptions" in seen and "none yet" in seen
        for failure in failures(collected):
            assert proposal.STATES[failure.state] in seen
        assert not screen.query_one(Plan).show_horizontal_scrollbar
        await pilot.press("escape")
        await onto(app, pilot, HomeScreen)
    assert not [run for run in runs.list_runs(collected) if run.stage == "describe"]


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("no", ["n", "escape", "enter"])
async def test_nothing_is_sent_without_a_yes(collected: Workspace, started: list[list[str]], no: str) -> None:
    app = VentriloquistApp(collected)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_describe(app, pilot)
        await pilot.press("y")  # answers nothing that was not asked
        assert app.screen is screen
        await pilot.press("enter")
        await onto(app, pilot, ConfirmScreen)
        assert "Google's Gemini" in screen_text(app) and "at most $" in screen_text(app)
        await pilot.press(no)
        await onto(app, pilot, DescribeScreen)
        await pilot.pause(0.1)
    assert started == []


@pytest.mark.usefixtures("key")
async def test_a_yes_starts_what_was_chosen(fresh: Workspace, started: list[list[str]]) -> None:
    app = VentriloquistApp(fresh)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = await open_describe(app, pilot)
        await typed(app, pilot, "b", "0.25")
        await until(pilot, lambda: "$0.2500, the budget" in " ".join(panel(app).split()))
        await typed(app, pilot, "l", "7")
        await pilot.press("t")
        await until(pilot, lambda: screen.reading is not None and screen.reading.choices.get("strangers") is True)
        await until(pilot, lambda: "Enter asks" in panel(app))
        await pilot.press("enter")
        asked = await onto(app, pilot, ConfirmScreen)
        assert "$0.2500, the budget" in asked.question and "strangers' too" in asked.question
        assert asked.query_one("#yes").region.bottom < 20
        await pilot.press("y")
        await until(pilot, lambda: bool(started))
    argv = started[0]
    assert argv[0] == "describe" and "--yes" in argv and argv[argv.index("--budget") + 1] == "0.25"
    assert argv[argv.index("--limit") + 1] == "7" and "--strangers" in argv


@pytest.mark.usefixtures("key")
async def test_choices_are_counted_at_once_and_wrong_ones_are_given_back(collected: Workspace) -> None:
    app = VentriloquistApp(collected)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_describe(app, pilot)
        assert screen.reading and screen.reading.survey
        everyone = screen.reading.survey.total.files
        await typed(app, pilot, "o", "Nobody Known")
        await until(pilot, lambda: "Nobody here is called Nobody Known" in " ".join(screen_text(app).split()))
        assert screen.reading.survey.total.files == everyone and not screen.reading.choices
        await pilot.press("o")
        ask = await onto(app, pilot, AskScreen)
        assert ask.query_one(Input).value == "Nobody Known"
        ask.query_one(Input).value = "Maya"
        await pilot.press("enter")
        await until(pilot, lambda: screen.reading is not None and screen.reading.choices == {"only": "Maya"})
        found = screen.reading.survey
        assert found and 0 < found.total.files < everyone and found.conversations[NOT_AMONG]
        await typed(app, pilot, "o", "")
        await typed(app, pilot, "w", "Maya")
        await until(
            pilot,
            lambda: (
                screen.reading is not None
                and screen.reading.choices == {"only": "", "without": "Maya"}
                and screen.reading.survey is not None
                and screen.reading.survey.total.files < everyone
            ),
        )
        await typed(app, pilot, "b", "a lot")
        await until(pilot, lambda: "--budget" in screen_text(app))
        assert "budget" not in screen.reading.choices


@pytest.mark.usefixtures("key")
async def test_the_model_is_chosen_in_a_form(collected: Workspace, started: list[list[str]]) -> None:
    app = VentriloquistApp(collected)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_describe(app, pilot)
        await pilot.press("m")
        form = await onto(app, pilot, FormScreen)
        fields = {field.option: field for field in form.query(Field)}
        assert set(fields) == {"provider", "model", "base_url", "allow_remote"}
        fields["provider"].query_one(Select).value = "local"
        form.start()
        await until(pilot, lambda: "server on this machine" in screen_text(app))
        assert "Nothing leaves this machine" in " ".join(panel(app).split())
        await pilot.press("e")
        form = await onto(app, pilot, FormScreen)
        fields = {field.option: field for field in form.query(Field)}
        assert {"yes", "dry_run"} & set(fields) == set() and "only" in fields
        assert fields["provider"].query_one(Select).value == "local"
        fields["provider"].query_one(Select).value = "gemini"
        fields["limit"].query_one(Input).value = "3"
        form.start()
        await until(pilot, lambda: screen.reading is not None and screen.reading.choices == {"limit": "3"})
    assert started == []


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_without_a_key_nothing_leaves_and_the_rest_gets_words(fresh: Workspace, size: tuple[int, int]) -> None:
    app = VentriloquistApp(fresh)
    async with app.run_test(size=size) as pilot:
        screen = await open_describe(app, pilot)
        assert "No key: nothing leaves this machine" in " ".join(screen_text(app).split())
        assert "GEMINI_API_KEY" in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: screen.reading is not None and screen.reading.last is not None)
        await until(pilot, lambda: "done" in screen_text(app) and "nothing leaves" in screen_text(app))
    [run] = [run for run in runs.list_runs(fresh) if run.stage == "describe"]
    state, status = read_state(run)
    assert status == "done" and state.makes["requests"] == 0 and state.makes["local"] > 0


async def test_a_local_server_describes_and_failures_are_asked_about_again(fresh: Workspace) -> None:
    """The real run, started, followed and started again from the screen."""
    refusals = iter(range(1000))

    def sometimes(handler: Any) -> None:
        said: Answer = fake.error(400) if next(refusals) % 3 == 2 else fake.saying("[b]A cat[/b] at a window")
        said(handler)

    with fake.serving(sometimes) as server:
        local_server(fresh, server.url)
        app = VentriloquistApp(fresh)
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            screen = await open_describe(app, pilot)
            assert "at no cost" not in panel(app) and "Nothing leaves this machine" in panel(app)
            await pilot.press("enter")
            await onto(app, pilot, ConfirmScreen)
            await pilot.press("y")
            await until(pilot, lambda: screen.running is not None)
            await until(pilot, lambda: screen.running is None and screen.reading is not None)
            await until(pilot, lambda: screen.reading is not None and screen.reading.last is not None)
            await until(pilot, lambda: "[b]A cat[/b] at a window" in screen_text(app))
            found = survey(DescribeSettings.load(fresh), fresh)
            described = sum(states.get(DESCRIBED, 0) for states in found.states.values())
            failed = proposal.without_words(found)
            assert described and failed and f"{described:,} described" in screen_text(app)
            assert "Press r" in panel(app) and f"{failed:,} files, left alone" in screen_text(app)
            assert_clean(app)
            await pilot.press("r")
            await until(pilot, lambda: "asked about again" in screen_text(app))
            await until(pilot, lambda: f"describe {failed:,} file" in panel(app))
            asked = len(server.received)
            await pilot.press("enter")
            await onto(app, pilot, ConfirmScreen)
            await pilot.press("y")
            await until(pilot, lambda: len(server.received) > asked)
            await until(pilot, lambda: screen.running is None and bool(screen.reading))
            await until(pilot, lambda: "left alone" in screen_text(app) or "failed before" not in screen_text(app))
            assert screen.reading and "retry_failed" not in screen.reading.choices
        assert all(request.path.endswith("/chat/completions") for request in server.received)


def describing(done: int, total: int, usd: float) -> list[dict[str, Any]]:
    """The events of a run that is under way."""
    return [
        {"kind": "phase", "name": "ask Google's Gemini"},
        {"kind": "progress", "done": 0, "total": total, "unit": "files"},
        {"kind": "metric", "step": done, "values": {"usd": usd, "requests": done}},
        {"kind": "progress", "done": done, "total": total, "unit": "files"},
    ]


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_is_followed_with_its_money(fresh: Workspace, size: tuple[int, int]) -> None:
    folder = write_run(fresh, "describe", describing(25, 100, 0.0123))
    app = VentriloquistApp(fresh)
    with living(folder):
        async with app.run_test(size=size, notifications=True) as pilot:
            screen = await open_describe(app, pilot)
            await until(pilot, lambda: "25%" in screen_text(app))
            shown = screen_text(app)
            assert "25 of 100 files" in shown and "left" in shown and "$0.0123 so far" in shown
            assert "latest descriptions" in shown and "Stop" in shown and "Enter asks" not in shown
            with Store.open(fresh) as store:
                first = next(iter(store.standings())).attachment
                store.keep_descriptions([Description(first.guid, "A heron by a pond", "m", DESCRIBED, None, "0")])
            add_events(folder, describing(60, 100, 0.05)[1:])
            await until(pilot, lambda: "60%" in screen_text(app) and "$0.0500 so far" in screen_text(app))
            await until(pilot, lambda: "A heron by a pond" in screen_text(app))
            await pilot.press("enter", "b", "o", "t", "r", "e")  # nothing of these while it runs
            assert app.screen is screen
            await pilot.press("v")
            await onto(app, pilot, RunScreen)
            await pilot.press("escape")
            await onto(app, pilot, DescribeScreen)
            await pilot.press("s")
            await onto(app, pilot, ConfirmScreen)
            await pilot.press("n")
            await onto(app, pilot, DescribeScreen)
            add_events(folder, [ended(described=58, blocked=2, usd=0.06, left=0)])
            await until(pilot, lambda: "58 described · 2 refused · $0.0600" in " ".join(screen_text(app).split()))
            await until(pilot, lambda: "nothing leaves" in " ".join(screen_text(app).split()))
            assert_clean(app)


async def test_nothing_is_painted_while_nothing_changes(fresh: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run(fresh, "describe", describing(25, 100, 0.0123))
    app = VentriloquistApp(fresh)
    with living(folder):
        async with app.run_test(size=(80, 24)) as pilot:
            screen = await open_describe(app, pilot)
            await until(pilot, lambda: "25%" in screen_text(app))
            await pilot.pause(0.5)
            updates: list[object] = []
            monkeypatch.setattr(Static, "update", lambda *given: updates.append(given))
            for widget in (Tally, Facts, Captions):
                monkeypatch.setattr(widget, "refresh", lambda *given, **more: updates.append(given))
            await pilot.pause(1.2)
            assert not updates and screen.running


async def test_a_stop_is_asked_for_and_goes_on_with_what_was_chosen(fresh: Workspace) -> None:
    """The real process, stopped while its server hesitates; the next screen has the same choices."""

    def slow(handler: Any) -> None:
        handler.fake.finished.wait(0.4)
        fake.saying("A slow cat")(handler)

    with fake.serving(slow) as server:
        local_server(fresh, server.url)
        app = VentriloquistApp(fresh)
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            screen = await open_describe(app, pilot)
            await typed(app, pilot, "l", "30")
            await until(pilot, lambda: screen.reading is not None and screen.reading.choices == {"limit": "30"})
            await until(pilot, lambda: "Nothing leaves" in panel(app))
            await pilot.press("enter")
            await onto(app, pilot, ConfirmScreen)
            await pilot.press("y")
            await until(pilot, lambda: len(server.received) > 2)
            await pilot.press("s")
            await onto(app, pilot, ConfirmScreen)
            await pilot.press("y")
            await until(pilot, lambda: "stopping…" in screen_text(app) or screen.running is None)
            await until(pilot, lambda: "stopped" in screen_text(app) and "enter goes on" in screen_text(app))
            await pilot.press("escape")
            await onto(app, pilot, HomeScreen)
            await pilot.press("d")
            again = await onto(app, pilot, DescribeScreen)
            await until(pilot, lambda: again.reading is not None and again.reading.choices == {"limit": 30})


async def test_a_killed_run_is_said_to_be_lost(fresh: Workspace) -> None:
    with fake.serving(hang) as server:
        local_server(fresh, server.url)
        app = VentriloquistApp(fresh)
        async with app.run_test(size=(60, 20), notifications=True) as pilot:
            screen = await open_describe(app, pilot)
            await pilot.press("enter")
            await onto(app, pilot, ConfirmScreen)
            await pilot.press("y")
            await until(pilot, lambda: bool(server.received) and screen.running is not None)
            assert screen.running
            pid = holder_of(screen.running.folder / "lock")["pid"]
            os.kill(pid, signal.SIGKILL)
            await until(
                pilot, lambda: "lost" in screen_text(app) and "enter goes on" in " ".join(screen_text(app).split())
            )


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda workspace: None, "Nothing is collected yet"),
        (lambda workspace: workspace.settings_file.write_text("[describe]\nlimti = 5\n"), "limti"),
        (lambda workspace: workspace.settings_file.write_text('[describe]\nbase_url = "x"\n'), "--base-url"),
    ],
)
async def test_what_is_wrong_is_a_sentence(
    workspace: Workspace, prepare: Callable[[Workspace], None], said: str
) -> None:
    prepare(workspace)
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20), notifications=True) as pilot:
        screen = await open_describe(app, pilot)
        await until(pilot, lambda: said in " ".join(screen_text(app).split()))
        await pilot.press("enter", "b", "o", "w", "l", "t", "r", "m", "s", "v", "j", "k")
        assert app.screen is screen
        await pilot.press("e")
        await onto(app, pilot, FormScreen)
        await pilot.press("escape", "escape")
        await onto(app, pilot, HomeScreen)


async def test_a_busy_workspace_is_told_and_nothing_is_stuck(fresh: Workspace) -> None:
    app = VentriloquistApp(fresh)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await open_describe(app, pilot)
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(fresh.lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdout and holder.stdout.readline()
        await pilot.press("enter")
        await until(pilot, lambda: "Another run holds" in screen_text(app))
        holder.communicate()
        await until(pilot, lambda: "Enter gives" in panel(app))
        assert app.screen is screen and screen.running is None


async def test_the_palette_opens_it(collected: Workspace) -> None:
    app = VentriloquistApp(collected)
    async with app.run_test(size=(80, 24)) as pilot:
        await home(app, pilot)
        commands = {each.title: each.callback for each in app.get_system_commands(app.screen)}
        commands["Describe"]()
        await onto(app, pilot, DescribeScreen)


def hostile_history(workspace: Workspace, strings: list[str]) -> None:
    """People, file names, descriptions, models, reasons and a model's name as strangers would have them."""
    chats = [Chat(f"c{n}", "sample", ChatKind.DM, (f"h{n}",)) for n, _ in enumerate(strings)]
    contacts = [Contact(word, (f"h{n}",)) for n, word in enumerate(strings)]
    attachments = [Attachment(f"a{n}", "image/png", f"{word}.png", None) for n, word in enumerate(strings)]

    def messages() -> Iterator[Message]:
        for n, (chat, attachment) in enumerate(zip(chats, attachments, strict=True)):
            yield Message(
                f"m{n}", "sample", n, chat.guid, Kind.ATTACHMENT, False, 10**15 + n, chat.handles[0],
                attachments=(attachment,),
            )  # fmt: skip

    write_history(workspace, chats, contacts, messages())
    with Store.open(workspace) as store:
        safe = [word.encode(errors="replace").decode() for word in strings]
        states = (DESCRIBED, BLOCKED, FAILED, LOCAL)
        store.keep_descriptions(
            [Description(f"a{n}", word, word, states[n % 4], word, word) for n, word in enumerate(safe)]
        )
        for word in safe:
            number = store.reserve(Request(word, word, word, 5), [])
            store.settle([(number, 4)])


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_hostile_strings_pass_the_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    workspace = Workspace(tmp_path)
    only = "[bold red]hello[/bold red]"
    strings = [*dict.fromkeys([only, *HOSTILE[size == (60, 20) :: 2]])]  # each at one of the sizes
    hostile_history(workspace, strings)
    words = " ".join(strings)
    workspace.settings_file.write_text(
        f'[describe]\nmodel = "[/]\\u001b[2J[@click=app.quit]x\\u202e[b]"\nonly = "{only}"\n'
    )
    makes: dict[str, Any] = {"described": "[/]", "known": True, "usd": "\x1b[2J", words[:50]: words}
    write_run(workspace, "describe", [{"kind": "note", "level": "warning", "text": words}, ended(**makes)])
    write_run(workspace, "describe", [*describing(1, 2, 0.1), ended("failed", words)], began=5)
    folder = write_run(
        workspace, "describe",
        [{"kind": "phase", "name": words}, {"kind": "progress", "done": 1, "total": 3, "unit": words},
         {"kind": "metric", "step": 1, "values": {"usd": float("nan"), "requests": float("inf")}}], began=9,
    )  # fmt: skip
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size, notifications=True) as pilot:
        with living(folder):
            screen = await open_describe(app, pilot)
            await until(pilot, lambda: screen.running is not None and "33%" in screen_text(app))
            for _ in range(8):
                assert_clean(app)
                await pilot.press("pagedown")
                await pilot.pause()
            add_events(folder, [ended("failed", words)])
            await until(pilot, lambda: screen.running is None and "failed" in screen_text(app))
        for _ in range(8):
            assert_clean(app)
            await pilot.press("pageup")
            await pilot.pause()
        assert screen.reading and screen.reading.survey
        screen.reading.survey.rows = [replace(ROWS[0], noun="[/]\x1b[2J")]
        screen.query_one(Captions).show([Latest(word, word, word * 5, word, word) for word in strings])
        await pilot.press("enter")
        await onto(app, pilot, ConfirmScreen)
        assert_clean(app)
        await pilot.press("n", "o")
        ask = await onto(app, pilot, AskScreen)
        ask.query_one(Input).value = "[/][@click=app.quit]x"
        await pilot.press("enter")
        await until(pilot, lambda: "is called" in " ".join(screen_text(app).split()))
        assert_clean(app)
        for line in screen_lines(app):
            assert cell_len(line) <= size[0]
