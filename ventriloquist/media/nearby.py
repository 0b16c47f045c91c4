"""Where a server of one's own is, and the proof that it is near: on this machine, or in the same private network.

A name is looked up once, and the address that it stood for is the one that every request goes to, so that nobody can
point the name elsewhere in between.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ventriloquist.faults import Fault, UsageFault
from ventriloquist.text import one_line

SCHEME_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """The server at one address: `url` without a slash at its end, and what a request needs to name the server by the
    name that the user gave it."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    extensions: dict[str, Any] = field(default_factory=dict)


def places(base_url: str, *, allow_remote: bool) -> Iterator[Place]:
    """The addresses at which the server of that URL may listen, in the order to try them.

    A URL without a path gets "/v1", where all such servers speak the protocol. Raises UsageFault for what is no such
    URL or, unless `allow_remote`, lies outside of this machine and private networks; Fault for an unknown name.
    """
    parts, path = _parts(base_url)
    host, port = parts.hostname or "", parts.port or SCHEME_PORTS[parts.scheme]
    if allow_remote:
        yield Place(f"{parts.scheme}://{parts.netloc}{path}")
        return
    near = [address for address in _looked_up(host, port) if _is_near(address)]
    if not near:
        raise UsageFault(
            f"{one_line(host, 80)} is neither this machine nor in a private network, and what is sent there leaves "
            "your hands. Allow it explicitly (--allow-remote) or name another server with --base-url."
        )
    for address in near:
        literal = f"[{address}]" if address.version == 6 else str(address)
        yield Place(
            f"{parts.scheme}://{literal}:{port}{path}", {"Host": parts.netloc}, {"sni_hostname": host.rstrip(".")}
        )


def _parts(base_url: str) -> tuple[SplitResult, str]:
    try:
        parts = urlsplit(base_url.strip())
        port_can_be = parts.port != 0
    except ValueError:
        parts, port_can_be = urlsplit(""), False
    if (
        parts.scheme not in SCHEME_PORTS
        or not parts.hostname
        or not port_can_be
        or not (base_url.isascii() and base_url.isprintable())
    ):
        raise UsageFault("--base-url is an address such as http://127.0.0.1:11434/v1.")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageFault("--base-url holds no name, password or key; a key is set in the environment.")
    return parts, parts.path.rstrip("/") or "/v1"


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _looked_up(host: str, port: int) -> list[Address]:
    """The addresses of a name or of an address itself, each once."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers))
    except (OSError, ValueError):
        raise Fault(f"There is no server named {one_line(host, 80)}. Check --base-url.") from None


def _is_near(address: Address) -> bool:
    """True for this machine and for private networks, by whatever form the address is written in."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_loopback or address.is_link_local or address.is_unspecified:
        return True
    return any(address in network for network in _PRIVATE)


_PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
