"""The motion field as an ONNX model beside the stream encoder."""

from __future__ import annotations

import numpy as np
import pytest
from export_examples import movers, noise
from flow_examples import SPECS, hard_pairs
from numpy.typing import NDArray

from motionveil.methods.flow import FlowSettings, quantise_velocity
from motionveil.spec import EncoderSpec
from motionveil.streaming import StreamEncoder

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from motionveil.export.onnx import build_model  # noqa: E402

EACH = pytest.mark.parametrize("name", SPECS)


class Runner:
    """Runs a model frame by frame, as whoever has it would."""

    def __init__(self, spec: EncoderSpec, *, hard: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.model = build_model(spec, hard=hard)
        self.session = onnxruntime.InferenceSession(
            self.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.previous = np.full((1, 1, 3), np.nan, np.float32)

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        veiled, self.previous = self.session.run(
            ["veiled", "blurred"], {"frame": frame, "previous": self.previous}
        )
        return veiled


def compare(spec: EncoderSpec, clip: NDArray[np.uint8], *, hard: bool = False) -> list[np.ndarray]:
    """Return the model's frames and the stream encoder's."""
    run, stream = Runner(spec, hard=hard), StreamEncoder(spec, hard=hard)
    found, expected = (np.stack([one(frame) for frame in clip]) for one in (run, stream))
    assert found.dtype == np.uint8
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found[0], stream.neutral)
    return [found, expected]


@EACH
@pytest.mark.parametrize("size", [(45, 60), (32, 32), (77, 33), (9, 14), (3, 1), (1, 1)])
def test_soft_output_is_the_stream_encoders(name: str, size: tuple[int, int]) -> None:
    for clip in (movers(4, *size) if min(size) > 40 else noise(4, *size, 1), noise(3, *size, 2)):
        found, expected = compare(SPECS[name], clip)
        assert np.abs(found.astype(int) - expected).max() <= 1


@EACH
def test_what_is_hard_on_an_estimate_of_motion(name: str) -> None:
    for what, clip in hard_pairs(32, 48).items():
        found, expected = compare(SPECS[name], clip)
        assert np.abs(found.astype(int) - expected).max() <= 1, what


@EACH
def test_hard_output_differs_at_boundaries_only(name: str) -> None:
    spec, clip = SPECS[name], hard_pairs(32, 48)["large checkerboard"]
    found, expected = compare(spec, clip, hard=True)
    settings = spec.settings
    assert isinstance(settings, FlowSettings)
    steps = quantise_velocity(settings, np.linspace(-20, 20, 999), hard=True)
    assert set(np.unique(found)) <= set(np.rint(17 * steps).astype(int))
    assert (found != expected).mean() < 0.01
    assert np.ptp(found) > 50, "the test needs motion"


def test_sizes_and_types_of_inputs_and_outputs() -> None:
    run = Runner(SPECS["default"])
    values = [*run.session.get_inputs(), *run.session.get_outputs()]
    assert [(v.name, v.type, v.shape) for v in values] == [
        ("frame", "tensor(uint8)", ["H", "W", 3]),
        ("previous", "tensor(float)", ["previous_h", "previous_w", "previous_c"]),
        ("veiled", "tensor(uint8)", ["grid_h", "grid_w", 3]),
        ("blurred", "tensor(float)", ["h", "w", 1]),
    ]
    about = {prop.key: prop.value for prop in run.model.metadata_props}
    assert EncoderSpec.model_validate_json(about["encoder.json"]) == SPECS["default"]
    assert "NEVER WITH ZEROS" in about["start"]
    assert int(about["neutral"]) == StreamEncoder(SPECS["default"]).neutral


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 1), (32, 1, 3), (48, 32, 1), (64, 96, 1)])
def test_a_state_of_another_size_gives_the_neutral_frame_or_an_error(
    shape: tuple[int, int, int],
) -> None:
    run = Runner(SPECS["small"])
    run.previous = np.zeros(shape, np.float32)
    try:
        veiled = run(movers(1, 32, 48)[0])
    except Exception as error:  # onnxruntime has no class of its own for it
        assert "nothing_before" in str(error) or "kept" in str(error)  # noqa: PT017
    else:
        assert np.ptp(veiled) == 0


def test_only_where_there_was_nothing_before() -> None:
    run, clip = Runner(SPECS["small"]), movers(2, 32, 64)
    neutral = run(clip[0])[0, 0, 0]
    run.previous[:, :32] = np.nan
    veiled = run(clip[1])
    assert (veiled[:, :4] == neutral).all()
    assert np.ptp(veiled[:, 8:]) > 0
