"""App balloons: what `balloon_bundle_id` and `payload_data` show in the place of words."""

from __future__ import annotations

from ventriloquist.sources.imessage.plists import Archive, PlistError

_EXTENSION = "com.apple.messages.MSMessageExtensionBalloonPlugin:"
_LINK = "com.apple.messages.URLBalloonProvider"
_APPS = {
    "com.apple.Handwriting.HandwritingProvider": "Handwriting",
    "com.apple.DigitalTouchBalloonProvider": "Digital Touch",
    "com.apple.PassbookUIService.PeerPaymentMessagesExtension": "Apple Cash",
    "com.apple.ActivityMessagesApp.MessagesExtension": "Fitness",
    "com.apple.mobileslideshow.PhotosMessagesApp": "Photos",
    "com.apple.SafetyMonitorApp.SafetyMonitorMessages": "Check In",
    "com.apple.findmy.FindMyMessagesApp": "Find My",
    "com.apple.icloud.apps.messages.business.extension": "Business Chat",
    "com.apple.messages.Polls": "Poll",
}
_CAPTIONS = (
    ("userInfo", "caption"),
    ("userInfo", "subcaption"),
    ("userInfo", "secondary-subcaption"),
    ("userInfo", "tertiary-subcaption"),
    ("userInfo", "image-title"),
    ("userInfo", "image-subtitle"),
)
_LINK_ADDRESSES = (
    ("richLinkMetadata", "originalURL", "NS.relative"),
    ("richLinkMetadata", "URL", "NS.relative"),
    ("richLinkMetadata", "originalURL"),
    ("richLinkMetadata", "URL"),
)


def is_link(bundle: str) -> bool:
    """True for the preview of a web address, whose text is the address."""
    return bundle.endswith("URLBalloonProvider") or bundle == _LINK


def link_text(payload: bytes | None) -> str:
    """The address that a link preview without text shows, else `[link title]`, else `[link]`."""
    archive = _archive(payload)
    if archive is None:
        return "[link]"
    for path in _LINK_ADDRESSES:
        if address := archive.text(*path):
            return address
    title = archive.text("richLinkMetadata", "title")
    return f"[link {title}]" if title else "[link]"


def app_text(bundle: str, payload: bytes | None) -> str:
    """What a balloon shows, as `[GamePigeon: Your move.]`; the name of the app alone where it shows nothing."""
    archive = _archive(payload)
    app = _APPS.get(_app_id(bundle)) or (archive and archive.text("an")) or _name_in(_app_id(bundle))
    caption = _caption(archive) if archive else ""
    return f"[{app}: {caption}]" if caption else f"[{app}]"


def _app_id(bundle: str) -> str:
    return bundle.split(":", 2)[2] if bundle.startswith(_EXTENSION) and bundle.count(":") >= 2 else bundle


def _name_in(app_id: str) -> str:
    """The telling word of `com.gamerdelights.gamepigeon.ext`."""
    words = [word for word in app_id.split(".") if word.lower() not in ("com", "ext", "extension", "messagesextension")]
    return words[-1] if words else "app"


def _caption(archive: Archive) -> str:
    for path in _CAPTIONS:
        if words := archive.text(*path):
            return words
    return archive.text("ldtext")


def _archive(payload: bytes | None) -> Archive | None:
    try:
        return Archive(payload) if payload else None
    except PlistError:
        return None
