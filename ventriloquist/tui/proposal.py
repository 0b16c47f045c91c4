"""What describing would send, to whom and for how much, as facts and in the sentences before a yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ventriloquist.media import prices
from ventriloquist.pipeline.audience import NOT_AMONG, STRANGERS, WITHOUT
from ventriloquist.pipeline.selection import several, spoken
from ventriloquist.pipeline.survey import Failure, Survey
from ventriloquist.settings import DescribeSettings
from ventriloquist.store.describing import BLOCKED, FAILED, MISSING, OFFLOADED, RETRY, SHORT, ZERO
from ventriloquist.text import dollars, one_line
from ventriloquist.tui import words
from ventriloquist.tui.widgets.facts import Fact

LONGEST_NAME = 80
WHY = {
    STRANGERS: "nobody in them has a name",
    WITHOUT: "someone you left out is in them",
    NOT_AMONG: "others than those you chose are in them",
}
"""Why conversations are left out."""
STATES = {
    RETRY: "got no answer",
    BLOCKED: "refused",
    FAILED: "failed",
    OFFLOADED: "only in iCloud",
    MISSING: "missing",
    ZERO: "empty",
    SHORT: "cut short",
}
"""The states of files without a description, in words."""
KEYS = {
    "describe --retry-failed": "press r",
    "with --retry-failed": "with r",
    "another --model": "another model (m)",
}
"""What the advice for the command line is on the screen."""


def model_of(survey: Survey) -> str:
    """The model's name; a server of one's own may have only one, which is not asked for its name."""
    return one_line(survey.model, LONGEST_NAME) or "its only model"


def where(survey: Survey) -> str:
    """Who describes, for a line's end."""
    place = one_line(survey.where, LONGEST_NAME)
    return f"{place[:1].upper()}{place[1:]} · {model_of(survey)}"


def budget_left(settings: DescribeSettings, survey: Survey) -> int | None:
    """Micro-dollars that may still be spent, None without a budget."""
    if settings.budget is None:
        return None
    return max(int(settings.budget * prices.MILLION) - survey.counts_for_budget, 0)


def money(settings: DescribeSettings, survey: Survey) -> str:
    """What it costs at most, as the end of a sentence."""
    most, left = survey.total.micro_usd, budget_left(settings, survey)
    if most == 0:
        return "at no cost"
    if left is not None:
        expected = f" ({dollars(most)} if each is answered at once)" if most is not None and most < left else ""
        return f"for at most {dollars(left)}, the budget{expected}"
    if most is None:
        return f"at an unknown cost: nobody has said what {model_of(survey)} takes"
    return f"for at most {dollars(most)} if each is answered at once"


def invitation(settings: DescribeSettings, survey: Survey) -> str:
    """What enter does now."""
    total = survey.total
    files = several(total.files, "file")
    if not survey.rows:
        again = f" Press r to ask again about {several(survey.to_retry, 'failed file')}." if survey.to_retry else ""
        return f"Nothing is left that could be sent.{again or ' Enter renews the words at hand.'}"
    if survey.missing:
        return (
            f"No key: nothing leaves this machine. Enter gives neutral words from what is at hand. To have {files} "
            f"described, {one_line(survey.missing, 200)}."
        )
    if survey.stays_here:
        return f"Enter lets {one_line(survey.where, LONGEST_NAME)} describe {files}. Nothing leaves this machine."
    if budget_left(settings, survey) == 0:
        return "The budget is used up, so that nothing can be sent. Press b to change it."
    return (
        f"Enter asks whether to send {files} to {one_line(survey.where, LONGEST_NAME)}, {money(settings, survey)}. "
        "Nothing is sent before your yes."
    )


def question(settings: DescribeSettings, survey: Survey) -> str:
    """What a yes agrees to: how many files of what, to whom, of whom, for how much."""
    total, place = survey.total, one_line(survey.where, LONGEST_NAME)
    files = f"{several(total.files, 'file')} ({spoken(survey.kinds)})" if len(survey.rows) > 1 else spoken(survey.kinds)
    if survey.stays_here:
        return f"Let {place} describe {files}, with {model_of(survey)}? Nothing leaves this machine."
    parts = [
        f"Send {files} to {place} ({model_of(survey)}), {money(settings, survey)}?",
        f"From {several(survey.conversations.get('', 0), 'conversation')}{_chosen(settings)}. Pictures are made "
        "smaller, and no file names go with them.",
    ]
    if settings.budget is None and total.micro_usd != 0:
        parts.append("No budget is set: what has to be asked again costs more.")
    return "\n\n".join(parts)


def _chosen(settings: DescribeSettings) -> str:
    only, without = one_line(settings.only, LONGEST_NAME), one_line(settings.without, LONGEST_NAME)
    chosen = [f"only with {only}"] if only else []
    chosen += [f"none with {without}"] if without else []
    chosen += ["strangers' too"] if settings.strangers else []
    return f" ({'; '.join(chosen)})" if chosen else ""


def costs(survey: Survey) -> list[Fact]:
    """What it would cost, and what was spent so far."""
    total = survey.total
    facts: list[Fact] = []
    if survey.rows:
        facts.append(("", "money", _money(survey)))
        same = " (identical ones are sent once)" if total.requests < total.files else ""
        facts.append(("", "requests", f"{total.requests:,} for {several(total.files, 'file')}{same}"))
        facts.append(("", "tokens", f"at most {total.input_tokens:,} in, {total.output_tokens:,} out"))
    spent = sum(each.micro_usd for each in survey.spent)
    if requests := sum(each.requests for each in survey.spent):
        facts.append(("", "so far", f"{dollars(spent)} for {several(requests, 'request')}"))
    return facts or [("", "so far", "nothing was sent")]


def _money(survey: Survey) -> str:
    total = survey.total
    if survey.stays_here and total.micro_usd == 0:
        return "none; nothing leaves this machine"
    if total.micro_usd is None:
        return f"not known: nobody has said what {model_of(survey)} takes"
    if total.micro_usd == 0:
        return "none"
    likely = f", likely {dollars(total.likely_micro_usd)}" if total.likely_micro_usd else ""
    of = f" (prices of {one_line(survey.prices_as_of, 20)})" if survey.prices_as_of else ""
    return f"at most {dollars(total.micro_usd)}{likely}{of}"


def choices(settings: DescribeSettings, survey: Survey) -> list[Fact]:
    """What can be chosen, each with its key, and what that leaves out."""
    later = f"; {survey.beyond_limit:,} are left for later" if survey.beyond_limit else ""
    facts: list[Fact] = [
        ("m", "model", where(survey)),
        ("b", "budget", _budget(settings, survey)),
        ("l", "limit", f"{several(settings.limit, 'different file')}{later}" if settings.limit else "none"),
        ("o", "only with", one_line(settings.only) or "everyone"),
        ("w", "without", one_line(settings.without) or "nobody left out"),
        ("t", "strangers", "sent too" if settings.strangers else "left out"),
    ]
    if failed := without_words(survey):
        asked = "asked about again" if settings.retry_failed else f"{several(failed, 'file')}, left alone"
        facts.append(("r", "failed before", asked))
    return [*facts, *_included(survey)]


def without_words(survey: Survey) -> int:
    """Files that failed or were refused, and may be asked about again (a refusal: of another model)."""
    return sum(states.get(FAILED, 0) + states.get(BLOCKED, 0) for states in survey.states.values())


def _budget(settings: DescribeSettings, survey: Survey) -> str:
    if settings.budget is None:
        return "none"
    of = f"; {dollars(survey.counts_for_budget)} of it are spent" if survey.counts_for_budget else ""
    return f"{dollars(int(settings.budget * prices.MILLION))}{of}"


def _included(survey: Survey) -> list[Fact]:
    """How many conversations files are sent from, and why others are left out."""
    total = sum(survey.conversations.values())
    facts: list[Fact] = [("", "conversations", f"{survey.conversations.get('', 0):,} of {total:,}")]
    for reason, why in WHY.items():
        if number := survey.conversations.get(reason, 0):
            files = f" ({several(survey.left_out[reason], 'file')})" if survey.left_out.get(reason) else ""
            facts.append(("", "left out", f"{number:,}, since {why}{files}"))
    return facts


def reasons(failures: Sequence[Failure]) -> list[tuple[int, str, str]]:
    """Files without a description: how many, why, and what can be done about it."""
    return [
        (each.files, f"{STATES.get(each.state, each.state)}{_because(each.reason)}", _on_screen(each.advice))
        for each in failures
    ]


def _on_screen(advice: str) -> str:
    for flag, key in KEYS.items():
        advice = advice.replace(flag, key)
    return advice


def _because(reason: str) -> str:
    return f" ({one_line(reason, LONGEST_NAME)})" if reason else ""


def made(stage: str, makes: Mapping[str, object]) -> str:
    """What a run of a stage made; what describe made is more than a line can tell."""
    return came_of(makes) if stage == DescribeSettings.stage else words.made(makes)


def came_of(makes: Mapping[str, object]) -> str:
    """What a run of describe made, as its last event tells."""
    names = (("described", "described"), ("known", "as before"), (BLOCKED, "refused"), (FAILED, "failed"),
             (RETRY, "without an answer"))  # fmt: skip
    parts = [f"{count:,} {word}" for name, word in names if isinstance(count := makes.get(name), int) and count > 0]
    if isinstance(left := makes.get("left"), int) and left > 0:
        parts.append(f"{left:,} left")
    spent = makes.get("usd")
    if isinstance(spent, int | float) and 0 < spent < 1e9:
        parts.append(dollars(round(spent * prices.MILLION)))
    return " · ".join(parts) or "nothing was sent"
