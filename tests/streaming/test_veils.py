"""Every method that streams gives behind a camera what its torch module gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motionveil import methods
from motionveil.encoders import build_encoder
from motionveil.errors import MotionveilError
from motionveil.geometry import Geometry
from motionveil.spec import EncoderSpec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.geometry import repeat_pixels

SHAPE = (40, 52)


def specs() -> list[EncoderSpec]:
    """Return an encoder of every method that streams, untrained where it is learned."""
    found = []
    for name in methods.method_names():
        kind = methods.method(name)
        strengths = sorted(kind.usual_strengths(64))
        if kind.stream is not None:
            choice = f"{name}:{strengths[len(strengths) // 2 - 1]:g}" if strengths else name
            found.append(EncoderSpec.untrained(choice))
    return found


def clip() -> np.ndarray:
    rng = np.random.default_rng(3)
    room = rng.integers(60, 190, (*SHAPE, 3), np.uint8)
    frames = np.repeat(room[None], 6, axis=0)
    # Squares of 6 pixels: a motion field needs texture, and blurs what is finer away.
    moving = rng.integers(0, 256, (5, 5, 3), np.uint8).repeat(6, 0).repeat(6, 1)[:, :25]
    for t, frame in enumerate(frames):
        frame[5:35, 3 + 3 * t : 28 + 3 * t] = moving
    return frames


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.name)
def test_agrees_with_the_module(spec: EncoderSpec) -> None:
    frames = clip()
    stream = StreamEncoder(spec, native=True)
    veiled = np.stack([stream(frame) for frame in frames])
    video = torch.from_numpy(frames).permute(3, 0, 1, 2)[None] / 255
    with torch.no_grad():
        exact = 17 * build_encoder(spec)(video)[0].permute(1, 2, 3, 0).numpy()
    veiled = repeat_pixels(veiled[len(veiled) - len(exact) :], spec.cell, SHAPE)
    assert np.abs(veiled - exact).max() <= 1.01
    assert np.ptp(veiled) > 40, "the test needs motion"


@pytest.mark.parametrize("spec", specs(), ids=lambda spec: spec.name)
def test_a_frame_without_one_before_is_neutral_or_stands_alone(spec: EncoderSpec) -> None:
    frames = clip()
    stream = StreamEncoder(spec, native=True, guard=Guard())
    first = stream(frames[0], time=0.0)
    if stream.neutral is None:
        assert stream.guarded is None
        again = StreamEncoder(spec, native=True)(frames[0])
        np.testing.assert_array_equal(first, again)
    else:
        assert stream.guarded == "first"
        assert (first == stream.neutral).all()


@pytest.mark.parametrize("name", ["raw", "face-blur", "unet"])
def test_what_cannot_stream_says_why(name: str) -> None:
    spec = EncoderSpec.untrained(name, geometry=Geometry(size=16, rate=5))
    with pytest.raises(MotionveilError, match=f"{name} cannot veil a stream: it "):
        StreamEncoder(spec)


@pytest.mark.parametrize("modules", ["B", "Q", "BQ"])
def test_bdq_without_a_difference_cannot_stream(modules: str) -> None:
    spec = EncoderSpec.untrained(f"bdq:modules={modules}")
    with pytest.raises(MotionveilError, match="it shows the scene"):
        StreamEncoder(spec, native=True)
