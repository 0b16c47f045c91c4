"""CPU time of a conversation, ours beside the predecessor's, on Qwen3 shapes with random weights.

Both have the same model, tokenizer, messages and sampling, in float32 on one thread. Ours' window holds 83 to 99
messages and slides to 50 on the last turn; theirs holds the latest 99 on every turn. Answers are lines of about 40
tokens from the sample history: the model's work and the drawing are done as ever, and then the script's token is taken.
Reading what was said before is done once, before the turns, and shown by itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from benchmarks.measuring import Measured, times_less
from benchmarks.predecessor import Predecessor
from benchmarks.rows import shown, within
from benchmarks.talking import MOST, SAMPLING, Scripted, Talk, Turn, talk, write_script
from ventriloquist.model import tiny
from ventriloquist.model.tokens import LineTokenizer
from ventriloquist.windows.lines import Header, Line

MESSAGE_GOAL, FIRST_GOAL, FORWARDS_GOAL = 12.0, 20.0, 16.0
CPU = torch.device("cpu")
SEED = 7


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is done: rounds, turns of ours and of theirs in each, messages of context, and whether ours also goes
    through the turns without reading ahead."""

    rounds: int = 5
    turns: int = 10
    their_turns: int = 10
    most: int = MOST
    unprepared: bool = True


def small_model(tokenizer: Any, hidden: int, layers: int) -> Any:
    """A Qwen3 of the tiny base's proportions."""
    return tiny.build_model(len(tokenizer), hidden, layers, SEED).eval()


def qwen_model(logits: int, *, hidden: int = 1024, layers: int = 28, heads: int = 16, inner: int = 3072) -> Any:
    """Qwen3-0.6B's shape, or another of its kind, with random weights in float32."""
    config = Qwen3Config(
        vocab_size=logits, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads // 2, head_dim=128, max_position_embeddings=40_960,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return Qwen3ForCausalLM(config).eval()


@dataclass(slots=True)
class Rounds:
    """What was measured on one model. `theirs` are CPU seconds a message, the mean of each round."""

    name: str
    prepared: list[Talk] = field(default_factory=list)
    unprepared: list[Talk] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    written: float = 0.0


def measure(name: str, model: Any, tokenizer: Any, header: Header, lines: Sequence[Line], pace: Pace) -> Rounds:
    """Interleaved rounds; a short warm-up of each side first."""
    script = write_script(header, lines, LineTokenizer(tokenizer), pace.turns, pace.most)
    found = Rounds(name)

    def ours(*, ahead: bool) -> Talk:
        generator = Scripted(model, tokenizer, CPU, model.config.max_position_embeddings, SEED)
        try:
            return talk(generator, script, pace.most, ahead=ahead)
        finally:
            generator.watched.close()

    predecessor = Predecessor(model, tokenizer, SAMPLING.temperature, SAMPLING.top_p)
    said = list(lines[: pace.most])

    def theirs(turns: int) -> float:
        before = time.process_time()
        for mine, _ in script.turns[:turns]:
            predecessor.reply(header, [*said, mine], script.target)
        return (time.process_time() - before) / turns

    _warm_up(model, tokenizer, header, lines)
    for number in range(pace.rounds):
        found.prepared.append(ours(ahead=True))
        if pace.unprepared:
            found.unprepared.append(ours(ahead=False))
        predecessor.written = 0
        found.theirs.append(theirs(pace.their_turns))
        found.written = predecessor.written / pace.their_turns
        _tell_round(number, found)
    return found


def _warm_up(model: Any, tokenizer: Any, header: Header, lines: Sequence[Line]) -> None:
    """A few messages, a few tokens: code is loaded and memory is had."""
    generator = Scripted(model, tokenizer, CPU, model.config.max_position_embeddings, SEED)
    talk(generator, write_script(header, lines, LineTokenizer(tokenizer), 1, 8), 8, ahead=True)
    generator.watched.close()
    with torch.inference_mode():
        model.generate(torch.tensor([[1, 2, 3]]), max_new_tokens=4, do_sample=True, pad_token_id=0)


def rows(found: Rounds) -> list[Measured]:
    """What was measured on one model, as rows."""
    theirs = _milliseconds(found.theirs)
    on = f"on {found.name}"

    def less(what: str, ours: Sequence[float], goal: float) -> Measured:
        return times_less(f"CPU {what}, {on}", _milliseconds(ours), theirs, "ms", goal)

    talks = found.prepared
    tokens = mean(turn.tokens for turn in talks[0].turns)
    results = [
        less(f"for a message, the mean of {len(talks[0].turns)} turns, the sliding one and reading ahead among them",
             [mean(turn.message for turn in each.turns) for each in talks], MESSAGE_GOAL),
        less("from sending to the first character, the mean of these turns",
             [mean(turn.first for turn in each.turns) for each in talks], FIRST_GOAL),
        within(f"forwards for a line of {tokens:.0f} tokens, {on} (theirs: {found.written:.0f})",
               [mean(turn.forwards for turn in each.turns) for each in talks], FORWARDS_GOAL, "forwards"),
        shown(less("from sending to the first character when the window has slid while you typed",
                   [each.slide.first for each in talks], 0)),
        shown(less("of reading ahead while you type, when the window slides",
                   [each.slide.ahead for each in talks], 0)),
    ]  # fmt: skip
    if len(talks[0].turns) > 1:
        usual = [mean(turn.message for turn in _usual(each)) for each in talks]
        results.insert(3, shown(less("for a message on the turns on which the window does not slide", usual, 0)))
    if unprepared := found.unprepared:
        results += [
            shown(less("from sending to the first character when the window slides and nothing was read ahead",
                       [each.slide.first for each in unprepared], 0)),
            shown(less("from sending to the first character on the other turns if nothing was read ahead",
                       [mean(turn.first for turn in _usual(each)) for each in unprepared], 0)),
        ]  # fmt: skip
    results.append(
        shown(less("of reading what was said before, once, when a chat is opened", [each.opening for each in talks], 0))
    )
    return results


def _usual(each: Talk) -> list[Turn]:
    return [turn for turn in each.turns if not turn.slid] or each.turns


def _milliseconds(seconds: Sequence[float]) -> list[float]:
    return [value * 1000 for value in seconds]


def _tell_round(number: int, found: Rounds) -> None:
    each = found.prepared[-1]
    usual = median(turn.message for turn in _usual(each))
    print(
        f"{found.name}, round {number + 1}: ours {usual * 1000:.0f} ms CPU a message, "
        f"{each.slide.message * 1000:.0f} ms when the window slides; theirs {found.theirs[-1] * 1000:.0f} ms",
        file=sys.stderr, flush=True,
    )  # fmt: skip
