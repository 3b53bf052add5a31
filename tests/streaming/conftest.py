from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from motionveil.video import SyntheticSource
from programs import Programs


@pytest.fixture
def programs() -> Iterator[Programs]:
    """Starts `motionveil` in processes of their own; none outlives the test."""
    started = Programs()
    yield started
    started.clear_away()


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 600 frames of 320x240, for which the program needs a second or more."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    camera = SyntheticSource(320, 240, 30, paced=False)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.bit_rate = 320, 240, 4_000_000
        for number in range(600):
            frame = av.VideoFrame.from_ndarray(camera.picture(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path
