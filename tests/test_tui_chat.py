"""The chat screen over a scripted session, and, marked slow, over the real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

from tests.hostile import hostile_strings
from tests.test_tui_screens import home, onto, until
from tests.tui_helpers import CONTROLS, SIZES, ScriptedSession, assert_clean, screen_text
from ventriloquist.chat.events import Changed, ChatEvent, Failed, Said, Text, Told, TurnEnded, Writing
from ventriloquist.faults import Fault
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.tui.screens.chat import ChatScreen
from ventriloquist.tui.screens.home import HomeScreen
from ventriloquist.tui.widgets import bubble
from ventriloquist.tui.widgets.bubble import Bubble, GrowingBubble
from ventriloquist.tui.widgets.prompt import Prompt, one_line_as_typed
from ventriloquist.tui.widgets.transcript import KEPT, Transcript
from ventriloquist.windows.lines import CONTENT_TYPES, Line
from ventriloquist.windows.render import Entry
from ventriloquist.workspace import Workspace


def line(name: str, text: str, content_type: str = "text", reply_to: str | None = None) -> Line:
    return Line(name, "<1m", reply_to, content_type, text)


async def talk(app: App[Any], pilot: Pilot[Any], session: Any, checkpoint: str = "tiny-4f2a") -> ChatScreen:
    """The chat screen over this session, ready."""
    screen = ChatScreen(session, checkpoint)
    await app.push_screen(screen)
    await until(pilot, lambda: screen.state != "loading")
    return screen


async def say(screen: ChatScreen, pilot: Pilot[Any], typed: str) -> None:
    """Type a line, send it, and wait for the end of the turn."""
    screen.query_one(Prompt).value = typed
    await pilot.press("enter")
    await until(pilot, lambda: screen.state == "ready")


@pytest.mark.parametrize("size", SIZES)
async def test_a_reply_is_shown_with_its_names_quotes_and_reactions(
    workspace: Workspace, size: tuple[int, int]
) -> None:
    session = ScriptedSession(
        ["Aidan", "Mia"],
        [
            line("Aidan", "not much, hbu"),
            line("Mia", "Loved", "reaction", "what's up"),
            line("Aidan", "A sunset photo", "image"),
            line("Mia", "beautiful!", "text", "A sunset photo"),
        ],
    )
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size) as pilot:
        screen = await talk(app, pilot, session)
        assert "Aidan answers · with Aidan, Mia" in screen_text(app) and "tiny-4f2a" in screen_text(app)
        await say(screen, pilot, "what's up")
        bubbles = list(screen.query(Bubble))
        assert [one.generated for one in bubbles] == [False, True, True, True]
        assert [len(one.reactions) for one in bubbles] == [1, 0, 0, 0]
        shown = screen_text(app)
        assert "♥ Mia" in shown and "[image] A sunset photo" in shown and "↪ A sunset photo" in shown
        assert "Mia  generated" in shown and "beautiful!" in shown and not screen.query(GrowingBubble)
        assert screen.query_one(Prompt).value == "" and "enter Send" in shown and "esc Back" in shown
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen and session.closed)


class Waiting(ScriptedSession):
    """Writes half a reply, then waits until it is cancelled."""

    def __init__(self) -> None:
        super().__init__(["Aidan"], [])
        self.go_on = threading.Event()

    def submit(self, typed: str) -> Iterator[ChatEvent]:
        self.submitted.append(typed)
        yield Said(self.conversation.say(typed)[0])
        yield Writing("Aidan")
        yield Text("Aidan", "half a ")
        yield Text("Aidan", "reply")
        self.go_on.wait(30)
        yield TurnEnded()

    def cancel(self) -> None:
        super().cancel()
        self.go_on.set()


async def test_a_reply_grows_and_escape_stops_it(workspace: Workspace) -> None:
    session = Waiting()
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await talk(app, pilot, session)
        screen.query_one(Prompt).value = "hi"
        await pilot.press("enter")
        await until(pilot, lambda: "half a reply" in screen_text(app))
        assert "Aidan is writing… esc stops" in screen_text(app)
        screen.query_one(Prompt).value = "too early"
        await pilot.press("enter")
        await until(pilot, lambda: "A reply is being written" in screen_text(app))
        assert screen.query_one(Prompt).value == "too early" and session.submitted == ["hi"]
        await pilot.press("escape")
        await until(pilot, lambda: screen.state == "ready")
        assert session.cancelled and "half a reply" not in screen_text(app) and app.screen is screen


async def test_quitting_while_a_reply_is_written_ends_the_session(workspace: Workspace) -> None:
    session = Waiting()
    app = VentriloquistApp(workspace)
    async with app.run_test() as pilot:
        screen = await talk(app, pilot, session)
        screen.query_one(Prompt).value = "hi"
        await pilot.press("enter")
        await until(pilot, lambda: screen.state == "writing")
        await pilot.press("ctrl+q")
    for thread in threading.enumerate():
        if thread.name == "close-chat":
            thread.join(10)
    assert session.cancelled and session.closed


async def test_a_failure_is_a_sentence_and_gives_the_words_back(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan"], [])
    session.events["hello"] = [
        Writing("Aidan"),
        Text("Aidan", "he"),
        Failed("The model's process was killed.", "hello"),
    ]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = await talk(app, pilot, session)
        await say(screen, pilot, "hello")
        assert "process was killed" in screen_text(app) and screen.query_one(Prompt).value == "hello"
        assert not screen.query(GrowingBubble)
        session.events = {}
        await say(screen, pilot, "hello")
        assert session.submitted == ["hello", "hello"]


async def test_what_nobody_foresaw_leaves_the_screen_alive(workspace: Workspace) -> None:
    class Breaking(ScriptedSession):
        def submit(self, typed: str) -> Iterator[ChatEvent]:
            raise RuntimeError("private words")

    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, Breaking(["Aidan"], []))
        await say(screen, pilot, "hello")
        assert "RuntimeError" in screen_text(app) and "private" not in screen_text(app)


async def test_a_model_that_cannot_be_loaded_is_a_sentence(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan"], [])
    session.problem = Fault("The model does not fit into memory.")
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, session)
        assert "does not fit into memory" in screen_text(app)
        screen.query_one(Prompt).value = "hello"
        await pilot.press("enter")
        assert session.submitted == [] and screen.query_one(Prompt).value == "hello"
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen)


async def test_changes_answers_and_keys(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan", "Mia"], [line("Aidan", "one")])
    session.events["/retry"] = [Changed("Again."), TurnEnded()]
    session.events["/undo"] = [Changed("Took the last turn back.")]
    session.events["/help"] = [Told((("/target NAME|any", "who answers"), ("a line of context", "")))]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, session)
        await say(screen, pilot, "first")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "Again." in screen_text(app))
        assert [one.generated for one in screen.query(Bubble)] == [False, True]
        session.conversation.entries.pop()
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "Took the last turn back." in screen_text(app))
        assert len(screen.query(Bubble)) == 1
        await say(screen, pilot, "/help")
        assert "who answers" in screen_text(app) and "a line of context" in screen_text(app)
        await pilot.press("f1")
        await until(pilot, lambda: app.screen is not screen)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        screen.query_one(Prompt).value = "/quit"
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is not screen)


async def test_history_completion_and_hints(workspace: Workspace) -> None:
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, ScriptedSession(["Aidan", "Amy", "Mia"], []))
        prompt = screen.query_one(Prompt)
        await say(screen, pilot, "one")
        await say(screen, pilot, "two")
        prompt.value = "draft"
        seen = []
        for key in ("up", "up", "up", "down", "down", "down"):
            await pilot.press(key)
            seen.append(prompt.value)
        assert seen == ["two", "one", "one", "two", "draft", "draft"]
        prompt.value = "/ta"
        await until(pilot, lambda: "/target NAME|any" in screen_text(app))
        await pilot.press("tab")
        assert prompt.value == "/target "
        await until(pilot, lambda: "Aidan  Amy  Mia" in screen_text(app))
        prompt.value = "/target a"
        seen = []
        for _ in range(3):
            await pilot.press("tab")
            seen.append(prompt.value)
        assert seen[:2] == ["/target Aidan", "/target Amy"] and len(set(seen)) == 3
        prompt.value = "/nonsense"
        await until(pilot, lambda: "no such command" in screen_text(app))


async def test_only_the_last_messages_stay_on_the_screen_and_the_end_is_followed(workspace: Workspace) -> None:
    replies = [line("Aidan" if number % 2 else "Mia", f"message {number}") for number in range(KEPT + 60)]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = await talk(app, pilot, ScriptedSession(["Aidan", "Mia"], replies, pieces=1))
        await say(screen, pilot, "go")
        await until(pilot, lambda: f"message {KEPT + 59}" in screen_text(app))
        assert len(screen.query(Bubble)) <= KEPT + 9
        await pilot.press("pageup", "pageup")
        await until(pilot, lambda: f"message {KEPT + 59}" not in screen_text(app))
        assert not screen.query_one(Transcript).is_vertical_scroll_end


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_hostile_names_and_messages(workspace: Workspace, size: tuple[int, int]) -> None:
    """As messages, names, quotes and reactions, fifty in the cast, one of more than 200 characters."""
    strings = [text[:2000] for _, text in hostile_strings()]
    strings = strings[:66] + strings[66::16]
    names = ["[/]\x1b[31m" + "W" * 200, *(text[:300] for text in strings[:49])]
    replies = [
        line(names[number % 50], text, CONTENT_TYPES[number % len(CONTENT_TYPES)], text[:50] if number % 2 else None)
        for number, text in enumerate(strings)
    ]
    session = ScriptedSession(names, replies, me="\x1b]0;me\x07[@click=app.quit]me[/]", pieces=1)
    session.events["/context"] = [Told(tuple((text, text[:9]) for text in strings[:80]))]
    session.events["/clear"] = [Changed(strings[-1]), Failed(strings[0] + "[/]\x1b[2J", "\x1b[31m[/]back\x07")]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = await talk(app, pilot, session, "[/]\x1b[2Jcheckpoint")
        assert_clean(app)
        await say(screen, pilot, "hello [/] there")
        assert_clean(app)
        for _ in range(12):
            await pilot.press("pageup")
            assert_clean(app)
        await say(screen, pilot, "/context")
        assert_clean(app)
        await say(screen, pilot, "/clear")
        assert_clean(app)
        assert screen.query_one(Prompt).value == "[31m[/]back"
        screen.query_one(Prompt).value = "/target "
        await pilot.press("tab")
        assert_clean(app)
        transcript = screen.query_one(Transcript)
        transcript.begin(names[0])
        transcript.grow("".join(strings[:60]))
        await until(pilot, lambda: transcript._painted != "")
        assert_clean(app)
        assert app.return_code is None


@pytest.mark.parametrize(("name", "text"), hostile_strings())
def test_every_hostile_string_makes_a_clean_message(name: str, text: str) -> None:
    reaction = Entry(text, 0, "reaction", text, text)
    painted = [bubble.body(kind, text) for kind in ("text", "image")] + [bubble.name_line(text, generated=True)]
    for content in [*painted, bubble.reaction_line(reaction), bubble.lone_reaction(reaction)]:
        assert not CONTROLS.search(content.plain)
        assert not any("@click" in str(span.style) for span in content.spans)


@pytest.mark.parametrize(
    ("typed", "kept"), [("a  b ", "a  b "), (" a\x1b[2J ", " a[2J "), ("a\nb", "a b"), ("\x1b", ""), ("  ", "  ")]
)
def test_what_is_pasted_becomes_one_clean_line(typed: str, kept: str) -> None:
    assert one_line_as_typed(typed) == kept


@pytest.mark.slow
async def test_a_real_model_answers_and_its_death_is_a_sentence(learnt: Workspace) -> None:
    app = VentriloquistApp(learnt)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await home(app, pilot)
        await pilot.press("l")
        screen = await onto(app, pilot, ChatScreen)
        await until(pilot, lambda: screen.state != "loading")
        assert screen.state == "ready", screen_text(app)
        await say(screen, pilot, "hello")
        answers = [entry for entry in screen.scene.entries if entry.name != screen.scene.me]
        assert answers, "whoever it is, and be it a reaction, answers"
        assert_clean(app)
        screen.session.process._child.kill()
        await say(screen, pilot, "are you there")
        await pilot.press("escape")
        await onto(app, pilot, HomeScreen)
    screen.session.process._child.wait(30)
