"""Preprocess: the collected conversations become `data/training_windows.jsonl`."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import Any, BinaryIO, NamedTuple

from ventriloquist.faults import NoInput
from ventriloquist.files import remove_partials, replacing, write_whole
from ventriloquist.pipeline.account import BLANK, CROSS_POSTS, Account
from ventriloquist.pipeline.crossposts import CrossPosts
from ventriloquist.pipeline.included import TOO_SHORT, Choice, holdouts
from ventriloquist.pipeline.tokens import TokensOf, tokens_in
from ventriloquist.records import Person
from ventriloquist.runs import Run
from ventriloquist.settings import PreprocessSettings
from ventriloquist.speech import Speech, Talk, talks_in
from ventriloquist.store import Store
from ventriloquist.windows.build import cut_windows
from ventriloquist.windows.render import Entry
from ventriloquist.windows.split import TRAIN, Holdout, long_enough, messages_in
from ventriloquist.workspace import Workspace


def preprocess(settings: PreprocessSettings, workspace: Workspace, run: Run) -> dict[str, Any]:
    """Write the windows and, last, a report of what they were made from. The same store gives the same bytes.

    First come all training windows, conversation by conversation, then the held-out ones.
    """
    tokens_of = TokensOf.chosen(settings, workspace, run)
    with Store.open(workspace) as store:
        remove_partials(workspace.data)
        people = store.people()
        run.phase("choose conversations")
        account = Account()
        talks = _choose(store, people, settings, account)
        run.phase("cut windows")
        with no_collector(), replacing(workspace.windows) as file, TemporaryFile(dir=workspace.data) as waiting:
            cutting = _Cutting(settings, Speech(store, people), account, file, waiting, run)
            cutting.cut(talks, holdouts(store, talks, settings))
            if not account.targets:  # before the windows of an earlier run are replaced
                raise NoInput(_nothing(settings))
            cutting.finish()
        fingerprint = store.fingerprint()
    report = {
        "sha256": cutting.digest.hexdigest(),
        "store": fingerprint,
        "settings": settings.public(),
        **account.report(),
        "me": next((person.name for person in people.values() if person.is_me), ""),
        "tokens": None,
    }
    _write_report(workspace, report)
    for sentence in account.sentences():
        run.note(sentence)
    if tokens_of:
        run.phase("count tokens")
        report["tokens"] = tokens_in(workspace, tokens_of, run)
        _write_report(workspace, report)
    return account.makes()


@contextmanager
def no_collector() -> Iterator[None]:
    """Without Python's search for cycles: entries have none, and it would look through millions of them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _write_report(workspace: Workspace, report: dict[str, Any]) -> None:
    write_whole(workspace.windows_report, json.dumps(report, indent=1, ensure_ascii=True) + "\n")


def _choose(store: Store, people: Mapping[str, Person], settings: PreprocessSettings, account: Account) -> list[Talk]:
    choice = Choice(settings, store, people)
    chosen = []
    for talk in talks_in(store, people):
        reason = choice.reason_against(talk)
        if reason:
            account.leave_out(reason, conversations=1, messages=talk.messages)
        else:
            chosen.append(talk)
    return chosen


def _nothing(settings: PreprocessSettings) -> str:
    return (
        f"No conversation is long enough to learn from: every one has fewer than {settings.min_messages} messages, "
        "was left out, or is held out whole. Collect more, or lower --min-messages."
    )


class _Waiting(NamedTuple):
    """A held-out message: its lines, and how many bytes its windows have in the file where they wait."""

    talk: Talk
    split: str
    entries: list[Entry]
    sizes: list[int]


class _Cutting:
    """Writes training windows as they come. Held-out ones wait until everything that is learnt is known, since those
    of cross-posts are left out."""

    def __init__(
        self,
        settings: PreprocessSettings,
        speech: Speech,
        account: Account,
        file: BinaryIO,
        waiting: BinaryIO,
        run: Run,
    ) -> None:
        self._settings = settings
        self._speech = speech
        self._account = account
        self._file = file
        self._waiting_file = waiting
        self._run = run
        self._posts = CrossPosts(())
        self._waiting: list[_Waiting] = []
        self.digest = hashlib.sha256()

    def cut(self, talks: Sequence[Talk], holdout_of: dict[str, Holdout]) -> None:
        """Go through each conversation once; their ends, which may be held out, are looked at before."""
        self._posts = CrossPosts(
            (talk.id, sent_at, text)
            for talk in talks
            for sent_at, text in self._speech.end_of(talk, holdout_of[talk.id])
        )
        total = sum(talk.messages for talk in talks)
        done = 0
        for talk in talks:
            self._cut(talk, holdout_of[talk.id], done, total)
            done += talk.messages
            self._run.progress(done, total, "messages")

    def _cut(self, talk: Talk, holdout: Holdout, done: int, total: int) -> None:
        said = long_enough(self._speech.of(talk), self._settings.min_messages)
        shown = 0
        for stretch in cut_windows(holdout.assign(said), self._settings.size, self._settings.stride):
            targets = stretch.entries[-stretch.targets :]
            messages = messages_in(targets)
            shown += messages
            line = stretch.file_line(talk.conversation.kind, talk.names, talk.id)
            if stretch.split == TRAIN:
                self._posts.learnt(talk.id, targets)
                self._write(line)
                self._account.add(TRAIN, targets, messages=messages, windows=1, size=len(line))
                self._run.progress(done + shown, total, "messages")
            else:
                self._hold(talk, stretch.split, targets[0], line)
        if shown:
            self._account.conversations += 1
            self._account.leave_out(BLANK, messages=talk.messages - shown)
        else:
            self._account.leave_out(TOO_SHORT, conversations=1, messages=talk.messages)

    def _hold(self, talk: Talk, split: str, target: Entry, line: bytes) -> None:
        if not target.part:
            self._waiting.append(_Waiting(talk, split, [], []))
        self._waiting[-1].entries.append(target)
        self._waiting[-1].sizes.append(self._waiting_file.write(line))

    def finish(self) -> None:
        """Write the held-out windows that are a fair measure."""
        self._waiting_file.seek(0)
        for held in self._waiting:
            lines = self._waiting_file.read(sum(held.sizes))
            if self._posts.has(held.talk.id, held.entries):
                self._account.leave_out(CROSS_POSTS, messages=1, windows=len(held.sizes))
            else:
                self._write(lines)
                self._account.add(held.split, held.entries, messages=1, windows=len(held.sizes), size=len(lines))

    def _write(self, lines: bytes) -> None:
        self.digest.update(lines)
        self._file.write(lines)
