"""The web application of a study, the checks of its requests, and its server."""

from __future__ import annotations

import logging
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.h11_impl import H11Protocol

from motionveil._version import __version__
from motionveil.bind_address import listening
from motionveil.limits import LineLimit
from motionveil.study.server.context import ADMINISTRATOR, DOCUMENTED, STATIC, Context
from motionveil.study.server.routes import admin_routes, participant_routes, status_of

Message = MutableMapping[str, Any]

_PATIENCE = 20.0  # seconds in which a request must be whole
_MOST = 256  # connections; a process usually may have 1,024 files
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

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def make_app(context: Context) -> FastAPI:
    """Return the application, which closes the study's store on shutdown.

    No request is logged, and no address is stored. The schema is at `/openapi.json`, for the
    administrator.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        context.store.close()

    app = FastAPI(
        title="motionveil study",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # would reveal the host's name behind a proxy
        lifespan=lifespan,
        # A path may be a participant's link: no telemetry, whatever the environment says.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.include_router(participant_routes(context))
    app.include_router(admin_routes(context))
    _add_static(app, context)
    _add_error_pages(app, context)

    def refusal(status: int, name: str) -> tuple[bytes, bytes]:
        return bytes(context.pages.problem(status, name).body), b"text/html; charset=utf-8"

    hosts = frozenset({*LOOPBACK, (urlsplit(context.url).hostname or "").lower()})
    app.add_middleware(SecurityMiddleware, hosts=hosts, origin=context.url, refusal=refusal)
    return app


def _add_static(app: FastAPI, context: Context) -> None:
    content: dict[str, Any] = {kind.partition(";")[0]: {} for kind in STATIC.values()}
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}

    @app.get("/static/{name}", responses={**DOCUMENTED, 200: {"content": content}})
    async def static(name: str) -> Response:
        """Send a static file; its URL changes with its content."""
        if name not in STATIC:
            return context.pages.problem(404, "not_found")
        return Response(context.pages.static[name], media_type=STATIC[name], headers=headers)


def _add_error_pages(app: FastAPI, context: Context) -> None:
    names = {401: "no_session", 404: "not_found", 413: "too_large"}

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if error.detail == ADMINISTRATOR:
            return context.pages.page("sign_in", 401, problem=None)
        page = context.pages.problem(error.status_code, names.get(error.status_code, "not_valid"))
        page.headers.update(error.headers or {})  # such as the permitted methods
        return page

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, error: RequestValidationError) -> Response:
        return context.pages.problem(422, "not_valid")

    @app.exception_handler(sqlite3.Error)
    async def not_stored(request: Request, error: sqlite3.Error) -> Response:
        status = status_of(error)
        return context.pages.problem(status, "full" if status == 507 else "busy")

    @app.exception_handler(500)
    async def broken(request: Request, error: Exception) -> Response:
        return context.pages.problem(500, "broken")


def listen(host: str, port: int) -> socket.socket:
    """Bind a port before anything is printed; see `listening`."""
    listener = listening(
        f"--address {host}:{port}",
        host,
        port,
        lambda family: socket.create_server((host, port), family=family, backlog=1024),
    )
    # Inherited by connections; otherwise delayed acknowledgements add 40 ms to each response.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class _Connection(H11Protocol):
    """A connection that must have sent a whole request in time, and makes room for others if not.

    Otherwise a client that sends its request slowly, or none, would hold a file descriptor.
    """

    def connection_made(self, transport: Any) -> None:
        """Take the connection in; cut the one that has waited longest if there are too many."""
        super().connection_made(transport)
        self._wait()
        ours = [other for other in self.connections if isinstance(other, _Connection)]
        waiting = [other for other in ours if other._is_waiting()]
        if len(self.connections) > _MOST and waiting:
            min(waiting, key=lambda other: other._since).transport.abort()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._late.cancel()
        super().connection_lost(exc)

    _since = 0.0
    _late: Any = None

    def _wait(self) -> None:
        if self._late is not None:
            self._late.cancel()
        self._since = self.loop.time()
        self._late = self.loop.call_later(_PATIENCE, self._cut)

    def _is_waiting(self) -> bool:
        cycle = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    def _cut(self) -> None:
        if self._is_waiting():
            self.transport.abort()


class _Server(uvicorn.Server):
    """Calls back when it has started."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._notify = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._notify()


class _LogLimit(logging.Filter):
    """What a foreign program makes the server say, however often, must not fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._limit = LineLimit()

    def filter(self, record: logging.LogRecord) -> bool:
        left_out = self._limit()
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} lines left out)", ()
        return left_out is not None


def serve(context: Context, listener: socket.socket, started: Callable[[], None]) -> None:
    """Serve a study until Ctrl-C or SIGTERM, then close its store; no address is logged.

    Args:
        listener: From `listen`.
        started: Called when browsers can connect.
    """
    config = uvicorn.Config(
        make_app(context),
        access_log=False,
        log_level="warning",
        proxy_headers=False,  # they would only reveal the participants' addresses
        server_header=False,
        http=_Connection,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
    )
    limit = _LogLimit()
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(limit)
    with suppress(KeyboardInterrupt):
        _Server(config, started).run(sockets=[listener])


class SecurityMiddleware:
    """Rejects foreign host names (DNS rebinding), cross-site forms (CSRF) and large bodies.

    Adds security headers to every response, and `no-store` unless it has a cache policy.

    Args:
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
