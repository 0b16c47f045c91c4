"""From a template to what someone types.

A template holds `{name}` (a fact or a scene's value), `(one|other|)` choices, `[slot]` (a word of the speaker's
voice) and ` / ` where the message could be cut in two. `Speaker.say` fills it and gives it the voice's spelling,
case, openers, tails, punctuation and emoji; it avoids what the speaker has said before.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ventriloquist.demo.cast import CAST
from ventriloquist.demo.people import Choices, Person, Voice

Facts = Mapping[str, Choices]

TRIES = 3
SHORT = 12
"""Messages up to this length may be said again and again; longer ones are varied if they can be."""

_VALUE = re.compile(r"\{(\w+)(?:\.(\w+))?\}")
_CHOICE = re.compile(r"\(([^()]*)\)")
_BREAK = re.compile(r"\s*/\s*")
_SLOT = re.compile(r"\[(\w+)\]")
_SENTENCE_START = re.compile(r"(^|[.!?:]\s+)([a-z])")
_LONE_I = re.compile(r"\bi\b(?!\.)")
_DAY = re.compile(r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b")
_GREETS = re.compile(r"\(?\|?\[")  # begins with a word of the voice, or may
_STRETCH = re.compile(r"\b(so|no|good|please|really|very|yes|way|too|cute|love|super)\b", re.IGNORECASE)
_CLOSED = (*".!?:…)", "Dad")


@dataclass(slots=True)
class Speaker:
    """Someone who speaks; remembers what was said."""

    person: Person
    rng: random.Random
    said: set[str] = field(default_factory=set)

    def say(self, template: str, values: Mapping[str, str], others: Mapping[str, Facts]) -> list[str]:
        """The messages that `template` becomes: one, or several sent in a row.

        `{my.pet}` is a fact of the speaker, `{your.pet}` one from `others["your"]`, `{time}` one of `values`, and
        `{a.pet}` a fact of the person whom `values["a"]` names.
        """
        messages: list[str] = []
        for _ in range(TRIES):
            messages = self._render(template, values, others)
            if not any(len(message) > SHORT and message in self.said for message in messages):
                break
        self.said.update(messages)
        return messages

    def _render(self, template: str, values: Mapping[str, str], others: Mapping[str, Facts]) -> list[str]:
        voice, rng = self.person.voice, self.rng
        text = self._fill(template, values, {"my": self.person.facts, **others})
        clauses = [clause for clause in _BREAK.split(text) if clause]
        if not _GREETS.match(template) and rng.random() < voice.opener_rate:
            clauses[0] = f"{rng.choice(voice.openers)} {clauses[0]}"
        messages = [clauses[0]]
        for clause in clauses[1:]:
            if rng.random() < voice.breaks:
                messages.append(clause)
            else:
                messages[-1] = _join(messages[-1], clause, voice.joint)
        if rng.random() < voice.tail_rate and not messages[-1].endswith("?"):
            tail = rng.choice(voice.tails)
            cut_off = rng.random() < voice.breaks * 0.5
            if cut_off:
                messages.append(tail)
            else:
                messages[-1] = _join(_close(messages[-1], voice, rng) if voice.end else messages[-1], tail, " ")
        finished = [finish(message, self.person, rng) for message in messages]
        if rng.random() < voice.emoji_rate:
            finished[-1] += " " + rng.choice(voice.emoji)
        return finished

    def _fill(self, template: str, values: Mapping[str, str], facts: Mapping[str, Facts]) -> str:
        def value(match: re.Match[str]) -> str:
            whose, what = match[1], match[2]
            if what is None:
                return values[whose]
            known = facts[whose] if whose in facts else CAST[values[whose]].facts
            return self.rng.choice(known[what])

        text = _VALUE.sub(value, template)
        while _CHOICE.search(text) or _SLOT.search(text):
            text = _CHOICE.sub(lambda match: self.rng.choice(match[1].split("|")), text)
            text = _SLOT.sub(lambda match: self.rng.choice(self.person.words[match[1]]), text)
        return re.sub(r"\s+", " ", text).strip()


def _join(first: str, second: str, joint: str) -> str:
    return f"{first} {second}" if first.endswith((*_CLOSED, ",")) else f"{first}{joint}{second}"


def _close(text: str, voice: Voice, rng: random.Random) -> str:
    """`text` with the voice's closing mark, if it has none."""
    if text.endswith("?"):
        return text[:-1] + rng.choice(voice.ask)
    return text if text.endswith(_CLOSED) else text + voice.end


def finish(text: str, person: Person, rng: random.Random) -> str:
    """`text` in the person's spelling, case and punctuation."""
    voice = person.voice
    for pattern, spelling in person.spelling:
        text = pattern.sub(spelling, text)
    text = _close(text, voice, rng)
    if rng.random() < voice.stretch_rate:
        text = _STRETCH.sub(lambda match: match[0] + match[0][-1] * rng.randint(2, 4), text, count=1)
    if rng.random() < voice.typo_rate:
        text = misspelt(text, rng)
    if voice.case == "lower":
        return text.lower()
    if voice.case == "sentence":
        text = _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)
        text = _DAY.sub(lambda match: match[0].capitalize(), text)
        return _LONE_I.sub("I", text)
    return text


def misspelt(text: str, rng: random.Random) -> str:
    """`text` with two neighbouring letters of one longer word swapped."""
    words = text.split(" ")
    long = [number for number, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not long:
        return text
    number = rng.choice(long)
    word = words[number]
    at = rng.randrange(1, len(word) - 2)
    words[number] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)
