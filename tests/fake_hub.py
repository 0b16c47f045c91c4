"""A server on this machine that answers as Hugging Face does, well and badly, and remembers what it was asked."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

BIG = 4096
"""Files from this size on are kept as the hub keeps large files: by their sha256, behind a redirect."""


def commit(number: int) -> str:
    """The id of a made-up commit."""
    return hashlib.sha1(str(number).encode()).hexdigest()


def digest(content: bytes) -> str:
    """What the hub calls a file: its sha256 if it is large, else its git id."""
    if len(content) >= BIG:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    range: str
    authorization: str
    agent: str
    sent: int = 0


@dataclass
class FakeHub:
    """One model, `id`, with its files at each commit.

    `rate` is bytes a second for each answer; `cuts` are after how many bytes the next answers with large files break
    off; `lies` are contents served in a file's stead; `codes` are answers with an error, by a part of the path; `told`
    is put into what is said of the model.
    """

    id: str
    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str]
    url: str = ""
    rate: float = 0.0
    cuts: list[int] = field(default_factory=list)
    lies: dict[str, bytes] = field(default_factory=dict)
    codes: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    token: str = ""
    ranges: bool = True
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def files_asked(self) -> set[str]:
        """The names of all files whose bytes were asked for."""
        return {each.path.rpartition("/")[2] for each in self.asked if "/resolve/" in each.path}

    def sent(self, name: str) -> int:
        """How many bytes of a file were sent, all answers together."""
        return sum(each.sent for each in self.asked if each.path.endswith(f"/{name}"))

    def siblings(self, files: dict[str, bytes]) -> list[dict[str, Any]]:
        found = []
        for name, content in files.items():
            each: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": digest(content)}
            if len(content) >= BIG:
                each["lfs"] = {"sha256": digest(content), "size": len(content), "pointerSize": 134}
            found.append(each)
        return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        headers = (self.headers.get(name, "") for name in ("Range", "Authorization", "User-Agent"))
        self.now = Asked(self.command, path, *headers)
        with self.hub.lock:
            self.hub.asked.append(self.now)
        if self._refused(path):
            return
        info, files, cdn = f"/api/models/{self.hub.id}/revision/", f"/{self.hub.id}/resolve/", "/cdn/"
        if path.startswith(info):
            self._info(path.removeprefix(info))
        elif path.startswith(files):
            self._resolve(path.removeprefix(files))
        elif path.startswith(cdn):
            self._send(path.removeprefix(cdn))
        else:
            self._fail(404, {"X-Error-Code": "RepoNotFound"})

    def _refused(self, path: str) -> bool:
        for part, answers in self.hub.codes.items():
            if part in path and answers:
                self._fail(*(answers.pop(0) if len(answers) > 1 else answers[0]))
                return True
        if self.hub.token and not path.startswith("/cdn/") and self.now.authorization != f"Bearer {self.hub.token}":
            self._fail(401, {"X-Error-Code": "GatedRepo"})
            return True
        return False

    def _info(self, revision: str) -> None:
        found = self.hub.refs.get(revision, revision)
        if found not in self.hub.commits:
            self._fail(404, {"X-Error-Code": "RevisionNotFound"})
            return
        told = {
            "id": self.hub.id, "sha": found, "siblings": self.hub.siblings(self.hub.commits[found]),
            "cardData": {"license": "apache-2.0"}, "tags": ["license:apache-2.0"], **self.hub.told,
        }  # fmt: skip
        self._answer(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _resolve(self, rest: str) -> None:
        found, _, name = rest.partition("/")
        content = self.hub.commits.get(found, {}).get(name)
        if content is None:
            self._fail(404, {"X-Error-Code": "EntryNotFound"})
        elif len(content) >= BIG:
            elsewhere = self.hub.url.replace("127.0.0.1", "localhost")  # another origin, as the hub's storage is
            self._answer(302, b"", {"Location": f"{elsewhere}/cdn/{found}/{name}", "X-Repo-Commit": found})
        else:
            self._send(rest)

    def _send(self, rest: str) -> None:
        found, _, name = rest.partition("/")
        content = self.hub.lies.get(name, self.hub.commits[found][name])
        begin, code, headers = 0, 200, {"ETag": f'"{digest(content)}"', "X-Repo-Commit": found}
        if self.now.range and self.hub.ranges:
            begin = int(self.now.range.removeprefix("bytes=").removesuffix("-"))
            code, headers["Content-Range"] = 206, f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self._answer(code, content[begin:], headers)

    def _answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        with self.hub.lock:
            is_file = self.now.path.startswith("/cdn/")
            whole = self.hub.cuts.pop(0) if self.hub.cuts and is_file else len(body)
        step = max(int(self.hub.rate / 20), 1) if self.hub.rate else max(len(body), 1)
        for at in range(0, min(whole, len(body)), step):
            try:
                self.wfile.write(body[at : min(at + step, whole)])
                self.wfile.flush()
            except OSError:
                break
            self.now.sent += min(step, whole - at, len(body) - at)
            if self.hub.rate:
                time.sleep(0.05)
        self.close_connection = whole < len(body)

    def _fail(self, code: int, headers: dict[str, str]) -> None:
        self._answer(code, b'{"error": "no"}', headers)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(id: str, files: dict[str, bytes], **given: Any) -> Iterator[FakeHub]:
    """A hub with one model whose `main` holds `files`."""
    hub = FakeHub(id, {commit(1): files}, {"main": commit(1)}, **given)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that give up are expected
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
