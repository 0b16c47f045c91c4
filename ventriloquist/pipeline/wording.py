"""How someone writes, in numbers: words and characters a message, and the emoji."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

_ALWAYS = (  # those that are drawn as emoji without being asked to, and the heart as people type it
    "\u231a\u231b\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693\u26a1\u26aa\u26ab\u26bd\u26be"
    "\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728\u274c\u274e\u2753-\u2755\u2757"
    "\u2764\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55\U0001f004\U0001f0cf\U0001f170-\U0001f1e5\U0001f200-\U0001faff"
)
_ASKED = (
    "\u203c\u2049\u2122\u2139\u2194-\u21aa\u2328\u23cf\u23ed-\u23fa\u24c2\u25aa-\u25fc\u2600-\u27bf\u2934-\u2b07"
    "\u3030\u303d\u3297\u3299\xa9\xae"
)
_ONE = f"(?:[{_ALWAYS}]\ufe0f?|[{_ASKED}]\ufe0f)[\U0001f3fb-\U0001f3ff]?"
EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}"  # a flag
    "|[0-9#*]\ufe0f?\u20e3"  # a keycap
    f"|{_ONE}[\U000e0020-\U000e007f]*(?:\u200d{_ONE})*"  # one, with its skin and what it is joined to
)
"""One emoji as it is seen: a family, a flag or a hand with a skin tone is one."""
KEPT_EMOJI = 100_000
"""How many different emoji are told apart; there are some 4,000, and no limit to what can be joined."""


@dataclass(slots=True)
class Wording:
    """The texts of one side. Lengths are counted and not listed, so that millions of messages need no room; `emoji`
    says in how many messages each is, however often it is repeated there."""

    words: Counter[int] = field(default_factory=Counter)
    characters: Counter[int] = field(default_factory=Counter)
    with_emoji: int = 0
    emoji: Counter[str] = field(default_factory=Counter)

    def add(self, text: str) -> None:
        """Count a message's text."""
        self.words[len(text.split())] += 1
        self.characters[len(text)] += 1
        if not text.isascii() or "\u20e3" in text:
            found = set(EMOJI.findall(text))
            self.with_emoji += bool(found)
            for each in found:
                if each in self.emoji or len(self.emoji) < KEPT_EMOJI:
                    self.emoji[each] += 1

    def top_emoji(self, most: int) -> dict[str, int]:
        """The emoji in the most messages."""
        return dict(sorted(self.emoji.items(), key=lambda item: (-item[1], item[0]))[:most])

    def as_object(self) -> dict[str, Any]:
        """`{"messages", "words", "characters", "with_emoji", "emoji"}`: words and characters are medians."""
        return {
            "messages": self.words.total(),
            "words": median_of(self.words),
            "characters": median_of(self.characters),
            "with_emoji": self.with_emoji,
            "emoji": self.top_emoji(5),
        }


def median_of(counts: Mapping[int, int]) -> float | None:
    """The median of values that are given with how often each comes; None where there are none."""
    total = sum(counts.values())
    if not total:
        return None
    seen, low = 0, None
    for value in sorted(counts):
        seen += counts[value]
        if low is None and 2 * seen >= total:
            low = value
        if low is not None and 2 * seen > total:
            return median((low, value))
    return low
