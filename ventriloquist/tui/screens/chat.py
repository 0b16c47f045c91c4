"""A conversation with the model: what was said, a reply that grows, and a line to type into."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Input, Static

from ventriloquist.chat.events import Changed, ChatEvent, Failed, Quit, Said, Text, Told, TurnEnded, Writing, Wrote
from ventriloquist.chat.session import Session
from ventriloquist.faults import Fault
from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED, put, spread
from ventriloquist.tui.screens.base import AppScreen, sentence_of
from ventriloquist.tui.widgets.prompt import Hints, Prompt
from ventriloquist.tui.widgets.transcript import Transcript
from ventriloquist.windows.render import Entry


@dataclass(frozen=True, slots=True)
class Scene:
    """Who is there and what was said, copied in the thread that changes it."""

    me: str = ""
    others: tuple[str, ...] = ()
    target: str | None = None
    known: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()


class ChatScreen(AppScreen):
    """Drives a session from a thread; each of its events comes here as a message."""

    HELP = """Type and press enter; whoever is the target answers, as they would have. `Name: words` puts words into \
a member's mouth. Commands begin with /; tab completes them and names. Everything marked generated was written by \
the model, not by the person."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "say('/retry')", "Retry"),
        Binding("ctrl+z", "say('/undo')", "Undo"),
        Binding("escape", "back", "Back", key_display="esc"),
        Binding("f1", "help", "Help", key_display="F1"),
        Binding("pageup", "scroll(-1)", "Scroll up", show=False),
        Binding("pagedown", "scroll(1)", "Scroll down", show=False),
    ]

    @dataclass
    class Opened(Message):
        """The model is loaded, or could not be."""

        scene: Scene
        problem: str | None = None

    @dataclass
    class Happened(Message):
        """An event of the session."""

        what: ChatEvent
        scene: Scene

    def __init__(self, session: Session, checkpoint: str) -> None:
        super().__init__()
        self.session = session
        self.checkpoint = checkpoint
        self.scene = Scene()
        self.state = "loading"
        self.writer = ""
        self._generated: dict[int, Entry] = {}
        self._left = threading.Event()

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Transcript()
        yield Hints(id="hints", markup=False)
        with Horizontal(id="typing"):
            yield Static(Content("›"), id="sign")
            yield Prompt()
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(Hints).display = False
        self.query_one(Prompt).focus()
        self._paint_head()
        self._open()

    def on_resize(self) -> None:
        self._paint_head()

    def on_unmount(self) -> None:
        """However the screen goes, the model's process goes with it; it may take seconds, so in a thread."""
        self._left.set()
        threading.Thread(target=self._close_session, name="close-chat").start()

    def _close_session(self) -> None:
        self.session.cancel()
        self.session.close()

    @work(thread=True, exit_on_error=False, group="session")
    def _open(self) -> None:
        problem = None
        try:
            self.session.open()
        except Fault as fault:
            problem = str(fault)
        if self._left.is_set():
            self.session.close()
        else:
            self.post_message(self.Opened(self._scene_now(), problem))

    @work(thread=True, exit_on_error=False, group="session")
    def _submit(self, typed: str) -> None:
        try:
            for event in self.session.submit(typed):
                self.post_message(self.Happened(event, self._scene_now()))
        except Exception as error:  # noqa: BLE001
            # Whatever a reply meets is told on the screen, and the typed words are given back.
            self.post_message(self.Happened(Failed(sentence_of(error), typed), self._scene_now()))
        finally:
            self.post_message(self.Happened(TurnEnded(), self._scene_now()))
            if self._left.is_set():
                self.session.close()

    def _scene_now(self) -> Scene:
        talk = self.session.conversation
        return Scene(talk.me, tuple(talk.others), talk.target, tuple(self.session.known), tuple(talk.entries))

    @on(Opened)
    def _opened(self, event: Opened) -> None:
        transcript = self.query_one(Transcript)
        self.state = "failed" if event.problem else "ready"
        self._take(event.scene)
        if event.problem:
            transcript.notice(event.problem, failed=True)
        else:
            transcript.notice(f"You are {one_line(event.scene.me, 40)}. Say something; /help shows the commands.")

    @on(Happened)
    def _happened(self, event: Happened) -> None:
        transcript, what = self.query_one(Transcript), event.what
        self._take(event.scene)
        match what:
            case Said():
                transcript.add(what.entry, generated=False)
            case Writing():
                self.writer = what.name
                transcript.begin(what.name)
            case Text():
                transcript.grow(what.text)
            case Wrote():
                self._generated[id(what.entry)] = what.entry
                transcript.add(what.entry, generated=True)
            case TurnEnded():
                transcript.drop_growing()
                self.state, self.writer = "ready", ""
            case Told():
                transcript.tell(what.lines)
            case Changed():
                transcript.repaint(event.scene.entries, self._generated)
                transcript.notice(what.notice)
            case Failed():
                transcript.drop_growing()
                transcript.notice(what.sentence, failed=True)
                self._give_back(what.typed)
            case Quit():
                self.dismiss()
        self._paint_head()

    def _take(self, scene: Scene) -> None:
        self.scene = scene
        self.query_one(Transcript).me = scene.me
        self.query_one(Prompt).known = scene.known
        self._paint_head()

    def _give_back(self, typed: str) -> None:
        prompt = self.query_one(Prompt)
        if typed and not prompt.value:
            prompt.value = typed
            prompt.cursor_position = len(prompt.value)

    def _paint_head(self) -> None:
        width = max(self.size.width - 4, 20)
        told = {
            "loading": "loading the model…",
            "failed": "the model is not loaded",
            "writing": f"{one_line(self.writer, 30) or 'the model'} is writing… esc stops",
        }.get(self.state) or self._cast()
        checkpoint = Content.styled(one_line(self.checkpoint, max(width // 3, 8)), MUTED)
        put(self.query_one("#head", Static), spread(Content(told), checkpoint, width))

    def _cast(self) -> str:
        others = [one_line(name, 24) for name in self.scene.others]
        who = "anyone answers" if self.scene.target is None else f"{one_line(self.scene.target, 24)} answers"
        if len(others) < 2:
            return who
        more = f" and {len(others) - 4} more" if len(others) > 4 else ""
        return f"{who} · with {', '.join(others[:4])}{more}"

    @on(Input.Changed, "#prompt")
    def _typed(self) -> None:
        prompt = self.query_one(Prompt)
        self.query_one(Hints).show(prompt.value, prompt.candidates())

    @on(Input.Submitted, "#prompt")
    def _entered(self, event: Input.Submitted) -> None:
        if self._submit_line(event.value):
            self.query_one(Prompt).remember(event.value)
            self.query_one(Prompt).value = ""

    def _submit_line(self, typed: str) -> bool:
        if self.state == "failed" and typed == "/quit":
            self.dismiss()
        if not typed.strip() or self.state == "failed":
            return False
        if self.state != "ready":
            doing = (
                "The model is still loading." if self.state == "loading" else "A reply is being written; esc stops it."
            )
            self.notify(doing, timeout=3, markup=False)
            return False
        self.state = "writing" if not typed.startswith("/") or typed.startswith(("//", "/retry", "/cont")) else "busy"
        self._submit(typed)
        self._paint_head()
        return True

    def action_say(self, typed: str) -> None:
        """Do a command as if it had been typed."""
        self._submit_line(typed)

    def action_back(self) -> None:
        """Stop the reply that is being written; if none is, leave."""
        if self.state == "writing":
            self.session.cancel()
        else:
            self.dismiss()

    def action_scroll(self, pages: int) -> None:
        """Scroll the transcript."""
        transcript = self.query_one(Transcript)
        (transcript.scroll_page_up if pages < 0 else transcript.scroll_page_down)(animate=False)
