"""The workspace's own history, `data/messages.db`: records in, records out."""

from ventriloquist.store.database import Store

__all__ = ["Store"]
