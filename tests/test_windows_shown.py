"""Looking at training windows: the index of a large file, filters, search, marks, and the command."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from tests.commands import ventriloquist
from tests.hostile import hostile_strings
from tests.some_windows import a_few, said, window, window_line, write_windows
from tests.tui_helpers import CONTROLS
from ventriloquist.faults import Exit, NoInput, UsageFault
from ventriloquist.model.tiny import build_tokenizer
from ventriloquist.model.tokens import LineTokenizer, field_of_tokens
from ventriloquist.pipeline.windows import (
    CutAnew,
    choose,
    conversations_of,
    count_tokens,
    find_whom,
    find_words,
    people_of,
    read_index,
    read_window,
    summary,
    tokens_by,
)
from ventriloquist.windows.file import read_windows
from ventriloquist.windows.lines import split_lines
from ventriloquist.windows.marking import Role, has_unlearnt_delta, mark
from ventriloquist.workspace import Workspace


@pytest.fixture
def few(workspace: Workspace) -> Workspace:
    """A workspace with five small windows."""
    write_windows(workspace, a_few())
    return workspace


# --- marks ------------------------------------------------------------------------------------------------------


def test_the_last_lines_are_targets_and_the_others_are_told_apart() -> None:
    marked = mark(a_few()[1].text, 2)
    assert [line.role for line in marked] == [Role.HEADER, *[Role.CONTEXT] * 2, *[Role.TARGET] * 2]
    assert "".join(line.raw for line in marked) == a_few()[1].text
    assert not has_unlearnt_delta(marked)
    assert [line.delta_unlearnt for line in mark(a_few()[0].text, 5)] == [False, True, *[False] * 4]


@pytest.mark.parametrize("targets", [1, 3, 5])
def test_marks_agree_with_what_training_learns(targets: int) -> None:
    """Token for token: what bears loss stands in a target's line, and all of it does but a first line's delta."""
    text = a_few()[0].text
    tokenizer = build_tokenizer(split_lines(text), 400)
    (learnt,) = LineTokenizer(tokenizer).windows(text, targets, 10_000)
    at = 0
    for line in mark(text, targets):
        encoded = tokenizer(line.raw, add_special_tokens=False, return_offsets_mapping=True)
        mask = [bool(bears) for bears in learnt.target[at : at + len(encoded["input_ids"])]]
        at += len(mask)
        if line.role is not Role.TARGET:
            assert not any(mask)
        elif not line.delta_unlearnt:
            assert all(mask)
        else:
            fields = field_of_tokens(line.raw, encoded["offset_mapping"])
            assert next(field for field, bears in zip(fields, mask, strict=True) if not bears) == "delta"
            assert all(bears for field, bears in zip(fields, mask, strict=True) if field in ("name", "text"))
    assert at == len(learnt.ids)


# --- the index --------------------------------------------------------------------------------------------------


def test_every_window_is_found_again_at_its_place(learnt: Workspace) -> None:
    index = read_index(learnt)
    windows = list(read_windows(learnt))
    assert [read_window(index, place) for place in index.places] == windows and index.problem == ""
    report = json.loads(learnt.windows_report.read_text())
    told = summary(index, index.places)
    assert {split: of["windows"] for split, of in told["splits"].items()} == report["windows"]
    assert told["splits"]["train"]["targets"] == report["targets"] and index.me == report["me"]
    assert [place.number for place in index.places] == [*range(1, len(windows) + 1)]


def test_filters_leave_what_fits(few: Workspace) -> None:
    index = read_index(few)

    def numbers(split: str = "", who: str = "") -> list[int]:
        return [place.number for place in choose(index, split, find_whom(index, who) if who else None)]

    assert numbers() == [1, 2, 3, 4, 5] and numbers("train") == [1, 2, 3] and numbers("test", "maya") == [5]
    assert (
        numbers(who="MAYA") == [1, 2, 3, 4, 5] and numbers(who="Theo") == [3, 5] and numbers(who="dm-maya") == [1, 2, 4]
    )
    assert list(people_of(index)) == ["Maya", "Theo", "Nico"] and people_of(index)["Theo"].told == "with Theo"
    assert [whom.told for whom in conversations_of(index).values()] == ["Maya alone", "# Theo, Nico, Maya"]
    for wrong, says in (("Alex", "every conversation"), ("Teo", "Theo?"), ("", "missing"), ("nobody", "Nobody here")):
        with pytest.raises(UsageFault, match=says):
            find_whom(index, wrong)


def test_words_are_found_whatever_their_case_and_accents(few: Workspace) -> None:
    index = read_index(few)

    def found(words: str) -> list[int]:
        return [place.number for place in find_words(index, index.places, words)]

    assert found("PIZZA") == [3, 5] and found("creme") == [1, 2, 4] and found("😂") == [2]
    assert found("delta") == [] and found("Maya") == [] and found("\u200b") == []  # what people said, and nothing else
    assert [place.number for place in find_words(index, choose(index, "validation"), "pickle")] == [4]


def test_a_search_and_an_index_can_be_stopped(few: Workspace) -> None:
    index = read_index(few)
    assert list(find_words(index, index.places, "pizza", lambda: True)) == []
    assert read_index(few, stopped=lambda: True).places == []
    told: list[tuple[int, int]] = []
    read_index(few, lambda done, total: told.append((done, total)))
    size = few.windows.stat().st_size
    assert told[-1] == (size, size) and [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_file_that_is_replaced_is_not_misread(few: Workspace) -> None:
    index = read_index(few)
    write_windows(few, [window([said("Maya", "x" * 4000)], 1)])
    with pytest.raises(CutAnew):
        read_window(index, index.places[2])
    with pytest.raises(CutAnew):
        list(find_words(index, index.places, "pizza"))


DAMAGED = (
    b"", b"\n", b"null\n", b"[]\n", b'"x"\n', b"{}\n", b"\xff\n", b'{"text": "x\n', b"[" * 100_000 + b"\n",
    b'{"text": 5, "targets": 1, "conversation": "c", "split": "train"}\n',
    b'{"text": "no header\\n", "targets": 0, "conversation": "c", "split": "train"}\n',
    window_line(window([said("A", "b")], 1)).replace(b'"targets": 1', b'"targets": 9'),
    window_line(window([said("A", "b")], 1)).replace(b'"targets": 1', b'"targets": -1'),
    window_line(window([said("A", "b")], 1)).replace(b'"targets": 1', b'"targets": "1"'),
    window_line(window([said("A", "b")], 1)).replace(b'"train"', b'["train"]'),
    window_line(window([said("A", "b")], 1)).replace(b'"train"', b'"other"'),
    window_line(window([said("A", "b")], 1)).replace(b'"dm-maya"', b"{}"),
)  # fmt: skip


@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_damaged_line_costs_itself_only(few: Workspace, damaged: bytes) -> None:
    sound = few.windows.read_bytes()
    few.windows.write_bytes(damaged + sound)
    index = read_index(few)
    assert len(index.places) == 5 and bool(index.problem) is bool(damaged)
    assert read_window(index, index.places[4]) == a_few()[4]
    few.windows.write_bytes(damaged)
    with pytest.raises(NoInput, match=r"preprocess"):
        read_index(few)


def test_a_large_file_is_never_held_in_memory(workspace: Workspace) -> None:
    write_windows(workspace, [])
    line = window_line(window([said("Maya", "ä" * 5000)] * 30, 30))
    with workspace.windows.open("wb") as file:
        for _ in range(200):
            file.write(line)
    tracemalloc.start()
    index = read_index(workspace)
    read_window(index, index.places[150])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(index.places) == 200 and peak < 5_000_000 < 60_000_000 < workspace.windows.stat().st_size


def test_tokens_are_those_of_the_trained_base(learnt: Workspace, few: Workspace) -> None:
    assert tokens_by(few) is None  # the tiny base has no tokenizer before it is trained
    tokens_of, index = tokens_by(learnt), read_index(learnt)
    assert tokens_of and tokens_of.base == "tiny"
    seen = read_window(index, index.places[0])
    lines = split_lines(seen.text)
    assert (
        count_tokens(tokens_of, seen) == tokens_of.counter.lead + sum(tokens_of.counter.count(lines)) > 10 * len(lines)
    )


# --- the command ------------------------------------------------------------------------------------------------

TABLE = """\
             windows   targets       lines
train              3        10          12
validation         1         1           6
test               1         1           2
all                5        12          20

                     train  validation    test   targets
Maya                     2           1       0         8  dm-maya
# Theo, Nico, Maya       1           0       1         4  group-1
"""
SECOND = """\
window 2 of 5: train, Maya, 4 lines, 2 of them learnt
= dm of Maya, Alex, from 2024-03-15
· <1m    Maya  (to “yes”) [reaction] Loved
· 1d+    Alex  [image] A photo
> <1h    Maya  Crème brûlée!
> <1m    Alex  omg 😂
"""
RAW = """\
window 1 of 2: train, # Theo, Nico, Maya, 3 lines, 3 of them learnt but for the first one's delta
= {"type": "group", "members": ["Theo", "Nico", "Maya", "Alex"], "start": "2024-03-15"}
> {"name": "Theo", "delta": "<12h", "reply_to": null, "content_type": "text", "text": "pizza?"}
> {"name": "Nico", "delta": "<1d", "reply_to": null, "content_type": "link", "text": "https://example.org"}
> {"name": "Maya", "delta": "<1m", "reply_to": null, "content_type": "text", "text": "yes pizza"}
"""


def test_the_command_prints_what_there_is_and_any_window(few: Workspace) -> None:
    for words, output in (((), TABLE), ((2,), SECOND), ((1, "--with", "theo", "--raw"), RAW)):
        told = ventriloquist(few, "windows", *words)
        assert (told.returncode, told.stdout, told.stderr) == (0, output, "")
    first = ventriloquist(few, "windows", "1").stdout
    assert "5 of them learnt but for the first one's delta" in first and "> (<1m)  Maya  did you feed Pickle?" in first
    held_out = ventriloquist(few, "windows", "1", "--split", "validation").stdout
    assert held_out.startswith("window 1 of 1: validation, Maya, 6 lines, 1 of them measured\n")
    assert held_out.count("\n>") == 1 and held_out.endswith("> <1m    Maya  crème\n")


def test_the_command_prints_json_of_the_same(few: Workspace) -> None:
    told = json.loads(ventriloquist(few, "windows", "--json").stdout)
    assert told == summary(read_index(few), read_index(few).places) and told["windows"] == 5 and told["damaged"] == 0
    one = json.loads(ventriloquist(few, "windows", "1", "--split", "test", "--json").stdout)
    assert "".join(line["raw"] for line in one["lines"]) == a_few()[4].text
    assert [line["role"] for line in one["lines"]] == ["header", "context", "target"]
    assert (one["number"], one["split"], one["conversation"], one["tokens"]) == (5, "test", "group-1", None)


def test_the_command_says_what_is_wrong_in_a_sentence(few: Workspace, tmp_path: Path) -> None:
    for words, code, says in (
        (("9",), Exit.USAGE, "There are only 5 windows."),
        (("2", "--split", "test"), Exit.USAGE, "There is only 1 window of that kind."),
        (("--with", "Mia"), Exit.USAGE, "Nobody here is called Mia"),
        (("--raw",), Exit.USAGE, "--raw goes with a window's number."),
    ):
        told = ventriloquist(few, "windows", *words)
        assert (told.returncode, told.stdout) == (code, "") and told.stderr.startswith(f"Error: {says}")
    none = ventriloquist(tmp_path, "windows")
    assert none.returncode == Exit.NO_INPUT and none.stderr.endswith("Run: ventriloquist preprocess\n")
    assert not (tmp_path / "data").exists()
    with few.windows.open("ab") as file:
        file.write(b"{}\n")
    damaged = ventriloquist(few, "windows", "2")
    assert (damaged.returncode, damaged.stdout) == (Exit.NO_INPUT, SECOND)
    assert damaged.stderr == "Error: 1 line of the windows is damaged. Run ventriloquist preprocess again.\n"


def test_strangers_words_reach_the_terminal_without_control_bytes(workspace: Workspace) -> None:
    texts = [text for _, text in hostile_strings()]
    lines = [said(text[:300] or "nobody", text, reply_to=text[:50]) for text in texts]
    write_windows(workspace, [window(lines, len(lines))])
    for words in ((), ("1",), ("1", "--raw")):
        told = ventriloquist(workspace, "windows", *words)
        assert told.returncode == 0 and not CONTROLS.search(told.stdout) and told.stderr == ""
    raw = ventriloquist(workspace, "windows", "1", "--json").stdout
    assert not CONTROLS.search(raw)
    assert "".join(line["raw"] for line in json.loads(raw)["lines"]) == window(lines, 1).text
