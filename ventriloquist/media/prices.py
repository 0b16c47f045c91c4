"""What a request costs, in micro-dollars (a millionth of a US dollar), and how much of it there can be at most.

The table is as of `PRICES_AS_OF`, from a published listing; prices change, and the user's own settings come first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from ventriloquist.faults import UsageFault
from ventriloquist.media.captioner import Usage
from ventriloquist.media.words import Medium
from ventriloquist.text import one_line

PRICES_AS_OF = date(2026, 11, 1)
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """Micro-dollars for a million tokens: `input` of what is sent, `output` of what is answered and thought."""

    input: int
    output: int

    @property
    def is_charged(self) -> bool:
        """True unless everything is free."""
        return self.input > 0 or self.output > 0

    def cost(self, usage: Usage) -> int:
        """Micro-dollars of that usage, rounded up."""
        return -(-(usage.input_tokens * self.input + usage.output_tokens * self.output) // MILLION)


FREE = Price(0, 0)
"""What a server of one's own costs."""

PRICES = {"gemini-3.5-flash-lite": Price(300_000, 2_500_000)}

IMAGE_TOKENS = 1120
"""Of one picture, where low resolution is not heeded; heeded it is a quarter of that or less."""
VIDEO_TOKENS_A_SECOND = 300
"""One frame a second with 258 tokens, and its sound with 32, where low resolution is not heeded."""
AUDIO_TOKENS_A_SECOND = 32
PAGE_TOKENS = 1120
FRAMING_TOKENS = 500
"""For what wraps media and prompt: roles, the shape of the answer, and seconds that are rounded up."""
PROMPT_BYTES = 1500
"""Of our own prompts, at most; a token is a byte or more."""

OUTPUT_TOKENS = 1024
SPEECH_TOKENS_A_SECOND = 12
"""Of a transcript, generously: fast speech is about four words a second, and a word one to three tokens."""
MOST_OUTPUT_TOKENS = 32_768

UNKNOWN_SECONDS: Mapping[Medium, int] = {"video": 60, "audio": 3600}
UNKNOWN_PAGES = 1000
UNKNOWN_TEXT_BYTES = 80_000


def price_of(model: str, overrides: Mapping[str, tuple[float, float]]) -> Price | None:
    """What a Gemini model costs, or None where nobody has said.

    `overrides` are the user's own: dollars for a million tokens, input and output, by model. Raises UsageFault for
    amounts that are none.
    """
    name = _plain_name(model)
    for its_name, (dollars_in, dollars_out) in overrides.items():
        if _plain_name(its_name) == name:
            return Price(_micro_dollars(dollars_in), _micro_dollars(dollars_out))
    return PRICES.get(name)


def price_for_budget(model: str, overrides: Mapping[str, tuple[float, float]]) -> Price:
    """What the model costs, where a budget is to be held; raises UsageFault if that is not known."""
    price = price_of(model, overrides)
    if price is None:
        raise UsageFault(
            f"No price is known for {one_line(model, 80)!r}, so a budget cannot be held. Set the model's price under "
            "prices in the settings of describe, or leave out the budget."
        )
    return price


def estimate(
    medium: Medium, *, seconds: float = 0, pages: int = 0, text_bytes: int = 0, prompt_bytes: int = PROMPT_BYTES
) -> Usage:
    """An upper bound of one request's tokens, for media that last `seconds`, or have `pages`, or so many bytes of text.

    What is 0 is not known, and reckoned as long as it may be.
    """
    seconds = seconds or UNKNOWN_SECONDS.get(medium, 0)
    match medium:
        case "image":
            media = IMAGE_TOKENS
        case "video":
            media = VIDEO_TOKENS_A_SECOND * math.ceil(seconds + 1)
        case "audio":
            media = AUDIO_TOKENS_A_SECOND * math.ceil(seconds + 1)
        case "pdf":
            media = PAGE_TOKENS * (pages or UNKNOWN_PAGES)
        case "text":
            media = text_bytes or UNKNOWN_TEXT_BYTES
    return Usage(media + prompt_bytes + FRAMING_TOKENS, output_room(medium, seconds))


def output_room(medium: Medium, seconds: float = 0) -> int:
    """The tokens that an answer is given, thoughts included: a recording is written down whole, however long."""
    if medium != "audio":
        return OUTPUT_TOKENS
    speech = math.ceil((seconds or UNKNOWN_SECONDS["audio"]) * SPEECH_TOKENS_A_SECOND)
    return min(OUTPUT_TOKENS + speech, MOST_OUTPUT_TOKENS)


def _micro_dollars(dollars: float) -> int:
    """Micro-dollars, rounded up; what is only the inexactness of a float (0.1 + 0.2) is not."""
    if not 0 <= dollars < MILLION:
        raise UsageFault("A price is a number of dollars for a million tokens, 0 or more.")
    return math.ceil(round(dollars * MILLION, 6))


def _plain_name(model: str) -> str:
    return model.strip().removeprefix("models/")
