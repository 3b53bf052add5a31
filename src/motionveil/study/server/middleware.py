"""Request checks and response headers, before any route."""

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
"""Maximum size of a form in bytes; real ones have a few hundred."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'; img-src 'self'; media-src 'self'; script-src 'self';"
    " style-src 'self'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",  # with "no-referrer", forms would have no origin
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class SecurityMiddleware:
    """Rejects foreign host names (DNS rebinding), cross-site forms (CSRF) and large bodies.

    Adds security headers to every response, and `no-store` unless it has a cache policy.

    Args:
        app: The application.
        hosts: Accepted host names, in lower case, without the port.
        origin: The server's origin as seen by participants; behind a proxy, the host may differ.
        refusal: Renders a status and the name of an error text as body and content type.
    """

    def __init__(self, app: App, hosts: frozenset[str], origin: str, refusal: Refuse) -> None:
        self._app = app
        self._hosts = hosts
        self._origin = origin
        self._refusal = refusal

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Reject a request, or forward it."""
        if scope["type"] != "http":  # startup and shutdown; there are no websockets
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers: dict[bytes, str] = {
            name: value.decode("latin-1") for name, value in scope["headers"]
        }
        received = 0

        async def limited() -> Message:  # a declared length may be absent or wrong
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                raise HTTPException(413)
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [*message["headers"], *_RAW_HEADERS]
                if not any(name == b"cache-control" for name, _ in added):
                    added.append((b"cache-control", b"no-store"))
                message = {**message, "headers": added}
            await send(message)

        problem = self._problem(scope["method"], headers)
        if problem is None:
            await self._app(scope, limited, with_headers)
        else:
            await self._refuse(with_headers, *problem)

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

    async def _refuse(self, send: Send, status: int, text: str) -> None:
        body, kind = self._refusal(status, text)
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        headers.append((b"connection", b"close"))  # the rest of the request is not read
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def name_of(host: str) -> str:
    """Return the host of `name:port` or `[address]:port`, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
