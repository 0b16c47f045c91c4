"""Handles: the ways to write one phone number or e-mail address brought into one form."""

from __future__ import annotations

import locale
import os
import plistlib
import re
from collections.abc import Callable
from pathlib import Path
from xml.parsers.expat import ExpatError

import phonenumbers

DEFAULT_REGION = "US"
MAC_PREFERENCES = Path("~/Library/Preferences/.GlobalPreferences.plist")
"""Where macOS keeps the region that was chosen in its own settings, as AppleLocale: `de_DE`, `en_US@rg=gbzzzz`."""

_PHONE = re.compile(r"\+?[0-9\s().\-/\u2010-\u2015]+")
_DIRECTION_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # Contacts wraps numbers in them
_SHORTEST_NUMBER = 7
_LOCALE = re.compile(r"[a-z]{2,3}(?:[-_][A-Z][a-z]{3})?[-_]([A-Z]{2})(?![A-Za-z0-9])")
_REGION_OVERRIDE = re.compile(r"@(?:.*;)?rg=([a-z]{2})zzzz")


def region_of(setting: str) -> str:
    """The region for phone numbers without a country code: the setting, the environment's, the Mac's own, else US."""
    if setting:
        return setting.upper()
    named = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or ""
    languages = (named, _mac_locale(), locale.getlocale()[0] or "")
    return next(filter(None, map(_region_in, languages)), DEFAULT_REGION)


def _region_in(language: str) -> str:
    """`GB` of `en_GB.UTF-8`, `en-GB`, `zh-Hant_TW` and `en_US@rg=gbzzzz`; empty where no region is named."""
    if override := _REGION_OVERRIDE.search(language):
        return override[1].upper()
    match = _LOCALE.match(language)
    return match[1] if match else ""


def _mac_locale() -> str:
    """What the Mac's settings say; a terminal's own environment may say nothing of it."""
    try:
        with MAC_PREFERENCES.expanduser().open("rb") as file:
            found = plistlib.load(file).get("AppleLocale")
    except (OSError, RuntimeError, AttributeError, ValueError, ExpatError, RecursionError, OverflowError):
        return ""
    return found if isinstance(found, str) else ""


def normaliser(region: str) -> Callable[[str], str]:
    """A function that brings the ways to write one address into one form; it remembers what it was asked.

    E-mail addresses become lower case, phone numbers E.164. Short codes, `urn:` addresses and alphanumeric
    senders stay as they are.
    """
    known: dict[str, str] = {}

    def normalise(handle: str) -> str:
        if handle not in known:
            known[handle] = _normalised(handle, region)
        return known[handle]

    return normalise


def _normalised(handle: str, region: str) -> str:
    if handle.lower().startswith("urn:"):
        return handle
    if "@" in handle:
        return handle.strip().lower()
    bare = _DIRECTION_MARKS.sub("", handle)
    if not _PHONE.fullmatch(bare) or sum(character.isdigit() for character in bare) < _SHORTEST_NUMBER:
        return handle
    try:
        number = phonenumbers.parse(bare, region)
    except phonenumbers.NumberParseException:
        return handle
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return handle
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
