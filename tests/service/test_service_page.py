"""The page of all cameras in a real browser, and its other documents."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from motionveil.service.camera_state import CameraState, DayTimeline
from motionveil.service.config import Camera, Limits, Recordings
from motionveil.service.log import Log
from motionveil.service.page import ServicePage
from motionveil.service.supervised import Supervised
from motionveil.streaming.preview_buffer import SiteServer

TOKEN = "a token of 24 characters"


def supervised(name: str, **changes: Any) -> Supervised:
    """Return a camera whose process is never started."""
    values: dict[str, Any] = {
        **{"source": "test", "shown": "test", "encoder": None, "recogniser": "runs/1"},
        **{
            "decode": "none",
            "threshold": None,
            "destinations": (),
            "recordings": Recordings(),
            "codec": None,
            "preview": True,
        },
        **{"receivers": (), "limits": Limits()},
    }
    return Supervised(Camera(name=name, **(values | changes)), Path(), Log(as_json=True))


def told(out: int, **counts: Any) -> dict[str, Any]:
    """Return a status as a camera's process sends it."""
    outputs = [{"name": "rtsp://h/x", "frames": out, "dropped": 1, "trouble": "Connection refused"}]
    numbers = {"frames_in": 2 * out, "frames_out": out, "left_out": out, "dropped": 0}
    return {
        "memory": 1 << 20,
        "counts": {
            **numbers,
            "destinations": outputs,
            "damaged": 0,
            "fps": 14.9,
            "latency_p50_ms": 3.2,
            **counts,
        },
        "guarded": {"first": 1, "cut": 2},
        "latency": [out - 1] + [out] * 9,
        "latency_sum": 0.5,
        "receivers": {"mqtt": {"delivered": 4, "lost": 1, "waiting": 2}},
    }


def event(label: str, begin: float, end: float | None = None) -> dict[str, Any]:
    return {"label": label, "action": True, "probability": 0.9, "begin": begin, "end": end}


@contextmanager
def served(cameras: dict[str, Supervised], token: str | None = None) -> Iterator[str]:
    page = ServicePage(lambda: cameras)
    server = SiteServer(page, "127.0.0.1:0", token, option="listen")
    server.start()
    try:
        yield server.url.partition("?")[0]
    finally:
        server.close(page.closed.set)


def get(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urlopen(Request(url, headers=headers), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


class TestDocuments:
    def test_metrics_are_those_of_all_starts(self) -> None:
        hall = supervised("hall")
        with served({"hall": hall}) as url:
            hall.state.status(told(10))
            hall.state.ended()
            hall.state.status(told(5, dropped=3))
            hall.state.event(event("wave", 100.0, 102.0))
            families = list(text_string_to_metric_families(get(f"{url}metrics")[1]))
        samples = {
            (
                sample.name,
                *sorted(v for k, v in sample.labels.items() if k != "camera"),
            ): sample.value
            for family in families
            for sample in family.samples
        }
        assert samples["motionveil_camera_up",] == 1
        assert samples["motionveil_frames_total", "in"] == 30
        assert samples["motionveil_frames_total", "out"] == 15
        assert samples["motionveil_frames_total", "dropped"] == 3
        assert samples["motionveil_guarded_frames_total", "cut"] == 4
        assert samples["motionveil_latency_seconds_bucket", "0.005"] == 9 + 4
        assert samples["motionveil_latency_seconds_count",] == 15
        assert samples["motionveil_latency_seconds_sum",] == 1.0
        assert samples["motionveil_events_total", "lost", "mqtt"] == 2
        assert samples["motionveil_events_waiting", "mqtt"] == 2
        assert samples["motionveil_destination_frames_total", "missed", "rtsp://h/x"] == 2
        assert samples["motionveil_actions_total", "wave"] == 1

    def test_health_needs_no_token_and_the_rest_does(self) -> None:
        hall = supervised("hall")
        with served({"hall": hall}, TOKEN) as url:
            assert get(f"{url}healthz") == (200, '{"cameras": 1, "healthy": 1}')
            hall.state.enter("restarting")
            assert get(f"{url}healthz") == (503, '{"cameras": 1, "healthy": 0}')
            for path in ("metrics", "stats", "stream?camera=hall", "session"):
                assert get(url + path)[0] == 403, path
            assert get(f"{url}metrics", Authorization=f"Bearer {TOKEN}")[0] == 200
            assert get(f"{url}stream?camera=none&token={TOKEN.replace(' ', '+')}")[0] == 404


class TestDayTimeline:
    def test_shares_an_action_out_to_steps_and_forgets_after_a_day(self) -> None:
        now = [1_000_000_000.0 // 300 * 300]
        timeline = DayTimeline(lambda: now[0])
        timeline.add("walk", now[0] - 310, now[0] - 290)
        timeline.add("wave", now[0] - 5, now[0] - 2)
        timeline.add("old", now[0] - 100_000, now[0] - 99_000)
        first = round(now[0]) - 600
        expected = [(first, "walk", 10.0), (first + 300, "walk", 10.0), (first + 300, "wave", 3.0)]
        assert timeline.steps() == expected
        now[0] += 86_400
        assert timeline.steps() == []


def test_what_went_on_when_the_process_ended_is_over() -> None:
    state = CameraState()
    begin = time.time() - 10
    state.event(event("wave", begin))
    assert state.current is not None
    state.ended()
    assert state.current is None
    assert [(action.label, action.begin) for action in state.last] == [("wave", begin)]


class TestPage:
    @pytest.mark.slow
    @pytest.mark.parametrize("width", [1280, 360], ids=["laptop", "phone"])
    def test_shows_all_cameras_to_who_signs_in(
        self, browser: Any, width: int, tmp_path: Path
    ) -> None:
        expect = pytest.importorskip("playwright.sync_api").expect
        cameras = {name: supervised(name) for name in ("hall", "yard")}
        cameras["desk"] = supervised("desk", preview=False)
        now = time.time()
        cameras["hall"].state.event(event("<b>sit</b>", now - 4000, now - 3800))
        cameras["hall"].state.event(event("wave", now - 2))
        cameras["yard"].state.enter("restarting")
        cameras["yard"].state.problem = "nothing came for 60 s"
        problems: list[str] = []
        hosts = set()
        context = browser.new_context(viewport={"width": width, "height": 800})
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda r: hosts.add(urlsplit(r.url).hostname))
        with served(cameras, TOKEN) as url, _filmed(cameras["hall"]):
            page.goto(url)
            page.fill("#token", "wrong")
            page.click("button")
            expect(page.locator("#wrong")).to_have_text("This is not the token.", timeout=20_000)
            page.fill("#token", TOKEN)
            page.click("button")
            hall = page.locator("article", has=page.get_by_role("heading", name="hall"))
            yard = page.locator("article", has=page.get_by_role("heading", name="yard"))
            desk = page.locator("article", has=page.get_by_role("heading", name="desk"))
            expect(hall.locator(".top .state")).to_have_text("Running", timeout=20_000)
            expect(hall).not_to_have_class("stale", timeout=20_000)
            expect(hall.locator(".action")).to_have_text("wave")
            expect(hall.locator(".actions .last li span")).to_have_text("<b>sit</b> 3 min")
            expect(hall.locator("svg")).to_have_attribute(
                "aria-label", "Actions of the last 24 hours: <b>sit</b> 3 min"
            )
            expect(hall.locator(".outputs li strong")).to_have_text("Connection refused")
            expect(page.locator("#told")).to_have_text("hall: wave")
            expect(yard.locator(".problem")).to_have_text("nothing came for 60 s")
            expect(desk.locator(".notice")).to_contain_text("No image")
            read = "(image) => [image.naturalWidth, image.naturalHeight]"
            assert hall.locator("img").evaluate(read) == [80, 60]
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert TOKEN not in page.url
            _is_accessible(page)
            page.screenshot(path=tmp_path / "page.png", full_page=True)
            page.reload()  # the cookie lets in
            expect(hall.locator(".top .state")).to_have_text("Running", timeout=20_000)
        expect(page.locator("#state")).to_have_text("Service stopped", timeout=20_000)
        context.close()
        assert problems == []
        assert hosts == {"127.0.0.1"}


@contextmanager
def _filmed(camera: Supervised) -> Iterator[None]:
    """Let a camera run, as its process would."""
    done = threading.Event()
    screen = camera.screen
    assert screen is not None

    def work() -> None:
        number = 0
        while not done.wait(0.1):
            number += 1
            camera.state.status(told(number, width=80, height=60))
            screen.put(np.full((60, 80, 3), 100 + number % 50, np.uint8))

    threads = [threading.Thread(target=target) for target in (screen.encode, work)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        screen.close()
        for thread in threads:
            thread.join()


def _is_accessible(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page).response["violations"]
    assert not found, json.dumps([(v["id"], v["nodes"][0]["html"]) for v in found], indent=1)
