"""When things are said: the days of two years, hours of the day, and how long each person takes to answer."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

from ventriloquist.demo.cast import CAST
from ventriloquist.demo.dialogue import Stage
from ventriloquist.demo.script import SECOND, Post, apple_time, moment_of

FIRST = datetime(2024, 6, 10, 13, tzinfo=UTC)
LAST = datetime(2026, 6, 14, 22, tzinfo=UTC)
LOCAL = timedelta(hours=-5)
WAKING, SLEEPING = 7, 24
_BETWEEN_SCENES = 25 * 60


def give_times(stage: Stage, rng: random.Random) -> None:
    """Set `at` of every post and tapback of the conversation; posts keep their order."""
    beginnings = dict(stage.starts)
    span = (LAST - FIRST).total_seconds()
    # The first and the last scene stand near the two ends, the others where chance puts them.
    fractions = sorted(rng.random() for _ in beginnings)
    starts = iter(FIRST + timedelta(seconds=fraction * span) for fraction in fractions)
    now = apple_time(FIRST)
    before: Post | None = None
    for post in stage.script.posts:
        if post in beginnings:
            planned = apple_time(_at_hour(next(starts), beginnings[post], rng))
            now = max(planned, now + _BETWEEN_SCENES * SECOND)
        else:
            now += round(_pause(post, before, stage, rng) * SECOND)
        now = _awake(now, rng)
        post.at = now
        before = post
        _time_tapbacks(post, rng)
    _pull_back(stage.script.posts)


def _pause(post: Post, before: Post | None, stage: Stage, rng: random.Random) -> float:
    """Seconds since the post before: a set wait, a few seconds to type on, or the person's own pace."""
    if post in stage.waits:
        return stage.waits[post] * rng.uniform(0.8, 1.25)
    if before is not None and before.who == post.who:
        return rng.uniform(3, 22)
    pace = CAST[post.who].voice.pace if post.who in CAST else 120.0
    return max(2.0, rng.lognormvariate(math.log(pace), 0.55))


def _time_tapbacks(post: Post, rng: random.Random) -> None:
    last: dict[tuple[str, int], int] = {}
    for tapback in post.tapbacks:
        who = (tapback.who, tapback.part)
        if who in last:  # a change of mind comes after what it changes, and after a removal's own row
            tapback.at = last[who] + rng.randrange(100, 400) * SECOND
        else:
            pace = CAST[tapback.who].voice.pace
            tapback.at = post.at + round(max(2.0, rng.lognormvariate(math.log(pace * 0.6), 0.5)) * SECOND)
        last[who] = tapback.at


def _at_hour(day: datetime, hours: tuple[int, int] | None, rng: random.Random) -> datetime:
    """`day` at a local hour of `hours`."""
    low, high = hours or (9, 22)
    midnight = (day + LOCAL).replace(hour=0, minute=0, second=0, microsecond=0) - LOCAL
    return midnight + timedelta(hours=rng.uniform(low, high))


def _awake(now: int, rng: random.Random) -> int:
    """`now`, or the next morning if people sleep. Fractions of a second are kept odd, as a clock's are."""
    local = moment_of(now) + LOCAL
    if local.hour < WAKING:
        morning = local.replace(hour=WAKING, minute=0, second=0) - LOCAL + timedelta(minutes=rng.uniform(5, 90))
        now = apple_time(morning)
    return now // SECOND * SECOND + rng.randrange(SECOND)


def _pull_back(posts: list[Post]) -> None:
    """Shift the end of a conversation that ran past `LAST` so that nothing lies in the future."""
    limit = apple_time(LAST)
    over = max((at for post in posts for at in (post.at, *(tap.at for tap in post.tapbacks))), default=0) - limit
    if over > 0:
        for post in posts:
            post.at -= over
            for tapback in post.tapbacks:
                tapback.at -= over


def oldest_style_until() -> int:
    """The Apple time before which bodies are written the way older systems wrote them."""
    return apple_time(FIRST + timedelta(days=45))
