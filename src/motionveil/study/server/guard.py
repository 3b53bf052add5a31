"""What every request must be, and what every answer says, before any page is looked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Refuse = Callable[[int, str], tuple[bytes, bytes]]

LARGEST_BODY = 64 * 1024
"""Bytes that a form may have; the largest real one has a few hundred."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; img-src 'self'; media-src 'self'; script-src 'self';"
    " style-src 'self'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",  # with "no-referrer", forms would not say whence they come
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_CACHE = (b"cache-control", b"no-store")
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class Guard:
    """Refuses other hosts' names, forms from other sites and large bodies; adds headers.

    A page of another site can make a browser send forms here, and a name of another site can be
    made to point here (DNS rebinding): both are refused. Unless an answer says otherwise, browsers
    keep nothing of it.

    Args:
        app: What is guarded.
        hosts: Names under which this server may be asked, in small letters, without the port.
        origin: Of the server as participants know it; behind a proxy, the host may be another.
        refusal: Makes a page out of a status and a text's name.
    """

    def __init__(self, app: App, hosts: frozenset[str], origin: str, refusal: Refuse) -> None:
        self._app = app
        self._hosts = hosts
        self._origin = origin
        self._refusal = refusal

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":  # the server's start and end; there are no websockets
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers: dict[bytes, str] = {
            name: value.decode("latin-1") for name, value in scope["headers"]
        }
        answer = _Answer(send)
        problem = self._problem(scope["method"], headers)
        if problem is None:
            await self._app(scope, _Limited(receive), answer)
        else:
            await self._refuse(answer, *problem)

    def _problem(self, method: str, headers: dict[bytes, str]) -> tuple[int, str] | None:
        host = headers.get(b"host", "")
        if name_of(host) not in self._hosts:
            return 421, "other_site"
        if method not in ("GET", "HEAD"):
            site = headers.get(b"sec-fetch-site", "same-origin")
            origin = headers.get(b"origin", "")
            hidden = origin == "null" and b"sec-fetch-site" in headers
            own = origin == self._origin or origin.partition("://")[2] == host
            known = not origin or hidden or own
            if site not in ("same-origin", "none") or not known:
                return 403, "other_site"
        length = headers.get(b"content-length", "0")
        if not (length.isascii() and length.isdigit()):
            return 400, "not_valid"
        if int(length) > LARGEST_BODY:
            return 413, "too_large"
        return None

    async def _refuse(self, answer: Send, status: int, text: str) -> None:
        body, kind = self._refusal(status, text)
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        headers.append((b"connection", b"close"))  # what is left of its body is not read
        await answer({"type": "http.response.start", "status": status, "headers": headers})
        await answer({"type": "http.response.body", "body": body})


def name_of(host: str) -> str:
    """Return the name or address in `name:port` or `[address]:port`, in small letters."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


class _Limited:
    """Counts what comes in, since a length need not be told beforehand, nor be true."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > LARGEST_BODY:
            raise HTTPException(413)
        return message


class _Answer:
    """Adds the headers."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message["headers"], *_RAW_HEADERS]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(_CACHE)
            message = {**message, "headers": headers}
        await self._send(message)
