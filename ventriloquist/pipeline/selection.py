"""How every attachment stands, and which files a captioner would get."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping

from ventriloquist.media.livephotos import moving_halves
from ventriloquist.media.words import Medium, content_type, local_description, medium
from ventriloquist.pipeline.audience import Audience
from ventriloquist.records import Attachment
from ventriloquist.settings import DescribeSettings
from ventriloquist.store import Store
from ventriloquist.store.describing import (
    BLOCKED,
    DESCRIBED,
    FAILED,
    LOCAL,
    MISSING,
    OFFLOADED,
    RETRY,
    SHORT,
    ZERO,
    Description,
    Standing,
)

NOUNS = {"image": "photo", "audio": "recording", "contact": "contact card"}
"""What a content type is called, where it is not called that anyway."""
HERE = "here"


def noun(attachment: Attachment) -> str:
    """What an attachment is called: photo, video, recording, document, sticker, contact card, location or file."""
    kind = content_type(attachment)
    return NOUNS.get(kind, kind)


def several(count: int, noun: str) -> str:
    """Such as "1 photo" and "1,200 photos"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def spoken(kinds: Counter[str]) -> str:
    """Counts as words: "12 photos, 3 videos and 1 document"."""
    parts = [several(count, noun) for noun, count in kinds.most_common()]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def size_of(path: str | None) -> int | None:
    """Bytes of the regular file, and no link, that lies there now; None if there is none."""
    try:
        status = os.lstat(path or "")
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def place_of(attachment: Attachment) -> str:
    """Where its file is: HERE, OFFLOADED (in iCloud only) or MISSING."""
    if size_of(attachment.path) is not None:
        return HERE
    return OFFLOADED if attachment.is_offloaded and attachment.path is None else MISSING


def look(standing: Standing) -> tuple[str, Medium | None]:
    """How an attachment stands now, by what is known of it and what lies on the disk; and what a captioner would get
    of it, None where there is nothing for one.

    What came of asking stays, but for a failure whose file is no longer there: another may come in its place.
    """
    before, attachment = standing.state, standing.attachment
    if before == DESCRIBED:
        return before, None
    kind = medium(attachment)
    if before == BLOCKED:
        return before, kind
    if kind is None:
        return LOCAL, None
    size = size_of(attachment.path)
    if size is None:
        return place_of(attachment), None
    if size == 0:
        return ZERO, None
    if attachment.total_bytes and size < attachment.total_bytes:
        return SHORT, None
    return (before if before in (FAILED, RETRY) else LOCAL), kind


def words_at_hand(standing: Standing) -> tuple[Description, bool]:
    """The description that an attachment has without any captioner, and whether it is other than what is stored."""
    state, _ = look(standing)
    asked = state in (BLOCKED, FAILED, RETRY)
    description = Description(
        standing.attachment.guid,
        local_description(standing.attachment),
        (standing.by or LOCAL) if asked else LOCAL,
        state,
        standing.reason if asked else None,
        standing.hash if asked else None,
    )
    return description, (description.text, state) != (standing.attachment.description, standing.state)


class Selection:
    """The files that a captioner would get now: what it can look at, that is there, that nobody has described or
    refused, and that the audience may be asked about. Failures for good are among them with `--retry-failed`; a
    refusal is final for the model that refused. The moving half of a Live Photo is not: it is described as the still.
    """

    def __init__(self, settings: DescribeSettings, store: Store, model: str) -> None:
        self._audience = Audience(settings, store)
        self._store = store
        self._again = settings.retry_failed
        self._model = model
        self._moving = {guid for together in store.attachments_together() for guid in moving_halves(together)}

    def __iter__(self) -> Iterator[tuple[Standing, Medium]]:
        for standing in self._store.standings():
            kind = self.medium_of(standing, *look(standing))
            if kind and not self.reason_against(standing):
                yield standing, kind

    def medium_of(self, standing: Standing, state: str, kind: Medium | None) -> Medium | None:
        """What a captioner would get of it, if it may be asked at all; `state` and `kind` are as it looks."""
        may_be_asked = (
            state in (LOCAL, RETRY)
            or (state == FAILED and self._again)
            or (state == BLOCKED and self._again and standing.by != self._model and size_of(standing.attachment.path))
        )
        return kind if may_be_asked and standing.attachment.guid not in self._moving else None

    def reason_against(self, standing: Standing) -> str:
        """Why the audience leaves it out, or nothing."""
        return self._audience.reason_against(standing.conversations)

    @property
    def conversations(self) -> Mapping[str, int]:
        """How many conversations are left out, by reason; under "" those that are not."""
        return self._audience.conversations
