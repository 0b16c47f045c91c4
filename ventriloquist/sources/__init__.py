"""Foreign histories, opened read-only: what each of them gives, and which there are.

A new history is one module here that has `open_source(settings, normalise)` and `is_there(settings)`, and one line in
SOURCES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Protocol

from ventriloquist.records import Chat, Contact, Ledger, Message
from ventriloquist.settings import CollectSettings

Normalise = Callable[[str], str]
"""Brings the ways to write a handle into one form; see `people.normaliser`."""

SOURCES = {"imessage": "ventriloquist.sources.imessage"}
"""Where each history's module is; `CollectSettings.source` names one of them."""


class Block(Protocol):
    """A stretch of a source. Its digest covers all that its messages are made of, so that one whose digest is what
    it was need not be read."""

    number: int
    digest: bytes
    rows: int

    def messages(self, ledger: Ledger) -> Sequence[Message]:
        """The messages in the order of the source's rows; counts each row in `ledger`."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """Where a source was read from, when its newest message was sent (microseconds since 1970, or 0), when its file
    was last written, where that can be known, and which files are written to when there is more."""

    path: str
    newest: int
    changed: datetime | None
    files: tuple[Path, ...] = ()


class Source(Protocol):
    """A history that is open. Handles it gives are normalised."""

    name: str

    def chats(self) -> Sequence[Chat]:
        """Every chat, in an order that stays."""
        ...

    def handles(self) -> set[str]:
        """Everyone in it but me."""
        ...

    def my_handles(self) -> set[str]:
        """The addresses that the history itself knows to be mine."""
        ...

    def contacts(self) -> Sequence[Sequence[Contact]]:
        """The address books that came with it, the one that wins first."""
        ...

    def rows(self) -> int:
        """How many rows the ledger will count."""
        ...

    def blocks(self, my_handles: set[str]) -> Iterator[Block]:
        """All rows of the source, in blocks that keep their numbers from one collect to the next."""
        ...

    def facts(self) -> Facts:
        """After the blocks: where it was read from, and how new it is."""
        ...

    def warnings(self, ledger: Ledger, attachments: Mapping[str, int]) -> Sequence[str]:
        """After the blocks: what the user should know about the reading, a sentence each.

        `ledger` counts all rows; `attachments` are how many are `present`, `offloaded` and `missing`.
        """
        ...


def open_source(
    settings: CollectSettings, normalise: Normalise, *, salvaging: bool = False
) -> AbstractContextManager[Source]:
    """The history that the settings name; raises NoInput where it is not there or may not be read.

    It is Damaged, then or while it is read, where the file has come to harm: opened again for `salvaging`, it gives
    what is left of it.
    """
    opener: Callable[..., AbstractContextManager[Source]] = import_module(SOURCES[settings.source]).open_source
    return opener(settings, normalise, salvaging=salvaging)


def is_there(settings: CollectSettings) -> bool:
    """False where the history that the settings name lies nowhere on this machine; whether it may be read, only opening
    it tells."""
    found: bool = import_module(SOURCES[settings.source]).is_there(settings)
    return found
