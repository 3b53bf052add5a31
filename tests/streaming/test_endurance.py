"""Hours of video in a minute: memory stays, frames are all there, and nothing drifts."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from motionveil.encoders import load_encoder
from motionveil.spec import load_spec
from motionveil.streaming import StreamEncoder
from motionveil.streaming.pipeline import Pipeline
from motionveil.video import SyntheticSource, VideoInfo
from videos import AS_FILMED

FRAMES, WARM, LAST = 60_000, 10_000, 16
MEBIBYTE = 1 << 20


class CountingSink:
    """Counts what is written, and keeps the last frames and their timestamps."""

    name = "nowhere"

    def __init__(self) -> None:
        self.frames = 0
        self.last: deque[NDArray[np.uint8]] = deque(maxlen=LAST)
        self.descends = 0
        self._before = -1

    def __enter__(self) -> CountingSink:
        return self

    def write(self, image: NDArray[np.uint8], pts: int | None = None) -> None:
        assert pts is not None
        self.descends += pts != self._before + 1
        self._before = pts
        self.frames += 1
        if self.frames > FRAMES - LAST:
            self.last.append(image.copy())

    def __exit__(self, *error: object) -> None:
        return None


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@pytest.mark.slow
def test_sixty_thousand_frames() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc, which shows a process's memory")
    spec = load_spec("bdq").model_copy(update={"geometry": AS_FILMED})
    sink = CountingSink()
    camera = SyntheticSource(64, 48, 30, frames=FRAMES, paced=False)
    memory: list[int] = []

    def open_output(info: VideoInfo, time_base: Fraction) -> CountingSink:
        return sink

    def watch(image: NDArray[np.uint8]) -> None:
        if sink.frames % WARM == 0:
            memory.append(resident())

    # Without the guard, which blocks such small images: every frame is compared below.
    encoder = StreamEncoder(spec)
    status = Pipeline(camera, encoder, open_output, watch=watch).run()

    assert (status.frames_in, status.frames_out, status.dropped) == (FRAMES, FRAMES, 0)
    assert sink.frames == FRAMES
    assert sink.descends == 0, "every frame, in order"
    assert dict(status.guarded) == {"first": 1}
    assert len(memory) == FRAMES // WARM
    grown = np.array(memory[1:]) - memory[0]
    assert grown.max() < 4 * MEBIBYTE, grown

    raw = np.stack([camera.picture(number) for number in range(FRAMES - LAST, FRAMES)])
    clip = torch.from_numpy(raw).permute(3, 0, 1, 2)[None].float() / 255  # (1, 3, 16, H, W)
    with torch.no_grad():
        veiled = load_encoder("bdq").eval()(clip)  # (1, 3, 15, H, W), 0 to 15
    offline = (veiled[0].permute(1, 2, 3, 0) * 17).round().numpy().astype(int)
    streamed = np.stack(list(sink.last)[1:]).astype(int)
    assert np.abs(offline - streamed).max() <= 1
    assert np.ptp(streamed) > 50, "there is motion to compare"
