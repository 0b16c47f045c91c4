"""The captioner for servers of one's own, against one on this machine that behaves well and badly."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import time
import traceback
from typing import Any

import pytest

from tests import fake_gemini
from tests import fake_openai as fake
from tests.metering import TallyMeter
from ventriloquist.faults import Fault
from ventriloquist.media.captioner import NOTHING, Blocked, Caption, Declined, Material, Unanswered, Usage
from ventriloquist.media.openai_compatible import OpenAICompatibleCaptioner
from ventriloquist.media.prompts import GUARD, prompts
from ventriloquist.media.words import LONGEST

KEY = "sk-canary-key"
PHOTO = Material("image", "image/jpeg", b"\xff\xd8 pixels \xff\xd9")
MEMO = Material("audio", "audio/mpeg", b"sound", seconds=20)
BILLED = Usage(200, 30)
TOO_LONG = "This model's maximum context length is 2048 tokens"


def captioner_at(url: str, meter: TallyMeter | None = None, **options: Any) -> OpenAICompatibleCaptioner:
    settings = {"prompts": prompts({}), "backoff": 0.01, "deadline": 5.0, "base_url": url}
    return OpenAICompatibleCaptioner(meter=meter or TallyMeter(), **{**settings, **options})


def ask(url: str, count: int = 1, material: Material = PHOTO, **options: Any) -> tuple[list[Any], TallyMeter]:
    """The captions (or exceptions) of `count` questions at once, and the meter, all settled."""
    meter = TallyMeter()

    async def main() -> list[Any]:
        captioner = captioner_at(url, meter, **options)
        try:
            asked = [captioner.describe(material) for _ in range(count)]
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await captioner.close()

    answers = asyncio.run(main())
    assert meter.requests == len(meter.settled)
    return answers, meter


def test_a_picture_is_sent_in_the_request_and_told() -> None:
    with fake.serving(fake.saying(" A dog\non a beach ")) as server:
        answers, meter = ask(server.url)
    assert answers == [Caption("A dog on a beach", BILLED)] and meter.used == BILLED
    [request] = server.received
    assert request.path == "/v1/chat/completions"
    body = json.loads(request.body)
    assert (body["model"], body["stream"], body["max_tokens"]) == ("local-model", False, 1024)
    prompt, picture = fake.content_of(request)
    assert prompt["text"].endswith(GUARD)
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64" and base64.b64decode(data) == PHOTO.content


def test_a_video_is_shown_as_its_frames() -> None:
    video = Material("video", "video/mp4", b"moving", seconds=15, frames=(b"one", b"two", b"three"))
    with fake.serving() as server:
        [answer], meter = ask(server.url, material=video)
        [lacking], _ = ask(server.url, material=Material("video", "video/mp4", b"moving"))
    assert answer.text == "A photo of a beach"
    _, *frames = fake.content_of(server.received[0])
    sent = [base64.b64decode(frame["image_url"]["url"].partition(",")[2]) for frame in frames]
    assert sent == [b"one", b"two", b"three"] and b"moving" not in server.received[0].body
    assert meter.reserved[1].input_tokens > 3 * 1120
    assert isinstance(lacking, Declined) and lacking.reason == "no video" and len(server.received) == 1


def test_a_document_is_sent_as_words_and_a_pdf_not_at_all() -> None:
    with fake.serving() as server:
        ask(server.url, material=Material("text", "text/plain", b"the minutes"))
        [answer], meter = ask(server.url, material=Material("pdf", "application/pdf", b"%PDF-"))
    [request] = server.received
    assert "\nthe minutes\n" in fake.content_of(request)[1]["text"]
    assert isinstance(answer, Declined) and answer.reason == "no pdf" and meter.requests == 0


def test_a_recording_is_sent_to_a_server_that_hears() -> None:
    with fake.serving(fake.saying("Hello, it is me.")) as server:
        [answer], _ = ask(server.url, material=MEMO)
    assert answer.text == "Hello, it is me."
    sound = fake.content_of(server.received[0])[1]["input_audio"]
    assert sound["format"] == "mp3" and base64.b64decode(sound["data"]) == b"sound"


@pytest.mark.parametrize(
    "refusal",
    [
        fake.error(500, "audio input is not supported - hint: you may need to provide the mmproj", type="server_error"),
        fake.error(400, "At most 0 audio(s) may be provided in one request.", type="BadRequestError"),
        fake.error(400, "invalid message format"),
        fake.error(422, "input_audio"),
        fake.error(501, "not_supported_error"),
    ],
)
def test_a_server_that_does_not_hear_is_asked_once(refusal: fake_gemini.Answer) -> None:
    async def main(url: str) -> None:
        captioner = captioner_at(url)
        for _ in range(3):
            with pytest.raises(Declined, match="no audio"):
                await captioner.describe(MEMO)
        assert (await captioner.describe(PHOTO)).text == "A photo of a beach"
        await captioner.close()

    with fake.serving(script=[refusal]) as server:
        asyncio.run(main(server.url))
    assert len(server.received) == 2


def test_a_model_that_does_not_see_ends_the_run() -> None:
    blind = fake.error(500, "image input is not supported - hint: you may need to provide the mmproj")
    with fake.serving(blind) as server:
        [answer], _ = ask(server.url)
    assert isinstance(answer, Fault) and "takes no pictures" in str(answer) and "'local-model'" in str(answer)
    assert len(server.received) == 1


def test_the_key_is_optional_and_in_one_header_only() -> None:
    with fake.serving() as server:
        ask(server.url)
        ask(server.url, api_key=KEY)
        captioner = captioner_at(server.url, api_key=KEY)
        assert KEY not in repr(captioner) + repr(captioner._http) + repr(captioner._asking)
        asyncio.run(captioner.close())
    without, with_key = server.received
    assert "authorization" not in {name.lower() for name in without.headers}
    for request in (with_key, server.listed[1]):
        assert [name.lower() for name, value in request.headers.items() if KEY in value] == ["authorization"]
        assert KEY.encode() not in request.body
    with pytest.raises(Fault, match="no key has"):
        captioner_at("http://127.0.0.1:9", api_key="sk\n")


@pytest.mark.parametrize("code", [301, 400, 401, 404, 429, 500])
def test_what_a_server_says_reaches_no_exception_and_no_log(code: int, caplog: pytest.LogCaptureFixture) -> None:
    refusal = fake.error(code, f"no {KEY} for canary-words \x1b[31m")
    with fake.serving(refusal) as server, caplog.at_level(logging.DEBUG):
        [answer], _ = ask(server.url, api_key=KEY, backoff=0.0001)
    told = "".join(traceback.format_exception(answer)) + repr(answer) + caplog.text
    assert KEY not in told and "canary-words" not in told
    assert answer.__context__ is None and answer.__cause__ is None


@pytest.mark.parametrize(
    ("trouble", "unknown"),
    [
        ([fake.error(429)], 0),
        ([fake_gemini.answer(429, b"", **{"Retry-After": "0"})], 0),
        ([fake.error(500)] * 4, 4),
        ([fake.error(503, "Loading model", type="unavailable_error")] * 8, 8),
        ([fake_gemini.answer(502, b"<html>")], 1),
        ([fake_gemini.answer(500, b"\xff\xfe\x80")], 1),
        ([fake_gemini.answer(500, {"error": "no"})], 1),
        ([fake_gemini.answer(408, b"")], 0),
        ([fake_gemini.answer(204, b"")], 0),
        ([fake_gemini.answer(200, b"{not json")], 1),
        ([fake_gemini.answer(200, b"\xff\xfe\x80")], 1),
        ([fake_gemini.answer(200, b"[" * 100_000)], 1),
        ([fake_gemini.answer(200, [])], 1),
        ([fake_gemini.answer(200, {})], 1),
        ([fake_gemini.answer(200, {"choices": [5]})], 1),
        ([fake_gemini.answer(200, {"choices": [{"message": "no"}], "usage": [1]})], 1),
        ([fake_gemini.answer(200, {"error": {"message": "no"}})], 1),
        ([fake_gemini.answer(200, b"<html>", **{"Content-Type": "text/html"})], 1),
        ([fake.saying(None)], 0),
        ([fake.saying(" \u200b ")], 0),
        ([fake.saying("<think>Only a thought")], 0),
        ([fake.saying(["a", "list"])], 0),
        ([fake.saying("", usage={"prompt_tokens": -1, "completion_tokens": "5"})], 1),
        ([fake_gemini.reset] * 3, 3),
        ([fake_gemini.reset_within], 1),
        ([fake_gemini.cut_off], 1),
        ([fake_gemini.bomb], 1),
        ([fake_gemini.endless], 1),
    ],
)
def test_trouble_that_passes_is_sat_out(trouble: list[fake_gemini.Answer], unknown: int) -> None:
    with fake.serving(fake.saying("At last"), trouble) as server:
        [answer], meter = ask(server.url, deadline=30, backoff=0.001)
    assert answer == Caption("At last", meter.used)
    assert meter.requests == len(server.received) == len(trouble) + 1
    assert meter.unknown == unknown


@pytest.mark.parametrize("stuck", [fake_gemini.hang, fake_gemini.drip, fake_gemini.slow_headers])
def test_a_request_ends_at_its_deadline(stuck: fake_gemini.Answer) -> None:
    with fake.serving(fake.saying("At last"), [stuck]) as server:
        [answer], meter = ask(server.url, deadline=0.5)
    assert answer.text == "At last" and (meter.requests, meter.unknown) == (2, 1)


@pytest.mark.parametrize(
    ("trouble", "requests", "reason"),
    [
        (fake.error(500), 5, "server error"),
        (fake.error(503), 12, "server error"),
        (fake_gemini.reset, 5, "connection"),
        (fake_gemini.answer(200, b"garbage"), 3, "broken answer"),
        (fake.saying(""), 2, "empty answer"),
    ],
)
def test_trouble_that_stays_costs_a_bounded_number_of_requests(
    trouble: fake_gemini.Answer, requests: int, reason: str
) -> None:
    with fake.serving(trouble) as server:
        [answer], meter = ask(server.url, backoff=0.0001)
    assert isinstance(answer, Unanswered) and answer.reason == reason
    assert len(server.received) == meter.requests == requests


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (fake.error(400, TOO_LONG, type="BadRequestError"), "context too long"),
        (fake.error(400, "the request is too long", type="exceed_context_size_error"), "context too long"),
        (fake_gemini.answer(400, {"error": {"code": "context_length_exceeded"}}), "context too long"),
        (fake.error(413), "too large"),
        (fake.error(400, "invalid image"), "declined"),
    ],
)
def test_a_request_that_is_wrong_is_declined(refusal: fake_gemini.Answer, reason: str) -> None:
    with fake.serving(refusal) as server:
        [answer], meter = ask(server.url)
    assert isinstance(answer, Declined) and answer.reason == reason
    assert len(server.received) == 1 and meter.used == NOTHING and meter.unknown == 0


def test_content_that_the_server_filters_is_blocked() -> None:
    with fake.serving(fake.saying(None, "content_filter")) as server:
        [answer], _ = ask(server.url)
    assert isinstance(answer, Blocked) and answer.final and answer.usage == BILLED


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (fake.error(401), "refused the key"),
        (fake.error(403), "refused the key"),
        (fake.error(404, "model not found"), "no model named 'local-model'"),
    ],
)
def test_what_concerns_every_file_ends_the_run_at_once(refusal: fake_gemini.Answer, sentence: str) -> None:
    with fake.serving(refusal) as server:
        answers, meter = ask(server.url, 20, concurrency=2)
    assert all(isinstance(answer, Fault) and sentence in str(answer) for answer in answers)
    assert len(server.received) == meter.requests <= 2


def test_redirects_are_refused() -> None:
    with fake.serving() as elsewhere:
        away = fake_gemini.redirect(elsewhere.url)
        with fake.serving(away) as server:
            [answer], _ = ask(server.url, api_key=KEY)
        assert isinstance(answer, Fault) and "redirect" in str(answer)
        with fake.serving(models=away) as server, pytest.raises(Fault, match="redirect"):
            captioner_at(server.url, api_key=KEY)
        assert elsewhere.received == elsewhere.listed == []


def test_no_proxy_sees_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake.serving() as proxy, fake.serving() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        answers, _ = ask(server.url)
        assert isinstance(answers[0], Caption) and proxy.received == proxy.listed == []


def test_an_answer_that_was_cut_off_is_asked_for_once_with_more_room() -> None:
    with fake.serving(fake.saying("whole"), [fake.saying("wh", "length")]) as server:
        [answer], _ = ask(server.url)
    assert answer == Caption("whole", BILLED + BILLED)
    assert [json.loads(request.body)["max_tokens"] for request in server.received] == [1024, 2048]
    with fake.serving(fake.saying("begun and", "length")) as server:
        [answer], _ = ask(server.url)
    assert answer == Caption("begun and", BILLED + BILLED, cut=True)
    with fake.serving(fake.saying("<think>for ever", "length")) as server:
        [answer], _ = ask(server.url)
    assert isinstance(answer, Declined) and answer.reason == "answer too long"


def test_thoughts_are_no_part_of_a_caption_and_a_missing_usage_is_unknown() -> None:
    with fake.serving(fake.saying("<think>\nA dog?\n</think>\nA cat \x1b[31mon a sofa.", usage=None)) as server:
        [answer], meter = ask(server.url)
    assert answer == Caption("A cat [31mon a sofa.", NOTHING) and meter.unknown == 1
    with fake.serving(fake.saying("x" * 100_000)) as server:
        [answer], _ = ask(server.url)
    assert len(answer.text) == LONGEST and answer.cut


@pytest.mark.parametrize("named", ["", "some-model"])
def test_the_model_is_the_one_named_or_the_only_one(named: str) -> None:
    with fake.serving() as server:
        captioner = captioner_at(server.url, model=named)
        asyncio.run(captioner.close())
    assert captioner.model == (named or "local-model")


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (fake.listing("a", "b\x1b[31m"), r"several models \(a, b\[31m\)"),
        (fake.listing(), "lists no model"),
        (fake_gemini.answer(404, b"not here"), "lists no model"),
        (fake_gemini.answer(200, b"[" * 100_000), "lists no model"),
        (fake_gemini.answer(200, {"data": [5, {"id": 5}]}), "lists no model"),
        (fake.error(401), "refused the key"),
    ],
)
def test_a_model_that_cannot_be_found_out_has_to_be_named(models: fake_gemini.Answer, sentence: str) -> None:
    with fake.serving(models=models) as server, pytest.raises(Fault, match=sentence):
        captioner_at(server.url)


@pytest.mark.parametrize("models", [fake_gemini.endless, fake_gemini.reset, fake_gemini.cut_off])
def test_a_listing_that_breaks_off_is_no_server(models: fake_gemini.Answer) -> None:
    with fake.serving(models=models) as server, pytest.raises(Fault, match="No server answers"):
        captioner_at(server.url)


def test_a_listing_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ventriloquist.media.openai_compatible.LISTING_SECONDS", 0.5)
    for stuck in (fake_gemini.drip, fake_gemini.hang):
        with fake.serving(models=stuck) as server:
            started = time.monotonic()
            with pytest.raises(Fault, match="No server answers"):
                captioner_at(server.url)
            assert time.monotonic() - started < 5


def test_a_server_that_does_not_run_is_told_in_one_sentence() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(
            Fault, match=r"No server answers at http://127\.0\.0\.1.*Start it .*ollama serve"
        ) as failure:
            captioner_at(url)
    assert failure.value.__context__ is None


def test_a_server_that_ends_in_between_ends_the_run() -> None:
    async def main() -> tuple[list[Any], TallyMeter]:
        meter = TallyMeter()
        with fake.serving() as server:
            captioner = captioner_at(server.url, meter, backoff=0.001)
        answers = await asyncio.gather(*(captioner.describe(PHOTO) for _ in range(4)), return_exceptions=True)
        await captioner.close()
        return answers, meter

    answers, meter = asyncio.run(main())
    assert all(isinstance(answer, Fault) and "No server answers" in str(answer) for answer in answers)
    assert meter.used == NOTHING and meter.unknown == 0


def test_many_at_once_with_faults_in_between() -> None:
    faults = [fake.error(500), fake.error(503), fake.error(429), fake_gemini.reset, fake_gemini.answer(200, b"{")]
    with fake.serving(fake_gemini.three_in_ten(faults, fake.saying("ok"))) as server:
        answers, meter = ask(server.url, 100, concurrency=64, deadline=60)
    assert sum(isinstance(answer, Caption) for answer in answers) >= 97
    assert all(isinstance(answer, (Caption, Unanswered)) for answer in answers)
    assert len(server.received) <= meter.requests <= 150
