"""Debian's Chromium for tests, bounded in time: one that hangs is killed and started once more.

Playwright waits without limit for a new page, and pytest-timeout's exception is lost where it
arrives inside a callback of Playwright's event loop. A Chromium that hung once kept all its threads
busy and a whole run waiting for more than an hour.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str:
    """Return the path of the installed Chromium, or skip the test."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs a chromium: apt install chromium")
    return chromium


@contextlib.contextmanager
def started(program: str, folder: Path, start_s: float = 60, life_s: int = 600) -> Iterator[Any]:
    """Yield a browser that has opened a page, and close it.

    A program that does so within `start_s` seconds on none of two starts raises Playwright's error.
    After `life_s` seconds the browser is killed: what waits for it raises then.
    """
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright: install '.[test]'"
    )
    with sync_api.sync_playwright() as playwright:
        try:
            browser = _start(playwright, program, folder, start_s, life_s)
        except sync_api.Error:
            browser = _start(playwright, program, folder, start_s, life_s)
        yield browser
        browser.close()


def _start(playwright: Any, program: str, folder: Path, start_s: float, life_s: int) -> Any:
    pid, starter = folder / "pid", folder / "start-chromium"
    starter.write_text(
        f'#!/bin/sh\necho $$ >"{pid}"\nexec timeout --signal=KILL {life_s} "{program}" "$@"\n'
    )
    starter.chmod(0o755)
    watchdog = threading.Timer(start_s, _kill_group, [pid])
    watchdog.start()
    try:
        browser = playwright.chromium.launch(executable_path=starter, args=list(FLAGS))
        browser.new_page().close()
    finally:
        watchdog.cancel()
    return browser


def _kill_group(pid: Path) -> None:
    # Playwright starts each browser as the leader of a process group.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(int(pid.read_text()), signal.SIGKILL)
