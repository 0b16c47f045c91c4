"""A conversation with the model: what was said, a reply that grows, and a line to type into."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from ventriloquist.chat import events
from ventriloquist.chat.commands import LONGEST
from ventriloquist.chat.session import Session
from ventriloquist.text import one_line, plain
from ventriloquist.tui.driving import Began, Done, Driving, Happened, Opened
from ventriloquist.tui.scene import Scene
from ventriloquist.tui.screens.base import AppScreen
from ventriloquist.tui.screens.candidates import CandidatesScreen
from ventriloquist.tui.screens.help import HelpScreen, keys_of
from ventriloquist.tui.screens.pick import PickScreen
from ventriloquist.tui.screens.told import ToldScreen
from ventriloquist.tui.widgets.blocks import columns
from ventriloquist.tui.widgets.chat_head import ChatHead, busy_with
from ventriloquist.tui.widgets.fitting_footer import FittingFooter
from ventriloquist.tui.widgets.prompt import Prompt
from ventriloquist.tui.widgets.side_panel import SidePanel
from ventriloquist.tui.widgets.suggestions import Suggestions
from ventriloquist.tui.widgets.transcript import Transcript
from ventriloquist.tui.words import span

TOLD_SECONDS = 5.0
WIDE = 110
"""From so many columns on the side panel is there without being asked for."""


class ChatScreen(AppScreen):
    """Submits what is typed to a session, and paints what happens in it; a key is a typed command."""

    HELP = """Type and press enter; whoever is the target answers, as they would have. A member's name, a colon and \
words put these into their mouth. Commands begin with /; tab completes them and names. On an empty line tab chooses a \
message: r replies, e edits, l + h react, c copies, b goes on from it. What is marked generated was written by the \
model, not by the person."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", key_display="esc", tooltip="Stop the reply, close what is open, leave"),
        Binding("ctrl+r", "say('/retry')", "Retry", tooltip="Ask for the last reply again"),
        Binding("ctrl+z", "say('/undo')", "Undo", tooltip="Take the last turn back"),
        Binding("f1", "help", "Help", key_display="F1"),
        Binding("f2", "panel", "Panel", key_display="F2", tooltip="People, model and settings"),
        Binding("ctrl+n", "say('/candidates 3')", "Candidates", tooltip="Three ways in which they could answer"),
        Binding("ctrl+l", "say('/live')", "Live", tooltip="Go on from a real conversation"),
        Binding("ctrl+o", "say('/open')", "Open", tooltip="Go on with a conversation that was kept"),
        Binding("ctrl+y", "copy_last", "Copy", tooltip="Copy the last generated message"),
        Binding("pageup", "scroll(-1)", "Scroll up", show=False),
        Binding("pagedown", "scroll(1)", "Scroll down", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.driving = Driving(session, self.post_message)
        self.scene = Scene(checkpoint=session.checkpoint)
        self.state = "loading"
        self.doing = ""
        self.asked = ""
        self.pending = False
        self.cancelling = False
        self._by_hand = False
        self._told_length = -math.inf
        self._panel_wanted = False
        self._cost: Mapping[str, Any] = {}
        self._next: events.Choose | events.Offered | None = None

    def compose(self) -> ComposeResult:
        yield ChatHead()
        suggestions = Suggestions()
        with Horizontal(id="chat-body"):
            yield Transcript()
            yield SidePanel()
        yield suggestions
        with Horizontal(id="typing"):
            yield Static(Content("›"), id="sign")
            yield Prompt(suggestions, self._quoted)
        yield FittingFooter()

    def on_mount(self) -> None:
        self.query_one(SidePanel).display = self.app.size.width >= WIDE
        self.query_one(Prompt).focus()
        self._paint_head()
        self._open()

    def on_resize(self) -> None:
        if not self._panel_wanted:
            self.query_one(SidePanel).display = self.app.size.width >= WIDE

    def on_unmount(self) -> None:
        """However the screen goes, the model's process goes with it."""
        threading.Thread(target=self.driving.leave, name="close-chat").start()

    @work(thread=True, exit_on_error=False, group="session")
    def _open(self) -> None:
        self.driving.open()

    @work(thread=True, exit_on_error=False, group="session")
    def _submit(self, typed: str) -> None:
        self.driving.submit(typed, self.scene.known)

    # --- what happens

    @on(Opened)
    def _opened(self, event: Opened) -> None:
        transcript = self.query_one(Transcript)
        pending, self.pending = self.pending, False
        if event.scene is None:
            self.state = "failed"
            transcript.notice(f"{event.problem} Enter tries again, esc leaves.", failed=True)
            self._paint_head()
            return
        self.state = "ready"
        self._take(event.scene)
        me = one_line(event.scene.me, 40)
        kept = " ctrl+o opens a conversation that was kept." if event.kept else ""
        transcript.notice(f"You are {me}. / shows the commands, F1 the keys.{kept}")
        transcript.notice(str(event.scene.facts.get("notice") or ""))
        if pending:
            prompt = self.query_one(Prompt)
            typed, prompt.value = prompt.value, ""
            self._send(typed)

    @on(Began)
    def _began(self, event: Began) -> None:
        self.doing = f"{one_line(event.growth.name, 30) or 'the model'} is typing"
        self.query_one(Transcript).begin(event.growth)
        self._paint_head()

    @on(Happened)
    def _happened(self, event: Happened) -> None:
        transcript, what = self.query_one(Transcript), event.what
        if not isinstance(what, events.Told | events.Choose | events.Offered | events.Busy):
            transcript.drop_growing()
        if isinstance(what, events.Wrote) and what.cost:
            self._cost = what.cost
        self._take(event.scene)
        match what:
            case events.Said():
                transcript.follow()
            case events.Waiting():
                self.doing = f"{one_line(what.name, 30)} answers in {span(what.seconds)}"
            case events.Told():
                self._tell(what.lines)
            case events.Choose() | events.Offered():
                self._next = what
            case events.Busy():
                self.doing = one_line(what.doing, 60).removesuffix("…")
            case events.Changed():
                transcript.notice(what.notice)
            case events.Failed():
                transcript.notice(what.sentence, failed=True)
                self._give_back(what.typed if self._by_hand else "")
            case events.TurnEnded():
                self.doing = ""
            case events.Quit():
                self.dismiss()
        self._paint_head()

    @on(Done)
    def _done(self, event: Done) -> None:
        self.query_one(Transcript).drop_growing()
        self.state, self.doing, self.cancelling = "ready", "", False
        self._take(event.scene)
        what, self._next = self._next, None
        if isinstance(what, events.Choose):
            self._ask(what)
        elif isinstance(what, events.Offered):
            self.app.push_screen(CandidatesScreen(what.lines), self._picked)

    def _ask(self, what: events.Choose) -> None:
        def chosen(number: int | None) -> None:
            if number is not None:
                self._begin(what.choices[number].typed)

        choices = [(choice.label, one_line(choice.told, 60)) for choice in what.choices]
        self.app.push_screen(PickScreen(what.question, choices), chosen)

    def _picked(self, number: int | None) -> None:
        if number is not None:
            self._begin(f"/pick {number}")

    def _tell(self, lines: tuple[tuple[str, str], ...]) -> None:
        """A short answer stands among the messages, a long one on a sheet of its own."""
        transcript = self.query_one(Transcript)
        room = transcript.size.height // 2
        if len(lines) > room or len(columns(lines, max(transcript.size.width - 4, 8))) > room:
            self.app.push_screen(ToldScreen(self.asked, lines))
        else:
            transcript.tell(lines)
            transcript.follow()

    def _take(self, scene: Scene) -> None:
        """Paint another scene; each part looks for itself what of it is new."""
        self.scene = scene
        transcript, prompt = self.query_one(Transcript), self.query_one(Prompt)
        transcript.me = scene.speaker
        transcript.show(scene.said)
        prompt.known, prompt.options = scene.known, scene.options
        self.query_one(SidePanel).show(scene, self._cost)
        self._paint_head()

    def _give_back(self, typed: str) -> None:
        """The words that could not be sent: in the prompt, or, if others are there by now, one key up."""
        prompt = self.query_one(Prompt)
        if typed and not prompt.value:
            prompt.put(typed)
        elif typed:
            prompt.remember(typed)

    def _paint_head(self) -> None:
        self.query_one(ChatHead).show(self.scene, self._doing())

    def _doing(self) -> Content | None:
        """What goes on, if anything does."""
        if self.state == "loading":
            return Content("loading the model… then your words go" if self.pending else "loading the model…")
        if self.state == "failed":
            return Content("the model is not loaded")
        return busy_with(self.doing, stopping=self.cancelling) if self.state == "busy" else None

    # --- typing

    def _quoted(self, number: int) -> tuple[str, str]:
        """Who said the message of this number, counted from the end, and what."""
        if not 1 <= number <= len(self.scene.said):
            return "", ""
        entry = self.scene.said[-number].entry
        return entry.name, entry.text

    @on(Input.Changed, "#prompt")
    def _typed(self) -> None:
        self.query_one(Prompt).offer()
        if self.pending:
            self.pending = False
            self._paint_head()

    @on(Prompt.TooLong)
    def _too_long(self) -> None:
        if time.monotonic() - self._told_length > TOLD_SECONDS:
            self._told_length = time.monotonic()
            told = f"A message may have {LONGEST:,} characters; the rest was left out."
            self.notify(told, timeout=TOLD_SECONDS, severity="warning", markup=False)

    @on(Suggestions.Clicked)
    def _clicked_suggestion(self, event: Suggestions.Clicked) -> None:
        self.query_one(Prompt).take(event.line)
        self.query_one(Prompt).focus()

    @on(Input.Submitted, "#prompt")
    def _entered(self, event: Input.Submitted) -> None:
        if not event.value.strip() and self.state != "failed":
            return
        if self.state in ("loading", "failed") and event.value != "/quit":
            self.query_one(Prompt).give_back(event.value)
            self.set_timer(0.01, self._wait_to_send)
        else:
            self._send(event.value)

    def _wait_to_send(self) -> None:
        """What stands in the prompt goes as soon as the model is loaded, unless it is changed meanwhile."""
        self.pending = bool(self.query_one(Prompt).value.strip())
        if self.state == "failed":
            self.state = "loading"
            self._open()
        self._paint_head()

    def _send(self, typed: str) -> None:
        """Submit a typed line; if that cannot be now, it stands in the prompt again."""
        prompt = self.query_one(Prompt)
        if self._begin(typed, by_hand=True):
            prompt.remember(typed)
        else:
            prompt.give_back(typed)

    def _begin(self, typed: str, *, by_hand: bool = False) -> bool:
        """Submit a line, unless another is being answered; then say so."""
        if self.state in ("loading", "failed"):
            if typed == "/quit":
                self.dismiss()
            return False
        if self.state == "busy" and typed == "/quit":
            self.dismiss()
            return True
        if self.state == "busy":
            self.notify("A reply is being written; esc stops it.", timeout=3, markup=False)
            return False
        self.state, self.doing, self.asked, self._by_hand = "busy", "", typed, by_hand
        self.query_one(Suggestions).show(())
        self._submit(typed)
        self._paint_head()
        return True

    # --- keys

    def action_help(self) -> None:
        """The keys of the chat; those that every line to type into has are left out."""
        every_inputs = {each.description for each in Input.BINDINGS if isinstance(each, Binding)}
        keys = [(key, told) for key, told in keys_of(self) if told not in every_inputs]
        self.app.push_screen(HelpScreen(self.HELP, keys))

    def action_say(self, typed: str) -> None:
        """Do a command as if it had been typed."""
        if self.state == "loading":
            self.notify("The model is still loading.", timeout=3, markup=False)
        else:
            self._begin(typed)

    def action_with_chosen(self, doing: str) -> None:
        """Do something with the chosen message."""
        transcript, prompt = self.query_one(Transcript), self.query_one(Prompt)
        number = transcript.chosen_number
        if number is None or number > len(self.scene.said):
            return
        text = self.scene.said[-number].entry.text
        if doing == "copy":
            self._copy(text)
        elif doing == "reply":
            prompt.put(f"/reply #{number} ", quiet=False)
            prompt.focus()
        elif doing == "edit":
            prompt.put(f"/edit #{number} {text}", quiet=False)
            prompt.focus()
        elif doing == "branch":
            self.action_say(f"/branch #{number}")
        else:
            self.action_say(f"/react #{number} {doing}")

    def action_copy_last(self) -> None:
        """Copy what the model wrote last."""
        self._copy(next((each.entry.text for each in reversed(self.scene.said) if each.generated), ""))

    def _copy(self, text: str) -> None:
        if text:
            self.app.copy_to_clipboard(plain(text))
        self.notify("Copied." if text else "Nothing was generated yet.", timeout=2, markup=False)

    @on(Transcript.Clicked)
    def action_to_prompt(self) -> None:
        """Back to the line to type into."""
        self.query_one(Prompt).focus()

    @on(Prompt.ChooseWanted)
    def _choose_message(self) -> None:
        if any(each.entry.content_type != "reaction" for each in self.scene.said):
            self.query_one(Transcript).focus()

    def action_panel(self) -> None:
        """Open the side panel, go to it, or close it."""
        panel = self.query_one(SidePanel)
        self._panel_wanted = True
        if panel.display and panel.has_focus:
            panel.display = False
            self.action_to_prompt()
        else:
            panel.display = True
            panel.show(self.scene, self._cost)
            panel.focus()

    @on(SidePanel.Wanted)
    def _wanted(self, event: SidePanel.Wanted) -> None:
        if event.fills:
            self.query_one(Prompt).put(event.typed, quiet=False)
            self.action_to_prompt()
        else:
            self.action_say(event.typed)

    def action_back(self) -> None:
        """One step back: out of the list, to the prompt, out of the reply that is being written, or away."""
        prompt = self.query_one(Prompt)
        if not prompt.has_focus:
            prompt.focus()
        elif prompt.close_list():
            return
        elif self.state == "busy" and not self.cancelling:
            self.cancelling = True
            self.driving.cancel()
            self._paint_head()
        elif prompt.value and self.state == "ready":
            prompt.remember(prompt.value)
            prompt.value = ""
        else:
            self.dismiss()

    def action_scroll(self, pages: int) -> None:
        """Scroll the transcript."""
        transcript = self.query_one(Transcript)
        (transcript.scroll_page_up if pages < 0 else transcript.scroll_page_down)(animate=False)
