"""The keys of the chat: suggestions, history, choosing a message, the side panel, and what is pasted."""

from __future__ import annotations

from typing import Any

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input

from tests.test_tui_chat import line, rows_with, say, submitted, talk, typed_in
from tests.test_tui_screens import until
from tests.tui_helpers import SIZES, ScriptedSession, screen_text
from ventriloquist.chat.commands import LONGEST, Completions
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.tui.screens.chat import ChatScreen
from ventriloquist.tui.widgets.clean_input import one_line_as_typed
from ventriloquist.tui.widgets.prompt import Prompt
from ventriloquist.tui.widgets.side_panel import SidePanel
from ventriloquist.tui.widgets.suggestions import Suggestions, suggest
from ventriloquist.tui.widgets.transcript import Transcript
from ventriloquist.workspace import Workspace

KNOWN = Completions(["Aidan", "Amy", "Mia"], ["Aidan", "Amy"], ["temperature", "delay"], ["tiny-1", "tiny-2"])


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys one after the other, as slowly as the screen answers."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


def test_what_is_suggested() -> None:
    def lines(typed: str) -> list[str]:
        return [each.line for each in suggest(typed, KNOWN, {"temperature": 0.8}, lambda number: ("Mia", "hey"))]

    assert len(lines("/")) > 20 and lines("/ta") == ["/target "] and lines("hello") == [] == lines("")
    assert lines("/target ") == ["/target Aidan", "/target Amy", "/target Mia", "/target any"]
    assert lines("/set t") == ["/set temperature "]
    assert lines("/checkpoint ") == ["/checkpoint tiny-1", "/checkpoint tiny-2"]
    assert lines("/react #2 la") == ["/react #2 Laughed"] and lines("ai") == ["Aidan: "] and lines("a") == []
    assert lines("/set temperature 0.9") == [""] == lines("/nonsense") == lines("/reply #1 words")


def test_help_is_one_row_when_a_command_is_complete() -> None:
    def told(typed: str) -> str:
        (row,) = suggest(typed, KNOWN, {"temperature": 0.8}, lambda number: ("Mia", "hey") if number == 2 else ("", ""))
        return f"{row.label} — {row.told}"

    assert told("/set temperature 0.9").startswith("/set temperature VALUE — 0 to 3, now 0.8: ")
    assert told("/retry") == "/retry — take back the last reply and ask again"
    assert told("/reply #2 yes") == "#2 Mia — hey" and told("/edit #7 x") == "#7 — no such message"
    assert "no such command" in told("/nonsense")


@pytest.mark.parametrize("size", SIZES)
async def test_suggestions_are_taken_by_tab_one_after_the_other(workspace: Workspace, size: tuple[int, int]) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size) as pilot:
        screen = await talk(app, pilot, ScriptedSession(["Aidan", "Amy", "Mia"], []))
        await press(pilot, "/", "t", "a")
        await until(pilot, lambda: "/target NAME|any  who answers" in screen_text(app))
        await press(pilot, "tab")
        assert typed_in(screen) == "/target "
        await until(pilot, lambda: "Amy" in screen_text(app))
        await press(pilot, "a")
        seen = []
        for _ in range(4):
            await press(pilot, "tab")
            seen.append(typed_in(screen))
        assert seen == ["/target Aidan", "/target Amy", "/target any", "/target Aidan"]
        await press(pilot, "backspace")
        assert screen.query_one(Suggestions).offered[0].line == "/target Aidan"
        await press(pilot, "escape")
        assert not screen.query_one(Suggestions).display and typed_in(screen) == "/target Aida"
        await press(pilot, "escape")
        assert typed_in(screen) == "" and app.screen is screen
        await press(pilot, "/")
        suggestions = screen.query_one(Suggestions)
        assert suggestions.size.height == (3 if size[1] <= 20 else 5)
        assert "tab 1 of 25" in screen_text(app)
        await press(pilot, "up")
        assert suggestions.line == "/quit" and "/quit" in screen_text(app)


async def test_arrows_move_in_the_list_and_enter_then_takes(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan", "Amy"], [])
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, session)
        await press(pilot, *"/target", "space", "down", "enter")
        assert typed_in(screen) == "/target Amy" and session.submitted == []
        await press(pilot, "enter")
        await until(pilot, lambda: session.submitted == ["/target Amy"])
        await press(pilot, *"am", "enter")
        await until(pilot, lambda: session.submitted == ["/target Amy", "am"])
        await until(pilot, lambda: screen.state == "ready")
        await press(pilot, *"am", "tab")
        assert typed_in(screen) == "Amy: "


async def test_what_was_typed_comes_back(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, ScriptedSession(["Aidan"], []))
        await say(screen, pilot, "one")
        await say(screen, pilot, "/target Aidan")
        screen.query_one(Prompt).value = "draft"
        seen = []
        for key in ("up", "up", "up", "down", "down", "down"):
            await press(pilot, key)
            seen.append(typed_in(screen))
        assert seen == ["/target Aidan", "one", "one", "/target Aidan", "draft", "draft"]
        await press(pilot, "escape")
        assert typed_in(screen) == ""
        await press(pilot, "up")
        assert typed_in(screen) == "draft", "words that are dropped can be had again"


async def test_a_huge_paste_is_cut_with_a_sentence(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan"], [])
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20), notifications=True) as pilot:
        screen = await talk(app, pilot, session)
        prompt = screen.query_one(Prompt)
        await press(pilot, "o", "k", "space")
        prompt.post_message(Paste("\x1b[2Jword\n" * 1_000_000))
        await until(pilot, lambda: "A message may have 20,000" in screen_text(app))
        assert len(typed_in(screen)) == LONGEST and typed_in(screen).startswith("ok [2Jword [2Jword")
        await press(pilot, "x", "enter")
        await until(pilot, lambda: screen.state == "ready")
        assert len(session.submitted[0]) == LONGEST
        prompt.post_message(Paste("two\r\nlines\r\n"))
        await until(pilot, lambda: typed_in(screen) == "two lines")


@pytest.mark.parametrize(
    ("typed", "kept"), [("a  b ", "a  b "), (" a\x1b[2J ", " a[2J "), ("a\nb", "a b"), ("\x1b", ""), ("  ", "  ")]
)
def test_what_is_pasted_becomes_one_clean_line(typed: str, kept: str) -> None:
    assert one_line_as_typed(typed) == kept


def some_talk() -> ScriptedSession:
    """A conversation of four messages, the third with a reaction."""
    session = ScriptedSession(["Aidan"], [])
    session.open()
    talked = session.conversation
    talked.do(talked.words("first words")[0])
    for said in (line("Aidan", "second"), line("Aidan", "third"), line("Aidan", "Loved", "reaction", "third")):
        talked.do(talked.line(said))
    talked.do(talked.line(line("Aidan", "fourth")))
    return session


@pytest.mark.parametrize("size", SIZES)
async def test_a_message_is_chosen_and_its_keys_submit_commands(workspace: Workspace, size: tuple[int, int]) -> None:
    session = some_talk()
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = await talk(app, pilot, session)
        transcript = screen.query_one(Transcript)
        await press(pilot, "tab")
        assert transcript.has_focus and transcript.chosen_number == 1 and rows_with(app, "█ fourth")
        assert "r Reply" in screen_text(app) and "esc Back" in screen_text(app)
        await press(pilot, "up")
        assert transcript.chosen_number == 3, "the reaction counts and is stepped over"
        for key, typed in {
            "l": "/react #3 Loved", "plus": "/react #3 Liked", "h": "/react #3 Laughed", "b": "/branch #3",
        }.items():  # fmt: skip
            await press(pilot, key)
            await submitted(pilot, screen, typed)
        await press(pilot, "k", "k", "k", "q", "x")
        assert transcript.chosen_number == 5 and rows_with(app, "first words █")
        await press(pilot, "c")
        assert app.clipboard == "first words"
        await press(pilot, "end")
        assert transcript.chosen_number == 1
        await press(pilot, "home", "r")
        assert typed_in(screen) == "/reply #5 " and screen.query_one(Prompt).has_focus and transcript.chosen is None
        assert rows_with(app, "#5 John  first words")
        await press(pilot, "escape")
        await press(pilot, "tab", "e")
        assert typed_in(screen) == "/edit #1 fourth"
        await press(pilot, "escape", "tab")
        assert transcript.has_focus
        await press(pilot, "escape")
        assert screen.query_one(Prompt).has_focus and app.screen is screen
        assert len(session.submitted) == 4


async def test_a_click_chooses_a_message(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, some_talk())
        transcript = screen.query_one(Transcript)
        at = next(number for number, row in enumerate(screen_text(app).split("\n")) if "second" in row)
        await pilot.click(offset=(5, at))
        await until(pilot, lambda: transcript.chosen_number == 4 and transcript.has_focus)
        await pilot.click(offset=(5, 2))
        await until(pilot, lambda: screen.query_one(Prompt).has_focus)


async def test_the_mouse_selects_words(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, some_talk())
        at = next(number for number, row in enumerate(screen_text(app).split("\n")) if "▌ second" in row)
        await pilot.mouse_down(offset=(3, at))
        await pilot.hover(offset=(7, at))
        await pilot.mouse_up(offset=(7, at))
        await pilot.pause()
        assert screen.get_selected_text() in ("seco", "secon")


async def test_nothing_to_choose_leaves_the_focus_where_it_is(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, ScriptedSession(["Aidan"], []))
        await press(pilot, "tab")
        assert screen.query_one(Prompt).has_focus


@pytest.mark.parametrize("size", SIZES)
async def test_the_side_panel_changes_what_it_shows(workspace: Workspace, size: tuple[int, int]) -> None:
    session = ScriptedSession(["Aidan", "Mia"], [line("Aidan", "fine")])
    session.conversation.title = "Plans"
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size) as pilot:
        screen = await talk(app, pilot, session)
        await say(screen, pilot, "how are you")
        panel = screen.query_one(SidePanel)
        assert panel.display == (size[0] >= 110)
        await press(pilot, "f2")
        await until(pilot, lambda: panel.has_focus)
        assert rows_with(app, "● Aidan")[0].rstrip().endswith("answers") and "John" in screen_text(app)
        await press(pilot, "down", "enter")
        await until(pilot, lambda: session.submitted[-1] == "/target Mia" and screen.state == "ready")
        while panel.highlighted is not None and "temperature" not in panel._painted[panel.highlighted].plain:
            await press(pilot, "down")
        await press(pilot, "enter")
        assert typed_in(screen) == "/set temperature " and screen.query_one(Prompt).has_focus
        assert rows_with(app, "/set temperature VALUE  0 to 3, now 0.8")
        await press(pilot, "f2", "end")
        await until(pilot, lambda: bool(rows_with(app, "12 tokens")))
        assert "Plans" in screen_text(app) and rows_with(app, "2 of 64") and rows_with(app, "500 ms")
        assert not screen.query_one(Suggestions).display, "it would stand over the panel"
        await press(pilot, "f2")
        assert not panel.display and screen.query_one(Prompt).has_focus


async def test_the_head_tells_who_answers_whom_and_whether_it_is_live(workspace: Workspace) -> None:
    session = some_talk()
    talked = session.conversation
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, session)

        async def head(**cast: Any) -> str:
            talked.do(talked.cast(**cast))
            await say(screen, pilot, "/context")
            return screen_text(app).split("\n")[0].strip()

        assert (await head()).startswith("Aidan answers · dm ")
        talked.title = "Plans"
        told = await head(members=["Aidan", "Mia", "John"], kind="group", target=None, sender="Mia")
        assert told.startswith("anyone answers · you speak as Mia · group with Aidan · Plans")
        talked.said[0] = talked.said[0]._replace(origin="real")
        assert "· live ·" in await head() and "Plans" not in await head()


async def test_the_prompt_is_one_input(workspace: Workspace) -> None:
    """Clicking a suggestion takes it, and the words stay in the one line that there is."""
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen: ChatScreen = await talk(app, pilot, ScriptedSession(["Aidan", "Mia"], []))
        await press(pilot, *"/target", "space")
        await until(pilot, lambda: "Mia" in screen_text(app))
        await pilot.click(Suggestions, offset=(4, 1))
        await until(pilot, lambda: typed_in(screen) == "/target Mia")
        assert len(screen.query(Input)) == 1 and screen.query_one(Prompt).has_focus
