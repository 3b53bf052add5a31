"""The trade-off's page in a real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_examples import result, rival_rows, write_png

from motionveil.report import write_tradeoff
from motionveil.report.pooling import Run, pool

LAPTOP = {"width": 1280, "height": 900}
PHONE = {"width": 400, "height": 800}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stored():
    return result(rival_rows(n=24), kind="tradeoff")


@pytest.fixture(scope="module")
def file(tmp_path_factory, stored) -> Path:
    folder = tmp_path_factory.mktemp("tradeoff")
    for one in stored.rows:
        one.picture = "frames.png"
    write_png(folder / "frames.png", width=60, height=20)
    return write_tradeoff([Run(stored, folder)], folder)[0]


@pytest.fixture(params=[LAPTOP, PHONE], ids=["laptop", "phone"])
def page(request, browser, file) -> Iterator[Any]:
    touch = request.param is PHONE
    context = browser.new_context(viewport=request.param, has_touch=touch)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert said == []


def shown(page: Any) -> list[str]:
    cards = page.locator(".card")
    return [cards.nth(i).locator("h2").inner_text() for i in range(cards.count())
            if cards.nth(i).is_visible()]  # fmt: skip


def test_a_point_that_is_pointed_at_shows_its_card(page, stored):
    assert shown(page) == []
    for i, method in enumerate(pool([stored])):
        if method.family in ("bdq", "unet"):  # these lie apart from the others
            page.locator(f"g.p{i}").hover()
            assert shown(page) == [method.label]
            assert page.locator(f"#c{i} img").evaluate("image => image.naturalWidth") == 60
    assert not page.locator(".hint").is_visible()


def test_a_point_that_the_keyboard_reaches_shows_its_card(page, stored):
    for i, method in list(enumerate(pool([stored])))[:4]:
        page.keyboard.press("Tab")
        assert shown(page) == [method.label], i


def test_pointing_comes_before_the_keyboard(page, stored):
    labels = [m.label for m in pool([stored])]
    page.keyboard.press("Tab")
    page.locator(f"g.p{labels.index('BDQ, α = 8')}").hover()
    assert shown(page) == ["BDQ, α = 8"]


def test_a_tap_shows_the_card(browser, file, stored):
    context = browser.new_context(viewport=PHONE, has_touch=True)
    page = context.new_page()
    page.goto(file.as_uri())
    place = [m.label for m in pool([stored])].index("BDQ, α = 2")
    box = page.locator(f"g.p{place}").bounding_box()
    # A finger lands beside the mark.
    page.touchscreen.tap(box["x"] - 4, box["y"] + box["height"] / 2)
    assert shown(page) == ["BDQ, α = 2"]
    context.close()


def test_a_switch_takes_a_family_out_of_the_plot(page, stored):
    place = [m.label for m in pool([stored])].index("BDQ, α = 8")
    mark = page.locator(f"g.p{place}")
    assert mark.is_visible()
    page.get_by_label("BDQ", exact=True).uncheck()
    assert not mark.is_visible()
    page.get_by_label("BDQ", exact=True).check()
    assert mark.is_visible()


def test_nothing_is_wider_than_the_screen_and_letters_can_be_read(page):
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    heights = page.evaluate(
        "[...document.querySelectorAll('.chart text')].map(t => t.getBoundingClientRect().height)"
    )
    assert min(heights) >= 11
