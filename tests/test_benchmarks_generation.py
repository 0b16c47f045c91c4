"""The benchmark of generation: it runs, it says what it shall, and what it stands on is what it claims to be."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from benchmarks import exactness, generation, masks, screen_latency, speed, validity, vocabulary
from benchmarks.generation import Ground
from benchmarks.measuring import Measured
from benchmarks.predecessor import NEW_TOKENS, Predecessor, first_object
from benchmarks.rows import all_of, none_of, shown, table, told, within
from benchmarks.screen_latency import Visit
from benchmarks.speed import Pace
from benchmarks.talking import Scripted, Window, talk, write_script
from benchmarks.terminal import NotShownError, Program, Screen
from ventriloquist.faults import Exit
from ventriloquist.model.cache import TokenCache
from ventriloquist.model.draft import Cost, Piece, Written
from ventriloquist.model.tokens import LineTokenizer, lines_hold
from ventriloquist.windows.lines import Line, read, split_lines, write
from ventriloquist.workspace import Workspace

CPU = torch.device("cpu")
SIZE = replace(
    generation.QUICK, messages=500, small=((32, 1),), pace=Pace(1, 2, 1, 12),
    learnt=2, turns=6, most=12, lines=40, valid=10, visit=Visit(1, 1, 5),
)  # fmt: skip


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(tmp_path_factory.mktemp("ground"), SIZE)


@pytest.fixture(scope="module")
def model(ground: Ground) -> Any:
    return speed.small_model(ground.small_tokenizer, 32, 1)


def scripted(ground: Ground, model: Any) -> Scripted:
    return Scripted(model, ground.small_tokenizer, CPU, model.config.max_position_embeddings, 1)


def test_rows_have_the_shape_of_every_benchmark(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "QUICK", SIZE)
    assert generation.main(["--json", "--quick", "--parts", "speed,exact,valid"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {tuple(row) for row in rows} == {("what", "ours", "theirs", "unit", "ratio", "goal", "rounds", "spread")}
    message, first, forwards = rows[:3]
    assert message["ratio"] > 2 and first["ratio"] > message["ratio"]
    assert 5 < forwards["ours"] < 25 and f"theirs: {NEW_TOKENS}" in forwards["what"]
    assert all("too small to judge" in row["what"] for row in rows[:3])
    judged = [row for row in rows if "shown" not in row["what"] and "too small" not in row["what"]]
    assert [row["theirs"] for row in judged[-4:]] == [SIZE.valid] * 4
    assert len([row for row in judged if row["theirs"] == SIZE.lines]) == 2


def test_a_missed_goal_ends_the_command_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "QUICK", SIZE)
    monkeypatch.setattr(validity, "is_valid", lambda scene, pieces, spelt: False)
    assert generation.main(["--quick", "--parts", "valid"]) == 1
    assert "ours 0 messages, against 10, ratio 0, goal 1: MISSED" in capsys.readouterr().out


def test_parts_that_there_are_not_are_refused() -> None:
    with pytest.raises(SystemExit):
        generation.main(["--parts", "speed,colour"])


def test_rows_are_judged_by_their_limits() -> None:
    assert [within("x", [value], 16, "").met for value in (15.9, 16.0, 16.1)] == [True, True, False]
    assert [none_of("x", failed, 10, "").met for failed in (0, 1)] == [True, False]
    assert [all_of("x", good, 10, "").met for good in (10, 9)] == [True, False]
    assert not none_of("x", 0, 0, "").met and not all_of("x", 0, 0, "").met
    assert shown(within("x", [99], 16, "")).met and told("x", [3, 1, 2], "ms").spread == (1, 3)


def test_a_person_reads_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    missed = Measured("forwards", 17, 16, "forwards", 1.06, 1, 5, (1.0, 1.1), met=False)
    assert table([told("the mean mask", [20.0, 40.0], "µs"), missed]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "the mean mask (shown, no goal)",
        "    30 µs, 20 to 40 over 2",
        "forwards",
        "    ours 17 forwards, against 16, ratio 1.06, 1 to 1.1 over 5, goal 1: MISSED",
    ]


def test_the_window_slides_on_the_last_turn_and_stays_what_preprocess_would_write(ground: Ground) -> None:
    header, lines = ground.windows[0]
    script = write_script(header, lines, LineTokenizer(ground.small_tokenizer), 4, 20)
    window = Window(header, script.before, 20)
    lengths = []
    for turn in script.turns:
        assert all(line.name in header.members for line in turn)
        for line in turn:
            window.append(line)
            lengths.append(len(window.lines))
    assert max(lengths) == 20 and lengths[-3:] == [10, 11, 12]
    assert window.lines[0].delta == "<1m" and window.lines[-1] == script.turns[-1][1]
    assert [read(text) for text in window.context] == [header, *window.lines]


def test_a_script_is_written_token_by_token_and_every_forward_counted(ground: Ground, model: Any) -> None:
    header, lines = ground.windows[0]
    generator = scripted(ground, model)
    script = write_script(header, lines, generator.lines, 3, 12)
    found = talk(generator, script, 12, ahead=True)
    assert [turn.slid for turn in found.turns] == [False, False, True]
    for turn, (_, answer) in zip(found.turns, script.turns, strict=True):
        assert turn.tokens == len(generator.lines.encode(write(answer))) > turn.forwards > 3
        assert 0 < turn.first < turn.answer < turn.message
    assert found.slide.ahead > found.turns[1].ahead  # the slide was read while nobody waited
    generator.watched.close()


def test_a_script_that_the_grammar_refuses_is_noticed(ground: Ground, model: Any) -> None:
    header, lines = ground.windows[0]
    script = write_script(header, lines, LineTokenizer(ground.small_tokenizer), 1, 12)
    ((mine, answer),) = script.turns
    stranger = replace(script, turns=((mine, replace(answer, reply_to="what nobody said")),))
    with pytest.raises(AssertionError):
        talk(scripted(ground, model), stranger, 12, ahead=False)


def test_the_predecessor_reads_everything_again_and_never_stops(ground: Ground, model: Any) -> None:
    header, lines = ground.windows[0]
    lengths: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda module, args, given: lengths.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    predecessor = Predecessor(model, ground.small_tokenizer, 0.8, 0.95)
    for count in (8, 10):
        predecessor.reply(header, lines[:count], header.members[0])
    hook.remove()
    whole = [length for length in lengths if length > 1]
    assert len(whole) == 2 and whole[0] < whole[1] and len(lengths) == 2 * NEW_TOKENS == predecessor.written
    prompt = predecessor.prompt(header, [replace(line, reply_to="hey") for line in lines] * 3)
    assert "reply_to" not in prompt and len(prompt.splitlines()) == 100


def test_the_predecessors_braces_are_counted_in_texts_too() -> None:
    assert first_object('{"text": "ok"}\n{"text": "more"}') == {"text": "ok"}
    assert first_object('{"text": "haha :}"}') is None
    assert first_object('{"text": "no end') is None


def test_what_moves_the_cache_is_seen_if_it_goes_wrong(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = ground.learnt
    given = (model, tokenizer, ground.windows[0][0], ground.said, 6, 12, 3)
    assert all(row.met for row in exactness.conversation_rows(*given))

    def trusting(self: TokenCache, ids: Sequence[int]) -> int:
        self.ids = list(ids[: len(self.ids)])  # takes what it read for what it was asked for
        return len(self.ids)

    monkeypatch.setattr(TokenCache, "keep", trusting)
    assert not exactness.conversation_rows(*given)[0].met


def test_a_seed_that_is_not_kept_is_seen(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = ground.learnt
    seed = exactness.Generator.seed
    monkeypatch.setattr(exactness.Generator, "seed", lambda self, given: seed(self, None))
    rows = exactness.conversation_rows(model, tokenizer, ground.windows[0][0], ground.said, 6, 12, 3)
    assert [row.met for row in rows] == [True, True, False]


def test_forced_tokens_that_are_not_trainings_are_counted(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for line in ground.said if line.text][:20]
    right = exactness.follow(ground.small_tokenizer, lines)
    assert (right.lines, right.differing) == (20, 0) and 0.3 < right.forced / right.tokens < 0.9
    forced = exactness.Constraint.forced
    monkeypatch.setattr(exactness.Constraint, "forced", lambda self: [token + 1 for token in forced(self)])
    assert exactness.follow(ground.small_tokenizer, lines).differing == 20


def test_awkward_lines_hold_strangers_texts(ground: Ground) -> None:
    lines = exactness.awkward_lines(ground.said, ground.hostile, 60)
    assert len(lines) == 60 and len([line for line in lines if line in ground.said]) == 30
    assert len({line.text for line in lines[30:]}) == 30 and all(line.name for line in lines)


def test_an_invalid_message_is_seen() -> None:
    scene = validity.Scene([], ["Ann"], ["hey"])
    line = Line("Ann", "<1m", "hey", "text", "hi")

    def judged(line: Line, raw: str, text: str) -> bool:
        return validity.is_valid(scene, [Piece("text", text), Piece("line", Written(line, Cost(), raw))], str)

    assert judged(line, write(line), "hi")
    assert not judged(replace(line, name="Ben"), write(line), "hi")
    assert not judged(replace(line, reply_to="nobody"), write(line), "hi")
    assert not judged(line, write(replace(line, text="ho")), "hi")
    assert not judged(line, write(line), "h")
    assert not judged(replace(line, text=""), "", "")


def test_masks_are_timed_where_a_token_is_drawn(ground: Ground) -> None:
    header, _ = ground.windows[0]
    rows = masks.rows(ground.small_tokenizer, len(ground.small_tokenizer), header, ground.said, 2, 3)
    median, slowest, mean, beginning, setting_up = rows
    assert 0 < median.ours <= slowest.ours and median.ours < 10_000
    assert mean.ours > 0 and beginning.ours > 0 and setting_up.ours > 0


def test_a_tokenizer_of_qwens_kind(ground: Ground) -> None:
    tokenizer = ground.small_tokenizer
    assert lines_hold(tokenizer) and 1000 < len(tokenizer) <= vocabulary.SMALL + 3
    assert tokenizer("cafe\u0301")["input_ids"] == tokenizer("café")["input_ids"]
    text = "".join(ground.texts[:9])
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text and split_lines(text)[0] == ground.texts[0]


def test_a_screen_shows_what_was_drawn_on_it() -> None:
    screen = Screen(12, 4)
    drawn = "\x1b[?1049h\x1b[2J\x1b[H\x1b[1;31mhello\x1b[0m\x1b[3;3H日本\x1b]0;title\x07"
    drawn += "\x1b[4;10Habcdef\x1b[1;4Hp\x1b[?25l"
    for byte in drawn.encode():
        screen.feed(bytes([byte]))
    assert screen.rows() == ["helpo", "", "  日本", "         abc"]
    screen.feed(b"\x1b[3;5H\x1b[K\r\nx")
    assert screen.rows()[2:] == ["  日", "x        abc"]


def test_a_program_is_typed_to_and_read() -> None:
    with Program([sys.executable, "-c", "print('said ' + input('? '))"], 30, 5, {}) as program:
        program.until(lambda rows: any("?" in row for row in rows), "a question")
        sent = program.press("hello\r")
        assert program.until(lambda rows: "said hello" in rows, "an answer") > sent
        with pytest.raises(NotShownError, match="more"):
            program.until(lambda rows: "more" in rows, "more", 0.2)


def test_a_workspace_without_a_checkpoint_is_a_sentence(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generation.main(["--quick", "--parts", "screen", "--workspace", str(workspace.root)]) == Exit.NO_INPUT
    said = capsys.readouterr()
    assert not said.out and said.err.count("\n") == 1


def test_only_text_under_mine_is_a_reply() -> None:
    mine = ["Maya", "  earlier words", "Alex", "  so? 1"]
    assert not screen_latency._has_text([*mine, "", "› Say something"], "so? 1", ["Maya"])
    assert not screen_latency._has_text([*mine, "", "Maya  generated", "▌ ▍", "", "› Say"], "so? 1", ["Maya"])
    assert not screen_latency._has_text([*mine, "", "▖ Maya is typing ···", "", "› Say"], "so? 1", ["Maya"])
    assert screen_latency._has_text([*mine, "", "Maya  generated", "▌ y▍", "", "› Say"], "so? 1", ["Maya"])


@pytest.mark.slow
@pytest.mark.skipif("PROOFS" not in os.environ, reason="takes long; make proofs does it")
def test_the_app_is_timed_on_a_terminal(copy_of_learnt: Workspace) -> None:
    *_, echo = rows = screen_latency.rows(copy_of_learnt.root, SIZE.visit)
    assert echo.ours > 0 and echo.rounds > 0 and "while text streams in" in echo.what
    assert all(row.goal == 0 for row in rows[:-1])
