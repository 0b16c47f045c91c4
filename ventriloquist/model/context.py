"""What came before a line, as ids: each line encoded once, cut from the left where a model cannot read it all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ventriloquist.faults import Fault
from ventriloquist.model.sampling import REMEMBERED
from ventriloquist.model.tokens import LONGEST_SHARE, FittedLine, LineTokenizer
from ventriloquist.windows.lines import KEYS, Line, LineError, quote, read, write

KNOWN_LINES = 4096
WORTH_READING = 128
"""Characters a token at most: of a line that is longer than this allows, the end is not even encoded."""
_OPENING = f'{{"{KEYS[0]}": "'


class Context(NamedTuple):
    """Ids of a context, how many of its lines were left out, and the text at its end that the ids do not hold yet.

    Only a tokenizer that does not hold to lines owes something: it reads the end of a line with the next line's start.
    """

    ids: list[int]
    dropped: int
    owed: str


class Contexts:
    """Makes ids of contexts that grow by a line at a time."""

    def __init__(self, lines: LineTokenizer, max_tokens: int) -> None:
        self.lines = lines
        self.longest = max(max_tokens // LONGEST_SHARE, 1)
        """Tokens a line may take; so many are left free for the one that is written."""
        self._room = max_tokens - self.longest
        self._encoded: dict[str, FittedLine] = {}
        self._start: tuple[str, str, int] = ("", "", 0)

    def fit(self, context: Sequence[str]) -> Context:
        """Header and message lines as ids.

        What does not fit is dropped from the left down to half of the room at once, so that the next turns only
        append; they start there too as long as they hold the same lines. The first line left says `<1m`, as every
        window's does.
        """
        header, *body = self._fitted(context)
        room = self._room - len(self.lines.lead) - len(header.ids)
        if room <= 0:
            raise Fault("So many members do not fit into what this model can read; leave some out.")
        dropped = self._dropped(header, body, room)
        kept = body[dropped:]
        if dropped and kept:
            kept[0] = self.lines.as_first(kept[0])
        if self.lines.by_line:
            ids, owed = [token for line in (header, *kept) for token in line.ids], ""
        else:
            ids, owed = self._whole("".join(line.text for line in (header, *kept)))
        return Context([*self.lines.lead, *ids], dropped, owed)

    def recent_text(self, context: Sequence[str]) -> list[int]:
        """The last tokens of the texts, at most as many as the repetition penalty looks back on."""
        found: list[int] = []
        for line in reversed(context[1:]):
            parsed = _parsed(line)
            if parsed is not None:
                text = quote(parsed.text)[1:-1]
                found = self.lines.encode(text[-REMEMBERED * WORTH_READING :]) + found
            if len(found) >= REMEMBERED:
                break
        return found[-REMEMBERED:]

    def _fitted(self, context: Sequence[str]) -> list[FittedLine]:
        if len(self._encoded) > KNOWN_LINES:
            self._encoded.clear()
        new = [line for line in dict.fromkeys(context) if line not in self._encoded]
        worth = [self._worth(line) for line in new]
        for line, text, ids in zip(new, worth, self.lines.encode_lines(worth), strict=True):
            is_header = line == context[0]
            fitted = FittedLine(text, ids, len(ids)) if is_header else self.lines.bounded(text, ids, self.longest)
            self._encoded[line] = fitted
        return [self._encoded[line] for line in context]

    def _worth(self, line: str) -> str:
        """The line, its text cut to what could be read of it at all."""
        most = self.longest * WORTH_READING
        if len(line) <= 2 * most or (parsed := _parsed(line)) is None or len(parsed.text) <= most:
            return line
        return write(Line(parsed.name, parsed.delta, parsed.reply_to, parsed.content_type, parsed.text[:most]))

    def _dropped(self, header: FittedLine, body: Sequence[FittedLine], room: int) -> int:
        """How many lines are left out: none, as many as last time, or down to half of `room`."""
        lengths = [len(line.ids) for line in body]
        if sum(lengths) <= room:
            return 0
        known, first, dropped = self._start
        follows = known == header.text and dropped < len(body) and body[dropped].text == first
        if follows and sum(lengths[dropped:]) <= room:
            return dropped
        left = sum(lengths)
        dropped = 0
        while left > room // 2 and (dropped < len(body) - 1 or left > room):
            left -= lengths[dropped]
            dropped += 1
        self._start = (header.text, body[dropped].text if dropped < len(body) else "", dropped)
        return dropped

    def _whole(self, text: str) -> tuple[list[int], str]:
        """The ids of a whole text as they will be with another line behind it, and what of its end these leave."""
        alone = self.lines.encode_with_ends(text)
        continued = self.lines.encode_with_ends(text + _OPENING)
        kept = 0
        while kept < min(len(alone), len(continued)) and alone[kept] == continued[kept]:
            kept += 1
        end = alone[kept - 1][1] if kept else 0
        return [token for token, _ in alone[:kept]], text[end:]


def _parsed(line: str) -> Line | None:
    try:
        parsed = read(line)
    except LineError:
        return None
    return parsed if isinstance(parsed, Line) else None
