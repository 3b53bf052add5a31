"""A participant's and the administrator's way through the pages, as a browser without scripts."""

from __future__ import annotations

import csv
import html
import io
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import yaml

from motionveil.errors import MotionveilError
from programs import fill, small_disk
from small_study import small_study

pytest.importorskip("fastapi", reason="needs fastapi: install '.[study]'")

from starlette.testclient import TestClient

from motionveil.study.server.app import make_app
from motionveil.study.server.guard import LARGEST_BODY
from motionveil.study.server.site import Site
from motionveil.study.server.texts import own_texts, read_texts

URL = "http://127.0.0.1:8000"
TOKEN = "the administrator's token"
TEXTS = read_texts()


class Browser:
    """Follows links and forms as a browser does."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.page = ""
        self.status = 0

    def get(self, path: str, **headers: str) -> Any:
        return self._note(self.client.get(path, headers=headers))

    def post(self, path: str, **fields: Any) -> Any:
        return self._note(self.client.post(path, data=fields))

    def _note(self, answer: Any) -> Any:
        self.page, self.status = html.unescape(answer.text), answer.status_code
        return answer

    @property
    def heading(self) -> str:
        text = re.sub(r"<.*?>", " ", re.search(r"(?s)<h1>(.*?)</h1>", self.page)[1])
        return " ".join(text.split())

    @property
    def question(self) -> str:
        return re.search(r'name="question" value="(\w+)"', self.page)[1]

    @property
    def options(self) -> list[str]:
        return re.findall(r'name="chosen" value="(\w+)"', self.page)

    @property
    def media(self) -> list[str]:
        return re.findall(r'src="(/media/[^"]+)"', self.page)

    def begin(self) -> None:
        """Come by a link to the first question."""
        self.post("/consent", agree="yes")
        self.post("/go-on", answered=0)

    def answer(self, chosen: int = 2) -> Any:
        return self.post("/answer", question=self.question, chosen=self.options[:chosen])

    def go_on(self) -> None:
        self.post("/go-on", answered=re.search(r'name="answered" value="(\d+)"', self.page)[1])


class World:
    """A study that is served, and browsers."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.site = Site(folder, URL, TOKEN, **options)
        self.client = TestClient(make_app(self.site), base_url=URL, raise_server_exceptions=False)

    def browser(self, *, invited: bool = True) -> Browser:
        client = TestClient(self.client.app, base_url=URL, raise_server_exceptions=False)
        browser = Browser(client)
        if invited:
            self.token = self.site.store.enrol().result()
            browser.post("/join", token=self.token)
        return browser

    def answers(self) -> list[Any]:
        return [answer for person in self.site.store.participants() for answer in person.answers]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    small_study(tmp_path / "study")
    world = World(tmp_path / "study")
    yield world
    world.site.store.close()


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
        assert "Picture {} and Picture {} are right.".format(*numbers) in browser.page
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


class TestWhoMayCome:
    def test_nobody_without_a_link(self, world: World) -> None:
        browser = world.browser(invited=False)
        browser.get("/")
        assert TEXTS["welcome"]["no_link"] in browser.page
        browser.post("/enrol")
        assert browser.status == 403
        for path in ("/session", "/withdraw"):
            browser.get(path)
            assert browser.status == 401
        for path, fields in (
            ("/consent", {"agree": "yes"}),
            ("/go-on", {"answered": 0}),
            ("/answer", {"question": "q000", "chosen": ["who0", "who1"]}),
        ):
            browser.post(path, **fields)
            assert browser.status == 401
        assert world.site.store.progress() == []

    @pytest.mark.parametrize("token", ["x", "A" * 32, "..%2f..", "%00", "'--", "é"])
    def test_nobody_with_a_wrong_link(self, world: World, token: str) -> None:
        browser = world.browser(invited=False)
        browser.get(f"/join/{token}")
        assert browser.status == 404
        browser.post("/join", token=token)
        assert browser.status == 404
        assert not browser.client.cookies

    def test_anybody_when_it_is_open(self, tmp_path: Path) -> None:
        small_study(tmp_path / "study")
        world = World(tmp_path / "study", open=True)
        browser = world.browser(invited=False)
        browser.get("/")
        browser.post("/enrol")
        assert browser.heading == TEXTS["consent"]["title"]
        browser.post("/enrol")
        assert len(world.site.store.progress()) == 1, "the same browser is the same participant"
        browser.get("/")
        assert TEXTS["welcome"]["go_on"] in browser.page
        world.site.store.close()

    @pytest.mark.parametrize("url", [URL, "https://study.example.org"])
    def test_the_cookie_is_for_this_server_and_no_script(self, world: World, url: str) -> None:
        token = world.site.store.enrol().result()
        world.site.url = url
        answer = world.client.post("/join", data={"token": token}, follow_redirects=False)
        (cookie,) = answer.headers.get_list("set-cookie")
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        expected = {"httponly", "path=/", "samesite=strict"}
        assert parts == (expected | {"secure"} if url.startswith("https") else expected)


class TestMedia:
    def test_of_a_question_that_was_shown_only(self, world: World) -> None:
        browser = world.browser()
        browser.post("/consent", agree="yes")
        everything = [
            path
            for folder in ("media", "pictures")
            for path in sorted((world.site.store.path.parent / folder).iterdir())
        ]
        browser.post("/go-on", answered=0)
        seen = set(browser.media)
        assert len(seen) == 6
        for path in everything:
            answer = browser.get(f"/media/{path.name}")
            if f"/media/{path.name}" in seen:
                assert answer.status_code == 200
                assert answer.content == path.read_bytes()
                kinds = {".mp4": "video/mp4", ".webm": "video/webm", ".jpg": "image/jpeg"}
                assert answer.headers["content-type"] == kinds[path.suffix]
            else:
                assert answer.status_code == 404
        stranger = world.browser(invited=False)
        assert {stranger.get(path).status_code for path in seen} == {404}

    def test_in_parts_as_safari_asks(self, world: World) -> None:
        browser = world.browser()
        browser.begin()
        path = browser.media[0]
        whole = browser.get(path).content
        first = browser.get(path, range="bytes=0-1")
        assert (first.status_code, first.content) == (206, whole[:2])
        assert first.headers["content-range"] == f"bytes 0-1/{len(whole)}"
        assert browser.get(path, range="bytes=100-").content == whole[100:]
        assert browser.get(path, range=f"bytes={len(whole)}-").status_code == 416

    @pytest.mark.parametrize(
        "path",
        [
            *("/media/../answers.json", "/media/..%2fanswers.json", "/media/%2e%2e/study.db"),
            *("/media/answers.json", "/media/%2fetc%2fpasswd", "/media/clip000.mp4%00.jpg"),
            *("/static/../app.py", "/static/..%2fapp.py", "/answers.json", "/study.db", "/docs"),
            *(
                "/media/",
                "/static/",
                "/session/",
                "/redoc",
                "/media/q000",
                "/media/..%5canswers.json",
            ),
        ],
    )
    def test_nothing_else_is_there(self, world: World, path: str) -> None:
        browser = world.browser()
        browser.begin()
        answer = browser.get(path)
        assert answer.status_code == 404
        assert browser.heading == TEXTS["errors"]["title"]


class TestGuard:
    def test_what_every_answer_says(self, world: World) -> None:
        browser = world.browser()
        browser.begin()
        for path in ("/", "/session", browser.media[0], "/none", "/admin", "/static/study.js"):
            answer = browser.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert len(answer.headers.get_list("cache-control")) == 1
        assert browser.get("/session").headers["cache-control"] == "no-store"

    def test_pages_name_no_other_server_and_have_no_inline_script(self, world: World) -> None:
        browser = world.browser()
        browser.begin()
        addresses = re.findall(r'(?:src|href|action)="([^"]+)"', browser.page)
        assert len(addresses) > 8
        assert all(address[0] in "/#" for address in addresses)
        assert not re.search(r"<style|<script(?! src=)|\son\w+=|\sstyle=", browser.page)

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::2]", "a@b"])
    def test_another_hosts_name_is_refused(self, world: World, host: str) -> None:
        assert world.client.get("/", headers={"host": host}).status_code == 421

    @pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
    def test_this_machines_name_is_known(self, world: World, host: str) -> None:
        assert world.client.get("/", headers={"host": host}).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": "http://127.0.0.1:8001"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ],
    )
    def test_a_form_of_another_site_is_refused(self, world: World, headers: dict[str, str]) -> None:
        browser = world.browser()
        answer = browser.client.post("/consent", data={"agree": "yes"}, headers=headers)
        assert answer.status_code == 403
        assert world.site.store.participants()[0].consented is None
        own = {"origin": URL, "sec-fetch-site": "same-origin", "host": "localhost:3"}  # by a proxy
        assert browser.client.post("/consent", data={"agree": "yes"}, headers=own).is_success

    def test_a_large_body_is_refused_before_it_is_read(self, world: World) -> None:
        browser = world.browser()
        browser.post("/consent", agree="y" * LARGEST_BODY)
        assert browser.status == 413
        assert TEXTS["errors"]["too_large"] in browser.page

    def test_a_large_body_of_untold_length_is_refused(self, world: World) -> None:
        browser = world.browser()
        chunks = (b"a=" + b"y" * 10_000 for _ in range(10))
        kind = {"content-type": "application/x-www-form-urlencoded"}
        assert browser.client.post("/consent", content=chunks, headers=kind).status_code == 413

    @pytest.mark.parametrize("length", ["-1", "x", "1e3", "²"])
    def test_a_length_that_is_none_is_refused(self, world: World, length: str) -> None:
        headers = {"content-length": length.encode("latin-1")}
        assert world.client.post("/consent", headers=headers).status_code == 400

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("application/json", b'{"agree": "yes"}'),
            ("multipart/form-data; boundary=x", b"--x\r\nno multipart"),
            ("application/x-www-form-urlencoded", b"answered=\xff%00&answered=1e99"),
            ("text/plain", b"answered=0"),
        ],
    )
    def test_a_body_that_is_no_form_is_refused(self, world: World, kind: str, body: bytes) -> None:
        browser = world.browser()
        answer = browser.client.post("/go-on", content=body, headers={"content-type": kind})
        assert answer.status_code in (400, 422)
        assert TEXTS["errors"]["not_valid"] in answer.text

    def test_another_method_is_refused_with_those_there_are(self, world: World) -> None:
        answer = world.client.delete("/session")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET"

    def test_what_goes_wrong_here_is_said_without_saying_what(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        browser = world.browser()
        monkeypatch.setattr(world.site.store, "asked", lambda *words: 1 / 0)
        browser.begin()
        assert browser.status == 500
        assert TEXTS["errors"]["broken"] in browser.page
        assert "Zero" not in browser.page


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


class TestTexts:
    def test_are_those_of_the_file_and_are_escaped(self, tmp_path: Path) -> None:
        small_study(tmp_path / "study", title="<b>Title</b>")
        texts = yaml.safe_load(own_texts())
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
