"""What all routes of a study's server share: design, key, store, texts, pages and media files."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Iterator, Mapping
from concurrent.futures import Future
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException

from motionveil.errors import MotionveilError
from motionveil.limits import packaged_text
from motionveil.study.design import (
    IMAGES,
    MEDIA,
    SUFFIXES,
    Question,
    Study,
    read_key,
    read_study,
)
from motionveil.study.store import SessionState, Store
from motionveil.yaml_file import load_yaml, read_yaml

Texts = dict[str, Any]
"""Texts by name: a string, a list of strings (paragraphs), or nested texts."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

T = TypeVar("T")

SESSION, ADMINISTRATOR = "study", "administrator"
"""Names of the two cookies; both expire when the browser is closed."""

STATIC = {
    "icon.svg": "image/svg+xml",
    "study.css": "text/css; charset=utf-8",
    "study.js": "text/javascript; charset=utf-8",
}
"""Static files and their types."""

DOCUMENTED: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"text/html": {"schema": {"type": "string"}}}}
    for status, text in {
        400: "The form or the length of the request is invalid",
        401: "No participant's session, or not the administrator",
        403: "Not permitted, or requested by another site",
        404: "No such resource, or not for this participant",
        409: "The question is not open to this participant",
        413: "The request is too large",
        421: "The server is not known by this name",
        422: "The form is incomplete",
        503: "The database is unavailable, or the study is full",
        507: "The disk is full",
    }.items()
}
"""Responses that any page may give."""


class Pages:
    """Renders the pages of a study; `static` has the content of the files of `STATIC`."""

    def __init__(self, study: Study, texts: Texts) -> None:
        folder = resources.files(__package__).joinpath("static")
        self.static = {name: folder.joinpath(name).read_bytes() for name in STATIC}
        self.texts = texts
        self._environment = Environment(
            loader=PackageLoader(__package__),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["fill"] = lambda text, **values: Markup(
            fill(escape(text), {name: escape(value) for name, value in values.items()})
        )
        # The URL changes with the content, so that browsers may cache it for ever.
        hashes = {name: hashlib.sha256(data).hexdigest()[:12] for name, data in self.static.items()}
        self._environment.globals.update(
            study=study,
            t=texts,
            needed=("one", "two")[study.persons_per_question - 1],
            static={name: f"/static/{name}?v={value}" for name, value in hashes.items()},
        )

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return the page of `templates/{template}.html`."""
        text = self._environment.get_template(f"{template}.html").render(values)
        return HTMLResponse(text, status)

    def problem(self, status: int, name: str) -> HTMLResponse:
        """Return an error page with the text `errors.name`."""
        home = name not in ("no_session", "bad_link")
        return self.page("problem", status, problem=self.texts["errors"][name], home=home)


class Media:
    """The clips and images of a study by file name; names never become paths.

    Raises:
        MotionveilError: A file of the study is missing.
    """

    def __init__(self, folder: Path, study: Study) -> None:
        self._paths: dict[str, Path] = {}
        self._users: dict[str, set[str]] = defaultdict(set)
        names = {person.id: person.picture for person in study.people}
        for question in study.questions:
            clips = [folder / MEDIA / f"{question.clip}{suffix}" for suffix in SUFFIXES]
            images = [folder / IMAGES / names[person] for person in question.options]
            for path in (*clips, *images):
                self._users[path.name].add(question.id)
                self._paths[path.name] = path
        for path in self._paths.values():
            if not path.is_file():
                raise MotionveilError(f"{path}: is missing, but named in study.json")

    def find(self, name: str, shown: set[str]) -> Path | None:
        """Return the file of a name if one of the questions `shown` uses it, else None."""
        return None if shown.isdisjoint(self._users.get(name, ())) else self._paths[name]


MOST_PARTICIPANTS = 1000
"""What an open study has at most, where nothing else is said: anyone may ask for a session."""


class Context:
    """A study that is being served.

    Args:
        admin_token: The administrator's secret.
        open: Whether participation requires no link.
        most: Participants that there may be before nobody is added without a link.
        texts: File with the texts of the pages; None for English.

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
        most: int = MOST_PARTICIPANTS,
        texts: Path | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.admin_token = admin_token
        self.open, self.most = open, most
        self.study = read_study(folder)
        self.key = read_key(folder, self.study)
        self.pages = Pages(self.study, read_texts(texts))
        self.media = Media(folder, self.study)
        self.store = Store(folder, self.study)
        self.admin_session = secrets.token_urlsafe(32)

    @property
    def secure(self) -> bool:
        """Whether participants connect over HTTPS only."""
        return urlsplit(self.url).scheme == "https"

    def link(self, token: str) -> str:
        """Return a participant's personal link."""
        return f"{self.url}/join/{token}"

    def question(self, name: str) -> Question | None:
        """Return a question by its id."""
        return next((q for q in self.study.questions if q.id == name), None)

    def has_session(self, request: Request) -> bool:
        """Return whether a request is from a participant."""
        return self.store.state(request.cookies.get(SESSION, "")) is not None

    def participant(self, request: Request) -> tuple[str, SessionState]:
        """Return the token and state of the participant who sent a request.

        Raises:
            HTTPException: 401, if there is none.
        """
        token = request.cookies.get(SESSION, "")
        state = self.store.state(token)
        if state is None:
            raise HTTPException(401)
        return token, state

    def check_administrator(self, request: Request) -> None:
        """Require the administrator's session, or the token as a bearer.

        Raises:
            HTTPException: 401, if a request has neither.
        """
        cookie = request.cookies.get(ADMINISTRATOR, "")
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        is_bearer = scheme.lower() == "bearer" and same(bearer.strip(), self.admin_token)
        if not is_bearer and not same(cookie, self.admin_session):
            raise HTTPException(401, ADMINISTRATOR)

    def set_session(self, response: Response, cookie: str, secret: str) -> Response:
        """Set a session cookie, inaccessible to scripts and other sites."""
        response.set_cookie(cookie, secret, httponly=True, samesite="strict", secure=self.secure)
        return response


def same(given: str, secret: str) -> bool:
    """Compare with a secret in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


def stored(future: Future[T]) -> Awaitable[T]:
    """Wait for a write of the store without blocking other requests."""
    return asyncio.wrap_future(future)


def redirect(path: str = "/session") -> RedirectResponse:
    """Redirect with GET, so that reloading the page does not resend the form."""
    return RedirectResponse(path, status_code=303)


def default_texts() -> str:
    """Return the English texts of the package, as YAML."""
    return packaged_text("motionveil.study.server", "texts.yaml")


@cache
def _english_texts() -> Texts:
    found: Texts = load_yaml(default_texts(), "texts")
    return found


def read_texts(path: Path | None = None) -> Texts:
    """Return the texts of a file, or the English ones.

    Raises:
        MotionveilError: The file cannot be read, or a text is missing, unknown, empty or has other
            placeholders than the English one.
    """
    english = _english_texts()
    if path is None:
        return english
    texts = read_yaml(path, "the texts")
    for problem in _problems(english, texts, ()):
        raise MotionveilError(f"{path}: {problem}")
    return texts


def _problems(english: Any, given: Any, keys: tuple[str, ...]) -> Iterator[str]:
    """Yield the faults of a text and of those nested in it."""
    name = ".".join(keys) or "the file"
    if isinstance(english, dict):
        if not isinstance(given, dict):
            yield f"{name}: has no nested texts, such as {next(iter(english))!r}"
            return
        for key in given:
            if key not in english:
                yield f"{'.'.join((*keys, str(key)))}: unknown text"
        for key, value in english.items():
            if key not in given:
                yield f"{'.'.join((*keys, key))}: is missing; the English text is {value!r}"
            else:
                yield from _problems(value, given[key], (*keys, key))
        return
    texts = given if isinstance(english, list) else [given]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        expected = "a list of texts" if isinstance(english, list) else "text; quote it"
        yield f"{name}: is {given!r}, not {expected}"
    elif given == "":
        yield f"{name}: is empty"
    elif _placeholders(given) != _placeholders(english):
        expected, found = _placeholders(english), _placeholders(given)
        yield f"{name}: has the placeholders {found or 'none'}, expected {expected or 'none'}"


def _placeholders(texts: str | list[str]) -> str:
    joined = texts if isinstance(texts, str) else " ".join(texts)
    found = set(_PLACEHOLDER.findall(joined))
    return ", ".join(f"{{{name}}}" for name in sorted(found))


def fill(text: str, values: Mapping[str, object]) -> str:
    """Return a text with its placeholders replaced."""
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), text)
