"""The routes for participants and for the administrator.

`/session` always shows the current page of a participant's session.
"""

from __future__ import annotations

import csv
import io
import math
import sqlite3
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Form, Request
from fastapi.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
)

from motionveil.study.design import Participant, Study
from motionveil.study.server.context import (
    ADMINISTRATOR,
    DOCUMENTED,
    SESSION,
    Context,
    redirect,
    same,
    stored,
)
from motionveil.study.store import SessionState

Text = Annotated[str, Form(min_length=1, max_length=100)]

MEDIA_TYPES = {".mp4": "video/mp4", ".webm": "video/webm", ".jpg": "image/jpeg"}
COLUMNS = (
    *("participant", "kind", "position", "question", "question_kind", "condition", "chosen"),
    *("order", "seconds", "answered", "finished"),
)
MOST_LINKS = 1000
"""Maximum number of links created at once."""
_SECONDS_PER_QUESTION = 15


class Step(NamedTuple):
    """The current page of a session; number and total of questions exclude examples.

    `"answered"` is the feedback on an example; the position is that of the question, else 0.
    """

    kind: Literal["consent", "instructions", "question", "answered", "pause", "thanks"]
    position: int
    number: int
    total: int


def step_of(study: Study, state: SessionState) -> Step:
    """Return the current page, a function of what is stored."""
    examples = len(study.of_kind("example"))
    answered, total, every = state.answered, len(study.questions) - examples, study.break_every
    number = max(0, answered - examples)
    unseen = state.passed < answered
    if not state.consented:
        return Step("consent", 0, 0, total)
    if state.passed < 0:
        return Step("instructions", 0, 0, total)
    if unseen and 0 < answered <= examples:
        return Step("answered", answered - 1, number, total)
    if answered >= state.places:
        return Step("thanks", 0, number, total)
    # No break near the end of the session.
    if unseen and every and number and number % every == 0 and number + every // 2 < total:
        return Step("pause", 0, number, total)
    return Step("question", answered, number, total)


def participant_routes(context: Context) -> APIRouter:
    """Return the routes for participants."""
    router = APIRouter(default_response_class=HTMLResponse, responses=DOCUMENTED)
    moved: dict[str, Any] = {"status_code": 303, "response_class": RedirectResponse}

    @router.get("/")
    async def welcome(request: Request) -> Response:
        """Show the welcome page."""
        way = "session" if context.has_session(request) else "open" if context.open else "none"
        return _welcome(context, way)

    @router.get("/join/{token}")
    async def join(token: str) -> Response:
        """Show the welcome page of a personal link."""
        state = context.store.state(token)
        if state is None:
            return context.pages.problem(404, "bad_link")
        return _welcome(context, "link", token, begun=state.consented)

    # Not by the link itself: a strict cookie set after a click in an e-mail is not sent on.
    @router.post("/join", **moved)
    async def begin(token: Text) -> Response:
        """Set a participant's session cookie."""
        if context.store.state(token) is None:
            return context.pages.problem(404, "bad_link")
        return context.set_session(redirect(), SESSION, token)

    @router.post("/enrol", **moved)
    async def enrol(request: Request) -> Response:
        """Add a participant without a link, if the study is open."""
        if context.has_session(request):
            return redirect()
        if not context.open:
            return context.pages.problem(403, "no_session")
        if context.store.count() >= context.most:
            return context.pages.problem(503, "no_places")
        token = await stored(context.store.enrol())
        return context.set_session(redirect(), SESSION, token)

    @router.get("/session")
    async def session(request: Request) -> Response:
        """Show the current page of the session."""
        token, state = context.participant(request)
        step = step_of(context.study, state)
        if step.kind == "question":
            await stored(context.store.show(token, step.position))
            return _question(context, token, step)
        if step.kind == "answered":
            return _feedback(context, token, state, step)
        if step.kind == "consent":
            return context.pages.page("consent", problem=None)
        link = context.link(token)
        return context.pages.page(step.kind, step=step, link=link, answered=state.answered)

    @router.post("/consent", **moved)
    async def consent(
        request: Request, agree: Annotated[str | None, Form(max_length=100)] = None
    ) -> Response:
        """Start a participant's session after consent."""
        token, _ = context.participant(request)
        if agree != "yes":
            missing = context.pages.texts["consent"]["missing"]
            return context.pages.page("consent", 403, problem=missing)
        await stored(context.store.consent(token))
        return redirect()

    @router.post("/go-on", **moved)
    async def go_on(request: Request, answered: Annotated[int, Form(ge=0, le=9999)]) -> Response:
        """Continue after the instructions, the feedback on an example, or a break."""
        token, _ = context.participant(request)
        await stored(context.store.go_on(token, answered))
        return redirect()

    @router.post("/answer", **moved)
    async def answer(
        request: Request, question: Text, chosen: Annotated[list[str] | None, Form()] = None
    ) -> Response:
        """Store the answer to the displayed question; the first one counts."""
        token, state = context.participant(request)
        return await _answer(context, token, state, question, chosen or [])

    @router.get("/withdraw")
    async def withdraw(request: Request) -> Response:
        """Ask for confirmation of a withdrawal."""
        context.participant(request)
        return context.pages.page("withdraw")

    @router.post("/withdraw", **moved)
    async def delete(request: Request) -> Response:
        """Delete all data of the participant."""
        await stored(context.store.withdraw(request.cookies.get(SESSION, "")))
        response = redirect("/withdrawn")
        response.delete_cookie(SESSION, httponly=True, samesite="strict", secure=context.secure)
        return response

    @router.get("/withdrawn")
    async def withdrawn() -> Response:
        """Confirm the deletion."""
        return context.pages.page("withdrawn")

    content: dict[str, Any] = {"content": {kind: {} for kind in MEDIA_TYPES.values()}}
    ranges: dict[int | str, dict[str, Any]] = {
        200: content,
        206: content,
        416: {"description": "The range is not satisfiable"},
    }

    @router.get("/media/{name}", response_class=FileResponse, responses=ranges)
    async def medium(request: Request, name: str) -> Response:
        """Send a clip or an image of a question displayed to the participant."""
        token = request.cookies.get(SESSION)
        path = context.media.find(name, context.store.shown(token) if token else set())
        if path is None:
            return context.pages.problem(404, "not_found")
        headers = {"Cache-Control": "private, max-age=3600"}  # for looped playback
        kind = MEDIA_TYPES[path.suffix]
        if kind.startswith("video/"):
            return FileResponse(path, media_type=kind, headers=headers)  # supports ranges
        return Response(path.read_bytes(), media_type=kind, headers=headers)

    return router


def _welcome(context: Context, way: str, token: str = "", *, begun: bool = False) -> HTMLResponse:
    count = len(context.study.questions) - len(context.study.of_kind("example"))
    minutes = max(5, 5 * math.ceil(count * _SECONDS_PER_QUESTION / 60 / 5))
    return context.pages.page(
        "welcome", way=way, token=token, begun=begun, count=count, minutes=minutes
    )


async def _answer(
    context: Context, token: str, state: SessionState, name: str, chosen: list[str]
) -> Response:
    step, question = step_of(context.study, state), context.question(name)
    asked = None
    if step.kind == "question":
        asked = context.store.asked(token, step.position).question
    if question is None or asked != name:
        if name in context.store.shown(token):  # back button, double click or another tab
            return redirect()
        return context.pages.problem(409, "not_asked")
    texts, needed = context.pages.texts["question"], context.study.persons_per_question
    if len(chosen) != needed or len(set(chosen) & set(question.options)) != needed:
        wrong = texts[("wrong_one", "wrong_two")[needed - 1]]
        return _question(context, token, step, chosen, wrong, 422)
    try:
        status = await stored(context.store.answer(token, name, chosen))
    except sqlite3.Error as error:
        return _question(context, token, step, chosen, texts["not_kept"], status_of(error))
    return context.pages.problem(409, "not_asked") if status == "refused" else redirect()


def _question(
    context: Context,
    token: str,
    step: Step,
    chosen: Sequence[str] = (),
    problem: str | None = None,
    status: int = 200,
) -> HTMLResponse:
    shown = _shown(context, token, step.position)
    return context.pages.page(
        "question", status, **{**shown, "step": step, "chosen": chosen, "problem": problem}
    )


def _feedback(context: Context, token: str, state: SessionState, step: Step) -> HTMLResponse:
    shown = _shown(context, token, step.position)
    persons = context.key.questions[shown["question"].id].persons
    hits = len(set(shown["chosen"]) & set(persons))
    ending = ("one", "two")[len(persons) - 1]
    verdict = f"hit_{ending}" if hits == len(persons) else "half" if hits else f"missed_{ending}"
    name = context.pages.texts["question"]["picture"]
    right = [
        name.replace("{number}", str(number))
        for number, person in enumerate(shown["options"], 1)
        if person.id in persons
    ]
    return context.pages.page(
        "answered", answered=state.answered, persons=persons, right=right, verdict=verdict, **shown
    )


def _shown(context: Context, token: str, position: int) -> dict[str, Any]:
    """Return the template variables of a question of a participant's session."""
    asked = context.store.asked(token, position)
    people = {person.id: person for person in context.study.people}
    return {
        "question": context.question(asked.question),
        "options": [people[name] for name in asked.options],
        "chosen": asked.chosen or [],
    }


def status_of(error: sqlite3.Error) -> int:
    """Return 507 if the disk is full, 503 for other errors of the database."""
    full = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return 507 if getattr(error, "sqlite_errorcode", 0) & 0xFF in full else 503


def admin_routes(context: Context) -> APIRouter:
    """Return the routes for the administrator: progress, new links, answers as CSV, the schema."""
    router = APIRouter(default_response_class=HTMLResponse, responses=DOCUMENTED)

    @router.get("/admin")
    async def progress(request: Request) -> Response:
        """Show the progress of the study."""
        context.check_administrator(request)
        return _progress(context)

    @router.post("/admin/sign-in", status_code=303, response_class=RedirectResponse)
    async def sign_in(token: Annotated[str, Form(min_length=1, max_length=500)]) -> Response:
        """Set the administrator's session cookie."""
        if not same(token.strip(), context.admin_token):
            wrong = context.pages.texts["admin"]["wrong_token"]
            return context.pages.page("sign_in", 401, problem=wrong)
        return context.set_session(redirect("/admin"), ADMINISTRATOR, context.admin_session)

    @router.post("/admin/invite")
    async def invite(
        request: Request, count: Annotated[int, Form(ge=1, le=MOST_LINKS)]
    ) -> Response:
        """Create links, and show them once."""
        context.check_administrator(request)
        tokens = [context.store.enrol() for _ in range(count)]
        return _progress(context, [context.link(await stored(token)) for token in tokens])

    @router.get("/admin/answers.csv", responses={200: {"content": {"text/csv": {}}}})
    async def answers(request: Request) -> Response:
        """Send all answers."""
        context.check_administrator(request)
        text = as_csv(context.study, context.store.participants())
        headers = {"Content-Disposition": 'attachment; filename="answers.csv"'}
        return Response(text, media_type="text/csv; charset=utf-8", headers=headers)

    @router.get("/openapi.json", response_class=JSONResponse)
    async def schema(request: Request) -> Response:
        """Send the OpenAPI schema of this server."""
        context.check_administrator(request)
        return JSONResponse(request.app.openapi())

    return router


def _progress(context: Context, links: Sequence[str] = ()) -> HTMLResponse:
    people = context.store.progress()
    numbers = {
        "links_made": len(people),
        "consented": sum(person.consented is not None for person in people),
        "finished": sum(person.finished is not None for person in people),
        "withdrawn": context.store.withdrawn(),
        "answers": sum(person.answered for person in people),
    }
    return context.pages.page("admin", numbers=numbers, people=people, links=links)


def as_csv(study: Study, participants: Sequence[Participant]) -> str:
    """Return all answers as CSV, one row per answer; ids in a cell are separated by spaces.

    It does not contain the correct answers.
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
