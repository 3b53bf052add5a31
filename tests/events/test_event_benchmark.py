"""The benchmark's plain numpy formulation, which is one more independent camera."""

from __future__ import annotations

import pytest

from benchmark_code import import_benchmark
from motionveil.methods.dvs import EventSettings

benchmark = import_benchmark("event_camera")


@pytest.mark.parametrize("kind", ["still", "busy"])
@pytest.mark.parametrize("threshold", [0.05, 0.3])
def test_numpy_gives_the_same_events(kind: str, threshold: float) -> None:
    frames = benchmark.make_frames(kind, 96, 112)
    share = benchmark.check_agreement(EventSettings(threshold=threshold), frames)
    assert share > 0.005


def test_a_difference_is_refused() -> None:
    frames = benchmark.make_frames("busy", 48, 64)
    with pytest.raises(SystemExit, match="different events"):
        # One camera with another threshold for darkening, which the numpy one does not know.
        benchmark.check_agreement(EventSettings(threshold=0.2, negative=0.4), frames)
