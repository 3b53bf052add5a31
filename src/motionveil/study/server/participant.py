"""The pages of participants. `/session` is always the page on which a participant is."""

from __future__ import annotations

import math
import sqlite3
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from motionveil.study.server.media import TYPES
from motionveil.study.server.site import DOCUMENTED, SESSION, Site, kept, onward
from motionveil.study.server.steps import Step, step_of
from motionveil.study.store import Standing

Text = Annotated[str, Form(min_length=1, max_length=100)]

_SECONDS_A_QUESTION = 15


def participant_routes(site: Site) -> APIRouter:
    """Return the routes under which participants are served."""
    router = APIRouter(default_response_class=HTMLResponse, responses=DOCUMENTED)
    moved: dict[str, Any] = {"status_code": 303, "response_class": RedirectResponse}

    @router.get("/")
    async def welcome(request: Request) -> Response:
        """Say what this is; with open enrolment, anybody may begin."""
        way = "session" if site.token_of(request) else "open" if site.open else "none"
        return _welcome(site, way)

    @router.get("/join/{token}")
    async def join(token: str) -> Response:
        """Welcome a participant by their personal link."""
        standing = site.store.standing(token)
        if standing is None:
            return site.pages.problem(404, "bad_link")
        return _welcome(site, "link", token, begun=standing.consented)

    # Not by the link itself: a cookie that a click in a mail has set is not sent on from there.
    @router.post("/join", **moved)
    async def begin(token: Text) -> Response:
        """Give the browser a participant's session."""
        if site.store.standing(token) is None:
            return site.pages.problem(404, "bad_link")
        return site.begin(onward(), SESSION, token)

    @router.post("/enrol", **moved)
    async def enrol(request: Request) -> Response:
        """Add a participant who has no link, where anybody may take part."""
        if site.token_of(request):
            return onward()
        if not site.open:
            return site.pages.problem(403, "no_session")
        return site.begin(onward(), SESSION, await kept(site.store.enrol()))

    @router.get("/session")
    async def session(request: Request) -> Response:
        """Show the page on which the participant is."""
        found = site.participant(request)
        if found is None:
            return site.no_session()
        token, standing = found
        step = step_of(site.study, standing)
        if step.kind == "question":
            await kept(site.store.show(token, step.position))
        return _page(site, token, standing, step)

    @router.post("/consent", **moved)
    async def consent(
        request: Request, agree: Annotated[str | None, Form(max_length=100)] = None
    ) -> Response:
        """Begin a participant's session, if they agree to it."""
        token = site.token_of(request)
        if not token:
            return site.no_session()
        if agree != "yes":
            missing = site.pages.texts["consent"]["missing"]
            return site.pages.page("consent", 403, problem=missing)
        await kept(site.store.consent(token))
        return onward()

    @router.post("/go-on", **moved)
    async def go_on(request: Request, answered: Annotated[int, Form(ge=0, le=9999)]) -> Response:
        """Leave the instructions, the answer to an example, or a break."""
        token = site.token_of(request)
        if not token:
            return site.no_session()
        await kept(site.store.go_on(token, answered))
        return onward()

    @router.post("/answer", **moved)
    async def answer(
        request: Request, question: Text, chosen: Annotated[list[str] | None, Form()] = None
    ) -> Response:
        """Take the answer to the question that is shown; the first one counts."""
        found = site.participant(request)
        if found is None:
            return site.no_session()
        token, standing = found
        return await _answer(site, token, standing, question, chosen or [])

    @router.get("/withdraw")
    async def withdraw(request: Request) -> Response:
        """Ask whether everything about the participant is to be deleted."""
        return site.pages.page("withdraw") if site.token_of(request) else site.no_session()

    @router.post("/withdraw", **moved)
    async def delete(request: Request) -> Response:
        """Delete everything about the participant."""
        token = site.token_of(request)
        if token:
            await kept(site.store.withdraw(token))
        response = onward("/withdrawn")
        response.delete_cookie(SESSION, httponly=True, samesite="strict", secure=site.secure)
        return response

    @router.get("/withdrawn")
    async def withdrawn() -> Response:
        """Say that everything is deleted."""
        return site.pages.page("withdrawn")

    media: dict[str, Any] = {"content": {kind: {} for kind in TYPES.values()}}
    ranges: dict[int | str, dict[str, Any]] = {
        200: media,
        206: media,
        416: {"description": "There is no such range"},
    }

    @router.get("/media/{name}", response_class=FileResponse, responses=ranges)
    async def medium(request: Request, name: str) -> Response:
        """Send a clip or a picture of a question that the participant was shown."""
        token = request.cookies.get(SESSION)
        path = site.media.find(name, site.store.shown(token) if token else set())
        if path is None:
            return site.pages.problem(404, "not_found")
        headers = {"Cache-Control": "private, max-age=3600"}  # a loop is not loaded again each time
        kind = TYPES[path.suffix]
        if kind.startswith("video/"):
            return FileResponse(path, media_type=kind, headers=headers)  # knows ranges
        return Response(path.read_bytes(), media_type=kind, headers=headers)

    return router


def _welcome(site: Site, way: str, token: str = "", *, begun: bool = False) -> HTMLResponse:
    count = len(site.study.questions) - len(site.study.of_kind("example"))
    minutes = max(5, 5 * math.ceil(count * _SECONDS_A_QUESTION / 60 / 5))
    return site.pages.page(
        "welcome", way=way, token=token, begun=begun, count=count, minutes=minutes
    )


async def _answer(
    site: Site, token: str, standing: Standing, name: str, chosen: list[str]
) -> Response:
    step, question = step_of(site.study, standing), site.question(name)
    asked = None
    if step.kind == "question":
        asked = site.store.asked(token, step.position).question
    if question is None or asked != name:
        # The back button, a double click or another tab: on to where they are.
        return onward() if name in site.store.shown(token) else site.pages.problem(409, "not_asked")
    needed = site.study.persons_per_question
    if len(chosen) != needed or len(set(chosen) & set(question.options)) != needed:
        text = site.pages.texts["question"][("wrong_one", "wrong_two")[needed - 1]]
        return _question(site, token, step, chosen, text, 422)
    try:
        outcome = await kept(site.store.answer(token, name, chosen))
    except sqlite3.Error as error:
        text = site.pages.texts["question"]["not_kept"]
        return _question(site, token, step, chosen, text, status_of(error))
    return site.pages.problem(409, "not_asked") if outcome == "refused" else onward()


def _page(site: Site, token: str, standing: Standing, step: Step) -> HTMLResponse:
    if step.kind == "question":
        return _question(site, token, step)
    if step.kind == "answered":
        return _answered(site, token, standing, step)
    if step.kind == "consent":
        return site.pages.page("consent", problem=None)
    link = site.link(token)
    return site.pages.page(step.kind, step=step, link=link, answered=standing.answered)


def _question(
    site: Site,
    token: str,
    step: Step,
    chosen: list[str] | None = None,
    problem: str | None = None,
    status: int = 200,
) -> HTMLResponse:
    return site.pages.page(
        "question",
        status,
        step=step,
        chosen=chosen or [],
        problem=problem,
        **_shown(site, token, step.position),
    )


def _answered(site: Site, token: str, standing: Standing, step: Step) -> HTMLResponse:
    asked = site.store.asked(token, step.position)
    persons = site.key.questions[asked.question].persons
    numbers = [n for n, person in enumerate(asked.options, 1) if person in persons]
    hits = len(set(asked.chosen or []) & set(persons))
    ending = ("one", "two")[len(persons) - 1]
    verdict = f"hit_{ending}" if hits == len(persons) else "half" if hits else f"missed_{ending}"
    name = site.pages.texts["question"]["picture"]
    return site.pages.page(
        "answered",
        answered=standing.answered,
        chosen=asked.chosen,
        persons=persons,
        right=[name.replace("{number}", str(n)) for n in numbers],
        verdict=verdict,
        **_shown(site, token, step.position),
    )


def _shown(site: Site, token: str, position: int) -> dict[str, Any]:
    """Return what a page needs to show a question of a participant's session."""
    asked = site.store.asked(token, position)
    people = {person.id: person for person in site.study.people}
    question = site.question(asked.question)
    return {"question": question, "options": [people[name] for name in asked.options]}


def status_of(error: sqlite3.Error) -> int:
    """Return 507 when the disk is full, 503 when the database cannot be used for other reasons."""
    full = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return 507 if getattr(error, "sqlite_errorcode", 0) & 0xFF in full else 503
