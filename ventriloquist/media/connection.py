"""The HTTP client of both captioners: it follows no redirect and takes no answer without end.

A followed redirect would carry the key and the media to another host. An answer is read to `LONGEST_ANSWER` bytes and
never unpacked, so that no server can fill the memory.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import AsyncIterator
from typing import Any

from ventriloquist.faults import Fault

LONGEST_ANSWER = 4_000_000
HEADERS = {"Accept-Encoding": "identity"}


def library() -> Any:
    """httpx2, or httpx where google-genai was installed with that: one library under two names."""
    for name in ("httpx2", "httpx"):
        if importlib.util.find_spec(name):
            return importlib.import_module(name)
    raise Fault("Neither httpx2 nor httpx is installed; install ventriloquist again.")


def client(deadline: float, concurrency: int, *, through_proxies: bool) -> Any:
    """An `AsyncClient` for that many requests at once; `through_proxies` takes proxies from the environment.

    `deadline` in seconds bounds each read and write; a request as a whole is bounded by `retrying`.
    """
    http = library()
    return http.AsyncClient(
        follow_redirects=False,
        trust_env=through_proxies,
        timeout=deadline,
        limits=http.Limits(max_connections=concurrency, max_keepalive_connections=concurrency),
        headers=HEADERS,
        event_hooks={"response": [_bound]},
    )


def was_not_sent(error: BaseException) -> bool:
    """True for a failure before anything of the request has left."""
    http = library()
    return isinstance(error, (http.ConnectError, http.ConnectTimeout, http.PoolTimeout, http.UnsupportedProtocol))


async def _bound(response: Any) -> None:
    """Make reading the answer fail at its `LONGEST_ANSWER`th byte, and at once if it is packed."""
    http = library()
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise http.RemoteProtocolError("packed answer")
    stream = response.stream

    class Bounded(http.AsyncByteStream):  # type: ignore[misc,name-defined]  # which library it is shows at run time
        async def __aiter__(self) -> AsyncIterator[bytes]:
            length = 0
            async for chunk in stream:
                length += len(chunk)
                if length > LONGEST_ANSWER:
                    raise http.RemoteProtocolError("endless answer")
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    response.stream = Bounded()
