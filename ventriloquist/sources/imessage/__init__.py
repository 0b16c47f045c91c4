"""Apple's Messages: chat.db, its attachments, and the address book that gives the names."""

from ventriloquist.sources.imessage.history import is_there, open_source

__all__ = ["is_there", "open_source"]
