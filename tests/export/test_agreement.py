"""What is filmed leaves every export as it leaves the stream encoder: real video, as filmed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from compiled import Built, needs_a_compiler
from export_examples import SPECS, working
from numpy.typing import NDArray

from motionveil.export import IntegerEncoder
from motionveil.streaming import StreamEncoder
from motionveil.video import read_clip

EACH = pytest.mark.parametrize("name", SPECS)


@pytest.fixture(scope="session")
def filmed(ut_interaction: Path) -> NDArray[np.uint8]:
    """Eight frames as the camera gave them, every other one: 15 per second."""
    clip = read_clip(ut_interaction / "segmented_set1" / "0_1_4.avi", 40, 56)[::2]
    assert clip.shape == (8, 296, 400, 3)
    return clip


def streamed(name: str, clip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    encoder = StreamEncoder(SPECS[name])
    veiled = [encoder(frame, time=number / 15) for number, frame in enumerate(clip)]
    assert all(frame is not None for frame in veiled), "15 frames per second are the encoder's rate"
    return np.stack(veiled)


def whole(name: str, clip: NDArray[np.uint8]) -> NDArray[np.uint8]:
    encoder = IntegerEncoder(SPECS[name])
    return np.stack([encoder(frame) for frame in clip])


@EACH
def test_whole_numbers_and_the_stream_encoder(name: str, filmed: NDArray[np.uint8]) -> None:
    veiled, expected = whole(name, filmed), streamed(name, filmed)
    assert veiled.shape == expected.shape
    assert min(veiled.shape[1:3]) == SPECS[name].required_geometry().size
    assert np.ptp(expected[1:].astype(int)) > 50, "the test needs motion"
    assert np.abs(veiled.astype(int) - expected).max() <= 1


@needs_a_compiler
@EACH
def test_c_and_whole_numbers(
    name: str, filmed: NDArray[np.uint8], built: Callable[[str, bool], Built]
) -> None:
    encoder, veiled = built(name, False), whole(name, filmed)
    shape = encoder.working_size(filmed.shape[2], filmed.shape[1], 1, 1)
    assert shape == veiled.shape[1:3]
    averaged = np.stack([encoder.average(frame, shape, in_place=True) for frame in filmed])
    np.testing.assert_array_equal(averaged, working(SPECS[name], filmed))
    np.testing.assert_array_equal(encoder.veil(averaged, in_place=True), veiled)


@EACH
def test_onnx_and_the_stream_encoder(name: str, filmed: NDArray[np.uint8]) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    from motionveil.export.onnx import build_model

    expected = streamed(name, filmed)
    session = onnxruntime.InferenceSession(
        build_model(SPECS[name]).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    previous = np.full(expected[0].shape, np.nan, np.float32)
    for frame, right in zip(filmed, expected, strict=True):
        veiled, previous = session.run(
            ["veiled", "blurred"], {"frame": frame, "previous": previous}
        )
        assert np.abs(veiled.astype(int) - right).max() <= 1
