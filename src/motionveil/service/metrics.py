"""A service's counts for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from motionveil.service.camera_state import CameraState
from motionveil.service.channel import LATENCIES

_FRAMES = {
    "in": "frames_in",
    "out": "frames_out",
    "left out": "left_out",
    "dropped": "dropped",
    "damaged": "damaged",
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
            for what, key in _FRAMES.items():
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
