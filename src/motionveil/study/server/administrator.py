"""The administrator's pages: how far the study is, new links, all answers as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from motionveil.study.design import Study
from motionveil.study.records import Participant
from motionveil.study.server.site import ADMINISTRATOR, DOCUMENTED, Site, kept, onward, same

COLUMNS = (
    *("participant", "kind", "position", "question", "question_kind", "condition", "chosen"),
    *("order", "seconds", "answered", "finished"),
)
MOST_LINKS = 1000
"""Links made at once."""


def administrator_routes(site: Site) -> APIRouter:
    """Return the routes under which the administrator is served."""
    router = APIRouter(default_response_class=HTMLResponse, responses=DOCUMENTED)

    @router.get("/admin")
    async def progress(request: Request) -> Response:
        """Show how far the study is."""
        if not site.is_administrator(request):
            return site.pages.page("sign_in", 401, problem=None)
        return _progress(site)

    @router.post("/admin/sign-in", status_code=303, response_class=RedirectResponse)
    async def sign_in(token: Annotated[str, Form(min_length=1, max_length=500)]) -> Response:
        """Give the browser the administrator's session."""
        if not same(token.strip(), site.admin_token):
            wrong = site.pages.texts["admin"]["wrong_token"]
            return site.pages.page("sign_in", 401, problem=wrong)
        return site.begin(onward("/admin"), ADMINISTRATOR, site.admin_session)

    @router.post("/admin/invite")
    async def invite(
        request: Request, count: Annotated[int, Form(ge=1, le=MOST_LINKS)]
    ) -> Response:
        """Make links, and show them this once."""
        if not site.is_administrator(request):
            return site.pages.page("sign_in", 401, problem=None)
        tokens = [site.store.enrol() for _ in range(count)]
        return _progress(site, [site.link(await kept(token)) for token in tokens])

    @router.get("/admin/answers.csv", responses={200: {"content": {"text/csv": {}}}})
    async def answers(request: Request) -> Response:
        """Send all answers."""
        if not site.is_administrator(request):
            return site.pages.page("sign_in", 401, problem=None)
        text = as_csv(site.study, site.store.participants())
        headers = {"Content-Disposition": 'attachment; filename="answers.csv"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=headers)

    @router.get("/openapi.json", response_class=JSONResponse)
    async def schema(request: Request) -> Response:
        """Send the OpenAPI schema of this server."""
        if not site.is_administrator(request):
            return site.pages.page("sign_in", 401, problem=None)
        return JSONResponse(request.app.openapi())

    return router


def _progress(site: Site, links: Sequence[str] = ()) -> HTMLResponse:
    people = site.store.progress()
    numbers = {
        "links_made": len(people),
        "consented": sum(person.consented is not None for person in people),
        "finished": sum(person.finished is not None for person in people),
        "withdrawn": site.store.withdrawn(),
        "answers": sum(person.answered for person in people),
    }
    return site.pages.page("admin", numbers=numbers, people=people, links=links)


def as_csv(study: Study, participants: Sequence[Participant]) -> str:
    """Return all answers as CSV, a row an answer; lists are separated by spaces.

    Who is right is not in it: `motionveil study analyse` knows.
    """
    questions = {question.id: question for question in study.questions}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for person in participants:
        for answer in person.answers:
            question = questions[answer.question]
            seconds = "" if answer.seconds is None else f"{answer.seconds:.2f}"
            writer.writerow(
                [
                    *(person.id, person.kind, answer.position, question.id, question.kind),
                    *(question.condition, " ".join(answer.chosen), " ".join(answer.order)),
                    *(seconds, answer.answered, person.finished or ""),
                ]
            )
    return out.getvalue()
