"""A sample history to try everything on: a true-to-schema `chat.db` with attachments and an address book.

The people in it, their numbers and all they say are invented.
"""

from __future__ import annotations

from ventriloquist.demo.write import Sample, write

__all__ = ["Sample", "write"]
