"""What a message says: its text without the slots of attachments and apps, and the attachments in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ventriloquist.records import Attachment
from ventriloquist.sources.imessage.attachments import Found
from ventriloquist.sources.imessage.edits import Summary
from ventriloquist.sources.imessage.rows import Row
from ventriloquist.sources.imessage.typedstream import (
    FILE,
    FILE_NAME,
    PART,
    TRANSCRIPT,
    Run,
    TypedStreamError,
    decode,
    text_of,
)

OBJECT_SLOT, APP_SLOT = "\ufffc", "\ufffd"
_SLOTS = str.maketrans("", "", OBJECT_SLOT + APP_SLOT)
_OBJECT_SLOTS = str.maketrans("", "", OBJECT_SLOT)


@dataclass(frozen=True, slots=True)
class Said:
    """The text ("" where there is none) and the visible attachments of a message."""

    text: str
    attachments: tuple[Attachment, ...]


def raw_text(row: Row) -> tuple[str, bool]:
    """The text with its slots, and whether it could be read; the body counts before the text column."""
    if row.body:
        try:
            return text_of(row.body) or row.text or "", True
        except TypedStreamError:
            return row.text or "", row.text is not None
    return row.text or "", True


def read_said(row: Row, raw: str, found: Sequence[Found], summary: Summary | None, *, is_app: bool) -> Said:
    """Text and attachments of a message whose text with slots is `raw`."""
    runs = _runs(row, raw) if _needs_runs(row, raw, found, summary) else None
    if runs is None:
        said = _without_runs(raw, found, is_app=is_app)
    else:
        said = _with_runs(runs, found, summary.unsent if summary else frozenset(), is_app=is_app)
    text = said.text
    if not raw and not row.body and summary and summary.latest:
        text = "".join(summary.latest[part] for part in sorted(summary.latest)).translate(_OBJECT_SLOTS)
    if not text.translate(_SLOTS):
        text = ""
    if row.subject:
        text = f"{row.subject}\n{text}" if text else row.subject
    return Said(text, said.attachments)


def _needs_runs(row: Row, raw: str, found: Sequence[Found], summary: Summary | None) -> bool:
    """False for text without slots and for one photo in its one slot, where there is nothing to put in order."""
    if not row.body or (summary and summary.unsent):
        return bool(row.body)
    slots = raw.count(OBJECT_SLOT) + raw.count(APP_SLOT)
    return slots > 1 or slots != len(found) or TRANSCRIPT.encode() in row.body


def _runs(row: Row, raw: str) -> Sequence[Run] | None:
    try:
        runs = decode(row.body).runs if row.body else ()
    except TypedStreamError:
        return None
    return runs if runs and "".join(run.text for run in runs) == raw else None


def _without_runs(raw: str, found: Sequence[Found], *, is_app: bool) -> Said:
    visible = tuple(attachment for attachment, hidden in found if not hidden)
    if is_app:
        return Said(raw.translate(_SLOTS), visible)
    return Said(raw.translate(_OBJECT_SLOTS) if found else raw, visible)


def _with_runs(runs: Sequence[Run], found: Sequence[Found], unsent: frozenset[int], *, is_app: bool) -> Said:
    """Attachments stand where their slots do; those that no slot names come last."""
    waiting = {attachment.guid: (attachment, hidden) for attachment, hidden in found}
    texts: list[str] = []
    attachments: list[Attachment] = []
    for run in runs:
        guid = run.attributes.get(FILE)
        named = waiting.pop(guid, None) if isinstance(guid, str) else None
        part = run.attributes.get(PART)
        if isinstance(part, int) and part in unsent:
            continue
        texts.append(run.text.translate(_SLOTS) if is_app or guid else run.text)
        if named:
            if not named[1]:
                attachments.append(_with_transcript(named[0], run))
        elif isinstance(guid, str) and not is_app and guid not in {each.guid for each in attachments}:
            attachments.append(_lost(guid, run))
    attachments += [attachment for attachment, hidden in waiting.values() if not hidden]
    text = "".join(texts)
    return Said(text.translate(_OBJECT_SLOTS) if found else text, tuple(attachments))


def _with_transcript(attachment: Attachment, run: Run) -> Attachment:
    transcript = run.attributes.get(TRANSCRIPT)
    return replace(attachment, transcript=transcript) if isinstance(transcript, str) else attachment


def _lost(guid: str, run: Run) -> Attachment:
    """An attachment of which only its slot in the text is left."""
    name = run.attributes.get(FILE_NAME)
    return _with_transcript(Attachment(guid, name=name if isinstance(name, str) else None), run)
