"""The pages in a real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_examples import baseline_rows, result, write_png

from motionveil.report import write_report, write_tradeoff
from motionveil.report.aggregate import StoredResult

LAPTOP = {"width": 1280, "height": 900}
PHONE = {"width": 400, "height": 800}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("tradeoff")
    stored = result(baseline_rows(n=24), kind="tradeoff")
    for one in stored.rows:
        one.picture = "frames.png"
    write_png(folder / "frames.png", width=60, height=20)
    return [write_tradeoff([StoredResult(stored, folder)], folder)[0], write_report(stored, folder)]


@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_every_image_is_shown_and_nothing_is_wider_than_the_screen(browser, files, viewport):
    page = browser.new_page(viewport=viewport)
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    for file in files:
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    page.close()
    assert messages == []
