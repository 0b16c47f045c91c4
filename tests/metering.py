"""A captioner's meter that remembers everything, and says so at once if a captioner misuses it."""

from __future__ import annotations

from ventriloquist.media.captioner import NOTHING, OverBudget, Usage


class TallyMeter:
    """Holds `most` requests, or any number; each is settled once, and never used more than was reserved for it."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self.reserved: dict[int, Usage] = {}
        self.settled: dict[int, Usage | None] = {}

    def reserve(self, estimate: Usage) -> int:
        if self.most is not None and len(self.reserved) >= self.most:
            raise OverBudget("The budget is used up.")
        number = len(self.reserved) + 1
        self.reserved[number] = estimate
        return number

    def settle(self, number: int, usage: Usage | None) -> None:
        assert number in self.reserved and number not in self.settled
        if usage is not None:
            assert usage.input_tokens <= self.reserved[number].input_tokens
            assert usage.output_tokens <= self.reserved[number].output_tokens
        self.settled[number] = usage

    @property
    def requests(self) -> int:
        """Requests made; all of them have to be settled by now."""
        assert self.settled.keys() == self.reserved.keys()
        return len(self.reserved)

    @property
    def unknown(self) -> int:
        """Requests of which nobody knows what they cost."""
        return sum(usage is None for usage in self.settled.values())

    @property
    def used(self) -> Usage:
        """What is known to be used."""
        return sum((usage for usage in self.settled.values() if usage), NOTHING)
