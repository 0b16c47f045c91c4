"""What there is to describe, what it would cost, what has become of what was asked: all that commands and screens
tell of describing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ventriloquist.media import convert, prices
from ventriloquist.media.captioner import Usage
from ventriloquist.media.transcoding import VIDEO_SECONDS
from ventriloquist.media.words import Medium
from ventriloquist.pipeline.destination import Destination
from ventriloquist.pipeline.selection import Selection, look, noun, place_of, size_of
from ventriloquist.records import Attachment
from ventriloquist.settings import DescribeSettings
from ventriloquist.store import Store
from ventriloquist.store.describing import (
    BLOCKED,
    FAILED,
    MISSING,
    OFFLOADED,
    RETRY,
    SHORT,
    ZERO,
    Standing,
)
from ventriloquist.store.spending import Spent
from ventriloquist.text import one_line
from ventriloquist.workspace import Workspace

AUDIO_BYTES_A_SECOND = 2_000
"""Of voice messages; what they last is not known before they are read."""
PAGE_BYTES = 50_000
ENOUGH_ANSWERS = 5
"""Answers about a medium after which their mean says more than the bounds of a request."""


@dataclass(slots=True)
class Row:
    """The files of one type that would be sent now. `requests` counts identical files once; tokens and micro-dollars
    (None: no price is known) are what they come to at most if each is answered at once; `likely_micro_usd` is what
    they come to if they cost as those before did, None where too few were asked."""

    noun: str
    files: int = 0
    bytes: int = 0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    micro_usd: int | None = 0
    likely_micro_usd: int | None = 0


@dataclass(slots=True)
class Survey:
    """What there is, and what a command with these settings would send.

    `rows` are by type, what is most first; `beyond_limit` counts the files that `--limit` leaves for later, `left_out`
    those that the audience leaves out, by reason (see `audience`), `to_retry` the failures that only `--retry-failed`
    asks about. `states` are all attachments, by type and state, and `places` by type and where their file is;
    `conversations` counts those that are left out, by reason, and under "" the others. `spent` is what was spent so
    far, in all, and `counts_for_budget` the part of it that the next budget still counts.
    """

    provider: str
    model: str
    where: str
    stays_here: bool
    missing: str
    prices_as_of: str | None
    rows: list[Row] = field(default_factory=list)
    beyond_limit: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    to_retry: int = 0
    states: dict[str, dict[str, int]] = field(default_factory=dict)
    spent: list[Spent] = field(default_factory=list)
    counts_for_budget: int = 0
    places: dict[str, dict[str, int]] = field(default_factory=dict)
    conversations: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> Row:
        """All rows together."""
        total = Row("all")
        for row in self.rows:
            total.files += row.files
            total.bytes += row.bytes
            total.requests += row.requests
            total.input_tokens += row.input_tokens
            total.output_tokens += row.output_tokens
            total.micro_usd = _sum(total.micro_usd, row.micro_usd)
            total.likely_micro_usd = _sum(total.likely_micro_usd, row.likely_micro_usd)
        return total

    @property
    def kinds(self) -> Counter[str]:
        """How many files of each type would be sent."""
        return Counter({row.noun: row.files for row in self.rows})

    @property
    def needs_consent(self) -> bool:
        """True if files would leave this machine."""
        return not self.stays_here

    def as_object(self) -> dict[str, Any]:
        """The same as JSON values, with the total."""
        return {**asdict(self), "total": asdict(self.total)}


def survey(settings: DescribeSettings, workspace: Workspace) -> Survey:
    """What there is to describe and what it would cost; reads no file but those that may be identical."""
    with Store.open(workspace) as store:
        return survey_of(store, settings, Destination.of(settings))


def survey_of(store: Store, settings: DescribeSettings, destination: Destination) -> Survey:
    """The same of a store that is open."""
    found = Survey(
        destination.provider, destination.model, destination.where, destination.stays_here, destination.missing,
        prices.PRICES_AS_OF.isoformat() if destination.price and destination.price.is_charged else None,
        spent=store.spent(), counts_for_budget=store.open_spending(),
    )  # fmt: skip
    selection, counting = Selection(settings, store, destination.model), _Counting(store, destination, settings.limit)
    left_out: Counter[str] = Counter()
    for standing in store.standings(described=True):
        kind, (state, looks_like) = noun(standing.attachment), look(standing)
        states = found.states.setdefault(kind, {})
        states[state] = states.get(state, 0) + 1
        places, place = found.places.setdefault(kind, {}), place_of(standing.attachment)
        places[place] = places.get(place, 0) + 1
        medium = selection.medium_of(standing, state, looks_like)
        if medium is None:
            found.to_retry += state == FAILED
        elif reason := selection.reason_against(standing):
            left_out[reason] += 1
        elif not counting.add(standing, kind, medium):
            found.beyond_limit += 1
    found.left_out, found.conversations = dict(left_out), dict(selection.conversations)
    found.rows = sorted(counting.rows.values(), key=lambda row: -row.files)
    return found


@dataclass(slots=True)
class _SameSize:
    """Files of one size: the path of the first, and the hashes of all once there are several."""

    first: str
    hashes: set[str] = field(default_factory=set)


class _Counting:
    """Counts files that would be sent, identical ones as one request."""

    def __init__(self, store: Store, destination: Destination, limit: int) -> None:
        self.rows: dict[str, Row] = {}
        self._price = destination.price
        self._prompts = destination.prompts
        self._means = store.mean_costs(destination.provider, destination.model, ENOUGH_ANSWERS)
        self._limit = limit
        self._requests = 0
        self._by_size: dict[tuple[Medium, int], _SameSize] = {}

    def add(self, standing: Standing, kind: str, medium: Medium) -> bool:
        """False where the limit leaves it for later."""
        path = standing.attachment.path or ""
        size = size_of(path) or 0
        is_new = not self._is_known(path, size, medium)
        if is_new and self._limit and self._requests >= self._limit:
            return False
        row = self.rows.setdefault(kind, Row(kind))
        row.files += 1
        row.bytes += size
        if is_new:
            usage = self._estimate(medium, size)
            self._requests += 1
            row.requests += 1
            row.input_tokens += usage.input_tokens
            row.output_tokens += usage.output_tokens
            row.micro_usd = _sum(row.micro_usd, self._price.cost(usage) if self._price else None)
            row.likely_micro_usd = _sum(row.likely_micro_usd, self._means.get(medium))
        return True

    def _is_known(self, path: str, size: int, medium: Medium) -> bool:
        """True if a file of the same content was counted; only files of one size are read to see, each once."""
        of_size = self._by_size.get((medium, size))
        if of_size is None:
            self._by_size[medium, size] = _SameSize(path)
            return False
        try:
            of_size.hashes = of_size.hashes or {convert.content_hash(of_size.first)}
            digest = convert.content_hash(path)
        except convert.Unconvertible:
            return False
        known = digest in of_size.hashes
        of_size.hashes.add(digest)
        return known

    def _estimate(self, medium: Medium, size: int) -> Usage:
        prompt = len(self._prompts[medium].encode())
        match medium:
            case "video":
                return prices.estimate(medium, seconds=VIDEO_SECONDS, prompt_bytes=prompt)
            case "audio":
                return prices.estimate(medium, seconds=max(size / AUDIO_BYTES_A_SECOND, 1), prompt_bytes=prompt)
            case "pdf":
                return prices.estimate(medium, pages=max(size // PAGE_BYTES, 1), prompt_bytes=prompt)
            case "text":
                most = prices.UNKNOWN_TEXT_BYTES
                return prices.estimate(medium, text_bytes=min(max(size, 1), most), prompt_bytes=prompt)
        return prices.estimate(medium, prompt_bytes=prompt)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


@dataclass(frozen=True, slots=True)
class Latest:
    """A description beside its file: its name (a stranger's words, on one line), what it is, the words, who wrote
    them, and when (RFC 3339 UTC)."""

    name: str
    noun: str
    text: str
    by: str
    at: str


def latest(workspace: Workspace, count: int) -> list[Latest]:
    """The descriptions that captioners gave last, the newest first."""
    with Store.open(workspace) as store:
        return [
            Latest(
                _file_name(standing.attachment), noun(standing.attachment),
                one_line(standing.attachment.description or ""), one_line(standing.by or ""), standing.at or "",
            )
            for standing in store.latest_descriptions(count)
        ]  # fmt: skip


def _file_name(attachment: Attachment) -> str:
    return one_line((attachment.name or attachment.path or "").rpartition("/")[2], 200) or "(no name)"


@dataclass(frozen=True, slots=True)
class Failure:
    """Files that have no description: their state, why, how many of them, and what can be done about it."""

    state: str
    reason: str
    files: int
    advice: str


_AGAIN = "Start describe again: it asks about them once more."
_ADVICE: Mapping[str, str] = {
    OFFLOADED: "They are in iCloud only. Open their conversations in Messages so that they are fetched, collect again, "
    "and describe again.",
    MISSING: "Their files are not on this machine. If they lie elsewhere, collect with --attachments, and describe "
    "again.",
    ZERO: "Their files are empty. If they were still being fetched, describe again later.",
    SHORT: "Their files are shorter than they should be. If they were still being fetched, describe again later.",
    RETRY: _AGAIN,
    BLOCKED: "The service refuses to describe them, and is not asked (nor paid) again; another --model can be asked "
    "with --retry-failed.",
    FAILED: "To try them once more: describe --retry-failed.",
}
_ADVICE_FOR_REASON: Mapping[str, str] = {
    "encrypted": "They are locked by a password. Unlocked copies cannot take their place; nothing can be done.",
    "too large": "They are larger than what is converted; they keep their neutral words.",
    "unsupported": "They are of a kind that cannot be converted; they keep their neutral words.",
    "slow": "Converting them took too long; on a faster machine, try describe --retry-failed.",
    "declined": "The model does not take them; another --model can be asked with --retry-failed.",
}


def failures(workspace: Workspace) -> list[Failure]:
    """Files without a description that could have one, by state and reason, what is most first."""
    with Store.open(workspace) as store:
        counted = Counter(_failures(store))
    return [
        Failure(state, reason, files, _ADVICE_FOR_REASON.get(reason) or _ADVICE[state])
        for (state, reason), files in counted.most_common()
    ]


def _failures(store: Store) -> Iterator[tuple[str, str]]:
    for standing in store.standings():
        state, _ = look(standing)
        if state in _ADVICE:
            yield state, one_line(standing.reason or "", 80) if state in (BLOCKED, FAILED, RETRY) else ""
