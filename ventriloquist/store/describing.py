"""How each attachment stands: described, or why not; and what captioners answered, by the content of files."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from ventriloquist.records import Attachment, rfc3339
from ventriloquist.store.values import to_text, to_value, to_word

LOCAL = "local"
"""The state of an attachment that has words from what is at hand only; and who made those words."""
DESCRIBED, BLOCKED, FAILED, RETRY = "described", "blocked", "failed", "retry"
"""What came of asking: words, a refusal, a failure for good, and one that a later run may not meet."""
OFFLOADED, MISSING, ZERO, SHORT = "offloaded", "missing", "zero", "short"
"""Why there is no file to look at: it is elsewhere, nowhere, empty, or shorter than the history says."""
STATES = (DESCRIBED, LOCAL, RETRY, BLOCKED, FAILED, OFFLOADED, MISSING, ZERO, SHORT)

BATCH = 500


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of an attachment. `text` is a captioner's words if `state` is described, else the neutral ones at
    hand; `by` is the model that was asked, or LOCAL; `reason` is a word or two, never anything from the file."""

    guid: str
    text: str
    by: str
    state: str
    reason: str | None = None
    hash: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """An attachment, its description and state (None: it has none yet), and the numbers of the conversations that it
    stands in."""

    attachment: Attachment
    state: str | None
    by: str | None = None
    reason: str | None = None
    hash: str | None = None
    conversations: tuple[int, ...] = ()
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking a captioner about a content: `state` is described, blocked, failed or retry, `text` None
    but for the first. Requests, tokens and micro-dollars (None: no price is known) are those of this asking; the
    store adds up those of several."""

    hash: str
    medium: str
    provider: str
    model: str
    prompt: str
    state: str
    text: str | None = None
    reason: str | None = None
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    micro_usd: int | None = None
    prices_as_of: str | None = None


_COLUMNS = (
    "a.message, a.position, a.guid, a.mime_type, a.name, a.path, a.transcript, a.is_sticker, a.total_bytes, "
    'a.offloaded, d.text, d.state, d."by", d.reason, d.hash, d.at'
)
_FIRST_OF_GUID = (
    "a.rowid = (SELECT e.rowid FROM attachments AS e WHERE e.guid = a.guid "
    "ORDER BY e.path IS NULL, e.message, e.position LIMIT 1)"
)
_CONVERSATIONS = (
    "(SELECT group_concat(DISTINCT m.conversation) FROM attachments AS e JOIN messages AS m ON m.number = e.message "
    "WHERE e.guid = a.guid)"
)
_STANDINGS = (
    f"SELECT {_COLUMNS}, {_CONVERSATIONS} FROM attachments AS a "  # noqa: S608 - our own words
    "LEFT JOIN descriptions AS d ON d.attachment = a.guid "
    "WHERE (? OR d.state IS NULL OR d.state <> 'described') AND (a.message, a.position) > (?, ?) "
    f"AND {_FIRST_OF_GUID} ORDER BY a.message, a.position LIMIT ?"
)
_LATEST = (
    f"SELECT {_COLUMNS}, NULL FROM descriptions AS d JOIN attachments AS a ON a.guid = d.attachment "  # noqa: S608
    f"WHERE d.state = 'described' AND d.at IS NOT NULL AND {_FIRST_OF_GUID} ORDER BY d.at DESC, a.rowid DESC LIMIT ?"
)
_ANSWER_FIELDS = (
    "hash, medium, provider, model, prompt, state, text, reason, requests, input_tokens, output_tokens, micro_usd, "
    "prices_as_of"
)


def standings(connection: sqlite3.Connection, *, described: bool) -> Iterator[Standing]:
    """Every attachment, each guid once; see `Store.standings`."""
    after = (-1, -1)
    while rows := connection.execute(_STANDINGS, [described, *after, BATCH]).fetchall():
        yield from map(_standing, rows)
        after = rows[-1][:2]


def latest(connection: sqlite3.Connection, count: int) -> list[Standing]:
    """The attachments that a captioner described last, newest first."""
    return list(map(_standing, connection.execute(_LATEST, [count])))


def together(connection: sqlite3.Connection) -> Iterator[list[Attachment]]:
    """The attachments of each message that has more than one, in order."""
    query = (
        f"SELECT {_COLUMNS}, NULL FROM attachments AS a "  # noqa: S608 - our own words
        "LEFT JOIN descriptions AS d ON d.attachment = a.guid WHERE a.message IN "
        "(SELECT message FROM attachments GROUP BY message HAVING count(*) > 1) ORDER BY a.message, a.position"
    )
    for _, rows in groupby(connection.execute(query), key=itemgetter(0)):
        yield [_standing(row).attachment for row in rows]


def _standing(row: Sequence[Any]) -> Standing:
    (_, _, guid, mime_type, name, path, transcript, is_sticker, total_bytes, offloaded, text, state, by, reason, hash_,
     at, conversations) = row  # fmt: skip
    attachment = Attachment(
        guid=to_word(guid),
        mime_type=to_text(mime_type),
        name=to_text(name),
        path=to_text(path),
        transcript=to_text(transcript),
        description=to_text(text),
        is_sticker=bool(is_sticker),
        total_bytes=total_bytes,
        is_offloaded=bool(offloaded),
    )
    numbers = tuple(int(number) for number in str(conversations or "").split(",") if number)
    return Standing(attachment, state, by, reason, hash_, numbers, at)


def write(connection: sqlite3.Connection, descriptions: Iterable[Description]) -> None:
    """Put descriptions in the place of those before, inside a transaction."""
    at = _now()
    connection.executemany(
        'INSERT OR REPLACE INTO descriptions (attachment, text, "by", state, reason, hash, at) '
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [[to_value(d.guid), to_value(d.text), d.by, d.state, d.reason, d.hash, at] for d in descriptions],
    )


def write_answer(connection: sqlite3.Connection, answer: Answer) -> None:
    """Keep an answer, inside a transaction; what an earlier asking of the same question cost is added to it."""
    values = [getattr(answer, name) for name in _ANSWER_FIELDS.split(", ")]
    values[6] = to_value(answer.text)
    connection.execute(
        f"INSERT INTO captions ({_ANSWER_FIELDS}, at) VALUES ({'?, ' * len(values)}?) "  # noqa: S608 - our own words
        "ON CONFLICT (hash, medium, provider, model, prompt) DO UPDATE SET state = excluded.state, "
        "text = excluded.text, reason = excluded.reason, requests = requests + excluded.requests, "
        "input_tokens = input_tokens + excluded.input_tokens, "
        "output_tokens = output_tokens + excluded.output_tokens, micro_usd = micro_usd + excluded.micro_usd, "
        "prices_as_of = excluded.prices_as_of, at = excluded.at",
        [*values, _now()],
    )


def answers(connection: sqlite3.Connection, content_hash: str, medium: str) -> list[Answer]:
    """What captioners have answered about a content, the latest first."""
    query = f"SELECT {_ANSWER_FIELDS} FROM captions WHERE hash = ? AND medium = ? ORDER BY at DESC"  # noqa: S608
    found = []
    for row in connection.execute(query, [content_hash, medium]):
        values = list(row)
        values[6] = to_text(values[6])
        found.append(Answer(*values))
    return found


def descriptions_by(connection: sqlite3.Connection) -> dict[str, int]:
    """How many of the attachments in the history each one described, by who did."""
    query = (
        """SELECT CASE state WHEN 'described' THEN "by" ELSE 'local' END AS who, count(*) FROM descriptions """
        "WHERE attachment IN (SELECT guid FROM attachments) GROUP BY who ORDER BY who"
    )
    return {by: int(count) for by, count in connection.execute(query)}


def _now() -> str:
    return rfc3339(time.time_ns() // 1000)
