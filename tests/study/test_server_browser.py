"""A whole session in a real browser: mouse, finger, keyboard; with and without scripts."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from small_study import small_study

axe_api = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="needs axe: install '.[test]'"
)
uvicorn = pytest.importorskip("uvicorn", reason="needs uvicorn: install '.[study]'")

from motionveil.study.server.app import listen, make_app  # noqa: E402, after what may be missing
from motionveil.study.server.context import Context, read_texts  # noqa: E402

pytestmark = pytest.mark.slow  # looks at pages in a real browser

LAPTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "color_scheme": "dark",
    "has_touch": True,
    "is_mobile": True,
}
TEXTS = read_texts()
TOKEN = "the administrator's token"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Context]:
    """A study that is being served."""
    small_study(tmp_path / "study", options=7, questions=3, break_every=2)
    with listen("127.0.0.1", 0) as listener:
        site = Context(tmp_path / "study", f"http://127.0.0.1:{listener.getsockname()[1]}", TOKEN)
        server = uvicorn.Server(uvicorn.Config(make_app(site), log_level="warning"))
        thread = threading.Thread(target=server.run, args=[[listener]])
        thread.start()
        yield site
        server.should_exit = True
        thread.join()


class Visit:
    """A participant's page, with all that it asked for and complained about."""

    def __init__(self, context: Any, site: Context) -> None:
        self.site = site
        self.page = context.new_page()
        self.page.set_default_timeout(10_000)
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.seen: set[str] = set()
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def open(self, token: str | None = None) -> None:
        self.page.goto(self.site.link(token or self.site.store.enrol().result()))

    @property
    def heading(self) -> str:
        return str(self.page.inner_text("h1"))

    def look(self) -> None:
        """Hold the page against the rules for accessibility, and against the screen's width."""
        # With `preload` it would wait for media.
        options = {"resultTypes": ["violations"], "preload": False}
        found = axe_api.Axe().run(self.page, options=options).response["violations"]
        assert [(rule["id"], [n["html"] for n in rule["nodes"]]) for rule in found] == []
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= self.page.viewport_size["width"]
        self.seen.add(self.heading.splitlines()[-1])

    def next(self, press: str = "click") -> None:
        with self.page.expect_navigation():
            getattr(self.page.locator("main button").first, press)()

    def begin(self) -> None:
        """Come to the first question."""
        self.open()
        self.next()
        self.page.check("[name=agree]")
        self.next()
        self.next()

    def choose(self, *numbers: int, press: str = "click") -> None:
        for number in numbers:
            getattr(self.page.locator(".image").nth(number), press)()

    def status(self) -> str:
        return str(self.page.inner_text("[data-status]"))


@contextmanager
def visiting(browser: Any, site: Context, **options: Any) -> Iterator[Visit]:
    context = browser.new_context(**(options or LAPTOP))
    try:
        yield Visit(context, site)
    finally:
        context.close()


def answers(site: Context) -> list[list[str]]:
    return [answer.chosen for person in site.store.participants() for answer in person.answers]


EVERY_PAGE = {
    *(TEXTS[name]["title"] for name in ("welcome", "consent", "instructions", "example", "pause")),
    *(TEXTS["question"][name] for name in ("two", "marked_two")),
    TEXTS["thanks"]["title"],
}


class TestSession:
    @pytest.mark.parametrize(
        ("options", "press"), [(LAPTOP, "click"), (PHONE, "tap")], ids=["laptop", "phone"]
    )
    def test_from_consent_to_thanks(
        self, browser: Any, site: Context, options: dict[str, Any], press: str
    ) -> None:
        with visiting(browser, site, **options) as visit:
            visit.open()
            while visit.heading != TEXTS["thanks"]["title"]:
                visit.look()
                if visit.heading == TEXTS["consent"]["title"]:
                    getattr(visit.page.locator(".tick"), press)()
                elif visit.page.locator("[name=chosen]").count():
                    visit.choose(1, 4, press=press)
                    assert visit.status() == "2 of 2 chosen"
                visit.next(press)
            visit.look()
            assert visit.seen == EVERY_PAGE
            assert visit.problems == []
            assert visit.hosts == {urlsplit(site.url).netloc}
            (cookie,) = visit.page.context.cookies()
            assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
            assert cookie["expires"] == -1
        (person,) = site.store.participants()
        assert person.finished
        assert all(answer.chosen == [answer.order[1], answer.order[4]] for answer in person.answers)
        assert all(answer.seconds is not None for answer in person.answers)

    def test_with_the_keyboard_only(self, browser: Any, site: Context) -> None:
        with visiting(browser, site) as visit:

            def tab_to(selector: str) -> None:
                for _ in range(30):
                    visit.page.keyboard.press("Tab")
                    if visit.page.evaluate("(s) => document.activeElement.matches(s)", selector):
                        outline = visit.page.evaluate(
                            "[document.activeElement, document.activeElement.parentElement]"
                            ".map((e) => parseFloat(getComputedStyle(e).outlineWidth))"
                        )
                        assert max(outline) >= 2, "seen to be where the keyboard is"
                        return
                pytest.fail(f"no way to {selector}")

            visit.open()
            visit.page.keyboard.press("Tab")
            assert visit.page.evaluate("document.activeElement.className") == "skip"
            while visit.heading != TEXTS["thanks"]["title"]:
                if visit.heading == TEXTS["consent"]["title"]:
                    tab_to("[name=agree]")
                    visit.page.keyboard.press("Space")
                elif visit.page.locator("[name=chosen]").count():
                    for _ in range(2):
                        tab_to("[name=chosen]")
                        visit.page.keyboard.press("Space")
                tab_to("main button")
                with visit.page.expect_navigation():
                    visit.page.keyboard.press("Enter")
            assert visit.problems == []
        assert len(answers(site)) == 5

    def test_without_scripts(self, browser: Any, site: Context) -> None:
        with visiting(browser, site, java_script_enabled=False) as visit:
            visit.begin()
            visit.choose(0, 1, 2)
            visit.next()
            assert TEXTS["question"]["wrong_two"] in visit.page.inner_text("main")
            visit.choose(2)
            while visit.heading != TEXTS["thanks"]["title"]:
                if visit.page.locator("[name=chosen]:checked").count() == 0:
                    visit.choose(*range(0, visit.page.locator("label.image").count(), 5))
                visit.next()
        assert len(answers(site)) == 5

    def test_is_gone_on_with_in_another_browser(self, browser: Any, site: Context) -> None:
        token = site.store.enrol().result()
        with visiting(browser, site) as visit:
            visit.open(token)
            visit.next()
            visit.page.check("[name=agree]")
            visit.next()
            visit.next()
            visit.choose(0, 1)
            visit.next()
            visit.next()
            heading, order = visit.heading, visit.page.locator("[name=chosen]").all()
            order = [box.get_attribute("value") for box in order]
        with visiting(browser, site, **PHONE) as visit:
            visit.open(token)
            assert visit.page.inner_text("main button") == TEXTS["welcome"]["go_on"]
            visit.next()
            assert visit.heading == heading
            boxes = visit.page.locator("[name=chosen]").all()
            assert [box.get_attribute("value") for box in boxes] == order


class TestQuestion:
    def test_the_video_plays_over_and_over_without_sound(self, browser: Any, site: Context) -> None:
        with visiting(browser, site) as visit:
            visit.begin()
            video = "document.querySelector('video')"
            for _ in range(100):  # the page allows no `wait_for_function`, which is `eval`
                if visit.page.evaluate(f"{video}.currentTime") > 0.2:
                    break
                time.sleep(0.05)
            assert visit.page.evaluate(f"{video}.currentTime") > 0
            state = visit.page.evaluate(
                f"[{video}.paused, {video}.muted, {video}.loop, {video}.videoWidth]"
            )
            assert state == [False, True, True, 64]
            loaded = "[...document.querySelectorAll('.image img')].map((i) => i.naturalWidth)"
            assert visit.page.evaluate(loaded) == [96] * 7

    def test_a_video_stands_still_where_motion_is_unwanted(
        self, browser: Any, site: Context
    ) -> None:
        with visiting(browser, site, reduced_motion="reduce") as visit:
            visit.begin()
            time.sleep(0.3)
            assert visit.page.evaluate("document.querySelector('video').paused")

    def test_a_video_that_does_not_come_is_said(self, browser: Any, site: Context) -> None:
        with visiting(browser, site) as visit:
            visit.page.route("**/media/*.mp4", lambda route: route.abort())
            visit.page.route("**/media/*.webm", lambda route: route.abort())
            visit.begin()
            visit.page.wait_for_selector("[data-video-problem]", state="visible")

    def test_a_video_that_failed_before_the_script_came_is_said(
        self, browser: Any, site: Context
    ) -> None:
        scripts: list[Any] = []
        with visiting(browser, site) as visit:
            visit.begin()
            assert visit.page.locator("[data-video-problem]").is_hidden()
            visit.page.route(re.compile(r"/media/.*\.(mp4|webm)"), lambda route: route.abort())
            visit.page.route(re.compile(r"study.*\.js"), lambda route: scripts.append(route))
            visit.page.reload(wait_until="commit")
            visit.page.wait_for_timeout(1000)
            for script in scripts:
                script.continue_()
            assert scripts
            visit.page.wait_for_selector("[data-video-problem]", state="visible")

    def test_a_choice_is_counted_and_shown_by_more_than_colour(
        self, browser: Any, site: Context
    ) -> None:
        with visiting(browser, site) as visit:
            visit.begin()
            marks = visit.page.locator(".mark:visible")
            assert (visit.status(), marks.count()) == ("0 of 2 chosen", 0)
            visit.choose(0)
            assert (visit.status(), marks.all_inner_texts()) == ("1 of 2 chosen", ["Chosen"])
            visit.page.click("main button")
            assert visit.status() == TEXTS["question"]["wrong_two"]
            visit.choose(1, 2)
            assert visit.status() == TEXTS["question"]["too_many"]
            assert marks.count() == 2
            visit.choose(0)
            assert visit.status() == "1 of 2 chosen"
            visit.page.reload()
            assert answers(site) == []
            assert visit.problems == []

    def test_double_clicks_the_back_button_and_two_tabs_give_one_answer(
        self, browser: Any, site: Context
    ) -> None:
        with visiting(browser, site) as visit:
            visit.begin()
            other = Visit(visit.page.context, site)
            other.page.goto(f"{site.url}/session")
            other.choose(5, 6)
            visit.choose(0, 1)
            with visit.page.expect_navigation():
                visit.page.dblclick("main button")
            assert visit.heading == TEXTS["example"]["title"]
            other.next()
            assert other.heading == TEXTS["example"]["title"]
            visit.next()
            visit.choose(2, 3)
            visit.next()
            assert visit.heading.startswith("Question 2")
            visit.page.go_back()
            visit.page.goto(f"{site.url}/session")
            assert visit.heading.startswith("Question 2")
            (person,) = site.store.participants()
        assert [answer.chosen for answer in person.answers] == [
            person.answers[0].order[:2],
            person.answers[1].order[2:4],
        ]


@pytest.mark.parametrize("options", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_other_pages_are_for_everybody(
    browser: Any, site: Context, options: dict[str, Any]
) -> None:
    with visiting(browser, site, **options) as visit:
        visit.begin()
        with visit.page.expect_navigation():
            visit.page.click("footer a")
        visit.look()
        visit.next()
        visit.look()
        assert visit.heading == TEXTS["withdraw"]["done_title"]
        visit.page.goto(f"{site.url}/admin")
        visit.look()
        visit.page.fill("[name=token]", TOKEN)
        visit.next()
        visit.page.fill("[name=count]", "3")
        with visit.page.expect_navigation():
            visit.page.click("main form button")
        assert visit.page.inner_text("pre").count("/join/") == 3
        visit.look()
