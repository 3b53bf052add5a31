"""The administrator's pages."""

from __future__ import annotations

import csv
import io
import re

import pytest

pytest.importorskip("fastapi", reason="needs fastapi: install '.[study]'")

from study_world import TEXTS, TOKEN, URL, World


class TestAdministrator:
    def test_must_sign_in(self, world: World) -> None:
        browser = world.browser()
        for path in ("/admin", "/admin/answers.csv", "/openapi.json"):
            browser.get(path)
            assert browser.status == 401
            assert browser.heading == TEXTS["admin"]["sign_in"]
        browser.post("/admin/invite", count=1)
        assert browser.status == 401
        for wrong in ("x", TOKEN[:-1], TOKEN + "x", "é"):
            browser.post("/admin/sign-in", token=wrong)
            assert browser.status == 401
            assert TEXTS["admin"]["wrong_token"] in browser.page
            assert browser.get("/admin", authorization="Bearer x").status_code == 401
        browser.client.cookies.set("administrator", TOKEN)
        assert browser.get("/admin").status_code == 401, "the token itself is no session"
        assert len(world.site.store.progress()) == 1

    def test_sees_how_far_it_is_and_makes_links(self, world: World) -> None:
        other = world.browser()
        other.begin()
        other.answer()
        browser = world.browser(invited=False)
        browser.post("/admin/sign-in", token=TOKEN)
        assert browser.heading == TEXTS["admin"]["title"]
        assert re.findall(r"<dd>(\d+)</dd>", browser.page) == ["1", "1", "0", "0", "1"]
        browser.post("/admin/invite", count=3)
        links = re.findall(rf"{URL}/join/\S+", re.search(r"(?s)<pre.*?</pre>", browser.page)[0])
        links = [link.removesuffix("</pre>") for link in links]
        assert len(set(links)) == 3
        guest = world.browser(invited=False)
        guest.get(links[2].removeprefix(URL))
        assert guest.heading == TEXTS["welcome"]["title"]
        for count in (0, -1, 1001, "x", ""):
            browser.post("/admin/invite", count=count)
            assert browser.status == 422

    def test_takes_all_answers_as_csv(self, world: World) -> None:
        browser = world.browser()
        browser.begin()
        options = browser.options
        browser.answer()
        answer = world.client.get(
            "/admin/answers.csv", headers={"authorization": f"Bearer {TOKEN}"}
        )
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        (row,) = csv.DictReader(io.StringIO(answer.text))
        assert row["participant"] == world.site.store.progress()[0].id
        assert row["question_kind"] == "example"
        assert row["order"].split() == options
        assert row["chosen"].split() == options[:2]
        assert float(row["seconds"]) >= 0
        assert world.token not in answer.text
