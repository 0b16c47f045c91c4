"""The captioner that asks a server of one's own, such as Ollama, vLLM or llama.cpp, by OpenAI's protocol.

It is for people who send nothing out, so it talks to this machine and to private networks only (`nearby`), through no
proxy and to no redirect. Such servers take no video and no PDF: a video is shown as a few of its frames.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from ventriloquist.faults import Fault
from ventriloquist.media import connection, prices
from ventriloquist.media.captioner import (
    NOTHING,
    Blocked,
    Caption,
    Declined,
    Material,
    Meter,
    Unanswered,
    Usage,
    caption_from,
)
from ventriloquist.media.nearby import Place, places
from ventriloquist.media.prompts import document
from ventriloquist.media.retrying import BILLED_ATTEMPTS, EMPTY_ATTEMPTS, Again, Asking, Outcome, SlowDown, unanswered
from ventriloquist.media.words import Medium
from ventriloquist.text import one_line

ADDRESS = "http://127.0.0.1:11434/v1"
"""Where Ollama listens."""
DEADLINE_SECONDS = 600.0
LISTING_SECONDS = 15.0
LOADING_ATTEMPTS = 12
"""A 503 is what a server says that is still loading its model, which may take minutes."""

_TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error"})
_TOO_LONG_WORDS = re.compile(r"context (?:length|size|window)", re.IGNORECASE)
_NO_SUCH_INPUT = re.compile(r"(audio|image)s? input is not supported|at most 0 (audio|image)", re.IGNORECASE)
_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


class OpenAICompatibleCaptioner:
    """Describes media with a model on a server of one's own; safe for as many concurrent `describe`s as it was told.

    Without a `model` it is the only one that the server lists. `prompts` are whole, see `prompts.prompts`. `deadline`
    bounds one request in seconds; `backoff` is the first wait of a retry. Asks the server for its models at once:
    raises a Fault if it does not run, or is not near and `allow_remote` is not set.
    """

    provider = "openai"

    def __init__(
        self,
        model: str = "",
        *,
        meter: Meter,
        prompts: Mapping[Medium, str],
        base_url: str = ADDRESS,
        api_key: str = "",
        allow_remote: bool = False,
        concurrency: int = 2,
        deadline: float = DEADLINE_SECONDS,
        backoff: float = 1.0,
    ) -> None:
        if not (api_key.isascii() and api_key.isprintable()):
            raise Fault("The server's key holds characters that no key has. Copy the key again.")
        self._address = one_line(base_url, 200)
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._place, listed = self._found(base_url, allow_remote)
        self.model = model or self._only(listed)
        self._prompts = prompts
        self._hears = True
        self._asking = Asking(
            f"The server at {self._address}", meter, concurrency=concurrency, deadline=deadline, backoff=backoff
        )
        self._http = connection.client(deadline, concurrency, through_proxies=False)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def describe(self, material: Material) -> Caption:
        """One line of words. Raises Blocked, Declined or Unanswered for this file, a Fault for all of them."""
        if material.medium == "audio" and not self._hears:
            raise Declined("no audio")
        if material.medium == "pdf" or (material.medium == "video" and not material.frames):
            raise Declined(f"no {material.medium}")
        question = _Question(material, self._prompts[material.medium])
        return await self._asking.caption(lambda: self._ask(question), question.estimate)

    async def _ask(self, question: _Question) -> Outcome:
        """One request, and what came of it."""
        http = connection.library()
        body = {"model": self.model, "messages": question.messages(), "max_tokens": question.room, "stream": False}
        try:
            response = await self._http.post(
                f"{self._place.url}/chat/completions",
                json=body,
                headers={**self._place.headers, **self._headers},
                extensions=self._place.extensions,
            )
        except http.RequestError as error:
            if connection.was_not_sent(error):
                return Outcome(Again(Fault(self._not_running())), NOTHING)
            late = isinstance(error, http.TimeoutException)
            return unanswered("no answer in time", None, BILLED_ATTEMPTS) if late else unanswered("connection", None)
        answer = _object(response.content)
        if response.status_code == 200:
            return question.answered(answer)
        return self._refused(question.material, response.status_code, response.headers, answer)

    def _refused(self, material: Material, code: int, headers: Mapping[str, str], answer: dict[str, Any]) -> Outcome:
        """What a status means; servers differ in their codes, so some of what they say has to be read."""
        error = answer.get("error")
        said = error if isinstance(error, dict) else {"message": error if isinstance(error, str) else ""}
        missing = _NO_SUCH_INPUT.search(str(said.get("message"))[:2000])
        billed = NOTHING if code < 500 else None
        if missing or (material.medium == "audio" and code in (400, 415, 422, 501)):
            kind = (missing[1] or missing[2]).lower() if missing else "audio"
            return Outcome(self._cannot(kind, material), billed)
        if code == 400 and _is_too_long(said):
            return Outcome(Declined("context too long"), billed)
        if code == 429:
            return Outcome(SlowDown(_seconds(headers.get("Retry-After", ""))), billed)
        if code == 503:
            return Outcome(Again(Unanswered("server error"), LOADING_ATTEMPTS), billed)
        if code == 408 or code >= 500:
            return unanswered("server error", billed)
        if code < 300:
            return unanswered("broken answer", billed, BILLED_ATTEMPTS)
        return Outcome(self._meaning(code), billed)

    def _cannot(self, kind: str, material: Material) -> Fault | Declined:
        """The model does not hear: then recordings are left out. If it does not see, it is the wrong model."""
        if kind == "audio" and material.medium == "audio":
            self._hears = False
            return Declined("no audio")
        if kind == "image":
            return Fault(
                f"The model {one_line(self.model, 80)!r} at {self._address} takes no pictures. Serve one that does, "
                "and name it with --model."
            )
        return Declined("declined")

    def _meaning(self, code: int) -> Fault | Declined:
        """What is wrong with every request, or with this one."""
        if code in (401, 403):
            return Fault(f"The server at {self._address} refused the key. Check it and start describe again.")
        if code in (404, 405):
            return Fault(
                f"The server at {self._address} knows no model named {one_line(self.model, 80)!r}, or the address is "
                "not the one of its OpenAI protocol. Check --model and --base-url."
            )
        if code < 400:
            return Fault(f"The server at {self._address} answered with a redirect, which is refused.")
        return Declined("too large" if code == 413 else "declined")

    def _found(self, base_url: str, allow_remote: bool) -> tuple[Place, list[str]]:
        """The first address at which the server answers, and the models that it lists."""
        for place in places(base_url, allow_remote=allow_remote):
            answer = self._listing(place)
            if answer is not None:
                code, body = answer
                if code in (401, 403) or 300 <= code < 400:
                    raise self._meaning(code)
                return place, _models(_object(body)) if code == 200 else []
        raise Fault(self._not_running())

    def _listing(self, place: Place) -> tuple[int, bytes] | None:
        """Status and body of the list of models, None where nobody answers."""
        http = connection.library()
        until = time.monotonic() + LISTING_SECONDS
        body = b""
        try:
            with (
                http.Client(trust_env=False, follow_redirects=False, timeout=LISTING_SECONDS) as client,
                client.stream(
                    "GET",
                    f"{place.url}/models",
                    headers={**connection.HEADERS, **place.headers, **self._headers},
                    extensions=place.extensions,
                ) as response,
            ):
                for piece in response.iter_raw():
                    body += piece
                    if len(body) > connection.LONGEST_ANSWER or time.monotonic() > until:
                        return None
                return response.status_code, body
        except http.RequestError:
            return None

    def _not_running(self) -> str:
        return (
            f"No server answers at {self._address}. Start it (for Ollama: ollama serve), or name another with "
            "--base-url, and start describe again."
        )

    def _only(self, listed: list[str]) -> str:
        if len(listed) == 1:
            return listed[0]
        if not listed:
            raise Fault(f"The server at {self._address} lists no model. Name the one to ask with --model.")
        names = ", ".join(one_line(model, 60) for model in listed[:8])
        raise Fault(f"The server at {self._address} has several models ({names}); name one with --model.")


class _Question:
    """One file, and what is known of asking about it: more room is given once an answer did not fit."""

    def __init__(self, material: Material, prompt: str) -> None:
        self.material = material
        self.room = prices.output_room(material.medium, material.seconds)
        self._prompt = prompt
        self._has_more_room = False

    def estimate(self) -> Usage:
        """An upper bound of what the next request uses; each frame is a picture."""
        material = self.material
        most = prices.estimate(
            "image" if material.medium == "video" else material.medium,
            seconds=material.seconds,
            text_bytes=len(material.content),
            prompt_bytes=len(self._prompt.encode("utf-8", "replace")),
        )
        more_frames = prices.IMAGE_TOKENS * max(len(material.frames) - 1, 0)
        return Usage(most.input_tokens + more_frames, self.room)

    def messages(self) -> list[dict[str, Any]]:
        """The prompt and the media as the one message of a conversation; many small models know no system prompt."""
        text = {"type": "text", "text": self._prompt}
        return [{"role": "user", "content": [text, *self._media()]}]

    def _media(self) -> list[dict[str, Any]]:
        material = self.material
        match material.medium:
            case "image":
                return [_picture(material.mime_type, material.content)]
            case "video":
                return [_picture("image/jpeg", frame) for frame in material.frames]
            case "audio":
                form = {"audio/mpeg": "mp3"}.get(material.mime_type, "wav")
                return [{"type": "input_audio", "input_audio": {"data": _base64(material.content), "format": form}}]
            case _:
                return [{"type": "text", "text": document(material.content)}]

    def answered(self, answer: dict[str, Any]) -> Outcome:
        """What an answer holds: words, a refusal, or nothing that can be used."""
        billed = _usage(answer.get("usage"))
        choices = answer.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        message = choice.get("message")
        content = message.get("content") or "" if isinstance(message, dict) else None
        if choice.get("finish_reason") == "content_filter":
            return Outcome(Blocked("content_filter"), billed)
        if not isinstance(content, str):
            return unanswered("broken answer", billed, BILLED_ATTEMPTS)
        cut = choice.get("finish_reason") == "length"
        if cut and not self._has_more_room:
            self._has_more_room = True
            self.room *= 2
            return Outcome(Again(Unanswered("answer too long")), billed)
        caption = caption_from(_THOUGHTS.sub(" ", content), self.material.medium, cut)
        if caption is None and cut:
            return Outcome(Declined("answer too long"), billed)
        return Outcome(caption, billed) if caption else unanswered("empty answer", billed, EMPTY_ATTEMPTS)


def _picture(mime_type: str, content: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{mime_type};base64,{_base64(content)}"}}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is, {} where it is none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _models(listing: dict[str, Any]) -> list[str]:
    entries = listing.get("data")
    names = [entry.get("id") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [name for name in names if isinstance(name, str) and name]


def _usage(usage: Any) -> Usage | None:
    """The tokens that the server counted, None if it did not."""
    if not isinstance(usage, dict):
        return None
    sent, answered = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (isinstance(sent, int) and isinstance(answered, int) and sent >= 0 and answered >= 0):
        return None
    return Usage(sent, answered)


def _is_too_long(said: Mapping[str, Any]) -> bool:
    if said.get("code") in _TOO_LONG or said.get("type") in _TOO_LONG:
        return True
    return _TOO_LONG_WORDS.search(str(said.get("message"))[:2000]) is not None


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,6}", text.strip(), re.ASCII) else None
