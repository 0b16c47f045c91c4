"""Reads `screenplay.txt` and plays its scenes."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ventriloquist.demo.cast import CAST
from ventriloquist.demo.dialogue import HOUR, Plan, Stage
from ventriloquist.demo.people import prefers
from ventriloquist.demo.script import Post

TEXT = Path(__file__).with_name("screenplay.txt")
INLINE_RATE = 0.2

MEETINGS: dict[str, tuple[str, ...]] = {
    "breakfast": ("8", "8:30", "9"),
    "coffee": ("10", "3", "4"),
    "lunch": ("12", "12:30", "1"),
    "a walk": ("4", "5", "6"),
    "a game": ("5", "6"),
    "dinner": ("6", "6:30", "7", "7:30"),
    "drinks": ("8", "8:30", "9"),
    "a movie": ("7:30", "8", "9"),
}
"""What people meet for, and when."""
TIMES = ("5", "6", "6:30", "7", "7:30", "8")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DISHES = ("the salad", "the bread", "the drinks", "the plates", "dessert", "the music", "napkins", "the chips")
LOST = {
    "keys": "in the fruit bowl",
    "charger": "behind the couch",
    "umbrella": "by the front door",
    "headphones": "in your coat pocket",
    "glasses": "on your head",
    "scarf": "under the blanket",
    "book": "on the kitchen table",
}
LISTS: dict[str, tuple[str, ...]] = {
    "item": ("milk", "eggs", "bread", "batteries", "stamps", "lemons", "tape", "rice", "candles", "soap"),
    "thing": ("mug", "hat", "couch", "bike", "sweater", "door", "kettle", "rug", "jacket", "phone case"),
    "ailment": ("a cold", "a headache", "a sore knee", "a stiff neck", "a fever"),
    "errand": ("call the bank", "clean the oven", "do the taxes", "go for a run", "answer emails", "wash the windows"),
    "gear": ("a tent", "board games", "the big pot", "blankets", "a flashlight", "bug spray", "a first aid kit"),
    "weather": ("raining", "windy", "foggy"),
    "n": ("two", "three", "four", "five", "six", "ten"),
    "m": ("two", "three", "four", "five", "six", "ten"),
    "minutes": ("5", "10", "15", "20", "30"),
    "clock": TIMES,
    "day": DAYS,
}

_HEAD = re.compile(r"== (?P<name>[^=]+?) weight=(?P<weight>\d+)(?: hours=(?P<low>\d+)-(?P<high>\d+))?"
                   r"(?: in=(?P<where>\w+))?(?P<flags>(?: keep| last)*)$")  # fmt: skip
_LINE = re.compile(r"(?P<in>\s*)(?P<who>a|b|c|d|each|some)(?: (?P<chance>\d+)%)?(?: \+(?P<wait>[\d.]+))?"
                   r"(?: !(?P<mood>\w+))?(?P<inline> >)?: (?P<template>.+)$")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a scene; see the head of `screenplay.txt`."""

    who: str
    template: str
    chance: float
    wait: float | None
    mood: str | None
    inline: bool
    dependent: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene: its lines, how often it comes up, its hours, and where it may be played.

    `keeps` means that its plan is what later questions are about, `recalls` that it asks about the last one.
    """

    name: str
    weight: int
    hours: tuple[int, int] | None
    where: str
    keeps: bool
    recalls: bool
    lines: tuple[Line, ...]

    def fits(self, stage: Stage) -> bool:
        """True where the scene may be played now."""
        if self.recalls and not stage.plans:
            return False
        kind = "group" if stage.script.is_group else "dm"
        return self.where in ("any", kind, stage.script.key)

    def __call__(self, stage: Stage) -> None:
        """Play it with people of the conversation in the roles."""
        cast = dict(zip("abcdefg", stage.rng.sample(stage.everyone, len(stage.everyone)), strict=False))
        plan = stage.plans[-1] if self.recalls else _new_plan(stage, cast["a"])
        values = _props(stage, plan, cast)
        if self.keeps:
            stage.plans.append(plan)
        _Take(stage, cast, values).play(self.lines)


@dataclass(slots=True)
class _Take:
    """A scene being played."""

    stage: Stage
    cast: Mapping[str, str]
    values: dict[str, str]
    first: Post | None = None

    def play(self, lines: tuple[Line, ...]) -> None:
        held = True
        for line in lines:
            if line.dependent and not held:
                continue
            if line.who in ("each", "some"):
                self._play_others(line)
                continue
            said = self.stage.rng.random() < line.chance
            held = said if not line.dependent else held
            if said:
                self._say(self.cast[line.who], line)

    def _play_others(self, line: Line) -> None:
        others = [name for role, name in self.cast.items() if role != "a"]
        if line.who == "some":
            others = others[: self.stage.rng.randint(1, len(others))]
        dishes = self.stage.rng.sample(DISHES, len(others))
        for who, dish in zip(others, dishes, strict=True):
            if self.stage.rng.random() < line.chance:
                self.values["dish"] = dish
                self._say(who, line)

    def _say(self, who: str, line: Line) -> None:
        rng, values, person = self.stage.rng, self.values, CAST[who]
        other = self.cast["b"] if who == self.cast["a"] else self.cast["a"]
        values["asked_best"], values["asked_color"] = values.get("best", ""), values.get("best_color", "")
        values["best"] = prefers(person.foods, values["one"], values["other"])
        values["best_color"] = prefers(person.colors, values["shade"], values["tint"])
        inline = line.inline and rng.random() < INLINE_RATE
        wait = line.wait * HOUR if line.wait is not None else None
        post = self.stage.say(
            who, line.template, other, values=values, mood=line.mood, wait=wait, quoting=self.first if inline else None
        )
        self.first = self.first or post


def _new_plan(stage: Stage, host: str) -> Plan:
    rng = stage.rng
    what = rng.choice(tuple(MEETINGS))
    return Plan(what, rng.choice(MEETINGS[what]), rng.choice(CAST[host].facts["spot"]), rng.choice(DAYS))


def two_foods(rng: random.Random, ranking: tuple[str, ...]) -> list[str]:
    """Two foods to choose from: often the old question, often one that the person loves, else any two."""
    chance = rng.random()
    if chance < 0.3:
        pair = ["pizza", "tacos"]
    elif chance < 0.7:
        pair = [ranking[0], rng.choice(ranking[1:])]
    else:
        pair = rng.sample(ranking, 2)
    rng.shuffle(pair)
    return pair


def _props(stage: Stage, plan: Plan, cast: Mapping[str, str]) -> dict[str, str]:
    """Everything a template of the scene may name."""
    rng = stage.rng
    values = {name: rng.choice(choices) for name, choices in LISTS.items()}
    values["one"], values["other"] = two_foods(rng, CAST[cast["b"]].foods)
    values["shade"], values["tint"] = rng.sample(CAST[cast["b"]].colors, 2)
    values["lost"] = rng.choice(tuple(LOST))
    values["where"] = LOST[values["lost"]]
    values["the_ailment"] = values["ailment"].replace("a ", "the ", 1)
    bare = plan.what.removeprefix("a ")
    values.update(what=plan.what, bare_what=bare, the_what=f"the {bare}" if bare != plan.what else bare)
    values.update(time=plan.time, place=plan.place, when=plan.day, **cast)
    return values


def read(path: Path = TEXT) -> list[Scene]:
    """The scenes of a screenplay; raises ValueError with the number of a line that is neither head nor line."""
    scenes: list[Scene] = []
    head: re.Match[str] | None = None
    lines: list[Line] = []
    for number, text in enumerate([*path.read_text(encoding="utf-8").splitlines(), "== end weight=0"], start=1):
        if text.startswith("=="):
            if head:
                scenes.append(_scene(head, lines))
            head, lines = _HEAD.fullmatch(text), []
            if head is None:
                raise ValueError(f"{path.name}, line {number}: no head of a scene")
        elif head and text.strip():
            lines.append(_line(text, path.name, number))
    return scenes


def _scene(head: re.Match[str], lines: list[Line]) -> Scene:
    hours = (int(head["low"]), int(head["high"])) if head["low"] else None
    flags = head["flags"].split()
    where = head["where"] or "any"
    return Scene(head["name"], int(head["weight"]), hours, where, "keep" in flags, "last" in flags, tuple(lines))


def _line(text: str, name: str, number: int) -> Line:
    match = _LINE.fullmatch(text)
    if match is None:
        raise ValueError(f"{name}, line {number}: no line of a scene")
    chance = int(match["chance"]) / 100 if match["chance"] else 1.0
    wait = float(match["wait"]) if match["wait"] else None
    return Line(match["who"], match["template"], chance, wait, match["mood"], bool(match["inline"]), bool(match["in"]))
