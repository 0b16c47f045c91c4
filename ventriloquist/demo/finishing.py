"""What chance does to a conversation once it is written: typos corrected, words taken back, reactions changed."""

from __future__ import annotations

import random

from ventriloquist.demo.cast import CAST
from ventriloquist.demo.dialogue import Stage
from ventriloquist.demo.script import SMS, Post, Tapback
from ventriloquist.demo.speech import misspelt

EDIT_RATE = 0.008
UNSEND_RATE = 0.004
REMOVE_RATE = 0.04
REPLACE_RATE = 0.03
LATE_RATE = 0.003
ORPHAN_RATE = 0.004
SMS_SHARE = 0.35
"""How much of a conversation was held over SMS before it went to iMessage."""


def finish(stage: Stage, rng: random.Random) -> None:
    """Apply all of it to one conversation."""
    if stage.script.key == "ingrid":
        _began_over_sms(stage)
    answered = {post.reply_to for post in stage.script.posts if post.reply_to}
    for post in stage.script.posts:
        if post.is_plain and post.service != SMS and post not in answered:
            _change(post, rng)
        post.tapbacks = [changed for tapback in post.tapbacks for changed in _waver(tapback, rng)]


def _began_over_sms(stage: Stage) -> None:
    """The first part was held over SMS, which knows no tapbacks, no replies and no previews."""
    posts = stage.script.posts
    switch = next(number for number, post in enumerate(posts) if post.fate == "two chats")
    for post in posts[:switch]:
        post.service, post.tapbacks, post.reply_to, post.link = SMS, [], None, None


def _change(post: Post, rng: random.Random) -> None:
    if post.tapbacks:
        return
    chance = rng.random()
    if chance < EDIT_RATE:
        earlier = misspelt(post.text, rng)
        post.earlier = (earlier,) if earlier != post.text else ()
    elif chance < EDIT_RATE + UNSEND_RATE:
        post.unsent = True
    elif chance < EDIT_RATE + UNSEND_RATE + LATE_RATE:
        post.fate = "late"
    elif chance < EDIT_RATE + UNSEND_RATE + LATE_RATE + ORPHAN_RATE:
        post.fate = "orphan"


def _waver(tapback: Tapback, rng: random.Random) -> list[Tapback]:
    """The tapback, or what became of it: taken back, or given again as another."""
    if tapback.undone or tapback.what not in ("loved", "liked", "laughed"):
        return [tapback]
    chance = rng.random()
    if chance < REMOVE_RATE:
        tapback.undone = "removed"
    elif chance < REMOVE_RATE + REPLACE_RATE:
        tapback.undone = "replaced"
        voice = CAST[tapback.who].voice
        return [tapback, Tapback(tapback.who, "emoji", emoji=voice.tap_emoji, part=tapback.part)]
    return [tapback]
