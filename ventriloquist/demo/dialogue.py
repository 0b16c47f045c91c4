"""A scene: people saying things to each other, with answers, reactions and waits."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ventriloquist.demo.cast import CAST, OWNER
from ventriloquist.demo.script import File, Post, Script, Tapback
from ventriloquist.demo.speech import Speaker

HOUR = 3600.0
DAY = 24 * HOUR

MOODS: dict[str, tuple[str, ...]] = {
    "funny": ("laughed", "laughed", "emphasized"),
    "good": ("loved", "liked", "emphasized"),
    "cute": ("loved", "loved", "laughed"),
    "bad": ("disliked", "emphasized", "questioned"),
    "plan": ("liked", "liked", "loved"),
    "odd": ("questioned", "laughed", "emphasized"),
}
"""What a message's mood earns it; the voice's own habit is chosen as often."""


@dataclass(slots=True)
class Plan:
    """Something that was agreed on in a conversation, to be asked about later."""

    what: str
    time: str
    place: str
    day: str


@dataclass(slots=True)
class Stage:
    """One conversation while it is written: who is in it, who speaks how, and what was agreed."""

    script: Script
    rng: random.Random
    speakers: dict[str, Speaker]
    plans: list[Plan] = field(default_factory=list)
    waits: dict[Post, float] = field(default_factory=dict)
    starts: list[tuple[Post, tuple[int, int] | None]] = field(default_factory=list)
    rows: int = 0

    @property
    def everyone(self) -> list[str]:
        return [*self.script.members, OWNER.name]

    def pair(self) -> tuple[str, str]:
        """Two different people of the conversation, the first to speak and the one asked."""
        first, second = self.rng.sample(self.everyone, 2)
        return first, second

    def play(self, scene: Callable[[Stage], None], hours: tuple[int, int] | None = None) -> None:
        """Add a scene that begins between two hours of the day, or at any."""
        start = len(self.script.posts)
        scene(self)
        if len(self.script.posts) > start:
            self.starts.append((self.script.posts[start], hours))

    def say(
        self,
        who: str,
        template: str,
        to: str | None = None,
        *,
        values: Mapping[str, str] | None = None,
        mood: str | None = None,
        quoting: Post | None = None,
        wait: float | None = None,
    ) -> Post:
        """`who` says `template`, in one message or several; returns the first. `wait` is in seconds."""
        others = {"your": CAST[to].facts} if to else {}
        texts = self.speakers[who].say(template, values or {}, others)
        posts = [Post(who, text) for text in texts]
        posts[0].reply_to = quoting
        for number, post in enumerate(posts):
            self._post(post, wait if number == 0 else None)
        if mood:
            self._react(posts[-1], mood)
        return posts[0]

    def send(
        self, who: str, *files: File, text: str = "", caption_first: bool = False, mood: str | None = None
    ) -> Post:
        """`who` sends files, with `text` (a template) in the same message or none."""
        words = " ".join(self.speakers[who].say(text, {}, {})) if text else ""
        post = self._post(Post(who, words, files=files, caption_first=caption_first), None)
        if mood:
            self._react(post, mood)
        return post

    def post(self, post: Post, wait: float | None = None) -> Post:
        """Add a post that is ready."""
        return self._post(post, wait)

    def tap(self, who: str, post: Post, what: str, **details: object) -> Tapback:
        """`who` reacts to `post`."""
        tapback = Tapback(who, what, **details)  # type: ignore[arg-type]
        post.tapbacks.append(tapback)
        self.rows += 1
        return tapback

    def _post(self, post: Post, wait: float | None) -> Post:
        self.script.posts.append(post)
        self.rows += 1
        if wait is not None:
            self.waits[post] = wait
        return post

    def _react(self, post: Post, mood: str) -> None:
        for who in self.everyone:
            voice = CAST[who].voice
            if who == post.who or self.rng.random() >= voice.tap_rate:
                continue
            if self.rng.random() < 0.12:
                self.tap(who, post, "emoji", emoji=voice.tap_emoji)
            else:
                self.tap(who, post, self.rng.choice(self.rng.choice((MOODS[mood], voice.taps))))
