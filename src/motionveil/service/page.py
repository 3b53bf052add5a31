"""The page of all cameras: veiled images, state, actions, counts; health and metrics."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from motionveil.limits import packaged_text
from motionveil.service.camera_state import COUNTS, HEALTHY, Action, CameraState
from motionveil.service.channel import LATENCIES
from motionveil.service.supervised import Supervised
from motionveil.streaming.preview_site import Document, Screen, json_value

_INTERVAL = 0.2  # seconds between two images of a camera
_NUMBERS = 1.0
_DAYS = 60.0  # seconds between two timelines
_LISTED = 8  # actions that have ended, a camera
_SHOWN = ("width", "height", "fps", "latency_p50_ms", "latency_p95_ms", "guard")
"""Numbers of a camera that the page shows besides its counts, which are those over all starts."""


class ServicePage:
    """What the service's address shows; see `motionveil.streaming.preview_site.Site`.

    Every page has one connection, on which the images of all cameras come too: a browser opens
    six to a server at most.

    Args:
        cameras: Returns the cameras by name.
    """

    public = frozenset({"/healthz"})

    def __init__(self, cameras: Callable[[], Mapping[str, Supervised]]) -> None:
        self._cameras = cameras
        self.closed = threading.Event()
        self.sign_in: str | None = packaged_text("motionveil.service", "sign_in.html")

    def page(self) -> str:
        """Return the page."""
        return packaged_text("motionveil.service", "page.html")

    def screen(self, camera: str) -> Screen | None:
        """Return what has the images of a camera."""
        found = self._cameras().get(camera)
        return None if found is None else found.screen

    def numbers(self, viewer: str) -> str:
        """Return what is known of all cameras, as JSON."""
        return json.dumps({"cameras": [_camera(camera) for camera in self._cameras().values()]})

    def feed(self, viewer: str) -> Generator[str, None, None]:
        """Yield numbers (messages), images and, once per minute, the timelines of the day."""
        numbers_due = days_due = time.monotonic()
        with ExitStack() as stack:
            images = _Images(viewer, stack)
            while not self.closed.is_set():
                now = time.monotonic()
                if now >= days_due:
                    days_due = now + _DAYS
                    yield f"event: day\ndata: {self._days()}\n\n"
                if now >= numbers_due:
                    numbers_due = now + _NUMBERS
                    yield f"data: {self.numbers(viewer)}\n\n"
                for name, jpeg in images.new(self._cameras()):
                    found = {"camera": name, "jpeg": base64.b64encode(jpeg).decode()}
                    yield f"event: picture\ndata: {json.dumps(found)}\n\n"
                self.closed.wait(_INTERVAL)
        yield "event: ended\ndata: {}\n\n"

    def document(self, path: str) -> Document | None:
        """Return the service's health or its metrics."""
        if path == "/metrics":
            text = metrics({name: camera.state for name, camera in self._cameras().items()})
            return Document("text/plain; version=0.0.4; charset=utf-8", text)
        if path == "/healthz":
            return self._health()
        return None

    def _health(self) -> Document:
        """Say how many cameras are well; names of cameras are for those with the token."""
        states = [camera.state.state for camera in self._cameras().values()]
        well = sum(state in HEALTHY for state in states)
        text = json.dumps({"cameras": len(states), "healthy": well})
        return Document("application/json", text, 200 if well == len(states) else 503)

    def _days(self) -> str:
        return json.dumps({n: c.state.timeline.steps() for n, c in self._cameras().items()})


class _Images:
    """The newest images of cameras that come and go, for one page."""

    def __init__(self, viewer: str, stack: ExitStack) -> None:
        self._viewer, self._stack = viewer, stack
        self._seen: dict[str, tuple[Screen, int]] = {}

    def new(self, cameras: Mapping[str, Supervised]) -> Iterator[tuple[str, bytes]]:
        """Yield cameras with an image that has not been sent yet."""
        for name, camera in cameras.items():
            screen = camera.screen
            if screen is None:
                continue
            before, number = self._seen.get(name, (None, 0))
            if screen is not before:  # also after a reload; with no room, no image will come
                self._stack.enter_context(screen.watch(self._viewer))
                number = 0
            found = screen.picture(number, timeout=0)
            self._seen[name] = (screen, found[0] if found else number)
            if found:
                yield name, found[1]


def _camera(camera: Supervised) -> dict[str, Any]:
    state = camera.state
    numbers = {name: json_value(state.numbers.get(name)) for name in _SHOWN}
    totals = state.totals()
    numbers |= {name: int(totals[name]) for name in COUNTS}
    guarded = sum(n for name, n in totals.items() if name.startswith("guarded:"))
    current = state.current
    return {
        "name": camera.camera.name,
        "state": state.state,
        "since": state.since,
        "problem": state.problem,
        "restarts": state.restarts,
        "source": state.source,
        "encoder": state.encoder,
        "recognises": camera.camera.recogniser is not None,
        "picture": camera.screen is not None,
        "guarded": int(guarded),
        "destinations": state.numbers.get("destinations", []),
        **numbers,
        "current": None if current is None else _action(current),
        "last": [_action(action) for action in list(state.last)[:_LISTED]],
    }


def _action(action: Action) -> dict[str, Any]:
    return {
        "label": action.label,
        "probability": round(action.probability, 2),
        "begin": action.begin,
        "end": action.end,
    }


def metrics(cameras: Mapping[str, CameraState]) -> str:
    """Return the counts of all cameras in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Cameras(cameras))
    return generate_latest(registry).decode()


class _Cameras(Collector):
    def __init__(self, cameras: Mapping[str, CameraState]) -> None:
        self._cameras = cameras

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics."""
        up = GaugeMetricFamily("motionveil_camera_up", "Whether frames come", labels=["camera"])
        memory = GaugeMetricFamily(
            "motionveil_memory_bytes", "Resident memory of the process", labels=["camera"]
        )
        waiting = GaugeMetricFamily(
            "motionveil_events_waiting", "Events not delivered yet", labels=["camera", "receiver"]
        )
        restarts = CounterMetricFamily(
            "motionveil_restarts", "Starts after the first", labels=["camera"]
        )
        frames = CounterMetricFamily(
            "motionveil_frames",
            "Frames: in, out, left out by rate, dropped for lack of time, damaged",
            labels=["camera", "what"],
        )
        guarded = CounterMetricFamily(
            "motionveil_guarded_frames", "Neutral frames by reason", labels=["camera", "reason"]
        )
        events = CounterMetricFamily(
            "motionveil_events",
            "Events by what became of them",
            labels=["camera", "receiver", "what"],
        )
        written = CounterMetricFamily(
            "motionveil_destination_frames",
            "Frames by destination: written, or missed",
            labels=["camera", "destination", "what"],
        )
        actions = CounterMetricFamily(
            "motionveil_actions", "Actions that have ended", labels=["camera", "label"]
        )
        latency = HistogramMetricFamily(
            "motionveil_latency_seconds",
            "From a frame's arrival to the end of its writing",
            labels=["camera"],
        )
        for name, state in self._cameras.items():
            totals = state.totals()
            up.add_metric([name], state.state == "running")
            memory.add_metric([name], state.memory)
            restarts.add_metric([name], state.restarts)
            for key in COUNTS:
                what = key.removeprefix("frames_").replace("_", " ")
                frames.add_metric([name, what], totals[key])
            for key, value in totals.items():
                kind, _, detail = key.partition(":")
                if kind == "guarded":
                    guarded.add_metric([name, detail], value)
                elif kind in ("delivered", "lost"):
                    events.add_metric([name, detail, kind], value)
                elif kind in ("written", "missed"):
                    written.add_metric([name, detail, kind], value)
            for kind, number in state.waiting_events.items():
                waiting.add_metric([name, kind], number)
            for label, number in state.actions.items():
                actions.add_metric([name, label], number)
            bins = [(str(bound), totals[f"latency:{bound}"]) for bound in LATENCIES]
            bins.append(("+Inf", totals["frames_out"]))
            latency.add_metric([name], bins, totals["latency_sum"])
        return [up, memory, restarts, frames, guarded, latency, written, actions, events, waiting]
