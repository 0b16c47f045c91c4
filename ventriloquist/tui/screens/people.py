"""Everyone in the history, and what can be decided about them: who is one person, who is two, what they are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from ventriloquist.faults import Fault
from ventriloquist.people import editing, importing
from ventriloquist.people.editing import Listed
from ventriloquist.people.finding import folded
from ventriloquist.records import Person
from ventriloquist.store import Store
from ventriloquist.text import one_line
from ventriloquist.tui.paint import MUTED, person_style, put, row, spread
from ventriloquist.tui.screens.ask import AskScreen
from ventriloquist.tui.screens.base import AppScreen
from ventriloquist.tui.screens.confirm import ConfirmScreen
from ventriloquist.tui.screens.duplicates import DuplicatesScreen
from ventriloquist.tui.screens.split import Parted, SplitScreen
from ventriloquist.workspace import Workspace

SHOWN = 500
_MARK = "●"


class PeopleList(OptionList):
    """The list; its keys are told in the footer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "screen.mark", "Mark", key_display="space"),
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
    ]


class PeopleScreen(AppScreen):
    """A list to search in, and a key for each thing to do."""

    HELP = """Everyone in your history. One person may have many numbers and addresses: mark those who are one with \
space and merge them; the first that you mark keeps the name. Split takes an address from someone who is really two. i \
imports names from a .vcf.

What you decide is kept in data/contacts_to_ids.jsonl and holds at once. Cut the windows anew after it (preprocess)."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "merge", "Merge", tooltip="Make one person of those marked"),
        Binding("r", "rename", "Rename"),
        Binding("s", "split", "Split", tooltip="Take addresses from someone"),
        Binding("d", "duplicates", "Duplicates", tooltip="Likely duplicates, with the evidence"),
        Binding("i", "import", "Import", tooltip="Import names from a contacts file", show=False),
        Binding("slash", "search", "Search", key_display="/", show=False),
        Binding("escape,q", "back", "Back", key_display="esc"),
    ]

    @dataclass
    class _Read(Message):
        """The people were read."""

        people: list[Listed]
        fault: str | None = None

    @dataclass
    class _Done(Message):
        """A decision holds; `person` is whom to show."""

        sentence: str
        person: Person | None = None

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self.listed: list[Listed] = []
        self.shown: list[Listed] = []
        self.marked: list[str] = []
        self._wanted: str | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="head"):
            yield Static(Content("people"), id="title")
            yield Static(id="where")
        yield Input(placeholder="/ to search a name, a number or an address", id="search", compact=True)
        yield Static(Content("Reading the people…"), id="none")
        yield PeopleList(id="list")
        yield Static(id="about")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(PeopleList).focus()

    def on_screen_resume(self) -> None:
        self._read_store()

    def on_resize(self) -> None:
        self._list()

    @work(thread=True, exit_on_error=False, exclusive=True, group="people")
    def _read_store(self) -> None:
        try:
            with Store.open(self.workspace) as store:
                self.post_message(self._Read(editing.list_people(store)))
        except Fault as fault:
            self.post_message(self._Read([], str(fault)))

    @on(_Read)
    def _show(self, event: _Read) -> None:
        self.listed = event.people
        known = {each.person.key for each in self.listed}
        self.marked = [key for key in self.marked if key in known]
        none = self.query_one("#none", Static)
        none.display = not self.listed
        put(none, row(event.fault or "Nobody is in this history."))
        self._list()

    # --- the list

    @property
    def chosen(self) -> Person | None:
        """The person under the cursor."""
        at = self.query_one(PeopleList).highlighted
        return self.shown[at].person if at is not None and at < len(self.shown) else None

    def _list(self) -> None:
        search = self.query_one("#search", Input).value
        before = self._wanted or (self.chosen.key if self.chosen else None)
        self._wanted = None
        fits = [each for each in self.listed if _fits(each.person, search)]
        self.shown = fits[:SHOWN]
        listed = self.query_one(PeopleList)
        width = max(self.size.width - 6, 20)
        options = [Option(_line(each, width, self._mark(each.person.key))) for each in self.shown]
        if len(fits) > SHOWN:
            more = f"and {len(fits) - SHOWN:,} more; press / and type to find them"
            options.append(Option(row(more, width, MUTED), disabled=True))
        listed.set_options(options)
        at = next((number for number, each in enumerate(self.shown) if each.person.key == before), 0)
        listed.highlighted = at if self.shown else None
        self._tell_head(len(fits))
        self._tell_about()

    def _mark(self, key: str) -> str:
        return (
            str(self.marked.index(key) + 1)
            if len(self.marked) > 1 and key in self.marked
            else _MARK * (key in self.marked)
        )

    def _tell_head(self, fits: int) -> None:
        if self.marked:
            words = f"{len(self.marked)} marked"
        elif fits < len(self.listed):
            words = f"{fits:,} of {len(self.listed):,}"
        else:
            words = f"{len(self.listed):,} people" if self.listed else ""
        put(self.query_one("#where", Static), row(words))

    @on(OptionList.OptionHighlighted)
    def _tell_about(self) -> None:
        """All addresses of whoever is under the cursor."""
        person, about = self.chosen, self.query_one("#about", Static)
        about.display = person is not None
        if person:
            handles = one_line(" · ".join(person.handles), 600) or "no number and no address"
            name = (one_line(person.name, 60), f"bold {person_style(person.name)}")
            rest = ("  ", (handles, MUTED)) if person.handles != (person.name,) else ()
            put(about, Content.assemble(name, *rest))

    @on(Input.Changed, "#search")
    def _searched(self) -> None:
        self._list()

    @on(Input.Submitted, "#search")
    def _found(self) -> None:
        self.query_one(PeopleList).focus()

    def action_search(self) -> None:
        """Type what to search."""
        self.query_one("#search", Input).focus()

    def action_back(self) -> None:
        """Leave the search, then the marks, then the screen."""
        search = self.query_one("#search", Input)
        if search.value or search.has_focus:
            search.value = ""
            self.query_one(PeopleList).focus()
        elif self.marked:
            self.marked = []
            self._list()
        else:
            self.dismiss()

    def action_mark(self) -> None:
        """Mark whoever is under the cursor, or take the mark away."""
        if person := self.chosen:
            self.marked = [key for key in self.marked if key != person.key] + [person.key] * (
                person.key not in self.marked
            )
            self._list()

    # --- decisions

    def action_merge(self) -> None:
        """Ask, and make one person of the marked ones; one mark alone goes with the cursor."""
        by_key = {each.person.key: each.person for each in self.listed}
        people = [by_key[key] for key in self.marked]
        if len(people) == 1 and self.chosen and self.chosen != people[0]:
            people.append(self.chosen)
        if len(people) < 2:
            self.notify("Mark two people or more with space first; the first one's name stays.", markup=False)
            return
        people.sort(key=lambda person: not person.is_me)
        first, *others = (one_line(person.name, 40) for person in people)
        shown = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
        question = f"Is {shown} the same person as {first}? The name {first} stays."
        if people[0].is_me:
            question = f"Is {shown} you? Their numbers and addresses become yours."
        names = [person.name for person in people]

        def merge(yes: bool | None) -> None:
            if yes:
                self.marked = []
                self._decide(lambda: (editing.merge(self.workspace, names), "{} is one person now."))

        self.app.push_screen(ConfirmScreen(question, "Merge"), merge)

    def action_rename(self) -> None:
        """Ask for a name, and give it to whoever is under the cursor."""
        if not (person := self.chosen):
            return

        def rename(typed: str | None) -> None:
            if typed:
                self._decide(lambda: (editing.rename(self.workspace, person.name, typed), "Renamed: {}."))

        question = f"What is {one_line(person.name, 60)} called?"
        self.app.push_screen(AskScreen(question, "Rename", person.name), rename)

    def action_split(self) -> None:
        """Ask which addresses are somebody else's."""
        if not (person := self.chosen):
            return
        if len(person.handles) < 2:
            self.notify(f"{one_line(person.name, 60)} has one address only.", markup=False)
            return

        def split(parted: Parted | None) -> None:
            if parted:
                self._decide(lambda: self._split(person, parted))

        self.app.push_screen(SplitScreen(person), split)

    def _split(self, person: Person, parted: Parted) -> tuple[Person, str]:
        stays, other = editing.split(self.workspace, person.name, parted.handles, parted.name)
        again = " Collect again, so that your own messages are read anew." if person.is_me else ""
        return other or stays, "{} is a person of their own now." + again if other else "Taken away." + again

    def action_import(self) -> None:
        """Ask for a file of contacts."""

        def import_(typed: str | None) -> None:
            if typed:
                self._decide(lambda: (None, _imported(importing.import_file(self.workspace, Path(typed)))))

        question = "Import names from a file: .vcf, a database of Contacts, or a contacts_to_ids.jsonl. Its path:"
        self.app.push_screen(AskScreen(question, "Import", example="~/Desktop/contacts.vcf"), import_)

    def action_duplicates(self) -> None:
        """Show the likely duplicates."""
        if self.listed:
            self.app.push_screen(DuplicatesScreen(self.workspace))

    @work(thread=True, exit_on_error=False, group="decide")
    def _decide(self, decision: Callable[[], tuple[Person | None, str]]) -> None:
        person, sentence = decision()
        self.post_message(self._Done(sentence.replace("{}", person.name if person else ""), person))

    @on(_Done)
    def _tell_done(self, event: _Done) -> None:
        self._wanted = event.person.key if event.person else None
        self.notify(one_line(event.sentence, 200), markup=False)
        self._read_store()


def _imported(done: importing.Imported) -> str:
    words = "1 contact came" if done.contacts == 1 else f"{done.contacts:,} contacts came"
    if not done.is_collected:
        return f"{words}; collect will use the names."
    return f"{words}, {done.in_history:,} of them in the history, {done.known:,} known before."


def _fits(person: Person, search: str) -> bool:
    wanted = folded(search)
    if not wanted or wanted in folded(person.name):
        return True
    digits = "".join(each for each in wanted if each.isdigit())
    is_number = bool(digits) and not any(each.isalpha() for each in wanted)
    return any(wanted in handle.casefold() or (is_number and digits in handle) for handle in person.handles)


def _line(listed: Listed, width: int, mark: str) -> Content:
    person = listed.person
    room = min(max(width // 3, 16), 30)
    you = " (you)" if person.is_me else ""
    name = Content.styled(one_line(person.name, room - len(you)), f"bold {person_style(person.name)}")
    handles = "" if person.handles == (person.name,) else one_line(" · ".join(person.handles), width)
    count = f"{listed.messages:,}"
    head = Content.assemble((mark[:2].ljust(3), "$primary"), name, (you, MUTED))
    gap = " " * max(room + 5 - head.cell_length, 1)
    left = Content.assemble(head, gap, (handles, MUTED))
    return spread(left, Content.styled(count, MUTED), width)
