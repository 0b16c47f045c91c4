"""What a captioner is: something that takes converted media and gives back one short line of words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ventriloquist.media.words import Medium


@dataclass(frozen=True, slots=True)
class Material:
    """Media as a captioner gets it: re-encoded, without name, place or metadata."""

    medium: Medium
    mime_type: str
    content: bytes


class NotDescribed(Exception):
    """There is no caption for this one file; `reason` is one word for the record, never what was in the file."""

    final = True
    """Whether asking again would give the same (and cost the same) answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Blocked(NotDescribed):
    """The service will not describe this content."""


class Declined(NotDescribed):
    """The service calls the request itself wrong."""


class Unanswered(NotDescribed):
    """No usable answer came, after all retries; a later run may get one."""

    final = False


class Captioner(Protocol):
    """Describes media. Raises NotDescribed for the one file, or a Fault that ends the run."""

    model: str
    requests: int
    tokens: int

    async def describe(self, material: Material) -> str:
        """One line of words for the material, at most `words.LONGEST` characters, safe to show and to store."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...
