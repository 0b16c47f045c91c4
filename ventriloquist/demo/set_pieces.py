"""What every history must have once, however short it is: each function adds one rarity to a conversation.

The conversations hold them as people would come to them; chance adds more in `finishing`.
"""

from __future__ import annotations

from collections.abc import Callable

from ventriloquist.demo import groups, media
from ventriloquist.demo.cast import CLINIC, DENTIST, GUEST, OWNER, PARCELS
from ventriloquist.demo.dialogue import DAY, HOUR, Stage
from ventriloquist.demo.script import SMS, App, Event, File, Post, Script

DANCERS = 8200
"""How many dancers Nico sends in one message when the history is long: 32,800 bytes of UTF-8."""

Piece = Callable[[Stage], None]


def edited(s: Stage) -> None:
    """A message edited twice, and one more whose time was corrected."""
    friend = s.script.members[0]
    last = s.say(OWNER.name, "dinner at 8, i'll bring the soup")
    last.earlier = ("dinner at 6", "dinner at 7, i will bring the soup")
    s.say(friend, "[yes] 8 it is")
    s.post(Post(OWNER.name, "the tall one by the window", earlier=("the tal one by the widnow",)))


def unsent(s: Stage) -> None:
    """A message taken back, and a photo taken back whose words stayed."""
    friend = s.script.members[0]
    s.post(Post(friend, "is this the right number", unsent=True))
    s.say(friend, "(wrong chat|ignore that|that was for my sister)")
    s.post(Post(friend, "look at this one instead", files=(media.photo_of(s, "cat"),), unsent_file=True))


def photos(s: Stage) -> None:
    """A HEIC with words in the same message, three photos in one, and reactions to the second of them."""
    friend = s.script.members[0]
    shown = s.send(friend, media.photo_of(s, "cat", make="heic"), text="pickle has a new hat")
    s.tap(OWNER.name, shown, "loved")
    several: tuple[File, ...] = (media.photo_of(s, "cat", make="jpeg"), media.photo_of(s, "plant", make="jpeg"))
    several += (media.photo_of(s, "moon", make="png"),)
    album = s.send(friend, *several, text="my day in three pictures", caption_first=True)
    s.tap(OWNER.name, album, "laughed", part=1)
    s.tap(OWNER.name, album, "emoji", emoji="🌙", part=3)
    s.say(OWNER.name, "(the hat|the second one|linda looks well) / [lol]", quoting=album)


def films(s: Stage) -> None:
    """A film each from an iPhone and from elsewhere."""
    s.send(s.script.members[0], File("mov", "beach", "IMG_4821.MOV"))
    s.say(OWNER.name, "[wow] / is that today?")
    s.send(OWNER.name, File("mp4", "snow", "walk.mp4"))


def memos(s: Stage) -> None:
    """Voice memos; one was kept."""
    first = media.memo(s, s.script.members[0], 0)
    s.tap(OWNER.name, first, "laughed")
    s.say(OWNER.name, "[lol] (i heard it in the background|calling you now)")
    media.memo(s, OWNER.name, 1)
    s.post(Post(s.script.members[0], event=Event("kept audio")))


def reactions(s: Stage) -> None:
    """Each kind of tapback; one taken back, one replaced, one of which only the removal is left."""
    friend = s.script.members[0]
    story = s.say(friend, "so / a goose walked into the shop / and bought nothing")
    s.tap(OWNER.name, story, "laughed", undone="replaced")
    s.tap(OWNER.name, story, "emphasized")
    answer = s.say(OWNER.name, "was it wearing a coat?")
    for what in ("questioned", "disliked"):
        s.tap(friend, answer, what, undone="removed")
    s.tap(friend, answer, "emoji", emoji="🪿")
    more = s.say(friend, "no coat / just confidence")
    s.tap(OWNER.name, more, "emoji", emoji="🔥", undone="removed")
    s.tap(OWNER.name, more, "sticker")
    last = s.say(OWNER.name, "i want its confidence")
    s.tap(friend, last, "loved", undone="removed", only_removal=True)
    s.tap(friend, last, "liked", bare_target=True)


def link_and_game(s: Stage) -> None:
    """A page with a preview that is reacted to, and a move in a game."""
    friend = s.script.members[0]
    page = s.post(Post(friend, media.LINKS[1].address, link=media.LINKS[1]))
    s.tap(OWNER.name, page, "laughed")
    s.say(OWNER.name, "[lol] / is that your goose?")
    move = s.post(Post(OWNER.name, app=App("Four in a Row", "Your move.", "Let's play Four in a Row!")))
    s.tap(friend, move, "liked")


def papers(s: Stage) -> None:
    """A PDF, a card, and a message long enough to need a longer length."""
    friend = s.script.members[0]
    s.send(friend, File("pdf", "Cabin trip: the plan", "Cabin plan.pdf"), text="the plan is attached")
    s.send(friend, File("vcard", "Harbor Boats", "Harbor Boats.vcf"))
    s.say(OWNER.name, "[thanks] / (printing it|i'll call them tomorrow)")
    steps = ("book the boat", "pack the big pot", "ask about dogs", "bring soup", "buy candles", "check the map")
    s.post(
        Post(friend, "Okay so here is the list! " + " ".join(f"{n}) {step}!" for n, step in enumerate(steps * 3, 1)))
    )


def place_and_subject(s: Stage) -> None:
    """A shared place, and a message with a subject."""
    friend = s.script.members[0]
    s.send(friend, File("location", "Pear Tree Lane", "Pear Tree Lane.loc.vcf"))
    s.post(Post(friend, "The first basket is ripe. Come and get it. Love, Dad", subject="Tomatoes"))
    s.say(OWNER.name, "[yes] (sunday works|i'll bring the big bag)")


def not_here(s: Stage) -> None:
    """A photo whose file is gone, one that was never downloaded, and effects."""
    friend = s.script.members[0]
    s.send(friend, File("jpeg", "sunset", "IMG_3310.jpeg", on_disk=False))
    s.say(OWNER.name, "(beautiful|that sky) / [wow]")
    s.send(friend, File("heic", "parrot", "IMG_3311.HEIC", offloaded=True))
    s.post(Post(friend, "FELIZ CUMPLE!! 🎉🥳", effect="com.apple.messages.effect.CKFireworksEffect"))
    s.post(Post(OWNER.name, "thank you nico", effect="com.apple.MobileSMS.expressivesend.gentle"))


def long_message(s: Stage) -> None:
    """One message longer than 32,767 bytes."""
    s.post(Post(s.script.members[0], "vamos!! " + "💃" * DANCERS))
    s.say(OWNER.name, "my phone froze / [lol]")


def renamed(s: Stage) -> None:
    """A group gets a new name and a new photo."""
    s.post(Post("Maya", event=Event("renamed", title="Soup Season")))
    s.say("Theo", "who renamed it / [lol]", mood="funny")
    s.post(Post(OWNER.name, event=Event("photo")))
    s.say("Priya", "(the soup is a good logo|much better)", mood="good")
    groups.mention(s)
    groups.mention(s)


def replies(s: Stage) -> None:
    """A thread: answers inline to one message, the second after others spoke in between."""
    one, other, third = s.rng.sample(s.everyone, 3)
    first = s.say(one, "does anyone still have my big pot?")
    s.say(other, "[no] / (ask theo|it was not me)", quoting=first)
    s.say(third, "(i saw it on the roof|it has a plant in it now)", quoting=first, mood="funny")
    s.say(one, "[lol] / (keep it|i will come and get it)", quoting=first)


def guest(s: Stage) -> None:
    """Someone is added, says hello, leaves after some days, is added once more by mistake, and removed."""
    s.post(Post("Nico", event=Event("added", whom=GUEST)))
    s.say("Nico", "my cousin is joining us", mood="good")
    s.post(Post(GUEST, "Hello everyone, thanks for having me."))
    s.post(Post(GUEST, "I can bring a kayak."))
    s.say("Ingrid", "(welcome|a kayak) / (finally, someone useful|we were told to be nice)", mood="funny")
    s.post(Post(GUEST, "Sorry, I can't come after all."), wait=4 * DAY)
    s.post(Post(GUEST, event=Event("left")), wait=HOUR)
    s.post(Post("Nico", event=Event("added", whom=GUEST)), wait=HOUR)
    s.post(Post("Priya", event=Event("removed", whom=GUEST)))


def two_phones(s: Stage) -> None:
    """The same conversation over SMS first; one message came to both of its chats."""
    friend = s.script.members[0]
    s.post(Post(friend, "new phone. this is the blue kind of message.", fate="two chats"))
    s.say(OWNER.name, "[yes] / (welcome to the future|took you long enough)")


def deleted(s: Stage) -> None:
    """Messages that were deleted and wait to be gone, an empty row, and rows that came late from iCloud."""
    friend = s.script.members[0]
    s.post(Post(friend, "ok forget what i said about the flute", fate="recoverable"))
    s.post(Post(OWNER.name, "what flute", fate="recoverable"))
    s.post(Post(friend, fate="empty"))
    for text in ("this one came from the cloud", "and this one too"):
        s.post(Post(friend, text, fate="late"))


def lost_rows(s: Stage) -> None:
    """Rows that belong to no chat any more."""
    friend = s.script.members[0]
    for who, text in ((friend, "testing testing"), (OWNER.name, "it works"), (friend, "good")):
        s.post(Post(who, text, fate="orphan"))


PIECES: dict[str, tuple[Piece, ...]] = {
    "ingrid": (two_phones, lost_rows),
    "maya": (photos, reactions, memos, unsent, deleted),
    "theo": (link_and_game, films),
    "priya": (edited, papers),
    "walter": (place_and_subject,),
    "nico": (not_here,),
    "supper": (renamed, replies),
    "cabin": (guest, replies),
}
"""Which conversation has which."""


def strangers() -> list[Script]:
    """Conversations with those who are no friends: parcels, a clinic, a dentist."""
    codes = [f"Your parcel is on its way. Code {4000 + number * 37}." for number in range(3)]
    reminder = "Harbor Clinic: your appointment is on the {}th at 9. Reply C to confirm."
    visits = [Post(CLINIC, reminder.format(day), service=SMS) for day in (14, 26)]
    teeth = [
        Post(DENTIST, "Hello from the dentist. Is Tuesday at 9 good for you?"),
        Post(OWNER.name, "tuesday at 9 is fine"),
        Post(DENTIST, "Thank you. See you on Tuesday at 9."),
    ]
    return [
        Script("parcels", (PARCELS,), posts=[Post(PARCELS, code, service=SMS) for code in codes]),
        Script("clinic", (CLINIC,), posts=[*visits, Post(OWNER.name, "C", service=SMS)]),
        Script("dentist", (DENTIST,), posts=teeth),
    ]
