"""The body of each post as attributed text: parts, attachments, mentions, links, transcripts."""

from __future__ import annotations

from collections.abc import Sequence

from ventriloquist.demo.archives import detected_data
from ventriloquist.demo.script import Post
from ventriloquist.demo.typedstream import APP_SLOT, OBJECT_SLOT, Body, Url

_DETECTED = ("tomorrow", "tonight", "saturday", "sunday", "friday")


def body_of(post: Post, file_guids: Sequence[str], *, mutable: bool = False) -> Body:
    """The body that `post` has when all of it stands; `file_guids` go with `post.files`."""
    body = Body(mutable=mutable)
    part = 0
    if post.app:
        return body.add(APP_SLOT, part=0)
    if post.caption_first and post.text:
        body.add(post.text, part=part)
        part += 1
    for file, guid in zip(post.files, file_guids, strict=True):
        extra = {"transcript": file.transcript} if file.transcript else {}
        body.add(OBJECT_SLOT, part=part, file=guid, file_name=file.name, direction=-1, **extra)
        part += 1
    if post.link:
        _add_link(body, post, part)
    elif post.text and not post.caption_first:
        _add_words(body, post, part)
    return body


def _add_link(body: Body, post: Post, part: int) -> None:
    assert post.link is not None
    address = post.link.address
    body.add(address, part=part, link=Url(address), detected=detected_data(address))


def _add_words(body: Body, post: Post, part: int) -> None:
    """The words, with a run of their own for a mention or for a day that a data detector found."""
    if post.mention and f"@{post.mention}" in post.text:
        name, handle = f"@{post.mention}", post.mention_handle
        before, after = post.text.split(name, 1)
        if before:
            body.add(before, part=part)
        body.add(name, part=part, mention=handle)
        if after:
            body.add(after, part=part)
        return
    for day in _DETECTED:
        before, found, after = post.text.partition(f" {day}")
        if found and after[:1] in ("", " ", "?", "."):
            body.add(before + " ", part=part)
            body.add(day, part=part, detected=detected_data(day))
            if after:
                body.add(after, part=part)
            return
    body.add(post.text, part=part)


def has_detected(body: Body) -> bool:
    """True when a data detector found something in the body."""
    return any("__kIMDataDetectedAttributeName" in attributes for _, attributes in body.runs)
