"""Who is in the sample history: the owner, the friends, and senders that are no friends."""

from __future__ import annotations

from ventriloquist.demo.people import Contact, Person, load

OWNER = load("alex")
FRIENDS: dict[str, Person] = {
    person.name: person for person in map(load, ("maya", "theo", "priya", "walter", "ingrid", "nico"))
}
CAST: dict[str, Person] = {OWNER.name: OWNER, **FRIENDS}

GUEST, PARCELS, DENTIST, CLINIC = "Guest", "Parcels", "Dentist", "Clinic"
STRANGERS: dict[str, str] = {
    GUEST: "+12025550188",
    PARCELS: "22000",
    DENTIST: "urn:biz:3f9d2c1e-5b7a-4c86-9e0f-2a4b6c8d0e1f",
    CLINIC: "+12025550177",
}
"""Handles of those who have no voice: someone without a card who is in a group for a week, the short code of a
delivery service, a business on Messages for Business, a clinic that has a card."""

CONTACTS: tuple[Contact, ...] = (
    OWNER.contact,
    *(person.contact for person in FRIENDS.values()),
    Contact(organization="Harbor Clinic", phones=("(202) 555-0177",)),
)
