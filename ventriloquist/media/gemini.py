"""The captioner that asks Google's Gemini.

The library's own retries are off (see `retrying`). Media goes inline in the request, so that no file is left on
Google's side; redirects are refused, since a followed one would carry the key to another host.
"""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
from ventriloquist.media.pages import most_pages
from ventriloquist.media.prompts import document
from ventriloquist.media.retrying import (
    BILLED_ATTEMPTS,
    EMPTY_ATTEMPTS,
    Again,
    Asking,
    Outcome,
    SlowDown,
    unanswered,
)
from ventriloquist.media.words import Medium
from ventriloquist.text import one_line

if TYPE_CHECKING:
    from google.genai import types

ADDRESS = "https://generativelanguage.googleapis.com/"
DEADLINE_SECONDS = 180.0

_BLOCKED = frozenset(
    {
        "SAFETY",
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "RECITATION",
        "LANGUAGE",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
    }
)
_HARMS = (
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
)
_NOT_BILLED = frozenset({*range(300, 500), 500, 503}) - {408, 499}
"""Errors that Google does not bill (ai.google.dev/gemini-api/docs/billing); a gateway's 502 and 504 and a request that
was given up may hide an answer that it does."""
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""What the library trips over in a body: no JSON, no UTF-8, numbers and nesting without end, another shape."""
_FIELD = "description"


class GeminiCaptioner:
    """Describes media with a Gemini model; safe for as many concurrent `describe`s as it was told.

    `prompts` are whole, see `prompts.prompts`. `deadline` bounds one request in seconds, whatever the server does;
    `backoff` is the first wait of a retry.
    """

    provider = "gemini"

    def __init__(
        self,
        api_key: str,
        model: str,
        *,
        meter: Meter,
        prompts: Mapping[Medium, str],
        concurrency: int = 8,
        base_url: str = ADDRESS,
        deadline: float = DEADLINE_SECONDS,
        backoff: float = 1.0,
    ) -> None:
        from google import genai
        from google.genai import types

        if not (api_key.isascii() and api_key.isprintable()):
            raise Fault("GEMINI_API_KEY holds characters that no key has. Copy the key again.")
        # The library warns of values it does not know in the server's own words, which are not for a terminal.
        warnings.filterwarnings("ignore", module=r"google\.genai\.")
        self.model = model
        self._prompts = prompts
        self._asking = Asking("Gemini", meter, concurrency=concurrency, deadline=deadline, backoff=backoff)
        self._http = connection.client(deadline, concurrency, through_proxies=True)
        self._client = genai.Client(
            api_key=api_key,
            vertexai=False,
            http_options=types.HttpOptions(
                base_url=base_url,  # always explicit, so that no variable of the library can send the key elsewhere
                api_version="v1beta",
                timeout=int(deadline * 1000),
                httpx_async_client=self._http,
            ),
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aio.aclose()
        self._client.close()
        await self._http.aclose()

    async def describe(self, material: Material) -> Caption:
        """One line of words. Raises Blocked, Declined or Unanswered for this file, a Fault for all of them."""
        pages = await asyncio.to_thread(most_pages, material.content) if material.medium == "pdf" else 0
        question = _Question(material, self._prompts[material.medium], pages)
        return await self._asking.caption(lambda: self._ask(question), question.estimate)

    async def _ask(self, question: _Question) -> Outcome:
        """One request, and what came of it."""
        from google.genai import errors, types

        http = connection.library()
        try:
            response = await self._client.aio.models.generate_content(
                model=self.model,
                contents=[types.Content(role="user", parts=[_part(question.material)])],
                config=self._config(question),
            )
        except errors.APIError as error:
            return self._refused(error)
        except http.TimeoutException as error:
            return unanswered("no answer in time", _billed(error), BILLED_ATTEMPTS)
        except http.RequestError as error:
            return unanswered("connection", _billed(error))
        except _UNREADABLE:
            return unanswered("broken answer", None, BILLED_ATTEMPTS)
        return question.answered(response)

    def _config(self, question: _Question) -> types.GenerateContentConfig:
        from google.genai import types

        thinking = types.ThinkingConfig(thinking_level=types.ThinkingLevel.MINIMAL)
        return types.GenerateContentConfig(
            system_instruction=question.prompt,
            response_mime_type="application/json",
            response_schema={
                "type": "OBJECT",
                "properties": {_FIELD: {"type": "STRING"}},
                "required": [_FIELD],
            },
            max_output_tokens=question.room,
            media_resolution=types.MediaResolution.MEDIA_RESOLUTION_LOW,
            thinking_config=thinking if self.model.removeprefix("models/").startswith("gemini-3") else None,
            safety_settings=[
                types.SafetySetting(category=types.HarmCategory(harm), threshold=types.HarmBlockThreshold.OFF)
                for harm in _HARMS
            ],
        )

    def _refused(self, error: Any) -> Outcome:
        """What an error of the service means, by its code and its typed details."""
        code = error.code if isinstance(error.code, int) else 0
        billed = NOTHING if code in _NOT_BILLED else None
        if code == 408 or code >= 500:
            return unanswered("server error", billed)
        if code < 300:
            return unanswered("broken answer", billed, BILLED_ATTEMPTS)
        details = _details(error.details)
        if code == 429 and not _is_day_over(details):
            return Outcome(SlowDown(_retry_delay(details)), billed)
        return Outcome(self._meaning(code, error.status, details), billed)

    def _meaning(self, code: int, status: Any, details: list[Mapping[str, Any]]) -> Fault | Declined:
        """What is wrong with every request, or with this one."""
        if code in (401, 403) or any(detail.get("reason") == "API_KEY_INVALID" for detail in details):
            return Fault(
                "Gemini refused the key. Check GEMINI_API_KEY (in the environment or .env) and start describe again."
            )
        if code == 429:
            return Fault("Today's Gemini quota is used up. What is described is kept; start describe again tomorrow.")
        if code == 402:
            return Fault("The credit of this Gemini account is used up. Add some and start describe again.")
        if code == 404:
            return Fault(f"Gemini knows no model named {one_line(self.model, 80)!r}. Name another with --model.")
        if status == "FAILED_PRECONDITION":
            return Fault("Gemini does not serve this account here: it may need billing, or your country is left out.")
        if code < 400:
            return Fault("Gemini's address answered with a redirect, which is refused because it would take the key.")
        return Declined("too large" if code == 413 else "declined")


class _Question:
    """One file, and what is known of asking about it: more room is given once an answer did not fit."""

    def __init__(self, material: Material, prompt: str, pages: int) -> None:
        self.material = material
        self.prompt = prompt
        self.room = prices.output_room(material.medium, material.seconds)
        self._pages = pages
        self._has_more_room = False

    def estimate(self) -> Usage:
        """An upper bound of what the next request uses."""
        most = prices.estimate(
            self.material.medium,
            seconds=self.material.seconds,
            pages=self._pages,
            text_bytes=len(self.material.content),
            prompt_bytes=len(self.prompt.encode("utf-8", "replace")),
        )
        return Usage(most.input_tokens, self.room)

    def answered(self, response: types.GenerateContentResponse) -> Outcome:
        """What a well-formed response holds: words, a block, or nothing that can be used."""
        billed = _usage(response)
        feedback = response.prompt_feedback
        if feedback and feedback.block_reason:
            return Outcome(Blocked(_name(feedback.block_reason)), billed)
        candidate = response.candidates[0] if response.candidates else None
        reason = _name(candidate.finish_reason) if candidate and candidate.finish_reason else ""
        if reason in _BLOCKED:
            return Outcome(Blocked(reason), billed)
        parts = candidate.content.parts if candidate and candidate.content else None
        text = "".join(part.text for part in parts or [] if part.text and not part.thought)
        if reason == "MAX_TOKENS":
            return self._cut_off(text, billed)
        if not text.strip():
            return unanswered("empty answer", billed, EMPTY_ATTEMPTS)
        words = _words(text)
        if words is None:
            return unanswered("broken answer", billed, BILLED_ATTEMPTS)
        caption = caption_from(words, self.material.medium)
        return Outcome(caption, billed) if caption else unanswered("empty answer", billed, EMPTY_ATTEMPTS)

    def _cut_off(self, text: str, billed: Usage | None) -> Outcome:
        """An answer that did not fit: asked for once with more room; what comes then is kept, whole or not."""
        if not self._has_more_room:
            self._has_more_room = True
            self.room *= 2
            return Outcome(Again(Unanswered("answer too long")), billed)
        caption = caption_from(_beginning(text), self.material.medium, cut=True)
        return Outcome(caption or Declined("answer too long"), billed)


def _part(material: Material) -> types.Part:
    """The media as a part of the request."""
    from google.genai import types

    if material.medium != "text":
        return types.Part.from_bytes(data=material.content, mime_type=material.mime_type)
    return types.Part.from_text(text=document(material.content))


def _billed(error: BaseException) -> Usage | None:
    return NOTHING if connection.was_not_sent(error) else None


def _usage(response: types.GenerateContentResponse) -> Usage | None:
    """The tokens that the service says it bills, None where it does not say."""
    usage = response.usage_metadata
    if usage is None or usage.prompt_token_count is None:
        return None
    tokens_in = usage.prompt_token_count + (usage.tool_use_prompt_token_count or 0)
    return Usage(max(tokens_in, 0), max((usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0), 0))


def _details(body: Any) -> list[Mapping[str, Any]]:
    """The typed details of an error's body, [] where it has another shape."""
    error = body.get("error", body) if isinstance(body, Mapping) else {}
    details = error.get("details") if isinstance(error, Mapping) else None
    return [detail for detail in details if isinstance(detail, Mapping)] if isinstance(details, list) else []


def _is_day_over(details: list[Mapping[str, Any]]) -> bool:
    """True if what is used up is the quota of a day, which no waiting of ours brings back."""
    for detail in details:
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else []:
            if isinstance(violation, Mapping) and "PerDay" in str(violation.get("quotaId")):
                return True
    return False


def _retry_delay(details: list[Mapping[str, Any]]) -> float | None:
    """Seconds that the service asks to wait, a protobuf duration such as "3s" or "0.5s"; None if it asks for none."""
    for detail in details:
        if str(detail.get("@type", "")).endswith("RetryInfo"):
            duration = str(detail.get("retryDelay"))
            if re.fullmatch(r"\d{1,6}(\.\d{1,9})?s", duration, re.ASCII):
                return float(duration[:-1])
    return None


def _words(text: str) -> str | None:
    """The description in a whole answer, None if it has another shape."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    words = answer.get(_FIELD) if isinstance(answer, dict) else None
    return words if isinstance(words, str) else None


def _beginning(text: str) -> str:
    """The description in an answer that was cut off within it, as far as it goes."""
    whole = _words(text)
    if whole is not None:
        return whole
    begun = re.match(rf'\s*\{{\s*"{_FIELD}"\s*:\s*"((?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{{4}})*)', text)
    words = json.loads(f'"{begun[1]}"', strict=False) if begun else ""
    return str(words)


def _name(reason: Any) -> str:
    """A reason's name for the record; one that nobody knows may be any words of the server's."""
    name = str(getattr(reason, "value", reason))
    return name if re.fullmatch(r"[A-Z_]{1,40}", name) else "BLOCKED"
