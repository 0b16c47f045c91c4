"""Photos, films, voice memos, links and cards that people send, and what is said about them."""

from __future__ import annotations

from ventriloquist.demo.cast import CAST
from ventriloquist.demo.dialogue import Stage
from ventriloquist.demo.script import File, Link, Post

LINKS = (
    Link("https://www.example.com/soups", "Nine soups for cold evenings", "With and without beans.", "Example Kitchen"),
    Link("https://news.example.org/goose", "Goose stops traffic", "It is said to be calm now.", "Example News"),
    Link("https://maps.example.net/cabin", "Lake cabin, two rooms", "Sleeps six, dogs welcome.", "Example Stays"),
    Link("https://www.example.com/eels", "Seven facts about eels", "Number four is wrong.", "Example Almanac"),
    Link("https://music.example.org/list", "Songs for the drive", "Two hours, ten minutes.", "Example Music"),
)
_EXTENSIONS = {"heic": "HEIC", "jpeg": "jpeg", "png": "PNG"}
MEMOS = (
    "ok so I am outside the shop and there is a goose in the window",
    "call me back when you can it is about the cabin",
    "listen to this he is singing again",
)


def photo_of(s: Stage, topic: str, *, make: str = "") -> File:
    """A photo with a camera's file name."""
    kind = make or s.rng.choice(("heic", "jpeg"))
    return File(kind, topic, f"IMG_{s.rng.randrange(1000, 9999)}.{_EXTENSIONS[kind]}")


def photo(s: Stage) -> None:
    """Someone shows a picture."""
    a, b = s.pair()
    topic = s.rng.choice(tuple(CAST[a].photos))
    words = "|".join(CAST[a].photos[topic])
    if s.rng.random() < 0.4:
        shown = s.send(a, photo_of(s, topic), text=f"({words})", mood="good")
    else:
        shown = s.send(a, photo_of(s, topic), mood="good")
        s.say(a, f"({words})", b)
    _admire(s, b, a, topic, shown)


def _admire(s: Stage, who: str, whose: str, topic: str, shown: Post) -> None:
    views = "(that {topic} is [good]|send more|is that from today|i want to be there|frame it)"
    quoting = shown if s.rng.random() < 0.2 else None
    s.say(who, f"([aww]|[wow]|[nice]) / {views}", whose, values={"topic": topic}, quoting=quoting)


def link(s: Stage) -> None:
    """Someone sends a page."""
    a, b = s.pair()
    page = s.rng.choice(LINKS)
    s.post(Post(a, page.address, link=page))
    s.say(a, "(look at this|this is so us|thought of you|read this)", b)
    s.say(
        b,
        "([lol]|[wow]|[nice]) / (reading it now|number four is wrong|sending this to {my.job}|i saw that too)",
        a,
        mood="funny",
    )


def memo(s: Stage, who: str, number: int) -> Post:
    """A voice memo with the words that were recognised in it."""
    words = MEMOS[number % len(MEMOS)]
    make = ("caf", "m4a")[number % 2]
    return s.post(Post(who, files=(File(make, words, f"Audio Message.{make}", transcript=words),)))
