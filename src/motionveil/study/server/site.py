"""What all routes of a study's server share."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Awaitable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from motionveil.study.design import Question, read_key, read_study
from motionveil.study.server.media import Media
from motionveil.study.server.pages import Pages
from motionveil.study.server.texts import read_texts
from motionveil.study.store import Standing, Store

T = TypeVar("T")

SESSION = "study"
ADMINISTRATOR = "administrator"
"""Names of the two cookies; both go away when the browser is closed."""

DOCUMENTED: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"text/html": {"schema": {"type": "string"}}}}
    for status, text in {
        400: "The form cannot be read, or the length of the request is none",
        401: "No participant's session, or not the administrator",
        403: "Not allowed here, or another site asked",
        404: "Nothing of this name, or not for this participant",
        409: "The question is not open to this participant now",
        413: "Too much was sent",
        421: "The server is not known by this name",
        422: "The form lacks something",
        503: "Nothing can be kept just now",
        507: "The disk is full",
    }.items()
}
"""What any page may answer beside what it is for."""


class Site:
    """A study that is being served.

    Args:
        folder: Where it lies.
        url: What participants open; a slash at its end does not matter.
        admin_token: What the administrator must know.
        open: Whether anybody may take part, with no link.
        texts: A file with the words of the pages; None for English.

    Attributes:
        study: The design.
        key: Who is right. Only what is right for examples is ever shown.
        store: What participants did.
        pages: Makes pages.
        media: The clips and pictures.

    Raises:
        MotionveilError: See `read_study`, `read_key`, `read_texts`, `Media` and `Store`.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        admin_token: str,
        *,
        open: bool = False,
        texts: Path | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.admin_token = admin_token
        self.open = open
        self.study = read_study(folder)
        self.key = read_key(folder, self.study)
        self.pages = Pages(self.study, read_texts(texts))
        self.media = Media(folder, self.study)
        self.store = Store(folder, self.study)
        self.admin_session = secrets.token_urlsafe(32)

    @property
    def secure(self) -> bool:
        """Whether participants come by HTTPS only."""
        return urlsplit(self.url).scheme == "https"

    def link(self, token: str) -> str:
        """Return a participant's personal link."""
        return f"{self.url}/join/{token}"

    def question(self, name: str) -> Question | None:
        """Return a question by its id."""
        return next((q for q in self.study.questions if q.id == name), None)

    def token_of(self, request: Request) -> str | None:
        """Return the secret of the participant who asks; None if there is none such."""
        found = self.participant(request)
        return found and found[0]

    def participant(self, request: Request) -> tuple[str, Standing] | None:
        """Return the secret of the participant who asks, and where they are; None if none such."""
        token = request.cookies.get(SESSION)
        standing = None if token is None else self.store.standing(token)
        return None if token is None or standing is None else (token, standing)

    def is_administrator(self, request: Request) -> bool:
        """Return whether the administrator asks: signed in, or with the token as a bearer."""
        cookie = request.cookies.get(ADMINISTRATOR, "")
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        return same(cookie, self.admin_session) or (
            scheme.lower() == "bearer" and same(bearer.strip(), self.admin_token)
        )

    def begin(self, response: Response, cookie: str, secret: str) -> Response:
        """Let a browser know a secret until it is closed; no script and no other site sees it."""
        response.set_cookie(cookie, secret, httponly=True, samesite="strict", secure=self.secure)
        return response

    def no_session(self) -> HTMLResponse:
        """Return the page for whoever has no session."""
        return self.pages.problem(401, "no_session")


def same(given: str, secret: str) -> bool:
    """Compare in a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


def kept(future: Future[T]) -> Awaitable[T]:
    """Return what waits, without holding up others, until the disk has it."""
    return asyncio.wrap_future(future)


def onward(path: str = "/session") -> RedirectResponse:
    """Send the browser on with a GET, so that loading the page again sends no form."""
    return RedirectResponse(path, status_code=303)
