"""The preview's page in a real browser: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray

from motionveil.spec import EncoderSpec
from motionveil.streaming import StreamEncoder
from motionveil.streaming.preview_buffer import Preview
from videos import moving_square

pytestmark = pytest.mark.slow  # looks at the page in a real browser

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: install '.[test]'")
LAPTOP = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}


class Page:
    """A page of the preview, and all that it asked for and complained about."""

    def __init__(self, context: Any) -> None:
        self.page = context.new_page()
        self.problems: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request: Any) -> None:
        if not request.url.startswith("data:"):
            self.hosts.add(urlsplit(request.url).hostname)

    def open(self, preview: Preview) -> None:
        self.page.goto(preview.url)

    def wait(self, state: str, seconds: float = 10) -> None:
        self.page.wait_for_selector(f"body[data-state={state}]", timeout=1000 * seconds)

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def stat(self, name: str) -> str:
        return self.text(f"[data-stat={name}]")

    def wait_for_text(self, selector: str, text: str) -> None:
        sync_api.expect(self.page.locator(selector)).to_have_text(text, timeout=5000)

    def picture_width(self) -> int:
        return int(self.page.evaluate("document.getElementById('picture').naturalWidth"))

    def picture(self) -> bytes:
        return bytes(self.page.locator("#picture").screenshot())

    def picture_at_rest(self) -> bytes:
        """Return the image when it is twice the same: a busy machine lays out late."""
        last = self.picture()
        for _ in range(25):
            time.sleep(0.2)
            found = self.picture()
            if found == last:
                return found
            last = found
        raise AssertionError("nothing moves, and no two pictures are the same")


@contextmanager
def opened(browser: Any, viewport: dict[str, int] = LAPTOP, **options: Any) -> Iterator[Page]:
    context = browser.new_context(viewport=viewport, reduced_motion="reduce", **options)
    try:
        yield Page(context)
    finally:
        context.close()


class Camera:
    """Shows a veiled walk of a square, thirty times per second, and counts."""

    def __init__(self, address: str = "0", **options: Any) -> None:
        self.numbers: dict[str, Any] = {
            **{"source": "camera:0", "encoder": "bdq", "width": 320, "height": 240, "dropped": 0},
            **{"frames_in": 0, "frames_out": 0, "guarded": 0, "guard": None, "fps": 29.97},
            **{"latency_p50_ms": 4.31, "latency_p95_ms": 11.9, "seconds": 3725.0},
        }
        self.preview = Preview(address, stats=lambda: self.numbers, **options)
        self.frames: list[NDArray[np.uint8]] = [_veiled()[0]]
        self._done = threading.Event()

    def __enter__(self) -> Camera:
        self.preview.__enter__()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._done.set()
        self._thread.join()
        self.preview.close()

    def move(self) -> None:
        self.frames = _veiled()[1:]

    def _work(self) -> None:
        while not self._done.wait(1 / 30):
            self.preview.show(self.frames[self.numbers["frames_in"] % len(self.frames)])
            self.numbers["frames_in"] += 1
            self.numbers["frames_out"] += 1


def _veiled() -> list[NDArray[np.uint8]]:
    encoder = StreamEncoder(EncoderSpec.untrained(range=0.25), native=True)
    return [encoder(frame) for frame in moving_square(20, 240, 320)]


class TestPicture:
    def test_is_there_and_moves(self, browser: Any, tmp_path: Path) -> None:
        with Camera() as camera, opened(browser) as page:
            page.open(camera.preview)
            page.wait("live")
            assert page.picture_width() == 320
            still = page.picture_at_rest()  # nothing has moved yet
            camera.move()
            time.sleep(0.3)
            one = page.picture()
            time.sleep(0.2)
            assert len({still, one, page.picture()}) == 3
            page.page.screenshot(path=tmp_path / "live.png")
            assert page.problems == []
            assert page.hosts == {"127.0.0.1"}
            assert page.page.context.cookies() == []

    def test_is_what_was_shown(self, browser: Any) -> None:
        frame = np.empty((240, 320, 3), np.uint8)
        frame[:, :160], frame[:, 160:] = (200, 30, 60), (20, 120, 230)
        read = """() => {
            const canvas = new OffscreenCanvas(320, 240).getContext("2d");
            canvas.drawImage(document.getElementById("picture"), 0, 0);
            return [80, 240].map((x) => [...canvas.getImageData(x, 120, 1, 1).data]);
        }"""
        with Preview("0") as preview, opened(browser) as page:
            page.open(preview)
            page.wait("waiting")
            time.sleep(0.3)  # the page asks for the stream
            preview.show(frame)  # a single one: shown at once, not when the next has come
            page.wait("live", 0.9)
            left, right = page.page.evaluate(read)
        assert np.abs(np.subtract(left, (200, 30, 60, 255))).max() <= 3
        assert np.abs(np.subtract(right, (20, 120, 230, 255))).max() <= 3

    def test_is_not_sent_to_a_hidden_page(self, browser: Any) -> None:
        hide = """(hidden) => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
        with Camera() as camera, opened(browser) as page:
            page.open(camera.preview)
            page.wait("live")
            page.page.evaluate(hide, True)
            page.wait("waiting")
            page.page.evaluate(hide, False)
            page.wait("live", 1)

    def test_with_a_token(self, browser: Any) -> None:
        with Camera(token="a b&c/é") as camera, opened(browser) as page:
            page.open(camera.preview)
            page.wait("live")
            assert page.problems == []

    def test_for_too_many(self, browser: Any, tmp_path: Path) -> None:
        with Camera() as camera, opened(browser) as page:
            port = urlsplit(camera.preview.url).port
            with ExitStack() as others:
                for _ in range(8):
                    other = others.enter_context(socket.create_connection(("127.0.0.1", port)))
                    other.sendall(b"GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
                page.open(camera.preview)
                page.wait("busy")
                page.page.screenshot(path=tmp_path / "busy.png")
            page.wait("live")


class TestNumbers:
    def test_are_there_and_go_on(self, browser: Any) -> None:
        with Camera() as camera, opened(browser) as page:
            page.open(camera.preview)
            page.wait("live")
            assert page.page.title() == "motionveil preview"
            assert page.stat("source") == "camera:0"
            assert page.stat("encoder") == "bdq"
            assert page.stat("size") == "320 × 240"
            assert page.stat("fps") == "30.0"
            assert page.stat("latency_p50_ms") == "4.3 ms"
            assert page.stat("latency_p95_ms") == "12 ms"
            assert page.stat("since").startswith("1 h 2 min since ")
            before = int(page.stat("frames_in"))
            time.sleep(1.5)
            assert int(page.stat("frames_in")) > before
            camera.numbers.update(dropped=1234, left_out=56, damaged=7, fps=None)
            page.wait_for_text("[data-stat=dropped]", "1,234")
            assert page.stat("left_out") == "56"
            assert page.stat("damaged") == "7"
            assert page.stat("fps") == "–"
            assert not page.page.is_visible("#destinations")
            lost = {"name": "rtsp://host/live", "frames": 7, "dropped": 1500, "trouble": "no route"}
            camera.numbers["destinations"] = [{**lost, "name": "a.mkv", "trouble": None}, lost]
            page.wait_for_text(
                "#destinations dd:last-child", "rtsp://host/live: 7, 1,500; no route"
            )
            assert page.text("#destinations dd") == "a.mkv: 7, 1,500"

    def test_may_all_be_missing(self, browser: Any) -> None:
        with Preview("0") as preview, opened(browser) as page:
            page.open(preview)
            page.wait_for_text("#state", "Waiting")
            assert page.stat("fps") == page.stat("frames_in") == page.stat("size") == "–"
            assert page.problems == []

    def test_are_text_whatever_they_hold(self, browser: Any) -> None:
        with Camera() as camera, opened(browser) as page:
            camera.numbers["source"] = camera.numbers["guard"] = "<img src=x onerror=alert(1)>"
            page.open(camera.preview)
            page.wait_for_text("[data-stat=source]", camera.numbers["source"])
            page.wait_for_text("#badge", f"Guard closed: {camera.numbers['guard']}")
            assert page.problems == []


class TestGuard:
    def test_is_named_while_it_is_closed(self, browser: Any, tmp_path: Path) -> None:
        with Camera() as camera, opened(browser) as page:
            page.open(camera.preview)
            page.wait("live")
            assert not page.page.is_visible("#badge")
            camera.numbers.update(guard="cut", guarded=1)
            page.wait_for_text("#badge", "Guard closed: cut")
            assert page.page.is_visible("#badge")
            page.page.screenshot(path=tmp_path / "guard.png")
            camera.numbers["guard"] = None
            page.page.wait_for_selector("#badge", state="hidden")

    def test_is_seen_also_when_it_closed_for_a_moment(self, browser: Any) -> None:
        with Camera() as camera, opened(browser) as page:
            page.open(camera.preview)
            page.wait("live")
            camera.numbers["guarded"] = 1
            page.wait_for_text("#badge", "Guard closed for one frame")

    def test_is_told_to_a_screen_reader_and_the_numbers_are_not(self, browser: Any) -> None:
        with Camera() as camera, opened(browser) as page:
            page.open(camera.preview)
            assert page.page.locator("[aria-live=polite] #badge").count() == 1
            assert (
                page.page.locator("dl").locator("xpath=ancestor-or-self::*[@aria-live]").count()
                == 0
            )
            assert "veiled" in page.page.get_attribute("#picture", "alt")


ANSWER = {
    **{"time": 100.0, "seconds": 60.0, "label": "手を振る", "kind": "action", "probability": 0.93},
    "events": [
        {"kind": "action", "label": "<b>sit</b>", "probability": 0.8, "from": 55.0, "to": 70.0},
        {"kind": "none of these", "label": "none of these", "probability": 0.5}
        | {"from": 70.0, "to": 97.0},
        {"kind": "action", "label": "手を振る", "probability": 0.93, "from": 97.0, "to": 100.0},
    ],
}


PLACES = """() => [...document.querySelectorAll("#timeline > div")].map((node) => {
    const [own, all] = [node, node.parentNode].map((n) => n.getBoundingClientRect());
    return [(own.left - all.left) / all.width, own.width / all.width];
})"""


class TestAnswers:
    @pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
    def test_are_named_drawn_and_listed(self, browser: Any, viewport: dict[str, int]) -> None:
        answer: dict[str, Any] = dict(ANSWER)
        with Camera(answers=lambda: answer) as camera, opened(browser, viewport) as page:
            camera.numbers["recogniser"] = "mine"
            page.open(camera.preview)
            page.wait_for_text("#label", "手を振る")
            page.wait_for_text("[data-stat=recogniser]", "mine")
            assert page.text("#probability") == "93 %"
            meter = page.page.locator("[role=meter]")
            assert meter.get_attribute("aria-valuenow") == "93"
            items = page.page.locator("#events li").all_inner_texts()
            assert [" ".join(item.split()) for item in items] == [
                "手を振る 93 %, now",
                "<b>sit</b> 80 %, 30 s ago",
            ]
            drawn = page.page.evaluate(PLACES)
            places = [(15 / 60, 15 / 60), (30 / 60, 27 / 60), (57 / 60, 3 / 60)]
            np.testing.assert_allclose(drawn, places, atol=0.01)
            width = page.page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"]
            assert page.page.locator("#label[aria-live=polite]").count() == 1
            assert Axe().run(page.page).response["violations"] == []
            answer.update(label="no motion", kind="no motion", probability=1.0)
            page.wait_for_text("#label", "no motion")
            page.wait_for_text("#probability", "")
            assert page.problems == []

    def test_are_not_shown_where_nothing_is_recognised(self, browser: Any) -> None:
        with Camera() as camera, opened(browser) as page:
            page.open(camera.preview)
            page.wait("live")
            assert not page.page.is_visible("#answer")
            assert not page.page.is_visible("[data-stat=recogniser]")


class TestEnd:
    def test_is_said_when_the_stream_ends(self, browser: Any) -> None:
        with Camera() as camera, opened(browser) as page:
            page.open(camera.preview)
            page.wait("live")
            camera.numbers["ended"] = True
            page.wait("ended", 2)

    def test_is_said_when_the_program_ends_and_it_goes_on_when_it_starts_again(
        self, browser: Any, tmp_path: Path
    ) -> None:
        with opened(browser) as page:
            with Camera() as camera:
                camera.move()
                page.open(camera.preview)
                page.wait("live")
                assert page.problems == []
            page.wait("ended", 1)
            assert page.picture_width() == 320  # the last image, under the words
            page.page.screenshot(path=tmp_path / "ended.png")
            time.sleep(1.5)
            page.wait("ended", 0)
            with Camera(f"{urlsplit(camera.preview.url).port}") as again:
                again.numbers["source"] = "camera:1"
                page.wait("live")
                assert page.stat("source") == "camera:1"

    def test_a_program_that_dies_is_a_connection_lost(self, browser: Any, tmp_path: Path) -> None:
        with opened(browser) as page, Camera() as camera:
            page.open(camera.preview)
            page.wait("live")
            camera.preview._server.hang_up()  # as when the process is killed: not a word
            page.wait("lost", 2)
            page.page.screenshot(path=tmp_path / "lost.png")
            page.wait("live", 5)


class TestLook:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
    def test_fits_the_screen(
        self, browser: Any, scheme: str, viewport: dict[str, int], tmp_path: Path
    ) -> None:
        with Camera() as camera, opened(browser, viewport, color_scheme=scheme) as page:
            camera.move()
            camera.numbers["source"] = f"rtsp://camera.example/{'a-long-name-' * 8}"
            page.open(camera.preview)
            page.wait("live")
            width = page.page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"]
            red, green, blue = page.page.evaluate(
                "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
            )
            assert (red + green + blue > 3 * 128) == (scheme == "light")
            page.page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
