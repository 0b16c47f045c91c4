"""Who is who: handles normalised, handles of one person brought together, and what the user decided about it."""

from ventriloquist.people.decisions import read_contacts
from ventriloquist.people.handles import normaliser, region_of
from ventriloquist.people.identity import find_conversations, find_people, identify

__all__ = ["find_conversations", "find_people", "identify", "normaliser", "read_contacts", "region_of"]
