"""What a captioner is: something that takes converted media and gives back one short line of words, and its price.

Every request is reserved with a `Meter` before it is sent and settled once after it, so that what is spent is known
at any time, and never more than was allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from ventriloquist.faults import Fault
from ventriloquist.media.words import LONGEST, LONGEST_TRANSCRIPT, Medium, shorten


@dataclass(frozen=True, slots=True)
class Material:
    """Media as a captioner gets it: re-encoded, without name, place or metadata.

    `content` of the medium "text" is UTF-8. `seconds` is the length of sound and pictures, 0 where it is not known.
    `frames` are JPEGs in order, for servers that take no video.
    """

    medium: Medium
    mime_type: str
    content: bytes = field(repr=False)
    seconds: float = 0.0
    frames: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that are billed; a model's thoughts are output."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


NOTHING = Usage(0, 0)


@dataclass(frozen=True, slots=True)
class Caption:
    """A description: one line, safe to show and to store; see `longest` for its characters.

    `usage` is what all the requests for it used, as far as the service said. `cut` marks words that are not all that
    there was to say.
    """

    text: str
    usage: Usage = NOTHING
    cut: bool = False


class NotDescribed(Exception):
    """There is no caption for this one file; `reason` is a word or two for the record, never what was in the file.

    `usage` is what the requests for it used, as far as the service said.
    """

    final = True
    """Whether asking again would give the same (and cost the same) answer."""

    def __init__(self, reason: str, usage: Usage = NOTHING) -> None:
        super().__init__(reason)
        self.reason = reason
        self.usage = usage


class Blocked(NotDescribed):
    """The service will not describe this content."""


class Declined(NotDescribed):
    """The service cannot describe this file: the request itself is wrong, too large, or of a kind it does not take."""


class Unanswered(NotDescribed):
    """No usable answer came, after all retries; a later run may get one."""

    final = False


class OverBudget(Fault):
    """The next request could cost more than what may still be spent; nothing was sent for it."""


class Meter(Protocol):
    """What may still be spent. Calls are synchronous; what they write is durable when they return."""

    def reserve(self, estimate: Usage) -> int:
        """Take `estimate`, an upper bound of one request, from what is left, before the request is sent.

        Returns the reservation's number; raises OverBudget if there is not enough left.
        """
        ...

    def settle(self, number: int, usage: Usage | None) -> None:
        """Say what a reserved request used; None where nobody knows, so that all of the reservation counts as spent."""
        ...


class Captioner(Protocol):
    """Describes media. Raises NotDescribed for the one file, or a Fault that ends the run."""

    provider: str
    model: str

    async def describe(self, material: Material) -> Caption:
        """Words for the material; every request that it takes is reserved and settled with the captioner's meter."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


def longest(medium: Medium) -> int:
    """Characters of a caption, at most: a recording is written down whole, all else is told in a few sentences."""
    return LONGEST_TRANSCRIPT if medium == "audio" else LONGEST


def caption_from(words: str, medium: Medium, cut: bool = False) -> Caption | None:
    """What a model said as a caption (its usage is still to be filled in), or None if it shows nothing."""
    line = shorten(words, longest(medium))
    shortened = line.endswith("…") and not words.rstrip().endswith("…")
    return Caption(line, cut=cut or shortened) if line else None
