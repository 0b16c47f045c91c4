"""The content of a file on its way to a captioner, and what is known or comes to be known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ventriloquist.media.captioner import Material
from ventriloquist.media.convert import Unconvertible
from ventriloquist.media.words import Medium, local_description
from ventriloquist.pipeline.destination import Destination
from ventriloquist.store.describing import BLOCKED, DESCRIBED, FAILED, MISSING, Answer, Description, Standing

Key = tuple[str, Medium]


@dataclass(slots=True, eq=False)
class File:
    """A file's content on its way: everything that has this content, and what a captioner gets of it."""

    hash: str
    medium: Medium
    standings: list[Standing] = field(default_factory=list)
    materials: list[Material] = field(default_factory=list)
    """More than one for a long recording: its parts."""

    @property
    def key(self) -> Key:
        return self.hash, self.medium

    @property
    def size(self) -> int:
        return sum(len(each.content) + sum(map(len, each.frames)) for each in self.materials)


def known_answer(
    answers: Sequence[Answer], destination: Destination, medium: Medium, *, retry_failed: bool
) -> Answer | None:
    """Which of the answers about a content spares asking: a description, whoever gave it, best by the same model;
    else this model's refusal, or its failure for good, unless that is to be tried again or was asked for otherwise."""
    asked = destination.provider, destination.model
    mine = [each for each in answers if (each.provider, each.model) == asked]
    described = [each for each in (*mine, *answers) if each.state == DESCRIBED]
    refused = [each for each in mine if each.state == BLOCKED]
    prompt = destination.prompt_version(medium)
    failed = [each for each in mine if each.state == FAILED and each.prompt == prompt and not retry_failed]
    return next(iter([*described, *refused, *failed]), None)


def state_without(failure: Unconvertible) -> tuple[str, str]:
    """The state and the reason of a file that cannot be converted, or is no longer there."""
    state = MISSING if failure.reason == "missing" else FAILED
    return state, failure.reason


def description_of(standing: Standing, answer: Answer) -> Description:
    text = answer.text if answer.state == DESCRIBED and answer.text else local_description(standing.attachment)
    return Description(standing.attachment.guid, text, answer.model, answer.state, answer.reason, answer.hash)
