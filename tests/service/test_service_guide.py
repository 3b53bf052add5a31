"""What docs/service.md tells a stranger to do, done, up to what then shows."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import av
import pytest
from serving import Serving

from programs import PATIENCE, play, until
from recognition.broker import Broker, needs_mosquitto
from recognition.http_receivers import free_port

GUIDE = (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")


def typed(program: str) -> list[str]:
    """Return the words of the guide's first line that runs a program, without its comment."""
    found = re.search(rf"^{program} .*$", GUIDE, re.MULTILINE)
    assert found is not None
    return shlex.split(found[0], comments=True)


@pytest.mark.slow
@needs_mosquitto
def test_two_cameras_are_seen_played_and_told_of(tmp_path: Path, browser: Any) -> None:
    if shutil.which("mosquitto_sub") is None:
        pytest.skip("mosquitto_sub is not installed: apt install mosquitto-clients")
    broker, rtsp = Broker(tmp_path), f"127.0.0.1:{free_port()}"
    (text,) = re.findall(r"^```yaml\n# cameras\.yaml\n(.*?)^```$", GUIDE, re.M | re.S)
    for given, free in {
        "defaults:\n": "listen: 127.0.0.1:0\ndefaults:\n",
        "mqtt://127.0.0.1/": f"mqtt://127.0.0.1:{broker.port}/",
        "rtsp://127.0.0.1:8554/": f"rtsp://{rtsp}/",
    }.items():
        assert text.count(given) == 1
        text = text.replace(given, free)
    (tmp_path / "cameras.yaml").write_text(text)
    service = None
    try:
        with _subscriber(broker.port) as printed:
            service = Serving(tmp_path / "cameras.yaml")
            service.until_frames("hall", "desk")
            assert _plays(rtsp)
            _shows_actions(browser, service.url)
            for name in ("hall", "desk"):
                until(lambda name=name: f"home/{name}/event {{" in _text(printed), service)
            for line in _text(printed).splitlines()[:-1]:
                topic, _, event = line.partition(" ")
                assert topic == f"home/{json.loads(event)['source']}/event"
        service.signal(signal.SIGINT)
        assert service.ends() == 0
        recordings = sorted((tmp_path / "recordings").iterdir())
        assert [path.name.partition("-")[0] for path in recordings] == ["desk", "hall"]
        assert all(len(play(path)[0]) > 0 for path in recordings)
    finally:
        if service is not None:
            service.clear_away()
        broker.stop()


@contextmanager
def _subscriber(port: int) -> Iterator[IO[bytes]]:
    """Run the guide's `mosquitto_sub`, and yield what it prints."""
    with tempfile.TemporaryFile() as printed:
        program = subprocess.Popen([*typed("mosquitto_sub"), "-p", str(port)], stdout=printed)
        try:
            yield printed
        finally:
            program.kill()
            program.wait(PATIENCE)


def _text(file: IO[bytes]) -> str:
    file.flush()
    return Path(f"/proc/self/fd/{file.fileno()}").read_text()


def _plays(address: str) -> bool:
    """Play the RTSP output by the guide's options of ffplay; say whether the image moves."""
    *options, url = typed("ffplay")[1:]
    url = url.replace("127.0.0.1:8554", address)
    given = dict(zip((word.removeprefix("-") for word in options[::2]), options[1::2], strict=True))
    images = set()
    with av.open(url, options=given) as container:
        for frame in container.decode(video=0):
            images.add(frame.to_ndarray().tobytes())
            if len(images) > 5:
                return True
    return False


def _shows_actions(browser: Any, url: str) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    page = browser.new_page()
    page.goto(url)
    for name in ("hall", "desk"):
        card = page.locator("article", has=page.get_by_role("heading", name=name))
        last = card.locator(".actions .last li").first
        expect(card.locator(".top .state")).to_have_text("Running", timeout=1000 * PATIENCE)
        expect(last).to_contain_text(re.compile("[a-z]+-[a-z]+"), timeout=1000 * PATIENCE)
        read = "(image) => image.naturalHeight"
        assert card.locator("img").evaluate(read) == 8
    page.close()
