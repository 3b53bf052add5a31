"""A participant's way through the pages, as a browser without scripts."""

from __future__ import annotations

import re
import sqlite3
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import yaml

from motionveil.errors import MotionveilError
from programs import fill, small_disk
from small_study import small_study

pytest.importorskip("fastapi", reason="needs fastapi: install '.[study]'")

from motionveil.study.server.context import default_texts
from study_world import TEXTS, URL, World


class TestSession:
    def test_from_the_link_to_the_thanks(self, world: World) -> None:
        token = world.site.store.enrol().result()
        browser = world.browser(invited=False)
        browser.get(f"/join/{token}")
        assert browser.heading == TEXTS["welcome"]["title"]
        assert "There are 5 questions" in browser.page
        browser.post("/join", token=token)
        assert browser.heading == TEXTS["consent"]["title"]
        browser.post("/consent", agree="yes")
        assert browser.heading == TEXTS["instructions"]["title"]
        assert f"{URL}/join/{token}" in browser.page
        browser.go_on()
        assert browser.heading == f"Example {TEXTS['question']['two']}"
        assert len(browser.options) == 4
        browser.answer()
        headings = []
        while browser.heading != TEXTS["thanks"]["title"]:
            headings.append(browser.heading)
            browser.answer() if browser.options else browser.go_on()
        asked = [heading for heading in headings if heading.startswith("Question")]
        assert [heading[:15] for heading in asked] == [f"Question {n} of 5" for n in range(1, 6)]
        assert headings.count(TEXTS["pause"]["title"]) == 1
        assert sum(TEXTS["question"]["marked_two"] in heading for heading in asked) == 1
        (person,) = world.site.store.participants()
        assert person.kind == "real"
        assert person.finished
        assert [answer.chosen for answer in person.answers] == [
            answer.order[:2] for answer in person.answers
        ]

    def test_an_example_is_explained(self, world: World) -> None:
        browser = world.browser()
        browser.begin()
        right = world.site.key.questions["q000"].persons
        numbers = sorted(browser.options.index(person) + 1 for person in right)
        chosen = [right[0], next(name for name in browser.options if name not in right)]
        browser.post("/answer", question="q000", chosen=chosen)
        assert browser.heading == TEXTS["example"]["title"]
        assert "Image {} and Image {} are correct.".format(*numbers) in browser.page
        assert TEXTS["example"]["half"] in browser.page
        browser.get("/session")
        assert browser.heading == TEXTS["example"]["title"], "until they go on"

    def test_who_is_right_is_not_said_otherwise(self, world: World) -> None:
        browser = world.browser()
        browser.begin()
        browser.answer()
        browser.go_on()
        assert browser.heading.startswith("Question 1")
        assert not re.search(r"WHO\d|\.avi|act \d|\b(veiled|raw|attention)\b", browser.page)

    def test_of_one_person_a_question(self, tmp_path: Path) -> None:
        small_study(tmp_path / "study", persons=1, options=2, examples=0, break_every=0)
        world = World(tmp_path / "study")
        browser = world.browser()
        browser.begin()
        assert 'type="radio"' in browser.page
        while browser.heading != TEXTS["thanks"]["title"]:
            browser.answer(1)
        assert len(world.answers()) == 5
        world.site.store.close()

    def test_goes_on_with_the_link_in_another_browser(self, world: World) -> None:
        browser = world.browser()
        browser.begin()
        browser.answer()
        browser.go_on()
        other = world.browser(invited=False)
        other.get(f"/join/{world.token}")
        assert TEXTS["welcome"]["go_on"] in other.page
        other.post("/join", token=world.token)
        assert other.question == browser.question
        assert other.options == browser.options


class TestAnswer:
    def test_a_double_click_the_back_button_and_two_tabs_lead_on(self, world: World) -> None:
        browser = world.browser()
        browser.begin()
        first, options = browser.question, browser.options
        browser.answer()
        browser.go_on()
        second = browser.question
        for chosen in (options[2:], options[:1], ["script"], []):
            assert browser.post("/answer", question=first, chosen=chosen).status_code == 200
            assert browser.question == second
        assert [answer.chosen for answer in world.answers()] == [options[:2]]

    @pytest.mark.parametrize("number", [0, 1, 3, 4])
    def test_a_wrong_number_of_pictures_is_said_and_keeps_the_choice(
        self, world: World, number: int
    ) -> None:
        browser = world.browser()
        browser.begin()
        browser.answer(number)
        assert browser.status == 422
        assert TEXTS["question"]["wrong_two"] in browser.page
        assert browser.page.count(" checked>") == number
        assert world.answers() == []

    @pytest.mark.parametrize("chosen", [["who0", "who0"], ["who0", "who9"], ["who0", "<script>"]])
    def test_a_choice_that_is_none_is_refused(self, world: World, chosen: list[str]) -> None:
        browser = world.browser()
        browser.begin()
        browser.post("/answer", question=browser.question, chosen=chosen)
        assert browser.status == 422
        assert "<script>" not in browser.page.replace("<script src", "")
        assert world.answers() == []

    @pytest.mark.parametrize("question", ["q003", "none", "<script>alert(1)</script>", "q000'--"])
    def test_to_a_question_not_shown_is_refused(self, world: World, question: str) -> None:
        browser = world.browser()
        browser.begin()
        browser.post("/answer", question=question, chosen=["who1", "who2"])
        assert browser.status == 409
        assert TEXTS["errors"]["not_asked"] in browser.page
        assert "alert(1)" not in browser.page
        assert world.answers() == []

    def test_before_the_question_was_shown_is_refused(self, world: World) -> None:
        browser = world.browser()
        browser.post("/consent", agree="yes")
        browser.client.post("/go-on", data={"answered": 0}, follow_redirects=False)
        browser.post("/answer", question="q000", chosen=["who0", "who1"])
        assert browser.status == 409
        assert world.answers() == []

    @pytest.mark.parametrize(
        ("code", "status"), [(sqlite3.SQLITE_FULL, 507), (sqlite3.SQLITE_BUSY, 503)]
    )
    def test_that_cannot_be_kept_is_said_and_keeps_the_choice(
        self, world: World, monkeypatch: pytest.MonkeyPatch, code: int, status: int
    ) -> None:
        browser = world.browser()
        browser.begin()
        future: Future[Any] = Future()
        error = sqlite3.OperationalError("on purpose")
        error.sqlite_errorcode = code
        future.set_exception(error)
        with monkeypatch.context() as patch:
            patch.setattr(world.site.store, "answer", lambda *words: future)
            patch.setattr(world.site.store, "go_on", lambda *words: future)
            browser.answer()
            assert browser.status == status
            assert TEXTS["question"]["not_kept"] in browser.page
            assert browser.page.count(" checked>") == 2
            browser.post("/go-on", answered=0)
            assert browser.status == status
            assert TEXTS["errors"]["full" if status == 507 else "busy"] in browser.page
        browser.get("/session")
        browser.answer()
        assert len(world.answers()) == 1

    def test_on_a_full_disk_is_not_taken_and_nothing_is_lost(self, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk", 512 * 1024) as disk:
            small_study(disk / "study", questions=8, checks=0, examples=0, break_every=0)
            world = World(disk / "study")
            browser = world.browser()
            browser.begin()
            fill(disk / "others")
            taken = 0
            while browser.status == 200:  # what SQLite had set aside still takes some
                before = browser.question
                browser.answer()
                taken = len(world.answers())
                assert taken < 8
            assert browser.status == 507
            if browser.options:  # the answer did not fit; otherwise that the next one was shown
                assert TEXTS["question"]["not_kept"] in browser.page
                assert browser.question == before
            else:
                assert TEXTS["errors"]["full"] in browser.page

            (disk / "others").unlink()
            browser.get("/session")
            while browser.heading != TEXTS["thanks"]["title"]:
                browser.answer()
                assert browser.status == 200
            assert len(world.answers()) == 8
            world.site.store.close()


class TestConsent:
    @pytest.mark.parametrize("fields", [{}, {"agree": "no"}, {"agree": ""}])
    def test_is_needed(self, world: World, fields: dict[str, str]) -> None:
        browser = world.browser()
        browser.post("/consent", **fields)
        assert browser.status == 403
        assert TEXTS["consent"]["missing"] in browser.page
        browser.post("/go-on", answered=0)
        assert browser.heading == TEXTS["consent"]["title"]
        assert world.site.store.participants()[0].consented is None

    def test_can_be_taken_back(self, world: World) -> None:
        browser = world.browser()
        browser.begin()
        browser.answer()
        browser.get("/withdraw")
        assert browser.heading == TEXTS["withdraw"]["title"]
        for _ in range(2):  # a double click
            browser.post("/withdraw")
            assert browser.heading == TEXTS["withdraw"]["done_title"]
        assert world.site.store.participants() == []
        assert browser.client.cookies.get("study") is None
        browser.get("/session")
        assert browser.status == 401
        browser.get(f"/join/{world.token}")
        assert browser.status == 404


class TestTexts:
    def test_are_those_of_the_file_and_are_escaped(self, tmp_path: Path) -> None:
        small_study(tmp_path / "study", title="<b>Title</b>")
        texts = yaml.safe_load(default_texts())
        texts["language"] = "de"
        texts["welcome"]["title"] = "<script>alert('Wer?')</script>"
        (tmp_path / "de.yaml").write_text(yaml.safe_dump(texts), encoding="utf-8")
        world = World(tmp_path / "study", texts=tmp_path / "de.yaml")
        page = world.client.get("/").text
        assert '<html lang="de" dir="ltr">' in page
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
        assert "<b>" not in page
        world.site.store.close()


def test_a_missing_file_of_the_study_is_named(tmp_path: Path) -> None:
    small_study(tmp_path / "study")
    (tmp_path / "study" / "media" / "clip003.webm").unlink()
    with pytest.raises(MotionveilError, match=r"clip003\.webm: is missing"):
        World(tmp_path / "study")
