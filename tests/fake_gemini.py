"""A server on this machine that answers as Gemini does, well and badly, and remembers what it was sent."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, cycle
from socket import SO_LINGER, SOL_SOCKET
from ssl import SSLContext
from typing import Any


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def media(self) -> bytes:
        """The media in it, decoded."""
        return base64.urlsafe_b64decode(self._inline()["data"])

    @property
    def mime_type(self) -> str:
        part = self._inline()
        return str(part.get("mimeType") or part["mime_type"])

    def _inline(self) -> dict[str, Any]:
        return next(p["inlineData"] for p in json.loads(self.body)["contents"][0]["parts"] if "inlineData" in p)


Answer = Callable[["Handler"], None]


@dataclass
class FakeGemini:
    """Gives the answers in `script` one after the other, then `always`."""

    url: str = ""
    always: Answer | None = None
    script: list[Answer] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    listed: list[Received] = field(default_factory=list)
    finished: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_answer(self, request: Received) -> Answer:
        with self.lock:
            self.received.append(request)
            return self.script.pop(0) if self.script else self.always or caption("A photo of a beach")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeGemini

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked = Received(self.path, dict(self.headers), body)
        answer = self.fake.next_answer(self.asked)
        answer(self)

    do_GET = do_POST

    def reply(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def answer(code: int, body: object, **headers: str) -> Answer:
    """That code with that JSON (or those bytes)."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda handler: handler.reply(code, raw, **headers)


USAGE = {"promptTokenCount": 250, "candidatesTokenCount": 40, "thoughtsTokenCount": 10, "totalTokenCount": 300}


def text(content: str, finish: object = "STOP", usage: object = USAGE) -> Answer:
    """A candidate that says exactly `content`."""
    candidate = {"content": {"role": "model", "parts": [{"text": content}]}, "finishReason": finish}
    return answer(200, {"candidates": [candidate], "usageMetadata": usage})


def caption(words: str) -> Answer:
    """A well-formed description."""
    return text(json.dumps({"description": words}))


def caption_of_media(handler: Handler) -> None:
    """A description that tells which media it is for, after a moment."""
    handler.fake.finished.wait(0.02)
    caption(words_for(handler.asked.media))(handler)


def words_for(media: bytes) -> str:
    """What `caption_of_media` says of them."""
    return f"Something like {hashlib.sha256(media).hexdigest()[:12]}"


def error(code: int, status: str, *details: dict[str, Any]) -> Answer:
    """An error of the service with typed details."""
    return answer(code, {"error": {"code": code, "message": "no", "status": status, "details": list(details)}})


BAD_KEY = error(
    400, "INVALID_ARGUMENT", {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
)
BLOCKED = answer(200, {"candidates": [{"finishReason": "SAFETY"}], "usageMetadata": {"promptTokenCount": 250}})
PROMPT_BLOCKED = answer(200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})
DAY_IS_OVER = error(
    429,
    "RESOURCE_EXHAUSTED",
    {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
    },
)


def slow_down(delay: str) -> Answer:
    """429 that names how long to wait."""
    return error(429, "RESOURCE_EXHAUSTED", {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})


def reset(handler: Handler) -> None:
    """Break the connection off without a word."""
    handler.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def reset_within(handler: Handler) -> None:
    """Break the connection off once the status line and a part of the body are out."""
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"candidates": [')
    handler.wfile.flush()
    handler.fake.finished.wait(0.02)
    reset(handler)


def cut_off(handler: Handler) -> None:
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"candidates": [')
    handler.close_connection = True


def hang(handler: Handler) -> None:
    """Say nothing until the test is over."""
    handler.fake.finished.wait(30)
    handler.close_connection = True


def _without_end(piece: bytes, pause: float) -> Answer:
    def send(handler: Handler) -> None:
        while not handler.fake.finished.wait(pause):
            try:
                handler.wfile.write(piece)
                handler.wfile.flush()
            except OSError:
                break
        handler.close_connection = True

    return send


def drip(handler: Handler) -> None:
    """Send one byte at a time, so that no single read takes long."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    _without_end(b" ", 0.05)(handler)


def slow_headers(handler: Handler) -> None:
    """Send one header after the other, and never the last."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    _without_end(b"X-More: yes\r\n", 0.05)(handler)


def endless(handler: Handler) -> None:
    """Send a body that never ends, as fast as it is taken."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    _without_end(b" " * 65536, 0)(handler)


def bomb(handler: Handler) -> None:
    """Send a body of a few kilobytes that unpacks to many megabytes."""
    handler.reply(200, gzip.compress(b" " * 100_000_000), **{"Content-Encoding": "gzip"})


def three_in_ten(faults: list[Answer], otherwise: Answer) -> Answer:
    """Of every ten requests three get one of the faults, in turn; all others are answered."""
    numbers = count()
    troubles = cycle(faults)
    lock = threading.Lock()

    def send(handler: Handler) -> None:
        with lock:
            answer = next(troubles) if next(numbers) % 10 in (1, 4, 8) else otherwise
        answer(handler)

    return send


def redirect(url: str) -> Answer:
    """307 to another place."""
    return lambda handler: handler.reply(307, b"", Location=url + handler.path)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # as many may connect at once as any test does; five is what is usual

    def handle_error(self, *_: object) -> None:
        """Clients that give up are expected."""


@contextmanager
def serving(
    always: Answer | None = None,
    script: list[Answer] | None = None,
    handles: type[Handler] = Handler,
    tls: SSLContext | None = None,
) -> Iterator[FakeGemini]:
    """A fake on a free port of this machine."""
    fake = FakeGemini(always=always, script=list(script or []))
    handler = type("BoundHandler", (handles,), {"fake": fake})
    server = Server(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    fake.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.finished.set()
        server.shutdown()
        server.server_close()
