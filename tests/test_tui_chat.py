"""The chat screen over a scripted session, and, marked slow, over the real one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from textual import events
from textual.app import App
from textual.pilot import Pilot

from tests.test_tui_screens import home, onto, until
from tests.tui_helpers import SIZES, ScriptedSession, assert_clean, screen_text
from ventriloquist.chat.events import (
    Busy,
    Changed,
    ChatEvent,
    Choice,
    Choose,
    Failed,
    Offered,
    Said,
    Text,
    Told,
    TurnEnded,
    Waiting,
    Writing,
)
from ventriloquist.faults import Fault
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.tui.screens.candidates import CandidatesScreen
from ventriloquist.tui.screens.chat import ChatScreen
from ventriloquist.tui.screens.home import HomeScreen
from ventriloquist.tui.screens.pick import PickScreen
from ventriloquist.tui.screens.told import Sheet, ToldScreen
from ventriloquist.tui.widgets.prompt import Prompt
from ventriloquist.tui.widgets.transcript import Transcript
from ventriloquist.windows.lines import Line
from ventriloquist.workspace import Workspace


def line(name: str, text: str, content_type: str = "text", reply_to: str | None = None) -> Line:
    return Line(name, "<1m", reply_to, content_type, text)


async def talk(app: App[Any], pilot: Pilot[Any], session: Any) -> ChatScreen:
    """The chat screen over this session, ready."""
    screen = ChatScreen(session)
    await app.push_screen(screen)
    await until(pilot, lambda: screen.state != "loading")
    return screen


async def say(screen: ChatScreen, pilot: Pilot[Any], typed: str) -> None:
    """Type a line, send it, and wait until all that follows from it has happened."""
    screen.query_one(Prompt).value = typed
    await pilot.press("enter")
    await until(pilot, lambda: screen.state == "ready")


def typed_in(screen: ChatScreen) -> str:
    """What stands in the prompt."""
    return str(screen.query_one(Prompt).value)


async def submitted(pilot: Pilot[Any], screen: Any, typed: str) -> None:
    """Wait until this was the last thing that was submitted, and all that follows from it has happened."""
    await until(pilot, lambda: screen.session.submitted[-1:] == [typed] and screen.state == "ready")


def rows_with(app: App[Any], words: str) -> list[str]:
    """The rows of the screen that hold these words."""
    return [row for row in screen_text(app).split("\n") if words in row]


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
        assert "Aidan answers · group with Mia" in screen_text(app) and "tiny-4f2a" in screen_text(app)
        hours = {time.strftime("%H:")}
        await say(screen, pilot, "what's up")
        hours |= {time.strftime("%H:"), time.strftime("%H:", time.localtime(time.time() + 120))}
        shown = screen_text(app)
        assert "♥ Mia generated" in shown and "[image] A sunset photo" in shown and "↪ A sunset photo" in shown
        assert any(hour in rows_with(app, "generated")[-1] for hour in hours) and "beautiful!" in shown
        assert len(rows_with(app, "▌ beautiful!")) == 1 and len(rows_with(app, "what's up ▐")) == 1
        assert typed_in(screen) == "" and "enter Send" in shown and "esc Back" in shown
        assert ("people" in shown) == (size[0] >= 110)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen and session.closed)


class Halting(ScriptedSession):
    """Writes half a reply, then waits until it is cancelled."""

    def __init__(self, *, begun: bool = True) -> None:
        super().__init__(["Aidan"], [])
        self.begun = begun
        self.go_on = threading.Event()

    def submit(self, typed: str) -> Iterator[ChatEvent]:
        self.submitted.append(typed)
        yield from self.say(typed)
        yield Waiting("Aidan", 200)
        if self.begun:
            yield Writing("Aidan")
            yield Text("Aidan", "half a ")
            yield Text("Aidan", "reply")
        self.go_on.wait(30)
        yield TurnEnded(stopped=True)

    def cancel(self) -> None:
        super().cancel()
        self.go_on.set()


async def test_a_reply_grows_and_escape_stops_it(workspace: Workspace) -> None:
    session = Halting()
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await talk(app, pilot, session)
        screen.query_one(Prompt).value = "hi"
        await pilot.press("enter")
        await until(pilot, lambda: "half a reply▍" in screen_text(app))
        assert "Aidan is typing…  esc stops" in screen_text(app)
        screen.query_one(Prompt).value = "too early"
        await pilot.press("enter")
        await until(pilot, lambda: "A reply is being written" in screen_text(app))
        assert typed_in(screen) == "too early" and session.submitted == ["hi"]
        await pilot.press("escape")
        await until(pilot, lambda: screen.state == "ready")
        assert session.cancelled and "half a reply" not in screen_text(app) and app.screen is screen


async def test_what_is_typed_behind_an_enter_is_the_next_line(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan"], [])
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, session)
        for key in "one":
            app.post_message(events.Key(key, key))
        app.post_message(events.Key("enter", "\r"))
        for key in "two":
            app.post_message(events.Key(key, key))
        await until(pilot, lambda: session.submitted == ["one"] and typed_in(screen) == "two")


async def test_a_wait_is_told_and_typing_shows_in_dots(workspace: Workspace) -> None:
    class Slow(Halting):
        def submit(self, typed: str) -> Iterator[ChatEvent]:
            yield from super().submit(typed)
            yield Writing("Aidan")
            wait_for_end.wait(30)
            yield TurnEnded()

    wait_for_end = threading.Event()
    session = Slow(begun=False)
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = await talk(app, pilot, session)
        screen.query_one(Prompt).value = "hi"
        await pilot.press("enter")
        await until(pilot, lambda: "Aidan answers in 3 min" in screen_text(app))
        assert "is typing" not in screen_text(app)
        session.go_on.set()
        await until(pilot, lambda: "Aidan is typing ·" in screen_text(app))
        dots = set()
        for _ in range(12):
            dots.add(rows_with(app, "Aidan is typing ·")[0])
            await pilot.pause(0.1)
        assert len(dots) == (3 if app.animation_level != "none" else 1)
        wait_for_end.set()
        await until(pilot, lambda: screen.state == "ready")
        assert "typing" not in screen_text(app)


async def test_keys_are_echoed_while_text_streams(workspace: Workspace) -> None:
    """Text comes as fast as it can; it is painted at most 12 times a second, and a key is there at once."""

    class Torrent(Halting):
        def submit(self, typed: str) -> Iterator[ChatEvent]:
            yield from self.say(typed)
            yield Writing("Aidan")
            while not self.go_on.wait(0.0005):
                yield Text("Aidan", "more and more ")
            yield TurnEnded(stopped=True)

    session = Torrent()
    talked = session.conversation
    for number in range(300):
        talked.do(talked.line(line("Mia", f"message {number}")))
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await talk(app, pilot, session)
        transcript, prompt = screen.query_one(Transcript), screen.query_one(Prompt)
        screen.query_one(Prompt).value = "go"
        await pilot.press("enter")
        await until(pilot, lambda: "more and more" in screen_text(app))
        puts: list[float] = []
        put_rows = transcript.put_rows
        transcript.put_rows = lambda *given: (puts.append(time.monotonic()), put_rows(*given))[1]  # type: ignore[method-assign,func-returns-value]
        began, waits = time.monotonic(), []
        for number in range(1, 21):
            sent = time.thread_time()  # of this thread alone: other processes do not count
            prompt.post_message(events.Key("x", "x"))
            while len(prompt.value) < number:
                await asyncio.sleep(0)
            waits.append(time.thread_time() - sent)
            await asyncio.sleep(0.05)
        lasted = time.monotonic() - began
        session.cancel()
        await until(pilot, lambda: screen.state == "ready")
        assert sorted(waits)[-2] < 0.05, waits
        assert 3 <= len(puts) <= 13 * lasted + 2


async def test_quitting_while_a_reply_is_written_ends_the_session(workspace: Workspace) -> None:
    session = Halting()
    app = VentriloquistApp(workspace)
    async with app.run_test() as pilot:
        screen = await talk(app, pilot, session)
        screen.query_one(Prompt).value = "hi"
        await pilot.press("enter")
        await until(pilot, lambda: screen.state == "busy")
        await pilot.press("ctrl+q")
    for thread in threading.enumerate():
        if thread.name == "close-chat":
            thread.join(10)
    assert session.cancelled and session.closed


async def test_a_reply_that_does_not_stop_is_left_by_a_second_escape(workspace: Workspace) -> None:
    class Deaf(Halting):
        def cancel(self) -> None:
            self.cancelled = True

    session = Deaf()
    app = VentriloquistApp(workspace)
    async with app.run_test() as pilot:
        screen = await talk(app, pilot, session)
        screen.query_one(Prompt).value = "hi"
        await pilot.press("enter")
        await until(pilot, lambda: screen.state == "busy")
        await pilot.press("escape")
        await until(pilot, lambda: "stopping" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen and session.closed)
        session.go_on.set()


async def test_a_failure_is_a_sentence_and_gives_the_words_back(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan"], [])
    session.events["hello"] = [
        Writing("Aidan"),
        Text("Aidan", "he"),
        Failed("The model's process was killed.", "hello"),
    ]
    session.events["/retry"] = [Failed("The model's process was killed.", "/retry")]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = await talk(app, pilot, session)
        await say(screen, pilot, "hello")
        assert "! The model's process was killed." in screen_text(app) and typed_in(screen) == "hello"
        assert "▍" not in screen_text(app)
        session.events.pop("hello")
        await say(screen, pilot, "hello")
        assert session.submitted == ["hello", "hello"] and typed_in(screen) == ""
        await pilot.press("ctrl+r")
        await until(pilot, lambda: session.submitted[-1] == "/retry" and screen.state == "ready")
        assert typed_in(screen) == "", "what a key submitted was never typed"


async def test_words_that_fail_do_not_overwrite_others(workspace: Workspace) -> None:
    class Failing(Halting):
        def submit(self, typed: str) -> Iterator[ChatEvent]:
            self.go_on.wait(30)
            yield Failed("Out of memory.", typed)

    session = Failing()
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = await talk(app, pilot, session)
        screen.query_one(Prompt).value = "first"
        await pilot.press("enter")
        screen.query_one(Prompt).value = "second"
        session.go_on.set()
        await until(pilot, lambda: screen.state == "ready")
        assert typed_in(screen) == "second"
        await pilot.press("up")
        assert typed_in(screen) == "first"


async def test_what_nobody_foresaw_leaves_the_screen_alive(workspace: Workspace) -> None:
    class Breaking(ScriptedSession):
        def submit(self, typed: str) -> Iterator[ChatEvent]:
            raise RuntimeError("private words")

    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, Breaking(["Aidan"], []))
        await say(screen, pilot, "hello")
        assert "RuntimeError" in screen_text(app) and "private" not in screen_text(app)
        assert typed_in(screen) == "hello"


async def test_a_model_that_cannot_be_loaded_is_a_sentence_and_enter_tries_again(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan"], [line("Aidan", "here I am")])
    session.problem = Fault("The model does not fit into memory.")
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, session)
        assert "does not fit into memory. Enter tries again" in screen_text(app)
        screen.query_one(Prompt).value = "hello"
        await pilot.press("enter")
        await until(pilot, lambda: screen.state == "failed")
        assert session.submitted == [] and typed_in(screen) == "hello"
        session.problem = None
        await pilot.press("enter")
        await until(pilot, lambda: "here I am" in screen_text(app) and screen.state == "ready")
        assert session.submitted == ["hello"] and typed_in(screen) == ""
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen)


async def test_what_is_entered_while_the_model_loads_is_sent_when_it_is_there(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan"], [line("Aidan", "hello you")])
    session.opened.clear()
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = ChatScreen(session)  # type: ignore[arg-type]
        await app.push_screen(screen)
        await until(pilot, lambda: "loading the model…" in screen_text(app))
        await pilot.press("h", "i", "enter")
        await until(pilot, lambda: "then your words go" in screen_text(app))
        await pilot.press("y")
        await until(pilot, lambda: "then your words go" not in screen_text(app))
        await pilot.press("backspace", "enter")
        session.opened.set()
        await until(pilot, lambda: screen.state == "ready" and "hello you" in screen_text(app))
        assert session.submitted == ["hi"] and typed_in(screen) == ""


async def test_changes_answers_and_keys(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan", "Mia"], [line("Aidan", "one answer")])
    session.events["/retry"] = [Changed("Again."), TurnEnded()]
    session.events["/undo"] = [Changed("Took the last turn back.")]
    session.events["/members"] = [Told((("Aidan", "answers"), ("a line of context", "")))]
    session.events["/candidates 3"] = [Busy("writing three")]
    session.events["/live"] = [Changed("Live.")]
    session.events["/open"] = [Changed("Opened.")]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await talk(app, pilot, session)
        await pilot.press("ctrl+y")
        await until(pilot, lambda: "Nothing was generated yet." in screen_text(app))
        await say(screen, pilot, "first")
        for key, typed in {"ctrl+r": "/retry", "ctrl+n": "/candidates 3", "ctrl+l": "/live", "ctrl+o": "/open"}.items():
            await pilot.press(key)
            await submitted(pilot, screen, typed)
        assert "Live." in screen_text(app) and "Opened." in screen_text(app)
        await pilot.press("ctrl+y")
        await until(pilot, lambda: "Copied." in screen_text(app))
        assert app.clipboard == "one answer"
        talked = session.conversation
        talked.do({"do": "drop", "count": 1})
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "Took the last turn back." in screen_text(app))
        assert "one answer" not in screen_text(app) and "first" in screen_text(app)
        await say(screen, pilot, "/members")
        assert "Aidan  answers" in screen_text(app) and "a line of context" in screen_text(app)
        await pilot.press("f1")
        await until(pilot, lambda: app.screen is not screen)
        assert "Ask for the last reply again" in screen_text(app) and "Move cursor" not in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        screen.query_one(Prompt).value = "/quit"
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is not screen)


@pytest.mark.parametrize("size", SIZES)
async def test_a_long_answer_is_a_sheet_in_which_nothing_is_cut_off(
    workspace: Workspace, size: tuple[int, int]
) -> None:
    session = ScriptedSession(["Aidan"], [])
    words = " ".join(f"word{number}" for number in range(400))
    session.events["/context"] = [Told((("prompt", words), *((f"line {number}", "") for number in range(30))))]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = await talk(app, pilot, session)
        await say(screen, pilot, "/context")
        sheet = await onto(app, pilot, ToldScreen)
        seen = screen_text(app)
        while not sheet.query_one(Sheet).is_vertical_scroll_end:
            await pilot.press("pagedown")
            seen += screen_text(app)
        assert all(f"word{number}" in seen for number in range(400)) and "line 29" in seen
        await pilot.press("c")
        assert app.clipboard.startswith(f"prompt  {words}\nline 0\n")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not sheet)
        assert app.screen is screen


@pytest.mark.parametrize("size", SIZES)
async def test_candidates_are_shown_in_full_and_one_is_taken(workspace: Workspace, size: tuple[int, int]) -> None:
    session = ScriptedSession(["Aidan"], [])
    long = " ".join(f"word{number}" for number in range(30))
    session.events["/candidates 3"] = [Offered((line("Aidan", "lol"), line("Aidan", long), line("Aidan", "no")))]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size) as pilot:
        screen = await talk(app, pilot, session)
        for keys, taken in (("2", ["/pick 2"]), ("enter", ["/pick 1"]), ("escape", []), ("9", [])):
            session.submitted.clear()
            await pilot.press("ctrl+n")
            await onto(app, pilot, CandidatesScreen)
            assert all(f"word{number}" in screen_text(app) for number in range(30)) and "no" in screen_text(app)
            await pilot.press(keys, *(["escape"] if keys == "9" else []))
            await until(pilot, lambda: app.screen is screen and screen.state == "ready")
            assert session.submitted == ["/candidates 3", *taken] and typed_in(screen) == ""


async def test_a_choice_submits_its_command(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan"], [])
    choices = tuple(Choice(f"With Mia {number}", f"{number} messages", f"/open {number}") for number in range(40))
    session.events["/open"] = [Choose("Which one?", choices)]
    session.events["/open 33"] = [Failed("It is damaged.", "/open 33")]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = await talk(app, pilot, session)
        await pilot.press("ctrl+o")
        await onto(app, pilot, PickScreen)
        assert "Which one?" in screen_text(app)
        await pilot.press("3", "3", "enter")
        await until(pilot, lambda: app.screen is screen and screen.state == "ready")
        assert session.submitted == ["/open", "/open 33"] and typed_in(screen) == ""
        assert "It is damaged." in screen_text(app)


@pytest.mark.slow
async def test_a_real_model_answers_and_its_death_is_a_sentence(copy_of_learnt: Workspace) -> None:
    app = VentriloquistApp(copy_of_learnt)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await home(app, pilot)
        await pilot.press("l")
        screen = await onto(app, pilot, ChatScreen)
        await until(pilot, lambda: screen.state != "loading")
        assert screen.state == "ready", screen_text(app)
        await say(screen, pilot, "hello")
        answers = [each for each in screen.scene.said if each.generated]
        assert answers, "whoever it is, and be it a reaction, answers"
        assert_clean(app)
        screen.session.process._child.kill()
        await say(screen, pilot, "are you there")
        assert app.screen is screen
        screen.query_one(Prompt).value = ""
        await pilot.press("escape")
        await onto(app, pilot, HomeScreen)
    screen.session.process._child.wait(30)  # type: ignore[attr-defined]


def test_said_is_still_what_the_session_says() -> None:
    """The stand-in speaks like the session: an utterance for each line of what is typed."""
    session = ScriptedSession(["Aidan"], [])
    session.open()
    said = [event for event in session.submit("one\ntwo") if isinstance(event, Said)]
    assert [each.utterance.entry.text for each in said] == ["one", "two"]
