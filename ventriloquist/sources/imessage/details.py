"""What the source says of a message beyond its text, as JSON values: `Message.details`.

A key is there only where it says something; a message of plain text has no details at all.

- `edits`: every version of every edited part, part by part, oldest first, the current one last:
  `{"part", "at", "text"}`; `at` is RFC 3339 or null.
- `unsent_parts`: the parts that were taken back of a message of which others stand; what they said is not kept.
- `mentions`: who is mentioned, in order: `{"handle", "text"}`, the handle as Messages wrote it.
- `effect`: the effect it was sent with, as Messages calls it: `slam`, `invisible ink`, `confetti`, ...
- `reply_part`: the part that it replies to, if not the first.
- `subject`: the subject, with which the text begins too.
- `link`: the preview of a link: `{"url", "title"}`, each may be null.
- `app`: what an app or a link to something of Apple's shows: `{"bundle", "name", "caption", "url"}`; of a poll and a
  vote `options` too, `[{"id", "text"}]`, a vote's without text; of what changes something that an earlier message
  showed (a vote, a new state of a poll or a game) `target`, the guid of that message.
- `other`: the handle of whom an event was done to: who was added or removed, or with whom a location is shared.
"""

from __future__ import annotations

import re
from typing import Any

from ventriloquist.records import rfc3339
from ventriloquist.sources.imessage.balloons import Balloon, Link
from ventriloquist.sources.imessage.bodies import Said, without_slots
from ventriloquist.sources.imessage.edits import Summary
from ventriloquist.sources.imessage.rows import Row
from ventriloquist.sources.imessage.tapbacks import target_of

Details = dict[str, Any]

_EFFECTS = {
    "impact": "slam",
    "invisibleink": "invisible ink",
    "HappyBirthday": "balloons",
    "Heart": "love",
    "Sparkles": "celebration",
    "ShootingStar": "shooting star",
}
_PART = re.compile(r"(\d{1,6})(?::|$)")


def said_details(row: Row, said: Said, summary: Summary | None) -> Details:
    """Of a message that someone wrote, and that was not taken back as a whole."""
    details: Details = {}
    if summary and summary.versions:
        details["edits"] = [
            {"part": part, "at": rfc3339(version.at) if version.at else None, "text": without_slots(version.text)}
            for part, versions in sorted(summary.versions.items())
            for version in versions
        ]
    if summary and summary.unsent:
        details["unsent_parts"] = sorted(summary.unsent)
    if said.mentions:
        details["mentions"] = [{"handle": handle, "text": words} for handle, words in said.mentions]
    if row.subject:
        details["subject"] = row.subject
    return details


def sending_details(row: Row) -> Details:
    """Of how anything but a tapback was sent: its effect, the part that it replies to."""
    details: Details = {}
    if row.effect:
        details["effect"] = effect_name(row.effect)
    part = _PART.match(row.thread_part or "")
    if row.thread and part and int(part[1]):
        details["reply_part"] = int(part[1])
    return details


def link_details(row: Row, link: Link) -> Details:
    details: Details = {"link": {"url": link.url, "title": link.title}}
    return details | (app_details(row, link.leads_to) if link.leads_to else {})


def app_details(row: Row, balloon: Balloon) -> Details:
    app: Details = {
        "bundle": row.balloon or "",
        "name": balloon.name,
        "caption": balloon.caption,
        "url": balloon.url,
    }
    if balloon.options:
        app["options"] = [{"id": option.id, "text": option.text} for option in balloon.options]
    target, _ = target_of(row.associated_guid)
    if target and target != row.guid:
        app["target"] = target
    return {"app": app}


def effect_name(style: str) -> str:
    """The short name of `com.apple.MobileSMS.expressivesend.impact` or `com.apple.messages.effect.CKEchoEffect`."""
    name = style.rsplit(".", 1)[-1]
    name = name.removeprefix("CK").removesuffix("Effect") or name
    return _EFFECTS.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
