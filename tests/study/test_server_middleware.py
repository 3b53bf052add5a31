"""Who may come, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from small_study import small_study

pytest.importorskip("fastapi", reason="needs fastapi: install '.[study]'")

from motionveil.study.server.app import LARGEST_BODY
from study_world import TEXTS, URL, World


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
        world = World(tmp_path / "study", open=True, most=1)
        browser = world.browser(invited=False)
        browser.get("/")
        browser.post("/enrol")
        assert browser.heading == TEXTS["consent"]["title"]
        browser.post("/enrol")
        assert len(world.site.store.progress()) == 1, "the same browser is the same participant"
        browser.get("/")
        assert TEXTS["welcome"]["go_on"] in browser.page
        another = world.browser(invited=False)
        another.post("/enrol")
        assert another.status == 503
        assert TEXTS["errors"]["no_places"] in another.page
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
