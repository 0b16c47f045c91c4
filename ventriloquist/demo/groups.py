"""Scenes of groups that need counting: who comes, what wins, and who is called by name."""

from __future__ import annotations

from ventriloquist.demo.cast import CAST
from ventriloquist.demo.dialogue import HOUR, Plan, Stage
from ventriloquist.demo.people import prefers
from ventriloquist.demo.screenplay import DAYS, INLINE_RATE, LISTS, TIMES, two_foods
from ventriloquist.demo.script import Post

NUMBERS = ("nobody", "one", "two", "three", "four", "five", "six")


def who_is_in(s: Stage) -> None:
    """Who's in for supper? Everyone answers; the host counts and says when and where; someone asks again."""
    host, *others = s.rng.sample(s.everyone, len(s.everyone))
    place = s.rng.choice(CAST[host].facts["spot"])
    plan = Plan("supper", s.rng.choice(TIMES), place, s.rng.choice(DAYS))
    values = {"time": plan.time, "place": plan.place, "when": plan.day}
    ask = s.say(host, "who's in for supper on {when}?", values=values)
    coming = 1
    for who in others:
        quoting = _maybe(s, ask)
        if s.rng.random() < 0.75:
            coming += 1
            with_whom = "(i'm in|count me in|{my.pet} and i are in|i'll bring {my.drink})"
            s.say(who, f"[yes] {with_whom} / (see you {{when}}|)", values=values, quoting=quoting)
        else:
            s.say(who, "[no] / ({my.tonight}|{my.late}) on {when}", values=values, quoting=quoting, mood="bad")
    values["n"] = NUMBERS[coming]
    final = s.say(host, "ok that's {n} of us / {time} at {place}", values=values, mood="plan")
    s.plans.append(plan)
    if s.rng.random() < 0.7:
        s.say(s.rng.choice(others), "what time (again|was it|is supper again)?", wait=6 * HOUR)
        tail = "(scroll up|like every week|don't be late|)"
        answer = f"{{time}}( at {{place}}|, {{when}} at {{place}}) / {tail}"
        s.say(host, answer, values=values, quoting=final if s.rng.random() < 0.5 else None)


def vote(s: Stage) -> None:
    """Pizza or tacos? The one that more people like better wins."""
    host, *others = s.rng.sample(s.everyone, len(s.everyone))
    one, other = two_foods(s.rng, CAST[host].foods)
    values = {"one": one, "other": other, "day": s.rng.choice(DAYS)}
    ask = s.say(host, "{one} or {other}( tonight| this time| on {day}|)?", values=values)
    votes = [prefers(CAST[host].foods, one, other)]
    for who in others:
        votes.append(prefers(CAST[who].foods, one, other))
        reason = "(|no contest|and {my.drink}|i'm starving|never {my.worst})"
        template = f"{{best}}( obviously| always| please|) / {reason}"
        s.say(who, template, values={"best": votes[-1]}, quoting=_maybe(s, ask))
    winner = max((one, other), key=lambda food: (votes.count(food), food == votes[0]))
    loser = other if winner == one else one
    counts = {"n": str(votes.count(winner)), "m": str(votes.count(loser)), "winner": winner, "loser": loser}
    result = "it's a tie / {winner} then" if counts["n"] == counts["m"] else "{winner} wins( {n} to {m}|)"
    s.say(host, f"{result} / (ordering now|sorry {{loser}}|democracy|[ok])", values=counts, mood="plan")


def mention(s: Stage) -> None:
    """@Someone, will you? And they answer."""
    a, b = s.pair()
    values = {"item": s.rng.choice(LISTS["item"]), "day": s.rng.choice(DAYS)}
    text = " ".join(s.speakers[a].say(f"@{b} can you bring {{item}}( on {{day}}|)?", values, {}))
    at = text.lower().find(f"@{b.lower()}")
    text = text[:at] + f"@{b}" + text[at + 1 + len(b) :]
    s.post(Post(a, text, mention=b, mention_handle=CAST[b].email or CAST[b].phone))
    s.say(b, "[yes] {item}( noted| it is| and {my.drink}|)", values=values, mood="plan")


def _maybe(s: Stage, post: Post) -> Post | None:
    """`post`, to be answered inline, in some cases."""
    return post if s.rng.random() < INLINE_RATE else None
