"""Live Photos: a still and a video of the same moment, which are one picture and are described once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ventriloquist.media.words import content_type, file_extension, file_stem
from ventriloquist.records import Attachment

_STILLS = frozenset({"heic", "heif", "jpg", "jpeg"})
_MOVING = frozenset({"mov"})
_EDITED = re.compile(r"^IMG_E(?=\d)", re.IGNORECASE)


def moving_halves(attachments: Sequence[Attachment]) -> dict[str, str]:
    """The moving halves of the Live Photos among the attachments of one message: the video's guid, and the still's.

    A camera gives both halves the same name but for the extension: IMG_0001.HEIC (or JPG) and IMG_0001.MOV; an edited
    still is IMG_E0001. Where a name stands for several stills or several videos nothing is paired, since a video that
    is left out would be lost. Messages itself mostly keeps the video as a file beside the still, without a row.
    """
    stills: dict[str, list[str]] = {}
    videos: dict[str, list[str]] = {}
    for attachment in attachments:
        name = _EDITED.sub("IMG_", file_stem(attachment)).casefold()
        kind, extension = content_type(attachment), file_extension(attachment)
        if name and kind == "image" and extension in _STILLS:
            stills.setdefault(name, []).append(attachment.guid)
        elif name and kind == "video" and extension in _MOVING:
            videos.setdefault(name, []).append(attachment.guid)
    return {
        found[0]: stills[name][0]
        for name, found in videos.items()
        if len(found) == 1 and len(stills.get(name, ())) == 1
    }
