"""The settings that can be changed while one talks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ventriloquist.faults import UsageFault
from ventriloquist.settings import ChatSettings


class Range(NamedTuple):
    """What a setting may be, and what it does."""

    kind: type
    low: float
    high: float
    about: str


OPTIONS: dict[str, Range] = {
    "temperature": Range(float, 0, 3, "0 takes the likeliest, 1 samples as learnt"),
    "top_p": Range(float, 0.01, 1, "sample among the tokens that make up this share"),
    "min_p": Range(float, 0, 1, "leave out tokens less likely than this share of the likeliest"),
    "repetition_penalty": Range(float, 1, 2, "above 1, words are not said over and over"),
    "max_tokens": Range(int, 8, 4096, "the longest message"),
    "max_messages": Range(int, 1, 64, "at most so many in a row"),
    "delay": Range(float, 0, 86_400, "wait as long as they would, at most so many seconds; 0 does not wait"),
    "seed": Range(int, -1, 2**31, "the same seed, the same conversation; -1 takes a new one"),
}
SAMPLING = ("temperature", "top_p", "min_p", "repetition_penalty", "max_tokens")


def options_of(settings: ChatSettings) -> dict[str, Any]:
    """The options as the settings have them."""
    return {name: getattr(settings, name) for name in OPTIONS}


def option_in(rest: str) -> tuple[str, Any]:
    """The option and its value in `temperature 0.9`; raises a UsageFault that says what there is."""
    name, _, value = rest.replace("=", " ").partition(" ")
    name = name.replace("-", "_")
    if name not in OPTIONS:
        raise UsageFault(f"/set takes one of {', '.join(OPTIONS)}, and a value.")
    range_ = OPTIONS[name]
    try:
        number = range_.kind(value)
    except ValueError:
        number = range_.low - 1
    if not range_.low <= number <= range_.high:
        kind = "whole number" if range_.kind is int else "number"
        raise UsageFault(f"{name} takes a {kind} from {range_.low:,} to {range_.high:,}.")
    return name, number


def option_lines(options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Each option with its value, and what it does."""
    return tuple((f"{name} {options[name]}", range_.about) for name, range_ in OPTIONS.items())
