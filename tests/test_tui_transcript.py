"""What a transcript shows of a conversation, how it keeps up with it, and strangers' text in all places of the chat."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from textual.content import Content

from tests.hostile import hostile_strings
from tests.test_tui_chat import line, rows_with, say, talk, typed_in
from tests.test_tui_screens import onto, until
from tests.tui_helpers import CONTROLS, ScriptedSession, assert_clean, screen_text
from ventriloquist.chat.conversation import Utterance
from ventriloquist.chat.events import Busy, Changed, Choice, Choose, Failed, Offered, Told
from ventriloquist.records import MICROSECONDS
from ventriloquist.tui.app import VentriloquistApp
from ventriloquist.tui.screens.candidates import CandidatesScreen
from ventriloquist.tui.screens.pick import PickScreen
from ventriloquist.tui.screens.told import ToldScreen
from ventriloquist.tui.widgets import bubble
from ventriloquist.tui.widgets.blocks import Block, Divider, Notice, Reaction, columns, placed
from ventriloquist.tui.widgets.bubble import Message
from ventriloquist.tui.widgets.prompt import Prompt
from ventriloquist.tui.widgets.transcript import KEPT, Growth, Transcript
from ventriloquist.windows.lines import CONTENT_TYPES
from ventriloquist.windows.render import Entry
from ventriloquist.workspace import Workspace

NOON = int(datetime(2026, 3, 10, 12).timestamp()) * MICROSECONDS
MINUTE = 60 * MICROSECONDS
TODAY = date(2026, 3, 10)


def said(
    name: str, text: str, minutes: int = 0, origin: str = "typed", kind: str = "text", to: str | None = None
) -> Utterance:
    """Something that was said so many minutes after noon."""
    return Utterance(Entry(name, NOON + minutes * MINUTE, kind, text, to), origin, NOON)


def plain(utterances: list[Utterance], width: int = 60, chosen: int | None = None) -> list[str]:
    """The rows of a transcript, as text."""
    blocks = placed(utterances, 0, "John", chosen, TODAY)
    return [row.plain.rstrip() for each in blocks for row in each.block.rows(width)]


def test_groups_times_and_origins() -> None:
    rows = plain(
        [
            said("Mia", "one", 0, "real"),
            said("Mia", "two", 1, "real"),
            said("Mia", "three", 30, "real"),
            said("Mia", "four", 31, "generated"),
            said("John", "five", 32),
        ]
    )
    assert rows[:5] == ["Mia  12:00  real", "│ one", "╷ two", "Mia  12:30  real", "│ three"]
    assert rows[5].strip() == "— from here on it is no longer real —"
    assert rows[6:8] == ["Mia  12:31  generated", "▌ four"]
    assert rows[8].endswith("John  12:32") and rows[9].endswith(" five ▐") and len(rows[9]) == 60


def test_days_are_told_where_they_change() -> None:
    days = [said("Mia", "a", -3 * 1440), said("Mia", "b", -1440), said("Mia", "c"), said("Mia", "d", 1)]
    rows = [row.strip() for row in plain(days)]
    assert [row for row in rows if "day" in row] == ["Saturday 7 March 2026", "yesterday", "today"]
    assert not any("day" in row for row in plain(days[2:]))


def test_a_time_that_no_calendar_has_is_no_time() -> None:
    odd = Utterance(Entry("Mia", 10**30, "text", "from the end of time"), "real", 0)
    assert plain([odd]) == ["Mia  real", "│ from the end of time"]


def test_reactions_stand_under_their_message_or_alone() -> None:
    rows = plain(
        [
            said("Mia", "hey", origin="generated"),
            said("John", "you"),
            said("Theo", "Loved", kind="reaction", to="hey", origin="generated"),
            said("John", "🎉", kind="reaction", to="hey"),
            said("Theo", "Liked", kind="reaction", to="long ago"),
        ]
    )
    assert rows[2] == "  ♥ Theo generated  🎉 John" and rows[-1] == " +1 Theo  liked “long ago”"


def test_replies_attachments_and_long_messages() -> None:
    long = "word " * 4000
    rows = plain([said("Mia", "A cat", kind="image", to="what is that? " * 9), said("Mia", long)], 40)
    assert rows[1].startswith("▌ ↪ what is that?") and rows[1].endswith("…") and rows[2] == "▌ [image] A cat"
    assert " ".join(rows).endswith("… 12,000 ▌ more characters")
    assert all(len(row) <= 40 for row in rows)


def test_columns_wrap_and_cut_nothing() -> None:
    words = " ".join(f"w{number}" for number in range(60))
    for width in (10, 30, 80):
        rows = columns([("a long name of a command", words), (words, "")], width)
        assert all(row.cell_length <= width for row in rows)
        assert " ".join("".join(row.plain for row in rows).split()).count("w5") >= 2


async def test_only_what_differs_is_laid_out_again(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan", "Mia"], [])
    session.open()
    talked = session.conversation
    for number in range(300):
        talked.do(talked.line(line("Aidan" if number % 3 else "Mia", f"message {number}")))
    session.events["/edit"] = [Changed("Edited.")]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, session)
        transcript = screen.query_one(Transcript)
        before = {id(rows) for rows in transcript._laid.values()}
        talked.do({"do": "edit", "index": 298, "text": "quite another"})
        await say(screen, pilot, "/edit")
        assert "quite another" in screen_text(app) and "Edited." in screen_text(app)
        assert len([rows for rows in transcript._laid.values() if id(rows) not in before]) == 2


async def test_the_last_ones_are_held_and_older_ones_come_as_one_scrolls_up(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan", "Mia"], [])
    session.open()
    talked = session.conversation
    for number in range(2 * KEPT + 60):
        talked.do(talked.line(line("Aidan" if number % 3 else "Mia", f"message {number}.")))
    last = f"message {2 * KEPT + 59}."
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = await talk(app, pilot, session)
        transcript = screen.query_one(Transcript)
        assert last in screen_text(app) and len(transcript._tops) == KEPT
        await pilot.press("pageup", "pageup")
        await until(pilot, lambda: last not in screen_text(app))
        session.replies = [line("Mia", "something new")]
        here = screen_text(app).split("\n")[1:-3]
        await say(screen, pilot, "/nothing")
        assert screen_text(app).split("\n")[1:-3] == here, "who reads older messages is left there"
        transcript.scroll_to(y=1, animate=False)
        await pilot.press("pageup")
        await until(pilot, lambda: len(transcript._tops) == 2 * KEPT)
        assert f"message {KEPT + 60}." in screen_text(app), "what was in sight still is"
        transcript.scroll_to(y=0, animate=False)
        await until(pilot, lambda: len(transcript._tops) == 2 * KEPT + 60)
        await say(screen, pilot, "go")
        await until(pilot, lambda: "something new" in screen_text(app))
        assert len(transcript._tops) == KEPT
        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: "something new" in screen_text(app))


async def test_one_can_go_up_to_the_first_message(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan"], [])
    session.open()
    talked = session.conversation
    for number in range(KEPT + 20):
        talked.do(talked.line(line("Aidan", f"message {number}.")))
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(60, 20)) as pilot:
        screen = await talk(app, pilot, session)
        await pilot.press("tab", "home", "up", "home")
        await until(pilot, lambda: bool(rows_with(app, "█ message 0.")))
        assert screen.query_one(Transcript).chosen_number == KEPT + 20
        await pilot.press("down")
        assert rows_with(app, "█ message 1.")


async def test_what_was_told_stands_where_it_was_told(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan"], [line("Aidan", "hey")])
    session.open()
    talked = session.conversation
    talked.do(talked.real(Entry("Aidan", NOON, "text", "long ago")))
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, session)
        await say(screen, pilot, "hi")
        told = screen_text(app)
        order = ("long ago", "You are John", "no longer real", "today", "hi ▐", "▌ hey")
        places = [told.index(words) for words in order]
        assert places == sorted(places)


async def test_notices_go_with_the_conversation_they_were_told_in(workspace: Workspace) -> None:
    session = ScriptedSession(["Aidan"], [line("Aidan", "hey")])
    app = VentriloquistApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await talk(app, pilot, session)
        await say(screen, pilot, "hi")
        for number in range(6):
            session.events["/set"] = [Changed(f"temperature is {number}.")]
            await say(screen, pilot, "/set")
        shown = screen_text(app)
        assert "temperature is 5." in shown and "temperature is 2." not in shown, "the last three in one place"
        session.conversation.do({"do": "drop", "count": 2})
        session.events["/clear"] = [Changed("A new conversation.")]
        await say(screen, pilot, "/clear")
        assert "temperature" not in screen_text(app) and "A new conversation." in screen_text(app)


# --- strangers' text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(60, 20)])
async def test_hostile_text_everywhere(workspace: Workspace, size: tuple[int, int]) -> None:
    """As messages, names, quotes and reactions, fifty in the cast, one of more than 200 characters; as title,
    checkpoint, settings, facts, choices, candidates and answers."""
    strings = [text[:2000] for _, text in hostile_strings()]
    strings = strings[:66] + strings[66::64]
    names = ["[/]\x1b[31m" + "W" * 200, *(text[:300] for text in strings[:49])]
    session = ScriptedSession(names, [], me="\x1b]0;me\x07[@click=app.quit]me[/]", pieces=1)
    session.open()
    talked = session.conversation
    for number, text in enumerate(strings):
        kind, to = CONTENT_TYPES[number % len(CONTENT_TYPES)], text[:50] if number % 2 else None
        entry = Entry(names[number % 50], talked.time(), kind, text, to)
        talked.said.append(Utterance(entry, ("typed", "generated", "real")[number % 3], talked.time()))
    hostile = "[/]\x1b[2J[@click=app.quit]\u202ehostile"
    session.checkpoint = talked.title = hostile
    session.checkpoints = [hostile]
    session.facts = {"base": hostile, "device": hostile, "notice": hostile}
    session.options[hostile] = hostile
    session.events["/context"] = [Told(tuple((text, text[:9]) for text in strings[:80]))]
    session.events["/live"] = [Busy(hostile), Choose(hostile, tuple(Choice(text, text, text) for text in strings))]
    session.events["/clear"] = [Changed(strings[-1]), Failed(strings[0] + hostile, "\x1b[31m[/]back\x07")]
    session.events["/candidates 3"] = [
        Offered(tuple(line(text[:90], text, kind, text[:50]) for text in strings for kind in ("text", "image")))
    ]
    app = VentriloquistApp(workspace)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = await talk(app, pilot, session)
        assert_clean(app)
        for _ in range(8):
            await pilot.press("pageup")
            assert_clean(app)
        await pilot.press("tab", *["up"] * 12)
        assert_clean(app)
        await pilot.press("e")
        assert_clean(app)
        await pilot.press("escape", "f2", *["down"] * 12)
        assert_clean(app)
        await pilot.press("escape")
        await say(screen, pilot, "/context")
        sheet = await onto(app, pilot, ToldScreen)
        for _ in range(6):
            assert_clean(app)
            await pilot.press("pagedown")
        sheet.dismiss()
        modals: list[tuple[str, type[Any]]] = [("ctrl+l", PickScreen), ("ctrl+n", CandidatesScreen)]
        for key, modal_screen in modals:
            await until(pilot, lambda: app.screen is screen)
            await pilot.press(key)
            modal = await onto(app, pilot, modal_screen)
            for _ in range(6):
                await pilot.press("down", "down")
                assert_clean(app)
            modal.dismiss(None)
        await until(pilot, lambda: app.screen is screen)
        await say(screen, pilot, "/clear")
        assert_clean(app)
        assert typed_in(screen) == "[31m[/]back"
        for typed in ("/target ", "/checkpoint ", "/set ", "[/"):
            screen.query_one(Prompt).value = typed
            await pilot.pause()
            assert_clean(app)
            await pilot.press("tab")
            assert_clean(app)
        screen.query_one(Prompt).value = ""
        growth = Growth(names[0], ["".join(strings[:60])])
        screen.query_one(Transcript).begin(growth)
        screen.query_one(Transcript).follow()
        await until(pilot, lambda: "▍" in screen_text(app))
        assert_clean(app)
        assert app.return_code is None


@pytest.mark.parametrize(("name", "text"), hostile_strings())
def test_every_hostile_string_makes_clean_rows_that_fit(name: str, text: str) -> None:
    entry = Entry(text, NOON, "text", text, text)
    each = Utterance(entry, "generated", NOON)
    reaction = Utterance(entry._replace(content_type="reaction"), "generated", NOON)
    width = 30
    blocks: list[Block] = [
        Message(each, False, False, (reaction,)), Message(each, True, True), Reaction(reaction),
        Notice(text), Notice(text, failed=True), Divider(text),
    ]  # fmt: skip
    rows: list[Content] = [row for block in blocks for row in block.rows(width)]
    rows += bubble.growing_rows(text, text, width, mine=False, goes_on=False, tick=0)
    rows += columns([(text, text), (text, "")], width)
    for row in rows:
        assert not CONTROLS.search(row.plain) and "\n" not in row.plain
        assert not any("@click" in str(span.style) for span in row.spans)
    assert max(row.cell_length for row in rows) <= width


def test_laying_out_is_cheap_where_nothing_changed() -> None:
    """The blocks of 200 messages are made anew for each message; that is what may not become slow."""
    utterances = [said("Mia" if number % 3 else "Theo", f"message {number}", number) for number in range(200)]
    began = time.process_time()
    for _ in range(10):
        list(placed(utterances, 0, "John", None, TODAY + timedelta(days=1)))
    assert (time.process_time() - began) / 10 < 0.05
