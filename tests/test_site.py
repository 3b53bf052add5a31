"""The documentation's site: built with warnings as errors, complete, and nobody else's."""

from __future__ import annotations

import functools
import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from motionveil.cli import COMMANDS
from threads import GIVEN

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `dev.py docs` builds it."""
    pytest.importorskip("mkdocs", reason="needs mkdocs: install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=GIVEN, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_table_of_licences_is_put_between_its_marks(tmp_path: Path):
    rows = [
        {"Name": "Two", "License": "MIT |\nBSD", "URL": "UNKNOWN"},
        {"Name": "one", "License": "MIT", "URL": "https://one"},
    ]
    (tmp_path / "licences.json").write_text(json.dumps(rows))
    page, real = tmp_path / "page.md", (ROOT / "docs/licences.md").read_text("utf-8")
    command = [sys.executable, ROOT / "packaging/release.py", "page", tmp_path, page]
    page.write_text(real + "\nWhat follows.\n", "utf-8")
    subprocess.run(command, check=True)
    head, _, rest = real.partition("| package | licence |\n")
    tail = rest[rest.index("\n<!--") :]
    lines = "| --- | --- |\n| [one](https://one) | MIT |\n| Two | MIT \\| BSD |\n"
    assert page.read_text("utf-8") == f"{head}| package | licence |\n{lines}{tail}\nWhat follows.\n"
    for broken in (head, real + tail):
        page.write_text(broken, "utf-8")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "must have the lines" in done.stderr
        assert page.read_text("utf-8") == broken


@pytest.mark.slow
def test_loads_nothing_from_a_third_party(site: Path):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|source|video|iframe)\b[^>]*\bsrc=\"([^\"]*)", text)
        loaded += re.findall(
            r"<link\b[^>]*\brel=\"(?:stylesheet|icon|preload|preconnect)\"[^>]*", text
        )
        assert loaded
        assert not [one for one in loaded if "//" in one], page
    styles = "".join(sheet.read_text(encoding="utf-8") for sheet in site.rglob("*.css"))
    assert not re.findall(r"url\([\"']?(?:https?:)?//[^)]*", styles)


@pytest.mark.slow
def test_reference_has_every_command_and_schema(site: Path):
    page = (site / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
    assert set(COMMANDS) <= set(re.findall(r'<h2 id="([^"]*)"', page))
    assert "--encoder ENCODER" in page
    files = (site / "reference" / "files" / "index.html").read_text(encoding="utf-8")
    schemas = [one.stem for one in (site / "schemas").glob("*.json")]
    assert {"encoder", "results", "service"} <= set(schemas)
    assert all(f"../../schemas/{name}.json" in files for name in schemas)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desktop", "phone"])
def test_pages_fit_the_screen(address: str, browser: Any, size: tuple[int, int]):
    """The front page, a tutorial and a reference: the heading is seen, nothing scrolls sideways."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    for where in ("", "tutorials/add-a-method/", "reference/commands/"):
        page.goto(f"{address}{where}")
        heading = page.locator("article h1").first
        assert heading.is_visible()
        assert heading.inner_text().strip()
        box = heading.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], where
    page.close()


@pytest.mark.slow
def test_search_finds_by_itself(address: str, browser: Any):
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.click("input[name=query]")
    page.get_by_text("Type to start searching").wait_for(state="attached", timeout=180_000)
    page.locator("input[name=query]").press_sequentially("guard blanks frames")  # it heeds keys
    page.wait_for_selector(".md-search-result__link", timeout=180_000)
    assert "streaming" in page.content()
    assert asked
    assert not [one for one in asked if not one.startswith((address, "data:", "blob:"))]
    page.close()
