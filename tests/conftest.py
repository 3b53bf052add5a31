"""Fixtures for all tests. Real video and weights lie beside a founder's checkout only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browsers import find_chromium, started
from threads import GIVEN

SHARED = Path(__file__).resolve().parents[2] / "shared"


# Under `nohup` programs ignore SIGHUP, ours rightly too; tests send it.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A shell's background jobs ignore SIGINT; tests send that too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the real quickstart, which takes longest, where tests are shared out."""
    items.sort(key=lambda item: "quickstart_run" not in getattr(item, "fixturenames", ()))


@pytest.fixture(autouse=True)
def _usual_priority() -> Iterator[None]:
    """Fail what gives its process another priority, which later tests would have too."""
    if not hasattr(os, "sched_getscheduler"):  # Linux has it
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    yield
    after = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, *before)
    assert after == before


@pytest.fixture
def equal_h264(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have x264 encode equal frames alike.

    Its look-ahead does not where it computes with AVX-512 (core 165): what lay in memory before
    counts. With `asm=avx2` or without looking ahead, as for live video, it does.
    """
    from motionveil.video import codecs

    plain = {**codecs._WHOLE["h264"], "x264-params": "mbtree=0:rc-lookahead=0"}
    monkeypatch.setitem(codecs._WHOLE, "h264", plain)


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs {folder}, which does not come with the repository")
    return folder


@pytest.fixture(scope="session")
def ut_interaction() -> Path:
    """The folder of the UT-Interaction data set (segmented set 1)."""
    return _shared("data") / "ut-interaction"


@pytest.fixture(scope="session")
def kth() -> Path:
    """The folder of nine real KTH videos."""
    return _shared("data") / "kth"


@pytest.fixture(scope="session")
def published_lists() -> Path:
    """The folder of the published lists of SBU and IPN, without their videos."""
    return _shared("data") / "splits"


@pytest.fixture(scope="session")
def pretrained() -> Path:
    """The folder of pretrained weights."""
    return _shared("weights")


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The manifest of twelve clips to train on, eight held out: two people, two actions."""
    from tiny import write_toys

    return write_toys(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="session")
def experiment(toys: Any) -> Any:
    """An experiment with the tiny recipe; take others from `tiny.tiny_experiment`."""
    from tiny import tiny_experiment

    return tiny_experiment(toys)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Debian's chromium, driven by Playwright."""
    with started(find_chromium(), tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="session")
def quickstart_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that one real `motionveil quickstart` left, made once for all tests of a session.

    It takes minutes: mark what asks for it `slow` and `timeout(1800)`.
    """
    out = tmp_path_factory.mktemp("quickstart") / "quickstart"
    command = [sys.executable, "-m", "motionveil", "quickstart", "--out", str(out)]
    done = subprocess.run(command, env=GIVEN, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return out
