"""App balloons: what `balloon_bundle_id` and `payload_data` show in the place of words."""

from __future__ import annotations

from dataclasses import dataclass

from ventriloquist.sources.imessage import polls
from ventriloquist.sources.imessage.plists import Archive, PlistError

_LINK = "URLBalloonProvider"
_PAYMENT, _POLL = "Apple Cash", "Poll"
_APPS = (  # how an app's identifier goes on after com.apple.
    ("Handwriting.", "Handwriting"),
    ("DigitalTouch", "Digital Touch"),
    ("PassbookUIService.PeerPayment", _PAYMENT),
    ("ActivityMessagesApp", "Fitness"),
    ("mobileslideshow.", "Photos"),
    ("SafetyMonitorApp", "Check In"),
    ("findmy.", "Find My"),
    ("icloud.apps.messages.business", "Business Chat"),
    ("messages.Polls", _POLL),
    ("Stickers.", "Stickers"),
)
_CAPTIONS = (
    "caption",
    "subcaption",
    "secondary-subcaption",
    "tertiary-subcaption",
    "image-title",
    "image-subtitle",
)
_LINK_ADDRESSES = (
    ("richLinkMetadata", "originalURL", "NS.relative"),
    ("richLinkMetadata", "URL", "NS.relative"),
    ("richLinkMetadata", "originalURL"),
    ("richLinkMetadata", "URL"),
)
_SPECIAL = (
    ("richLinkMetadata", "specialization"),
    ("richLinkMetadata", "specialization2"),
    ("richLinkMetadata", "collaborationMetadata"),
)
_CLASSES = (  # how the class of what a link leads to goes on after LP
    ("iTunesMediaSoftware", "App Store"),
    ("iTunesMediaPodcast", "Apple Podcasts"),
    ("iTunesMediaBook", "Apple Books"),
    ("iTunesMediaAudioBook", "Apple Books"),
    ("iTunesMediaMovie", "Apple TV"),
    ("iTunesMediaTV", "Apple TV"),
    ("AppleTV", "Apple TV"),
    ("iTunesMedia", "Apple Music"),
    ("AppleMusic", "Apple Music"),
    ("Map", "Maps"),
    ("iCloudSharing", "Collaboration"),
    ("AppleNews", "Apple News"),
)
_FIELDS = (  # of what a link leads to, where its class tells nothing
    ("album", "Apple Music"),
    ("artist", "Apple Music"),
    ("genre", "App Store"),
    ("platform", "App Store"),
    ("address", "Maps"),
    ("collaborationIdentifier", "Collaboration"),
)
_SPECIAL_WORDS = ("name", "title", "artist", "album", "subtitle", "address")
_BETWEEN = " · "


@dataclass(frozen=True, slots=True)
class Balloon:
    """What an app shows: its name, its captions on one line ("" for none), the address it opens, a poll's options."""

    name: str
    caption: str = ""
    url: str | None = None
    options: tuple[polls.Option, ...] = ()

    @property
    def text(self) -> str:
        """As `[GamePigeon: Your move.]`; the name of the app alone where it shows nothing."""
        return f"[{self.name}: {self.caption}]" if self.caption else f"[{self.name}]"


@dataclass(frozen=True, slots=True)
class Link:
    """The preview of a web address. `leads_to` is what Apple knows of its own: a song, an app, a place on the map."""

    url: str | None = None
    title: str | None = None
    leads_to: Balloon | None = None

    @property
    def text(self) -> str:
        """The address that a preview without text shows, else what it leads to, else `[link title]` or `[link]`."""
        if self.url:
            return self.url
        if self.leads_to:
            return self.leads_to.text
        return f"[link {self.title}]" if self.title else "[link]"


def is_link(bundle: str) -> bool:
    """True for the preview of a web address, whose text is the address."""
    return bundle.endswith(_LINK)


def read_link(payload: bytes | None) -> Link | None:
    """The preview in a payload; None for a payload that shows none."""
    archive = _archive(payload)
    if archive is None:
        return None
    url = next(filter(None, (archive.text(*path) for path in _LINK_ADDRESSES)), None)
    leads_to = _leads_to(archive, url)
    title = one_line(archive.text("richLinkMetadata", "title")) or (leads_to.caption if leads_to else "")
    return Link(url, title or None, leads_to) if url or title or leads_to else None


def read_app(bundle: str, payload: bytes | None, *, is_update: bool = False) -> Balloon:
    """What the balloon of an app shows. `is_update` says that it is a new state of what an earlier one showed."""
    archive = _archive(payload)
    name = _name(bundle, archive)
    if archive is None:
        return Balloon(name)
    url = archive.text("URL", "NS.relative") or archive.text("URL") or None
    if name == _POLL and (poll := polls.read_poll(url)):
        words = [*(["new choices"] if is_update else []), poll.title, *(option.text for option in poll.options)]
        return Balloon(name, _joined(words), url, poll.options)
    words = [archive.text("userInfo", key) for key in _CAPTIONS]
    label = archive.text("ldtext")
    if name == _PAYMENT:
        words = [label, *(word for word in words if word != _PAYMENT)]  # the amount stands in the label
    return Balloon(name, _joined(words) or one_line(label), url)


def read_vote(payload: bytes | None) -> Balloon:
    """A vote in a poll: whoever sent it now chooses these options."""
    archive = _archive(payload)
    url = (archive.text("URL", "NS.relative") or archive.text("URL")) if archive else ""
    votes = polls.read_votes(url)
    return Balloon(_POLL, "took a vote back" if votes == () else "a vote", url or None, votes or ())


def _leads_to(archive: Archive, url: str | None) -> Balloon | None:
    for path in _SPECIAL:
        words = [archive.text(*path, key) for key in _SPECIAL_WORDS]
        class_name = archive.text(*path, "$class", "$classname").removeprefix("LP")
        names = [name for start, name in _CLASSES if class_name.startswith(start)]
        names += [name for key, name in _FIELDS if archive.text(*path, key)]
        names += ["Collaboration"] if path[-1].startswith("collaboration") else []
        if names and any(words):
            return Balloon(names[0], _joined(words), url)
    return None


def _name(bundle: str, archive: Archive | None) -> str:
    app_id = bundle.split(":", 2)[-1]  # after the plugin and the team
    if app_id.startswith("com.apple."):
        for start, name in _APPS:
            if app_id.startswith(start, len("com.apple.")):
                return name
    return one_line(archive.text("an") if archive else "") or _name_in(app_id)


def _name_in(app_id: str) -> str:
    """The telling word of `com.gamerdelights.gamepigeon.ext`."""
    words = [word for word in app_id.split(".") if word.lower() not in ("com", "ext", "extension", "messagesextension")]
    return one_line(words[-1] if words else "") or "app"


def _joined(words: list[str]) -> str:
    """The words that are there, each once."""
    return _BETWEEN.join(dict.fromkeys(filter(None, map(one_line, words))))


def one_line(words: str) -> str:
    """On one line, since an app's words are no lines that anyone wrote."""
    return " ".join(words.split())


def _archive(payload: bytes | None) -> Archive | None:
    try:
        return Archive(payload) if payload else None
    except PlistError:
        return None
