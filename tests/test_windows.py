"""Windows: split first, every training message a target once, nothing held out ever seen in training."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import hostile_strings
from ventriloquist.records import Attachment, Kind, Message, Reaction
from ventriloquist.windows.build import Window, cut_windows, split_by_time
from ventriloquist.windows.lines import Header, Line, read, split_lines
from ventriloquist.windows.partial import PartialLine
from ventriloquist.windows.render import Entry, entries_of, lines_of, render

SECOND = 1_000_000


def entries(count: int, lines_each: int = 1) -> list[Entry]:
    return [
        Entry(
            "Ann" if i % 3 else "Ben",
            (i // lines_each) * 90 * SECOND,
            "text",
            f"message {i}",
            None,
            f"g{i // lines_each}",
        )
        for i in range(count)
    ]


def windows_of(said: list[Entry], holdout: float = 0.1, size: int = 16, stride: int = 12) -> list[Window]:
    regions = split_by_time(said, holdout, 50)
    return list(cut_windows(said, regions, kind="dm", members=["Ann", "Ben"], size=size, stride=stride, id="dm-1"))


def texts(window: Window) -> list[str]:
    return [line.text for line in map(read, split_lines(window.text)) if isinstance(line, Line)]


@given(st.integers(1, 300), st.integers(2, 70), st.integers(1, 90), st.floats(0, 0.4), st.integers(1, 3))
def test_each_training_line_is_a_target_once_and_each_held_out_line_too(
    count: int, size: int, stride: int, holdout: float, lines_each: int
) -> None:
    said = entries(count, lines_each)
    found = windows_of(said, holdout, size, stride)
    targets = [text for window in found for text in texts(window)[-window.targets :]]
    assert sorted(targets) == sorted(entry.text for entry in said)
    assert all(len(texts(window)) <= size for window in found)
    assert all(window.targets == 1 for window in found if window.split != "train")


@given(st.integers(1, 300), st.floats(0, 0.4), st.integers(1, 3))
def test_no_held_out_line_stands_in_a_training_window(count: int, holdout: float, lines_each: int) -> None:
    said = entries(count, lines_each)
    found = windows_of(said, holdout)
    trained = {text for window in found if window.split == "train" for text in texts(window)}
    held = {texts(window)[-1] for window in found if window.split != "train"}
    assert not trained & held
    guid_of = {entry.text: entry.guid for entry in said}
    assert not {guid_of[text] for text in trained} & {guid_of[text] for text in held}


def test_held_out_windows_have_full_context() -> None:
    found = windows_of(entries(200), holdout=0.1)
    held = [window for window in found if window.split != "train"]
    assert {len(texts(window)) for window in held} == {16}
    assert [window.split for window in held] == ["validation"] * 20 + ["test"] * 20


def test_the_first_line_of_every_window_has_the_shortest_delta() -> None:
    for window in windows_of(entries(100)):
        header, first, *rest = map(read, split_lines(window.text))
        assert isinstance(header, Header) and isinstance(first, Line)
        assert first.delta == "<1m"
        assert {line.delta for line in rest if isinstance(line, Line)} <= {"<5m"}


def message(guid: str, text: str | None, minute: int = 0, **given: object) -> Message:
    fields: dict[str, object] = {"kind": Kind.TEXT, "is_from_me": False, "sent_at": minute * 60 * SECOND, **given}
    return Message(guid=guid, source="imessage", source_row=1, chat="c", text=text, **fields)  # type: ignore[arg-type]


def rendered(*messages: Message) -> list[Entry]:
    return list(
        entries_of(messages, lambda m: "Me" if m.is_from_me else "Ann", lambda a: ("image", a.description or "A photo"))
    )


def test_what_messages_become() -> None:
    photo = Attachment("a1", description="A sunset")
    found = rendered(
        message("1", "look\nat this", attachments=(photo,)),
        message("2", None, 1, is_from_me=True, kind=Kind.REACTION, reaction=Reaction("loved", "1", part=0)),
        message("3", "wow " * 20, 2, is_from_me=True, reply_to="1"),
        message("4", "Ann left", 3, kind=Kind.EVENT),
        message("5", None, 4, kind=Kind.UNSENT, unsent=True),
        message("6", "https://example.com/a", 5),
        message("7", None, 6, kind=Kind.REACTION, reaction=Reaction("emoji", "3", emoji="🎉")),
        message("8", " \u200b\n", 7),
        message("9", "[GamePigeon: Your move.]", 8, kind=Kind.APP),
        message("10", None, 9, kind=Kind.REACTION, reaction=Reaction("liked", "nowhere")),
    )
    assert [(e.name, e.content_type, e.text[:12], e.reply_to) for e in found] == [
        ("Ann", "image", "A sunset", None),
        ("Ann", "text", "look", None),
        ("Ann", "text", "at this", None),
        ("Me", "reaction", "Loved", "A sunset"),
        ("Me", "text", "wow wow wow ", "A sunset"),
        ("Ann", "link", "https://exam", None),
        ("Ann", "reaction", "🎉", ("wow " * 20)[:50] + "..."),
        ("Ann", "app", "[GamePigeon:", None),
        ("Ann", "reaction", "Liked", None),
    ]


@pytest.mark.parametrize(("ident", "text"), hostile_strings(), ids=lambda value: None)
def test_hostile_text_makes_windows_that_read_back(ident: str, text: str) -> None:
    said = [Entry(text[:300] or "A", 0, "text", text), Entry("Me", SECOND, "text", text, text[:50])]
    window = render("dm", [text[:300] or "A", "Me"], said)
    header, *body = map(read, split_lines(window))
    assert isinstance(header, Header) and body == lines_of(said)


@given(st.text(), st.text(), st.none() | st.text())
def test_a_line_shows_as_it_grows(name: str, text: str, reply_to: str | None) -> None:
    from ventriloquist.windows.lines import write

    written = write(Line(name, "<5m", reply_to, "text", text))
    partial = PartialLine()
    names, shown = [], ""
    for end in range(1, len(written) + 1):
        for kind, value in partial.grow(written[:end]):
            if kind == "name":
                names.append(value)
            else:
                shown += value
        assert text.startswith(shown)
    assert partial.complete and names == [name] and shown == text


@given(st.text(min_size=1), st.integers(0, 400))
def test_a_line_cut_anywhere_is_closed_to_a_valid_one(text: str, cut: int) -> None:
    from ventriloquist.windows.lines import write

    written = write(Line("Ann", "<5m", None, "text", text))
    partial = PartialLine()
    list(partial.grow(written[: min(cut, len(written) - 1)]))
    closed = partial.closed()
    assert text.startswith(closed.text)
    assert read(write(closed)) == closed
