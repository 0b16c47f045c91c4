"""Windows: split first, every training message a target once, nothing held out ever seen in training."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import groupby, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile import hostile_strings
from ventriloquist.records import Attachment, Kind, Message, Reaction
from ventriloquist.speech import words
from ventriloquist.store.spoken import Batch
from ventriloquist.windows.build import Window, cut_windows
from ventriloquist.windows.file import in_file, message_in_file
from ventriloquist.windows.lines import Header, Line, read, split_lines, write, write_fields
from ventriloquist.windows.partial import PartialLine
from ventriloquist.windows.render import REMEMBERED, Entry, Rendering, entries_of, lines_in, render
from ventriloquist.windows.split import (
    FOREVER,
    SPLITS,
    TRAIN,
    Entries,
    Holdout,
    Latest,
    Since,
    bounds,
    long_enough,
    since,
)

SECOND = 1_000_000
ANY = st.characters(codec=None, exclude_categories=())  # type: ignore[arg-type]
MEMBERS = ("Ann", "Ben")
SIZES = st.lists(st.integers(1, 4), max_size=150)
"""How many lines each message of a conversation has."""


def entries(lines: Sequence[int], gaps: Sequence[int] = (90,)) -> list[Entry]:
    """A conversation whose messages have so many lines each; `gaps` are the seconds between them, over and over."""
    found, at = [], 0
    for number, count in enumerate(lines):
        name = "Ann" if number % 3 else "Ben"
        found += [Entry(name, at, "text", f"{number}.{part}", None, f"g{number}", part) for part in range(count)]
        at += gaps[number % len(gaps)] * SECOND
    return found


def batches(said: Sequence[Entry], size: int) -> Iterator[Entries]:
    """The entries of `size` messages at a time."""
    messages = iter([list(group) for _, group in groupby(said, lambda entry: entry.guid)])
    while some := list(islice(messages, size)):
        yield [entry for each in some for entry in each]


def windows_of(
    said: Sequence[Entry], holdout: Holdout, size: int = 16, stride: int = 12, batch: int = 7, least: int = 1
) -> list[Window]:
    """The windows as they are read from the file."""
    assigned = holdout.assign(long_enough(batches(said, batch), least))
    lines = [each.file_line("dm", MEMBERS, "dm-1") for each in cut_windows(assigned, size, stride)]
    return [Window(**json.loads(line)) for line in lines]


def plainly(said: Sequence[Entry], holdout: Holdout, size: int, stride: int) -> Iterator[Window]:
    """The same by lists: the whole conversation in memory, every window rendered by itself."""
    messages = [list(group) for _, group in groupby(said, lambda entry: entry.guid)]
    if isinstance(holdout, Latest):
        held = min(int(len(messages) * holdout.share), holdout.most)
        cuts = [len(messages) - 2 * held, len(messages) - held]
    else:
        cuts = [sum(each[0].sent_at < at for each in messages) for at in (holdout.validation, holdout.test)]
    lines = [sum(map(len, messages[:cut])) for cut in cuts]
    learnt, step = 0, min(stride, size - 1)
    while learnt < lines[0]:
        start = 0 if learnt == 0 else learnt - (size - step)
        end = min(start + size, lines[0])
        yield Window(render("dm", MEMBERS, said[start:end]), end - learnt, "dm-1", "train")
        learnt = end
    for position in range(lines[0], len(said)):
        shown = said[max(position - size + 1, 0) : position + 1]
        yield Window(render("dm", MEMBERS, shown), 1, "dm-1", "validation" if position < lines[1] else "test")


def texts(window: Window) -> list[str]:
    return [line.text for line in map(read, split_lines(window.text)) if isinstance(line, Line)]


HOLDOUTS = st.one_of(
    st.builds(Latest, st.floats(0, 0.4), st.integers(0, 30)),
    st.tuples(st.integers(0, 9000), st.integers(0, 9000)).map(lambda at: Since(min(at) * SECOND, max(at) * SECOND)),
)


@given(SIZES, st.lists(st.integers(0, 400), min_size=1), HOLDOUTS, st.integers(2, 40), st.integers(1, 50),
       st.integers(1, 60))  # fmt: skip
def test_streaming_gives_what_lists_give(
    lines: list[int], gaps: list[int], holdout: Holdout, size: int, stride: int, batch: int
) -> None:
    said = entries(lines, gaps)
    assert windows_of(said, holdout, size, stride, batch) == list(plainly(said, holdout, size, stride))


@given(SIZES, HOLDOUTS, st.integers(2, 70), st.integers(1, 90))
def test_each_training_line_is_a_target_once_and_each_held_out_line_too(
    lines: list[int], holdout: Holdout, size: int, stride: int
) -> None:
    said = entries(lines)
    found = windows_of(said, holdout, size, stride)
    targets = [text for window in found for text in texts(window)[-window.targets :]]
    assert targets == [entry.text for entry in said]
    assert all(len(texts(window)) <= size for window in found)
    assert all(window.targets == 1 for window in found if window.split != TRAIN)
    assert [window.split for window in found] == sorted((window.split for window in found), key=SPLITS.index)


@given(SIZES, HOLDOUTS)
def test_no_held_out_message_stands_in_a_training_window(lines: list[int], holdout: Holdout) -> None:
    found = windows_of(entries(lines), holdout)
    trained = {text.partition(".")[0] for window in found if window.split == TRAIN for text in texts(window)}
    held = {texts(window)[-1].partition(".")[0] for window in found if window.split != TRAIN}
    assert not trained & held
    assert max(map(int, trained), default=-1) < min(map(int, held), default=10**9)


@given(SIZES, st.floats(0, 0.4), st.integers(0, 30), st.integers(1, 40))
def test_held_out_messages_are_bounded(lines: list[int], share: float, most: int, batch: int) -> None:
    found = windows_of(entries(lines), Latest(share, most), batch=batch)
    for split in SPLITS[1:]:
        held = {texts(window)[-1].partition(".")[0] for window in found if window.split == split}
        assert len(held) == min(int(len(lines) * share), most)


def test_held_out_windows_have_full_context() -> None:
    found = windows_of(entries([1] * 200), Latest(0.1, 50))
    held = [window for window in found if window.split != TRAIN]
    assert {len(texts(window)) for window in held} == {16}
    assert [window.split for window in held] == ["validation"] * 20 + ["test"] * 20


def test_the_first_line_of_every_window_has_the_shortest_delta() -> None:
    for window in windows_of(entries([1] * 100), Latest(0.1, 50)):
        header, first, *rest = map(read, split_lines(window.text))
        assert isinstance(header, Header) and isinstance(first, Line)
        assert first.delta == "<1m"
        assert {line.delta for line in rest if isinstance(line, Line)} <= {"<5m"}


def test_headers_name_who_has_left_where_they_wrote() -> None:
    said = [Entry("Cy" if number == 3 else "Ann", number, "text", "hey", None, f"g{number}") for number in range(40)]
    headers = [read(split_lines(window.text)[0]) for window in windows_of(said, Latest(0, 0))]
    members = [header.members for header in headers if isinstance(header, Header)]
    assert members == [(*MEMBERS, "Cy"), MEMBERS, MEMBERS]


@given(SIZES, st.integers(1, 160), st.integers(1, 30))
def test_a_conversation_that_is_too_short_gives_nothing(lines: list[int], least: int, batch: int) -> None:
    found = [entry for some in long_enough(batches(entries(lines), batch), least) for entry in some]
    assert found == (entries(lines) if len(lines) >= least else [])


@given(st.lists(st.integers(0, 300), max_size=30), st.floats(0, 0.4), st.integers(1, 50), st.integers(1, 400))
def test_bounds_are_lowered_evenly(sizes: list[int], share: float, most: int, in_all: int) -> None:
    alone = [min(int(size * share), most) for size in sizes]
    found = list(bounds(dict(enumerate(sizes)), share, most, in_all).values())
    assert sum(found) == min(sum(alone), in_all)
    assert all(mine <= other for mine, other in zip(found, alone, strict=True))
    lowered = [mine for mine, other in zip(found, alone, strict=True) if mine < other]
    if lowered:  # nobody who had to give way has two fewer than anybody else, nor more than one who is larger
        assert max(found) - min(lowered) <= 1
        assert all(a <= b for x, a in enumerate(found) for y, b in enumerate(found) if alone[x] < alone[y])


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(0, 30))
def test_moments_hold_out_as_many_as_may_be(times: list[int], most: int) -> None:
    times.sort(reverse=True)
    most = min(most, int(len(times) * 0.4))
    cut = since(times[: 2 * most + 1], most)
    assert cut.validation <= cut.test
    test = [at for at in times if at >= cut.test]
    validation = [at for at in times if cut.validation <= at < cut.test]
    assert len(test) <= most and len(validation) <= most
    if len(set(times)) == len(times):
        assert len(test) == len(validation) == most
    if most == 0:
        assert cut.validation == FOREVER


def test_a_conversation_of_any_length_takes_little_memory() -> None:
    text = "some words that were said, " * 4

    def said() -> Iterator[Entries]:
        for start in range(0, 200_000, 500):
            yield [Entry("Ann", i * SECOND, "text", f"{text}{i}", None, f"g{i}") for i in range(start, start + 500)]

    tracemalloc.start()
    try:
        windows = targets = 0
        for stretch in cut_windows(Latest(0.05, 50).assign(long_enough(said(), 8)), 64, 56):
            windows, targets = windows + 1, targets + stretch.targets
            assert stretch.file_line("dm", MEMBERS, "dm-1")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert targets == 200_000 and windows > 3500
    assert peak < 3_000_000


def message(guid: str, text: str | None, minute: int = 0, **given: object) -> Message:
    fields: dict[str, object] = {"kind": Kind.TEXT, "is_from_me": False, "sent_at": minute * 60 * SECOND, **given}
    return Message(guid=guid, source="imessage", source_row=1, chat="c", text=text, **fields)  # type: ignore[arg-type]


def rendered(*messages: Message) -> list[Entry]:
    return entries_of(
        messages,
        lambda m: "Me" if m.is_from_me else "Ann",
        lambda attachments: [("image", each.description or "A photo") for each in attachments],
    )


def test_a_live_photo_is_one_picture() -> None:
    still = Attachment("s", mime_type="image/heic", name="IMG_0001.HEIC", description="A dog in the snow")
    moving = Attachment("m", mime_type="video/quicktime", name="IMG_0001.MOV")
    other = Attachment("o", mime_type="video/quicktime", name="IMG_0002.MOV")
    assert words((still, moving, other)) == [("image", "A dog in the snow"), ("video", "A video")]
    assert words((moving,)) == [("video", "A video")]


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


def test_which_part_is_replied_to() -> None:
    photos = (Attachment("a1", description="A dog"), Attachment("a2", description="A cat"))
    found = rendered(
        message("1", "look at", attachments=photos),
        message("2", "cute", 1, reply_to="1", details={"reply_part": 1}),
        message("3", "who", 2, reply_to="1", details={"reply_part": 2}),
        message("4", "all of them", 3, reply_to="1", details={"reply_part": 9}),
        message("5", None, 4, kind=Kind.REACTION, reaction=Reaction("loved", "4")),
        message("6", "nobody quotes a reaction", 5, reply_to="5"),
        message("7", "nor themselves", 6, reply_to="7"),
        message("8", None, 7, kind=Kind.UNSENT, unsent=True),
        message("9", "nor what was taken back", 8, reply_to="8"),
        message("10", "nor what comes later", 9, reply_to="11"),
        message("11", "later", 10),
    )
    assert [entry.reply_to for entry in found] == [
        None, None, None, "A cat", "look at", "look at", "all of them", None, None, None, None, None,
    ]  # fmt: skip
    assert [entry.part for entry in found[:4]] == [0, 1, 2, 0]


@pytest.mark.parametrize(("text", "lines"), [
    ("one", ["one"]), ("one\ntwo", ["one", "two"]), ("one\r\ntwo\rthree", ["one", "two", "three"]),
    ("one\n\n two \n", ["one", " two "]), ("a\u2028b\u2029c\x85d\x0be\x0cf", list("abcdef")), ("\n", []), ("", []),
    (" \u200b\u3164", []), ("a\x1cb", ["a\x1cb"]), ("👩‍👩‍👧", ["👩‍👩‍👧"]), ("\u3164", []), ("é", ["é"]),
])  # fmt: skip
def test_the_lines_of_a_text(text: str, lines: list[str]) -> None:
    assert lines_in(text) == lines
    assert [entry.text for entry in rendered(message("1", text))] == lines


def test_what_is_quoted_from_long_ago_is_asked_for() -> None:
    asked: list[tuple[str, int]] = []

    def earlier(guid: str, number: int) -> Message | None:
        asked.append((guid, number))
        return message(guid, "long ago") if guid == "1" else None

    rendering = Rendering({(False, None): "Ann"}, lambda _: [("image", "A photo")], earlier)
    count = 3 * REMEMBERED

    def say(first: int, last: int, reply_to: str | None = None) -> list[Entry]:
        whole = {number: message(f"{number}", f"text {number}", reply_to=reply_to) for number in range(first, last)}
        spoken = [(number, "", False, None, 0, None, None, None, 0, None, True) for number in whole]
        return rendering.entries(Batch(spoken, whole))

    say(0, 5)
    assert say(5, 6, "nowhere")[0].reply_to is None and not asked  # all there is is remembered
    for first in range(6, count, 500):
        say(first, min(first + 500, count))
    assert say(count, count + 1, f"{count - REMEMBERED}")[0].reply_to == f"text {count - REMEMBERED}" and not asked
    assert say(count + 1, count + 2, "1")[0].reply_to == "long ago"
    assert say(count + 2, count + 3, "nowhere")[0].reply_to is None
    assert asked == [("1", count + 1), ("nowhere", count + 2)]


@pytest.mark.parametrize(("ident", "text"), hostile_strings(), ids=lambda value: None)
def test_hostile_text_makes_windows_that_read_back(ident: str, text: str) -> None:
    name = text[:300] or "A"
    said = [Entry(name, 0, "text", text), Entry("Me", SECOND, "text", text, text[:50])]
    window = render("dm", [name, "Me"], said)
    header, *body = map(read, split_lines(window))
    assert header == Header("dm", (name, "Me"), "1970-01-01")
    assert body == [Line(name, "<1m", None, "text", text), Line("Me", "<1m", text[:50], "text", text)]
    (stretch,) = cut_windows([(TRAIN, said)], 8, 4)
    assert Window(**json.loads(stretch.file_line("dm", [name, "Me"], "dm-1"))) == Window(window, 2, "dm-1", TRAIN)


@given(st.text(ANY), st.text(ANY), st.none() | st.text(ANY))
def test_lines_in_the_file_are_the_codecs(name: str, text: str, reply_to: str | None) -> None:
    fields = (name, "<5m", reply_to, "text", text)
    assert message_in_file(*fields) == in_file(write_fields(*fields)) == in_file(write(Line(*fields)))
    assert json.loads(b'"' + message_in_file(*fields) + b'"') == write_fields(*fields)


@given(st.text(), st.text(), st.none() | st.text())
def test_a_line_shows_as_it_grows(name: str, text: str, reply_to: str | None) -> None:
    written = write(Line(name, "<5m", reply_to, "text", text))
    partial = PartialLine()
    names, shown = [], ""
    for end in range(1, len(written) + 1):
        for kind, value in partial.grow(written[end - 1 : end]):
            if kind == "name":
                names.append(value)
            else:
                shown += value
        assert text.startswith(shown)
    assert partial.complete and names == [name] and shown == text


@given(st.text(min_size=1), st.integers(0, 400))
def test_a_line_cut_anywhere_is_closed_to_a_valid_one(text: str, cut: int) -> None:
    written = write(Line("Ann", "<5m", None, "text", text))
    partial = PartialLine()
    list(partial.grow(written[: min(cut, len(written) - 1)]))
    closed = partial.closed()
    assert text.startswith(closed.text)
    assert read(write(closed)) == closed
