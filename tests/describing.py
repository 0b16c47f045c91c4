"""What the tests of describing share: histories of attachments, the stage done once, and the real client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests import media_samples as samples
from tests.storing import replace_history
from ventriloquist.media.captioner import Captioner, Meter
from ventriloquist.media.gemini import GeminiCaptioner
from ventriloquist.pipeline.describe import MakeCaptioner, describe
from ventriloquist.pipeline.destination import Destination
from ventriloquist.records import ME, Attachment, Chat, ChatKind, Conversation, Kind, Ledger, Message, Person
from ventriloquist.runs import Event, Run, new_folder
from ventriloquist.settings import DescribeSettings
from ventriloquist.store import Store
from ventriloquist.workspace import Workspace

KEY = "AIza-canary-key"
MODEL = "gemini-3.5-flash-lite"
ADA, STRANGER = "+15550100", "+15550199"


def collected(workspace: Workspace, attachments: Sequence[Attachment], strangers: Sequence[Attachment] = ()) -> None:
    """A history with one message for each attachment: with Ada, and with a number that has no name."""
    people = [Person(ADA, "Ada", (ADA,)), Person(STRANGER, STRANGER, (STRANGER,)), Person(ME, "Me", (), is_me=True)]
    ledger = Ledger()
    sent = [(ADA, each) for each in attachments] + [(STRANGER, each) for each in strangers]

    def messages() -> Iterator[Message]:
        for row, (handle, attachment) in enumerate(sent, 1):
            ledger.keep(Kind.ATTACHMENT, row * 1_000_000)
            yield Message(
                f"m{row}", "sample", row, handle, Kind.ATTACHMENT, False, row * 1_000_000, handle,
                attachments=(attachment,),
            )  # fmt: skip

    chats = [Chat(handle, "sample", ChatKind.DM, (handle,)) for handle in (ADA, STRANGER)]
    conversations = [Conversation(f"c{handle}", ChatKind.DM, (handle, ME)) for handle in (ADA, STRANGER)]
    with Store.open(workspace, create=True) as store:
        replace_history(store, "sample", chats, conversations, people, messages(), ledger)


def stored(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Text and state of each description, by guid."""
    with Store.open(workspace) as store:
        rows = store.connection.execute("SELECT attachment, text, state FROM descriptions").fetchall()
    return {guid: (text, state) for guid, text, state in rows}


def states(workspace: Workspace) -> dict[str, str]:
    """The state of each attachment, by guid."""
    return {guid: state for guid, (_, state) in stored(workspace).items()}


def one_run(
    workspace: Workspace, make: MakeCaptioner | None = None, *, key: str = "", **options: Any
) -> tuple[dict[str, Any], list[Event]]:
    """Do the stage once; what it returns and the events it wrote."""
    events: list[Event] = []
    run = Run(new_folder(workspace, "describe"), "describe", events.append)
    given = (make,) if make else ()
    try:
        return describe(settings(key, **options), workspace, run, *given), events
    finally:
        run.close()


def settings(key: str = "", **options: Any) -> DescribeSettings:
    return DescribeSettings(gemini_api_key=key, **{"model": MODEL, **options})


def captioner(url: str, **options: Any) -> MakeCaptioner:
    """Makes the real client, asking the server at `url`."""

    def make(settings: DescribeSettings, destination: Destination, meter: Meter) -> Captioner:
        given = {"backoff": 0.01, "deadline": 5.0, "concurrency": settings.concurrency, **options}
        return GeminiCaptioner(
            KEY, destination.model, meter=meter, prompts=destination.prompts, base_url=url, **given
        )  # fmt: skip

    return make


def notes(events: list[Event]) -> str:
    return "\n".join(event["text"] for event in events if event["kind"] == "note")


def photos(folder: Path, count: int, first: int = 0) -> list[Attachment]:
    """Different photos, small enough to convert at once."""
    found = []
    for number in range(first, first + count):
        path = folder / f"IMG_{number:04}.jpg"
        if not path.exists():
            samples.jpeg(path, (160, 120), seed=number + 1)
        found.append(Attachment(f"photo-{number}", "image/jpeg", f"{samples.CANARY}.jpg", str(path)))
    return found
