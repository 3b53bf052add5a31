"""The benchmark of the detector: its scenes are the same each time, its counts have intervals."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from benchmark_code import import_benchmark
from motionveil.recognition.score import Segment


def test_scenes_are_drawn_anew_the_same() -> None:
    detector = import_benchmark("detector")
    for kind in (0, 1, 2):
        one, again, other = (
            np.stack([i.image for i in islice(detector.scene(kind, number, 2, 1.0), 3)])
            for number in (4, 4, 5)
        )
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)
    assert len(list(detector.scene(2, 0, 2, 0.1))) == 90


def test_false_alarms_an_hour() -> None:
    """Garwood's exact intervals: 0 to 3.69 for a count of 0, 1.62 to 11.67 for 5."""
    detector = import_benchmark("detector")
    told = [Segment("", 1, 2, "walk-forward"), *[Segment("", 3, 4, "stand-up")] * 5]
    walked = [detector.Found(told, [], 900.0), detector.Found([], [], 900.0)]
    figures = detector.score_alarms(walked, allowed="walk-forward")
    assert figures["per_hour"] == 10
    assert figures["interval"] == pytest.approx((2 * 1.6235, 2 * 11.6683), abs=1e-3)
    assert figures["labels"] == {"stand-up": 5}
    quiet = detector.score_alarms(walked[1:])
    assert quiet["interval"] == pytest.approx((0, 4 * 3.6889), abs=1e-3)
