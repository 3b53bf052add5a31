"""The web application of a study."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from motionveil._version import __version__
from motionveil.study.server.administrator import administrator_routes
from motionveil.study.server.guard import Guard
from motionveil.study.server.pages import STATIC
from motionveil.study.server.participant import participant_routes, status_of
from motionveil.study.server.site import DOCUMENTED, Site

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}


def make_app(site: Site) -> FastAPI:
    """Return the application, which closes the site's store when it ends.

    Nothing of a request is logged, and no address is stored. The schema is at `/openapi.json`, for
    the administrator.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        site.store.close()

    app = FastAPI(
        title="motionveil study",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would name the host as the proxy does
        lifespan=lifespan,
        # A path can be a participant's link: told to nobody, whatever the environment asks for.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
    )
    app.include_router(participant_routes(site))
    app.include_router(administrator_routes(site))
    _add_static(app, site)
    _add_problems(app, site)

    def refusal(status: int, name: str) -> tuple[bytes, bytes]:
        return bytes(site.pages.problem(status, name).body), b"text/html; charset=utf-8"

    hosts = frozenset({*LOOPBACK, (urlsplit(site.url).hostname or "").lower()})
    app.add_middleware(Guard, hosts=hosts, origin=site.url, refusal=refusal)
    return app


def _add_static(app: FastAPI, site: Site) -> None:
    content: dict[str, Any] = {kind.partition(";")[0]: {} for kind in STATIC.values()}

    @app.get("/static/{name}", responses={**DOCUMENTED, 200: {"content": content}})
    async def static(name: str) -> Response:
        """Send what every page needs; it never changes under the same address."""
        if name not in STATIC:
            return site.pages.problem(404, "not_found")
        return Response(site.pages.static[name], media_type=STATIC[name], headers=_FOR_GOOD)


def _add_problems(app: FastAPI, site: Site) -> None:
    """Answer with a page, whatever goes wrong."""
    names = {404: "not_found", 413: "too_large"}

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        page = site.pages.problem(error.status_code, names.get(error.status_code, "not_valid"))
        page.headers.update(error.headers or {})  # such as which methods there are
        return page

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, error: RequestValidationError) -> Response:
        return site.pages.problem(422, "not_valid")

    @app.exception_handler(sqlite3.Error)
    async def not_kept(request: Request, error: sqlite3.Error) -> Response:
        status = status_of(error)
        return site.pages.problem(status, "full" if status == 507 else "busy")

    @app.exception_handler(500)
    async def broken(request: Request, error: Exception) -> Response:
        return site.pages.problem(500, "broken")
