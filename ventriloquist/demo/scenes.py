"""What two people talk about, day by day. Each function is one short scene on a `Stage`."""

from __future__ import annotations

from ventriloquist.demo.dialogue import Stage


def tonight(s: Stage) -> None:
    """What are you up to tonight?"""
    a, b = s.pair()
    s.say(a, "[hey] (what are you up to|what are you doing|any plans) (tonight|later|this evening)?", b)
    s.say(b, "(just |tonight is |)({my.tonight}) / (you|what about you|and you)?", a)
    s.say(a, "({my.tonight}) / (nothing wild|the usual|very exciting)", b, mood="funny")
    s.say(b, "[nice]", a)


def feeding(s: Stage) -> None:
    """Did you feed the cat?"""
    a, b = s.pair()
    s.say(a, "did you feed (the {your.kind}|{your.pet})?", b)
    s.say(b, "[yes] {my.pet} (had|got) {my.pet_food}", a)
    s.say(a, "[aww]", b)
