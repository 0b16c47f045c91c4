"""What an attachment is, and the words for it that are at hand without sending anything anywhere.

`content_type` is the only mapping from a mime type and file name to a line's content type. `local_description` makes
one line from Apple's transcript, a contact, location or calendar card, a song's tags, or a name that a person chose.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Literal

from ventriloquist.media import cards, music
from ventriloquist.media.opening import Unconvertible, opened
from ventriloquist.records import Attachment
from ventriloquist.text import clean_name, one_line

LONGEST = 600
"""Characters of a description, at most."""

LONGEST_TRANSCRIPT = 20_000
"""Characters of what is said in a recording, at most: more than half an hour of speech."""

LOCAL = "local"
"""Marks a description made by `local_description`, which a captioner's may replace."""

Medium = Literal["image", "video", "audio", "pdf", "text"]
"""What a captioner can look at or listen to."""

_IMAGES = "jpg jpeg jpe png gif heic heif heics heifs avif webp tif tiff bmp dng"
_VIDEOS = "mov mp4 m4v 3gp 3gpp 3g2 avi mkv webm mpg mpeg hevc"
_AUDIOS = "caf m4a mp3 amr aac wav aif aiff aifc ogg oga opus flac m4b m4r"
_DOCUMENTS = (
    "pdf doc docx dot dotx pages odt rtf rtfd txt md tex xls xlsx xlsm numbers ods csv tsv ppt pptx key odp "
    "epub mobi html htm eml ics json xml log"
)
_BY_EXTENSION = {
    extension: kind
    for kind, extensions in (
        ("image", _IMAGES), ("video", _VIDEOS), ("audio", _AUDIOS), ("document", _DOCUMENTS),
        ("contact", "vcf vcard"), ("location", "vlocation"),
    )
    for extension in extensions.split()
}  # fmt: skip
_BY_MIME_TYPE = {
    "text/x-vlocation": "location",
    "text/vcard": "contact",
    "text/x-vcard": "contact",
    "text/directory": "contact",
    "application/ogg": "audio",
    "application/rtf": "document",
    "application/pdf": "document",
    "application/msword": "document",
    "application/epub+zip": "document",
    "application/json": "document",
    "application/xml": "document",
}
_DOCUMENT_MIME_TYPES = (
    "text/",
    "application/vnd.openxmlformats-officedocument",
    "application/vnd.ms-",
    "application/vnd.oasis.opendocument",
    "application/vnd.apple.",
    "application/x-iwork",
)

_WORDED_EXTENSIONS = (
    "docx docm dotx xlsx xlsm pptx odt ods odp rtf txt md tex csv tsv html htm log json xml pages numbers key"
)
_WORDED = frozenset(_WORDED_EXTENSIONS.split())
_WORDED_MIME_TYPES = (
    "text/plain", "text/markdown", "text/csv", "text/tab-separated-values", "text/html", "text/rtf", "application/rtf",
    "application/json", "application/xml", "text/xml", "application/vnd.openxmlformats-officedocument",
    "application/vnd.oasis.opendocument",
)  # fmt: skip
LARGEST_CARD = 1_000_000
LARGEST_RECORDING = 2_000_000_000

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_SPLIT = re.compile(r"[\s_\-–—.,;:()\[\]{}#+@&=~]+")
_COPY = re.compile(r"\s*\(\d+\)$")
_HEXADECIMAL = re.compile(r"(?=.*\d)[0-9a-fA-F]{6,}|[0-9a-fA-F]{12,}")
_MIXED = re.compile(r"[A-Za-z]\d+[A-Za-z]|^\d{2,}[A-Za-z]+$")
_LETTER = re.compile(r"[^\W\d_]")
_PREFIX = re.compile(
    r"(?:fb|m|e)?(?:img|image|dsc|dscn|dscf|mvi|mov|vid|pxl|gopr|gx|gh|dji|sam|wa|mp|p|photo|video|audio|recording)\d*",
    re.IGNORECASE,
)
_SAYS_NOTHING = (
    "photo photos picture pic image video clip movie audio sound memo voice recording rec file document doc scan "
    "fullsizerender fullrender renderedimage rendered untitled unnamed unknown download downloaded attachment temp tmp "
    "camphoto cameraroll jpegvideocomplement livephoto livephotos original edited copy export shared received trim "
    "whatsapp telegram snapchat signal messenger instagram facebook at am pm fb ptt cam portrait cover burst "
    "message new capture screen screenshot shot sticker memoji emoji lp org null none"
)
_NO_NAME = frozenset(_SAYS_NOTHING.split())
_ARTICLES = {"image": "A photo", "video": "A video", "audio": "A sound recording", "document": "A document"}
_SCREENSHOT = re.compile(r"^(?:screen ?shot|bildschirmfoto|simulator screen)", re.IGNORECASE)
_SCREEN_RECORDING = re.compile(r"^(?:screen ?recording|rpreplay)", re.IGNORECASE)
_VOICE = re.compile(r"^(?:audio ?message|voice ?(?:message|memo)|ptt)", re.IGNORECASE)


def content_type(attachment: Attachment) -> str:
    """The content type of the attachment's line: image, video, audio, document, contact, location, sticker or file."""
    if attachment.is_sticker:
        return "sticker"
    return _kind(attachment)


def medium(attachment: Attachment) -> Medium | None:
    """What a captioner would get of it, or None where there is nothing to look at, to listen to or to read.

    A voice message that Apple has transcribed needs no captioner, and neither does a song, whose name is enough.
    """
    kind = _kind(attachment)
    if kind == "audio":
        return None if one_line(attachment.transcript or "") or _song(attachment) else "audio"
    if kind == "image" or kind == "video":
        return "image" if kind == "image" else "video"
    if _mime_type(attachment) == "application/pdf" or file_extension(attachment) == "pdf":
        return "pdf"
    return "text" if kind == "document" and _is_worded(attachment) else None


def local_description(attachment: Attachment) -> str:
    """Words for an attachment from what is at hand; one line, never empty, at most `LONGEST` characters, or
    `LONGEST_TRANSCRIPT` where Apple has written down what is said.

    Reads nothing but contact, location and calendar cards, and the tags of recordings.
    """
    if content_type(attachment) == "audio" and (said := shorten(attachment.transcript or "", LONGEST_TRANSCRIPT)):
        return said
    return shorten(_words(attachment)) or "A file"


def shorten(text: str, longest: int = LONGEST) -> str:
    """Strangers' text (a caption, a transcript, a name) as one line of at most `longest` characters."""
    return one_line(clean_name(text[: longest * 8]), longest)


def _words(attachment: Attachment) -> str:
    kind = content_type(attachment)
    name = file_stem(attachment)
    readable = readable_name(name)
    match kind:
        case "audio":
            if song := _song(attachment):
                return f"Song: {song}"
            if _VOICE.match(name) or file_extension(attachment) in ("caf", "amr"):
                return "A voice message"
        case "image" if _SCREENSHOT.match(name):
            return "A screenshot"
        case "image" if _mime_type(attachment) == "image/gif" or file_extension(attachment) == "gif":
            return f"GIF: {readable}" if readable else "A GIF"
        case "video" if _SCREEN_RECORDING.match(name):
            return "A screen recording"
        case "contact":
            people = cards.contact_names(_small_text(attachment.path)) or ([readable] if readable else [])
            return _contact(people)
        case "location":
            place = cards.place(_small_text(attachment.path))
            return f"Location: {place}" if place else "A location"
        case "document" if _is_calendar(attachment):
            events = cards.events(_small_text(attachment.path)) or ([readable] if readable else [])
            return f"Calendar: {_and_more(events)}" if events else "A calendar event"
        case "sticker":
            return f"Sticker: {readable}" if readable else "A sticker"
        case "file":
            extension = file_extension(attachment)
            named = f"{readable} ({extension})" if extension and readable else readable
            return f"File: {named}" if named else f"A file ({extension})" if extension else "A file"
    if kind == "image":
        return f"Photo: {readable}" if readable else _ARTICLES[kind]
    return f"{kind.capitalize()}: {readable}" if readable else _ARTICLES[kind]


def _contact(people: list[str]) -> str:
    return f"Contact: {_and_more(people)}" if people else "A contact card"


def _and_more(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _song(attachment: Attachment) -> str:
    """The name of the song that a recording is; "" for voice messages and all else that may be spoken."""
    stem, extension = file_stem(attachment), file_extension(attachment)
    if _VOICE.match(stem) or extension in ("caf", "amr"):
        return ""
    tags = music.Tags()
    with suppress(Unconvertible, OSError), opened(attachment.path or "", LARGEST_RECORDING) as file:
        tags = music.tags_of(file)
    return music.song(tags, stem, extension)


def _is_calendar(attachment: Attachment) -> bool:
    return _mime_type(attachment) == "text/calendar" or file_extension(attachment) == "ics"


def _is_worded(attachment: Attachment) -> bool:
    """True for a document whose words can be read here, so that only they have to be sent."""
    if _is_calendar(attachment):
        return False
    if extension := file_extension(attachment):
        return extension in _WORDED
    return _mime_type(attachment).startswith(_WORDED_MIME_TYPES)


def readable_name(stem: str) -> str:
    """A file name without its extension as words, or "" if no person chose it (a camera, an app or a hash did)."""
    words: list[str] = []
    named = False
    after_number = False
    for token in _SPLIT.split(_COPY.sub("", _UUID.sub(" ", clean_name(stem)))):
        machine = _is_machine_made(token)
        if token and not machine and not (after_number and token.isdigit()):
            words.append(token)
            named = named or _is_word(token)
        after_number = machine or (after_number and token.isdigit())
    return " ".join(words) if named else ""


def _is_machine_made(token: str) -> bool:
    """True for what cameras, apps and hashes put into names: counters, times, random letters and digits."""
    if token.isdigit():
        return len(token) > 4
    if len(token) > 40 or _HEXADECIMAL.fullmatch(token):
        return True
    if _PREFIX.fullmatch(token):
        return token.lower() not in _NO_NAME or any(character.isdigit() for character in token)
    return len(token) >= 6 and _MIXED.search(token) is not None


def _is_word(token: str) -> bool:
    """True for a token that says something about the file."""
    if token.lower() in _NO_NAME:
        return False
    letters = len(_LETTER.findall(token))
    if token.isascii():
        return letters >= 3 and (len(token) < 6 or re.search(r"[aeiouy]", token, re.IGNORECASE) is not None)
    return letters >= 1


def file_stem(attachment: Attachment) -> str:
    """The name the sender's machine gave the file, without folders and the extension of a known kind."""
    name = _file_name(attachment)
    stem, dot, extension = name.rpartition(".")
    return stem if dot and re.fullmatch(r"[A-Za-z0-9]{1,10}", extension) else name


def _file_name(attachment: Attachment) -> str:
    name = one_line(attachment.name or attachment.path or "", 300)
    return re.split(r"[/\\]", name)[-1]


def file_extension(attachment: Attachment) -> str:
    """The extension of the file's name in lower case, "" if there is none worth the name."""
    for name in (attachment.name, attachment.path):
        extension = (name or "").rpartition(".")[2].lower()
        if "." in (name or "") and re.fullmatch(r"[a-z0-9]{1,10}", extension):
            return extension
    return ""


def _mime_type(attachment: Attachment) -> str:
    return (attachment.mime_type or "").partition(";")[0].strip().lower()


def _kind(attachment: Attachment) -> str:
    mime_type = _mime_type(attachment)
    if (attachment.name or attachment.path or "").lower().endswith(".loc.vcf"):
        return "location"
    if mime_type in _BY_MIME_TYPE:
        return _BY_MIME_TYPE[mime_type]
    family = mime_type.partition("/")[0]
    if family in ("image", "video", "audio"):
        return family
    by_extension = _BY_EXTENSION.get(file_extension(attachment))
    if by_extension:
        return by_extension
    return "document" if mime_type.startswith(_DOCUMENT_MIME_TYPES) else "file"


def _small_text(path: str | None) -> str:
    """The text of a card (at most `LARGEST_CARD` bytes of it), or "" where there is no file that may be read."""
    content = b""
    with suppress(Unconvertible, OSError), opened(path or "", LARGEST_RECORDING) as file:
        content = file.read(LARGEST_CARD)
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return content.decode(encoding, errors="replace")
