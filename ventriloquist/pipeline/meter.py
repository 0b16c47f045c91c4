"""What a run may spend, and what it has: every request is in the store before it is sent.

The store is written at two moments only: before a request leaves (its reservation), and when an answer is kept (the
words together with what they cost). What is settled in between waits for the next of the two, so that a kill can never
leave an answer that was paid for without its words, nor a request that nobody knows of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from ventriloquist.faults import Stopped
from ventriloquist.media.captioner import NOTHING, OverBudget, Usage
from ventriloquist.media.prices import Price
from ventriloquist.store import Store
from ventriloquist.store.spending import Request


@dataclass(slots=True)
class Question:
    """The requests about one file: those under way, by number, with what is reserved for them; what the others came
    to, and which of these the store does not know yet."""

    under_way: dict[int, int] = field(default_factory=dict)
    unwritten: list[tuple[int, int]] = field(default_factory=list)
    requests: int = 0
    usage: Usage = NOTHING
    micro_usd: int = 0

    def take(self) -> list[tuple[int, int]]:
        """What is still to be written; once it is, it is written."""
        rows, self.unwritten = self.unwritten, []
        return rows

    def start_over(self) -> None:
        """What comes now is counted anew."""
        self.requests, self.usage, self.micro_usd = 0, NOTHING, 0


_question: ContextVar[Question] = ContextVar("question")


@contextmanager
def asking(question: Question) -> Iterator[None]:
    """All that this task reserves inside belongs to one question."""
    token = _question.set(question)
    try:
        yield
    finally:
        _question.reset(token)


class StoredMeter:
    """A captioner's meter whose reservations are rows of the store.

    `budget` is in micro-dollars, None for no bound; what is open of earlier runs counts for it (see
    `Store.open_spending`). `changed` is called whenever money comes free.
    """

    def __init__(
        self, store: Store, run: str, provider: str, model: str, price: Price | None, budget: int | None
    ) -> None:
        self.requests = 0
        self.spent = 0
        """Micro-dollars of this run: what was settled, and what is reserved."""
        self.before = store.open_spending()
        self.under_way = 0
        self.stopped = False
        self.changed: Callable[[], None] = lambda: None
        self._store = store
        self._run, self._provider = run, provider
        self.model = model
        self._price = price
        self._budget = budget
        self._excess = 1.0

    @property
    def left(self) -> int | None:
        """Micro-dollars that may still be spent, None without a budget."""
        return None if self._budget is None else max(self._budget - self.before - self.spent, 0)

    def reserve(self, estimate: Usage) -> int:
        """See `Meter.reserve`. Once the run stops, nothing more is sent: raises Stopped."""
        if self.stopped:
            raise Stopped("Stopped; what was finished is kept. Start it again to go on.")
        most = int(self.cost(estimate) * self._excess) + 1 if self._price and self._price.is_charged else 0
        if self.left is not None and most > self.left:
            raise OverBudget("The budget is used up.")
        question = _question.get()
        number = self._store.reserve(Request(self._run, self._provider, self.model, most), question.take())
        question.under_way[number] = most
        self.spent += most
        self.requests += 1
        self.under_way += 1
        return number

    def settle(self, number: int, usage: Usage | None) -> None:
        """See `Meter.settle`; the store learns of it with the question's next request or its answer."""
        question = _question.get()
        reserved = question.under_way.pop(number)
        cost = reserved if usage is None else self.cost(usage)
        if reserved and cost > reserved:  # the service bills more than was foreseen: foresee it from now on
            self._excess = max(self._excess, self._excess * cost / reserved)
        question.unwritten.append((number, cost))
        question.requests += 1
        question.usage += usage or NOTHING
        question.micro_usd += cost
        self.spent += cost - reserved
        self.under_way -= 1
        self.changed()

    def cost(self, usage: Usage) -> int:
        """Micro-dollars, rounded up; 0 where no price is known."""
        return self._price.cost(usage) if self._price else 0

    @property
    def knows_prices(self) -> bool:
        return self._price is not None
