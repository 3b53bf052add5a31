"""The server against its own schema: schemathesis makes requests, good and bad, and looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from small_study import small_study

pytest.importorskip("fastapi", reason="needs fastapi: install '.[study]'")
schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis: install '.[test]'")

from motionveil.study.server.app import make_app  # noqa: E402, after what may be missing
from motionveil.study.server.context import Context  # noqa: E402

URL = "http://127.0.0.1"
TOKEN = "the administrator's token"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder = tmp_path_factory.mktemp("schema") / "study"
    small_study(folder)
    site = Context(folder, URL, TOKEN, open=True)
    yield site
    site.store.close()


@pytest.fixture(scope="module")
def operations(site: Context) -> dict[str, Any]:
    """What the published schema offers, by method and path."""
    known = {"Authorization": f"Bearer {TOKEN}", "Host": "127.0.0.1"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(site), headers=known)
    found = [result.ok() for result in schema.get_all_operations()]
    return {f"{operation.method.upper()} {operation.path}": operation for operation in found}


PAGES = [
    *("GET /", "GET /join/{token}", "GET /session", "GET /withdraw", "GET /withdrawn"),
    *("GET /media/{name}", "GET /static/{name}"),
    *("GET /admin", "GET /admin/answers.csv"),
]
FORMS = [
    *("POST /join", "POST /enrol", "POST /consent", "POST /go-on", "POST /answer"),
    *("POST /withdraw", "POST /admin/sign-in", "POST /admin/invite"),
]


def test_the_schema_has_all_but_itself(operations: dict[str, Any]) -> None:
    assert sorted(operations) == sorted([*PAGES, *FORMS])


@pytest.mark.parametrize("name", [*PAGES, *FORMS])
def test_answers_as_the_schema_says(site: Context, operations: dict[str, Any], name: str) -> None:
    @settings(
        max_examples=10 if name in FORMS else 3,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operations[name].as_strategy())
    def ask(case: Any) -> None:
        token = site.store.enrol().result()
        site.store.consent(token).result()
        signed_in = {"Authorization": f"Bearer {TOKEN}", "Host": "127.0.0.1"}
        case.call_and_validate(cookies={"study": token}, headers=signed_in)

    ask()
