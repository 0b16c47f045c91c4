"""The app's words, and the one door to the screen."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from textual.content import Content

from tests.hostile import hostile_strings
from tests.tui_helpers import CONTROLS, add_events, ended, living, training, write_run
from ventriloquist.tui import paint, words
from ventriloquist.tui.follow import DEAD_LOOKS, Follower
from ventriloquist.tui.overview import advice, read_overview
from ventriloquist.tui.themes import DEFAULT_THEME, save_theme, saved_theme
from ventriloquist.workspace import Workspace

TUI = Path(words.__file__).parent
FORMS_OF_TEXT = {"Static", "Label", "notify", "Option", "Button", "update", "Collapsible", "TabPane", "Select"}
"""What reads markup in a plain string unless it is told not to."""


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (90000, "1 d 1 h")],
)
def test_a_duration_is_told_in_two_units(seconds: float, told: str) -> None:
    assert words.span(seconds) == told


@pytest.mark.parametrize(
    ("before", "told"), [(0, "just now"), (61, "1 minute ago"), (7300, "2 hours ago"), (86400 * 400, "1 year ago")]
)
def test_a_moment_is_told_from_now(before: int, told: str) -> None:
    assert words.ago("2026-03-01T12:00:00+00:00", 1772366400 + before) == told


@pytest.mark.parametrize("when", [None, "", "yesterday", "2026-99-99"])
def test_a_moment_that_is_none_is_not_told(when: str | None) -> None:
    assert words.ago(when, 0.0) == ""


def test_what_a_run_made_is_a_line() -> None:
    assert words.made({"windows": 1203, "checkpoint": "tiny-a", "text_loss": 1.234, "nested": {"train": 3}}) == (
        "1,203 windows · checkpoint tiny-a · text loss 1.23 · 3 train"
    )
    assert words.made({"loss": float("nan"), "other": [1]}) == "loss nan"


@pytest.mark.parametrize(("name", "text"), hostile_strings())
def test_every_hostile_string_is_fit_for_the_screen(name: str, text: str) -> None:
    for content in (paint.shown(text[:4000]), paint.row(text, 40)):
        assert not CONTROLS.search(content.plain)
        assert all(isinstance(span.style, str) and "@click" not in span.style for span in content.spans)
    assert not CONTROLS.search(paint.log_line(text))
    assert paint.person_style(text) in paint.PERSON_STYLES


def test_a_log_line_keeps_its_last_state_and_loses_its_colours() -> None:
    assert paint.log_line("10%\r 50%\r\x1b[32m100%\x1b[0m\r") == "100%"
    assert paint.log_line("\x1b]52;c;aGVsbG8=\x07told\x1b[2J") == "told"


def test_both_ends_of_a_line_fit_its_width() -> None:
    for width in range(1, 40):
        assert paint.spread(Content("left " * 4), Content("right"), width).cell_length <= max(width, 5)
    assert paint.spread(Content("漢字"), Content("r"), 10).plain == "漢字     r"


def test_no_widget_is_given_a_string_that_was_built() -> None:
    """Whatever holds data reaches a widget as Content; an f-string or a sum would be read as markup."""
    found = []
    for path in TUI.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            unread = any(keyword.arg == "markup" for keyword in call.keywords)
            built = isinstance(call.args[0], ast.JoinedStr | ast.BinOp)
            if ((name in FORMS_OF_TEXT and built) or name == "notify") and not unread:
                found.append(f"{path.name}:{call.lineno}")
            ids = [keyword.value for keyword in call.keywords if keyword.arg == "id"]
            if name == "from_markup" or not all(isinstance(value, ast.Constant | ast.Name) for value in ids):
                found.append(f"{path.name}:{call.lineno}")
    assert found == []


def test_a_run_is_followed_until_it_ends(workspace: Workspace) -> None:
    folder = write_run(workspace, "train", training(5, 20), log="one\ntwo\nhalf")
    with living(folder):
        follower = Follower(folder)
        follower.catch_up()
        assert (follower.status, follower.state.done, follower.log_lines()) == ("running", 5, ["one", "two"])
        assert not follower.look()
        with (folder / "output.log").open("a") as log:
            log.write(" a line\n")
        assert follower.log_lines() == ["half a line"]
        add_events(folder, [ended(steps=20)])
        assert follower.look() and follower.status == "done"


def test_a_run_whose_process_is_gone_is_lost_after_a_few_looks(workspace: Workspace) -> None:
    follower = Follower(write_run(workspace, "train", training(5, 20)))
    looks = [follower.look() for _ in range(DEAD_LOOKS + 2)]
    assert follower.status == "lost" and sum(looks) == 2  # its events, and that it is lost


def test_events_that_cannot_be_read_are_counted(workspace: Workspace) -> None:
    folder = write_run(workspace, "train", training(2, 20))
    with (folder / "events.jsonl").open("a") as file:
        file.write('5\n{"kind": "progress"}\n{"t": "x"}\n[]\n{"torn": \n')
    follower = Follower(folder)
    follower.catch_up()
    assert follower.unreadable == 4 and follower.state.done == 2


def test_a_damaged_workspace_is_a_sentence(workspace: Workspace) -> None:
    workspace.messages_db.write_bytes(b"this is no database, " * 500)
    workspace.windows_report.write_text("[")
    overview = read_overview(workspace)
    assert overview.fault and advice(overview, on_mac=True) == overview.fault
    assert set(overview.stages) == {"collect", "describe", "preprocess", "train", "evaluate", "chat"}


@pytest.mark.parametrize(("on_mac", "told"), [(True, "Press c to collect"), (False, "ventriloquist demo")])
def test_an_empty_workspace_says_how_to_begin(workspace: Workspace, on_mac: bool, told: str) -> None:
    assert told in advice(read_overview(workspace), on_mac=on_mac)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"theme": 5}', '{"theme": null}'])
def test_a_damaged_choice_of_theme_is_the_default(workspace: Workspace, content: str) -> None:
    (workspace.data / "app.json").write_text(content)
    assert saved_theme(workspace) == DEFAULT_THEME


def test_the_choice_of_theme_is_private(workspace: Workspace) -> None:
    save_theme(workspace, "nord")
    assert saved_theme(workspace) == "nord" and (workspace.data / "app.json").stat().st_mode & 0o077 == 0
