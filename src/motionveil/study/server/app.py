"""The web application of a study, and its server."""

from __future__ import annotations

import ipaddress
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from motionveil._version import __version__
from motionveil.bind_address import not_taken
from motionveil.errors import MotionveilError
from motionveil.study.server.context import ADMINISTRATOR, DOCUMENTED, STATIC, Context
from motionveil.study.server.middleware import SecurityMiddleware
from motionveil.study.server.routes import admin_routes, participant_routes, status_of

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


def is_loopback(host: str) -> bool:
    """Return whether a host is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Bind a port before anything is printed; port 0 is any free one.

    Raises:
        MotionveilError: It is taken, or the host is not this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, UnicodeError) as error:  # UnicodeError: the name is too long to look up
        reason = not_taken(host, port, error)
        raise MotionveilError(f"--address {host}:{port}: {reason}") from error
    # Inherited by connections; otherwise delayed acknowledgements add 40 ms to each response.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class _Server(uvicorn.Server):
    """Calls back when it has started."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._notify = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._notify()


def serve(context: Context, listener: socket.socket, started: Callable[[], None]) -> None:
    """Serve a study until Ctrl-C or SIGTERM, then close its store; no address is logged.

    Args:
        context: The study.
        listener: From `listen`.
        started: Called when browsers can connect.
    """
    config = uvicorn.Config(
        make_app(context),
        access_log=False,
        log_level="warning",
        proxy_headers=False,  # they would only reveal the participants' addresses
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
    )
    with suppress(KeyboardInterrupt):
        _Server(config, started).run(sockets=[listener])
