"""What one sees of a training: its numbers, and the voices, which stand in a private file of their own."""

from __future__ import annotations

import io
import json
import math
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import TabbedContent

from tests.commands import ventriloquist
from tests.hostile import hostile_strings
from tests.test_tui_screens import home, onto, until
from tests.tui_helpers import (
    CONTROLS,
    SIZES,
    add_events,
    assert_clean,
    ended,
    living,
    screen_text,
    training,
    write_run,
)
from ventriloquist.cli import paint
from ventriloquist.cli.bar import Bar
from ventriloquist.cli.paint import progress_words
from ventriloquist.runevents import (
    SAID_CHARACTERS,
    Appended,
    exchange_of,
    is_exchange,
    latest_exchanges,
    read_events,
    tail_exchanges,
)
from ventriloquist.runfold import RunState, fold
from ventriloquist.runs import RUN_VARIABLE, Run, perform
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.tui.follow import EXCHANGES, Follower
from ventriloquist.tui.screens.run import RunScreen
from ventriloquist.tui.screens.runs import RunsScreen
from ventriloquist.tui.widgets.voices import Voices
from ventriloquist.workspace import Workspace

SECRET = "meet me at the usual place"


SHOWN = f"""\
  step 5, a held-out exchange:
        before  John: when?
                Maya: [image] A cat
     generated  Maya: {SECRET} at 8
                John: kk
          real  Maya: real 5
"""


def said(name: str, text: str, kind: str = "text") -> dict[str, str]:
    return {"name": name, "content_type": kind, "text": text}


def exchange(step: int, text: str = SECRET) -> dict[str, Any]:
    before = [said("John", "when?"), said("Maya", "A cat", "image")]
    return exchange_of(step, before, [said("Maya", f"{text} at 8"), said("John", "kk")], said("Maya", f"real {step}"))


def add_exchanges(folder: Path, *exchanges: dict[str, Any]) -> None:
    file = Appended.exchanges(folder)
    for each in exchanges:
        file.add(each)
    file.close()


def speaking(settings: Any, workspace: Workspace, run: Run) -> dict[str, Any]:
    """A stage that trains nothing but speaks."""
    run.phase("train")
    run.metric(5, loss=2.0)
    heard = exchange(5)
    extra = {**heard["real"], "delta": "<1m"}
    run.exchange(5, heard["before"], heard["written"], extra)
    run.metric(5, validation_text_loss=3.0, validation_loss=2.5)
    run.exchange(6, [], [], said("Maya", "x" * 5000))
    return {}


# --- on disk ----------------------------------------------------------------------------------------------------


def test_an_exchange_is_kept_privately_and_is_no_event(workspace: Workspace) -> None:
    seen: list[dict[str, Any]] = []
    umask = os.umask(0)
    try:
        perform("train", speaking, None, workspace, ["train"], seen.append)
    finally:
        os.umask(umask)
    (folder,) = workspace.runs.iterdir()
    assert stat.S_IMODE((folder / "exchanges.jsonl").stat().st_mode) == 0o600
    for name in ("events.jsonl", "output.log", "run.json"):
        assert SECRET not in (folder / name).read_text() and "Maya" not in (folder / name).read_text()
    kept, _ = tail_exchanges(folder)
    assert [(each["step"], len(each["before"]), len(each["written"])) for each in kept] == [(5, 2, 2), (6, 0, 0)]
    assert kept[0]["real"] == said("Maya", "real 5") and len(kept[1]["real"]["text"]) == SAID_CHARACTERS
    assert all(is_exchange(each) and "kind" not in each for each in kept)
    assert [event for event in seen if event["kind"] == "exchange"] == [{**each, "kind": "exchange"} for each in kept]
    assert [event for event in seen if event["kind"] != "exchange"] == read_events(folder)


def test_a_run_that_says_nothing_leaves_no_file(workspace: Workspace) -> None:
    perform("train", lambda settings, workspace, run: {}, None, workspace, ["train"])
    assert not list(workspace.runs.glob("*/exchanges.jsonl"))


def test_a_detached_run_writes_no_words_into_its_log(workspace: Workspace) -> None:
    """As `runs.start` does it: stderr is the run's log."""
    folder = workspace.runs / "0101-000000-train"
    folder.mkdir(parents=True)
    script = """
import sys
from tests.test_exchanges import speaking
from ventriloquist.cli.paint import painting
from ventriloquist.runs import perform
from ventriloquist.workspace import Workspace
with painting("train", as_json=False) as paint:
    perform("train", speaking, None, Workspace.at(sys.argv[1]), ["train"], paint)
"""
    with (folder / "output.log").open("ab") as log:
        subprocess.run(
            [sys.executable, "-c", script, str(workspace.root)], stdout=log, stderr=log, check=True,
            env=dict(os.environ, **{RUN_VARIABLE: folder.name}),
        )  # fmt: skip
    log_text = (folder / "output.log").read_text()
    assert "train: loss 2.00, held-out text 3.00 (the best so far)" in log_text
    assert SECRET not in log_text and "Maya" not in log_text and len(tail_exchanges(folder)[0]) == 2


def test_exchanges_are_read_by_whole_lines_and_from_near_the_end(workspace: Workspace) -> None:
    folder = write_run(workspace, "train", [])
    assert tail_exchanges(folder) == ([], 0) and latest_exchanges(folder, 100) == 0
    add_exchanges(folder, *(exchange(step) for step in range(300)))
    whole = (folder / "exchanges.jsonl").read_bytes()
    (folder / "exchanges.jsonl").write_bytes(whole[:-10])
    first, after = tail_exchanges(folder, 0, 4096)
    assert 0 < after <= 4096 and whole[:after].endswith(b"\n") and [each["step"] for each in first][:2] == [0, 1]
    follower = Follower(folder)
    while follower.look_for_exchanges():
        pass
    assert [each["step"] for each in follower.exchanges] == [*range(299 - EXCHANGES, 299)]
    (folder / "exchanges.jsonl").write_bytes(whole)
    assert follower.look_for_exchanges() and follower.exchanges[-1]["step"] == 299
    assert not follower.look_for_exchanges()
    few, _ = tail_exchanges(folder, latest_exchanges(folder, 2000))
    assert 0 < len([each for each in few if is_exchange(each)]) < 10 and few[-1]["step"] == 299


NO_EXCHANGES: tuple[Any, ...] = (
    5,
    None,
    [],
    {},
    {**exchange(1), "t": "x"},
    {**exchange(1), "step": "1"},
    {**exchange(1), "before": "x"},
    {**exchange(1), "written": [said("A", "b"), 5]},
    {**exchange(1), "real": {"name": "A", "text": "b"}},
    {**exchange(1), "real": {**said("A", "b"), "name": 5}},
)


@pytest.mark.parametrize("nonsense", NO_EXCHANGES)
def test_what_is_no_exchange_is_not_shown(workspace: Workspace, nonsense: Any) -> None:
    folder = write_run(workspace, "train", [])
    add_exchanges(folder, nonsense, exchange(7))
    follower = Follower(folder)
    assert follower.look_for_exchanges() and [each["step"] for each in follower.exchanges] == [7]


# --- numbers ----------------------------------------------------------------------------------------------------


def metric(step: int, **values: Any) -> dict[str, Any]:
    return {"t": f"2026-01-01T00:00:{step:02}+00:00", "kind": "metric", "step": step, "values": values}


def test_the_best_held_out_loss_is_kept_with_its_step() -> None:
    state = fold([metric(10, validation_text_loss=3.0, validation_loss=2.0), metric(20, validation_text_loss=2.5),
                  metric(30, validation_text_loss=2.7), metric(40, loss=math.nan, odd="x", flag=None)])  # fmt: skip
    assert state.newest["validation_text_loss"] == (30, 2.7) and state.lowest["validation_text_loss"] == (20, 2.5)
    assert state.held_out == "validation_text_loss" and "loss" not in state.lowest and "odd" not in state.newest
    assert progress_words(state) == ["loss nan", "held-out text 2.70 (best 2.50 at step 20)"]
    assert progress_words(fold([metric(9, validation_loss=2.0)])) == ["held-out 2.00 (the best so far)"]
    assert RunState().held_out is None and progress_words(RunState()) == []


def test_lines_tell_how_far_it_is_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(paint.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    lines = paint._Lines(out, "train")
    lines.paint({"t": "2026-01-01T00:00:00+00:00", "kind": "phase", "name": "train"})
    for second in range(1, 41):
        now[0] = float(second)
        lines.paint(metric(second, loss=3.0, tokens_per_second=12345.6))
        if second == 22:
            lines.paint(metric(second, validation_text_loss=2.5))
        time = f"2026-01-01T00:00:{second:02}+00:00"
        lines.paint({"t": time, "kind": "progress", "done": second, "total": 400, "unit": "steps"})
    told = out.getvalue().splitlines()
    assert len(told) == 5 and told[0] == "train: train"
    assert told[1] == "train: 9 of 400 steps, 7 min left, loss 3.00, 12,346 tokens/s"
    assert told[3].endswith("loss 3.00, 12,346 tokens/s, held-out text 2.50 (the best so far)")
    assert [line.split()[1] for line in told[1:]] == ["9", "19", "21", "31"]


@pytest.mark.parametrize("width", [40, 80, 140])
def test_the_bar_fits_its_line_and_leaves_what_was_measured(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    bar = Bar(io.StringIO(), "train")
    for event in training(50, 200):
        bar.paint({"t": "2026-01-01T00:00:00+00:00", **event})
    bar.paint({**exchange(50), "kind": "exchange"})
    printed = bar._progress.console.file.getvalue()  # type: ignore[attr-defined]
    assert "  step 40: held-out text 4.44 (the best so far)\n" in printed and "     generated  Maya: meet me" in printed
    (task,) = bar._progress.tasks
    said_words = task.fields["said"]
    assert said_words.startswith("50 of 200 steps")
    assert len("train") + (24 if width >= 100 else 10) + 2 + len(said_words) <= width
    assert ("tokens/s" in said_words) is (width > 40) and ("held-out" in said_words) is (width > 100)


def test_an_exchange_is_painted_as_json_and_for_terminals(workspace: Workspace) -> None:
    perform("train", speaking, None, workspace, ["train"])
    (run_id,) = (folder.name for folder in workspace.runs.iterdir())
    told = ventriloquist(workspace, "runs", "watch", run_id)
    assert told.returncode == 0 and told.stdout == ""
    assert SECRET not in told.stderr, "what is no terminal may be a log"
    assert "\n".join(paint.exchange_lines({**exchange(5), "kind": "exchange"})) + "\n" == SHOWN
    nothing = {**exchange_of(6, [], [], said("Maya", "x")), "kind": "exchange"}
    assert "     generated  (nothing)" in paint.exchange_lines(nothing)
    events = [
        json.loads(line) for line in ventriloquist(workspace, "runs", "watch", run_id, "--json").stdout.splitlines()
    ]
    assert [event["step"] for event in events if event["kind"] == "exchange"] == [5, 6]


def test_strangers_words_are_painted_clean() -> None:
    for _, text in hostile_strings():
        event = {**exchange_of(1, [said(text, text)], [said("A", text, text)], said("B", text)), "kind": "exchange"}
        assert not CONTROLS.search("".join(paint.exchange_lines(event, 60)))


# --- on the screen ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_voices_are_shown_newest_first_as_they_come(workspace: Workspace, size: tuple[int, int]) -> None:
    folder = write_run(workspace, "train", training(41, 200))
    app = VentriloquistApp(workspace)
    with living(folder):
        async with app.run_test(size=size) as pilot:
            await home(app, pilot)
            await pilot.press("enter")
            screen = await onto(app, pilot, RunScreen)
            await until(pilot, lambda: "held-out text" in screen_text(app))
            shown = screen_text(app)
            assert "12,346 tokens/s" in shown and "min left" in shown and "best 4.44, step 40" in shown
            assert "held-out loss" in shown and "Voices" not in shown
            add_exchanges(folder, exchange(10), exchange(20))
            await until(pilot, lambda: "Voices" in screen_text(app))
            await pilot.press("v")
            await until(pilot, lambda: "step 20" in screen_text(app) and "generated" in screen_text(app))
            assert screen.query_one(TabbedContent).active == "voices-tab"
            rows = [row.plain for row in screen.query_one(Voices)._lines(size[0] - 6)]
            at = [number for number, row in enumerate(rows) if row.startswith(("step", "generated", "real"))]
            assert [rows[number].split()[:2] for number in at] == [
                ["step", "20"], ["generated", "Maya"], ["real", "Maya"],
                ["step", "10"], ["generated", "Maya"], ["real", "Maya"],
            ]  # fmt: skip
            add_exchanges(folder, exchange(30))
            await until(pilot, lambda: "step 30" in screen_text(app))
            await pilot.press("l")
            await until(pilot, lambda: screen.query_one(TabbedContent).active == "notes-tab")
            add_events(folder, [ended()])
            await until(pilot, lambda: "done" in screen_text(app))
            assert_clean(app)


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_hostile_voices_are_shown_clean(workspace: Workspace, size: tuple[int, int]) -> None:
    folder = write_run(workspace, "train", [*training(3, 3), ended()])
    texts = [text for _, text in hostile_strings()]
    for start in range(0, len(texts), 20):
        some = texts[start : start + 20]
        before = [said(text[:200], text) for text in some]
        written = [said("[/]", text, text[:9]) for text in some]
        add_exchanges(folder, exchange_of(start, before, written, said(some[0], some[0])))
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size, notifications=True) as pilot:
        await home(app, pilot)
        await pilot.press("r")
        await onto(app, pilot, RunsScreen)
        await until(pilot, lambda: "done" in screen_text(app))
        await pilot.press("enter")
        screen = await onto(app, pilot, RunScreen)
        await until(pilot, lambda: "Voices" in screen_text(app))
        await pilot.press("v")
        await until(pilot, lambda: "step" in screen_text(app) and screen.query_one(Voices).size.height > 100)
        await until(pilot, lambda: not screen.follower.look_for_exchanges() and len(screen.follower.exchanges) > 20)
        rows = screen.query_one(Voices)._lines(screen.query_one(Voices).size.width)
        assert not any(CONTROLS.search(row.plain) for row in rows)
        assert all(row.cell_length <= screen.query_one(Voices).size.width for row in rows)
        for _ in range(4):
            await pilot.press("pagedown")
            assert_clean(app)
        assert app.return_code is None
