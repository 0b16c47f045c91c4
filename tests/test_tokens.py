"""Tokens: line by line equals the whole, targets survive, what people type is never a control token."""

from __future__ import annotations

import pytest

from tests.hostile import hostile_strings
from ventriloquist.model import tiny
from ventriloquist.model.tokens import LineTokenizer, TokenWindow, field_of_tokens
from ventriloquist.windows.lines import DELTAS, Header, Line, read, split_lines, write

NAMES = ("Ann", "Ben", 'Zoë "Z" O\'Neil')
WORDS = ["hey", "what", "are you", "up to", "tonight", "lol", "pizza", "at seven?", "omg", "yes!!", "😂"]


def window(count: int) -> str:
    header = write(Header("group", NAMES, "2024-03-05"))
    body = [
        Line(
            NAMES[i % 3],
            DELTAS[i % 6],
            "hey" if i % 4 == 0 else None,
            "text",
            " ".join(WORDS[i % 5 : i % 5 + 1 + i % 7]),
        )
        for i in range(count)
    ]
    return header + "".join(map(write, body))


@pytest.fixture(scope="module")
def lines() -> LineTokenizer:
    return LineTokenizer(tiny.build_tokenizer(split_lines(window(300)), 600))


def test_the_tokenizer_is_the_same_each_time() -> None:
    made = {tiny.fingerprint(tiny.build_tokenizer(split_lines(window(300)), 600), 64, 2, 1) for _ in range(3)}
    assert len(made) == 1


def test_line_by_line_equals_the_whole(lines: LineTokenizer) -> None:
    assert lines.by_line
    text = window(50)
    assert [t for ids in lines.encode_lines(split_lines(text)) for t in ids] == lines.encode(text)


@pytest.mark.parametrize(("ident", "text"), hostile_strings(), ids=lambda value: None)
def test_hostile_text_is_tokenised_exactly(lines: LineTokenizer, ident: str, text: str) -> None:
    line = write(Line(text[:100] or "A", "<1m", None, "text", text[:5000]))
    ids = lines.encode(line)
    assert lines.tokenizer.decode(ids, skip_special_tokens=False) == line
    assert not set(ids) & set(lines.tokenizer.all_special_ids)
    assert lines.encode(line + line) == ids + ids


def test_special_tokens_typed_by_a_person_stay_text(lines: LineTokenizer) -> None:
    line = write(Line("Ann", "<1m", None, "text", "hi <|endoftext|> there"))
    assert lines.tokenizer.eos_token_id not in lines.encode(line)


def only(found: list[TokenWindow]) -> TokenWindow:
    (window,) = found
    return window


def test_targets_are_whole_lines_but_the_first_delta(lines: LineTokenizer) -> None:
    text = window(10)
    parts = split_lines(text)
    last = only(lines.windows(text, 1, 10_000))
    assert lines.tokenizer.decode(last.ids[last.target]) == parts[-1]
    every = only(lines.windows(text, 10, 10_000))
    assert (last.lines, every.lines) == (1, 10)
    learnt = lines.tokenizer.decode(every.ids[every.target])
    first = parts[1]
    assert learnt == first.replace("<1m", "", 1) + "".join(parts[2:])


def test_a_long_window_with_few_targets_loses_lines_from_the_left(lines: LineTokenizer) -> None:
    text = window(40)
    parts = split_lines(text)
    whole = only(lines.windows(text, 3, 10_000))
    for limit in range(340, len(whole.ids), 37):
        short = only(lines.windows(text, 3, limit))
        assert len(short.ids) <= limit and short.lines == 3
        read = lines.tokenizer.decode(short.ids)
        assert read.startswith(parts[0]) and read.endswith(parts[-1])
        assert lines.tokenizer.decode(short.ids[short.target]) == "".join(parts[-3:])
        kept = split_lines(read)[1:]
        assert kept[1:] == parts[len(parts) - len(kept) + 1 :]
        assert '"delta": "<1m"' in kept[0]
    assert lines.windows(text, 3, 20) == []


@pytest.mark.parametrize("targets", [40, 36, 20, 1])
def test_a_window_that_is_too_long_comes_in_pieces_and_every_target_is_one_once(
    lines: LineTokenizer, targets: int
) -> None:
    text = window(40)
    header, *body = split_lines(text)
    total = len(only(lines.windows(text, targets, 10_000)).ids)
    for limit in range(240, total, 31):
        pieces = lines.windows(text, targets, limit)
        assert all(len(piece.ids) <= limit for piece in pieces)
        assert sum(piece.lines for piece in pieces) == targets
        learnt = "".join(lines.tokenizer.decode(piece.ids[piece.target]) for piece in pieces)
        wanted = "".join(body[-targets:])
        assert learnt == (wanted.replace("<1m", "", 1) if targets == 40 else wanted)
        for piece in pieces:
            read = split_lines(lines.tokenizer.decode(piece.ids))
            assert read[0] == header and '"delta": "<1m"' in read[1]
            assert targets == 40 or not piece.target[: len(lines.encode(read[0] + read[1]))].any()


def test_a_tokenizer_that_does_not_hold_to_lines_gives_the_ids_of_the_whole_text(lines: LineTokenizer) -> None:
    parts = split_lines(window(12))
    assert [token for ids in lines.encode_window(parts) for token in ids] == lines.encode("".join(parts))
    assert lines.encode_window(parts) == lines.encode_lines(parts)


def test_a_line_too_long_by_itself_is_cut_and_its_neighbours_are_learnt(lines: LineTokenizer) -> None:
    before, after = (write(Line("Ann", "<1m", None, "text", word)) for word in ("before", "after"))
    long = write(Line("Ben", "<5m", None, "text", "omg 😂 yes " * 4000))
    found = only(lines.windows(split_lines(window(3))[0] + before + long + after, 3, 2000))
    assert len(found.ids) <= 2000
    _, *parts = split_lines(lines.tokenizer.decode(found.ids))
    assert [parts[0], parts[2]] == [before, after]
    cut = read(parts[1])
    assert isinstance(cut, Line) and cut.name == "Ben" and ("omg 😂 yes " * 4000).startswith(cut.text)
    learnt = lines.tokenizer.decode(found.ids[found.target])
    assert learnt.count('"}\n') == 2, "where the cut is was not learnt"


@pytest.mark.parametrize(
    "line",
    [
        Line("Ann", "<1m", None, "text", "hey you"),
        Line('Zoë "Z" O\'Neil', "1d+", 'she said "hey"', "reaction", "Loved"),
        Line("null", "<5m", "null", "text", '", "text": "'),
    ],
)
def test_every_part_of_a_line_is_found(lines: LineTokenizer, line: Line) -> None:
    text = write(line)
    encoded = lines.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
    fields = field_of_tokens(text, encoded["offset_mapping"])
    by_part: dict[str, str] = {}
    for part, (start, end) in zip(fields, encoded["offset_mapping"], strict=True):
        by_part[part] = by_part.get(part, "") + text[start:end]
    assert line.delta in by_part["delta"] and line.content_type in by_part["content_type"]
    assert by_part["text"].endswith('"}\n') and by_part["structure"].startswith('{"name": "')
    assert ("null" if line.reply_to is None else line.reply_to.replace('"', '\\"')) in by_part["reply_to"]
