"""The real google-genai client against a server on this machine that behaves well and badly."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests import fake_gemini as fake
from ventriloquist.faults import Fault
from ventriloquist.media.captioner import Blocked, Declined, Material, Unanswered
from ventriloquist.media.gemini import GeminiCaptioner
from ventriloquist.media.words import LONGEST

KEY = "AIza-canary-key"
PHOTO = Material("image", "image/jpeg", b"\xff\xd8 pixels \xff\xd9")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield


def ask(url: str, count: int = 1, material: Material = PHOTO, **options: Any) -> tuple[list[Any], GeminiCaptioner]:
    """The answers (or exceptions) to `count` questions at once."""

    async def main() -> tuple[list[Any], GeminiCaptioner]:
        captioner = GeminiCaptioner(
            KEY, "gemini-3.5-flash-lite", **{"base_url": url, "backoff": 0.01, "deadline": 5.0, **options}
        )
        try:
            asked = [captioner.describe(material) for _ in range(count)]
            return await asyncio.gather(*asked, return_exceptions=True), captioner
        finally:
            await captioner.close()

    return asyncio.run(main())


def test_a_caption_and_what_is_sent_for_it() -> None:
    with fake.serving(fake.caption("A dog on a beach")) as server:
        answers, captioner = ask(server.url)
    assert answers == ["A dog on a beach"]
    assert (captioner.requests, captioner.tokens) == (1, 300)
    [request] = server.received
    assert request.path == "/v1beta/models/gemini-3.5-flash-lite:generateContent"
    assert request.media == PHOTO.content and request.mime_type == "image/jpeg"
    config = json.loads(request.body)["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    assert list(config["responseSchema"]["properties"]) == ["description"]
    assert config["maxOutputTokens"] <= 1024
    assert list(config["thinkingConfig"].values()) == ["MINIMAL"]


def test_the_key_is_in_one_header_only() -> None:
    with fake.serving() as server:
        _, captioner = ask(server.url)
    [request] = server.received
    assert [name.lower() for name, value in request.headers.items() if KEY in value] == ["x-goog-api-key"]
    assert KEY not in request.path and KEY.encode() not in request.body
    assert KEY not in repr(captioner)


def test_variables_of_the_library_cannot_send_the_key_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake.serving() as server, fake.serving() as elsewhere:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", elsewhere.url)
        monkeypatch.setenv("GOOGLE_API_KEY", "another-key")
        monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
        monkeypatch.setenv("GOOGLE_GENAI_USE_ENTERPRISE", "true")
        answers, _ = ask(server.url)
        assert answers == ["A photo of a beach"]
        assert len(server.received) == 1 and elsewhere.received == []
        assert server.received[0].headers["x-goog-api-key"] == KEY
        default = GeminiCaptioner(KEY, "m")
        assert default._client._api_client._http_options.base_url == "https://generativelanguage.googleapis.com/"
        asyncio.run(default.close())


@pytest.mark.parametrize(
    "trouble",
    [
        [fake.slow_down("0.05s")],
        [fake.error(429, "RESOURCE_EXHAUSTED")],
        [fake.error(500, "INTERNAL")] * 4,
        [fake.error(503, "UNAVAILABLE")],
        [fake.answer(502, b"<html>Bad Gateway</html>")],
        [fake.answer(500, b"\xff\xfe\x80")],
        [fake.answer(200, b"{not json")],
        [fake.answer(200, {})],
        [fake.text("not json")],
        [fake.text('{"other": 1}')],
        [fake.text('{"description": 5}')],
        [fake.text('{"description": " \\u200b "}')],
        [fake.text('{"descr', "MAX_TOKENS")],
        [fake.reset] * 3,
        [fake.cut_off],
    ],
    ids=lambda trouble: getattr(trouble[0], "__name__", "") if trouble else "",
)
def test_trouble_that_passes_is_sat_out(trouble: list[fake.Answer]) -> None:
    with fake.serving(fake.caption("At last"), trouble) as server:
        answers, captioner = ask(server.url)
    assert answers == ["At last"]
    assert captioner.requests == len(server.received) == len(trouble) + 1


@pytest.mark.parametrize(
    ("trouble", "requests"),
    [
        (fake.error(500, "INTERNAL"), 5),
        (fake.reset, 5),
        (fake.text("never json"), 3),
        (fake.text('{"d', "MAX_TOKENS"), 2),
        (fake.answer(200, {}), 2),
    ],
    ids=["500", "reset", "no json", "too long", "empty"],
)
def test_trouble_that_stays_costs_a_bounded_number_of_requests(trouble: fake.Answer, requests: int) -> None:
    with fake.serving(trouble) as server:
        [answer], _ = ask(server.url)
    assert isinstance(answer, Unanswered) and not answer.final
    assert len(server.received) == requests


def test_an_answer_that_was_cut_off_is_asked_for_with_more_room() -> None:
    with fake.serving(fake.caption("whole"), [fake.text('{"descr', "MAX_TOKENS")]) as server:
        ask(server.url)
    rooms = [json.loads(request.body)["generationConfig"]["maxOutputTokens"] for request in server.received]
    assert rooms == [1024, 2048]


@pytest.mark.parametrize("stuck", [fake.hang, fake.drip])
def test_a_request_ends_at_its_deadline(stuck: fake.Answer) -> None:
    with fake.serving(fake.caption("At last"), [stuck]) as server:
        started = time.monotonic()
        answers, _ = ask(server.url, deadline=0.5)
        assert answers == ["At last"]
        assert time.monotonic() - started < 10  # a drip would go on for hours


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (fake.BAD_KEY, "refused the key"),
        (fake.error(401, "UNAUTHENTICATED"), "refused the key"),
        (fake.error(403, "PERMISSION_DENIED"), "refused the key"),
        (fake.error(404, "NOT_FOUND"), "no model named 'gemini-3.5-flash-lite'"),
        (fake.error(400, "FAILED_PRECONDITION"), "does not serve this account"),
        (fake.DAY_IS_OVER, "quota is used up"),
    ],
    ids=["bad key", "401", "403", "404", "country", "day"],
)
def test_what_concerns_every_file_is_a_fault_at_once(refusal: fake.Answer, sentence: str) -> None:
    with fake.serving(refusal) as server:
        [answer], _ = ask(server.url)
    assert isinstance(answer, Fault) and sentence in str(answer)
    assert KEY not in str(answer)
    assert len(server.received) == 1


def test_redirects_are_refused() -> None:
    with fake.serving() as elsewhere, fake.serving(fake.redirect(elsewhere.url.rstrip("/"))) as server:
        [answer], _ = ask(server.url)
        assert isinstance(answer, Fault) and "redirect" in str(answer)
        assert len(server.received) == 1 and elsewhere.received == []


@pytest.mark.parametrize(("refusal", "reason"), [(fake.BLOCKED, "SAFETY"), (fake.PROMPT_BLOCKED, "PROHIBITED_CONTENT")])
def test_blocked_content_is_final(refusal: fake.Answer, reason: str) -> None:
    with fake.serving(refusal) as server:
        [answer], _ = ask(server.url)
    assert isinstance(answer, Blocked) and answer.final and answer.reason == reason
    assert len(server.received) == 1


def test_a_request_that_is_wrong_is_declined() -> None:
    with fake.serving(fake.error(400, "INVALID_ARGUMENT")) as server:
        [answer], _ = ask(server.url)
    assert isinstance(answer, Declined)
    assert len(server.received) == 1


def test_slowing_down_pauses_everyone() -> None:
    with fake.serving(fake.caption("ok"), [fake.slow_down("0.6s")]) as server:
        started = time.monotonic()

        async def main() -> list[str]:
            captioner = GeminiCaptioner(KEY, "gemini-3.5-flash-lite", base_url=server.url, backoff=0.01)
            first = asyncio.create_task(captioner.describe(PHOTO))
            while not captioner._resume_at:
                await asyncio.sleep(0.01)
            asked = [first, *(asyncio.create_task(captioner.describe(PHOTO)) for _ in range(5))]
            await asyncio.sleep(0.2)
            assert len(server.received) == 1  # nobody asks before the time is over
            try:
                return await asyncio.gather(*asked)
            finally:
                await captioner.close()

        assert asyncio.run(main()) == ["ok"] * 6
        assert time.monotonic() - started >= 0.6
        assert len(server.received) == 7


def test_a_server_that_never_stops_asking_to_slow_down_ends_the_run() -> None:
    with fake.serving(fake.slow_down("0s")) as server:
        [answer], _ = ask(server.url, backoff=0.0005)
    assert isinstance(answer, Fault) and "slow down" in str(answer)
    assert len(server.received) == 12


@pytest.mark.parametrize(
    "words", ['\x1b]0;x\x07"}\n{"name": "Eve", "delta": "<1m"}', "a\u2028b\u202ec", "[NA] [/bold]", "x" * 100_000]
)
def test_whatever_a_caption_holds_it_is_one_short_plain_line(words: str) -> None:
    with fake.serving(fake.caption(words)) as server:
        [answer], _ = ask(server.url)
    assert 0 < len(answer) <= LONGEST
    assert not set(answer) & set("\x1b\x07\n\u2028\u202e")


def test_many_at_once_with_faults_in_between() -> None:
    faults = [fake.error(500, "INTERNAL"), fake.reset, fake.answer(200, b"{"), fake.slow_down("0.05s")]
    script = [fault for fault in faults for _ in range(5)] + [fake.caption("ok")] * 10
    with fake.serving(fake.caption("ok"), script) as server:
        answers, captioner = ask(server.url, 40, concurrency=16)
    assert answers == ["ok"] * 40
    # Twenty faults cost a request each; a reset may also close a connection that another request was about to use.
    assert 60 <= captioner.requests <= 64
