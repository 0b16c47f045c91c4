"""A server on this machine that speaks OpenAI's protocol as Ollama, vLLM and llama.cpp do, well and badly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any

from tests import fake_gemini
from tests.fake_gemini import Answer, FakeGemini, Handler, Received, answer

USAGE = {"prompt_tokens": 200, "completion_tokens": 30, "total_tokens": 230}


def saying(content: object, finish: str = "stop", usage: object = USAGE) -> Answer:
    """An answer whose message holds exactly `content`."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return answer(200, {"object": "chat.completion", "choices": [choice], "usage": usage})


def error(code: int, message: str = "no", **more: object) -> Answer:
    """An error as vLLM and llama.cpp write it."""
    return answer(code, {"error": {"message": message, "code": code, **more}})


def listing(*models: str) -> Answer:
    """The models that the server has."""
    return answer(200, {"object": "list", "data": [{"id": model, "object": "model"} for model in models]})


def content_of(request: Received) -> list[dict[str, Any]]:
    """The parts of the one message in a request."""
    [message] = json.loads(request.body)["messages"]
    assert message["role"] == "user"
    parts: list[dict[str, Any]] = message["content"]
    return parts


@contextmanager
def serving(
    always: Answer | None = None,
    script: list[Answer] | None = None,
    models: Answer | None = None,
    tls: SSLContext | None = None,
) -> Iterator[FakeGemini]:
    """A fake on a free port of this machine, whose `url` is the base of the protocol.

    `models` is what it answers to those who ask for its models, who are told apart: `received` holds only the others,
    `listed` these.
    """
    listed = models or listing("local-model")

    class Protocol(Handler):
        def do_GET(self) -> None:
            assert self.path == "/v1/models"
            asked.append(Received(self.path, dict(self.headers), b""))
            listed(self)

    asked: list[Received] = []
    with fake_gemini.serving(always or saying("A photo of a beach"), script, Protocol, tls) as server:
        server.url += "v1"
        server.listed = asked
        yield server
