"""A browser that hangs must not hang the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from browsers import find_chromium, started

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: install '.[test]'")


def program(folder: Path, script: str) -> str:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.slow
def test_one_that_hangs_is_started_once_more(tmp_path: Path):
    hangs_once = program(
        tmp_path,
        f'if mkdir "{tmp_path}/started"; then sleep 1000; fi\nexec "{find_chromium()}" "$@"',
    )
    with started(hangs_once, tmp_path, start_s=10) as browser:
        page = browser.new_page()
        assert page.evaluate("1 + 1") == 2


@pytest.mark.slow
def test_one_that_always_hangs_is_an_error(tmp_path: Path):
    always = program(tmp_path, "exec sleep 1000")
    with pytest.raises(sync_api.Error), started(always, tmp_path, start_s=1):
        pass


@pytest.mark.slow
def test_one_that_hangs_later_is_killed(tmp_path: Path):
    with (
        started(find_chromium(), tmp_path, life_s=15) as browser,
        pytest.raises(sync_api.Error, match="closed"),
    ):
        browser.new_page().evaluate("new Promise(() => {})")
