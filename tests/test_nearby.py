"""Servers of one's own are near, and stay where they were when they were looked up."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import fake_openai as fake
from tests.test_openai_compatible import ask, captioner_at
from ventriloquist.faults import Fault, UsageFault
from ventriloquist.media import connection, nearby
from ventriloquist.media.captioner import Caption


@pytest.mark.parametrize(
    "url",
    [
        "http://8.8.8.8/v1",
        "http://[2001:4860:4860::8888]:80",
        "http://[::ffff:8.8.8.8]/v1",
        "http://100.64.0.1/",
        "http://172.32.0.1/",
        "http://192.0.2.1/",
        "http://2130706433.example.invalid/",
    ],
)
def test_what_is_far_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(Fault, match=r"private network|no server named"):
        list(nearby.places(url, allow_remote=False))


def test_what_is_far_can_be_allowed() -> None:
    [place] = nearby.places("https://models.example/v1/", allow_remote=True)
    assert place == nearby.Place("https://models.example/v1")


@pytest.mark.parametrize(
    ("url", "reached"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
        ("http://127.0.0.1:11434/v1/", "http://127.0.0.1:11434/v1"),
        ("http://[::1]:8080/api", "http://[::1]:8080/api"),
        ("http://192.168.1.20", "http://192.168.1.20:80/v1"),
        ("https://10.0.0.5", "https://10.0.0.5:443/v1"),
        ("http://[fd00::7]:8000", "http://[fd00::7]:8000/v1"),
        ("http://0.0.0.0:8000", "http://0.0.0.0:8000/v1"),
    ],
)
def test_addresses_that_are_near(url: str, reached: str) -> None:
    assert [place.url for place in nearby.places(url, allow_remote=False)] == [reached]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:11434",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "http://",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://[::1",
        "http://user:secret@127.0.0.1/v1",
        "http://127.0.0.1/v1?key=secret",
        "http://127.0.0.1/\x1b[31m",
        "http://bücher.local/",
    ],
)
def test_what_is_no_address_of_a_server(url: str) -> None:
    with pytest.raises(UsageFault, match="--base-url") as failure:
        list(nearby.places(url, allow_remote=False))
    assert "secret" not in str(failure.value) and "\x1b" not in str(failure.value)


def test_a_name_is_looked_up_once_and_only_near_addresses_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that stands for another address the next time still leads to the first one."""
    looked_up: list[str] = []
    answers = [["8.8.8.8", "127.0.0.1"], ["8.8.8.8"]]

    def getaddrinfo(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if name == "my-machine.test":
            looked_up.append(name)
            return [(socket.AF_INET, 1, 6, "", (address, port)) for address in answers[len(looked_up) - 1]]
        return [(socket.AF_INET, 1, 6, "", (name, port))]

    with fake.serving() as server:
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        port = server.url.split(":")[2].removesuffix("/v1")
        found, _ = ask(f"http://my-machine.test:{port}/v1")
    assert isinstance(found[0], Caption) and looked_up == ["my-machine.test"]
    assert server.received[0].headers["Host"] == f"my-machine.test:{port}"


def test_a_certificate_is_checked_for_the_name_that_was_given(tmp_path: Path) -> None:
    """The certificate is for `localhost`, and the requests go to its address."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    made = subprocess.run([*make.split(), "-keyout", key, "-out", certificate], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("openssl cannot make a certificate here")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    http = connection.library()
    with fake.serving(tls=tls) as server:
        port = server.url.split(":")[2].removesuffix("/v1")
        by_name, *_ = (p for p in nearby.places(f"https://localhost:{port}", allow_remote=False) if "[" not in p.url)
        by_address, *_ = nearby.places(f"https://127.0.0.1:{port}", allow_remote=False)
        assert by_name.url == by_address.url
        trusting = ssl.create_default_context(cafile=str(certificate))
        models = f"{by_name.url}/models"
        with http.Client(verify=trusting) as client:
            answer = client.get(models, headers=by_name.headers, extensions=by_name.extensions)
            assert answer.json()["data"][0]["id"] == "local-model"
        with http.Client(verify=trusting) as client, pytest.raises(http.ConnectError):
            client.get(models, headers=by_address.headers, extensions=by_address.extensions)
        with pytest.raises(Fault, match="No server answers"):  # nobody has said to trust it
            captioner_at(f"https://localhost:{port}")
