"""Foreign histories, opened read-only: what each of them gives, and which there are.

A new history is one module here that has `open_source(settings, normalise)`, and one line in SOURCES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Protocol

from ventriloquist.records import Chat, Contact, Ledger, Message
from ventriloquist.settings import CollectSettings

Normalise = Callable[[str], str]
"""Brings the ways to write a handle into one form; see `people.normaliser`."""

SOURCES = {"imessage": "ventriloquist.sources.imessage"}
"""Where each history's module is; `CollectSettings.source` names one of them."""


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

    def messages(self, ledger: Ledger, my_handles: set[str]) -> Iterator[Message]:
        """Every message in the order of the source's rows; counts each row in `ledger` as it is read."""
        ...

    def warnings(self) -> Sequence[str]:
        """After the messages: what the user should know about the reading, a sentence each."""
        ...


def open_source(settings: CollectSettings, normalise: Normalise) -> AbstractContextManager[Source]:
    """The history that the settings name; raises NoInput where it is not there or may not be read."""
    opener: Callable[[CollectSettings, Normalise], AbstractContextManager[Source]]
    opener = import_module(SOURCES[settings.source]).open_source
    return opener(settings, normalise)
