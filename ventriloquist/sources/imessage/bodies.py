"""What a message says: its text without the slots of attachments and apps, and the attachments in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ventriloquist.records import Attachment
from ventriloquist.sources.imessage.attachments import Found, type_of
from ventriloquist.sources.imessage.edits import Summary
from ventriloquist.sources.imessage.rows import Row
from ventriloquist.sources.imessage.typedstream import (
    FILE,
    FILE_NAME,
    MENTION,
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
_MARKS = tuple(name.encode() for name in (TRANSCRIPT, MENTION))
_VOICE = "audio/x-caf"


@dataclass(frozen=True, slots=True)
class Said:
    """The text ("" where there is none), the visible attachments, and (handle, words) of everyone mentioned."""

    text: str
    attachments: tuple[Attachment, ...]
    mentions: tuple[tuple[str, str], ...] = ()


def raw_text(row: Row, summary: Summary | None = None) -> tuple[str, bool]:
    """The text with its slots, and whether it could be read.

    The body counts before the text column. Where an edited message has lost its body, its history tells the text.
    """
    readable = True
    if row.body:
        try:
            if text := text_of(row.body):
                return text, True
        except TypedStreamError:
            readable = bool(row.text)
    if summary and (told := summary.text_now(row.text)):
        return told, True
    return row.text or "", readable


def without_slots(text: str) -> str:
    """The text without the slots of attachments."""
    return text.translate(_OBJECT_SLOTS)


def read_said(row: Row, raw: str, found: Sequence[Found], summary: Summary | None, *, is_app: bool) -> Said:
    """Text and attachments of a message whose text with slots is `raw`."""
    runs = _runs(row, raw) if _needs_runs(row, raw, found, summary) else None
    if runs is None:
        has_slots = bool(found or row.had_attachments)
        said = _without_runs(summary.without_unsent(raw) if summary else raw, found, is_app=is_app, has_slots=has_slots)
    else:
        said = _with_runs(runs, row, found, summary.unsent if summary else frozenset(), is_app=is_app)
    if row.is_audio and not said.attachments and OBJECT_SLOT in raw and not (summary and summary.unsent):
        said = replace(said, attachments=(Attachment(f"{row.guid or row.number}-audio", _VOICE),))
    text = said.text if said.text.translate(_SLOTS if is_app else _OBJECT_SLOTS) else ""
    if row.is_audio:
        said = replace(said, attachments=tuple(map(_as_voice, said.attachments)))
    if row.subject:
        text = f"{row.subject}\n{text}" if text else row.subject
    return replace(said, text=text)


def _needs_runs(row: Row, raw: str, found: Sequence[Found], summary: Summary | None) -> bool:
    """False for text without slots and for one photo in its one slot, where there is nothing to put in order."""
    if not row.body or (summary and summary.unsent):
        return bool(row.body)
    slots = raw.count(OBJECT_SLOT) + raw.count(APP_SLOT)
    if slots > 1 or slots != len(found) or APP_SLOT in raw or any(each.is_hidden for each in found):
        return True
    return any(mark in row.body for mark in _MARKS)


def _runs(row: Row, raw: str) -> Sequence[Run] | None:
    try:
        runs = decode(row.body).runs if row.body else ()
    except TypedStreamError:
        return None
    return runs if runs and "".join(run.text for run in runs) == raw else None


def _without_runs(raw: str, found: Sequence[Found], *, is_app: bool, has_slots: bool) -> Said:
    visible = tuple(each.attachment for each in found if not each.is_hidden)
    if is_app:
        return Said(raw.translate(_SLOTS), visible)
    return Said(without_slots(raw) if has_slots else raw, visible)


def _with_runs(runs: Sequence[Run], row: Row, found: Sequence[Found], unsent: frozenset[int], *, is_app: bool) -> Said:
    """Attachments stand where their slots do; those that no slot names come last.

    In a message of which parts were taken back these are what is left of such parts, and are left out.
    """
    placed, waiting = _place(runs, found, is_app=is_app)
    named = sum(_string(run, FILE) is not None for run in runs)
    visible = sum(not each.is_hidden for each in found)
    slots_are_all = is_app or visible > named or bool(row.had_attachments and not named)
    texts: list[str] = []
    attachments: list[Attachment] = []
    mentions: list[tuple[str, str]] = []
    shown: set[str] = set()
    before = None
    for index, run in enumerate(runs):
        part = run.attributes.get(PART)
        if isinstance(part, int | float) and part in unsent:
            continue
        guid, mentioned = _string(run, FILE), _string(run, MENTION)
        texts.append(run.text.translate(_SLOTS) if is_app or guid else run.text)
        if index in placed:
            attachments += [_with_transcript(each.attachment, run) for each in placed[index] if not each.is_hidden]
            shown.update(each.attachment.guid for each in placed[index])
        elif guid and not is_app and guid not in shown:
            attachments.append(_lost(guid, run))
            shown.add(guid)
        if mentioned:
            words = mentions.pop()[1] + run.text if mentioned == before else run.text
            mentions.append((mentioned, words))
        before = mentioned
    attachments += [each.attachment for each in waiting if not each.is_hidden and not unsent]
    text = "".join(texts)
    return Said(without_slots(text) if slots_are_all else text, tuple(attachments), tuple(mentions))


def _place(runs: Sequence[Run], found: Sequence[Found], *, is_app: bool) -> tuple[dict[int, list[Found]], list[Found]]:
    """The attachments by the index of their slot's run, and those that no slot names.

    Where no name fits and there are as many slots as attachments, they belong together in their order.
    """
    placed: dict[int, list[Found]] = {}
    slots = [(index, guid) for index, run in enumerate(runs) if (guid := _string(run, FILE))]
    named: dict[str, list[int]] = {}
    for place, each in enumerate(found):
        for guid in set(each.guids):
            named.setdefault(guid, []).append(place)
    taken: set[int] = set()
    for index, guid in slots:
        if mine := [place for place in named.get(guid, ()) if place not in taken]:
            placed[index] = [found[place] for place in mine]
            taken.update(mine)
    waiting = [each for place, each in enumerate(found) if place not in taken]
    visible = [each for each in waiting if not each.is_hidden]
    if not placed and not is_app and len(visible) == len({guid for _, guid in slots}) == len(slots):
        placed = {index: [each] for (index, _), each in zip(slots, visible, strict=True)}
        waiting = [each for each in waiting if each.is_hidden]
    return placed, waiting


def _string(run: Run, attribute: str) -> str | None:
    value = run.attributes.get(attribute)
    return value if isinstance(value, str) else None


def _with_transcript(attachment: Attachment, run: Run) -> Attachment:
    transcript = _string(run, TRANSCRIPT)
    return attachment if transcript is None else replace(attachment, transcript=transcript)


def _lost(guid: str, run: Run) -> Attachment:
    """An attachment of which only its slot in the text is left."""
    name = _string(run, FILE_NAME)
    return _with_transcript(Attachment(guid, type_of(None, name), name), run)


def _as_voice(attachment: Attachment) -> Attachment:
    """The attachment of an audio message is audio, whatever is left of it: those that expire lose the file."""
    return attachment if attachment.mime_type else replace(attachment, mime_type=_VOICE)
