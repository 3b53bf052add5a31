"""The audit's page in a real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_examples import attacked, attacks, leaking, stored
from test_pages_browser import LAPTOP, PHONE

from motionveil.audit_results import Audit
from motionveil.report import write_audit

PAPER = {"width": 688, "height": 1000}  # A4 less the margins of `@page`

pytestmark = pytest.mark.slow


def unruly() -> Audit:
    """Long names without a place to break, and as many classes as a matrix may have."""
    long = "x" * 200
    people = [f"person called number {n:02d}" for n in range(20)]
    (attack,) = [a for a in attacks() if a.name == "frame"]
    named = attack.model_copy(update={"name": long})
    found = [attacked(named, "veiled", 0.6, classes=people, clips=320)]
    return stored(found, people=people, failed={long: long}, encoder=long, command=long)


@pytest.fixture(scope="module", params=[leaking, unruly], ids=["usual", "unruly"])
def file(request, tmp_path_factory) -> Path:
    return write_audit(request.param(), tmp_path_factory.mktemp("audit"))


@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_nothing_is_wider_than_the_screen(browser, file, viewport):
    page = browser.new_page(viewport=viewport)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    shown = "[...document.images].every(image => image.naturalWidth > 0)"
    assert page.evaluate(shown)
    assert said == []
    page.close()


def test_nothing_is_cut_off_on_paper(browser, file):
    page = browser.new_page(viewport=PAPER)
    page.emulate_media(media="print")
    page.goto(file.as_uri())
    widths = page.evaluate(
        "[...document.querySelectorAll('table, img, pre')].map(e => e.scrollWidth)"
    )
    assert widths
    assert max(widths) <= PAPER["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER["width"]
    page.close()
