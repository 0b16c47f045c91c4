"""What was spent on captioners: a row for each request, written before it is sent and settled once it is answered.

A request that was never settled, since its run was killed, counts as spent in full.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass

from ventriloquist.records import rfc3339


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is about to be sent, and the most it can cost, in micro-dollars."""

    run: str
    provider: str
    model: str
    micro_usd: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What a model has cost so far: all requests, those without an answer too; and what came of them. Identical files
    are one of `described`; `prices_as_of` is the date of the price table used last."""

    provider: str
    model: str
    requests: int
    micro_usd: int
    described: int
    blocked: int
    failed: int
    retry: int
    input_tokens: int
    output_tokens: int
    prices_as_of: str | None


def reserve(connection: sqlite3.Connection, request: Request) -> int:
    """Write a request down, inside a transaction; returns its number."""
    cursor = connection.execute(
        "INSERT INTO spending (run, at, provider, model, reserved_micro_usd, closed) VALUES (?, ?, ?, ?, ?, 0)",
        [request.run, rfc3339(time.time_ns() // 1000), request.provider, request.model, request.micro_usd],
    )
    return int(cursor.lastrowid or 0)


def settle(connection: sqlite3.Connection, settled: Iterable[tuple[int, int]]) -> None:
    """Write down what requests came to, (number, micro-dollars) each, inside a transaction."""
    rows = [(micro_usd, number) for number, micro_usd in settled]
    connection.executemany("UPDATE spending SET settled_micro_usd = ? WHERE number = ?", rows)


def close(connection: sqlite3.Connection) -> None:
    """Let nothing until now count for the next budget, inside a transaction."""
    connection.execute("UPDATE spending SET closed = 1 WHERE NOT closed")


def open_sum(connection: sqlite3.Connection) -> int:
    """Micro-dollars that count for the budget of the command that is running, or that goes on with one."""
    query = "SELECT coalesce(sum(coalesce(settled_micro_usd, reserved_micro_usd)), 0) FROM spending WHERE NOT closed"
    return int(connection.execute(query).fetchone()[0])


def by_model(connection: sqlite3.Connection) -> list[Spent]:
    """What each model has cost and answered so far, the dearest first."""
    query = """
WITH paid AS (
  SELECT provider, model, count(*) AS requests, sum(coalesce(settled_micro_usd, reserved_micro_usd)) AS micro_usd
  FROM spending GROUP BY provider, model
), answered AS (
  SELECT provider, model, sum(state = 'described' AND instr(hash, '/') = 0) AS described,
    sum(state = 'blocked') AS blocked, sum(state = 'failed') AS failed, sum(state = 'retry') AS retry,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, max(prices_as_of) AS prices_as_of
  FROM captions GROUP BY provider, model
)
SELECT provider, model, requests, micro_usd, coalesce(described, 0), coalesce(blocked, 0), coalesce(failed, 0),
  coalesce(retry, 0), coalesce(input_tokens, 0), coalesce(output_tokens, 0), prices_as_of
FROM paid LEFT JOIN answered USING (provider, model) ORDER BY micro_usd DESC, requests DESC, model
"""
    return [Spent(*row) for row in connection.execute(query)]


def means(connection: sqlite3.Connection, provider: str, model: str, least: int) -> dict[str, int]:
    """Micro-dollars that a file of each medium has cost, for media with at least so many."""
    query = (
        "SELECT medium, sum(micro_usd) / sum(instr(hash, '/') = 0) FROM captions "
        "WHERE provider = ? AND model = ? AND micro_usd IS NOT NULL "
        "GROUP BY medium HAVING sum(instr(hash, '/') = 0) >= ?"
    )
    return {medium: int(mean) for medium, mean in connection.execute(query, [provider, model, least])}
