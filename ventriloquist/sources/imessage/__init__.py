"""Apple's Messages: chat.db, its attachments, and the address book that gives the names."""

from ventriloquist.sources.imessage.history import open_source

__all__ = ["open_source"]
